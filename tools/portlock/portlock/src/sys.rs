// SPDX-License-Identifier: GPL-2.0

//! The system calls: the only unsafe code of the library. What the structures mean is in
//! `include/uapi/linux/portlock.h`.

use std::ffi::{c_int, c_long, c_void};
use std::io::{Error, Result};
use std::mem::{self, offset_of, size_of};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
compile_error!("Portlock is for Linux on x86-64: the numbers of system calls below are its own");

const CREATE_RULESET_VERSION: u32 = 1 << 0;
const CREATE_RULESET: u32 = 1 << 31;
const CREATE_OBSERVER: u32 = 1 << 30;
pub(crate) const RULESET_OBSERVED: u32 = 1 << 0;
pub(crate) const PERMISSIVE: u32 = 1 << 31;
pub(crate) const RULE_NET: u32 = 0x4000_0001;
pub(crate) const RULE_SOCKET: u32 = 0x4000_0002;
pub(crate) const RULE_OPENED: u32 = 0x4000_0003;
pub(crate) const SOCKET_CREATE: u64 = 1 << 32;

/// `struct portlock_ruleset_attr`.
#[derive(Default)]
#[repr(C)]
pub(crate) struct RulesetAttr {
    pub(crate) handled_access_net: u64,
    pub(crate) quiet_access_net: u64,
    pub(crate) handled_permissions: u64,
    pub(crate) flags: u32,
    pub(crate) observer_fd: i32,
    pub(crate) observer_cookie: u64,
}

/// `struct portlock_net_attr`.
#[derive(Default)]
#[repr(C)]
pub(crate) struct NetAttr {
    pub(crate) allowed_access: u64,
    pub(crate) port_first: u64,
    pub(crate) port_last: u64,
    pub(crate) family: u32,
    pub(crate) prefix_len: u32,
    pub(crate) address: [u8; 16],
    pub(crate) ifindex: u32,
    pub(crate) reserved: u32,
}

/// `struct portlock_socket_attr`.
#[derive(Default)]
#[repr(C)]
pub(crate) struct SocketAttr {
    pub(crate) permissions: u64,
    pub(crate) family: i32,
    pub(crate) kind: i32,
    pub(crate) protocol: i32,
    pub(crate) reserved: u32,
}

/// `struct portlock_opened_attr`.
#[derive(Default)]
#[repr(C)]
pub(crate) struct OpenedAttr {
    pub(crate) allowed_access: u64,
    pub(crate) fd: i32,
    pub(crate) reserved: u32,
}

/// `struct portlock_observer_attr`.
#[derive(Default)]
#[repr(C)]
struct ObserverAttr {
    flags: u64,
}

const _: () = {
    assert!(size_of::<RulesetAttr>() == 40 && offset_of!(RulesetAttr, observer_cookie) == 32);
    assert!(size_of::<NetAttr>() == 56 && offset_of!(NetAttr, address) == 32);
    assert!(size_of::<SocketAttr>() == 24 && offset_of!(SocketAttr, protocol) == 16);
    assert!(size_of::<OpenedAttr>() == 16 && size_of::<ObserverAttr>() == 8);
};

/// A structure that `landlock_add_rule(2)` reads.
///
/// # Safety
///
/// `TYPE` has to be the type of rule that the structure is for.
pub(crate) unsafe trait Rule {
    const TYPE: u32;
}

// SAFETY: It is `struct portlock_net_attr`.
unsafe impl Rule for NetAttr {
    const TYPE: u32 = RULE_NET;
}

// SAFETY: It is `struct portlock_socket_attr`.
unsafe impl Rule for SocketAttr {
    const TYPE: u32 = RULE_SOCKET;
}

// SAFETY: It is `struct portlock_opened_attr`.
unsafe impl Rule for OpenedAttr {
    const TYPE: u32 = RULE_OPENED;
}

fn result(ret: c_long) -> Result<c_int> {
    if ret < 0 {
        Err(Error::last_os_error())
    } else {
        // CAST: These calls return file descriptors, versions and 0.
        Ok(ret as c_int)
    }
}

fn create<T>(attr: Option<&T>, flags: u32) -> Result<c_int> {
    let size = if attr.is_some() { size_of::<T>() } else { 0 };
    let pointer = attr.map_or(ptr::null(), ptr::from_ref).cast::<c_void>();

    // SAFETY: The pointer is NULL and the size 0, or they are those of a structure, which is only read.
    result(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, pointer, size, flags) })
}

fn created<T>(attr: &T, flags: u32) -> Result<OwnedFd> {
    let fd = create(Some(attr), flags)?;

    // SAFETY: It is a new file descriptor, which nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The version of Landlock's interface.
pub(crate) fn landlock_version() -> Result<c_int> {
    create(None::<&RulesetAttr>, CREATE_RULESET_VERSION)
}

/// The version of Portlock's interface.
pub(crate) fn portlock_version() -> Result<c_int> {
    create(None::<&RulesetAttr>, CREATE_RULESET)
}

pub(crate) fn create_ruleset(attr: &RulesetAttr) -> Result<OwnedFd> {
    created(attr, CREATE_RULESET)
}

pub(crate) fn create_observer() -> Result<OwnedFd> {
    created(&ObserverAttr::default(), CREATE_OBSERVER)
}

pub(crate) fn add_rule<T: Rule>(ruleset: BorrowedFd<'_>, rule: &T) -> Result<()> {
    let (fd, pointer) = (ruleset.as_raw_fd(), ptr::from_ref(rule).cast::<c_void>());

    // SAFETY: The pointer is that of the structure for this type of rule, which is only read.
    result(unsafe { libc::syscall(libc::SYS_landlock_add_rule, fd, T::TYPE, pointer, 0u32) })
        .map(|_| ())
}

pub(crate) fn restrict_self(ruleset: BorrowedFd<'_>, flags: u32) -> Result<()> {
    // SAFETY: The call takes no pointer.
    result(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), flags) })
        .map(|_| ())
}

pub(crate) fn set_no_new_privs() -> Result<()> {
    // SAFETY: The call takes no pointer.
    result(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.into()).map(|_| ())
}

/// The filter that refuses what no hook of the network sees.
///
/// TIOCSTI and TIOCLINUX type into the terminal, which the program shares with a shell outside. With `keys` also
/// add_key(2) and request_key(2), by which the kernel starts a helper outside that can look up any name.
///
/// A program of 32 bits has other numbers, and one of x32 sets a bit in each and has an ioctl(2) of its own.
fn filter(keys: bool) -> [libc::sock_filter; 20] {
    const X86_64: u32 = 0xc000_003e;
    const I386: u32 = 0x4000_0003;
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
    const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

    let number = offset_of!(libc::seccomp_data, nr) as u32;
    let arch = offset_of!(libc::seccomp_data, arch) as u32;
    // The kernel takes the low half of the second argument, which comes first in memory.
    let request = offset_of!(libc::seccomp_data, args) as u32 + 8;
    let refuse = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    let line = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let key = |jump, k| line(EQUAL, if keys { jump } else { 0 }, 0, k);

    [
        line(LOAD, 0, 0, arch),
        line(EQUAL, 0, 7, X86_64),
        line(LOAD, 0, 0, number),
        line(AND, 0, 0, !0x4000_0000),
        key(14, libc::SYS_add_key as u32),
        key(13, libc::SYS_request_key as u32),
        line(EQUAL, 8, 0, libc::SYS_ioctl as u32),
        line(EQUAL, 7, 0, 514),
        line(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
        line(EQUAL, 0, 9, I386),
        line(LOAD, 0, 0, number),
        key(7, 286),
        key(6, 287),
        line(EQUAL, 1, 0, 54),
        line(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
        line(LOAD, 0, 0, request),
        line(EQUAL, 2, 0, libc::TIOCSTI as u32),
        line(EQUAL, 1, 0, libc::TIOCLINUX as u32),
        line(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
        line(RETURN, 0, 0, refuse),
    ]
}

/// Makes what [`filter`] refuses fail with EPERM from now on. It needs `no_new_privs`.
pub(crate) fn set_filter(keys: bool) -> Result<()> {
    let mut filter = filter(keys);
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };

    // SAFETY: The program names the filter with its length. The kernel copies both.
    result(unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0u32,
            ptr::from_ref(&program),
        )
    })
    .map(|_| ())
}

/// Whether a program that this process becomes keeps the file descriptor.
pub(crate) fn is_inherited(fd: RawFd) -> bool {
    // SAFETY: The call takes no pointer.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };

    flags >= 0 && flags & libc::FD_CLOEXEC == 0
}

/// A file descriptor of its own for the open file with this number, if there is one.
pub(crate) fn duplicate(fd: RawFd) -> Result<OwnedFd> {
    // SAFETY: The call takes no pointer, and changes no file descriptor that is there.
    let fd = result(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) }.into())?;

    // SAFETY: It is a new file descriptor, which nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The signals to which it matters whether this process was started with them ignored, with whether it was.
///
/// Rust's runtime ignores SIGPIPE, and its library gives programs the default. While SIGCHLD is ignored, the kernel
/// keeps no exit status of a child, and waiting for one fails.
static IGNORED: [(c_int, AtomicBool); 2] = [
    (libc::SIGPIPE, AtomicBool::new(false)),
    (libc::SIGCHLD, AtomicBool::new(false)),
];

extern "C" fn note_ignored() {
    for (signal, is_ignored) in &IGNORED {
        // SAFETY: It is integers and a pointer that may be NULL.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        // SAFETY: The call only writes to the structure.
        let ret = unsafe { libc::sigaction(*signal, ptr::null(), &mut action) };

        if ret < 0 || action.sa_sigaction != libc::SIG_IGN {
            continue;
        }
        is_ignored.store(true, Ordering::Relaxed);
        if *signal == libc::SIGCHLD {
            // SAFETY: No handler is set.
            unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
        }
    }
}

/// The loader calls it before `main`. Later is too late: Rust's runtime ignores SIGPIPE first.
#[used]
#[link_section = ".init_array"]
static NOTE_IGNORED: extern "C" fn() = note_ignored;

/// Calls `prepare` in the process of the command before that starts. All signals are then as they were when this
/// process was started, SIGPIPE and SIGCHLD too.
fn before_start(
    command: &mut Command,
    mut prepare: impl FnMut() -> Result<()> + Send + Sync + 'static,
) {
    let prepare = move || {
        prepare()?;
        for (signal, is_ignored) in &IGNORED {
            if is_ignored.load(Ordering::Relaxed) {
                // SAFETY: No handler is set.
                unsafe { libc::signal(*signal, libc::SIG_IGN) };
            }
        }
        Ok(())
    };

    // SAFETY: The new process is a copy of one that may have had other threads. So the function may only do what is
    // safe in a handler of signals. It makes system calls, and `Sandbox`, from which the rest of it comes, allocates
    // nothing there and takes no lock.
    unsafe { command.pre_exec(prepare) };
}

/// Starts a command after `prepare`, which runs in the new process before the program does. It may only make
/// system calls.
pub(crate) fn spawn_after(
    command: &mut Command,
    prepare: impl FnMut() -> Result<()> + Send + Sync + 'static,
) -> Result<Child> {
    before_start(command, prepare);
    command.spawn()
}

/// Becomes a command.
pub(crate) fn exec(command: &mut Command) -> Error {
    before_start(command, || Ok(()));
    command.exec()
}

/// Sends a signal, which may be one that has only a number, to a child that was not waited for yet.
pub(crate) fn kill(child: &Child, signal: c_int) -> Result<()> {
    // CAST: The numbers of processes fit.
    let pid = child.id() as libc::pid_t;

    // SAFETY: The call takes no pointer.
    result(unsafe { libc::kill(pid, signal) }.into()).map(|_| ())
}

/// Signals that a thread holds back.
#[derive(Clone, Copy)]
pub(crate) struct Mask(libc::sigset_t);

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mask")
    }
}

impl Mask {
    /// All but some. The C library keeps the two that are its own out of it.
    pub(crate) fn all_but(some: &[c_int]) -> Self {
        // SAFETY: It is integers, which may be 0.
        let mut mask: libc::sigset_t = unsafe { mem::zeroed() };

        // SAFETY: The pointer is that of a mask.
        unsafe { libc::sigfillset(&mut mask) };
        for signal in some {
            // SAFETY: The pointer is that of a mask.
            unsafe { libc::sigdelset(&mut mask, *signal) };
        }
        Self(mask)
    }

    /// Holds these back in this thread too. Returns what was held back before.
    pub(crate) fn hold_back(self) -> Result<Self> {
        self.set(libc::SIG_BLOCK)
    }

    /// Holds back these in this thread, and nothing else.
    pub(crate) fn restore(self) -> Result<()> {
        self.set(libc::SIG_SETMASK).map(|_| ())
    }

    fn set(self, how: c_int) -> Result<Self> {
        let mut before = self.0;

        // SAFETY: The pointers are those of masks. The first one is only read.
        match unsafe { libc::pthread_sigmask(how, &self.0, &mut before) } {
            0 => Ok(Self(before)),
            error => Err(Error::from_raw_os_error(error)),
        }
    }

    /// A file descriptor that these can be read from, which does not wait.
    pub(crate) fn file(self) -> Result<OwnedFd> {
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        // SAFETY: The pointer is that of a mask, which is only read.
        let fd = result(unsafe { libc::signalfd(-1, &self.0, flags) }.into())?;

        // SAFETY: It is a new file descriptor, which nothing else owns.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X86_64: u32 = 0xc000_003e;
    const I386: u32 = 0x4000_0003;
    const X32: u32 = 0x4000_0000;

    /// Whether the filter refuses a call with this second argument.
    fn refuses(keys: bool, arch: u32, number: u32, argument: u32) -> bool {
        let filter = filter(keys);
        let (mut at, mut value) = (0, 0);

        loop {
            let line = filter[at];

            at += 1;
            match line.code & 7 {
                // As linux/seccomp.h has the fields.
                0 => {
                    value = match line.k {
                        0 => number,
                        4 => arch,
                        24 => argument,
                        at => panic!("no field is at {at}"),
                    }
                }
                4 => value &= line.k,
                5 => at += usize::from(if value == line.k { line.jt } else { line.jf }),
                _ if line.k == libc::SECCOMP_RET_ALLOW => return false,
                _ => {
                    assert_eq!(line.k, libc::SECCOMP_RET_ERRNO | 1);
                    return true;
                }
            }
        }
    }

    #[test]
    fn the_filter_refuses_keys_by_all_their_numbers() {
        for (arch, number) in [
            (X86_64, 248),
            (X86_64, 249),
            (X86_64, X32 + 248),
            (X86_64, X32 + 249),
            (I386, 286),
            (I386, 287),
        ] {
            assert!(refuses(true, arch, number, 0), "{arch:x} {number}");
            assert!(!refuses(false, arch, number, 0), "{arch:x} {number}");
        }
        for (arch, number) in [
            (X86_64, 250),
            (X86_64, 286),
            (I386, 288),
            (I386, 248),
            (X86_64, 41),
        ] {
            assert!(!refuses(true, arch, number, 0), "{arch:x} {number}");
        }
    }

    #[test]
    fn the_filter_refuses_to_type_by_all_numbers() {
        for keys in [true, false] {
            for (arch, number) in [(X86_64, 16), (X86_64, X32 + 514), (I386, 54)] {
                // As asm-generic/ioctls.h has them: those two, and TCGETS, TIOCCONS and FIONREAD.
                for (request, is_refused) in [
                    (0x5412, true),
                    (0x541c, true),
                    (0x5401, false),
                    (0x541d, false),
                    (0x541b, false),
                ] {
                    assert_eq!(
                        refuses(keys, arch, number, request),
                        is_refused,
                        "{arch:x} {number} {request:x}"
                    );
                }
            }
            assert!(!refuses(keys, X86_64, 54, 0x5412));
            assert!(!refuses(keys, I386, 16, 0x5412));
            // No such machine runs here.
            assert!(refuses(keys, 1, 0, 0));
        }
    }
}
