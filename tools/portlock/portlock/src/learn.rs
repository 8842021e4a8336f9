// SPDX-License-Identifier: GPL-2.0

//! From what a permissive layer recorded to a policy that allows it.

use crate::kind::Kind;
use crate::observer::{Asked, Event};
use crate::place::{Item, Place, Ports, Term};
use crate::policy::{Origin, Policy, Verb, Word};
use crate::rights::{Protocol, Right, Rights};
use crate::rules::{Machine, Rules};
use crate::tell::place;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::IpAddr;

/// A record, with the name of the program that caused it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The record.
    pub event: Event,
    /// The program's name.
    pub program: String,
}

/// What was learned.
///
/// ```
/// use portlock::{Learned, Machine};
///
/// let learned = Learned::from_trace(&[], &[], &Machine::default());
/// assert_eq!(learned.policy, portlock::Policy::default());
/// ```
#[derive(Clone, Debug)]
pub struct Learned {
    /// The smallest policy of readable words that allows what was seen.
    pub policy: Policy,
    /// How many connections were left out that only probe addresses after a look-up.
    pub probes: u64,
    /// How many binds of a port that the kernel had chosen were left out: programs try what the machine can do.
    pub retried: u64,
    /// How many records were lost.
    pub lost: u64,
    /// For each word, as it is written: how often it was used, and by which programs.
    uses: BTreeMap<String, (u64, BTreeSet<String>)>,
}

/// The first port that a program chooses by chance.
const HIGH: u16 = 1024;

/// From this many ports on, they are not a list but chosen by the program.
const RANDOM: usize = 3;

/// From this many ports on, all of which are ephemeral, they are chosen as such. Of those that a program chooses from
/// 1024 on, as many fall there by chance once in 700 runs.
const EPHEMERAL: usize = 8;

/// A record about a right at a port.
type Access = (Right, u16, Option<IpAddr>);

fn access(event: &Event) -> Option<Access> {
    match event.asked {
        Asked::Right(right) => Some((right, event.port, event.address)),
        _ => None,
    }
}

struct Trace<'a> {
    seen: &'a [Seen],
    machine: &'a Machine,
    /// What was seen, each once: a program may send so much that nobody can look for it in all records each time.
    accesses: BTreeSet<Access>,
    /// The addresses to which TCP connected.
    connected: BTreeSet<Option<IpAddr>>,
}

impl<'a> Trace<'a> {
    fn new(seen: &'a [Seen], machine: &'a Machine) -> Self {
        let accesses: BTreeSet<Access> =
            seen.iter().filter_map(|seen| access(&seen.event)).collect();
        let connected = (accesses.iter())
            .filter(|(right, ..)| *right == Right::ConnectTcp)
            .map(|(.., address)| *address)
            .collect();

        Self {
            seen,
            machine,
            accesses,
            connected,
        }
    }

    fn has(&self, right: Right, port: u16) -> bool {
        // No address comes first.
        (self.accesses.range((right, port, None)..).next())
            .is_some_and(|(other, of, _)| *other == right && *of == port)
    }

    /// The records that are probes of a look-up, by their place in the trace.
    ///
    /// A look-up connects a UDP socket to each address that it found, and sends nothing. The port is 0, that of the
    /// service, or in Go 53. A client of UDP connects likewise, and then receives. So a row of such connections of a
    /// thread, with nothing else of UDP between them, is a row of probes if nothing was received after it and its
    /// port is 0, or 53 of no resolver, or one at which TCP then connects to one of these addresses.
    fn probes(&self) -> BTreeSet<usize> {
        let mut probes = BTreeSet::new();
        let mut rows: BTreeMap<Option<i32>, Vec<usize>> = BTreeMap::new();
        let mut end = |row: Vec<usize>, is_received: bool| {
            let is_probe = |of: &[usize]| of.iter().any(|at| self.is_followed_by_tcp(*at));
            // What a client that received something connected to last is the one that it asked.
            let row = match row.split_last() {
                Some((_, before)) if is_received && is_probe(before) => before.to_vec(),
                Some(_) if is_received => Vec::new(),
                _ => row,
            };

            let mut ports: BTreeMap<u16, Vec<usize>> = BTreeMap::new();

            for at in row {
                ports.entry(self.seen[at].event.port).or_default().push(at);
            }
            probes.extend(ports.into_values().filter(|row| is_probe(row)).flatten());
        };

        for (at, seen) in self.seen.iter().enumerate() {
            let event = &seen.event;

            match access(event) {
                Some((Right::ConnectSendUdp, 53, Some(address)))
                    if self.machine.resolvers.contains(&address) =>
                {
                    end(rows.remove(&event.thread).unwrap_or_default(), false);
                }
                Some((Right::ConnectSendUdp, ..)) => rows.entry(event.thread).or_default().push(at),
                Some((Right::ReceiveUdp, ..)) => {
                    end(rows.remove(&event.thread).unwrap_or_default(), true)
                }
                _ => {}
            }
        }
        for row in rows.into_values() {
            end(row, false);
        }
        probes
    }

    /// The probes, with the ports that the kernel chose for their sockets.
    fn with_ports(&self, probes: &BTreeSet<usize>) -> BTreeSet<usize> {
        let mut all = probes.clone();
        let mut last = BTreeMap::new();

        for (at, seen) in self.seen.iter().enumerate() {
            match access(&seen.event) {
                Some((Right::ConnectSendUdp, ..)) => {
                    last.insert(seen.event.thread, at);
                }
                Some((Right::BindUdp, 0, _)) => {
                    let before = last.remove(&seen.event.thread);

                    all.extend(
                        before
                            .filter(|before| probes.contains(before))
                            .and(Some(at)),
                    );
                }
                _ => {}
            }
        }
        all
    }

    /// Whether a UDP connection can be a probe for what TCP does.
    fn is_followed_by_tcp(&self, at: usize) -> bool {
        let Event { port, address, .. } = self.seen[at].event;

        match port {
            0 => true,
            53 if self.connected.contains(&address) => true,
            _ => {
                self.has(Right::ListenTcp, port)
                    || self.accesses.contains(&(Right::ConnectTcp, port, address))
            }
        }
    }

    /// The ports of a right, each with its addresses.
    fn places(&self, right: Right) -> BTreeMap<u16, BTreeSet<Option<IpAddr>>> {
        let mut all: BTreeMap<u16, BTreeSet<_>> = BTreeMap::new();

        for (_, port, address) in self.accesses.iter().filter(|(other, ..)| *other == right) {
            all.entry(*port).or_default().insert(*address);
        }
        all
    }

    /// Whether a program binds a port that the kernel chose for it before, and does not listen: it tries something.
    fn is_retried(&self, (right, port, _): Access) -> bool {
        right == Right::BindTcp
            && port != 0
            && self.machine.ephemeral.has(port)
            && self.has(Right::BindTcp, 0)
            && !self.has(Right::ListenTcp, port)
    }

    /// The ports of a server, as words have them: 0 for those that the kernel chose, a range for those that the
    /// program chose.
    fn served(&self, bind: Right, ports: &BTreeSet<u16>) -> Vec<Ports> {
        let named: BTreeSet<u16> = ports
            .iter()
            .copied()
            .filter(|port| self.has(bind, *port))
            .collect();
        let range = self.range(&named);
        let mut all = Vec::new();

        if ports.iter().any(|port| !named.contains(port)) {
            all.push(Ports::one(0));
        }
        all.extend(range);
        all.extend(
            named
                .into_iter()
                .filter(|port| range.is_none() || !is_high(*port))
                .map(Ports::one),
        );
        all
    }

    /// The range that the high ones are from, if they are so many that the program chose them.
    fn range(&self, ports: &BTreeSet<u16>) -> Option<Ports> {
        let high: Vec<u16> = ports
            .iter()
            .copied()
            .filter(|port| is_high(*port))
            .collect();
        let is_ephemeral = |port: &u16| self.machine.ephemeral.has(*port);

        if high.len() < RANDOM {
            return None;
        }
        if high.len() >= EPHEMERAL && high.iter().all(is_ephemeral) {
            return Some(self.machine.ephemeral);
        }
        Some(Ports {
            first: HIGH,
            last: u16::MAX,
        })
    }
}

/// Whether a program may have chosen the port. Those below are for services.
fn is_high(port: u16) -> bool {
    port >= HIGH
}

fn terms(addresses: &BTreeSet<IpAddr>) -> Vec<Term> {
    // A wildcard as a remote address is in no prefix, and a server that binds one may bind the other next time.
    if addresses.iter().any(IpAddr::is_unspecified) {
        return Vec::new();
    }
    (addresses.iter())
        .map(|address| Term {
            is_exception: false,
            item: Item::Net(IpNet::from(*address)),
        })
        .collect()
}

fn word(verb: Verb, place: Place) -> Word {
    Word {
        verb,
        place,
        origin: Origin::default(),
    }
}

impl Learned {
    /// Learns from a trace, in which the records are in order.
    ///
    /// `own_way` has the protocols of which a socket chose its own way. A rule with an address would refuse that,
    /// so the words for them have none.
    pub fn from_trace(seen: &[Seen], own_way: &[Protocol], machine: &Machine) -> Self {
        let trace = Trace::new(seen, machine);
        let probes = trace.probes();
        let mut policy = Policy::default();
        let retried = seen
            .iter()
            .filter_map(|seen| access(&seen.event))
            .filter(|access| trace.is_retried(*access))
            .count();
        let of_probes = trace.with_ports(&probes);
        let is_left_out = |at: usize, event: &Event| {
            of_probes.contains(&at) || access(event).is_some_and(|access| trace.is_retried(access))
        };

        trace.serve(&mut policy);
        trace.connect(&probes, &mut policy);
        free(&mut policy, own_way, machine);

        // What the big words do not cover needs small ones.
        let mut rules = policy.rules(machine);

        for (at, Seen { event, .. }) in seen.iter().enumerate() {
            if is_left_out(at, event) {
                continue;
            }
            if let Some(small) = missing(&rules, event, machine) {
                match small {
                    Small::Word(word) => policy.words.push(word),
                    Small::Kind(kind) => policy.create.push(kind),
                }
                free(&mut policy, own_way, machine);
                rules = policy.rules(machine);
            }
        }

        let mut uses: BTreeMap<String, (u64, BTreeSet<String>)> = BTreeMap::new();

        for (at, Seen { event, program }) in seen.iter().enumerate() {
            if is_left_out(at, event) {
                continue;
            }

            let word = match event.asked {
                Asked::Right(right) => rules
                    .granting(right, event.port, event.address)
                    .map(|grant| grant.why.word.clone()),
                Asked::Create => event
                    .kind()
                    .and_then(|kind| rules.kinds.iter().find(|made| made.kind.covers(kind)))
                    .map(|made| made.why.word.clone()),
                _ => None,
            };

            if let Some(word) = word {
                let used = uses.entry(word).or_default();

                used.0 += 1;
                used.1.insert(program.clone());
            }
        }
        Self {
            policy,
            probes: probes.len() as u64,
            retried: retried as u64,
            lost: seen.iter().map(|seen| seen.event.lost).sum(),
            uses,
        }
    }

    /// The policy as the text of a file, in which each word says how often it was used, and by whom.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();

        let mut key = String::new();

        for line in self.policy.to_toml().lines() {
            if let Some((word, _)) = line.split_once(" = ") {
                key = format!("--{word}");
            }
            text += line;
            if let Some((count, programs)) = self.uses_of(&key, line) {
                let programs: Vec<&str> = programs.iter().map(String::as_str).collect();
                let times = if *count == 1 {
                    "once".to_owned()
                } else {
                    format!("{count} times")
                };

                // Writing to a string does not fail.
                let _ = write!(text, "  # {times}, by {}", programs.join(", "));
            }
            text.push('\n');
        }
        text
    }

    /// How often the word of a line was used.
    fn uses_of(&self, flag: &str, line: &str) -> Option<&(u64, BTreeSet<String>)> {
        match line.split('"').nth(1) {
            Some(value) => self.uses.get(&format!("{flag} {value}")),
            None => self.uses.get(flag),
        }
    }
}

/// Takes the addresses of these protocols out, and sorts the words.
fn free(policy: &mut Policy, protocols: &[Protocol], machine: &Machine) {
    if policy.dns && !protocols.is_empty() {
        policy.dns = false;
        for protocol in [Protocol::Udp, Protocol::Tcp] {
            let place = Place {
                protocol,
                terms: terms(&machine.resolvers.iter().copied().collect()),
                ports: vec![Ports::one(53)],
            };

            policy.words.push(word(Verb::Connect, place));
        }
    }
    for mut word in std::mem::take(&mut policy.words) {
        if protocols.contains(&word.place.protocol) {
            word.place.terms.clear();
        }
        if !policy.words.contains(&word) {
            policy.words.push(word);
        }
    }
    policy.sort();
}

enum Small {
    Word(Word),
    Kind(Kind),
}

/// The small word that allows what rules do not.
fn missing(rules: &Rules, event: &Event, machine: &Machine) -> Option<Small> {
    match event.asked {
        Asked::Create => event
            .kind()
            .filter(|kind| !rules.makes(*kind))
            .map(Small::Kind),
        Asked::Right(right) if rules.granting(right, event.port, event.address).is_none() => {
            let verb = match right {
                Right::ConnectTcp => Verb::Connect,
                _ => Verb::ALL
                    .into_iter()
                    .find(|verb| verb.name() == right.verb())?,
            };
            let known = event
                .address
                .filter(|address| right.is_local() || !address.is_unspecified());
            let mut place = place(right.protocol(), known, event.port);

            // A number that the kernel chose is another one next time.
            if known.is_none() && machine.ephemeral.has(event.port) {
                place.ports = vec![machine.ephemeral];
            }
            Some(Small::Word(word(verb, place)))
        }
        _ => None,
    }
}

impl Trace<'_> {
    /// Servers: what listens over TCP, and what receives on a port of its own over UDP.
    fn serve(&self, policy: &mut Policy) {
        for (right, bind) in [
            (Right::ListenTcp, Right::BindTcp),
            (Right::ReceiveUdp, Right::BindUdp),
        ] {
            let mut ports: BTreeMap<Vec<Term>, BTreeSet<u16>> = BTreeMap::new();
            let bound = self.places(bind);

            for (port, addresses) in self.places(right) {
                // UDP does not tell the address with what is received.
                let addresses = if right == Right::ReceiveUdp {
                    if port == 0 {
                        continue;
                    }
                    bound.get(&port).cloned().unwrap_or_default()
                } else {
                    addresses
                };
                let addresses: BTreeSet<IpAddr> = addresses.into_iter().flatten().collect();

                ports.entry(terms(&addresses)).or_default().insert(port);
            }
            for (terms, ports) in ports {
                let place = Place {
                    protocol: right.protocol(),
                    terms,
                    ports: self.served(bind, &ports),
                };

                policy.words.push(word(Verb::Serve, place));
            }
        }
    }

    /// Clients.
    fn connect(&self, probes: &BTreeSet<usize>, policy: &mut Policy) {
        for right in [Right::ConnectTcp, Right::ConnectSendUdp] {
            let mut of_port: BTreeMap<u16, BTreeSet<IpAddr>> = BTreeMap::new();
            let mut of_address: BTreeMap<IpAddr, BTreeSet<u16>> = BTreeMap::new();
            let answers = right == Right::ConnectSendUdp
                && policy
                    .words
                    .iter()
                    .any(|word| word.verb == Verb::Serve && word.place.protocol == Protocol::Udp);

            for (at, seen) in self.seen.iter().enumerate() {
                let Some((of, port, Some(address))) = access(&seen.event) else {
                    continue;
                };

                if of != right || probes.contains(&at) {
                    continue;
                }
                if port == 53 && self.machine.resolvers.contains(&address) {
                    policy.dns = true;
                } else if !answers {
                    of_address.entry(address).or_default().insert(port);
                }
            }
            for (address, ports) in &mut of_address {
                // Passive FTP: the server names a port for each transfer.
                if let Some(range) = self.range(ports) {
                    let mut place = place(
                        right.protocol(),
                        Some(*address).filter(|a| !a.is_unspecified()),
                        0,
                    );

                    place.ports = vec![range];
                    policy.words.push(word(Verb::Connect, place));
                    ports.retain(|port| !is_high(*port));
                }
                for port in ports.iter() {
                    of_port.entry(*port).or_default().insert(*address);
                }
            }
            for (port, addresses) in of_port {
                let place = Place {
                    protocol: right.protocol(),
                    terms: terms(&addresses),
                    ports: vec![Ports::one(port)],
                };

                policy.words.push(word(Verb::Connect, place));
            }
        }
    }
}

impl Rules {
    /// Rules of a layer that refuses nothing but the options by which a socket chooses its own way. It is for
    /// learning: a policy with addresses refuses them.
    pub fn detecting_own_way() -> Self {
        let mut rules = Policy::default().rules(&Machine::default());
        let every: Vec<IpNet> = ["0.0.0.0/0", "::/0"]
            .iter()
            .filter_map(|net| net.parse().ok())
            .collect();
        let rights = Rights::from(Right::ConnectTcp) | Right::ConnectSendUdp.into();

        rules.restrict.net = rights;
        rules.restrict.create = false;
        rules.unix = crate::policy::Unix::Any;
        rules.keyrings = true;
        for nets in [crate::place::Nets::Any, crate::place::Nets::Of(every)] {
            let why = crate::rules::Why {
                word: String::new(),
                origin: Origin::default(),
                reason: "",
            };

            rules.grants.push(crate::rules::Grant {
                rights,
                ports: Ports::ALL,
                nets,
                why,
            });
        }
        rules
    }
}
