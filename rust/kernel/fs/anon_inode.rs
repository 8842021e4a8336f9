// SPDX-License-Identifier: GPL-2.0

//! Files on anonymous inodes.
//!
//! A system call that hands out a kernel object creates such a file. A later system call recognizes
//! it by the address of its operations.
//!
//! A type implements [`Handle`] to say what each file owns and what can be done with it;
//! [`anon_inode_handles!`](crate::anon_inode_handles) makes the table of operations, [`Handles`].
//!
//! C headers: [`include/linux/anon_inodes.h`](srctree/include/linux/anon_inodes.h),
//! [`include/linux/fs.h`](srctree/include/linux/fs.h)

use crate::{
    bindings,
    error::VTABLE_DEFAULT_ERROR,
    ffi::{
        c_char,
        c_int, //
    },
    fs::{
        File,
        LocalFile, //
    },
    iov::IovIterDest,
    prelude::*,
    sync::poll::PollTable,
    types::{
        ForeignOwnable,
        NotThreadSafe, //
    }, //
};
use core::{
    marker::PhantomData,
    ops::Deref, //
};

/// Writes all of `input` to `iov`, or nothing, as C's `copy_to_iter_full()`.
///
/// Returns [`EFAULT`] if there is no room, or user space has no memory there. May sleep.
pub fn copy_to_iter_full(iov: &mut IovIterDest<'_>, input: &[u8]) -> Result {
    let copied = iov.copy_to_iter(input);

    if copied == input.len() {
        return Ok(());
    }
    // SAFETY: So many bytes were just written.
    unsafe { iov.revert(copied) };
    Err(EFAULT)
}

/// The file of a descriptor, held for the length of a system call, as C's `CLASS(fd, ...)`.
///
/// Unlike [`LocalFile::fget`], this takes no reference if nobody but the current thread could close
/// the descriptor meanwhile. The current thread does not: what Rust code it runs on behalf of user
/// space drops the file of a descriptor on the way back, and not before.
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

/// What a file on an anonymous inode owns, and what can be done with it.
///
/// Without any method such a file is only a handle: it is opened for reading and writing as far as
/// [`can_read`] and [`can_write`] tell, but `read(2)` and `write(2)` answer `EINVAL`, `poll(2)` says
/// that it is always ready, and `lseek(2)` answers `ESPIPE`.
///
/// # Examples
///
/// A counter that several files share, and that can only be looked up again:
///
/// ```
/// use kernel::{
///     fs::{
///         anon_inode::Handle,
///         file::flags,
///         LocalFile, //
///     },
///     prelude::*,
///     sync::{
///         Arc,
///         ArcBorrow, //
///     }, //
/// };
///
/// struct Counter(u32);
///
/// #[vtable]
/// impl Handle for Counter {
///     type Ptr = Arc<Counter>;
/// }
///
/// kernel::anon_inode_handles! {
///     /// The files that own a counter.
///     static COUNTERS: Handles<Counter>;
/// }
///
/// /// Returns a new file descriptor that refers to `counter`.
/// fn open(counter: Arc<Counter>) -> Result<i32> {
///     COUNTERS.open(c"[counter]", counter, flags::O_RDWR | flags::O_CLOEXEC)
/// }
///
/// /// Returns the counter of `file`, if it is one of [`COUNTERS`].
/// fn counter_of(file: &LocalFile) -> Option<ArcBorrow<'_, Counter>> {
///     COUNTERS.get(file)
/// }
/// # let _ = (open, counter_of);
/// ```
#[vtable]
pub trait Handle {
    /// The data that each open file owns, and that its last close drops.
    ///
    /// State of a single file is a [`KBox`], state that files share an [`Arc`](crate::sync::Arc).
    /// It is dropped in a context that may sleep.
    type Ptr: ForeignOwnable + Send + Sync + 'static;

    /// Reads from the file, for `read(2)` and its like.
    ///
    /// What is copied to `iov` is what user space is told to have read. If this is nothing, then
    /// user space sees the end of the file. An error is returned instead of what has been copied,
    /// so there should be none after the first byte.
    ///
    /// May sleep, unless `nonblock` is set: then it must return [`EAGAIN`] in place of waiting.
    /// `nonblock` stands for `O_NONBLOCK`, or for a caller that asks not to wait this one time
    /// (`IOCB_NOWAIT`). There is no file position.
    fn read_iter(
        _data: <Self::Ptr as ForeignOwnable>::Borrowed<'_>,
        _iov: &mut IovIterDest<'_>,
        _nonblock: bool,
    ) -> Result {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Tells what the file is ready for, as a mask of `POLL*`.
    ///
    /// Before it looks, it registers with `table` the [`PollCondVar`] that is notified when the
    /// answer may have changed. Must not sleep for long.
    ///
    /// [`PollCondVar`]: crate::sync::poll::PollCondVar
    fn poll(
        _data: <Self::Ptr as ForeignOwnable>::Borrowed<'_>,
        _file: &File,
        _table: PollTable<'_>,
    ) -> u32 {
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// The operations of the files that are a `T`.
///
/// A table tells its files from all others by its own address, and believes that a file with this
/// address owns a `T::Ptr`. So two tables must never be at one place. Constants can be: the compiler
/// may merge equal ones, also of different types, and then the files of one type would pass for
/// those of another. A `static` item has a place of its own. Therefore a table is only made by
/// [`anon_inode_handles!`](crate::anon_inode_handles), which makes it a `static`:
///
/// ```ignore
/// // Does not compile: the constructor is unsafe.
/// const COUNTERS: Handles<Counter> = Handles::new(module);
/// ```
///
/// As long as a file is open, the module that the table is in cannot be unloaded.
///
/// # Invariants
///
/// It is a `static` item of the module `ops.owner`, and private to this type: nothing else makes
/// files with these operations.
#[repr(transparent)]
pub struct Handles<T> {
    ops: bindings::file_operations,
    _p: PhantomData<fn(T)>,
}

// SAFETY: The table is never written once it is built.
unsafe impl<T> Sync for Handles<T> {}

/// Makes a table of operations for files on anonymous inodes, [`Handles`].
///
/// ```ignore
/// kernel::anon_inode_handles! {
///     /// The files that own a counter.
///     static COUNTERS: Handles<Counter>;
/// }
/// ```
///
/// See [`Handle`](crate::fs::anon_inode::Handle) for an example.
// The table belongs to the module that it is in, which is who calls the macro.
#[allow(clippy::crate_in_macro_def)]
#[macro_export]
macro_rules! anon_inode_handles {
    ($(#[$meta:meta])* $vis:vis static $name:ident: Handles<$handle:ty>;) => {
        $(#[$meta])*
        $vis static $name: $crate::fs::anon_inode::Handles<$handle> = {
            // SAFETY: It is the initializer of a `static` item, in the module that is named.
            unsafe {
                $crate::fs::anon_inode::Handles::new(
                    $crate::module::this_module::<crate::LocalModule>(),
                )
            }
        };
    };
}

impl<T: Handle> Handles<T> {
    /// Creates the operations; to be called by [`anon_inode_handles!`](crate::anon_inode_handles).
    ///
    /// # Safety
    ///
    /// It must be the initializer of a `static` item, and `owner` the module that this item is
    /// compiled into.
    #[doc(hidden)]
    pub const unsafe fn new(owner: &'static ThisModule) -> Self {
        // INVARIANT: The caller guarantees that it is a `static` item of `owner`; `ops` is private.
        Self {
            ops: bindings::file_operations {
                owner: owner.as_ptr(),
                release: Some(Self::release),
                read: if T::HAS_READ_ITER {
                    None
                } else {
                    Some(Self::read)
                },
                read_iter: if T::HAS_READ_ITER {
                    Some(Self::read_iter)
                } else {
                    None
                },
                write: Some(Self::write),
                poll: if T::HAS_POLL { Some(Self::poll) } else { None },
                ..pin_init::zeroed()
            },
            _p: PhantomData,
        }
    }

    /// Opens a file that owns `data` and installs it in the file descriptor table of the current
    /// process.
    ///
    /// `name` is what `/proc/self/fd` shows. Of the `flags` of `open(2)`, the access mode,
    /// `O_NONBLOCK` and `O_CLOEXEC` are heeded. May sleep.
    ///
    /// This is `anon_inode_getfd()`.
    ///
    /// # Errors
    ///
    /// Those of `anon_inode_getfd()`, with `data` dropped: `EMFILE` or `ENFILE` if there are too
    /// many files, `ENOMEM`, `ENOENT` if the module is about to be unloaded.
    pub fn open(&'static self, name: &'static CStr, data: T::Ptr, flags: u32) -> Result<c_int> {
        let data = data.into_foreign();
        // SAFETY: The name and the operations live as long as the module, which the file keeps from
        // being unloaded, and the operations expect `data` to come from `into_foreign()`.
        let fd = unsafe {
            bindings::anon_inode_getfd(name.as_char_ptr(), &self.ops, data, flags as c_int)
        };

        if fd < 0 {
            // SAFETY: `data` comes from `into_foreign()`, and no file owns it since none was made.
            drop(unsafe { T::Ptr::from_foreign(data) });
            return Err(Error::from_errno(fd));
        }
        Ok(fd)
    }

    /// Returns what `file` owns, or `None` if it was not opened with these operations.
    pub fn get<'a>(
        &'static self,
        file: &'a LocalFile,
    ) -> Option<<T::Ptr as ForeignOwnable>::Borrowed<'a>> {
        // SAFETY: The file is valid, and its operations do not change while it is open.
        let ops = unsafe { (*file.as_ptr()).f_op };

        if !core::ptr::eq(ops, &self.ops) {
            return None;
        }
        // SAFETY: By the type invariant the operations are at no other place and nobody else makes
        // files with them, so `open` made this one, and it is open for `'a`.
        Some(unsafe { Self::data(file.as_ptr()) })
    }

    /// Returns what `file` owns.
    ///
    /// # Safety
    ///
    /// `file` must have been made by [`Handles::open`] of this type, and must not be released before
    /// the end of `'a`.
    unsafe fn data<'a>(file: *mut bindings::file) -> <T::Ptr as ForeignOwnable>::Borrowed<'a> {
        // SAFETY: The caller guarantees that the file is valid. Its `private_data` does not change
        // while it is open.
        let data = unsafe { (*file).private_data };

        // SAFETY: `open` gave the file what `into_foreign()` returned, and it is only taken back
        // when the file is released, which is after `'a`.
        unsafe { T::Ptr::borrow(data) }
    }

    /// # Safety
    ///
    /// `file` must be a file of [`Handles::open`], which no one uses any more.
    unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: The caller guarantees that the file is valid.
        let data = unsafe { (*file).private_data };
        // SAFETY: `open` gave the file what `into_foreign()` returned, and this is the last use.
        drop(unsafe { T::Ptr::from_foreign(data) });
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

    /// # Safety
    ///
    /// `kiocb` must be valid and its file one of [`Handles::open`]; `iov` must be a valid
    /// destination, which only this call uses.
    unsafe extern "C" fn read_iter(
        kiocb: *mut bindings::kiocb,
        iov: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: The caller guarantees that `kiocb` is valid.
        let (file, ki_flags) = unsafe { ((*kiocb).ki_filp, (*kiocb).ki_flags) };
        // SAFETY: The file of a `struct kiocb` is valid.
        let flags = unsafe { &raw const (*file).f_flags };
        // SAFETY: As above. `fcntl(2)` may write the flags at the same time; a volatile read is what
        // `READ_ONCE()` is in C.
        let flags = unsafe { flags.read_volatile() };
        let nonblock = ki_flags & bindings::IOCB_NOWAIT != 0 || flags & bindings::O_NONBLOCK != 0;
        // SAFETY: The caller guarantees that `open` made the file, which the `struct kiocb` keeps
        // open.
        let data = unsafe { Self::data(file) };
        // SAFETY: The caller guarantees it.
        let iov = unsafe { IovIterDest::from_raw(iov) };
        let room = iov.len();

        match T::read_iter(data, iov, nonblock) {
            // Callers trust this number, so it is not one that a method has made up.
            Ok(()) => room.saturating_sub(iov.len()) as isize,
            Err(error) => error.to_errno() as isize,
        }
    }

    /// # Safety
    ///
    /// `file` must be a file of [`Handles::open`], and `table` null or a valid `poll_table`.
    unsafe extern "C" fn poll(
        file: *mut bindings::file,
        table: *mut bindings::poll_table,
    ) -> bindings::__poll_t {
        // SAFETY: The caller guarantees that `open` made the file, which stays open meanwhile.
        let data = unsafe { Self::data(file) };
        // SAFETY: The file is valid for the duration of this call, and there is no active fdget_pos
        // region on the file on this thread.
        let file = unsafe { File::from_raw_file(file) };
        // SAFETY: The caller guarantees it.
        let table = unsafe { PollTable::from_raw(table) };

        T::poll(data, file, table)
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
    // SAFETY: The file is valid.
    let mode = unsafe { &raw const (*file.as_ptr()).f_mode };

    // SAFETY: As above. The bits that are asked about are set before the file is shared; others may
    // be written at the same time, so this is what `READ_ONCE()` is in C.
    unsafe { mode.read_volatile() }
}

#[cfg(CONFIG_RUST_ANON_INODE_KUNIT_TEST)]
#[macros::kunit_tests(rust_fs_anon_inode)]
mod tests {
    use super::*;
    use crate::{
        fs::file::flags,
        sync::{
            atomic::{
                Atomic,
                Relaxed, //
            },
            Arc, //
        }, //
    };
    use core::ptr;

    /// A handle, and nothing else.
    struct Plain(u32);

    #[vtable]
    impl Handle for Plain {
        type Ptr = Arc<Plain>;
    }

    /// Gives away its bytes, each once, to who reads; each file has its own.
    struct Bytes {
        next: Atomic<u32>,
        end: u32,
        dropped: Arc<Atomic<u32>>,
    }

    #[vtable]
    impl Handle for Bytes {
        type Ptr = KBox<Bytes>;

        fn read_iter(bytes: &Bytes, iov: &mut IovIterDest<'_>, nonblock: bool) -> Result {
            let next = bytes.next.load(Relaxed);

            if next == bytes.end {
                return if nonblock { Err(EAGAIN) } else { Ok(()) };
            }
            if iov.copy_to_iter(&[next as u8]) == 0 {
                return Err(EINVAL);
            }
            bytes.next.store(next + 1, Relaxed);
            Ok(())
        }

        fn poll(bytes: &Bytes, _file: &File, _table: PollTable<'_>) -> u32 {
            if bytes.next.load(Relaxed) == bytes.end {
                bindings::POLLHUP
            } else {
                bindings::POLLIN
            }
        }
    }

    impl Drop for Bytes {
        fn drop(&mut self) {
            self.dropped.store(self.dropped.load(Relaxed) + 1, Relaxed);
        }
    }

    crate::anon_inode_handles! {
        static ONE: Handles<Plain>;
    }

    crate::anon_inode_handles! {
        static OTHER: Handles<Plain>;
    }

    crate::anon_inode_handles! {
        static BYTES: Handles<Bytes>;
    }

    /// A file that no descriptor refers to, closed when this is dropped.
    struct Opened(*mut bindings::file);

    impl Opened {
        /// [`Handles::open`], as far as it can be tested without a process.
        fn new<T: Handle>(handles: &'static Handles<T>, data: T::Ptr, flags: u32) -> Result<Self> {
            let data = data.into_foreign();
            // SAFETY: The name and the operations live forever, and the operations expect `data` to
            // come from `into_foreign()`.
            let file = unsafe {
                bindings::anon_inode_getfile(
                    c"[test]".as_char_ptr(),
                    &handles.ops,
                    data,
                    flags as c_int,
                )
            };

            crate::error::from_err_ptr(file).map(Self)
        }

        fn file(&self) -> &LocalFile {
            // SAFETY: The file is open for as long as `self`, and there is no `fdget_pos()`.
            unsafe { LocalFile::from_raw_file(self.0) }
        }

        fn ops(&self) -> &bindings::file_operations {
            // SAFETY: The file is open, and its operations live forever.
            unsafe { &*(*self.0).f_op }
        }

        fn read(&self, buf: &mut [u8]) -> Result<usize> {
            // SAFETY: The file is open, and the buffer is as long as it says.
            let ret = unsafe {
                bindings::kernel_read(self.0, buf.as_mut_ptr().cast(), buf.len(), ptr::null_mut())
            };

            usize::try_from(ret).map_err(|_| Error::from_errno(ret as c_int))
        }
    }

    impl Drop for Opened {
        fn drop(&mut self) {
            // SAFETY: This is the last use of the reference that `new` got.
            unsafe { bindings::__fput_sync(self.0) };
        }
    }

    /// Opens a file that gives away the bytes from `next` until before `end`.
    fn open_bytes(next: u32, end: u32, dropped: &Arc<Atomic<u32>>, flags: u32) -> Result<Opened> {
        let bytes = KBox::new(
            Bytes {
                next: Atomic::new(next),
                end,
                dropped: dropped.clone(),
            },
            GFP_KERNEL,
        )?;

        Opened::new(&BYTES, bytes, flags)
    }

    #[test]
    fn files_are_told_apart_by_their_table() -> Result {
        let one = Opened::new(&ONE, Arc::new(Plain(1), GFP_KERNEL)?, flags::O_RDWR)?;
        let other = Opened::new(&OTHER, Arc::new(Plain(2), GFP_KERNEL)?, flags::O_RDWR)?;

        assert_eq!(ONE.get(one.file()).map(|plain| plain.0), Some(1));
        assert_eq!(OTHER.get(other.file()).map(|plain| plain.0), Some(2));
        assert!(ONE.get(other.file()).is_none());
        assert!(OTHER.get(one.file()).is_none());
        assert!(BYTES.get(one.file()).is_none());
        Ok(())
    }

    #[test]
    fn a_plain_file_has_a_mode_and_does_nothing() -> Result {
        for (mode, read, write) in [
            (flags::O_RDWR, true, true),
            (flags::O_RDONLY, true, false),
            (flags::O_WRONLY, false, true),
        ] {
            let opened = Opened::new(&ONE, Arc::new(Plain(0), GFP_KERNEL)?, mode)?;

            assert_eq!(can_read(opened.file()), read);
            assert_eq!(can_write(opened.file()), write);

            let ops = opened.ops();

            assert!(ops.read_iter.is_none() && ops.write_iter.is_none());
            assert!(ops.poll.is_none() && ops.llseek.is_none());

            let (read, write) = (ops.read.ok_or(ENOENT)?, ops.write.ok_or(ENOENT)?);
            let einval = EINVAL.to_errno() as isize;

            // SAFETY: Neither uses any of its arguments.
            let ret = unsafe { read(opened.0, ptr::null_mut(), 1, ptr::null_mut()) };
            assert_eq!(ret, einval);
            // SAFETY: As above.
            let ret = unsafe { write(opened.0, ptr::null(), 1, ptr::null_mut()) };
            assert_eq!(ret, einval);
        }
        Ok(())
    }

    #[test]
    fn each_file_has_its_state() -> Result {
        let dropped = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let one = open_bytes(1, 3, &dropped, flags::O_RDONLY)?;
        let other = open_bytes(10, 11, &dropped, flags::O_RDONLY)?;
        let mut buf = [0; 4];

        // What was copied counts, not the room that there was.
        assert_eq!(one.read(&mut buf)?, 1);
        assert_eq!(buf[0], 1);
        assert_eq!(other.read(&mut buf)?, 1);
        assert_eq!(buf[0], 10);
        assert_eq!(one.read(&mut buf)?, 1);
        assert_eq!(buf[0], 2);
        assert_eq!(one.read(&mut buf)?, 0);
        assert_eq!(other.read(&mut buf)?, 0);
        assert!(can_read(one.file()));
        assert_eq!(BYTES.get(one.file()).map(|bytes| bytes.end), Some(3));

        assert_eq!(dropped.load(Relaxed), 0);
        drop(one);
        assert_eq!(dropped.load(Relaxed), 1);
        drop(other);
        assert_eq!(dropped.load(Relaxed), 2);
        Ok(())
    }

    #[test]
    fn a_reader_is_told_not_to_wait_and_its_error_arrives() -> Result {
        let dropped = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let mut buf = [0; 4];

        let waits = open_bytes(0, 0, &dropped, flags::O_RDONLY)?;
        let waits_not = open_bytes(0, 0, &dropped, flags::O_RDONLY | flags::O_NONBLOCK)?;
        let full = open_bytes(0, 1, &dropped, flags::O_RDONLY)?;

        assert_eq!(waits.read(&mut buf), Ok(0));
        assert_eq!(waits_not.read(&mut buf), Err(EAGAIN));
        assert_eq!(full.read(&mut []), Err(EINVAL));
        Ok(())
    }

    #[test]
    fn a_file_tells_what_it_is_ready_for() -> Result {
        let dropped = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let opened = open_bytes(0, 1, &dropped, flags::O_RDONLY)?;
        let poll = opened.ops().poll.ok_or(ENOENT)?;

        // SAFETY: The file is open, and the table may be null.
        let ready = unsafe { poll(opened.0, ptr::null_mut()) };
        assert_eq!(ready, bindings::POLLIN);

        assert_eq!(opened.read(&mut [0])?, 1);
        // SAFETY: As above.
        let ready = unsafe { poll(opened.0, ptr::null_mut()) };
        assert_eq!(ready, bindings::POLLHUP);
        Ok(())
    }
}
