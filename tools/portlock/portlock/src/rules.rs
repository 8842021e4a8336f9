// SPDX-License-Identifier: GPL-2.0

//! What a policy comes to: the rules that the kernel gets, each with its reason.

use crate::kind::{
    Kind, DGRAM, INET, INET6, MPTCP, NETLINK, RAW, SEQPACKET, STREAM, TCP, UDP, UNIX,
};
use crate::place::{Item, Named, Nets, Place, Ports, Term};
use crate::policy::{Opened, Origin, Policy, Restrict, Unix, Verb, Word};
use crate::rights::{Protocol, Right, Rights};
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

/// What a policy depends on besides its words: this machine's settings.
///
/// ```
/// let machine = portlock::Machine::read();
/// assert!(machine.ephemeral.first <= machine.ephemeral.last);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The resolvers of `/etc/resolv.conf` that a rule can be about.
    pub resolvers: Vec<IpAddr>,
    /// A resolver there that is a wildcard. As a remote address it is in no prefix.
    pub wildcard: Option<IpAddr>,
    /// The ports that the kernel chooses from.
    pub ephemeral: Ports,
}

impl Default for Machine {
    /// What a machine has where nobody set anything.
    fn default() -> Self {
        Self {
            resolvers: vec![Ipv4Addr::LOCALHOST.into()],
            wildcard: None,
            ephemeral: Ports {
                first: 32768,
                last: 60999,
            },
        }
    }
}

impl Machine {
    /// Reads the settings of this machine. What is missing is what libc and the kernel use then.
    pub fn read() -> Self {
        let default = Self::default();
        let conf = read("/etc/resolv.conf");
        let (wildcards, resolvers): (Vec<_>, Vec<_>) =
            (resolvers(&conf).into_iter()).partition(IpAddr::is_unspecified);
        let range = read("/proc/sys/net/ipv4/ip_local_port_range");
        let mut numbers = range
            .split_whitespace()
            .filter_map(|number| number.parse().ok());

        Self {
            resolvers: if resolvers.is_empty() {
                default.resolvers
            } else {
                resolvers
            },
            wildcard: wildcards.first().copied(),
            ephemeral: match (numbers.next(), numbers.next()) {
                (Some(first), Some(last)) if first <= last => Ports { first, last },
                _ => default.ephemeral,
            },
        }
    }
}

/// The text of a file, or none if it cannot be read. A comment may be in any encoding.
fn read(path: impl AsRef<Path>) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();

    String::from_utf8_lossy(&bytes).into_owned()
}

/// The addresses of the name servers that a resolv.conf(5) names, the first three as libc takes them: the word begins
/// the line. libc asks each as it is written. An IPv4-mapped one is one of IPv4 in rules.
///
/// ```
/// let text = "search example.org\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\nnameserver ::ffff:192.0.2.1\n";
/// let all: Vec<String> = portlock::resolvers(text).iter().map(ToString::to_string).collect();
/// assert_eq!(all, ["192.0.2.53", "fe80::1", "192.0.2.1"]);
/// ```
pub fn resolvers(text: &str) -> Vec<IpAddr> {
    (text.lines())
        .filter_map(|line| {
            (line.strip_prefix("nameserver")?)
                .strip_prefix([' ', '\t'])?
                .split_whitespace()
                .next()
        })
        .filter_map(|address| address.split('%').next()?.parse().ok())
        .map(|address: IpAddr| address.to_canonical())
        .take(3)
        .collect()
}

/// Why a rule is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The word that it comes from, as a flag.
    pub word: String,
    /// Where the word stands, if it is in a file.
    pub origin: Origin,
    /// Why the word implies it, or nothing if it is what the word says.
    pub reason: &'static str,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin.0 {
            Some(origin) => write!(f, "{origin}: {}", self.word.trim_start_matches('-')),
            None => f.write_str(&self.word),
        }
    }
}

/// Rights on ports, for addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What may be done.
    pub rights: Rights,
    /// The ports.
    pub ports: Ports,
    /// The addresses.
    pub nets: Nets,
    /// Why.
    pub why: Why,
}

impl Grant {
    /// Whether it lets a program bind port 0 to see what the machine can do. Where listening is free, that makes a
    /// server of any client.
    pub(crate) fn is_probe(&self) -> bool {
        self.why.reason == PROBED
    }
}

/// A kind of sockets that may be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The kind.
    pub kind: Kind,
    /// Why.
    pub why: Why,
}

/// What a person should know before the program starts.
///
/// ```
/// let policy = portlock::Policy::from_toml("bind = ['udp:53']", "example")?;
/// let rules = policy.rules(&portlock::Machine::default());
/// assert!(rules.notes[0].is_mistake && rules.notes[0].text.contains("cannot answer"));
/// # Ok::<(), portlock::PolicyError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// One or two sentences.
    pub text: String,
    /// Whether the policy is probably not what was meant. Else it is only wide.
    pub is_mistake: bool,
}

/// A policy, compiled.
///
/// ```
/// use portlock::{Machine, Policy, Right};
///
/// let policy = Policy::from_toml("connect = ['tcp:10.0.0.0/8:443']", "example")?;
/// let rules = policy.rules(&Machine::default());
/// assert!(rules.granting(Right::ConnectTcp, 443, "10.1.2.3".parse().ok()).is_some());
/// assert!(rules.granting(Right::ConnectTcp, 443, "192.0.2.1".parse().ok()).is_none());
/// # Ok::<(), portlock::PolicyError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rules {
    /// What is restricted.
    pub restrict: Restrict,
    /// Rights on ports.
    pub grants: Vec<Grant>,
    /// Kinds of sockets.
    pub kinds: Vec<Made>,
    /// Sockets that are open.
    pub opened: Vec<Opened>,
    /// Files.
    pub read: Vec<PathBuf>,
    /// Files.
    pub write: Vec<PathBuf>,
    /// AF_UNIX sockets of others.
    pub unix: Unix,
    /// Whether keys may be asked for.
    pub keyrings: bool,
    /// What a person should know.
    pub notes: Vec<Note>,
}

const USE_TCP: [Right; 5] = [
    Right::SendTcp,
    Right::ReceiveTcp,
    Right::ShutdownTcp,
    Right::GetsockoptTcp,
    Right::SetsockoptTcp,
];
const OPTIONS_TCP: [Right; 2] = [Right::GetsockoptTcp, Right::SetsockoptTcp];
const OPTIONS_UDP: [Right; 2] = [Right::GetsockoptUdp, Right::SetsockoptUdp];

const USED: &str = "a client sends, receives, ends its connection, and sets options on it";
const SERVED: &str = "a server accepts clients and answers them; a connection is for the server's port, whoever the client is";
const EARLY: &str = "options are set before a socket has a port";
const PROBED: &str = "Go, haproxy, dig and Python's requests bind port 0 to see what the machine can do; nothing can listen there";
const UDP_CLIENT: &str =
    "the kernel chooses the port of a UDP client, and that is port 0 in a rule";
const UDP_OPTIONS: &str =
    "a UDP socket that is not connected counts by its own port, which may be any";
const UDP_PROBED: &str =
    "libc connects a socket to each address that a server may bind, for which the kernel chooses a port";
const UDP_ENDED: &str = "a program may end its use of a socket by shutdown(2)";
const UDP_RECEIVED: &str = "a server receives on its port";
const UDP_ANSWERED: &str = "a UDP server answers to whatever port its client has, and an answer looks as any other datagram";
const KINDS: &str = "such a program makes these; on those of the other protocol nothing is granted, and they tell it what \
                     the machine has";
const MPTCP_SERVED: &str = "Go listens with MPTCP";
const ROUTES: &str = "libc asks for the machine's own addresses when it looks up a name";
const PAIRS: &str = "socketpair(2) reaches nobody outside, and event loops need it";
const CHOSEN: &str = "the kernel chooses the port, from this range";

impl Policy {
    /// Compiles the policy for a machine.
    pub fn rules(&self, machine: &Machine) -> Rules {
        let mut rules = Rules {
            restrict: self.restrict,
            grants: Vec::new(),
            kinds: Vec::new(),
            opened: self.opened.clone(),
            read: self.read.clone(),
            write: self.write.clone(),
            unix: self.unix.clone(),
            keyrings: self.keyrings,
            notes: Vec::new(),
        };

        for word in &self.words {
            rules.add(word, &word.flag(), machine);
        }
        if self.dns {
            let terms = (machine.resolvers.iter())
                .map(|address| Term {
                    is_exception: false,
                    item: Item::Net(IpNet::from(*address)),
                })
                .collect::<Vec<_>>();

            // Without a resolver, no terms would be every address.
            for protocol in [Protocol::Udp, Protocol::Tcp]
                .into_iter()
                .filter(|_| !terms.is_empty())
            {
                let place = Place {
                    protocol,
                    terms: terms.clone(),
                    ports: vec![Ports::one(53)],
                };

                rules.add(
                    &Word {
                        verb: Verb::Connect,
                        place,
                        origin: Origin::default(),
                    },
                    "--dns",
                    machine,
                );
            }
        }
        for kind in &self.create {
            rules.make(
                [*kind],
                why(&format!("--create {kind}"), &Origin::default(), ""),
            );
        }
        // What is granted on an open socket needs none of these, and they grant nothing by themselves.
        for kind in [STREAM, DGRAM, SEQPACKET] {
            rules.make(
                [Kind::new(UNIX, kind, 0)],
                why("", &Origin::default(), PAIRS),
            );
        }
        self.note(&mut rules, machine);
        rules
    }

    /// Says what is probably not meant, and what is wide.
    fn note(&self, rules: &mut Rules, machine: &Machine) {
        let mut note = |is_mistake, text: String| rules.notes.push(Note { text, is_mistake });
        let has = |verb, protocol| {
            (self.words.iter()).any(|word| word.verb == verb && word.place.protocol == protocol)
        };
        let udp = Protocol::Udp;

        for word in &self.words {
            let (flag, place) = (word.flag(), &word.place);
            let port = place.ports[0];
            let is_any = place.terms.iter().any(|term| term.item == Item::Any);
            let left_out = |named| {
                (place.terms.iter())
                    .any(|term| term.is_exception && term.item == Item::Named(named))
            };

            match (word.verb, place.protocol) {
                (Verb::Bind, Protocol::Udp)
                    if port.last != 0
                        && !has(Verb::Send, udp)
                        && !has(Verb::Serve, udp)
                        && !has(Verb::Connect, udp) =>
                {
                    note(
                        true,
                        format!(
                            "{flag} cannot answer, and most programs say nothing then: add --send udp:any:*, or write \
                             --serve {place} for all that a server needs."
                        ),
                    );
                }
                (Verb::Bind, Protocol::Udp)
                    if !has(Verb::Receive, udp) && !has(Verb::Serve, udp) && port.last != 0 =>
                {
                    note(true, format!("{flag} cannot receive: add --receive udp:{port}, or write --serve {place}."));
                }
                (Verb::Bind, Protocol::Tcp)
                    if port.last != 0
                        && !has(Verb::Listen, Protocol::Tcp)
                        && !has(Verb::Connect, Protocol::Tcp) =>
                {
                    note(
                        true,
                        format!("{flag} can neither listen nor connect: write --serve {place} for all that a server needs."),
                    );
                }
                (Verb::Listen, _)
                    if !has(Verb::Accept, Protocol::Tcp) && !has(Verb::Serve, Protocol::Tcp) =>
                {
                    note(
                        true,
                        format!(
                            "{flag} cannot accept, so that clients wait for ever and the program may spin: add --accept \
                             tcp:{port}."
                        ),
                    );
                }
                (Verb::Accept, _)
                    if !has(Verb::Send, Protocol::Tcp)
                        && !has(Verb::Receive, Protocol::Tcp)
                        && !has(Verb::Serve, Protocol::Tcp) =>
                {
                    note(true, format!("{flag} can accept, and then neither send nor receive: write --serve {place}."));
                }
                (Verb::Serve, Protocol::Udp) if !place.nets().is_local() => {
                    note(
                        false,
                        format!(
                            "{flag} lets the program send UDP to every port of every address, since an answer cannot be told \
                             from another datagram."
                        ),
                    );
                }
                (Verb::Connect, Protocol::Udp)
                    if place.ports.iter().any(|ports| ports.has(53))
                        && !self.dns
                        && !has(Verb::Connect, Protocol::Tcp) =>
                {
                    note(
                        false,
                        format!("{flag} gets no long answers, which come over TCP: add --connect tcp:53, or write --dns."),
                    );
                }
                _ => {}
            }

            let names = |text: &str| place.terms.iter().any(|term| term.to_string() == text);

            if word.verb == Verb::Serve
                && place.protocol == Protocol::Tcp
                && names("0.0.0.0")
                && !names("[::]")
            {
                let list: Vec<String> = place.ports.iter().map(Ports::to_string).collect();

                note(
                    false,
                    format!(
                        "{flag}: libc may name [::] first, and then a program serves both families on that: write --serve \
                         tcp:{} unless it is told its address.",
                        list.join(",")
                    ),
                );
            }
            if is_any
                && left_out(Named::Private)
                && !(left_out(Named::Localhost) && left_out(Named::LinkLocal))
            {
                note(
                    false,
                    format!(
                        "{flag} still reaches this machine or its link (169.254.169.254 is there): write internet for \
                         addresses, or add !localhost,!link-local."
                    ),
                );
            }
        }
        if self.dns {
            note(false, "--dns: data can leave in look-ups, since the resolver asks whom a name belongs to.".into());
        }
        if let Some(wildcard) = machine.wildcard.filter(|_| self.dns) {
            let meant = if wildcard.is_ipv4() {
                "127.0.0.1"
            } else {
                "::1"
            };

            note(
                true,
                format!(
                    "--dns cannot allow the resolver {wildcard} of /etc/resolv.conf, since a wildcard is in no rule with \
                     addresses: write {meant} there, or add --connect udp:53 --connect tcp:53, which is for every address."
                ),
            );
        }
        for kind in &self.create {
            if [INET, INET6].contains(&kind.family)
                && kind.protocol.is_none()
                && kind.kind != Some(RAW)
            {
                note(
                    false,
                    format!("--create {kind} allows SCTP too, which no rule about ports holds: name the protocol."),
                );
            }
        }
        if self.restrict.create && !self.restrict.net.is_empty() && self.restrict.net != Rights::ALL
        {
            let free = Rights::ALL.without(self.restrict.net);

            note(false, format!("Not restricted: {free}."));
        } else if self.restrict != Restrict::default() {
            let free = Rights::ALL.without(self.restrict.net);
            let create = if self.restrict.create {
                ""
            } else {
                "create (raw sockets, and MPTCP where there is only Landlock, are ways around rules)"
            };
            let list: Vec<String> = free
                .iter()
                .map(|right| right.to_string())
                .chain([create.to_owned()])
                .collect();

            note(
                false,
                format!(
                    "Not restricted: {}.",
                    list.join(", ").trim_end_matches(", ")
                ),
            );
        }
    }
}

fn why(word: &str, origin: &Origin, reason: &'static str) -> Why {
    Why {
        word: word.to_owned(),
        origin: origin.clone(),
        reason,
    }
}

/// Port 0 of what connect(2) would choose by itself.
fn unchosen(nets: &Nets) -> Nets {
    match nets {
        Nets::Any => Nets::Any,
        Nets::Of(_) => Nets::Of(
            [
                IpAddr::from(Ipv4Addr::UNSPECIFIED),
                Ipv4Addr::LOCALHOST.into(),
                Ipv6Addr::UNSPECIFIED.into(),
                Ipv6Addr::LOCALHOST.into(),
            ]
            .map(IpNet::from)
            .into(),
        ),
    }
}

impl Rules {
    fn make(&mut self, kinds: impl IntoIterator<Item = Kind>, why: Why) {
        for kind in kinds {
            if !self.kinds.iter().any(|made| made.kind.covers(kind)) {
                self.kinds.push(Made {
                    kind,
                    why: why.clone(),
                });
            }
        }
    }

    fn grant(&mut self, rights: &[Right], ports: Ports, nets: Nets, why: Why) {
        let rights = rights.iter().copied().collect();

        self.grants.push(Grant {
            rights,
            ports,
            nets,
            why,
        });
    }

    /// Binding port 0 grants nothing while listening there is restricted. Else it would make a server of any client.
    fn grant_probe(&mut self, nets: &Nets, why: Why) {
        if self.restrict.net.has(Right::ListenTcp) {
            self.grant(&[Right::BindTcp], Ports::one(0), unchosen(nets), why);
        }
    }

    /// Adds what a word says and implies. `flag` is the word, or what it comes from.
    fn add(&mut self, word: &Word, flag: &str, machine: &Machine) {
        let because = |reason| why(flag, &word.origin, reason);
        let nets = word.nets();
        let (udp, tcp) = (
            word.place.protocol == Protocol::Udp,
            word.place.protocol == Protocol::Tcp,
        );

        for &ports in &word.place.ports {
            match word.verb {
                Verb::Connect if tcp => {
                    self.grant(&[Right::ConnectTcp], ports, nets.clone(), because(""));
                    self.grant(&USE_TCP, ports, nets.clone(), because(USED));
                    self.grant(&OPTIONS_TCP, Ports::one(0), Nets::Any, because(EARLY));
                    self.grant_probe(&nets, because(PROBED));
                }
                Verb::Connect => {
                    self.grant(&[Right::ConnectSendUdp], ports, nets.clone(), because(""));
                    self.grant(
                        &[Right::BindUdp, Right::ReceiveUdp],
                        Ports::one(0),
                        Nets::Any,
                        because(UDP_CLIENT),
                    );
                    self.grant(&OPTIONS_UDP, Ports::ALL, Nets::Any, because(UDP_OPTIONS));
                    self.grant(
                        &[Right::ShutdownUdp],
                        ports,
                        nets.clone(),
                        because(UDP_ENDED),
                    );
                }
                Verb::Serve if tcp => {
                    const ACCEPTED: [Right; 6] = [
                        Right::AcceptTcp,
                        Right::SendTcp,
                        Right::ReceiveTcp,
                        Right::ShutdownTcp,
                        Right::GetsockoptTcp,
                        Right::SetsockoptTcp,
                    ];

                    self.grant(
                        &[Right::BindTcp, Right::ListenTcp],
                        ports,
                        nets.clone(),
                        because(""),
                    );
                    self.grant(&ACCEPTED, ports, Nets::Any, because(SERVED));
                    if ports.has(0) && ports != Ports::ALL {
                        self.grant(
                            &[Right::ListenTcp],
                            machine.ephemeral,
                            nets.clone(),
                            because(CHOSEN),
                        );
                        self.grant(&ACCEPTED, machine.ephemeral, Nets::Any, because(CHOSEN));
                    }
                    self.grant(&OPTIONS_TCP, Ports::one(0), Nets::Any, because(EARLY));
                    self.grant_probe(&nets, because(PROBED));
                }
                Verb::Serve => {
                    let clients = if nets.is_local() {
                        Nets::Of(local())
                    } else {
                        Nets::Any
                    };

                    self.grant(&[Right::BindUdp], ports, nets.clone(), because(""));
                    self.grant(
                        &[Right::ReceiveUdp],
                        ports,
                        Nets::Any,
                        because(UDP_RECEIVED),
                    );
                    self.grant(
                        &[Right::ConnectSendUdp],
                        Ports::ALL,
                        clients,
                        because(UDP_ANSWERED),
                    );
                    self.grant(
                        &[Right::BindUdp],
                        Ports::one(0),
                        Nets::Any,
                        because(UDP_PROBED),
                    );
                    self.grant(&OPTIONS_UDP, Ports::ALL, Nets::Any, because(UDP_OPTIONS));
                    self.grant(
                        &[Right::ShutdownUdp],
                        Ports::ALL,
                        Nets::Any,
                        because(UDP_ENDED),
                    );
                }
                small => {
                    if let Some(right) = small.right(word.place.protocol) {
                        self.grant(&[right], ports, nets.clone(), because(""));
                    }
                }
            }
        }

        // A right that is about what a new socket does needs one.
        if matches!(word.verb, Verb::Connect | Verb::Serve | Verb::Bind)
            || word.verb == Verb::Send && udp
        {
            for family in [INET, INET6] {
                let kinds = [(STREAM, 0), (STREAM, TCP), (DGRAM, 0), (DGRAM, UDP)];

                self.make(
                    kinds.map(|(kind, protocol)| Kind::new(family, kind, protocol)),
                    because(KINDS),
                );
            }
            self.make([Kind::new(NETLINK, RAW, 0)], because(ROUTES));
        }
        if word.verb == Verb::Serve && tcp {
            self.make(
                [INET, INET6].map(|family| Kind::new(family, STREAM, MPTCP)),
                because(MPTCP_SERVED),
            );
        }
    }

    /// The first rule that grants a right on a port and an address. Without an address, only rules for any
    /// address do.
    pub fn granting(&self, right: Right, port: u16, address: Option<IpAddr>) -> Option<&Grant> {
        // As a remote address a wildcard is this machine, and in no prefix.
        let known = address
            .map(|address| address.to_canonical())
            .filter(|address| right.is_local() || !address.is_unspecified());

        (self.grants.iter())
            .find(|grant| grant.rights.has(right) && grant.ports.has(port) && grant.nets.has(known))
    }

    /// Whether the access is allowed: granted, or not restricted.
    pub fn allows(&self, right: Right, port: u16, address: Option<IpAddr>) -> bool {
        !self.restrict.net.has(right) || self.granting(right, port, address).is_some()
    }

    /// Whether a socket may be made.
    pub fn makes(&self, kind: Kind) -> bool {
        !self.restrict.create || self.kinds.iter().any(|made| made.kind.covers(kind))
    }

    /// Whether add_key(2) and request_key(2) are refused: they lead around rules about the network.
    pub fn refuses_keys(&self) -> bool {
        !self.keyrings && !self.restrict.is_none()
    }

    /// Whether rules about addresses grant a right of the protocol that is restricted. Then no socket of it
    /// may choose a way of its own.
    pub fn has_addresses(&self, protocol: Protocol) -> bool {
        let about = Rights::of(protocol).and(self.restrict.net);

        (self.grants.iter())
            .any(|grant| grant.nets.is_rule() && !grant.rights.and(about).is_empty())
    }
}

fn local() -> Vec<IpNet> {
    Named::Localhost
        .texts()
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_a_comment_of_another_encoding_is_read() {
        let path = std::env::temp_dir().join(format!("portlock-latin-1-{}", std::process::id()));

        std::fs::write(&path, b"# B\xfcro\nnameserver 192.0.2.53\n").unwrap();

        let text = read(&path);

        std::fs::remove_file(path).unwrap();
        assert_eq!(resolvers(&text), ["192.0.2.53".parse::<IpAddr>().unwrap()]);
        assert_eq!(read("/no/such/file"), "");
    }
}
