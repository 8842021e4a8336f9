// SPDX-License-Identifier: GPL-2.0

//! Linux security modules, written in Rust.
//!
//! A Linux security module (LSM) is asked before the kernel does what a task wants of it, and can
//! refuse. What it is asked at are the *hooks*. It implements those it cares about; it may keep a
//! value with each credential to remember what the tasks that hold it may do.
//!
//! An LSM is a type that implements [`Lsm`], registered with [`lsm!`]. It is always built into the
//! kernel, never a module, and it is in force only if the boot says so (the parameter `lsm=`, else
//! `CONFIG_LSM`).
//!
//! What runs when:
//!
//! 1. The LSM core reads the list of LSMs and writes down who is on it, see [`is_enabled`].
//! 2. It sums up what the enabled LSMs keep of each credential, gives each its offset, and allocates
//!    the blob of the first task's credentials.
//! 3. It calls [`Lsm::init`] of each enabled LSM, in the order of the list, on the one processor
//!    that runs and before there are other tasks. Hooks come into force here.
//! 4. From then on nothing of this changes. What the core wrote is mapped read-only.
//!
//! The safe methods that an LSM implements are called by functions which do no more than wrap their
//! arguments. No lock is held and no reference is taken on the way: what a hook is lent is valid
//! for the length of the call, and its type says so.
//!
//! How to write one is told in `Documentation/rust/lsm.rst`.
//!
//! C header: [`include/linux/lsm_hooks.h`](srctree/include/linux/lsm_hooks.h).
//!
//! [`lsm!`]: crate::prelude::lsm

use crate::{
    bindings,
    prelude::*,
    types::NotThreadSafe, //
};
use core::{
    cell::UnsafeCell,
    marker::PhantomData, //
};

#[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
use crate::{
    error::VTABLE_DEFAULT_ERROR,
    net::socket::{
        Msg,
        Sockaddr,
        Socket, //
    }, //
};

mod cred;
mod hooks;

pub use self::cred::{
    copy_cred_blob,
    cred_blob,
    CredBlob,
    PreparedCred, //
};
use self::hooks::HookList;

/// A Linux security module.
///
/// The methods after [`init`](Self::init) are the hooks. Each has the name that it has in C, where
/// [`include/linux/lsm_hook_defs.h`](srctree/include/linux/lsm_hook_defs.h) declares them all. All
/// are optional, and only those that are implemented are registered, so that the others cost
/// nothing.
///
/// A hook answers `Ok(())` to let the kernel go on, or the error that the system call is to return.
/// An error ends the matter: the LSMs that come later in the list are not asked. `Ok(())` leaves it
/// to them.
///
/// The `subject` of a hook is what the LSM keeps of the current task's *subjective* credentials,
/// those that it acts with; they are not its own while `override_creds()` is in effect.
///
/// The hooks of a kind exist only if the kernel is configured to call them. The socket hooks need
/// `CONFIG_NET` and `CONFIG_SECURITY_NETWORK`: an LSM that implements one without them does not
/// build, rather than being silent when it should speak.
///
/// # Examples
///
/// An LSM that refuses everybody to bind a socket to an address of an unknown family:
///
/// ```
/// # #[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
/// # mod example {
/// use kernel::{
///     lsm::{Hooks, Lsm},
///     net::socket::{Sockaddr, Socket},
///     prelude::*, //
/// };
///
/// struct KnownFamilies;
///
/// #[vtable]
/// impl Lsm for KnownFamilies {
///     type Cred = ();
///
///     fn init(hooks: Hooks<Self>) -> Result {
///         hooks.register();
///         Ok(())
///     }
///
///     fn socket_bind(_subject: &(), sock: &Socket, address: Sockaddr<'_>) -> Result {
///         let family = address.bytes().first_chunk().map(|family| u16::from_ne_bytes(*family));
///
///         match family {
///             None => Err(EINVAL),
///             Some(family) if family == sock.sk().family() => Ok(()),
///             Some(_) => Err(EAFNOSUPPORT),
///         }
///     }
/// }
///
/// static_assert!(KnownFamilies::HAS_SOCKET_BIND);
/// static_assert!(!KnownFamilies::HAS_SOCKET_CONNECT);
/// # }
/// ```
#[vtable]
pub trait Lsm: Sized + Send + Sync + 'static {
    /// What is kept of each credential; `()` for nothing.
    ///
    /// The credential hooks `cred_prepare`, `cred_transfer` and `cred_free` are registered if it is
    /// something, and do what [`CredBlob`] says.
    type Cred: CredBlob;

    /// Starts the LSM; called once at boot if the LSM is enabled, and not at all otherwise.
    ///
    /// [`hooks.register()`](Hooks::register) puts the hooks in force when this has returned `Ok`.
    /// An LSM that finds it had better stay off returns `Ok` without it. An error leaves the hooks
    /// off too, and the core warns with a backtrace, since it means a bug or a kernel that is
    /// starting without what it was told to enforce.
    ///
    /// The scheduler is not running yet, so this must not sleep. Memory can be allocated.
    fn init(hooks: Hooks<Self>) -> Result;

    /// Asks whether the current task may bind `sock` to `address`.
    ///
    /// Called before the protocol has looked at it, without
    /// the socket lock; may sleep.
    #[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
    fn socket_bind(subject: &Self::Cred, sock: &Socket, address: Sockaddr<'_>) -> Result {
        let _ = (subject, sock, address);
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Asks whether the current task may connect `sock` to `address`.
    ///
    /// `address` is as for [`socket_bind`](Self::socket_bind); its family may be `AF_UNSPEC`, which
    /// drops the peer of a socket that has one. Called before the protocol has looked at it, without
    /// the socket lock; may sleep.
    #[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
    fn socket_connect(subject: &Self::Cred, sock: &Socket, address: Sockaddr<'_>) -> Result {
        let _ = (subject, sock, address);
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Asks whether the current task may send `msg` over `sock`.
    ///
    /// `size` is the number of bytes of data. A message may carry an address to go to, which a
    /// connected socket need not have; `sendmmsg(2)` asks once for a run of messages to one address.
    /// Called without the socket lock; may sleep.
    #[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
    fn socket_sendmsg(subject: &Self::Cred, sock: &Socket, msg: &Msg, size: usize) -> Result {
        let _ = (subject, sock, msg, size);
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// The right to put an LSM's hooks in force, lent to [`Lsm::init`] and to nobody else.
///
/// # Invariants
///
/// Values exist only while [`Lsm::init`] of `L` runs, and only on the thread that runs it.
#[must_use = "without `register()` the LSM stays off"]
pub struct Hooks<L> {
    wanted: &'static Flag,
    _lsm: PhantomData<L>,
    _init: NotThreadSafe,
}

impl<L: Lsm> Hooks<L> {
    /// Puts the hooks that `L` implements in force, for good, once [`Lsm::init`] has returned `Ok`.
    ///
    /// That it is not before means that no hook runs in an LSM that is half set up, and that none
    /// is left behind by one whose start fails.
    #[inline]
    pub fn register(self) {
        // SAFETY: By the type invariant this is the thread that runs `Lsm::init`, and nobody else
        // has access until that has returned.
        unsafe { *self.wanted.0.get() = true };
    }
}

/// Whether an LSM asked for its hooks to be put in force.
struct Flag(UnsafeCell<bool>);

// SAFETY: It is only written by the one thread that runs `Lsm::init`, and read after that by the
// same thread.
unsafe impl Sync for Flag {}

/// An LSM that is registered with the kernel.
///
/// Do not implement this by hand: [`lsm!`](crate::prelude::lsm) does.
///
/// # Safety
///
/// [`registration`](Self::registration) always returns the same static, which lives in the section
/// `.data..ro_after_init` and is described to the LSM core by an [`Info`] that is in the section
/// `.lsm_info.init`. No other [`Info`] describes it.
pub unsafe trait Registered: Lsm {
    /// Returns what the kernel keeps of this LSM.
    fn registration() -> &'static Registration<Self>;
}

/// Tells whether the LSM is enabled on this boot: whether the list of LSMs names it and there was
/// room for it.
///
/// This is settled before the [`init`](Lsm::init) of any LSM, so that one can make itself depend on
/// another whatever their order. It does not say that the LSM put its hooks in force.
#[inline]
pub fn is_enabled<L: Registered>() -> bool {
    // SAFETY: The LSM core wrote this before it called the first LSM, and it does not change any
    // more.
    unsafe { *L::registration().enabled.get() != 0 }
}

/// What the kernel keeps of one LSM: the static that [`lsm!`](crate::prelude::lsm) makes.
///
/// # Invariants
///
/// Once [`Registered::registration`] can return it, it is written by nobody but the LSM core, and
/// by the core only while the kernel boots on one processor: `enabled` and `blobs` before any LSM's
/// [`init`](Lsm::init), `hooks` while it is in `init` of this one.
pub struct Registration<L: Registered> {
    id: bindings::lsm_id,
    /// Not 0 if the list of LSMs names this one.
    enabled: UnsafeCell<c_int>,
    /// Sizes, which the core replaces by offsets.
    blobs: UnsafeCell<bindings::lsm_blob_sizes>,
    hooks: UnsafeCell<HookList>,
    wanted: Flag,
    _lsm: PhantomData<fn() -> L>,
}

// SAFETY: By the type invariant nothing is written once other threads exist. The name that `id`
// points to is a static.
unsafe impl<L: Registered> Sync for Registration<L> {}

impl<L: Registered> Registration<L> {
    /// Makes the registration of the LSM that is called `name` and has the number `id`, an `LSM_ID_*`
    /// of [`include/uapi/linux/lsm.h`](srctree/include/uapi/linux/lsm.h).
    ///
    /// # Safety
    ///
    /// The result must become the static that [`Registered`] asks for.
    pub const unsafe fn new(name: &'static CStr, id: u64) -> Self {
        const {
            assert!(
                align_of::<L::Cred>() <= align_of::<*const c_void>(),
                "the LSM core aligns blobs for pointers, and for no more"
            )
        };
        const { assert!(size_of::<L::Cred>() <= u32::MAX as usize) };

        // INVARIANT: The caller guarantees that nobody but the LSM core gets to write it.
        Self {
            id: bindings::lsm_id {
                name: name.to_bytes_with_nul().as_ptr(),
                id,
            },
            // The core passes over an LSM that has been disabled before, so it starts as enabled.
            enabled: UnsafeCell::new(1),
            blobs: UnsafeCell::new(bindings::lsm_blob_sizes {
                // CAST: Asserted above.
                lbs_cred: size_of::<L::Cred>() as c_uint,
                ..pin_init::zeroed()
            }),
            hooks: UnsafeCell::new(HookList::new::<L>()),
            wanted: Flag(UnsafeCell::new(false)),
            _lsm: PhantomData,
        }
    }

    /// Returns where in a composite credential blob the LSM's value begins, in bytes, if the LSM is
    /// enabled.
    #[inline]
    fn cred_offset(&self) -> usize {
        // SAFETY: By the type invariant nobody writes it any more.
        let offset = unsafe { (*self.blobs.get()).lbs_cred };

        // CAST: A `u32` fits in a `usize` on every machine that runs Linux.
        offset as usize
    }

    /// Starts the LSM; this is `lsm_info::init`.
    ///
    /// It is in `.init.text` because `security_add_hooks()` is.
    ///
    /// # Safety
    ///
    /// Only the LSM core may call this, once, while the kernel boots.
    #[link_section = ".init.text"]
    unsafe extern "C" fn init() -> c_int {
        let this = L::registration();

        // INVARIANT: `Lsm::init` runs for as long as this value can exist: it cannot leave the
        // thread, and there is no place for it that outlives the call and belongs to one thread.
        let answer = L::init(Hooks {
            wanted: &this.wanted,
            _lsm: PhantomData,
            _init: NotThreadSafe,
        });

        if let Err(error) = answer {
            return error.to_errno();
        }

        // SAFETY: `Lsm::init` has returned, so nobody else has access.
        if unsafe { *this.wanted.0.get() } {
            let hooks = this.hooks.get();

            // SAFETY: Nobody else has access: this is the boot, and the core has not seen it yet.
            let len = unsafe { (*hooks).len() };

            // SAFETY: The hooks are valid and live forever, as does `id`; they are writable while
            // the kernel boots, and by the safety requirements of this function it does.
            // CAST: There are at most a handful.
            unsafe {
                bindings::security_add_hooks(HookList::as_mut_ptr(hooks), len as c_int, &this.id)
            };
        }

        0
    }
}

/// The description of one LSM, a C `struct lsm_info`, that the LSM core finds in the section
/// `.lsm_info.init`.
#[repr(transparent)]
pub struct Info(UnsafeCell<bindings::lsm_info>);

// SAFETY: Nobody but the LSM core has access to it, and it has only while the kernel boots on one
// processor.
unsafe impl Sync for Info {}

impl Info {
    /// Describes the LSM whose registration this is.
    pub const fn new<L: Registered>(registration: &'static Registration<L>) -> Self {
        Self(UnsafeCell::new(bindings::lsm_info {
            id: &raw const registration.id,
            blobs: registration.blobs.get(),
            enabled: registration.enabled.get(),
            init: Some(Registration::<L>::init),
            ..pin_init::zeroed()
        }))
    }
}

#[cfg(all(CONFIG_RUST_LSM_KUNIT_TEST, CONFIG_NET, CONFIG_SECURITY_NETWORK))]
#[macros::kunit_tests(rust_lsm)]
mod tests {
    use super::{
        hooks::Trampolines,
        *, //
    };
    use crate::{
        cred::Credential,
        net::socket::tests::zeroed_sock,
        sync::Arc, //
    };
    use core::ptr;

    /// An LSM that keeps a value of each credential and has no other hooks.
    struct Keeper;

    #[derive(Zeroable)]
    struct Kept(Option<Arc<u32>>);

    impl CredBlob for Kept {
        fn inherit(&self) -> Self {
            Self(self.0.clone())
        }
    }

    #[vtable]
    impl Lsm for Keeper {
        type Cred = Kept;

        fn init(_hooks: Hooks<Self>) -> Result {
            Ok(())
        }
    }

    /// An LSM that keeps nothing, and whose answers tell what it was asked.
    struct Echo;

    #[vtable]
    impl Lsm for Echo {
        type Cred = ();

        fn init(_hooks: Hooks<Self>) -> Result {
            Ok(())
        }

        fn socket_bind(_subject: &(), _sock: &Socket, address: Sockaddr<'_>) -> Result {
            match address.bytes() {
                [] => Err(ENODATA),
                [1, ..] => Ok(()),
                _ => Err(EACCES),
            }
        }

        fn socket_sendmsg(_subject: &(), _sock: &Socket, msg: &Msg, size: usize) -> Result {
            match (msg.name(), size) {
                (None, 3) => Ok(()),
                (None, _) => Err(EMSGSIZE),
                (Some(_), _) => Err(EISCONN),
            }
        }
    }

    /// An LSM that the list does not name.
    struct Off;

    #[vtable]
    impl Lsm for Off {
        type Cred = Kept;

        fn init(_hooks: Hooks<Self>) -> Result {
            Ok(())
        }
    }

    // The core does not know these LSMs, so the size that they ask for stays where it puts the
    // offset: their value is at byte 8 (4 on 32 bits) of blobs that the tests make themselves.

    static KEEPER: Registration<Keeper> = {
        // SAFETY: Nobody but the tests uses it, and they do what the core would.
        unsafe { Registration::new(c"keeper", 0) }
    };
    static ECHO: Registration<Echo> = {
        // SAFETY: Nobody but the tests uses it, and they do what the core would.
        unsafe { Registration::new(c"echo", 0) }
    };
    static OFF: Registration<Off> = Registration {
        enabled: UnsafeCell::new(0),
        // SAFETY: Nobody but the tests uses it, and they do what the core would.
        ..unsafe { Registration::new(c"off", 0) }
    };

    // SAFETY: It is always the same static, and the tests do what the core would.
    unsafe impl Registered for Keeper {
        fn registration() -> &'static Registration<Self> {
            &KEEPER
        }
    }

    // SAFETY: It is always the same static, and the tests do what the core would.
    unsafe impl Registered for Echo {
        fn registration() -> &'static Registration<Self> {
            &ECHO
        }
    }

    // SAFETY: It is always the same static, and the tests do what the core would.
    unsafe impl Registered for Off {
        fn registration() -> &'static Registration<Self> {
            &OFF
        }
    }

    /// A credential that is all zeroes but for its composite blob, which is another LSM's word and
    /// then `Keeper`'s value.
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

        fn kept(&self) -> Option<&Kept> {
            // SAFETY: `cred` lives as long as `self`, and its blob has room for `Keeper`'s value.
            cred_blob::<Keeper>(unsafe { Credential::from_ptr(&self.cred) })
        }

        fn count(&self) -> Option<u32> {
            self.kept().and_then(|kept| kept.0.as_deref().copied())
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
            unsafe { Trampolines::<Keeper>::cred_free(&mut self.cred) };

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
        let echo: [*mut bindings::lsm_static_call; 2] =
            [attachment!(socket_bind), attachment!(socket_sendmsg)];

        assert!(attached::<Echo>()?[..] == echo[..]);
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
        assert_eq!(KEEPER.cred_offset(), size_of::<Kept>());
        assert_eq!(ECHO.cred_offset(), 0);
    }

    #[test]
    fn a_new_credential_keeps_the_zero_value() -> Result {
        let fake = Fake::new()?;

        assert!(fake.kept().is_some_and(|kept| kept.0.is_none()));
        Ok(())
    }

    #[test]
    fn a_copy_inherits_and_each_is_dropped_once() -> Result {
        let value = Arc::new(7, GFP_KERNEL)?;
        let (mut old, mut prepared, mut transferred) = (Fake::new()?, Fake::new()?, Fake::new()?);

        old.keep(value.clone());

        // SAFETY: Both credentials are valid and have their blobs.
        let ret = unsafe { Trampolines::<Keeper>::cred_prepare(&mut prepared.cred, &old.cred, 0) };
        assert_eq!(ret, 0);
        assert_eq!(prepared.count(), Some(7));

        // SAFETY: As above.
        unsafe { Trampolines::<Keeper>::cred_transfer(&mut transferred.cred, &prepared.cred) };
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
        // SAFETY: The credential lives as long as `src`.
        assert!(cred_blob::<Off>(unsafe { Credential::from_ptr(&src.cred) }).is_none());
        assert!(PreparedCred::new()?.blob_mut::<Off>().is_none());

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
    fn answers_become_errnos() -> Result {
        let mut sk = zeroed_sock()?;
        let mut sock = KBox::<bindings::socket>::init(pin_init::init_zeroed(), GFP_KERNEL)?;
        let mut address: bindings::sockaddr = pin_init::zeroed();
        let mut bind = |first: u8, addrlen| {
            address.sa_family = u16::from_ne_bytes([first, first]);
            sock.sk = &raw mut *sk;

            // SAFETY: The socket has a `sk`, and the address has at least `addrlen` bytes.
            unsafe { Trampolines::<Echo>::socket_bind(&raw mut *sock, &mut address, addrlen) }
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
        let mut sk = zeroed_sock()?;
        let mut sock = KBox::<bindings::socket>::init(pin_init::init_zeroed(), GFP_KERNEL)?;
        let mut address = [0u8; 16];
        // SAFETY: It is a C structure of integers and pointers, for which zeroes are valid.
        let mut msg: bindings::msghdr = unsafe { core::mem::zeroed() };

        sock.sk = &raw mut *sk;

        // SAFETY: The socket has a `sk`, and the message has no name.
        let ret = unsafe { Trampolines::<Echo>::socket_sendmsg(&raw mut *sock, &mut msg, 3) };
        assert_eq!(ret, 0);
        // SAFETY: As above.
        let ret = unsafe { Trampolines::<Echo>::socket_sendmsg(&raw mut *sock, &mut msg, 4) };
        assert_eq!(ret, EMSGSIZE.to_errno());

        msg.msg_name = address.as_mut_ptr().cast();
        msg.msg_namelen = 16;

        // SAFETY: The socket has a `sk`, and the name of the message is as long as it says.
        let ret = unsafe { Trampolines::<Echo>::socket_sendmsg(&raw mut *sock, &mut msg, 3) };
        assert_eq!(ret, EISCONN.to_errno());
        Ok(())
    }

    #[test]
    fn hooks_are_wanted_only_when_asked_for() {
        static WANTED: Flag = Flag(UnsafeCell::new(false));

        let hooks = || Hooks::<Echo> {
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
