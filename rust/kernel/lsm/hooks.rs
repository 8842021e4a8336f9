// SPDX-License-Identifier: GPL-2.0

//! The hooks on their way from C: what is registered, and what C calls.
//!
//! A function here translates its arguments and calls the LSM. It decides nothing.
//!
//! To add a hook, add a method to [`Lsm`](super::Lsm), a function of the same name to
//! [`Trampolines`], and a line to [`HookList::new`]. `bindgen` takes the type of the hook from C,
//! so that the build breaks where the two sides do not agree.
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
    Msg,
    Sockaddr,
    Socket, //
};

/// How many hooks an LSM written in Rust can implement.
const CAPACITY: usize = 6;

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
    /// Lists the hooks that `L` implements, and no others.
    pub(super) const fn new<L: Registered>() -> Self {
        let mut hooks = [const { pin_init::zeroed::<bindings::security_hook_list>() }; CAPACITY];
        let mut len = 0;

        // This is C's `LSM_HOOK_INIT()`, for each hook that is implemented.
        macro_rules! add {
            ($hook:ident if $implemented:expr) => {
                if $implemented {
                    hooks[len] = bindings::security_hook_list {
                        // SAFETY: Only the address is taken, of a table that C defines.
                        scalls: unsafe { &raw mut bindings::static_calls_table.$hook }.cast(),
                        hook: bindings::security_list_options {
                            $hook: Some(Trampolines::<L>::$hook),
                        },
                        lsmid: core::ptr::null(),
                    };
                    len += 1;
                }
            };
        }

        add!(cred_prepare if cred::is_kept::<L>());
        add!(cred_transfer if cred::is_kept::<L>());
        add!(cred_free if cred::is_kept::<L>());

        #[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
        {
            add!(socket_bind if L::HAS_SOCKET_BIND);
            add!(socket_connect if L::HAS_SOCKET_CONNECT);
            add!(socket_sendmsg if L::HAS_SOCKET_SENDMSG);
        }

        // INVARIANT: `len` was counted up for each of the `hooks` that was written, and was an
        // index into them each time.
        Self { hooks, len }
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

/// What C calls: one function a hook, named as the hook is.
pub(super) struct Trampolines<L>(PhantomData<L>);

impl<L: Registered> Trampolines<L> {
    /// # Safety
    ///
    /// C calls this as the hook `cred_prepare`, which only happens when `L` is enabled: both
    /// credentials are valid and have their composite blobs, and `new` is nobody else's yet, its
    /// blob full of zeroes.
    pub(super) unsafe extern "C" fn cred_prepare(
        new: *mut bindings::cred,
        old: *const bindings::cred,
        _gfp: bindings::gfp_t,
    ) -> c_int {
        // SAFETY: By the safety requirements of this function.
        unsafe { cred::begin::<L>(new, old) };
        0
    }

    /// # Safety
    ///
    /// C calls this as the hook `cred_transfer`, which only happens when `L` is enabled: both
    /// credentials are valid and have their composite blobs, and `new` is nobody else's yet, its
    /// blob full of zeroes.
    pub(super) unsafe extern "C" fn cred_transfer(
        new: *mut bindings::cred,
        old: *const bindings::cred,
    ) {
        // SAFETY: By the safety requirements of this function.
        unsafe { cred::begin::<L>(new, old) };
    }

    /// # Safety
    ///
    /// C calls this as the hook `cred_free`, which only happens when `L` is enabled: the credential
    /// is valid and has its composite blob, and nobody uses it any more.
    pub(super) unsafe extern "C" fn cred_free(cred: *mut bindings::cred) {
        // SAFETY: By the safety requirements of this function.
        unsafe { cred::free::<L>(cred) };
    }
}

#[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
impl<L: Registered> Trampolines<L> {
    /// # Safety
    ///
    /// C calls this as the hook `socket_bind`, which only happens when `L` is enabled: for the
    /// length of the call `sock` is a valid socket that has a `sk`, and `address` is `addrlen`
    /// bytes of kernel memory that nobody writes.
    pub(super) unsafe extern "C" fn socket_bind(
        sock: *mut bindings::socket,
        address: *mut bindings::sockaddr,
        addrlen: c_int,
    ) -> c_int {
        // SAFETY: `L` is enabled, and a hook does not change the credentials of its task, by the
        // safety requirements of `PreparedCred::commit`.
        let subject = unsafe { cred::current_blob::<L>() };
        // SAFETY: By the safety requirements of this function.
        let sock = unsafe { Socket::from_ptr(sock) };
        // SAFETY: By the safety requirements of this function.
        let address = unsafe { Sockaddr::from_raw(address.cast(), addrlen) };

        errno(L::socket_bind(subject, sock, address))
    }

    /// # Safety
    ///
    /// C calls this as the hook `socket_connect`, which only happens when `L` is enabled: for the
    /// length of the call `sock` is a valid socket that has a `sk`, and `address` is `addrlen`
    /// bytes of kernel memory that nobody writes.
    pub(super) unsafe extern "C" fn socket_connect(
        sock: *mut bindings::socket,
        address: *mut bindings::sockaddr,
        addrlen: c_int,
    ) -> c_int {
        // SAFETY: `L` is enabled, and a hook does not change the credentials of its task, by the
        // safety requirements of `PreparedCred::commit`.
        let subject = unsafe { cred::current_blob::<L>() };
        // SAFETY: By the safety requirements of this function.
        let sock = unsafe { Socket::from_ptr(sock) };
        // SAFETY: By the safety requirements of this function.
        let address = unsafe { Sockaddr::from_raw(address.cast(), addrlen) };

        errno(L::socket_connect(subject, sock, address))
    }

    /// # Safety
    ///
    /// C calls this as the hook `socket_sendmsg`, which only happens when `L` is enabled: for the
    /// length of the call `sock` is a valid socket that has a `sk`, and `msg` is a valid message
    /// whose name, if it has one, is in kernel memory; nobody writes that or the message.
    pub(super) unsafe extern "C" fn socket_sendmsg(
        sock: *mut bindings::socket,
        msg: *mut bindings::msghdr,
        size: c_int,
    ) -> c_int {
        // SAFETY: `L` is enabled, and a hook does not change the credentials of its task, by the
        // safety requirements of `PreparedCred::commit`.
        let subject = unsafe { cred::current_blob::<L>() };
        // SAFETY: By the safety requirements of this function.
        let sock = unsafe { Socket::from_ptr(sock) };
        // SAFETY: By the safety requirements of this function.
        let msg = unsafe { Msg::from_ptr(msg) };

        // CAST: C passes a `size_t` through an `int`, and has refused what does not fit.
        errno(L::socket_sendmsg(subject, sock, msg, size as usize))
    }
}

/// Turns an answer into what C expects of a hook: 0, or a negative errno.
///
/// A `Result` has the same bits, so this costs nothing on the way of an allowed call.
// Only socket hooks use it so far.
#[cfg_attr(not(all(CONFIG_NET, CONFIG_SECURITY_NETWORK)), allow(dead_code))]
#[inline]
fn errno(answer: Result) -> c_int {
    match answer {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}
