// SPDX-License-Identifier: GPL-2.0

//! The three system calls and the ruleset file descriptor.
//!
//! The order of the checks is that of C Landlock's `security/landlock/syscalls.c`, where the system
//! calls are documented: which error a program gets for two mistakes is part of the interface.

use crate::{
    abi::{
        self,
        ExtendedAttr,
        NetAttr,
        NetPortAttr,
        ObserverAttr,
        OpenedAttr,
        RulesetAttr,
        SocketAttr,
        ADD_RULE_QUIET,
        AF_INET,
        AF_INET6,
        CREATE_OBSERVER,
        CREATE_RULESET,
        LOG_SUBDOMAINS_OFF,
        PERMISSIVE,
        RULE_NET,
        RULE_NET_PORT,
        RULE_OPENED,
        RULE_PATH_BENEATH,
        RULE_SOCKET,
        TSYNC,
        VERSION, //
    },
    access::{
        Access,
        AccessSet,
        PermissionSet, //
    },
    domain::{
        Domain,
        Layer, //
    },
    endpoint::Prefix,
    kinds::Kind,
    landlock,
    nets::Net,
    observer,
    ports::Rule,
    ruleset::Ruleset,
    Portlock, //
};
use kernel::{
    bindings,
    error::from_result,
    ffi::{
        c_int,
        c_long,
        c_void, //
    },
    fs::{
        anon_inode::{
            self,
            Fd,
            Handle, //
        },
        LocalFile, //
    },
    lsm::{
        PreparedCred,
        SystemCall, //
    },
    net::socket::{
        current_net_cookie,
        Socket, //
    },
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    },
    transmute::FromBytes,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};

#[vtable]
impl Handle for Ruleset {
    type Ptr = Arc<Ruleset>;
}

kernel::anon_inode_handles! {
    /// The files that ruleset file descriptors refer to.
    static RULESETS: Handles<Ruleset>;
}

/// Creates a plain ruleset.
///
/// `attr` and `size`, in bytes, are those of user space. May sleep.
fn create_plain(attr: UserPtr, size: usize) -> Result<Arc<Ruleset>> {
    Ruleset::new(&copy_attr::<RulesetAttr>(attr, size)?)
}

/// [`create_plain`], of an extended ruleset.
fn create_extended(attr: UserPtr, size: usize) -> Result<Arc<Ruleset>> {
    Ruleset::extended(&copy_attr::<ExtendedAttr>(attr, size)?)
}

/// Creates an observer, and returns a new file descriptor that refers to it.
///
/// Returns `EINVAL` for unknown flags, besides the errors of [`copy_attr`] and of a new descriptor.
fn create_observer(attr: UserPtr, size: usize) -> Result<c_int> {
    let ObserverAttr(attr) = copy_attr(attr, size)?;

    if attr.flags != 0 {
        return Err(EINVAL);
    }
    observer::open()
}

/// Copies the attribute of a ruleset or an observer, as much of it as user space knows.
fn copy_attr<T: FromBytes>(attr: UserPtr, size: usize) -> Result<T> {
    if attr.as_const_ptr().is_null() {
        return Err(EFAULT);
    }
    // The first field came first, and user space never knows less.
    if size < size_of::<u64>() {
        return Err(EINVAL);
    }
    if size > PAGE_SIZE {
        return Err(E2BIG);
    }
    abi::copy_struct_from_user(attr, size)
}

/// Returns a new file descriptor that refers to `ruleset`.
fn open(ruleset: Arc<Ruleset>) -> Result<c_int> {
    let reporter = ruleset.reporter.clone();
    let fd = RULESETS.open(
        c"[landlock-ruleset]",
        ruleset,
        kernel::fs::file::flags::O_RDWR | kernel::fs::file::flags::O_CLOEXEC,
    )?;

    if let Some(reporter) = reporter {
        reporter.announce();
    }
    Ok(fd)
}

/// Returns the ruleset of `file`, if the file `may` do what it is for.
///
/// Returns `EBADFD` for another kind of file, and `EPERM`.
fn ruleset_of(
    file: &LocalFile,
    may: impl Fn(&LocalFile) -> bool,
) -> Result<ArcBorrow<'_, Ruleset>> {
    let ruleset = RULESETS.get(file).ok_or(EBADFD)?;

    if !may(file) {
        return Err(EPERM);
    }
    Ok(ruleset)
}

/// Adds a rule to the ruleset of `ruleset_fd`.
fn add_rule(ruleset_fd: c_int, rule_type: u32, attr: UserPtr, flags: u32) -> Result {
    if flags & !ADD_RULE_QUIET != 0 {
        return Err(EINVAL);
    }

    let file = Fd::get(ruleset_fd)?;
    let ruleset = ruleset_of(&file, anon_inode::can_write)?;

    match (rule_type, ruleset.handled.is_extended) {
        (RULE_PATH_BENEATH, false) => ruleset.rules.add_path_beneath(attr, flags),
        (RULE_NET_PORT, _) => add_net_port_rule(&ruleset, attr, flags),
        (RULE_NET, true) => add_net_rule(&ruleset, attr, flags),
        (RULE_SOCKET, true) => add_socket_rule(&ruleset, attr, flags),
        (RULE_OPENED, true) => add_opened_rule(&ruleset, attr, flags),
        _ => Err(EINVAL),
    }
}

/// Checks the rights of a network rule, in the order that both types of rules have.
fn net_rule(ruleset: &Ruleset, allowed_access: u64, flags: u32) -> Result<Rule> {
    let quiet = flags & ADD_RULE_QUIET != 0;

    // A rule that grants nothing is useless, unless it is there to be quiet.
    if !quiet && allowed_access == 0 {
        return Err(ENOMSG);
    }

    let access = AccessSet::from_bits(allowed_access).ok_or(EINVAL)?;
    if !ruleset.handled.access.contains_all(access) {
        return Err(EINVAL);
    }

    if quiet && ruleset.handled.quiet.is_empty() {
        return Err(EINVAL);
    }
    Ok(Rule { access, quiet })
}

fn add_net_port_rule(ruleset: &Ruleset, attr: UserPtr, flags: u32) -> Result {
    let NetPortAttr(attr) = UserSlice::new(attr, size_of::<NetPortAttr>())
        .reader()
        .read()?;
    let rule = net_rule(ruleset, attr.allowed_access, flags)?;
    let port = u16::try_from(attr.port).map_err(|_| EINVAL)?;

    let mut rules = ruleset.rules.lock();
    rules.open()?.ports.add(port..=port, rule)?;
    rules.note_net_port_rule(port, rule.access | !ruleset.handled.access, flags);
    if ruleset.handled.is_extended {
        let attr = bindings::portlock_net_attr {
            allowed_access: attr.allowed_access,
            port_first: attr.port,
            port_last: attr.port,
            ..pin_init::zeroed()
        };

        rules.trace_net_rule(&attr, flags);
    }
    Ok(())
}

fn add_net_rule(ruleset: &Ruleset, attr: UserPtr, flags: u32) -> Result {
    let NetAttr(attr) = UserSlice::new(attr, size_of::<NetAttr>()).reader().read()?;
    let rule = net_rule(ruleset, attr.allowed_access, flags)?;
    let first = u16::try_from(attr.port_first).map_err(|_| EINVAL)?;
    let last = u16::try_from(attr.port_last).map_err(|_| EINVAL)?;

    if first > last || attr.ifindex != 0 || attr.reserved != 0 {
        return Err(EINVAL);
    }

    let prefix = prefix(&attr)?;

    // What a UDP socket has received is not of its peer alone.
    if prefix.is_some() && rule.access.contains(Access::ReceiveUdp) {
        return Err(EINVAL);
    }

    let mut rules = ruleset.rules.lock();

    match prefix {
        None => rules.open()?.ports.add(first..=last, rule),
        Some(prefix) => rules.open()?.nets.add(
            Net {
                prefix,
                first,
                last,
            },
            rule,
        ),
    }?;
    rules.note_net_rule(&attr, flags);
    Ok(())
}

/// The addresses of a rule, or `None` if it is for any.
fn prefix(attr: &bindings::portlock_net_attr) -> Result<Option<Prefix>> {
    let len = u8::try_from(attr.prefix_len).map_err(|_| EINVAL)?;

    match u16::try_from(attr.family).map_err(|_| EINVAL)? {
        0 if len == 0 && attr.address == [0; 16] => Ok(None),
        AF_INET => match attr.address {
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] => {
                Prefix::ipv4([a, b, c, d], len).map(Some)
            }
            _ => Err(EINVAL),
        },
        AF_INET6 => Prefix::ipv6(attr.address, len).map(Some),
        _ => Err(EINVAL),
    }
}

fn add_socket_rule(ruleset: &Ruleset, attr: UserPtr, flags: u32) -> Result {
    let SocketAttr(attr) = UserSlice::new(attr, size_of::<SocketAttr>())
        .reader()
        .read()?;

    if attr.permissions == 0 {
        return Err(ENOMSG);
    }

    let permissions = PermissionSet::from_bits(attr.permissions).ok_or(EINVAL)?;
    if !ruleset.handled.permissions.contains_all(permissions) {
        return Err(EINVAL);
    }
    // Denials of permissions cannot be quieted.
    if flags & ADD_RULE_QUIET != 0 || attr.reserved != 0 {
        return Err(EINVAL);
    }

    let kind = Kind::new(attr.family, attr.type_, attr.protocol)?;
    let mut rules = ruleset.rules.lock();

    rules.open()?.kinds.add(kind)?;
    rules.note_socket_rule(&attr);
    Ok(())
}

fn add_opened_rule(ruleset: &Ruleset, attr: UserPtr, flags: u32) -> Result {
    let OpenedAttr(attr) = UserSlice::new(attr, size_of::<OpenedAttr>())
        .reader()
        .read()?;
    let rule = net_rule(ruleset, attr.allowed_access, 0)?;

    // No rule keeps denials on a single socket out of the logs.
    if flags & ADD_RULE_QUIET != 0 || attr.reserved != 0 {
        return Err(EINVAL);
    }

    let file = Fd::get(attr.fd)?;
    let sk = Socket::of_file(&file).ok_or(ENOTSOCK)?.sk();
    let kind = sk.kind();

    if !kind.is_tcp() && !kind.is_mptcp() && !kind.is_udp() {
        return Err(EOPNOTSUPP);
    }

    let mut rules = ruleset.rules.lock();

    rules.open()?.opened.add(sk.make_cookie(), rule.access)?;
    rules.note_opened_rule(&attr, sk);
    Ok(())
}

/// Enforces the ruleset of `ruleset_fd` on the calling thread, or on all threads of its process:
/// both parts of it, or none.
fn restrict_self(call: &mut SystemCall, ruleset_fd: c_int, flags: u32) -> Result {
    let file = Fd::get(ruleset_fd);
    let ruleset = match &file {
        Ok(file) => ruleset_of(file, anon_inode::can_read),
        Err(error) => Err(*error),
    };
    let is_extended = ruleset
        .as_ref()
        .is_ok_and(|ruleset| ruleset.handled.is_extended);

    // For all else this is an unknown flag, as for Landlock.
    let is_permissive = flags & PERMISSIVE != 0;
    let flags = flags & !PERMISSIVE;

    if is_permissive && !is_extended {
        return Err(EINVAL);
    }
    landlock::may_restrict_self(call, flags)?;

    // Only this may be asked without a ruleset.
    let only_log = ruleset_fd == -1 && flags & !TSYNC == LOG_SUBDOMAINS_OFF;
    let ruleset = if only_log { None } else { Some(ruleset?) };

    let mut cred = PreparedCred::new()?;

    match &ruleset {
        Some(ruleset) => stack(call, &mut cred, ruleset, flags, is_permissive)?,
        None => landlock::set_log_flags(call, &mut cred, flags)?,
    }

    // No lock is held here: the threads to synchronize may be waiting for it.
    landlock::commit(call, cred, ruleset.is_some(), flags)
}

/// Stacks both parts of `ruleset` on the domains of `cred`.
fn stack(
    call: &SystemCall,
    cred: &mut PreparedCred,
    ruleset: &Ruleset,
    flags: u32,
    is_permissive: bool,
) -> Result {
    let mut rules = ruleset.rules.lock();
    let level = landlock::stack(call, cred, &rules, flags, is_permissive)?;

    if ruleset.handled.is_nothing() {
        return Ok(());
    }

    let subject = cred.blob_mut::<Portlock>().ok_or(EOPNOTSUPP)?;
    let (frozen, index) = rules.freeze(ruleset.handled, ruleset.reporter.as_ref())?;
    let layer = Layer {
        level,
        is_permissive,
        net: current_net_cookie(),
        frozen,
    };
    let domain = Domain::new(subject.domain(), layer, index)?;

    subject.enter(domain);
    Ok(())
}

/// `landlock_create_ruleset(2)`, see [`entry.c`](srctree/security/portlock/entry.c).
#[export]
extern "C" fn portlock_create_ruleset(
    attr: *const bindings::landlock_ruleset_attr,
    size: usize,
    flags: u32,
) -> c_long {
    // SAFETY: `entry.c` calls this for the system call, and nobody else does.
    let call = unsafe { SystemCall::new() };
    let attr = UserPtr::from_ptr(attr.cast_mut().cast());

    let created = match flags {
        0 if crate::is_on() => create_plain(attr, size),
        CREATE_RULESET if crate::is_on() => {
            if attr.as_const_ptr().is_null() && size == 0 {
                return VERSION as c_long;
            }
            create_extended(attr, size)
        }
        CREATE_OBSERVER if crate::is_on() => {
            return match create_observer(attr, size) {
                Ok(fd) => fd as c_long,
                Err(error) => error.to_errno() as c_long,
            };
        }
        // What the other flags ask for is about C Landlock.
        _ => return landlock::create_ruleset(&call, attr, size, flags),
    };

    match created.and_then(open) {
        Ok(fd) => fd as c_long,
        Err(error) => error.to_errno() as c_long,
    }
}

/// `landlock_add_rule(2)`, see [`entry.c`](srctree/security/portlock/entry.c).
#[export]
extern "C" fn portlock_add_rule(
    ruleset_fd: c_int,
    rule_type: u32,
    attr: *const c_void,
    flags: u32,
) -> c_long {
    // SAFETY: `entry.c` calls this for the system call, and nobody else does.
    let call = unsafe { SystemCall::new() };
    let attr = UserPtr::from_ptr(attr.cast_mut());

    if !crate::is_on() {
        return landlock::add_rule(&call, ruleset_fd, rule_type, attr, flags);
    }
    from_result(|| add_rule(ruleset_fd, rule_type, attr, flags).map(|()| 0))
}

/// `landlock_restrict_self(2)`, see [`entry.c`](srctree/security/portlock/entry.c).
#[export]
extern "C" fn portlock_restrict_self(ruleset_fd: c_int, flags: u32) -> c_long {
    // SAFETY: `entry.c` calls this for the system call, and nobody else does.
    let mut call = unsafe { SystemCall::new() };

    if !crate::is_on() {
        return landlock::restrict_self(&mut call, ruleset_fd, flags);
    }
    from_result(|| restrict_self(&mut call, ruleset_fd, flags).map(|()| 0))
}
