// SPDX-License-Identifier: GPL-2.0

//! What an LSM keeps of each credential.
//!
//! Every `struct cred` has one allocation, the composite blob, in which every LSM that asked for
//! room has a part of its own. The LSM core allocates it full of zeroes, before it calls any
//! `cred_prepare` hook, and frees it after the last `cred_free` hook. Each part begins at a
//! multiple of the pointer size.
//!
//! C header: [`include/linux/cred.h`](srctree/include/linux/cred.h).

use super::{
    is_enabled,
    Registered, //
};
use crate::{
    bindings,
    prelude::*,
    task::Task,
    types::NotThreadSafe, //
};
use core::{
    mem::ManuallyDrop,
    ptr::NonNull, //
};

/// What an LSM keeps of each credential: the value in its part of the credential's composite blob.
///
/// The life of a value:
///
/// - It begins as all-zero bytes. No constructor runs, which is why the type is [`Zeroable`]. The
///   all-zero value should be the one that means nothing, such as [`None`].
/// - When a credential is copied to be changed, for fork, execve or setuid, the copy gets what
///   [`inherit`](Self::inherit) of the original returns (hooks `cred_prepare` and
///   `cred_transfer`). The zeroes that were there are not dropped.
/// - While a credential is being prepared, the code that prepares it may write the value, see
///   [`PreparedCred::blob_mut`].
/// - Once it is committed, any number of threads share the credential, and it never changes. The
///   same holds for the value: there are only shared references to it from then on.
/// - When the last reference to the credential is gone, the value is dropped (hook `cred_free`).
///   **Dropping must not sleep**, because it mostly happens in an RCU callback, in softirq context.
///   A value that is expensive to free leaves the work to a work queue, for instance.
///
/// The alignment of the type must not be greater than that of a pointer. The build checks it.
///
/// # Examples
///
/// ```
/// use kernel::{lsm::CredBlob, prelude::*, sync::Arc};
///
/// struct Policy;
///
/// /// The policy that a task is held to, if it is held to any.
/// #[derive(Zeroable)]
/// struct Subject(Option<Arc<Policy>>);
///
/// impl CredBlob for Subject {
///     fn inherit(&self) -> Self {
///         Subject(self.0.clone())
///     }
/// }
///
/// let parent = Subject(Some(Arc::new(Policy, GFP_KERNEL)?));
/// assert!(parent.inherit().0.is_some());
///
/// assert!(Subject::zeroed().0.is_none());
/// # Ok::<(), Error>(())
/// ```
pub trait CredBlob: Zeroable + Send + Sync {
    /// Returns the value for a copy of the credential.
    ///
    /// This cannot fail, because `cred_transfer` cannot. It is part of every fork and execve, so it
    /// should be cheap, and it must not sleep. It is meant to take a reference.
    fn inherit(&self) -> Self;
}

/// For an LSM that keeps nothing of a credential.
impl CredBlob for () {
    #[inline]
    fn inherit(&self) -> Self {}
}

// bindgen computes layouts by itself, and gets other structures wrong.
static_assert!(core::mem::offset_of!(bindings::cred, security) == bindings::CRED_SECURITY_OFFSET);
static_assert!(core::mem::offset_of!(bindings::task_struct, cred) == bindings::TASK_CRED_OFFSET);

/// Tells whether `L` keeps anything of a credential, and so whether it has credential hooks.
pub(super) const fn is_kept<L: Registered>() -> bool {
    size_of::<L::Cred>() != 0
}

/// Returns where in a credential the value of `L` is.
///
/// # Safety
///
/// `L` must be enabled, and `cred` must point to a valid `struct cred` whose composite blob has
/// been allocated since the LSM core has settled the offsets.
#[inline]
pub(super) unsafe fn blob<L: Registered>(cred: *const bindings::cred) -> NonNull<L::Cred> {
    if !is_kept::<L>() {
        // There may be no composite blob at all, and an empty value can be anywhere.
        return NonNull::dangling();
    }

    // SAFETY: The caller guarantees that `cred` is valid. The field is written when the credential
    // is made and when it is freed, and not between.
    let security = unsafe { (*cred).security };

    // SAFETY: The caller guarantees that the composite blob is allocated and that `L` is enabled,
    // so the LSM core has set aside `size_of::<L::Cred>()` bytes in it, at this offset.
    let blob = unsafe { security.byte_add(L::registration().cred_offset()) };

    // SAFETY: It is a pointer into an allocation, so it is not null.
    unsafe { NonNull::new_unchecked(blob.cast()) }
}

/// Returns what `L` keeps of the current task's subjective credentials.
///
/// # Safety
///
/// `L` must be enabled. The reference must not be used after the current task's credentials have
/// been changed, and not by another task.
// Only socket hooks use it so far.
#[cfg_attr(not(all(CONFIG_NET, CONFIG_SECURITY_NETWORK)), allow(dead_code))]
#[inline]
pub(super) unsafe fn current_blob<'a, L: Registered>() -> &'a L::Cred {
    if !is_kept::<L>() {
        // SAFETY: A reference to an empty value is valid anywhere.
        return unsafe { NonNull::dangling().as_ref() };
    }

    // SAFETY: The current task is valid, and nobody but itself writes this field.
    let cred = unsafe { (*Task::current_raw()).cred };

    // SAFETY: The caller guarantees that `L` is enabled. The credentials of a running task are
    // valid and their composite blob is allocated, that of the first task by `security_init()`.
    let blob = unsafe { blob::<L>(cred) };

    // SAFETY: The value of a committed credential is valid, does not change, and is not freed
    // while the current task holds the credential, which it does for as long as the caller promised.
    unsafe { blob.as_ref() }
}

/// Makes what `L` keeps of the credential `dst` the same as what it keeps of `src`.
///
/// This drops the old value of `dst` and replaces it by what the value of `src`
/// [inherits](CredBlob::inherit). It does nothing if `L` is not enabled. It takes no lock and does
/// not sleep, unless dropping the old value does.
///
/// This is for C code that copies one LSM's part of a prepared credential by hand. For
/// `prepare_creds()` the hooks do it.
///
/// # Safety
///
/// `dst` and `src` must point to valid credentials that have their composite blobs, and must not
/// be the same. `dst` must be under construction: nobody else may have access to it.
pub unsafe fn copy_cred_blob<L: Registered>(dst: *mut bindings::cred, src: *const bindings::cred) {
    if !is_enabled::<L>() {
        return;
    }

    // SAFETY: `L` is enabled, as just seen, and the caller guarantees the rest. A new value is
    // written before anybody may use it.
    unsafe { free::<L>(dst) };

    // SAFETY: As above. There is no value left to drop.
    unsafe { begin::<L>(dst, src) };
}

/// Gives a new credential what it inherits of another.
///
/// # Safety
///
/// As for [`copy_cred_blob`]. `L` must be enabled, and its part of `dst` must hold nothing to drop,
/// such as the zeroes that the LSM core allocated.
#[inline]
unsafe fn begin<L: Registered>(dst: *mut bindings::cred, src: *const bindings::cred) {
    // SAFETY: The caller guarantees that `L` is enabled and that `dst` is valid and has its blob.
    let dst = unsafe { blob::<L>(dst) };
    // SAFETY: As above, for `src`.
    let src = unsafe { blob::<L>(src) };

    // SAFETY: The value of `src` is valid, and the caller guarantees that it does not change.
    let value = unsafe { src.as_ref() }.inherit();

    // SAFETY: There is room for a value, and the caller guarantees that nobody else has access.
    unsafe { dst.write(value) };
}

/// Drops what `L` keeps of a credential.
///
/// # Safety
///
/// `L` must be enabled, `cred` must point to a valid credential that has its composite blob, and
/// nobody may use the value at the same time or later.
#[inline]
unsafe fn free<L: Registered>(cred: *mut bindings::cred) {
    // SAFETY: The caller guarantees what `blob` asks for.
    let blob = unsafe { blob::<L>(cred) };

    // SAFETY: The value is valid, if only as zeroes, and the caller guarantees that this is its
    // last use.
    unsafe { blob.drop_in_place() };
}

/// The hook `cred_prepare`.
///
/// # Safety
///
/// C calls this as the hook, which only happens when `L` is enabled. Both credentials are valid and
/// have their composite blobs. Nobody else has access to `new` yet, and its blob is full of zeroes.
pub(super) unsafe extern "C" fn cred_prepare<L: Registered>(
    new: *mut bindings::cred,
    old: *const bindings::cred,
    _gfp: bindings::gfp_t,
) -> c_int {
    // SAFETY: By the safety requirements of this function.
    unsafe { begin::<L>(new, old) };
    0
}

/// The hook `cred_transfer`.
///
/// # Safety
///
/// As for [`cred_prepare`].
pub(super) unsafe extern "C" fn cred_transfer<L: Registered>(
    new: *mut bindings::cred,
    old: *const bindings::cred,
) {
    // SAFETY: By the safety requirements of this function.
    unsafe { begin::<L>(new, old) };
}

/// The hook `cred_free`.
///
/// # Safety
///
/// C calls this as the hook, which only happens when `L` is enabled. The credential is valid and has
/// its composite blob, and nobody uses it any more.
pub(super) unsafe extern "C" fn cred_free<L: Registered>(cred: *mut bindings::cred) {
    // SAFETY: By the safety requirements of this function.
    unsafe { free::<L>(cred) };
}

/// Evidence that the current task makes a system call, and that the code that holds this is the
/// system call's.
///
/// A task may give itself new credentials only then. In a hook of an LSM it may not: the hook, and
/// its callers, use references into the credentials that the task has. While `override_creds()` is
/// in effect it may not either: C stops the machine (`BUG_ON()` in `commit_creds()`).
///
/// # Invariants
///
/// As long as a value exists:
///
/// - it stays on the task for which it was made, and the task is in a system call of its own;
/// - the code that has access to it is not called by a hook of an LSM;
/// - where that code runs, the task's subjective credentials are not overridden, and nobody uses a
///   reference into them that does not borrow this value.
pub struct SystemCall(NotThreadSafe);

impl SystemCall {
    /// States that the current task is in a system call.
    ///
    /// # Safety
    ///
    /// Only the function that C calls for a system call of the current task may call this, and the
    /// value must not outlive that function. The function and those that it passes the value to
    /// must not override the task's credentials (`override_creds()`) around a use of the value, and
    /// must not take references into the task's credentials by other means than this value.
    #[inline]
    pub const unsafe fn new() -> Self {
        // INVARIANT: The caller guarantees it. The type is neither `Send` nor `Sync`.
        Self(NotThreadSafe)
    }
}

/// A new set of credentials for the current task, under construction.
///
/// It starts as a copy of the current subjective ones, with every LSM's part. When it is dropped,
/// the credentials are thrown away, unless they were [committed](Self::commit) or
/// [given away](Self::into_raw).
///
/// # Invariants
///
/// The pointer is to a valid `struct cred` that `prepare_creds()` made for the current task, and
/// that nobody else has access to. Its composite blob is allocated.
pub struct PreparedCred(NonNull<bindings::cred>, NotThreadSafe);

impl PreparedCred {
    /// Prepares a copy of the current task's subjective credentials, as C's `prepare_creds()` does.
    ///
    /// This can be called anywhere, also in a hook. May sleep.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`], also if an LSM refused for another reason, since C does not tell which.
    #[inline]
    pub fn new() -> Result<Self> {
        // SAFETY: The current task is valid and has credentials. This asks nothing else of its
        // caller, except that it may sleep.
        let cred = unsafe { bindings::prepare_creds() };

        // INVARIANT: `prepare_creds()` made it, for the current task, with its composite blob. It is
        // new, so nobody else has access.
        Ok(Self(NonNull::new(cred).ok_or(ENOMEM)?, NotThreadSafe))
    }

    /// Returns a raw pointer to the credentials, which `self` still owns.
    #[inline]
    pub fn as_ptr(&self) -> *mut bindings::cred {
        self.0.as_ptr()
    }

    /// Returns what `L` keeps of these credentials, to be changed.
    ///
    /// Returns `None` if `L` is not enabled on this boot. A value that is written although `L` never
    /// put its hooks in force is neither inherited nor dropped.
    pub fn blob_mut<L: Registered>(&mut self) -> Option<&mut L::Cred> {
        if !is_enabled::<L>() {
            return None;
        }

        // SAFETY: `L` is enabled, as just seen. By the type invariant the credentials are valid and
        // have their composite blob.
        let mut blob = unsafe { blob::<L>(self.as_ptr()) };

        // SAFETY: The value is valid: it began as zeroes, which `Zeroable` allows, and only
        // `L::Cred`s are written over it. By the type invariant nobody else has access.
        Some(unsafe { blob.as_mut() })
    }

    /// Makes these the credentials of the current task, as C's `commit_creds()` does.
    ///
    /// The credentials that the task had may be freed by this. `_call` is borrowed for writing, so
    /// that nothing that borrows from it is used later. This cannot fail. It may sleep.
    #[inline]
    pub fn commit(self, _call: &mut SystemCall) {
        // SAFETY: By the type invariant the credentials were prepared for the current task and are
        // owned here, and the call takes over ownership. By the invariants of `SystemCall` the
        // task's credentials are not overridden, and nobody uses a reference into them.
        unsafe { bindings::commit_creds(self.into_raw()) };
    }

    /// Gives the credentials away, to C code that will commit or abort them.
    #[inline]
    pub fn into_raw(self) -> *mut bindings::cred {
        ManuallyDrop::new(self).as_ptr()
    }
}

impl Drop for PreparedCred {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariant the credentials are valid and owned here, and this is their
        // last use.
        unsafe { bindings::abort_creds(self.as_ptr()) };
    }
}
