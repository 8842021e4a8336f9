// SPDX-License-Identifier: GPL-2.0

//! From rules to layers: what the running kernel can enforce, and how it is told.

use crate::kind::{Kind, MPTCP, TCP, UDP};
use crate::observer::Observer;
use crate::place::{Nets, Ports};
use crate::policy::{Opened, Unix};
use crate::rights::{Protocol, Right, Rights};
use crate::rules::Rules;
use crate::signals::Signals;
use crate::sys::{self, Mask};
use landlock::{
    Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, Scope, ABI,
};
use rustix::net::sockopt;
use rustix::thread::{
    capabilities, capability_is_in_bounding_set, remove_capability_from_bounding_set,
    set_capabilities, CapabilitySet,
};
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command};

/// What the running kernel offers: versions, or 0 without.
///
/// ```
/// let support = portlock::Support::read();
/// assert!(support.portlock == 0 || support.landlock > 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Support {
    /// The version of Portlock's interface.
    pub portlock: u32,
    /// The version of Landlock's interface.
    pub landlock: u32,
    /// Whether the kernel has Landlock, and it is off since the boot.
    pub is_off: bool,
}

impl Support {
    /// Asks the kernel.
    pub fn read() -> Self {
        let version = |answer: io::Result<i32>| {
            answer
                .ok()
                .and_then(|version| u32::try_from(version).ok())
                .unwrap_or(0)
        };
        let landlock = sys::landlock_version();
        let is_off =
            matches!(&landlock, Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP));

        Self {
            portlock: version(sys::portlock_version()),
            landlock: version(landlock),
            is_off,
        }
    }

    /// The version of Landlock as its library has it.
    fn abi(self) -> ABI {
        match self.landlock {
            0 => ABI::Unsupported,
            1 => ABI::V1,
            2 => ABI::V2,
            3 => ABI::V3,
            4 => ABI::V4,
            5 => ABI::V5,
            6 => ABI::V6,
            7 => ABI::V7,
            8 => ABI::V8,
            9 => ABI::V9,
            _ => ABI::V10,
        }
    }

    /// The rights that the kernel can restrict.
    ///
    /// ```
    /// use portlock::{Rights, Support};
    ///
    /// assert_eq!(Support { portlock: 1, landlock: 11, is_off: false }.rights(), Rights::ALL);
    /// assert_eq!(Support { portlock: 0, landlock: 4, is_off: false }.rights().to_string(), "connect-tcp, bind-tcp");
    /// ```
    pub fn rights(self) -> Rights {
        match (self.portlock, self.landlock) {
            (1.., _) => Rights::ALL,
            (_, 10..) => Right::ALL
                .into_iter()
                .filter(|right| right.is_landlocks())
                .collect(),
            (_, 4..) => Rights::from(Right::BindTcp) | Right::ConnectTcp.into(),
            _ => Rights::NONE,
        }
    }
}

/// Why a program is not started.
///
/// ```
/// use portlock::{Failure, Machine, Options, Policy, Support};
///
/// let rules = Policy::default().rules(&Machine::default());
/// let failure = rules.sandbox(Support::default(), Options::default()).unwrap_err();
/// assert!(matches!(failure, Failure::Unenforceable(_)));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The kernel cannot enforce these parts of the policy.
    Unenforceable(Vec<String>),
    /// A part of the policy is wrong on this machine: a sentence.
    Wrong(String),
    /// The kernel refused a step: what was done, and its error.
    System(&'static str, io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unenforceable(parts) => write!(
                f,
                "this kernel cannot enforce {}: boot a kernel with Portlock (portlock show says what this one has), restrict \
                 less with --restrict, or drop these parts with --best-effort",
                parts.join("; ")
            ),
            Self::Wrong(sentence) => f.write_str(sentence),
            Self::System(step, error) => match error.raw_os_error() {
                Some(libc::E2BIG) if *step == ENFORCE => f.write_str(
                    "there are 16 sandboxes around this program already, and the kernel allows no more: put the words of \
                     several into one policy",
                ),
                Some(libc::E2BIG) => f.write_str(
                    "the policy has more than 32,767 different prefixes of a family: use fewer exceptions or larger prefixes",
                ),
                Some(libc::ENOMEM) => write!(f, "{step}: there is no memory for it: raise the memory limit of this group"),
                _ => write!(f, "{step}: {error}"),
            },
        }
    }
}

impl std::error::Error for Failure {}

const ENFORCE: &str = "the kernel does not enforce the policy";

/// How to make the layers of some rules.
///
/// ```
/// let _options = portlock::Options::default().best_effort(true);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    best_effort: bool,
    permissive: bool,
    observer: Option<(&'a Observer, u64)>,
}

impl<'a> Options<'a> {
    /// To leave out what the kernel cannot enforce, and say so.
    pub fn best_effort(self, best_effort: bool) -> Self {
        Self {
            best_effort,
            ..self
        }
    }

    /// To only tell what would be refused. It needs Portlock, and frees nothing of a file.
    pub fn permissive(self, permissive: bool) -> Self {
        Self { permissive, ..self }
    }

    /// Who hears what is refused, with a number for it.
    pub fn observer(self, observer: &'a Observer, cookie: u64) -> Self {
        Self {
            observer: Some((observer, cookie)),
            ..self
        }
    }
}

/// Layers that are ready to be enforced.
#[derive(Debug)]
pub struct Sandbox {
    plain: Vec<OwnedFd>,
    extended: Vec<(OwnedFd, u32)>,
    refuses_keys: bool,
    takes_capabilities: bool,
    /// What the kernel cannot enforce and was left out.
    pub dropped: Vec<String>,
}

/// Rights that suit a socket that is open, for one that only uses it. `None` if it is no socket.
fn suitable(fd: BorrowedFd<'_>) -> rustix::io::Result<Option<Rights>> {
    let Some(kind) = Kind::of(fd)? else {
        return Ok(None);
    };
    let protocol = match kind.protocol {
        Some(TCP | MPTCP) => Protocol::Tcp,
        Some(UDP) => Protocol::Udp,
        // No rule is about it.
        _ => return Ok(Some(Rights::NONE)),
    };
    let is_listening = sockopt::socket_acceptconn(fd)?;
    let has_peer = rustix::net::getpeername(fd).is_ok_and(|peer| peer.is_some());

    Ok(Some(Opened::suitable(protocol, is_listening, has_peer)))
}

impl Opened {
    /// The rights that the socket gets, those that suit it if none are named.
    pub fn granted(&self) -> Result<Rights, Failure> {
        let fd = self.fd;
        let socket = sys::duplicate(fd).map_err(|_| {
            Failure::Wrong(format!(
                "--opened {fd}: no file is open with this number: pass the socket on"
            ))
        })?;
        let suitable = suitable(socket.as_fd())
            .map_err(|error| {
                Failure::Wrong(format!(
                    "--opened {fd}: the kernel does not tell what this socket is ({error}): allow getsockopt(2) on it in \
                     the sandbox around this one, or close it with {fd}<&-"
                ))
            })?
            .ok_or_else(|| {
                Failure::Wrong(format!(
                    "--opened {fd}: this is no socket: leave it out, since other files need no rule"
                ))
            })?;

        if suitable.is_empty() && self.rights.is_some() {
            return Err(Failure::Wrong(format!(
                "--opened {self}: rights are for TCP, MPTCP and UDP, and this is another socket: write --opened {fd}, with \
                 which it can be used"
            )));
        }

        let rights = self.rights.unwrap_or(suitable);
        let of_protocol = |right: Right| Rights::of(right.protocol());
        let strange = rights.without(suitable.iter().next().map_or(Rights::NONE, of_protocol));

        if strange.is_empty() {
            return Ok(rights);
        }
        Err(Failure::Wrong(format!(
            "--opened {self}: this socket is one of the other protocol, which has no {strange}: leave that out, or write \
             --opened {fd} for what suits the socket"
        )))
    }
}

impl Rules {
    /// Makes the layers, so that they only have to be enforced. Nothing is enforced yet.
    ///
    /// Every rule is enforced by this kernel later, or this returns [`Failure::Unenforceable`], or the part
    /// is in [`Sandbox::dropped`] if that was asked for. [`Self::inherited`] tells what open sockets lead around it.
    pub fn sandbox(&self, support: Support, options: Options<'_>) -> Result<Sandbox, Failure> {
        let mut dropped = Vec::new();
        let plain = self.plain(support, &mut dropped)?;
        let has_network = !self.restrict.is_none();
        let has_addresses = [Protocol::Tcp, Protocol::Udp]
            .into_iter()
            .any(|protocol| self.has_addresses(protocol));
        let mut extended = Vec::new();

        if has_network && support.portlock > 0 {
            let flags = if options.permissive {
                sys::PERMISSIVE
            } else {
                0
            };

            extended.push((self.extended(options)?, flags));
        } else if options.permissive && has_network {
            dropped.push("a trial run, for which Portlock is needed".into());
        } else if options.permissive {
            return Err(Failure::Wrong(
                "a trial is about the network, and this policy restricts nothing of it: leave --restrict none or --trial out".into(),
            ));
        }
        if !dropped.is_empty() && !options.best_effort {
            return Err(Failure::Unenforceable(dropped));
        }
        Ok(Sandbox {
            plain: plain.into_iter().collect(),
            extended,
            refuses_keys: self.refuses_keys(),
            takes_capabilities: has_network && has_addresses && has_net_capabilities(),
            dropped,
        })
    }

    /// The extended ruleset, for Portlock.
    fn extended(&self, options: Options<'_>) -> Result<OwnedFd, Failure> {
        let add = |error| Failure::System("the kernel does not take a rule", error);
        let observed = options
            .observer
            .map(|(observer, cookie)| (observer.as_fd().as_raw_fd(), cookie));
        let ruleset = sys::create_ruleset(&sys::RulesetAttr {
            handled_access_net: self.restrict.net.bits(),
            handled_permissions: if self.restrict.create {
                sys::SOCKET_CREATE
            } else {
                0
            },
            flags: if observed.is_some() {
                sys::RULESET_OBSERVED
            } else {
                0
            },
            observer_fd: observed.map_or(0, |(fd, _)| fd),
            observer_cookie: observed.map_or(0, |(_, cookie)| cookie),
            ..Default::default()
        })
        .map_err(|error| Failure::System("the kernel makes no ruleset", error))?;

        for grant in &self.grants {
            let rights = grant.rights.and(self.restrict.net);

            if rights.is_empty() {
                continue;
            }

            let rule = || sys::NetAttr {
                allowed_access: rights.bits(),
                port_first: grant.ports.first.into(),
                port_last: grant.ports.last.into(),
                ..Default::default()
            };

            match &grant.nets {
                Nets::Any => sys::add_rule(ruleset.as_fd(), &rule()).map_err(add)?,
                Nets::Of(nets) => {
                    for net in nets {
                        let mut rule = rule();

                        rule.prefix_len = net.prefix_len().into();
                        match net.network() {
                            IpAddr::V4(address) => {
                                rule.family = libc::AF_INET as u32;
                                rule.address[..4].copy_from_slice(&address.octets());
                            }
                            IpAddr::V6(address) => {
                                rule.family = libc::AF_INET6 as u32;
                                rule.address = address.octets();
                            }
                        }
                        sys::add_rule(ruleset.as_fd(), &rule).map_err(add)?;
                    }
                }
            }
        }
        for made in self.kinds.iter().filter(|_| self.restrict.create) {
            let rule = sys::SocketAttr {
                permissions: sys::SOCKET_CREATE,
                family: made.kind.family.into(),
                kind: made.kind.kind.map_or(-1, i32::from),
                protocol: made.kind.protocol.map_or(-1, i32::from),
                ..Default::default()
            };

            sys::add_rule(ruleset.as_fd(), &rule).map_err(add)?;
        }
        for opened in &self.opened {
            let rights = opened.granted()?.and(self.restrict.net);

            if !rights.is_empty() {
                let rule = sys::OpenedAttr {
                    allowed_access: rights.bits(),
                    fd: opened.fd,
                    ..Default::default()
                };

                sys::add_rule(ruleset.as_fd(), &rule).map_err(add)?;
            }
        }
        Ok(ruleset)
    }

    /// The plain ruleset: files and AF_UNIX sockets, and the network where there is only Landlock.
    fn plain(
        &self,
        support: Support,
        dropped: &mut Vec<String>,
    ) -> Result<Option<OwnedFd>, Failure> {
        let abi = support.abi();
        let plain = Plain {
            rules: self,
            abi,
            support,
        };
        let net = if support.portlock > 0 {
            Rights::NONE
        } else {
            plain.net(dropped)
        };
        let (mut files, scopes) = plain.files(dropped);

        if files.is_empty() && !scopes && net.is_empty() {
            return Ok(None);
        }

        let failed = |error: landlock::RulesetError| {
            Failure::System(
                "the kernel makes no ruleset of Landlock",
                io::Error::other(error),
            )
        };
        let mut ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);

        if !files.is_empty() {
            ruleset = ruleset.handle_access(files).map_err(failed)?;
        }
        if scopes {
            ruleset = ruleset.scope(Scope::AbstractUnixSocket).map_err(failed)?;
        }
        for right in net.iter() {
            ruleset = ruleset.handle_access(landlocks(right)).map_err(failed)?;
        }

        let mut created = ruleset.create().map_err(failed)?;

        // Below a path that may be written, sockets of others stay out of reach.
        files.remove(AccessFs::ResolveUnix);
        for (list, flag, rights) in [
            (&self.read, "--read", AccessFs::from_read(abi) & files),
            (&self.write, "--write", AccessFs::from_all(abi) & files),
        ] {
            for path in list {
                created = beneath(created, path, flag, rights, abi)?;
            }
        }
        if let Unix::Below(paths) = &self.unix {
            for path in paths {
                created = beneath(created, path, "--unix", AccessFs::ResolveUnix.into(), abi)?;
            }
        }
        for (right, port) in plain.ports(net) {
            created = created
                .add_rule(NetPort::new(port, landlocks(right)))
                .map_err(failed)?;
        }
        Ok(created.into())
    }
}

/// A right of Landlock's in its library.
fn landlocks(right: Right) -> AccessNet {
    match right {
        Right::BindTcp => AccessNet::BindTcp,
        Right::BindUdp => AccessNet::BindUdp,
        Right::ConnectSendUdp => AccessNet::ConnectSendUdp,
        _ => AccessNet::ConnectTcp,
    }
}

/// Adds a path to a ruleset.
fn beneath(
    ruleset: RulesetCreated,
    path: &Path,
    flag: &str,
    mut rights: BitFlags<AccessFs>,
    abi: ABI,
) -> Result<RulesetCreated, Failure> {
    let shown = path.display();
    let wrong = |error: &dyn fmt::Display| Failure::Wrong(format!("{flag} {shown}: {error}"));
    let metadata = path.metadata().map_err(|error| match error.kind() {
        ErrorKind::NotFound => wrong(&"there is no such file: create it, or leave it out"),
        _ => wrong(&error),
    })?;
    let fd = PathFd::new(path).map_err(|error| wrong(&error))?;

    if !metadata.is_dir() {
        rights &= AccessFs::from_file(abi) | AccessFs::ResolveUnix;
    }
    if rights.is_empty() {
        return Ok(ruleset);
    }
    ruleset
        .add_rule(PathBeneath::new(fd, rights))
        .map_err(|error| wrong(&error))
}

/// What Landlock alone can do of some rules.
struct Plain<'a> {
    rules: &'a Rules,
    abi: ABI,
    support: Support,
}

impl Plain<'_> {
    /// The rights of the network that it can restrict, at each port for any address.
    fn net(&self, dropped: &mut Vec<String>) -> Rights {
        let wanted = self.rules.restrict.net;
        let can = self.support.rights().and(wanted);
        let missing = wanted.without(can);

        if !missing.is_empty() {
            dropped.push(format!("rights ({missing})"));
        }
        if self.rules.restrict.create {
            dropped.push(
                "rules about kinds of sockets (MPTCP, raw and other sockets are free)".into(),
            );
        }
        // A rule of Landlock's is for every address.
        for right in can.iter() {
            let narrow = (self.rules.grants.iter()).find(|grant| {
                grant.rights.has(right) && grant.nets != Nets::Any && !grant.is_probe()
            });

            if let Some(grant) = narrow {
                dropped.push(format!(
                    "the addresses of {} ({right} is for every address)",
                    grant.why
                ));
            }
        }
        // Whatever binds can listen, which Landlock does not restrict.
        if let Some(probe) =
            (self.rules.grants.iter()).find(|grant| can.has(Right::BindTcp) && grant.is_probe())
        {
            dropped.push(format!(
                "the bind of port 0 that {} implies (it would be a server's)",
                probe.why
            ));
        }
        for opened in &self.rules.opened {
            if opened.granted().is_ok_and(|rights| rights.is_empty()) {
                continue;
            }
            dropped.push(format!("rules about single sockets (--opened {opened})"));
        }
        can
    }

    /// Each port of each rule.
    fn ports(&self, net: Rights) -> impl Iterator<Item = (Right, u16)> + '_ {
        net.iter().flat_map(|right| {
            let mut ports: Vec<Ports> = (self.rules.grants.iter())
                .filter(|grant| grant.rights.has(right) && !grant.is_probe())
                .map(|grant| grant.ports)
                .collect();

            ports.sort_unstable();

            let all: std::collections::BTreeSet<u16> = ports
                .into_iter()
                .flat_map(|ports| ports.first..=ports.last)
                .collect();

            all.into_iter().map(move |port| (right, port))
        })
    }

    /// The rights of files to restrict, and whether abstract AF_UNIX sockets are.
    fn files(&self, dropped: &mut Vec<String>) -> (BitFlags<AccessFs>, bool) {
        let landlock = self.support.landlock;
        let mut files = BitFlags::EMPTY;
        let holds_unix = self.rules.unix != Unix::Any;

        if self.rules.holds_files() {
            files |= AccessFs::from_all(self.abi);
            if landlock < 5 {
                dropped.push("all rules about files (Landlock's fifth version has them)".into());
            }
        }
        files.remove(AccessFs::ResolveUnix);
        if holds_unix && landlock >= 9 {
            files |= AccessFs::ResolveUnix;
        } else if holds_unix {
            dropped.push(
                "that AF_UNIX sockets of others are out of reach (--unix any frees them)".into(),
            );
        }
        (files, holds_unix && landlock >= 6)
    }
}

/// What a step is, and its error, in the one number that comes back from a new process.
const STEP: i32 = 1 << 16;

impl Sandbox {
    /// Holds the calling thread, and all that it starts, to the rules. There is no way back.
    ///
    /// Files come first, then the network, then the filter for keys and for typing into the terminal. On an error, some of it may hold already: end then.
    pub fn enforce(&self) -> Result<(), Failure> {
        self.try_enforce()
            .map_err(|error| Failure::System(ENFORCE, error))
    }

    fn try_enforce(&self) -> io::Result<()> {
        if self.takes_capabilities {
            give_up_net_capabilities()?;
        }
        sys::set_no_new_privs()?;
        for plain in &self.plain {
            sys::restrict_self(plain.as_fd(), 0)?;
        }
        for (extended, flags) in &self.extended {
            sys::restrict_self(extended.as_fd(), *flags)?;
        }
        sys::set_filter(self.refuses_keys)
    }

    /// Adds the layer of other rules, which is enforced after those that are there.
    pub fn and(&mut self, other: Self) {
        self.plain.extend(other.plain);
        self.extended.extend(other.extended);
        self.refuses_keys |= other.refuses_keys;
        self.takes_capabilities |= other.takes_capabilities;
        self.dropped.extend(other.dropped);
    }

    /// Becomes a command in the sandbox. Returns only if it does not.
    ///
    /// The error is that of the program, as [`CommandExt::exec`](std::os::unix::process::CommandExt::exec) has it, or
    /// a [`Failure`]. As with env(1), a signal that this process was started to ignore is ignored in the command.
    ///
    /// ```no_run
    /// use portlock::{Machine, Options, Policy, Support};
    /// use std::process::Command;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let rules = Policy::from_toml("connect = ['tcp:443']", "built in")?.rules(&Machine::read());
    /// let sandbox = rules.sandbox(Support::read(), Options::default())?;
    ///
    /// Err(sandbox.exec(Command::new("curl"))?.into())
    /// # }
    /// ```
    pub fn exec(self, mut command: Command) -> Result<io::Error, Failure> {
        self.enforce()?;
        Ok(sys::exec(&mut command))
    }

    /// Starts a command in the sandbox, and gives up the layers here, so that an observer can end.
    ///
    /// The error is that of the program, as [`Command::spawn`] has it, or [`Failure::System`]. As with env(1), a
    /// signal that this process was started to ignore is ignored in the command. In this process, SIGCHLD has its
    /// default from the start, since the kernel would keep no exit status otherwise. `signals`, if there are any, are
    /// not held back in the command.
    ///
    /// ```no_run
    /// use portlock::{Machine, Options, Policy, Support};
    /// use std::process::Command;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let rules = Policy::from_toml("connect = ['tcp:443']", "built in")?.rules(&Machine::read());
    /// let sandbox = rules.sandbox(Support::read(), Options::default())?;
    ///
    /// assert!(sandbox.spawn(Command::new("curl"), None)??.wait()?.success());
    /// # Ok(())
    /// # }
    /// ```
    pub fn spawn(
        self,
        mut command: Command,
        signals: Option<&Signals>,
    ) -> Result<io::Result<Child>, Failure> {
        let before = signals.map(Signals::before);
        let prepare = move || {
            let held = self.try_enforce();
            let held = held.and_then(|()| before.map_or(Ok(()), Mask::restore));

            held.map_err(|error| {
                io::Error::from_raw_os_error(STEP | error.raw_os_error().unwrap_or(libc::EIO))
            })
        };

        match sys::spawn_after(&mut command, prepare) {
            Err(error) => match error.raw_os_error() {
                Some(number) if number & STEP != 0 => Err(Failure::System(
                    ENFORCE,
                    io::Error::from_raw_os_error(number & !STEP),
                )),
                _ => Ok(Err(error)),
            },
            Ok(child) => Ok(Ok(child)),
        }
    }

    /// Whether `CAP_NET_ADMIN` and `CAP_NET_RAW` will be given up: a program that has one of them is not held by
    /// addresses.
    pub fn takes_capabilities(&self) -> bool {
        self.takes_capabilities
    }

    /// Whether add_key(2) and request_key(2) will be refused.
    pub fn refuses_keys(&self) -> bool {
        self.refuses_keys
    }
}

const NET_CAPABILITIES: [CapabilitySet; 2] = [CapabilitySet::NET_ADMIN, CapabilitySet::NET_RAW];

/// Whether a program that is started now would have a capability by which it goes around addresses.
fn has_net_capabilities() -> bool {
    let Ok(sets) = capabilities(None) else {
        return true;
    };
    // Root gets what is in the bounding set when it starts a program.
    let is_root = rustix::process::getuid().is_root() || rustix::process::geteuid().is_root();
    let is_bounded = |one| capability_is_in_bounding_set(one).unwrap_or(true);
    let held = sets.permitted | sets.effective | sets.inheritable;

    NET_CAPABILITIES
        .into_iter()
        .any(|one| held.contains(one) || is_root && is_bounded(one))
}

/// Gives these capabilities up, for this thread and all that it starts.
fn give_up_net_capabilities() -> io::Result<()> {
    let is_root = rustix::process::getuid().is_root() || rustix::process::geteuid().is_root();

    for one in NET_CAPABILITIES {
        // Who is not root gets nothing from this set, since there are no new privileges.
        if is_root && capability_is_in_bounding_set(one)? {
            remove_capability_from_bounding_set(one)?;
        }
    }

    let mut sets = capabilities(None)?;

    for set in [
        &mut sets.effective,
        &mut sets.permitted,
        &mut sets.inheritable,
    ] {
        NET_CAPABILITIES.into_iter().for_each(|one| set.remove(one));
    }
    Ok(set_capabilities(None, sets)?)
}

/// Whether this process has capabilities of root, by which a program can leave any sandbox of the network.
///
/// ```
/// let _is_root = portlock::has_root_capabilities();
/// ```
pub fn has_root_capabilities() -> bool {
    let strong = CapabilitySet::SYS_ADMIN
        | CapabilitySet::SYS_MODULE
        | CapabilitySet::SYS_RAWIO
        | CapabilitySet::BPF;

    capabilities(None).is_ok_and(|sets| sets.permitted.intersects(strong))
}

/// Whether the kernel has sockets of a protocol's two families: IPv4 and IPv6.
///
/// ```
/// let (v4, _v6) = portlock::families(portlock::Protocol::Tcp);
/// assert!(v4);
/// ```
pub fn families(protocol: Protocol) -> (bool, bool) {
    use rustix::net::{socket, AddressFamily, SocketType};

    let kind = match protocol {
        Protocol::Tcp => SocketType::STREAM,
        Protocol::Udp => SocketType::DGRAM,
    };
    let has = |family| {
        !matches!(
            socket(family, kind, None),
            Err(rustix::io::Errno::AFNOSUPPORT)
        )
    };

    (has(AddressFamily::INET), has(AddressFamily::INET6))
}
