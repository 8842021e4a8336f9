// SPDX-License-Identifier: GPL-2.0

//! What one policy allows and another does not, decided exactly.

use crate::kind::{Kind, DGRAM, INET, INET6, MPTCP, STREAM, TCP, UDP, UNIX};
use crate::place::Nets;
use crate::policy::Unix;
use crate::ranges::AddressSet;
use crate::rights::{Protocol, Right, Rights};
use crate::rules::{Rules, Why};
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Component, Path, PathBuf};

/// Something that one policy allows and the other does not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Witness {
    /// An access. Without an address, it is one of a socket that has no peer or chooses its own way.
    Access {
        /// The right.
        right: Right,
        /// The port.
        port: u16,
        /// The address.
        address: Option<IpAddr>,
        /// Why it is allowed, if it is restricted at all.
        why: Option<Why>,
    },
    /// A socket of this kind can be made.
    Create(Kind),
    /// An open socket can be used.
    Opened(i32, Rights),
    /// An open socket can be inherited that no rule holds.
    Inherit {
        /// The file descriptor.
        fd: i32,
        /// Whether it is one of UDP that is connected. Else it is one of a kind that cannot be made.
        is_udp: bool,
    },
    /// An option can be set that makes a socket choose its own way, such as `SO_BINDTODEVICE`.
    OwnWay(Protocol),
    /// A filter can be attached to a socket, which a layer refuses that restricts to receive.
    Filter(Protocol),
    /// A socket of SMC can do something, which a layer refuses that restricts it for TCP.
    Smc,
    /// A file can be read.
    Read(PathBuf),
    /// A file can be written.
    Write(PathBuf),
    /// An AF_UNIX socket of others can be reached.
    Unix(PathBuf),
    /// Keys can be asked for.
    Keyrings,
}

/// Writes an address and a port.
pub(crate) fn show(address: Option<IpAddr>, port: u16) -> String {
    match address {
        Some(address) => SocketAddr::new(address, port).to_string(),
        None => format!("*:{port}"),
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Access {
                right,
                port,
                address,
                why,
            } => {
                write!(
                    f,
                    "{} {} {}",
                    right.verb(),
                    right.protocol(),
                    show(*address, *port)
                )?;
                match why {
                    Some(why) => write!(f, " ({why})"),
                    None => f.write_str(" (not restricted)"),
                }
            }
            Self::Create(kind) => write!(f, "create {kind}"),
            Self::Opened(fd, rights) => write!(f, "use the open socket {fd}: {rights}"),
            Self::Inherit { fd, is_udp: true } => {
                write!(
                    f,
                    "inherit the open socket {fd}, connected over UDP to any peer"
                )
            }
            Self::Inherit { fd, .. } => {
                write!(
                    f,
                    "inherit the open socket {fd}, of a kind that no rule holds"
                )
            }
            Self::OwnWay(protocol) => {
                write!(f, "set an option by which a {protocol} socket chooses its way, such as SO_BINDTODEVICE")
            }
            Self::Filter(protocol) => write!(f, "attach a filter to a {protocol} socket"),
            Self::Smc => f.write_str("use a socket of SMC"),
            Self::Read(path) => write!(f, "read {}", path.display()),
            Self::Write(path) => write!(f, "write {}", path.display()),
            Self::Unix(path) => write!(f, "reach the AF_UNIX socket {}", path.display()),
            Self::Keyrings => f.write_str("request_key(2) and add_key(2)"),
        }
    }
}

/// The addresses for which a right is granted on a port, and whether an address matters.
struct Granted {
    is_any: bool,
    set: AddressSet,
}

impl Rules {
    fn granted(&self, right: Right, port: u16) -> Granted {
        let mut all = Granted {
            is_any: !self.restrict.net.has(right),
            set: AddressSet::default(),
        };

        for grant in &self.grants {
            if grant.rights.has(right) && grant.ports.has(port) {
                match &grant.nets {
                    Nets::Any => all.is_any = true,
                    Nets::Of(nets) => nets.iter().for_each(|net| all.set.insert(*net)),
                }
            }
        }
        if all.is_any {
            all.set = AddressSet::all();
        }
        all
    }

    /// The ports at which what is granted of a right may change.
    fn steps(&self, right: Right) -> impl Iterator<Item = u16> + '_ {
        (self.grants.iter())
            .filter(move |grant| grant.rights.has(right))
            .flat_map(|grant| [Some(grant.ports.first), grant.ports.last.checked_add(1)])
            .flatten()
    }

    /// Whether a right is granted on every port, whether there is an address or not.
    fn grants_all(&self, right: Right) -> bool {
        (self.steps(right).chain([0])).all(|port| self.granted(right, port).is_any)
    }

    /// Whether a right is granted on any port, to somebody.
    fn grants_any(&self, right: Right) -> bool {
        (self.steps(right).chain([0])).any(|port| {
            let granted = self.granted(right, port);

            granted.is_any || granted.set.example(!right.is_local()).is_some()
        })
    }

    /// Whether a socket of SMC can do what it could not. A layer refuses it each right of TCP that it restricts, and if
    /// it has addresses for TCP, to bind or connect to an address that names a device.
    fn frees_smc(&self, old: &Self) -> bool {
        let restricted = |rules: &Self| rules.restrict.net.and(Rights::of(Protocol::Tcp));
        let named = Rights::from(Right::BindTcp) | Right::ConnectTcp.into();
        let frees_device = old.has_addresses(Protocol::Tcp) && !self.has_addresses(Protocol::Tcp);

        !restricted(old).without(restricted(self)).is_empty()
            || frees_device && !named.without(restricted(self)).is_empty()
    }

    /// What these rules allow and `old` does not: at least one witness for each right and word. There is none if
    /// and only if `old` allows everything that these rules allow. Paths are compared as they are written.
    ///
    /// ```
    /// use portlock::{Machine, Policy};
    ///
    /// let rules = |text| Policy::from_toml(text, "example").map(|policy| policy.rules(&Machine::default()));
    /// let old = rules("connect = ['tcp:10.0.0.0/8:443']")?;
    /// let new = rules("connect = ['tcp:10.0.0.0/7:443']")?;
    /// let witness = &new.beyond(&old)[0];
    /// assert_eq!(witness.to_string(), "connect tcp 11.0.0.0:443 (--connect tcp:10.0.0.0/7:443)".replace("--", "example:1: "));
    /// assert!(old.beyond(&new).is_empty());
    /// # Ok::<(), portlock::PolicyError>(())
    /// ```
    pub fn beyond(&self, old: &Self) -> Vec<Witness> {
        let mut all = Vec::new();

        for right in old.restrict.net.iter() {
            self.right_beyond(old, right, &mut all);
        }
        if old.restrict.create {
            self.kinds_beyond(old, &mut all);
        }
        for opened in &self.opened {
            let same = old.opened.iter().filter(|other| other.fd == opened.fd);
            let is_same = same.clone().any(|other| other.rights == opened.rights);
            let before = same.fold(Rights::NONE, |all, other| all | other.least());
            let more: Rights = (opened.most().and(old.restrict.net).without(before).iter())
                .filter(|right| !old.grants_all(*right))
                .collect();

            if !is_same && !more.is_empty() {
                all.push(Witness::Opened(opened.fd, more));
            } else {
                all.extend(self.inherits_beyond(old, opened.fd));
            }
        }
        for (protocol, option, receive) in [
            (Protocol::Tcp, Right::SetsockoptTcp, Right::ReceiveTcp),
            (Protocol::Udp, Right::SetsockoptUdp, Right::ReceiveUdp),
        ] {
            let can_set = self.grants_any(option)
                || (self.opened.iter()).any(|opened| opened.most().has(option));

            if old.has_addresses(protocol) && !self.has_addresses(protocol) && can_set {
                all.push(Witness::OwnWay(protocol));
            }
            if old.restrict.net.has(receive) && !self.restrict.net.has(receive) && can_set {
                all.push(Witness::Filter(protocol));
            }
        }
        if self.frees_smc(old) {
            all.push(Witness::Smc);
        }
        self.files_beyond(old, &mut all);
        if old.refuses_keys() && !self.refuses_keys() {
            all.push(Witness::Keyrings);
        }
        all
    }

    fn right_beyond(&self, old: &Self, right: Right, all: &mut Vec<Witness>) {
        let steps: BTreeSet<u16> = (self.steps(right))
            .chain(old.steps(right))
            .chain([0])
            .collect();
        let mut told = Vec::new();

        for port in steps {
            let (new, before) = (self.granted(right, port), old.granted(right, port));

            if before.is_any {
                continue;
            }

            let mut more = new.set;

            more.subtract(&before.set);

            let address = more.example(!right.is_local());

            // What is left has no host, unless no address is needed.
            if address.is_none() && !new.is_any {
                continue;
            }

            let why = (self.restrict.net.has(right))
                .then(|| {
                    self.granting(right, port, address)
                        .map(|grant| grant.why.clone())
                })
                .flatten();
            let word = why.as_ref().map(|why| why.word.clone());

            if !told.contains(&word) {
                told.push(word);
                all.push(Witness::Access {
                    right,
                    port,
                    address,
                    why,
                });
            }
        }
    }

    /// Whether an open socket is named that may be one of UDP with a peer, or else one of a kind that no rule holds.
    /// Rights that are named have to suit it.
    fn names(&self, fd: i32, is_udp: bool) -> bool {
        let suits = |rights: Rights| is_udp && rights.without(Rights::of(Protocol::Udp)).is_empty();
        let named = || self.opened.iter().filter(|opened| opened.fd == fd);

        named().count() > 0 && named().all(|opened| opened.rights.is_none_or(suits))
    }

    /// A socket that no rule holds is only inherited if it is named, or if a program can do the same without it.
    fn inherits_beyond(&self, old: &Self, fd: i32) -> Option<Witness> {
        let is_new = |is_udp| self.names(fd, is_udp) && !old.names(fd, is_udp);

        if is_new(false) && old.refuses_other_kind() {
            Some(Witness::Inherit { fd, is_udp: false })
        } else if is_new(true) && old.refuses_peer() {
            Some(Witness::Inherit { fd, is_udp: true })
        } else {
            None
        }
    }

    /// Whether there is a peer to which these rules do not let a program send over UDP. A peer has a port.
    fn refuses_peer(&self) -> bool {
        let right = Right::ConnectSendUdp;

        (self.steps(right).filter(|port| *port != 0).chain([1])).any(|port| {
            let mut others = AddressSet::all();

            others.subtract(&self.granted(right, port).set);
            others.example(true).is_some()
        })
    }

    /// Whether there is a kind of sockets that no rule holds and that these rules do not let a program make.
    fn refuses_other_kind(&self) -> bool {
        let is_held = |kind: Kind| match (kind.family, kind.kind, kind.protocol) {
            (INET | INET6, Some(STREAM), Some(TCP | MPTCP)) => true,
            (INET | INET6, Some(DGRAM), Some(UDP)) => true,
            (family, ..) => family == UNIX,
        };

        (0..=254).any(|family| {
            let every = Kind {
                family,
                kind: None,
                protocol: None,
            };

            self.unmade(every).any(|kind| !is_held(kind))
        })
    }

    /// Kinds that `kind` stands for and that may not be made, of each sort one.
    fn unmade(&self, kind: Kind) -> impl Iterator<Item = Kind> + '_ {
        let rules = (self.kinds.iter())
            .map(|made| made.kind)
            .filter(|other| other.family == kind.family);
        // Those that a rule names, and one that none does.
        let mut types: BTreeSet<u8> = rules.clone().filter_map(|other| other.kind).collect();
        let mut protocols: BTreeSet<u16> = rules.filter_map(|other| other.protocol).collect();

        types.extend((0..=254).find(|number| !types.contains(number)));
        protocols.extend((0..=65534).find(|number| !protocols.contains(number)));
        if let Some(number) = kind.kind {
            types = [number].into();
        }
        if let Some(number) = kind.protocol {
            protocols = [number].into();
        }

        (types.into_iter())
            .flat_map(move |number| {
                protocols
                    .clone()
                    .into_iter()
                    .map(move |protocol| (number, protocol))
            })
            .map(move |(number, protocol)| Kind::new(kind.family, number, protocol))
            .filter(|exact| !self.makes(*exact))
    }

    fn kinds_beyond(&self, old: &Self, all: &mut Vec<Witness>) {
        let every = (0..=254).map(|family| Kind {
            family,
            kind: None,
            protocol: None,
        });
        let new: Vec<Kind> = if self.restrict.create {
            self.kinds.iter().map(|made| made.kind).collect()
        } else {
            every.collect()
        };

        for kind in new {
            if let Some(found) = old.unmade(kind).next() {
                all.push(Witness::Create(found));
                if !self.restrict.create {
                    break;
                }
            }
        }
    }

    /// Whether files are restricted.
    pub fn holds_files(&self) -> bool {
        !self.read.is_empty() || !self.write.is_empty()
    }

    fn files_beyond(&self, old: &Self, all: &mut Vec<Witness>) {
        let is_below = |path: &Path, folders: &[PathBuf]| {
            // What goes up again may lead anywhere.
            let goes_up = path.components().any(|part| part == Component::ParentDir);

            folders
                .iter()
                .any(|folder| path == folder || !goes_up && path.starts_with(folder))
        };

        if old.holds_files() && !self.holds_files() {
            all.push(Witness::Write("/".into()));
        } else if old.holds_files() {
            for path in &self.read {
                if !is_below(path, &old.read) && !is_below(path, &old.write) {
                    all.push(Witness::Read(path.clone()));
                }
            }
            for path in &self.write {
                if !is_below(path, &old.write) {
                    all.push(Witness::Write(path.clone()));
                }
            }
        }
        match (&self.unix, &old.unix) {
            (_, Unix::Any) => {}
            (Unix::Any, Unix::Below(_)) => all.push(Witness::Unix("/".into())),
            (Unix::Below(new), Unix::Below(before)) => {
                let more = new.iter().filter(|path| !is_below(path, before));

                all.extend(more.map(|path| Witness::Unix(path.clone())));
            }
        }
    }
}
