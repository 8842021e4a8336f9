// SPDX-License-Identifier: GPL-2.0

//! What is fixed by others: constants and structures of user space, and their layout.

use crate::access::{
    Access,
    Permission, //
};
use core::mem::{
    offset_of,
    MaybeUninit, //
};
use kernel::{
    bindings,
    error::to_result,
    prelude::*,
    transmute::{
        AsBytes,
        FromBytes, //
    },
    uaccess::UserPtr, //
};

/// `LANDLOCK_MAX_NUM_LAYERS`.
pub(crate) const MAX_LAYERS: usize = 16;

/// `AF_UNSPEC`, as it stands in a socket address.
pub(crate) const AF_UNSPEC: u16 = bindings::AF_UNSPEC as u16;

/// `AF_INET`, as it stands in a socket address.
pub(crate) const AF_INET: u16 = bindings::AF_INET as u16;

/// `AF_INET6`, as it stands in a socket address.
pub(crate) const AF_INET6: u16 = bindings::AF_INET6 as u16;

/// The size of `struct sockaddr_in`, in bytes.
pub(crate) const SOCKADDR_IN_LEN: usize = size_of::<bindings::sockaddr_in>();

/// `SIN6_LEN_RFC2133`: the size of the shortest `struct sockaddr_in6`, without a scope, in bytes.
pub(crate) const SIN6_LEN_RFC2133: usize = 24;

/// The size of the longest socket address, `struct sockaddr_storage`, in bytes.
pub(crate) const SOCKADDR_STORAGE_LEN: usize = size_of::<bindings::__kernel_sockaddr_storage>();

/// `MSG_FASTOPEN`.
pub(crate) const MSG_FASTOPEN: u32 = bindings::MSG_FASTOPEN;

/// `SOL_TCP`.
pub(crate) const SOL_TCP: c_int = bindings::SOL_TCP as c_int;

/// `TCP_ULP`.
pub(crate) const TCP_ULP: c_int = bindings::TCP_ULP as c_int;

/// `TCP_ZEROCOPY_RECEIVE`.
pub(crate) const TCP_ZEROCOPY_RECEIVE: c_int = bindings::TCP_ZEROCOPY_RECEIVE as c_int;

/// `LANDLOCK_RULE_PATH_BENEATH`.
pub(crate) const RULE_PATH_BENEATH: u32 = bindings::landlock_rule_type_LANDLOCK_RULE_PATH_BENEATH;

/// `LANDLOCK_RULE_NET_PORT`.
pub(crate) const RULE_NET_PORT: u32 = bindings::landlock_rule_type_LANDLOCK_RULE_NET_PORT;

/// `PORTLOCK_RULE_NET`.
pub(crate) const RULE_NET: u32 = bindings::PORTLOCK_RULE_NET;

/// `PORTLOCK_RULE_SOCKET`.
pub(crate) const RULE_SOCKET: u32 = bindings::PORTLOCK_RULE_SOCKET;

/// `PORTLOCK_RULE_OPENED`.
pub(crate) const RULE_OPENED: u32 = bindings::PORTLOCK_RULE_OPENED;

/// `PORTLOCK_CREATE_RULESET`.
pub(crate) const CREATE_RULESET: u32 = bindings::PORTLOCK_CREATE_RULESET;

/// `PORTLOCK_CREATE_OBSERVER`.
pub(crate) const CREATE_OBSERVER: u32 = bindings::PORTLOCK_CREATE_OBSERVER;

/// `PORTLOCK_RULESET_OBSERVED`.
pub(crate) const RULESET_OBSERVED: u32 = bindings::PORTLOCK_RULESET_OBSERVED;

/// `PORTLOCK_RESTRICT_SELF_PERMISSIVE`.
pub(crate) const PERMISSIVE: u32 = bindings::PORTLOCK_RESTRICT_SELF_PERMISSIVE;

/// `PORTLOCK_EVENT_PERMISSIVE`.
pub(crate) const EVENT_PERMISSIVE: u32 = bindings::PORTLOCK_EVENT_PERMISSIVE;

/// The version of the ABI of extended rulesets.
pub(crate) const VERSION: i32 = 1;

/// `LANDLOCK_ADD_RULE_QUIET`.
pub(crate) const ADD_RULE_QUIET: u32 = bindings::LANDLOCK_ADD_RULE_QUIET;

/// `LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF`.
pub(crate) const LOG_SUBDOMAINS_OFF: u32 = bindings::LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF;

/// `LANDLOCK_RESTRICT_SELF_TSYNC`.
pub(crate) const TSYNC: u32 = bindings::LANDLOCK_RESTRICT_SELF_TSYNC;

/// What user space passes to `landlock_create_ruleset(2)`.
#[repr(transparent)]
pub(crate) struct RulesetAttr(pub(crate) bindings::landlock_ruleset_attr);

// SAFETY: The structure consists of integers and has no padding, as asserted below.
unsafe impl FromBytes for RulesetAttr {}

/// What user space passes to `landlock_add_rule(2)` with [`RULE_NET_PORT`].
#[repr(transparent)]
pub(crate) struct NetPortAttr(pub(crate) bindings::landlock_net_port_attr);

// SAFETY: The structure consists of integers and has no padding, as asserted below.
unsafe impl FromBytes for NetPortAttr {}

/// What user space passes to `landlock_create_ruleset(2)` with [`CREATE_RULESET`].
#[repr(transparent)]
pub(crate) struct ExtendedAttr(pub(crate) bindings::portlock_ruleset_attr);

// SAFETY: The structure consists of integers and has no padding, as asserted below.
unsafe impl FromBytes for ExtendedAttr {}

/// What user space passes to `landlock_add_rule(2)` with [`RULE_NET`].
#[repr(transparent)]
pub(crate) struct NetAttr(pub(crate) bindings::portlock_net_attr);

// SAFETY: The structure consists of integers and has no padding, as asserted below.
unsafe impl FromBytes for NetAttr {}

/// What user space passes to `landlock_add_rule(2)` with [`RULE_SOCKET`].
#[repr(transparent)]
pub(crate) struct SocketAttr(pub(crate) bindings::portlock_socket_attr);

// SAFETY: The structure consists of integers and has no padding, as asserted below.
unsafe impl FromBytes for SocketAttr {}

/// What user space passes to `landlock_add_rule(2)` with [`RULE_OPENED`].
#[repr(transparent)]
pub(crate) struct OpenedAttr(pub(crate) bindings::portlock_opened_attr);

// SAFETY: The structure consists of integers and has no padding, as asserted below.
unsafe impl FromBytes for OpenedAttr {}

/// What user space passes to `landlock_create_ruleset(2)` with [`CREATE_OBSERVER`].
#[repr(transparent)]
pub(crate) struct ObserverAttr(pub(crate) bindings::portlock_observer_attr);

// SAFETY: The structure is one integer.
unsafe impl FromBytes for ObserverAttr {}

/// What user space reads from an observer.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Event(pub(crate) bindings::portlock_event);

// SAFETY: The structure consists of integers and has no padding, as asserted below.
unsafe impl AsBytes for Event {}

impl Default for Event {
    /// A record that says nothing but its size.
    fn default() -> Self {
        Self(bindings::portlock_event {
            // CAST: As asserted below.
            size: size_of::<Self>() as u32,
            ..pin_init::zeroed()
        })
    }
}

/// Copies a structure that may grow, of which user space knows `size` bytes.
///
/// Missing bytes read as zero. Returns `E2BIG` if a byte past the end of `T` is not zero, `EFAULT`.
pub(crate) fn copy_struct_from_user<T: FromBytes>(src: UserPtr, size: usize) -> Result<T> {
    let mut dst = MaybeUninit::<T>::uninit();

    // SAFETY: `dst` is valid for writes of `size_of::<T>()` bytes, and the C function checks what
    // comes from user space.
    to_result(unsafe {
        bindings::portlock_copy_struct_from_user(
            dst.as_mut_ptr().cast(),
            size_of::<T>(),
            src.as_const_ptr(),
            size,
        )
    })?;
    // SAFETY: On success, the C function has written every byte of `dst`, and any bytes are a value
    // of `T` since it is `FromBytes`.
    Ok(unsafe { dst.assume_init() })
}

kernel::static_assert!(size_of::<RulesetAttr>() == 6 * size_of::<u64>());
kernel::static_assert!(size_of::<ExtendedAttr>() == 40);
kernel::static_assert!(size_of::<NetAttr>() == 56);
kernel::static_assert!(size_of::<SocketAttr>() == 24);
kernel::static_assert!(size_of::<OpenedAttr>() == 16);
kernel::static_assert!(size_of::<ObserverAttr>() == 8);
kernel::static_assert!(size_of::<Event>() == 88);
kernel::static_assert!(offset_of!(bindings::portlock_event, tid) == 48);
kernel::static_assert!(offset_of!(bindings::portlock_event, address) == 72);
kernel::static_assert!(offset_of!(bindings::portlock_ruleset_attr, observer_cookie) == 32);
kernel::static_assert!(offset_of!(bindings::portlock_net_attr, address) == 32);
kernel::static_assert!(offset_of!(bindings::portlock_net_attr, reserved) == 52);
kernel::static_assert!(offset_of!(bindings::portlock_socket_attr, reserved) == 20);
kernel::static_assert!(size_of::<NetPortAttr>() == 2 * size_of::<u64>());

// What `endpoint.rs` and `landlock.rs` assume of the layout of addresses.
kernel::static_assert!(SOCKADDR_IN_LEN == 16);
kernel::static_assert!(offset_of!(bindings::sockaddr_in, sin_port) == 2);
kernel::static_assert!(offset_of!(bindings::sockaddr_in, sin_addr) == 4);
kernel::static_assert!(offset_of!(bindings::sockaddr_in6, sin6_port) == 2);
kernel::static_assert!(offset_of!(bindings::sockaddr_in6, sin6_addr) == 8);

// The rights of `access.rs` are Landlock's.
kernel::static_assert!(Access::BindTcp as u64 == bindings::LANDLOCK_ACCESS_NET_BIND_TCP as u64);
kernel::static_assert!(
    Access::ConnectTcp as u64 == bindings::LANDLOCK_ACCESS_NET_CONNECT_TCP as u64
);
kernel::static_assert!(Access::BindUdp as u64 == bindings::LANDLOCK_ACCESS_NET_BIND_UDP as u64);
kernel::static_assert!(
    Access::ConnectSendUdp as u64 == bindings::LANDLOCK_ACCESS_NET_CONNECT_SEND_UDP as u64
);
kernel::static_assert!(Access::ListenTcp as u64 == bindings::PORTLOCK_ACCESS_NET_LISTEN_TCP);
kernel::static_assert!(Access::AcceptTcp as u64 == bindings::PORTLOCK_ACCESS_NET_ACCEPT_TCP);
kernel::static_assert!(Access::SendTcp as u64 == bindings::PORTLOCK_ACCESS_NET_SEND_TCP);
kernel::static_assert!(Access::ReceiveTcp as u64 == bindings::PORTLOCK_ACCESS_NET_RECEIVE_TCP);
kernel::static_assert!(Access::ShutdownTcp as u64 == bindings::PORTLOCK_ACCESS_NET_SHUTDOWN_TCP);
kernel::static_assert!(
    Access::GetsockoptTcp as u64 == bindings::PORTLOCK_ACCESS_NET_GETSOCKOPT_TCP
);
kernel::static_assert!(
    Access::SetsockoptTcp as u64 == bindings::PORTLOCK_ACCESS_NET_SETSOCKOPT_TCP
);
kernel::static_assert!(Access::ReceiveUdp as u64 == bindings::PORTLOCK_ACCESS_NET_RECEIVE_UDP);
kernel::static_assert!(Access::ShutdownUdp as u64 == bindings::PORTLOCK_ACCESS_NET_SHUTDOWN_UDP);
kernel::static_assert!(
    Access::GetsockoptUdp as u64 == bindings::PORTLOCK_ACCESS_NET_GETSOCKOPT_UDP
);
kernel::static_assert!(
    Access::SetsockoptUdp as u64 == bindings::PORTLOCK_ACCESS_NET_SETSOCKOPT_UDP
);
kernel::static_assert!(
    Permission::SocketCreate as u64 == bindings::PORTLOCK_PERMISSION_SOCKET_CREATE
);
