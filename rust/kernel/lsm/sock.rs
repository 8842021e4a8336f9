// SPDX-License-Identifier: GPL-2.0

//! What an LSM keeps of each socket.
//!
//! Every `struct sock` has one allocation, the composite blob, in which every LSM that asked for
//! room has a part of its own. The LSM core allocates it full of zeroes when the `struct sock` is
//! allocated, and frees it with it. When a `struct sock` is cloned, `sock_copy()` leaves the clone
//! the blob that was allocated for it. Each part begins at a multiple of the pointer size.
//!
//! C header: [`include/net/sock.h`](srctree/include/net/sock.h).

use super::{
    is_enabled,
    Registered, //
};
use crate::{
    bindings,
    net::socket::Sock,
    prelude::*, //
};

// `sock_blob` reads a pointer there. bindgen mislays the field under lockdep, so the offset is C's.
static_assert!(bindings::SOCK_SECURITY_OFFSET.is_multiple_of(align_of::<*mut c_void>()));

/// Returns what `L` keeps of the socket `sk`, see [`Lsm::Sock`](super::Lsm::Sock).
///
/// Returns `None` if `L` is not enabled on this boot, or if `sk` has no composite blob because the
/// socket layer did not allocate it.
///
/// Takes no lock and no reference: the value lives as long as the `struct sock`.
///
/// # Examples
///
/// ```
/// use kernel::{
///     lsm::{self, Registered},
///     net::socket::Sock,
///     prelude::*,
///     sync::atomic::{Atomic, Relaxed}, //
/// };
///
/// /// What the LSM keeps of each socket.
/// #[derive(Zeroable)]
/// struct Counter(Atomic<u64>);
///
/// /// Counts a call on `sk`.
/// fn count<L: Registered + lsm::Lsm<Sock = Counter>>(sk: &Sock) -> Result {
///     let counter = lsm::sock_blob::<L>(sk).ok_or(EOPNOTSUPP)?;
///
///     counter.0.fetch_add(1, Relaxed);
///     Ok(())
/// }
/// ```
#[inline]
pub fn sock_blob<L: Registered>(sk: &Sock) -> Option<&L::Sock> {
    if !is_enabled::<L>() {
        return None;
    }
    if size_of::<L::Sock>() == 0 {
        // SAFETY: A reference to an empty value is valid anywhere.
        return Some(unsafe { core::ptr::NonNull::dangling().as_ref() });
    }

    // SAFETY: By the type invariant of `Sock` this is the beginning of a `struct sock` that C
    // allocated with the size that it has in C. `SOCK_SECURITY_OFFSET` is C's `offsetof()` of a
    // member of this type, so the sum stays inside the allocation, whatever size bindgen computes.
    let security = unsafe { sk.as_ptr().byte_add(bindings::SOCK_SECURITY_OFFSET) };
    // SAFETY: The field is aligned, as asserted above. It is written before anybody has a reference
    // to the `struct sock` and after nobody has one any more.
    let security = unsafe { security.cast::<*mut c_void>().read() };

    if security.is_null() {
        return None;
    }

    // SAFETY: `L` is enabled, as just seen, so the LSM core has set aside `size_of::<L::Sock>()`
    // bytes at this offset in every composite blob.
    let blob = unsafe { security.byte_add(L::registration().sock_offset()) };

    // SAFETY: The value is valid: it began as zeroes, which `Zeroable` allows, and nobody has ever
    // had more than a shared reference to it. It is aligned, since its offset is a multiple of the
    // pointer size and `Registration::new` has checked that this is enough. It is freed with the
    // `struct sock`, which is borrowed.
    Some(unsafe { &*blob.cast() })
}
