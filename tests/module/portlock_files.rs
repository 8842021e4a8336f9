// SPDX-License-Identifier: GPL-2.0

//! Test module: files on anonymous inodes whose code can be unloaded.
//!
//! Each open of `/dev/portlock_files` is a queue of bytes. `write(2)` appends to it, and `ioctl(2)`
//! makes files:
//!
//! - `OPEN_PLAIN` returns the descriptor of a file that is only a handle;
//! - `OPEN_READER` returns the descriptor of a file that reads the queue, one byte a call, and says
//!   end of file once the device is closed. The argument is 0 or `O_NONBLOCK`.
//!
//! Two more calls tell these files apart, and answer `EBADFD` for another file than theirs:
//!
//! - `IS_PLAIN` returns 0;
//! - `TAKEN` returns how many bytes were read with this file.

use kernel::{
    bindings,
    fs::{
        anon_inode::{
            Fd,
            Handle, //
        },
        file::flags,
        File,
        Kiocb, //
    },
    ioctl::_IO,
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    miscdevice::{
        MiscDevice,
        MiscDeviceOptions,
        MiscDeviceRegistration, //
    },
    new_mutex, new_poll_condvar,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        poll::{
            PollCondVar,
            PollTable, //
        },
        Arc,
        ArcBorrow,
        Mutex, //
    },
};

const OPEN_PLAIN: u32 = _IO(b'P' as u32, 0);
const OPEN_READER: u32 = _IO(b'P' as u32, 1);
const IS_PLAIN: u32 = _IO(b'P' as u32, 2);
const TAKEN: u32 = _IO(b'P' as u32, 3);

module! {
    type: PortlockFiles,
    name: "portlock_files",
    authors: ["Portlock developers"],
    description: "Makes files on anonymous inodes, for the tests of Portlock",
    license: "GPL",
}

#[pin_data]
struct PortlockFiles {
    #[pin]
    _device: MiscDeviceRegistration<Queue>,
}

impl kernel::InPlaceModule for PortlockFiles {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _device <- MiscDeviceRegistration::register(MiscDeviceOptions {
                name: c"portlock_files",
            }),
        })
    }
}

struct State {
    bytes: KVec<u8>,
    closed: bool,
}

/// What an open of the device and its readers share.
#[pin_data]
struct Queue {
    #[pin]
    state: Mutex<State>,
    /// Notified whenever `state` has changed.
    #[pin]
    changed: PollCondVar,
}

#[vtable]
impl MiscDevice for Queue {
    type Ptr = Arc<Queue>;

    fn open(_file: &File, _device: &MiscDeviceRegistration<Self>) -> Result<Arc<Queue>> {
        let queue = pin_init!(Queue {
            state <- new_mutex!(State {
                bytes: KVec::new(),
                closed: false,
            }),
            changed <- new_poll_condvar!("portlock_files::changed"),
        });

        Arc::pin_init(queue, GFP_KERNEL)
    }

    fn release(queue: Arc<Queue>, _file: &File) {
        queue.state.lock().closed = true;
        queue.changed.notify_all();
    }

    fn write_iter(kiocb: Kiocb<'_, Self::Ptr>, iov: &mut IovIterSource<'_>) -> Result<usize> {
        let queue = kiocb.file();
        let written = iov.copy_from_iter_vec(&mut queue.state.lock().bytes, GFP_KERNEL)?;

        queue.changed.notify_all();
        Ok(written)
    }

    fn ioctl(queue: ArcBorrow<'_, Queue>, _file: &File, cmd: u32, arg: usize) -> Result<isize> {
        match cmd {
            OPEN_PLAIN => open_plain(),
            OPEN_READER => open_reader(queue, arg as u32),
            IS_PLAIN => PLAIN.get(&*Fd::get(arg as i32)?).map(|_| 0).ok_or(EBADFD),
            TAKEN => READERS
                .get(&*Fd::get(arg as i32)?)
                .map(|reader| reader.taken.load(Relaxed) as isize)
                .ok_or(EBADFD),
            _ => Err(ENOTTY),
        }
    }
}

/// A handle, and nothing else.
struct Plain;

#[vtable]
impl Handle for Plain {
    type Ptr = Arc<Plain>;
}

kernel::anon_inode_handles! {
    static PLAIN: Handles<Plain>;
}

fn open_plain() -> Result<isize> {
    let plain = Arc::new(Plain, GFP_KERNEL)?;
    let fd = PLAIN.open(c"[portlock-plain]", plain, flags::O_RDWR | flags::O_CLOEXEC)?;

    Ok(fd as isize)
}

/// A file that reads a queue.
struct Reader {
    queue: Arc<Queue>,
    taken: Atomic<u32>,
}

kernel::anon_inode_handles! {
    static READERS: Handles<Reader>;
}

fn open_reader(queue: ArcBorrow<'_, Queue>, nonblock: u32) -> Result<isize> {
    let reader = KBox::new(
        Reader {
            queue: queue.into(),
            taken: Atomic::new(0),
        },
        GFP_KERNEL,
    )?;
    let fd = READERS.open(
        c"[portlock-reader]",
        reader,
        flags::O_RDONLY | flags::O_CLOEXEC | nonblock & flags::O_NONBLOCK,
    )?;

    Ok(fd as isize)
}

#[vtable]
impl Handle for Reader {
    type Ptr = KBox<Reader>;

    fn read_iter(reader: &Reader, iov: &mut IovIterDest<'_>, nonblock: bool) -> Result {
        let mut state = reader.queue.state.lock();

        let byte = loop {
            if let Some(byte) = state.bytes.first() {
                break *byte;
            }
            if state.closed {
                return Ok(());
            }
            if nonblock {
                return Err(EAGAIN);
            }
            if reader.queue.changed.wait_interruptible(&mut state) {
                return Err(ERESTARTSYS);
            }
        };

        if iov.copy_to_iter(&[byte]) == 0 {
            return Err(EFAULT);
        }
        state.bytes.remove(0).map_err(|_| EINVAL)?;
        reader.taken.store(reader.taken.load(Relaxed) + 1, Relaxed);
        Ok(())
    }

    fn poll(reader: &Reader, file: &File, table: PollTable<'_>) -> u32 {
        table.register_wait(file, &reader.queue.changed);

        let state = reader.queue.state.lock();

        if !state.bytes.is_empty() {
            bindings::POLLIN
        } else if state.closed {
            bindings::POLLHUP
        } else {
            0
        }
    }
}
