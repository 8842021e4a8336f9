// SPDX-License-Identifier: GPL-2.0

//! Files on anonymous inodes.
//!
//! A system call that hands out a kernel object creates such a file, and a later system call
//! recognizes it by the address of its operations.
//!
//! C header: [`include/linux/anon_inodes.h`](srctree/include/linux/anon_inodes.h)

use crate::{
    bindings,
    error::{
        Error,
        Result, //
    },
    ffi::{
        c_char,
        c_int, //
    },
    fs::LocalFile,
    prelude::*,
    str::CStr,
    sync::{
        Arc,
        ArcBorrow, //
    },
    types::{
        ForeignOwnable,
        NotThreadSafe, //
    }, //
};
use core::{
    marker::PhantomData,
    ops::Deref, //
};

/// The file of a descriptor, held for the length of a system call, as C's `CLASS(fd, ...)`.
///
/// Unlike [`LocalFile::fget`], this takes no reference if nobody but the current thread could close
/// the descriptor meanwhile.
///
/// # Invariants
///
/// It is what `fdget()` returned to the current thread in this system call, and not empty.
pub struct Fd(bindings::fd, NotThreadSafe);

impl Fd {
    /// Looks up a descriptor of the current process, as C's `fdget()` does.
    ///
    /// Returns [`EBADF`] if it is not open, or was opened with `O_PATH`.
    #[inline]
    pub fn get(fd: c_int) -> Result<Self> {
        // SAFETY: There is nothing to ask of the caller. CAST: A negative number is that of no
        // descriptor, and does not become one.
        let fd = unsafe { bindings::fdget(fd as u32) };

        if fd.word == 0 {
            return Err(EBADF);
        }
        // INVARIANT: As just seen.
        Ok(Self(fd, NotThreadSafe))
    }

    #[inline]
    fn as_ptr(&self) -> *mut bindings::file {
        const FLAGS: usize = (bindings::FDPUT_FPUT | bindings::FDPUT_POS_UNLOCK) as usize;

        (self.0.word & !FLAGS) as *mut bindings::file
    }
}

impl Deref for Fd {
    type Target = LocalFile;

    #[inline]
    fn deref(&self) -> &LocalFile {
        // SAFETY: By the type invariant the file stays valid for as long as `self`, and `fdget()`
        // takes no position lock.
        unsafe { LocalFile::from_raw_file(self.as_ptr()) }
    }
}

impl Drop for Fd {
    #[inline]
    fn drop(&mut self) {
        if self.0.word & bindings::FDPUT_FPUT as usize != 0 {
            // SAFETY: By the type invariant `fdget()` took this reference, and this is its last use.
            unsafe { bindings::fput(self.as_ptr()) };
        }
    }
}

/// The operations of files that each own a reference to a `T`, and only that.
///
/// Such a file is a handle: it can be read and written according to its mode, as far as
/// [`can_read`] and [`can_write`] are concerned, but `read(2)` and `write(2)` answer `EINVAL`.
///
/// A table tells its files apart by its own address. It must therefore be a named `static`: the
/// compiler may merge equal constants, and the files of one type would pass for those of another.
///
/// # Examples
///
/// ```
/// use kernel::fs::anon_inode::Handles;
///
/// struct Counter(u32);
///
/// static COUNTERS: Handles<Counter> = Handles::new();
/// ```
#[repr(transparent)]
pub struct Handles<T> {
    ops: bindings::file_operations,
    _p: PhantomData<fn(T)>,
}

// SAFETY: The table is never written once it is built.
unsafe impl<T> Sync for Handles<T> {}

impl<T: Send + Sync + 'static> Handles<T> {
    /// Creates the operations, to be kept in a named `static`.
    #[expect(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self {
            ops: bindings::file_operations {
                release: Some(Self::release),
                read: Some(Self::read),
                write: Some(Self::write),
                ..pin_init::zeroed()
            },
            _p: PhantomData,
        }
    }

    /// Opens a file that owns `data` and installs it in the file descriptor table of the current
    /// process.
    ///
    /// `name` is what `/proc/self/fd` shows, `flags` are those of `open(2)`. May sleep.
    ///
    /// This is `anon_inode_getfd()`.
    ///
    /// # Errors
    ///
    /// Those of `anon_inode_getfd()`, with `data` dropped: `EMFILE` or `ENFILE` if there are too
    /// many files, `ENOMEM`.
    pub fn open(&'static self, name: &'static CStr, data: Arc<T>, flags: u32) -> Result<c_int> {
        let data = data.into_foreign();
        // SAFETY: The name and the operations live forever, and `release` expects the reference
        // that `data` is.
        let fd = unsafe {
            bindings::anon_inode_getfd(name.as_char_ptr(), &self.ops, data, flags as c_int)
        };

        if fd < 0 {
            // SAFETY: `data` comes from `into_foreign()`, and no file owns it since none was made.
            drop(unsafe { Arc::<T>::from_foreign(data) });
            return Err(Error::from_errno(fd));
        }
        Ok(fd)
    }

    /// Returns what `file` owns, or `None` if it was not opened with these operations.
    pub fn get<'a>(&'static self, file: &'a LocalFile) -> Option<ArcBorrow<'a, T>> {
        // SAFETY: The file is valid, and neither field changes while it is open.
        let (ops, data) = unsafe { ((*file.as_ptr()).f_op, (*file.as_ptr()).private_data) };

        if !core::ptr::eq(ops, &self.ops) {
            return None;
        }
        // SAFETY: These operations are private to this type, so the file was made by `open`, and
        // it owns the reference until it is released, which is after `'a`.
        Some(unsafe { Arc::<T>::borrow(data) })
    }

    /// # Safety
    ///
    /// `file` must be a file of [`Handles::open`], which no one uses any more.
    unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: The caller guarantees that the file is valid.
        let data = unsafe { (*file).private_data };
        // SAFETY: `open` gave the file a reference from `into_foreign()`, and this is the last use.
        drop(unsafe { Arc::<T>::from_foreign(data) });
        0
    }

    extern "C" fn read(
        _file: *mut bindings::file,
        _buf: *mut c_char,
        _size: usize,
        _pos: *mut bindings::loff_t,
    ) -> isize {
        // Being there is what sets `FMODE_CAN_READ`.
        EINVAL.to_errno() as isize
    }

    extern "C" fn write(
        _file: *mut bindings::file,
        _buf: *const c_char,
        _size: usize,
        _pos: *mut bindings::loff_t,
    ) -> isize {
        // Being there is what sets `FMODE_CAN_WRITE`.
        EINVAL.to_errno() as isize
    }
}

/// Whether `file` is open for reading and its operations can read (`FMODE_CAN_READ`).
pub fn can_read(file: &LocalFile) -> bool {
    mode(file) & bindings::FMODE_CAN_READ != 0
}

/// Whether `file` is open for writing and its operations can write (`FMODE_CAN_WRITE`).
pub fn can_write(file: &LocalFile) -> bool {
    mode(file) & bindings::FMODE_CAN_WRITE != 0
}

fn mode(file: &LocalFile) -> bindings::fmode_t {
    // SAFETY: The file is valid, and these bits of its mode are set before it is shared.
    unsafe { (*file.as_ptr()).f_mode }
}
