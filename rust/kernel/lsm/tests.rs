// SPDX-License-Identifier: GPL-2.0

//! Tests of the abstraction for LSMs, with LSMs that the LSM core does not know.

use super::{
    hooks::{
        Trampolines,
        CAPACITY, //
    },
    *, //
};
use crate::{
    net::socket::{
        tests::FakeSock as SockMemory,
        Sock, //
    },
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
    task::Task, //
};
use core::ptr;

#[macros::kunit_tests(rust_lsm)]
mod suite {
    use super::*;

    /// An LSM that keeps a value of each credential and each socket, and has no other hooks.
    struct Keeper;

    #[derive(Zeroable)]
    struct Kept(Option<Arc<u32>>);

    impl CredBlob for Kept {
        fn inherit(&self) -> Self {
            Self(self.0.clone())
        }
    }

    #[derive(Zeroable)]
    struct KeptOfSock(Atomic<u32>, Atomic<u64>);

    #[vtable]
    impl Lsm for Keeper {
        type Cred = Kept;
        type Sock = KeptOfSock;

        fn init(_hooks: Hooks<Self>) -> Result {
            Ok(())
        }
    }

    /// An LSM that keeps nothing and implements every hook. It allows only calls whose arguments
    /// are those of the tests, in this order.
    struct Everything;

    /// Returns `Ok` if the arguments of a hook are those of the tests.
    fn expect(right: bool) -> Result {
        if right {
            Ok(())
        } else {
            Err(EBADMSG)
        }
    }

    fn is_params(params: SocketParams) -> bool {
        params
            == SocketParams {
                family: 2,
                type_: 3,
                protocol: 4,
                kern: true,
            }
    }

    #[vtable]
    impl Lsm for Everything {
        type Cred = ();
        type Sock = ();

        fn init(_hooks: Hooks<Self>) -> Result {
            Ok(())
        }

        fn socket_create(_subject: &(), params: SocketParams) -> Result {
            expect(is_params(params))
        }

        fn socket_post_create(_subject: &(), sock: &NewSocket, params: SocketParams) -> Result {
            expect(sock.sk().is_some() && is_params(params))
        }

        fn socket_socketpair(_subject: &(), socka: &Socket, sockb: &Socket) -> Result {
            expect(socka.sk().family() == 2 && sockb.sk().family() == 10)
        }

        fn socket_bind(_subject: &(), sock: &Socket, address: Sockaddr<'_>) -> Result {
            expect(sock.sk().family() == 2)?;
            match address.bytes() {
                [] => Err(ENODATA),
                [1, ..] => Ok(()),
                _ => Err(EACCES),
            }
        }

        fn socket_connect(_subject: &(), sock: &Socket, address: Sockaddr<'_>) -> Result {
            expect(sock.sk().family() == 2 && address.bytes() == [7; 5])
        }

        fn socket_listen(_subject: &(), sock: &Socket, backlog: c_int) -> Result {
            expect(sock.sk().family() == 2 && backlog == 128)
        }

        fn inet_listen(_subject: &(), sk: &LockedSock) -> Result {
            expect(sk.family() == 2 && sk.port() == 0 && sk.socket().is_none())
        }

        fn socket_accept(_subject: &(), sock: &Socket, newsock: &NewSocket) -> Result {
            expect(sock.sk().family() == 2 && newsock.sk().is_none())
        }

        fn socket_accepted(_subject: &(), sock: &Socket, accepted: &Socket) -> Result {
            expect(sock.sk().family() == 10 && accepted.sk().family() == 2)
        }

        fn socket_sendmsg(_subject: &(), _sock: &Socket, msg: &Msg, size: usize) -> Result {
            match (msg.name(), size) {
                (None, 3) => Ok(()),
                (None, _) => Err(EMSGSIZE),
                (Some(_), _) => Err(EISCONN),
            }
        }

        fn socket_recvmsg(_subject: &(), sock: &Socket, size: usize, flags: u32) -> Result {
            expect(sock.sk().family() == 2 && size == 5 && flags == bindings::MSG_PEEK)
        }

        fn socket_read(_subject: &(), sock: &Socket) -> Result {
            expect(sock.sk().family() == 10)
        }

        fn socket_getsockname(_subject: &(), sock: &Socket) -> Result {
            expect(sock.sk().family() == 2)
        }

        fn socket_getpeername(_subject: &(), sock: &Socket) -> Result {
            expect(sock.sk().family() == 10)
        }

        fn socket_getsockopt(_subject: &(), sock: &Socket, level: c_int, optname: c_int) -> Result {
            expect(sock.sk().family() == 2 && level == 6 && optname == 13)
        }

        fn socket_setsockopt(_subject: &(), sock: &Socket, level: c_int, optname: c_int) -> Result {
            expect(sock.sk().family() == 2 && level == 17 && optname == 103)
        }

        fn socket_shutdown(_subject: &(), sock: &Socket, how: c_int) -> Result {
            expect(sock.sk().family() == 2 && how == 1)
        }
    }

    /// An LSM that implements two hooks and keeps nothing.
    struct Few;

    #[vtable]
    impl Lsm for Few {
        type Cred = ();
        type Sock = ();

        fn init(_hooks: Hooks<Self>) -> Result {
            Ok(())
        }

        fn socket_sendmsg(_subject: &(), _sock: &Socket, _msg: &Msg, _size: usize) -> Result {
            Ok(())
        }

        fn socket_bind(_subject: &(), _sock: &Socket, _address: Sockaddr<'_>) -> Result {
            Ok(())
        }
    }

    /// An LSM that the list does not name.
    struct Off;

    #[vtable]
    impl Lsm for Off {
        type Cred = Kept;
        type Sock = KeptOfSock;

        fn init(_hooks: Hooks<Self>) -> Result {
            Ok(())
        }
    }

    /// An LSM for which the core has not read the list.
    struct Early;

    #[vtable]
    impl Lsm for Early {
        type Cred = Kept;
        type Sock = KeptOfSock;

        fn init(_hooks: Hooks<Self>) -> Result {
            Ok(())
        }
    }

    // The core does not know these LSMs, so the size that they ask for stays where the core would
    // put the offset. The value of a credential is at byte 8 (4 on 32 bits) and that of a socket at
    // byte 16 of blobs that the tests make themselves.
    const SOCK_OFFSET: usize = 16;

    static_assert!(size_of::<KeptOfSock>() == SOCK_OFFSET);

    /// Makes the registration of an LSM, with what the core would write to `enabled`.
    macro_rules! register {
        ($lsm:ty, $enabled:expr) => {
            // SAFETY: It is always the same static, and the tests do what the core would.
            unsafe impl Registered for $lsm {
                fn registration() -> &'static Registration<Self> {
                    static REGISTRATION: Registration<$lsm> = Registration {
                        enabled: UnsafeCell::new($enabled),
                        // SAFETY: This is the static, and the tests do what the core would.
                        ..unsafe { Registration::new(c"test", 0) }
                    };

                    &REGISTRATION
                }
            }
        };
    }

    register!(Keeper, ENABLED);
    register!(Everything, ENABLED);
    register!(Few, ENABLED);
    register!(Off, 0);
    register!(Early, UNSETTLED);

    /// A credential that is all zeroes except for its composite blob, which is another LSM's word
    /// and then `Keeper`'s value.
    #[derive(Zeroable)]
    struct Fake {
        cred: bindings::cred,
        blob: [usize; 2],
    }

    impl Fake {
        fn new() -> Result<KBox<Self>> {
            let mut fake = KBox::<Self>::init(pin_init::init_zeroed(), GFP_KERNEL)?;

            fake.cred.security = (&raw mut fake.blob).cast();
            Ok(fake)
        }

        fn kept(&self) -> &Kept {
            // SAFETY: `Keeper` is enabled, and the blob has room for its value.
            let blob = unsafe { cred::blob::<Keeper>(&self.cred) };

            // SAFETY: It is valid as long as `self`, and nobody writes it.
            unsafe { blob.as_ref() }
        }

        fn count(&self) -> Option<u32> {
            self.kept().0.as_deref().copied()
        }

        fn keep(&mut self, value: Arc<u32>) {
            // SAFETY: `Keeper` is enabled, and the blob has room for its value.
            let mut blob = unsafe { cred::blob::<Keeper>(&self.cred) };

            // SAFETY: Nobody else has access to the credential.
            *unsafe { blob.as_mut() } = Kept(Some(value));
        }

        fn free(&mut self) {
            // SAFETY: This is what the core does to a credential that it frees; the value is not
            // used again.
            unsafe { cred::cred_free::<Keeper>(&mut self.cred) };

            // The core frees the blob, and uses no value again.
            self.blob = [0; 2];
        }
    }

    /// Returns the only holder's value of an `Arc`, or `None` if there are more holders.
    fn alone(value: Arc<u32>) -> Option<u32> {
        Arc::into_unique_or_drop(value).map(|value| *value)
    }

    /// Where a hook is attached.
    macro_rules! attachment {
        ($hook:ident) => {
            // SAFETY: Only the address is taken, of a table that C defines.
            unsafe { &raw mut bindings::static_calls_table.$hook }.cast()
        };
    }

    /// Returns what the hooks of `L` are attached to.
    fn attached<L: Registered>() -> Result<KVec<*mut bindings::lsm_static_call>> {
        let hooks = L::registration().hooks.get();
        let mut attached = KVec::new();

        // SAFETY: Nobody writes it.
        for i in 0..unsafe { (*hooks).len() } {
            // SAFETY: `i` is less than their number.
            let hook = unsafe { &*HookList::as_mut_ptr(hooks).add(i) };

            attached.push(hook.scalls, GFP_KERNEL)?;
        }

        Ok(attached)
    }

    #[test]
    fn only_implemented_hooks_are_registered() -> Result {
        let few: [*mut bindings::lsm_static_call; 2] =
            [attachment!(socket_bind), attachment!(socket_sendmsg)];

        assert!(attached::<Few>()?[..] == few[..]);
        Ok(())
    }

    #[test]
    fn every_hook_can_be_registered() -> Result {
        let everything: [*mut bindings::lsm_static_call; 17] = [
            attachment!(socket_create),
            attachment!(socket_post_create),
            attachment!(socket_socketpair),
            attachment!(socket_bind),
            attachment!(socket_connect),
            attachment!(socket_listen),
            attachment!(inet_listen),
            attachment!(socket_accept),
            attachment!(socket_accepted),
            attachment!(socket_sendmsg),
            attachment!(socket_recvmsg),
            attachment!(socket_read),
            attachment!(socket_getsockname),
            attachment!(socket_getpeername),
            attachment!(socket_getsockopt),
            attachment!(socket_setsockopt),
            attachment!(socket_shutdown),
        ];

        assert!(attached::<Everything>()?[..] == everything[..]);
        assert_eq!(CAPACITY, everything.len() + attached::<Keeper>()?.len());
        Ok(())
    }

    #[test]
    fn credential_hooks_are_registered_for_who_keeps_something() -> Result {
        let keeper: [*mut bindings::lsm_static_call; 3] = [
            attachment!(cred_prepare),
            attachment!(cred_transfer),
            attachment!(cred_free),
        ];

        assert!(attached::<Keeper>()?[..] == keeper[..]);
        Ok(())
    }

    #[test]
    fn the_core_is_asked_for_room_for_the_value() {
        let (keeper, few) = (Keeper::registration(), Few::registration());

        assert_eq!(keeper.cred_offset(), size_of::<Kept>());
        assert_eq!(keeper.sock_offset(), size_of::<KeptOfSock>());
        assert_eq!(few.cred_offset(), 0);
        assert_eq!(few.sock_offset(), 0);
    }

    #[test]
    fn nothing_is_enabled_before_the_list_is_settled() -> Result {
        let registration = Early::registration();
        let sock = FakeSock::new()?;

        // The core passes over an LSM whose flag is 0 when it reads the list.
        // SAFETY: Only this test writes it, and it runs on one thread.
        assert!(unsafe { *registration.enabled.get() } != 0);
        assert!(!is_enabled::<Early>());
        assert!(PreparedCred::new()?.blob_mut::<Early>().is_none());
        assert!(sock_blob::<Early>(sock.sk()).is_none());

        // SAFETY: As above. This is what the core does to an LSM that the list names.
        unsafe { *registration.enabled.get() = true.into() };
        assert!(is_enabled::<Early>());

        // SAFETY: As above. This is what the core does to an LSM that the list does not name.
        unsafe { *registration.enabled.get() = false.into() };
        assert!(!is_enabled::<Early>());

        // SAFETY: As above. This lets the test run again.
        unsafe { *registration.enabled.get() = UNSETTLED };
        Ok(())
    }

    #[test]
    fn a_new_credential_keeps_the_zero_value() -> Result {
        let fake = Fake::new()?;

        assert!(fake.kept().0.is_none());
        Ok(())
    }

    #[test]
    fn a_copy_inherits_and_each_is_dropped_once() -> Result {
        let value = Arc::new(7, GFP_KERNEL)?;
        let (mut old, mut prepared, mut transferred) = (Fake::new()?, Fake::new()?, Fake::new()?);

        old.keep(value.clone());

        // SAFETY: Both credentials are valid and have their blobs.
        let ret = unsafe { cred::cred_prepare::<Keeper>(&mut prepared.cred, &old.cred, 0) };
        assert_eq!(ret, 0);
        assert_eq!(prepared.count(), Some(7));

        // SAFETY: As above.
        unsafe { cred::cred_transfer::<Keeper>(&mut transferred.cred, &prepared.cred) };
        assert_eq!(transferred.count(), Some(7));

        old.free();
        prepared.free();
        assert_eq!(transferred.count(), Some(7));

        transferred.free();
        assert_eq!(alone(value), Some(7));
        Ok(())
    }

    #[test]
    fn freeing_the_zero_value_does_nothing() -> Result {
        Fake::new()?.free();
        Ok(())
    }

    #[test]
    fn a_copy_by_hand_replaces_what_was_there() -> Result {
        let (first, second) = (Arc::new(1, GFP_KERNEL)?, Arc::new(2, GFP_KERNEL)?);
        let (mut dst, mut src) = (Fake::new()?, Fake::new()?);

        dst.keep(first.clone());
        src.keep(second.clone());

        // SAFETY: Both credentials are valid, and neither is anybody else's.
        unsafe { copy_cred_blob::<Keeper>(&mut dst.cred, &src.cred) };
        assert_eq!(dst.count(), Some(2));
        assert_eq!(alone(first), Some(1));

        dst.free();
        src.free();
        assert_eq!(alone(second), Some(2));
        Ok(())
    }

    #[test]
    fn no_other_part_of_the_blob_is_touched() -> Result {
        let (mut dst, mut src) = (Fake::new()?, Fake::new()?);

        dst.blob[0] = 0x5a;
        src.blob[0] = 0xa5;
        src.keep(Arc::new(3, GFP_KERNEL)?);

        // SAFETY: Both credentials are valid, and neither is anybody else's.
        unsafe { copy_cred_blob::<Keeper>(&mut dst.cred, &src.cred) };
        assert_eq!(dst.blob[0], 0x5a);
        assert_eq!(src.blob[0], 0xa5);

        dst.free();
        src.free();
        Ok(())
    }

    #[test]
    fn an_lsm_that_is_off_keeps_nothing() -> Result {
        let (mut dst, src) = (Fake::new()?, Fake::new()?);

        assert!(is_enabled::<Keeper>());
        assert!(!is_enabled::<Off>());
        assert!(PreparedCred::new()?.blob_mut::<Off>().is_none());
        assert!(sock_blob::<Off>(FakeSock::new()?.sk()).is_none());

        // SAFETY: Both credentials are valid, and neither is anybody else's.
        unsafe { copy_cred_blob::<Off>(&mut dst.cred, &src.cred) };
        assert_eq!(dst.blob, [0; 2]);
        Ok(())
    }

    #[test]
    fn prepared_credentials_are_new_and_can_be_given_away() -> Result {
        let prepared = PreparedCred::new()?;
        let other = PreparedCred::new()?;

        assert!(!ptr::eq(prepared.as_ptr(), other.as_ptr()));

        let raw = prepared.into_raw();
        // SAFETY: The credentials were given away, and this is their last use.
        unsafe { bindings::abort_creds(raw) };
        Ok(())
    }

    #[test]
    fn committed_credentials_are_the_current_ones() -> Result {
        // SAFETY: The thread of the test does nothing else with its credentials, so this is as
        // good as a system call.
        let mut call = unsafe { SystemCall::new() };
        let prepared = PreparedCred::new()?;
        let raw = prepared.as_ptr();

        prepared.commit(&mut call);

        // SAFETY: The current task is valid, and nobody else writes this field.
        let current = unsafe { (*Task::current_raw()).cred };
        assert!(ptr::eq(current, raw));
        Ok(())
    }

    /// A `struct sock` that is all zeroes except for its composite blob, which is two words of
    /// another LSM's and then `Keeper`'s value.
    struct FakeSock {
        sk: KBox<SockMemory>,
        blob: KBox<[u64; 4]>,
    }

    impl FakeSock {
        fn new() -> Result<Self> {
            let mut fake = Self {
                sk: SockMemory::zeroed()?,
                blob: KBox::new([0; 4], GFP_KERNEL)?,
            };

            let blob = (&raw mut *fake.blob).cast();

            fake.set_security(blob);
            Ok(fake)
        }

        fn set_security(&mut self, blob: *mut c_void) {
            // SAFETY: The field is where C says, which is asserted to be inside.
            let field = unsafe {
                self.sk
                    .as_mut_ptr()
                    .byte_add(bindings::SOCK_SECURITY_OFFSET)
            };

            // SAFETY: As above, and nobody else has access.
            unsafe { field.cast::<*mut c_void>().write(blob) };
        }

        fn sk(&self) -> &Sock {
            self.sk.sock()
        }
    }

    #[test]
    fn a_socket_has_a_value_of_its_own() -> Result {
        let (one, other) = (FakeSock::new()?, FakeSock::new()?);
        let kept = sock_blob::<Keeper>(one.sk()).ok_or(ENODATA)?;

        assert_eq!(kept.0.load(Relaxed), 0);
        assert_eq!(kept.1.load(Relaxed), 0);
        kept.1.store(0x5a, Relaxed);

        // It is the same value each time, and the other socket's is another.
        let again = sock_blob::<Keeper>(one.sk()).ok_or(ENODATA)?;
        assert!(ptr::eq(kept, again));
        assert_eq!(again.1.load(Relaxed), 0x5a);
        let kept = sock_blob::<Keeper>(other.sk()).ok_or(ENODATA)?;
        assert_eq!(kept.1.load(Relaxed), 0);
        Ok(())
    }

    #[test]
    fn a_value_is_at_its_offset_in_the_blob_of_the_socket() -> Result {
        let sock = FakeSock::new()?;
        let kept = sock_blob::<Keeper>(sock.sk()).ok_or(ENODATA)?;
        let blob = (&raw const *sock.blob).wrapping_byte_add(SOCK_OFFSET);

        assert!(ptr::eq(blob.cast(), kept));
        Ok(())
    }

    #[test]
    fn a_socket_without_a_blob_has_no_value() -> Result {
        let mut sock = FakeSock::new()?;

        sock.set_security(ptr::null_mut());
        assert!(sock_blob::<Keeper>(sock.sk()).is_none());

        // An LSM that keeps nothing needs no blob.
        assert!(sock_blob::<Few>(sock.sk()).is_some());
        Ok(())
    }

    /// A `struct socket` with a `sk` of `family`, all else zero.
    struct FakeSocket {
        sock: KBox<bindings::socket>,
        _sk: KBox<SockMemory>,
    }

    impl FakeSocket {
        fn new(family: u16) -> Result<Self> {
            let mut sock = KBox::<bindings::socket>::init(pin_init::init_zeroed(), GFP_KERNEL)?;
            let mut sk = SockMemory::zeroed()?;

            sk.set(bindings::SOCK_FAMILY_OFFSET, family.into());
            sock.sk = sk.as_mut_ptr();
            Ok(Self { sock, _sk: sk })
        }

        fn as_mut_ptr(&mut self) -> *mut bindings::socket {
            &raw mut *self.sock
        }
    }

    /// Calls a hook of [`Everything`], as C does.
    macro_rules! call {
        ($hook:ident($($argument:expr),*)) => {
            // SAFETY: Sockets, addresses and messages are valid, and as long as they say.
            unsafe { Trampolines::<Everything>::$hook($($argument),*) }
        };
    }

    #[test]
    fn answers_become_errnos() -> Result {
        let mut sock = FakeSocket::new(2)?;
        let mut address: bindings::sockaddr = pin_init::zeroed();
        let mut bind = |first: u8, addrlen| {
            address.sa_family = u16::from_ne_bytes([first, first]);
            call!(socket_bind(sock.as_mut_ptr(), &mut address, addrlen))
        };

        assert_eq!(bind(1, 16), 0);
        assert_eq!(bind(1, 1), 0);
        assert_eq!(bind(2, 16), EACCES.to_errno());
        assert_eq!(bind(1, 0), ENODATA.to_errno());
        assert_eq!(bind(1, -1), ENODATA.to_errno());
        Ok(())
    }

    #[test]
    fn a_message_is_passed_with_its_size() -> Result {
        let mut sock = FakeSocket::new(2)?;
        let sock = sock.as_mut_ptr();
        let mut address = [0u8; 16];
        // SAFETY: It is a C structure of integers and pointers, for which zeroes are valid.
        let mut msg: bindings::msghdr = unsafe { core::mem::zeroed() };

        assert_eq!(call!(socket_sendmsg(sock, &mut msg, 3)), 0);
        assert_eq!(
            call!(socket_sendmsg(sock, &mut msg, 4)),
            EMSGSIZE.to_errno()
        );

        msg.msg_name = address.as_mut_ptr().cast();
        msg.msg_namelen = 16;
        assert_eq!(call!(socket_sendmsg(sock, &mut msg, 3)), EISCONN.to_errno());
        Ok(())
    }

    #[test]
    fn a_socket_that_is_created_is_described() -> Result {
        let mut sock = FakeSocket::new(2)?;
        let mut bare = KBox::<bindings::socket>::init(pin_init::init_zeroed(), GFP_KERNEL)?;
        let (sock, bare) = (sock.as_mut_ptr(), &raw mut *bare);
        let wrong = EBADMSG.to_errno();

        assert_eq!(call!(socket_create(2, 3, 4, 1)), 0);
        assert_eq!(call!(socket_create(2, 3, 4, 0)), wrong);
        assert_eq!(call!(socket_create(3, 2, 4, 1)), wrong);
        assert_eq!(call!(socket_create(2, 4, 3, 1)), wrong);

        assert_eq!(call!(socket_post_create(sock, 2, 3, 4, 1)), 0);
        assert_eq!(call!(socket_post_create(sock, 2, 3, 4, 0)), wrong);
        // Its protocol has not made it yet.
        assert_eq!(call!(socket_post_create(bare, 2, 3, 4, 1)), wrong);
        Ok(())
    }

    #[test]
    fn each_hook_passes_its_arguments_in_order() -> Result {
        let (mut v4, mut v6) = (FakeSocket::new(2)?, FakeSocket::new(10)?);
        let mut bare = KBox::<bindings::socket>::init(pin_init::init_zeroed(), GFP_KERNEL)?;
        let (sk4, sk6) = (v4.sock.sk, v6.sock.sk);
        let (v4, v6, bare) = (v4.as_mut_ptr(), v6.as_mut_ptr(), &raw mut *bare);
        // SAFETY: It is a C structure of integers and pointers, for which zeroes are valid.
        let mut msg: bindings::msghdr = unsafe { core::mem::zeroed() };
        let mut address = [7u8; 6];
        let address = address.as_mut_ptr().cast();
        let peek = bindings::MSG_PEEK as c_int;
        let wrong = EBADMSG.to_errno();

        assert_eq!(call!(socket_socketpair(v4, v6)), 0);
        assert_eq!(call!(socket_socketpair(v6, v4)), wrong);
        assert_eq!(call!(socket_connect(v4, address, 5)), 0);
        assert_eq!(call!(socket_connect(v4, address, 6)), wrong);
        assert_eq!(call!(socket_listen(v4, 128)), 0);
        assert_eq!(call!(socket_listen(v4, 127)), wrong);
        assert_eq!(call!(inet_listen(sk4)), 0);
        assert_eq!(call!(inet_listen(sk6)), wrong);
        assert_eq!(call!(socket_accept(v4, bare)), 0);
        assert_eq!(call!(socket_accept(v4, v6)), wrong);
        assert_eq!(call!(socket_accepted(v6, v4)), 0);
        assert_eq!(call!(socket_accepted(v4, v6)), wrong);
        assert_eq!(call!(socket_recvmsg(v4, &mut msg, 5, peek)), 0);
        assert_eq!(call!(socket_recvmsg(v4, &mut msg, peek, 5)), wrong);
        assert_eq!(call!(socket_read(v6)), 0);
        assert_eq!(call!(socket_read(v4)), wrong);
        assert_eq!(call!(socket_getsockname(v4)), 0);
        assert_eq!(call!(socket_getsockname(v6)), wrong);
        assert_eq!(call!(socket_getpeername(v6)), 0);
        assert_eq!(call!(socket_getpeername(v4)), wrong);
        assert_eq!(call!(socket_getsockopt(v4, 6, 13)), 0);
        assert_eq!(call!(socket_getsockopt(v4, 13, 6)), wrong);
        assert_eq!(call!(socket_setsockopt(v4, 17, 103)), 0);
        assert_eq!(call!(socket_setsockopt(v4, 103, 17)), wrong);
        assert_eq!(call!(socket_shutdown(v4, 1)), 0);
        assert_eq!(call!(socket_shutdown(v4, 2)), wrong);
        Ok(())
    }

    #[test]
    fn hooks_are_wanted_only_when_asked_for() {
        static WANTED: Flag = Flag(UnsafeCell::new(false));

        let hooks = || Hooks::<Few> {
            wanted: &WANTED,
            _lsm: PhantomData,
            _init: NotThreadSafe,
        };

        drop(hooks());
        // SAFETY: Only this test uses it.
        assert!(!unsafe { *WANTED.0.get() });

        hooks().register();
        // SAFETY: Only this test uses it.
        assert!(unsafe { *WANTED.0.get() });
    }
}
