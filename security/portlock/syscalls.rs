// SPDX-License-Identifier: GPL-2.0

//! The three system calls and the ruleset file descriptor.
//!
//! The order of the checks is that of C Landlock's `security/landlock/syscalls.c`, where the system
//! calls are documented: which error a program gets for two mistakes is part of the interface.

use crate::{
    abi::{
        NetPortAttr,
        RulesetAttr,
        ADD_RULE_QUIET,
        LOG_SUBDOMAINS_OFF,
        RULE_NET_PORT,
        RULE_PATH_BENEATH,
        TSYNC, //
    },
    access::AccessSet,
    domain::Domain,
    landlock,
    rules::Rule,
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
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    },
    uaccess::{
        self,
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

/// Creates a ruleset and returns its file descriptor.
///
/// `attr` and `size`, in bytes, are those of user space. May sleep.
fn create_ruleset(attr: UserPtr, size: usize) -> Result<c_int> {
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

    let attr = uaccess::copy_struct_from_user::<RulesetAttr>(attr, size)?;
    let ruleset = Ruleset::new(&attr)?;

    RULESETS.open(
        c"[landlock-ruleset]",
        ruleset,
        kernel::fs::file::flags::O_RDWR | kernel::fs::file::flags::O_CLOEXEC,
    )
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

    match rule_type {
        RULE_PATH_BENEATH => ruleset.rules.add_path_beneath(attr, flags),
        RULE_NET_PORT => add_net_port_rule(&ruleset, attr, flags),
        _ => Err(EINVAL),
    }
}

fn add_net_port_rule(ruleset: &Ruleset, attr: UserPtr, flags: u32) -> Result {
    let NetPortAttr(attr) = UserSlice::new(attr, size_of::<NetPortAttr>())
        .reader()
        .read()?;
    let quiet = flags & ADD_RULE_QUIET != 0;

    // A rule that grants nothing is useless, unless it is there to be quiet.
    if flags == 0 && attr.allowed_access == 0 {
        return Err(ENOMSG);
    }

    let access = AccessSet::from_bits(attr.allowed_access).ok_or(EINVAL)?;
    if !ruleset.handled.contains_all(access) {
        return Err(EINVAL);
    }

    if quiet && ruleset.quiet.is_empty() {
        return Err(EINVAL);
    }

    let port = u16::try_from(attr.port).map_err(|_| EINVAL)?;

    let mut rules = ruleset.rules.lock();
    rules.add(port, Rule { access, quiet })?;
    rules.note_net_rule(port, access | !ruleset.handled, flags);
    Ok(())
}

/// Enforces the ruleset of `ruleset_fd` on the calling thread, or on all threads of its process:
/// both parts of it, or none.
fn restrict_self(call: &mut SystemCall, ruleset_fd: c_int, flags: u32) -> Result {
    landlock::may_restrict_self(call, flags)?;

    // Only this may be asked without a ruleset.
    let only_log = ruleset_fd == -1 && flags & !TSYNC == LOG_SUBDOMAINS_OFF;
    let file = if only_log {
        None
    } else {
        Some(Fd::get(ruleset_fd)?)
    };
    let ruleset = match &file {
        Some(file) => Some(ruleset_of(file, anon_inode::can_read)?),
        None => None,
    };

    let mut cred = PreparedCred::new()?;

    match &ruleset {
        Some(ruleset) => stack(call, &mut cred, ruleset, flags)?,
        None => landlock::set_log_flags(call, &mut cred, flags)?,
    }

    // No lock is held here: the threads to synchronize may be waiting for it.
    landlock::commit(call, cred, ruleset.is_some(), flags)
}

/// Stacks both parts of `ruleset` on the domains of `cred`.
fn stack(call: &SystemCall, cred: &mut PreparedCred, ruleset: &Ruleset, flags: u32) -> Result {
    let mut rules = ruleset.rules.lock();
    let level = landlock::stack(call, cred, &rules, flags)?;

    if ruleset.handled.is_empty() {
        return Ok(());
    }

    let subject = cred.blob_mut::<Portlock>().ok_or(EOPNOTSUPP)?;
    let domain = Domain::new(subject.domain(), level, rules.freeze()?)?;

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

    // What the flags ask for is about C Landlock.
    if !crate::is_on() || flags != 0 {
        return landlock::create_ruleset(&call, attr, size, flags);
    }
    match create_ruleset(attr, size) {
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
