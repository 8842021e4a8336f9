// SPDX-License-Identifier: GPL-2.0

//! The hooks on their way from C: what is registered, and what C calls.
//!
//! To add a hook, add a method to [`Lsm`](super::Lsm) and an entry to the table at the end of this
//! file.
//!
//! `bindgen` takes the type of each hook from C, so the build breaks where the two sides do not
//! agree.
//!
//! C headers: [`include/linux/lsm_hooks.h`](srctree/include/linux/lsm_hooks.h),
//! [`include/linux/lsm_hook_defs.h`](srctree/include/linux/lsm_hook_defs.h).

use super::{
    cred,
    Registered, //
};
use crate::{
    bindings,
    prelude::*, //
};
use core::marker::PhantomData;

#[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
use crate::net::socket::{
    LockedSock,
    Msg,
    NewSocket,
    Sockaddr,
    Socket,
    SocketParams, //
};

/// The hooks that an LSM implements, in the form in which C registers them.
///
/// # Invariants
///
/// The first `len` of the `hooks` are valid, and `len` is at most [`CAPACITY`].
pub(super) struct HookList {
    hooks: [bindings::security_hook_list; CAPACITY],
    len: usize,
}

impl HookList {
    /// Returns a list without hooks.
    const fn empty() -> Self {
        // INVARIANT: There are no hooks.
        Self {
            hooks: [const { pin_init::zeroed() }; CAPACITY],
            len: 0,
        }
    }

    /// Adds the function of a hook and the place where C attaches it, as C's `LSM_HOOK_INIT()` does.
    ///
    /// This is for [`HookList::new`], which the compiler evaluates: if there were more hooks than
    /// [`CAPACITY`], the kernel would not build.
    const fn push(
        &mut self,
        scalls: *mut bindings::lsm_static_call,
        hook: bindings::security_list_options,
    ) {
        self.hooks[self.len] = bindings::security_hook_list {
            scalls,
            hook,
            lsmid: core::ptr::null(),
        };
        // INVARIANT: The next hook was written, and there was room for it.
        self.len += 1;
    }

    /// Returns a pointer to the first hook.
    pub(super) const fn as_mut_ptr(this: *mut Self) -> *mut bindings::security_hook_list {
        this.cast::<u8>()
            .wrapping_add(core::mem::offset_of!(Self, hooks))
            .cast()
    }

    /// Returns how many hooks there are.
    pub(super) const fn len(&self) -> usize {
        self.len
    }
}

/// Turns an answer into what C expects of a hook: 0, or a negative errno.
///
/// A `Result` has the same bits, so this costs nothing when a call is allowed.
// Only socket hooks use it so far.
#[cfg_attr(not(all(CONFIG_NET, CONFIG_SECURITY_NETWORK)), allow(dead_code))]
#[inline]
fn errno(answer: Result) -> c_int {
    match answer {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

/// Makes of a table of hooks the functions that C calls, the list of hooks of an LSM, and its
/// capacity.
///
/// The table begins with hooks that do not call the LSM. They are registered if a condition holds.
///
/// The other hooks are methods of [`Lsm`](super::Lsm), and are registered if the LSM implements
/// them. They stand in groups, each with the configuration in which C calls them. An entry looks
/// like a function. On the left of `=` are the arguments that C passes. On the right are the
/// arguments that the method gets after the `subject`. The documentation of an entry says what C
/// promises, besides that pointers are valid for the length of the call. The conversions on the
/// right rely on it.
macro_rules! hooks {
    (
        if $kept:expr => { $($own:ident = $function:expr;)* }

        $(
            #[cfg($($cfg:tt)*)]
            impl {
                $(
                    $(#[doc = $promise:literal])*
                    fn $hook:ident($($c:ident: $C:ty),* $(,)?) = ($($argument:expr),* $(,)?);
                )*
            }
        )*
    ) => {
        /// How many hooks an LSM written in Rust can implement.
        pub(super) const CAPACITY: usize = [$(stringify!($own)),*].len()
            $(+ if cfg!($($cfg)*) { [$(stringify!($hook)),*].len() } else { 0 })*;

        impl HookList {
            /// Lists the hooks that `L` implements, and no others.
            pub(super) const fn new<L: Registered>() -> Self {
                let mut list = Self::empty();

                if $kept {
                    $(
                        list.push(
                            // SAFETY: Only the address is taken, of a table that C defines.
                            unsafe { &raw mut bindings::static_calls_table.$own }.cast(),
                            bindings::security_list_options { $own: Some($function) },
                        );
                    )*
                }
                $(
                    #[cfg($($cfg)*)]
                    {
                        $(
                            if macros::paste!(L::[<HAS_ $hook:upper>]) {
                                list.push(
                                    // SAFETY: Only the address is taken, of a table that C defines.
                                    unsafe { &raw mut bindings::static_calls_table.$hook }.cast(),
                                    bindings::security_list_options {
                                        $hook: Some(Trampolines::<L>::$hook),
                                    },
                                );
                            }
                        )*
                    }
                )*
                list
            }
        }

        /// What C calls: one function for each hook that calls the LSM, with the name of the hook.
        ///
        /// A function converts its arguments and calls the LSM. It decides nothing.
        // Only socket hooks use it so far.
        #[cfg_attr(not(all(CONFIG_NET, CONFIG_SECURITY_NETWORK)), allow(dead_code))]
        pub(super) struct Trampolines<L>(PhantomData<L>);

        $(
            #[cfg($($cfg)*)]
            impl<L: Registered> Trampolines<L> {
                $(
                    /// # Safety
                    ///
                    /// C calls this as the hook, which only happens when `L` is enabled. For the
                    /// length of the call pointers are valid.
                    ///
                    $(#[doc = $promise])*
                    pub(super) unsafe extern "C" fn $hook($($c: $C),*) -> c_int {
                        // SAFETY: `L` is enabled, by the safety requirements of this function. A
                        // hook does not change the credentials of its task: that takes a
                        // `SystemCall`.
                        let subject = unsafe { cred::current_blob::<L>() };

                        errno(L::$hook(subject, $($argument),*))
                    }
                )*
            }
        )*
    };
}

hooks! {
    // What an LSM keeps of credentials is inherited and dropped without asking it.
    if cred::is_kept::<L>() => {
        cred_prepare = cred::cred_prepare::<L>;
        cred_transfer = cred::cred_transfer::<L>;
        cred_free = cred::cred_free::<L>;
    }

    #[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
    impl {
        /// All values are allowed.
        fn socket_create(family: c_int, type_: c_int, protocol: c_int, kern: c_int) = (
            SocketParams::from_c(family, type_, protocol, kern),
        );

        /// Nobody else has access to `sock`, and its `sk` is null or valid.
        fn socket_post_create(
            sock: *mut bindings::socket,
            family: c_int,
            type_: c_int,
            protocol: c_int,
            kern: c_int,
        ) = (
            // SAFETY: By the safety requirements of this function.
            unsafe { NewSocket::from_ptr(sock) },
            SocketParams::from_c(family, type_, protocol, kern),
        );

        /// Both sockets have a `sk`.
        fn socket_socketpair(socka: *mut bindings::socket, sockb: *mut bindings::socket) = (
            // SAFETY: By the safety requirements of this function.
            unsafe { Socket::from_ptr(socka) },
            // SAFETY: As above.
            unsafe { Socket::from_ptr(sockb) },
        );

        /// `sock` has a `sk`. `address` is `addrlen` bytes of kernel memory that nobody writes.
        fn socket_bind(
            sock: *mut bindings::socket,
            address: *mut bindings::sockaddr,
            addrlen: c_int,
        ) = (
            // SAFETY: By the safety requirements of this function.
            unsafe { Socket::from_ptr(sock) },
            // SAFETY: As above.
            unsafe { Sockaddr::from_raw(address.cast(), addrlen) },
        );

        /// `sock` has a `sk`. `address` is `addrlen` bytes of kernel memory that nobody writes.
        fn socket_connect(
            sock: *mut bindings::socket,
            address: *mut bindings::sockaddr,
            addrlen: c_int,
        ) = (
            // SAFETY: By the safety requirements of this function.
            unsafe { Socket::from_ptr(sock) },
            // SAFETY: As above.
            unsafe { Sockaddr::from_raw(address.cast(), addrlen) },
        );

        /// `sock` has a `sk`.
        fn socket_listen(sock: *mut bindings::socket, backlog: c_int) = (
            // SAFETY: By the safety requirements of this function.
            unsafe { Socket::from_ptr(sock) },
            backlog,
        );

        /// `sk` is a TCP socket over IPv4 or IPv6, or a subflow of MPTCP. The caller holds its lock.
        fn inet_listen(sk: *mut bindings::sock) = (
            // SAFETY: By the safety requirements of this function.
            unsafe { LockedSock::from_ptr(sk) },
        );

        /// `sock` has a `sk`. Nobody else has access to `newsock`, and its `sk` is null.
        fn socket_accept(sock: *mut bindings::socket, newsock: *mut bindings::socket) = (
            // SAFETY: By the safety requirements of this function.
            unsafe { Socket::from_ptr(sock) },
            // SAFETY: As above.
            unsafe { NewSocket::from_ptr(newsock) },
        );

        /// Both sockets have a `sk`.
        fn socket_accepted(sock: *mut bindings::socket, accepted: *mut bindings::socket) = (
            // SAFETY: By the safety requirements of this function.
            unsafe { Socket::from_ptr(sock) },
            // SAFETY: As above.
            unsafe { Socket::from_ptr(accepted) },
        );

        /// `sock` has a `sk`. The name of `msg`, if it has one, is in kernel memory. Nobody writes
        /// the name or the message. `size` is not negative.
        fn socket_sendmsg(
            sock: *mut bindings::socket,
            msg: *mut bindings::msghdr,
            size: c_int,
        ) = (
            // SAFETY: By the safety requirements of this function.
            unsafe { Socket::from_ptr(sock) },
            // SAFETY: As above.
            unsafe { Msg::from_ptr(msg) },
            // CAST: It is not negative, so its value does not change.
            size as usize,
        );

        /// `sock` has a `sk`. `size` is not negative. What `msg` points to is to be written, and
        /// need not be initialized.
        fn socket_recvmsg(
            sock: *mut bindings::socket,
            _msg: *mut bindings::msghdr,
            size: c_int,
            flags: c_int,
        ) = (
            // SAFETY: By the safety requirements of this function.
            unsafe { Socket::from_ptr(sock) },
            // CAST: It is not negative, so its value does not change.
            size as usize,
            // CAST: The bits stay as they are.
            flags as u32,
        );

        /// `sock` has a `sk`.
        fn socket_read(sock: *mut bindings::socket) = (
            // SAFETY: By the safety requirements of this function.
            unsafe { Socket::from_ptr(sock) },
        );

        /// `sock` has a `sk`.
        fn socket_getsockname(sock: *mut bindings::socket) = (
            // SAFETY: By the safety requirements of this function.
            unsafe { Socket::from_ptr(sock) },
        );

        /// `sock` has a `sk`.
        fn socket_getpeername(sock: *mut bindings::socket) = (
            // SAFETY: By the safety requirements of this function.
            unsafe { Socket::from_ptr(sock) },
        );

        /// `sock` has a `sk`.
        fn socket_getsockopt(sock: *mut bindings::socket, level: c_int, optname: c_int) = (
            // SAFETY: By the safety requirements of this function.
            unsafe { Socket::from_ptr(sock) },
            level,
            optname,
        );

        /// `sock` has a `sk`.
        fn socket_setsockopt(sock: *mut bindings::socket, level: c_int, optname: c_int) = (
            // SAFETY: By the safety requirements of this function.
            unsafe { Socket::from_ptr(sock) },
            level,
            optname,
        );

        /// `sock` has a `sk`.
        fn socket_shutdown(sock: *mut bindings::socket, how: c_int) = (
            // SAFETY: By the safety requirements of this function.
            unsafe { Socket::from_ptr(sock) },
            how,
        );
    }
}
