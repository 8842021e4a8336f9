// SPDX-License-Identifier: GPL-2.0

//! Words for people: what was refused and what would allow it, and what a policy implies.

use crate::compare::show;
use crate::kind::{Kind, DGRAM, INET, INET6, MPTCP, STREAM, TCP, UDP};
use crate::observer::{Asked, Event};
use crate::place::{Item, Nets, Place, Ports, Term};
use crate::policy::{Opened, Unix};
use crate::rights::{Protocol, Right, Rights};
use crate::rules::{Machine, Rules, Why};
use ipnet::IpNet;
use std::net::IpAddr;

impl Event {
    /// What was refused: "connect tcp 192.0.2.1:443". There are no words for a record that only tells of losses.
    pub fn words(&self) -> Option<String> {
        Some(match self.asked {
            Asked::Nothing => return None,
            Asked::Unknown(net, permissions) => {
                format!("rights {net:#x} and permissions {permissions:#x}")
            }
            Asked::Create => match self.kind() {
                Some(kind) => format!("create {kind}"),
                None => format!("create {:?}", self.socket),
            },
            Asked::Right(right) => {
                let place = show(self.address, self.port);

                format!("{} {} {place}", right.verb(), right.protocol())
            }
        })
    }

    /// Whether it is the UDP connection by which a look-up finds out how to reach an address. It sends nothing, and
    /// its port tells little: it is 0, that of the service, or in Go 53. `rules` tell which services are used.
    pub fn is_probe(&self, rules: &Rules, machine: &Machine) -> bool {
        let (Asked::Right(Right::ConnectSendUdp), Some(address)) = (self.asked, self.address)
        else {
            return false;
        };
        let can = |right, port| rules.granting(right, port, self.address).is_some();

        match self.port {
            0 => true,
            53 if machine.resolvers.contains(&address) => false,
            53 => (rules.grants.iter())
                .any(|grant| grant.rights.has(Right::ConnectTcp) && grant.nets.has(self.address)),
            // A server asks for the wildcards of its port.
            port if address.is_unspecified() && can(Right::ListenTcp, port) => true,
            port => can(Right::ConnectTcp, port),
        }
    }

    /// Whether a look-up of a name was refused.
    pub fn is_lookup(&self, machine: &Machine) -> bool {
        let to = |address| self.port == 53 && machine.resolvers.contains(&address);

        matches!(
            self.asked,
            Asked::Right(Right::ConnectSendUdp | Right::ConnectTcp)
        ) && self.address.is_some_and(to)
    }
}

/// What to do about a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advice {
    /// This flag would allow it.
    Flag(String),
    /// Nothing would: why.
    Nothing(&'static str),
}

/// A place with one address and port.
pub(crate) fn place(protocol: Protocol, address: Option<IpAddr>, port: u16) -> Place {
    let item = |address| Term {
        is_exception: false,
        item: Item::Net(IpNet::from(address)),
    };

    Place {
        protocol,
        terms: address.map(item).into_iter().collect(),
        ports: vec![Ports::one(port)],
    }
}

impl Rules {
    /// What to do about a refusal by a layer that has these rules.
    ///
    /// ```
    /// use portlock::{Advice, Machine, Policy, Right};
    ///
    /// let machine = Machine::default();
    /// let rules = Policy::default().rules(&machine);
    /// let address = "192.0.2.1".parse().ok();
    /// assert_eq!(
    ///     rules.advice(Right::ConnectTcp, 443, address, &machine),
    ///     Advice::Flag("--connect tcp:192.0.2.1:443".into())
    /// );
    /// ```
    pub fn advice(
        &self,
        right: Right,
        port: u16,
        address: Option<IpAddr>,
        machine: &Machine,
    ) -> Advice {
        let protocol = right.protocol();
        let known = address.filter(|address| !address.is_unspecified());
        let flag = |verb: &str, address, port| {
            Advice::Flag(format!("--{verb} {}", place(protocol, address, port)))
        };

        if self.granting(right, port, address).is_some() {
            let is_option =
                matches!(right, Right::SetsockoptTcp | Right::SetsockoptUdp) && port == 0;

            return Advice::Nothing(if is_option {
                "options by which a socket chooses its own way are refused beside words with addresses, and filters beside any \
                 rule to receive: leave the addresses of this protocol out"
            } else {
                "a rule allows this, but not for a socket that chooses its own way (a device, a route), or is in another \
                 network namespace"
            });
        }
        // Nothing of the protocol is allowed: what is refused first says little.
        if port == 0 && !self.is_about(protocol) {
            let or = if protocol == Protocol::Udp {
                ", or --dns if it looks up a name"
            } else {
                ""
            };

            return Advice::Flag(format!(
                "--connect {protocol}:PORT or --serve {protocol}:PORT{or}"
            ));
        }
        match right {
            Right::ConnectTcp | Right::ConnectSendUdp
                if port == 53
                    && known.is_some_and(|address| machine.resolvers.contains(&address)) =>
            {
                Advice::Flag("--dns".into())
            }
            Right::ConnectTcp | Right::ConnectSendUdp => flag("connect", known, port),
            Right::BindTcp | Right::BindUdp if port == 0 => flag("bind", known, 0),
            Right::BindTcp | Right::BindUdp | Right::ListenTcp => flag("serve", known, port),
            Right::AcceptTcp if known.is_none() => flag("serve", None, port),
            Right::ReceiveUdp if port != 0 => flag("serve", None, port),
            Right::ReceiveUdp => flag("receive", None, 0),
            _ => flag(right.verb(), known, port),
        }
    }

    /// Whether a client or a server of the protocol is allowed anywhere.
    fn is_about(&self, protocol: Protocol) -> bool {
        let first = match protocol {
            Protocol::Tcp => Rights::from(Right::ConnectTcp) | Right::ListenTcp.into(),
            Protocol::Udp => Rights::from(Right::ConnectSendUdp) | Right::BindUdp.into(),
        };

        self.grants
            .iter()
            .any(|grant| !grant.rights.and(first).is_empty())
    }

    /// Whether a refusal may be the beginning of a look-up of a name: a UDP socket gets its first option or its
    /// port, where nothing of UDP is allowed.
    pub fn may_begin_lookup(&self, event: &Event) -> bool {
        let is_first = matches!(
            event.asked,
            Asked::Right(Right::BindUdp | Right::SetsockoptUdp)
        ) && event.port == 0;

        is_first && !self.is_about(Protocol::Udp)
    }

    /// What to do about a record.
    pub fn advice_about(&self, event: &Event, machine: &Machine) -> Option<Advice> {
        match event.asked {
            Asked::Right(right) => Some(self.advice(right, event.port, event.address, machine)),
            Asked::Create => event.kind().map(advice_to_make),
            Asked::Nothing | Asked::Unknown(..) => None,
        }
    }

    /// What these rules refuse besides the network, with the flags that allow it: no record tells of that. There
    /// is nothing of it if they leave AF_UNIX and files alone.
    ///
    /// ```
    /// use portlock::{Machine, Policy};
    ///
    /// let rules = Policy::default().rules(&Machine::default());
    /// assert_eq!(rules.untold().as_deref(), Some("AF_UNIX sockets of others (--unix) or keys (--keyrings)"));
    /// ```
    pub fn untold(&self) -> Option<String> {
        let mut all = Vec::new();

        if self.unix != Unix::Any {
            all.push("AF_UNIX sockets of others (--unix)");
        }
        if self.holds_files() {
            all.push("files (--read, --write)");
        }
        if self.refuses_keys() && !all.is_empty() {
            all.push("keys (--keyrings)");
        }

        let last = all.pop()?;

        Some(match all.join(", ") {
            others if others.is_empty() => last.to_owned(),
            others => format!("{others} or {last}"),
        })
    }

    /// Each rule with its reason, for people.
    pub fn explain(&self) -> String {
        let mut text = String::new();
        let mut words: Vec<&Why> = Vec::new();

        for why in (self.grants.iter().map(|grant| &grant.why))
            .chain(self.kinds.iter().map(|made| &made.why))
        {
            if !words.iter().any(|known| known.word == why.word) {
                words.push(why);
            }
        }
        for first in &words {
            let of_word = |why: &Why| why.word == first.word;
            let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
            let grants = self
                .grants
                .iter()
                .filter(|grant| of_word(&grant.why))
                .map(|grant| (&grant.why, grant.words()));
            let kinds = (self.kinds.iter())
                .filter(|made| of_word(&made.why))
                .map(|made| (&made.why, format!("create {}", made.kind)));

            text += &match first.word.as_str() {
                "" => "always\n".to_owned(),
                _ => format!("{first}\n"),
            };
            for (why, words) in grants.chain(kinds) {
                match reasons.iter_mut().find(|(reason, _)| *reason == why.reason) {
                    Some((_, all)) if all.contains(&words) => {}
                    Some((_, all)) => all.push(words),
                    None => reasons.push((why.reason, vec![words])),
                }
            }
            for (reason, all) in reasons {
                let list = all.join("; ");

                text += &match reason {
                    "" => format!("    {list}\n"),
                    _ => format!("  + {list}\n        since {reason}\n"),
                };
            }
        }
        for opened in &self.opened {
            text += &format!("--opened {opened}\n    {}\n", opened_words(opened));
        }
        text += &match &self.unix {
            Unix::Any => {
                "--unix any\n    every AF_UNIX socket of others can be reached\n".to_owned()
            }
            Unix::Below(paths) if paths.is_empty() => {
                "no AF_UNIX socket of others can be reached\n".to_owned()
            }
            Unix::Below(paths) => {
                let list: Vec<String> = paths
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect();

                format!(
                    "AF_UNIX sockets of others can be reached below: {}\n",
                    list.join(", ")
                )
            }
        };
        if self.holds_files() {
            for (what, paths) in [
                ("read and run", &self.read),
                ("read, run and write", &self.write),
            ] {
                for path in paths {
                    text += &format!("{what} files below {}\n", path.display());
                }
            }
            text += "all other files are out of reach\n";
        } else {
            text += "files are left alone\n";
        }
        text += if self.refuses_keys() {
            "request_key(2) and add_key(2) are refused, since the kernel would look up names for the program\n"
        } else if self.keyrings {
            "--keyrings\n    request_key(2) and add_key(2), by which the kernel may look up any name for the program\n"
        } else {
            "request_key(2) and add_key(2) are left alone, since the network is not restricted\n"
        };

        text += "TIOCSTI and TIOCLINUX are refused, which type into the terminal that the program shares\n";

        let free = Rights::ALL.without(self.restrict.net);

        if !free.is_empty() {
            text += &format!("not restricted: {free}\n");
        }
        if !self.restrict.create {
            text += "not restricted: which sockets are made\n";
        }
        text
    }
}

/// What would allow a socket to be made.
pub fn advice_to_make(kind: Kind) -> Advice {
    let is_ip = [INET, INET6].contains(&kind.family);

    Advice::Flag(match (kind.kind, kind.protocol) {
        (Some(STREAM), Some(MPTCP)) if is_ip => {
            "--serve tcp:PORT, or --create ".to_owned() + &kind.to_string()
        }
        (Some(STREAM), Some(0 | TCP)) if is_ip => "--connect tcp:PORT or --serve tcp:PORT".into(),
        (Some(DGRAM), Some(0 | UDP)) if is_ip => {
            "--connect udp:PORT, --serve udp:PORT or --dns".into()
        }
        _ => format!("--create {kind}"),
    })
}

fn opened_words(opened: &Opened) -> String {
    match opened.rights {
        Some(rights) => format!("this socket: {rights}"),
        None => "this socket: what suits it (a listener accepts, and uses what it accepts; a connection is used; a UDP \
                 socket without a peer receives, and sends to anybody; on another socket anything is allowed)"
            .into(),
    }
}

impl crate::rules::Grant {
    /// "send, receive tcp 10.0.0.0/8:443".
    pub fn words(&self) -> String {
        let mut text = String::new();

        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let verbs: Vec<&str> = self
                .rights
                .iter()
                .filter(|right| right.protocol() == protocol)
                .map(Right::verb)
                .collect();

            if !verbs.is_empty() {
                text += &format!("{} {protocol}", verbs.join(", "));
            }
        }
        match &self.nets {
            Nets::Any => text + &format!(":{}", self.ports),
            nets => text + &format!(":{nets}:{}", self.ports),
        }
    }
}
