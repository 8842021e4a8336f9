// SPDX-License-Identifier: GPL-2.0

//! The only door to C Landlock: most of the `unsafe` of this folder lives here.
//!
//! C header: [`security/landlock/front.h`](srctree/security/landlock/front.h).

use crate::{
    abi::{
        RulesetAttr,
        AF_INET,
        AF_INET6,
        MAX_LAYERS, //
    },
    access::{
        Access,
        AccessSet, //
    },
    Portlock, //
};
use core::{
    cell::UnsafeCell,
    net::IpAddr,
    ops::{
        Deref,
        DerefMut, //
    },
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    bindings,
    error::to_result,
    ffi::{
        c_int,
        c_long, //
    },
    lsm::{
        self,
        PreparedCred,
        SystemCall, //
    },
    net::socket::{
        Sock,
        SocketParams, //
    },
    prelude::*,
    types::NotThreadSafe,
    uaccess::UserPtr, //
};

/// Whether the boot's list of LSMs names Landlock. `false` as long as the list is not read, which is
/// before the list's first LSM is initialized.
pub(crate) fn is_enabled() -> bool {
    // SAFETY: Only the LSM framework writes it, at boot, before there are other threads.
    unsafe { bindings::landlock_enabled == 1 }
}

/// C Landlock's own `landlock_create_ruleset(2)`.
pub(crate) fn create_ruleset(_call: &SystemCall, attr: UserPtr, size: usize, flags: u32) -> c_long {
    // SAFETY: The C function checks what comes from user space.
    unsafe { bindings::do_landlock_create_ruleset(attr.as_const_ptr().cast(), size, flags) }
}

/// C Landlock's own `landlock_add_rule(2)`.
pub(crate) fn add_rule(
    _call: &SystemCall,
    ruleset_fd: c_int,
    rule_type: u32,
    attr: UserPtr,
    flags: u32,
) -> c_long {
    // SAFETY: The C function checks what comes from user space.
    unsafe { bindings::do_landlock_add_rule(ruleset_fd, rule_type, attr.as_const_ptr(), flags) }
}

/// C Landlock's own `landlock_restrict_self(2)`.
pub(crate) fn restrict_self(_call: &mut SystemCall, ruleset_fd: c_int, flags: u32) -> c_long {
    // SAFETY: The C function checks what comes from user space. That there is a
    // `SystemCall`, which nobody else uses, says that it may install credentials.
    unsafe { bindings::do_landlock_restrict_self(ruleset_fd, flags) }
}

/// Checks the flags of `landlock_restrict_self(2)`, and that the calling thread may use it.
///
/// Returns `EINVAL` for unknown flags, and `EPERM` for a thread that neither has `no_new_privs`,
/// nor is about to get it, nor has `CAP_SYS_ADMIN` in its user namespace.
pub(crate) fn may_restrict_self(_call: &SystemCall, flags: u32) -> Result {
    // SAFETY: The C function only looks at the current task.
    to_result(unsafe { bindings::landlock_may_restrict_self(flags) })
}

/// Applies the log flags of `landlock_restrict_self(2)` to `cred`, without a ruleset.
pub(crate) fn set_log_flags(call: &SystemCall, cred: &mut PreparedCred, flags: u32) -> Result {
    merge(call, cred, ptr::null_mut(), flags, false).map(|_| ())
}

/// Stacks a ruleset on C Landlock's domain of `cred`, and returns the number of its layers.
///
/// Returns `E2BIG` if there are [`MAX_LAYERS`] already, or `ENOMEM`; then `cred` must be
/// dropped.
pub(crate) fn stack<T>(
    call: &SystemCall,
    cred: &mut PreparedCred,
    ruleset: &LockedCRuleset<'_, T>,
    flags: u32,
    is_permissive: bool,
) -> Result<u8> {
    merge(call, cred, ruleset.0.ruleset.as_ptr(), flags, is_permissive)
}

fn merge(
    _call: &SystemCall,
    cred: &mut PreparedCred,
    ruleset: *mut bindings::landlock_ruleset,
    flags: u32,
    is_permissive: bool,
) -> Result<u8> {
    // SAFETY: The credentials are under construction and belong to this thread, whose own ones are
    // not overridden in a `SystemCall`. The ruleset is null, or valid and locked by the callers.
    let layers =
        unsafe { bindings::landlock_merge_cred(cred.as_ptr(), ruleset, flags, is_permissive) };

    // There are at most `MAX_LAYERS`; else it is an error.
    u8::try_from(layers).map_err(|_| Error::from_errno(layers))
}

/// Installs `cred`, in all threads of the process with [`TSYNC`](crate::abi::TSYNC): in all or in
/// none.
///
/// `new_domain` tells whether a ruleset was stacked. No lock of a ruleset may be held. May sleep.
pub(crate) fn commit(
    _call: &mut SystemCall,
    cred: PreparedCred,
    new_domain: bool,
    flags: u32,
) -> Result {
    // SAFETY: The C function consumes the credentials, which belong to this thread. That there is a
    // `SystemCall`, which nobody else uses, says that it may install them.
    to_result(unsafe { bindings::landlock_commit_cred(cred.into_raw(), new_domain, flags) })
}

/// An owned `struct landlock_ruleset`, whose lock protects `data`, too.
///
/// # Invariants
///
/// The pointer is valid, and `self` owns a reference. Only who holds the lock accesses `data`, by
/// the guard [`LockedCRuleset`].
pub(crate) struct CRuleset<T> {
    ruleset: NonNull<bindings::landlock_ruleset>,
    data: UnsafeCell<T>,
}

// SAFETY: The C structure is reference-counted, and its lock protects what changes; `data` may be
// sent.
unsafe impl<T: Send> Send for CRuleset<T> {}

// SAFETY: The C structure is reference-counted, and its lock protects what changes. So it does
// `data`: one thread at a time has access, as if it were sent there.
unsafe impl<T: Send> Sync for CRuleset<T> {}

impl<T: Default> CRuleset<T> {
    /// Checks `attr` and creates a ruleset of it, with an event but without a file descriptor.
    ///
    /// Returns `EINVAL` for unknown rights or quiet ones that are not handled, `ENOMSG` if nothing
    /// is handled, `ENOMEM`.
    pub(crate) fn new(attr: &RulesetAttr) -> Result<Self> {
        Self::make(attr, false)
    }

    /// Creates a ruleset for an extended one that handles the rights in `access`. It may be empty:
    /// Landlock knows some of the rights only.
    ///
    /// Returns `ENOMEM`.
    pub(crate) fn extended(access: AccessSet, quiet: AccessSet) -> Result<Self> {
        let mut attr = RulesetAttr(pin_init::zeroed());

        attr.0.handled_access_net = access.landlock_bits().into();
        attr.0.quiet_access_net = quiet.landlock_bits().into();
        Self::make(&attr, true)
    }

    #[inline]
    fn make(attr: &RulesetAttr, is_extended: bool) -> Result<Self> {
        let mut ruleset = ptr::null_mut();

        // SAFETY: Both pointers are valid for the call.
        to_result(unsafe { bindings::landlock_new_ruleset(&attr.0, is_extended, &mut ruleset) })?;
        // INVARIANT: On success, the C function returns a reference.
        Ok(Self {
            ruleset: NonNull::new(ruleset).ok_or(ENOMEM)?,
            data: UnsafeCell::default(),
        })
    }
}

impl<T> CRuleset<T> {
    /// Adds a filesystem rule, as `landlock_add_rule(2)` with `LANDLOCK_RULE_PATH_BENEATH`. Takes
    /// the lock.
    pub(crate) fn add_path_beneath(&self, attr: UserPtr, flags: u32) -> Result {
        let ruleset = self.ruleset.as_ptr();

        // SAFETY: The ruleset is valid, and the C function checks what comes from user space.
        to_result(unsafe {
            bindings::landlock_add_rule_path_beneath(ruleset, attr.as_const_ptr(), flags)
        })
    }

    /// Takes the lock. May sleep.
    pub(crate) fn lock(&self) -> LockedCRuleset<'_, T> {
        // SAFETY: The ruleset is valid, and the guard gives the lock back.
        unsafe { bindings::portlock_lock_ruleset(self.ruleset.as_ptr()) };
        // INVARIANT: The lock was taken.
        LockedCRuleset(self, NotThreadSafe)
    }
}

impl<T> Drop for CRuleset<T> {
    fn drop(&mut self) {
        // SAFETY: By the invariant, there is a reference to give back.
        unsafe { bindings::landlock_put_ruleset(self.ruleset.as_ptr()) };
    }
}

/// A [`CRuleset`] whose lock is held: the guard of what it protects.
///
/// # Invariants
///
/// The lock was taken for `self`, and is held until it is dropped.
pub(crate) struct LockedCRuleset<'a, T>(&'a CRuleset<T>, NotThreadSafe);

impl<T> LockedCRuleset<'_, T> {
    /// Counts a rule that was added to `data`, and emits Landlock's event: a rule for one port.
    ///
    /// `access` is the rights of the rule and all that the ruleset does not handle.
    pub(crate) fn note_net_port_rule(&self, port: u16, access: AccessSet, flags: u32) {
        let ruleset = self.0.ruleset.as_ptr();

        self.count_rule();
        // SAFETY: The ruleset is valid, and locked by the invariant.
        unsafe {
            bindings::portlock_trace_net_port_rule(ruleset, port, access.landlock_bits(), flags)
        };
    }

    /// Counts a rule that was added to `data`, and emits its event: ports and addresses.
    pub(crate) fn note_net_rule(&self, attr: &bindings::portlock_net_attr, flags: u32) {
        self.count_rule();
        self.trace_net_rule(attr, flags);
    }

    /// Emits the event of a rule about ports and addresses that was counted.
    pub(crate) fn trace_net_rule(&self, attr: &bindings::portlock_net_attr, flags: u32) {
        // SAFETY: The ruleset is valid, and locked by the invariant.
        unsafe { bindings::portlock_trace_net_rule(self.0.ruleset.as_ptr(), attr, flags) };
    }

    /// Counts a rule that was added to `data`, and emits its event: a kind of sockets.
    pub(crate) fn note_socket_rule(&self, attr: &bindings::portlock_socket_attr) {
        self.count_rule();
        // SAFETY: The ruleset is valid, and locked by the invariant.
        unsafe { bindings::portlock_trace_socket_rule(self.0.ruleset.as_ptr(), attr) };
    }

    /// Counts a rule that was added to `data`, and emits its event: the socket `sk`.
    pub(crate) fn note_opened_rule(&self, attr: &bindings::portlock_opened_attr, sk: &Sock) {
        self.count_rule();
        // SAFETY: The ruleset is valid, and locked by the invariant. So is the socket.
        unsafe {
            bindings::portlock_trace_opened_rule(
                self.0.ruleset.as_ptr(),
                attr.allowed_access,
                sk.as_ptr(),
            )
        };
    }

    fn count_rule(&self) {
        // SAFETY: The ruleset is valid, and locked by the invariant.
        unsafe { bindings::portlock_count_rule(self.0.ruleset.as_ptr()) };
    }
}

impl<T> Deref for LockedCRuleset<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: By the invariants, nobody else accesses the data while `self`, which is borrowed,
        // holds the lock.
        unsafe { &*self.0.data.get() }
    }
}

impl<T> DerefMut for LockedCRuleset<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: By the invariants, nobody else accesses the data while `self`, which is borrowed
        // for writing, holds the lock.
        unsafe { &mut *self.0.data.get() }
    }
}

impl<T> Drop for LockedCRuleset<'_, T> {
    fn drop(&mut self) {
        // SAFETY: By the invariant, the lock is there to be given back.
        unsafe { bindings::portlock_unlock_ruleset(self.0.ruleset.as_ptr()) };
    }
}

/// What the layer at `level` says of a port, as C takes it.
fn layer(level: u8, access: AccessSet, quiet: bool) -> bindings::portlock_layer {
    bindings::portlock_layer {
        access: access.landlock_bits(),
        level,
        quiet,
    }
}

/// What some layers say of a port, by ascending level.
pub(crate) struct LayerRights {
    layers: [bindings::portlock_layer; MAX_LAYERS],
    len: usize,
}

impl LayerRights {
    /// Creates an empty list.
    pub(crate) fn new() -> Self {
        Self {
            layers: pin_init::zeroed(),
            len: 0,
        }
    }

    /// Adds what the layer at `level` says; a 17th layer, of which there is none, is left out.
    pub(crate) fn push(&mut self, level: u8, access: AccessSet, quiet: bool) {
        if let Some(next) = self.layers.get_mut(self.len) {
            *next = layer(level, access, quiet);
            self.len += 1;
        }
    }

    /// Whether no layer says anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Whether someone listens to `landlock_check_rule_net_port`: a static branch.
#[inline(always)]
pub(crate) fn checks_are_traced() -> bool {
    #[cfg(CONFIG_TRACEPOINTS)]
    // SAFETY: The key is the one of a tracepoint that C defines.
    return unsafe {
        kernel::jump_label::static_branch_unlikely!(
            bindings::__tracepoint_landlock_check_rule_net_port,
            bindings::tracepoint,
            key
        )
    };
    #[cfg(not(CONFIG_TRACEPOINTS))]
    false
}

/// Emits the event of a check of `access` on `port`, for the rules that `granted` comes from.
///
/// Does nothing if the current credentials have no domain of C Landlock's.
pub(crate) fn trace_check(port: u16, access: Access, granted: &LayerRights) {
    // SAFETY: The layers are valid for the call, and their number is right.
    unsafe {
        bindings::portlock_trace_check(
            port,
            AccessSet::from(access).landlock_bits(),
            granted.layers.as_ptr(),
            // CAST: There are at most `MAX_LAYERS`.
            granted.len as u32,
        )
    };
}

/// A refused access to the network, for audit and trace.
pub(crate) struct Denial<'a> {
    /// The socket.
    pub(crate) sk: &'a Sock,
    /// The family of the socket when it was checked.
    pub(crate) socket_family: u16,
    /// The address that was passed, at least as long as what was read of it.
    pub(crate) address: &'a [u8],
    /// Whether it is known what port and address the stack will take from `address`.
    pub(crate) names_port: bool,
    /// The refused right.
    pub(crate) access: Access,
}

impl Denial<'_> {
    /// Counts the denial and gives it to audit and trace, as far as the log flags and quiet rules of
    /// the youngest layer that refuses say: the one at `level`, whose rule for the port may be quiet.
    ///
    /// Does nothing if the current credentials have no domain of C Landlock's.
    pub(crate) fn log(&self, level: u8, quiet: bool) {
        let mut audit = self.audit();

        // SAFETY: All pointers are valid for the call, and the length is right.
        unsafe {
            bindings::portlock_log_denial(
                &mut audit,
                self.address.as_ptr().cast(),
                self.address.len() as c_int,
                self.socket_family,
                &layer(level, self.access.into(), quiet),
            )
        };
    }

    /// What audit prints: the address as the remote or as the local one, if it is known.
    fn audit(&self) -> bindings::lsm_network_audit {
        let mut audit: bindings::lsm_network_audit = pin_init::zeroed();

        audit.sk = self.sk.as_ptr();
        if let [family_0, family_1, port_0, port_1, rest @ ..] = self.address {
            audit.family = u16::from_ne_bytes([*family_0, *family_1]);

            if self.names_port {
                // Ports and addresses stay in network byte order.
                let port = u16::from_ne_bytes([*port_0, *port_1]);

                if self.access.is_about_local() {
                    audit.sport = port;
                } else {
                    audit.dport = port;
                }
                self.audit_address(&mut audit, rest);
            }
        }
        audit
    }

    /// Fills in the address; `rest` is what follows the port.
    fn audit_address(&self, audit: &mut bindings::lsm_network_audit, rest: &[u8]) {
        if audit.family == AF_INET6 {
            // After the flow information.
            if let Some(bytes) = rest.get(4..).and_then(|bytes| bytes.first_chunk()) {
                let address = bindings::in6_addr {
                    in6_u: bindings::in6_addr__bindgen_ty_1 { u6_addr8: *bytes },
                };

                if self.access.is_about_local() {
                    audit.fam.v6.saddr = address;
                } else {
                    audit.fam.v6.daddr = address;
                }
            }
        } else if let Some(bytes) = rest.first_chunk() {
            let address = u32::from_ne_bytes(*bytes);

            if self.access.is_about_local() {
                audit.fam.v4.saddr = address;
            } else {
                audit.fam.v4.daddr = address;
            }
        }
    }
}

/// What a denial that Landlock has no name for is about.
#[derive(Clone, Copy)]
pub(crate) enum About<'a> {
    /// The kind of a socket that is not there yet.
    Kind(SocketParams),
    /// A socket, whatever it is bound or connected to.
    Socket(&'a Sock),
    /// The local port, in host byte order, and address of a socket.
    Local(&'a Sock, u16, IpAddr),
    /// The port, in host byte order, and address of a socket's peer.
    Peer(&'a Sock, u16, IpAddr),
    /// What a socket is used for.
    Service {
        sk: &'a Sock,
        /// The service port, in host byte order.
        port: u16,
        /// Whether it is a local one, and not the peer's.
        is_local: bool,
        /// The address of the peer, if there is one.
        peer: Option<IpAddr>,
    },
}

/// The family of an address, and its bytes as C takes them.
pub(crate) fn family_and_bytes(address: IpAddr) -> (u16, [u8; 16]) {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();

            (AF_INET, [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        }
        IpAddr::V6(address) => (AF_INET6, address.octets()),
    }
}

/// What there is to say of a denial.
pub(crate) struct Parts<'a> {
    /// The socket, if there is one.
    sk: Option<&'a Sock>,
    /// The family, the type and the protocol of the socket, or of the one that was asked for.
    pub(crate) kind: [i32; 3],
    /// The port, in host byte order.
    pub(crate) port: Option<u16>,
    pub(crate) address: Option<IpAddr>,
    is_local_port: bool,
    is_local_address: bool,
}

impl<'a> About<'a> {
    /// What there is to say.
    pub(crate) fn parts(self) -> Parts<'a> {
        let (sk, port, address) = match self {
            Self::Kind(_) => (None, None, None),
            Self::Socket(sk) => (Some(sk), None, None),
            Self::Local(sk, port, address) | Self::Peer(sk, port, address) => {
                (Some(sk), Some(port), Some(address))
            }
            Self::Service { sk, port, peer, .. } => (Some(sk), Some(port), peer),
        };
        let kind = match (self, sk.map(Sock::kind)) {
            (Self::Kind(params), _) => [params.family, params.type_, params.protocol],
            (_, Some(kind)) => [kind.family(), kind.type_(), kind.protocol()].map(i32::from),
            (_, None) => [0; 3],
        };
        let is_local_address = matches!(self, Self::Local(..));

        Parts {
            sk,
            kind,
            port,
            address,
            is_local_port: is_local_address || matches!(self, Self::Service { is_local: true, .. }),
            is_local_address,
        }
    }
}

/// Counts the denial of what Landlock has no name for, by the layer at `level`, and gives it to audit
/// and trace as far as the log flags say; audit gets none that is `quiet`. `name` is what audit
/// prints.
///
/// Does nothing if the current credentials have no domain of C Landlock's.
pub(crate) fn log_by_name(name: &'static CStr, about: About<'_>, level: u8, quiet: bool) {
    let parts = about.parts();
    let [family, type_, protocol] = parts.kind;
    let mut denial = bindings::portlock_denial {
        blockers: name.as_char_ptr(),
        sk: parts.sk.map_or(ptr::null(), |sk| sk.as_ptr().cast_const()),
        family,
        type_,
        protocol,
        port: parts.port.map_or(-1, i32::from),
        level,
        quiet,
        is_local_port: parts.is_local_port,
        is_local_address: parts.is_local_address,
        ..pin_init::zeroed()
    };

    if let Some(address) = parts.address {
        (denial.address_family, denial.address) = family_and_bytes(address);
    }

    // SAFETY: All pointers are valid for the call, or null where they may be.
    unsafe { bindings::portlock_log_front_denial(&denial) };
}

/// Gives `dst` the network domain of `src`, as `landlock_cred_copy()` does for C Landlock's.
///
/// # Safety
///
/// Both must be valid, and `dst` under construction.
#[export]
unsafe extern "C" fn portlock_cred_copy(dst: *mut bindings::cred, src: *const bindings::cred) {
    if crate::is_on() {
        // SAFETY: By the requirements of this function.
        unsafe { lsm::copy_cred_blob::<Portlock>(dst, src) };
    }
}
