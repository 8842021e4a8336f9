// SPDX-License-Identifier: GPL-2.0

//! The signals of a program that waits for another: they are for the other one.

use crate::sys::{self, Mask};
use rustix::io::Errno;
use rustix::process::{getpgid, getpid, getsid, kill_process, waitid, Pid, WaitId, WaitIdOptions};
use std::fs::File;
use std::io::Result;
use std::marker::PhantomData;
use std::mem::{offset_of, size_of};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Child;

/// What the kernel sends to a thread for a fault of its own. To hold these back would take them from a handler,
/// and the kernel ends the process then.
const FAULTS: [i32; 6] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGTRAP,
    libc::SIGSYS,
];

/// Signals that are held back from a thread, so that they can be passed on to a child.
///
/// These are all signals that a process can send, but SIGKILL and SIGSTOP, which nothing can hold back; SIGSEGV, SIGBUS,
/// SIGILL, SIGFPE, SIGTRAP and SIGSYS, which tell a thread of its own fault; and those that the C library uses itself.
///
/// This holds them back from the thread that makes it. The threads and programs that this one starts meanwhile inherit
/// that and keep it, but for a program that [`Sandbox::spawn`](crate::Sandbox::spawn) starts with it. The kernel gives
/// a signal to any thread that does not hold it back. So a program with several threads makes it in its first
/// thread, before it starts others. When it is dropped, the thread holds back what it held back before, and signals
/// that were not passed on arrive there.
///
/// Wait until the file descriptor can be read, and then call [`Signals::pass_on`]. With a policy about files alone,
/// on any kernel:
///
/// ```
/// use portlock::{Machine, Options, Policy, Signals, Support};
/// use rustix::event::{poll, PollFd, PollFlags};
/// use std::process::Command;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let policy = Policy::from_toml("restrict = ['none']\nunix = ['any']", "built in")?;
/// let sandbox = policy.rules(&Machine::read()).sandbox(Support::read(), Options::default())?;
/// let signals = Signals::new()?;
/// let mut child = sandbox.spawn(Command::new("true"), Some(&signals))??;
/// let status = loop {
///     // The end of the child is a signal too.
///     poll(&mut [PollFd::new(&signals, PollFlags::IN)], None)?;
///     signals.pass_on(&child)?;
///     if let Some(status) = child.try_wait()? {
///         break status;
///     }
/// };
///
/// assert!(status.success());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
    before: Mask,
    /// A mask is that of a thread.
    _thread: PhantomData<*const ()>,
}

impl Signals {
    /// Holds them back from this thread from now on.
    pub fn new() -> Result<Self> {
        let mask = Mask::all_but(&FAULTS);

        Ok(Self {
            fd: mask.file()?,
            before: mask.hold_back()?,
            _thread: PhantomData,
        })
    }

    pub(crate) fn before(&self) -> Mask {
        self.before
    }

    /// Passes on what has come. Returns the numbers of what came for the child, by this way or by itself: a child that
    /// one of these ends was asked to end.
    ///
    /// What the child has got already is not passed on: what the terminal sends to the whole process group; and
    /// what was sent by the child, or by a process of a group that this process or the child leads. What another
    /// process sends to the whole group cannot be told from what it sends to this process, and comes twice.
    /// A value that sigqueue(3) sends along is not passed on.
    ///
    /// If the child was stopped, by a key of the terminal or by itself, this process stops too, so that a shell
    /// which waits for it goes on. When this process is continued, so is the child. A process without a terminal is
    /// no job of a shell, and does not stop.
    pub fn pass_on(&self, child: &Child) -> Result<Vec<i32>> {
        let pid = Pid::from_child(child);
        let mut came = Vec::new();

        while let Some(signal) = self.next()? {
            // This process wrote to a closed pipe, for example.
            if signal.sender == Some(getpid()) {
                continue;
            }
            if signal.number == libc::SIGCHLD {
                stop_with(pid)?;
                continue;
            }
            came.push(signal.number);
            if signal.number == libc::SIGCONT || !signal.has_reached(pid) {
                // It may have ended already.
                let _ = sys::kill(child, signal.number);
            }
        }
        Ok(came)
    }

    /// The next signal, if there is one.
    fn next(&self) -> Result<Option<Signal>> {
        let mut bytes = [0u8; size_of::<libc::signalfd_siginfo>()];

        match rustix::io::read(&self.fd, &mut bytes) {
            Err(Errno::AGAIN) => return Ok(None),
            other => other?,
        };

        let number = |at: usize| {
            let field = bytes[at..at + 4].try_into();

            field.map(i32::from_ne_bytes).unwrap_or_default()
        };

        Ok(Some(Signal {
            number: number(offset_of!(libc::signalfd_siginfo, ssi_signo)),
            is_kernels: number(offset_of!(libc::signalfd_siginfo, ssi_code)) > 0,
            sender: Pid::from_raw(number(offset_of!(libc::signalfd_siginfo, ssi_pid))),
        }))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // It was a mask of this thread before.
        let _ = self.before.restore();
    }
}

/// Stops this process if the child is stopped, and there may be a shell that continues both. Who continues a child by
/// its own number, as cpulimit(1) does, would leave this process stopped.
fn stop_with(child: Pid) -> Result<()> {
    let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
    let is_stopped = waitid(WaitId::Pid(child), options).is_ok_and(|stopped| stopped.is_some());

    if is_stopped && has_terminal() {
        kill_process(getpid(), rustix::process::Signal::STOP)?;
    }
    Ok(())
}

/// Whether this process can be a job of a shell. If that cannot be told, it may be one.
fn has_terminal() -> bool {
    let error = File::open("/dev/tty").err();

    error.is_none_or(|error| error.raw_os_error() != Some(libc::ENXIO))
}

/// A signal that came.
struct Signal {
    number: i32,
    /// Whether no process sent it.
    is_kernels: bool,
    /// Who sent it, if that has a number here.
    sender: Option<Pid>,
}

impl Signal {
    /// Whether a child has got it too, or sent it.
    fn has_reached(&self, child: Pid) -> bool {
        let own = getpid();

        if self.is_kernels {
            return match self.number {
                // A timer that was set before this process became what it is.
                libc::SIGALRM => false,
                // When a terminal goes away, only the leader of the session is told.
                libc::SIGHUP => getsid(None) != Ok(own),
                _ => true,
            };
        }
        self.sender.is_some_and(|sender| {
            sender == child
                || getpgid(Some(sender)).is_ok_and(|group| group == own || group == child)
        })
    }
}
