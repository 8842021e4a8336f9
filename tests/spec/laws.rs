// SPDX-License-Identifier: GPL-2.0

//! Asks the specification random questions, and checks laws that its answers must keep.
//!
//! The laws are said in other words than the specification: what an added layer or rule may change,
//! which questions have equal answers, and a second way to match a rule, by numbers.
//!
//!   rustc --edition 2021 -O tests/spec/laws.rs && ./laws [STACKS [SEED]]

#[allow(dead_code)]
#[path = "../../security/portlock/spec.rs"]
mod spec;

use spec::{
    Address, Address::*, Answer, Call, Failure::*, Layer, Protocol, Record, Rule, Socket, Way, *,
};
use std::cell::RefCell;

/// Numbers that look random: Sebastiano Vigna's splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;

        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn one_in(&mut self, number: usize) -> bool {
        self.below(number) == 0
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    fn port(&mut self) -> u16 {
        self.pick(&[0, 1, 79, 80, 81, 443, 8000, 65534, 65535])
    }

    fn access(&mut self) -> u64 {
        self.next() & (TCP | UDP)
    }

    fn inet(&mut self) -> [u8; 4] {
        let mut address = self.pick(&[
            [0; 4],
            [127, 0, 0, 1],
            [10, 0, 0, 1],
            [169, 254, 0, 1],
            [224, 0, 0, 1],
            [255; 4],
        ]);

        address[self.below(4)] ^= self.pick(&[0, 0, 1, 128]);
        address
    }

    fn inet6(&mut self) -> [u8; 16] {
        let mut address = [0; 16];

        match self.below(6) {
            0 => return mapped(self.inet()),
            1 => {}
            2 => address[15] = 1,
            3 => address[..2].copy_from_slice(&[0xfe, self.pick(&[0x80, 0xbf, 0xc0])]),
            4 => address[..2].copy_from_slice(&[0xff, self.pick(&[1, 2, 5, 14])]),
            _ => address[..2].copy_from_slice(&[0x20, 1]),
        }
        address[self.below(16)] ^= self.pick(&[0, 0, 1, 128]);
        address
    }

    fn prefix(&mut self) -> (Address, u32) {
        if self.one_in(2) {
            let len = self.pick(&[0, 1, 8, 24, 31, 32]);
            let address = u32::from_be_bytes(self.inet());

            (V4((address & !ones(len, 32) as u32).to_be_bytes()), len)
        } else {
            let len = self.pick(&[0, 1, 10, 64, 95, 127, 128]);
            let address = u128::from_be_bytes(self.inet6()) & !ones(len, 128);

            // `add_rule` refuses such a rule.
            if len >= 96 && address >> 32 == 0xffff {
                return self.prefix();
            }
            (V6(address.to_be_bytes()), len)
        }
    }

    fn rule(&mut self, is_extended: bool) -> Rule {
        let ports = [self.port(), self.port()];
        let rule = Rule::new(
            self.access(),
            ports[0].min(ports[1]),
            ports[0].max(ports[1]),
        );
        let rule = Rule {
            quiet: self.one_in(4),
            ..rule
        };

        match (is_extended, self.one_in(2)) {
            (false, _) => Rule {
                last: rule.first,
                access: rule.access & 15,
                ..rule
            },
            (true, false) => rule,
            // `add_rule` refuses RECEIVE_UDP with an address.
            (true, true) => Rule {
                prefix: Some(self.prefix()),
                access: rule.access & !RECEIVE_UDP,
                ..rule
            },
        }
    }

    fn layer(&mut self) -> Owned {
        let is_extended = !self.one_in(4);
        let handled = self.access() & if is_extended { TCP | UDP } else { 15 };
        let rules = (0..self.below(6))
            .map(|_| self.rule(is_extended))
            .map(|rule| Rule {
                access: rule.access & handled,
                ..rule
            });

        Owned {
            rules: rules.collect(),
            is_extended,
            handled,
            quiet: self.next() & handled,
            netns: 1 + self.one_in(8) as u64,
            opened: Vec::new(),
            is_permissive: false,
        }
    }

    /// An extended layer that may have rules about single sockets, and be permissive.
    fn single_layer(&mut self) -> Owned {
        let layer = loop {
            let layer = self.layer();

            if layer.is_extended {
                break layer;
            }
        };
        let opened = (0..self.below(3)).map(|_| (self.cookie(), self.access() & layer.handled));

        Owned {
            opened: opened.collect(),
            is_permissive: self.one_in(2),
            ..layer
        }
    }

    fn cookie(&mut self) -> u64 {
        self.below(4) as u64
    }

    fn way(&mut self) -> Way {
        Way {
            has_route: self.one_in(12),
            device: self.pick(&[0, 0, 0, 0, 0, LOOPBACK, 2]),
        }
    }

    fn socket(&mut self) -> Socket {
        let protocol = self.pick(&[
            Protocol::Tcp,
            Protocol::Tcp,
            Protocol::Udp,
            Protocol::Udp,
            Protocol::Mptcp,
            Protocol::Smc,
            Protocol::Other,
        ]);
        let family = self.pick(&[AF_INET, AF_INET6]);
        let mut address = |family| match family {
            AF_INET => V4(self.inet()),
            _ => Address::from_inet6(self.inet6()),
        };
        let (local, remote) = (address(family), address(family));
        let local = if self.one_in(3) {
            (0, Address::wildcard(family))
        } else {
            (self.port(), local)
        };
        let peer = if self.one_in(2) {
            None
        } else {
            Some((self.port(), remote))
        };
        let accepted = match self.below(4) {
            0 | 1 => peer.map(|peer| (local.0, peer)),
            2 => Some((self.port(), (self.port(), remote))),
            _ => None,
        };

        Socket {
            netns: 1 + self.one_in(8) as u64,
            is_kernel: self.one_in(8),
            is_listening: self.one_in(8),
            local,
            is_port_named: self.one_in(2),
            peer,
            accepted,
            is_connected: !self.one_in(4),
            has_lost_port: self.one_in(8),
            way: self.way(),
            granted_by_address: self.one_in(8),
            may_name_device: self.one_in(8),
            ..Socket::new(protocol, family)
        }
    }

    /// A call, its address apart.
    fn question(&mut self, socket: &Socket) -> Question {
        let family = if self.one_in(8) {
            self.pick(&[AF_UNSPEC, 1, AF_INET, AF_INET6])
        } else {
            socket.family
        };
        let port = self.port();
        let mut bytes = match family {
            AF_INET6 => inet6(port, self.inet6()).to_vec(),
            _ => inet(port, self.inet()).to_vec(),
        };

        bytes[..2].copy_from_slice(&family.to_ne_bytes());
        if self.one_in(12) {
            bytes.truncate(self.below(29));
        }
        Question {
            bytes,
            kind: self.below(11),
            fast_open: self.one_in(2),
            way: self.way(),
            option: self.pick(&[
                NODELAY,
                NODELAY,
                ZEROCOPY_RECEIVE,
                (0, 4),
                (1, 25),
                (1, 26),
                (41, 20),
            ]),
        }
    }
}

/// An option that is nothing special, and one whose reading receives data.
const NODELAY: (i32, i32) = (6, 1);
const ZEROCOPY_RECEIVE: (i32, i32) = (6, 35);

fn mapped([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

/// The bits after a prefix.
fn ones(len: u32, size: u32) -> u128 {
    if len == 0 {
        u128::MAX >> (128 - size)
    } else {
        (1u128 << (size - len)) - 1
    }
}

#[derive(Debug, Clone)]
struct Owned {
    is_extended: bool,
    handled: u64,
    quiet: u64,
    netns: u64,
    rules: Vec<Rule>,
    opened: Vec<(u64, u64)>,
    is_permissive: bool,
}

#[derive(Debug, Clone)]
struct Question {
    bytes: Vec<u8>,
    kind: usize,
    fast_open: bool,
    way: Way,
    option: (i32, i32),
}

impl Question {
    /// A question without an address.
    fn about(kind: usize, option: (i32, i32)) -> Self {
        Self {
            bytes: Vec::new(),
            kind,
            fast_open: false,
            way: Way::NONE,
            option,
        }
    }

    /// To set an option that some stacks refuse whatever their rules grant.
    fn is_special(&self) -> bool {
        self.kind == 10 && ![NODELAY, ZEROCOPY_RECEIVE].contains(&self.option)
    }

    /// Whether the answer depends on the service port and the peer alone, and the right it needs.
    fn service_right(&self, protocol: Protocol) -> Option<u64> {
        let rights = match protocol {
            Protocol::Udp => [0, 0, SHUTDOWN_UDP, GETSOCKOPT_UDP, SETSOCKOPT_UDP],
            _ => [
                SEND_TCP,
                RECEIVE_TCP,
                SHUTDOWN_TCP,
                GETSOCKOPT_TCP,
                SETSOCKOPT_TCP,
            ],
        };
        let right = match self.kind {
            3 => rights[0],
            7 => rights[1],
            8 => rights[2],
            9 if self.option != ZEROCOPY_RECEIVE => rights[3],
            10 if !self.is_special() => rights[4],
            _ => 0,
        };

        Some(right).filter(|right| *right != 0)
    }

    fn call(&self) -> Call<'_> {
        match self.kind {
            0 => Call::Bind(&self.bytes),
            1 => Call::Connect(&self.bytes),
            2 => Call::Send(Some(&self.bytes), self.fast_open, self.way),
            3 => Call::Send(None, self.fast_open, self.way),
            4 => Call::Listen,
            5 => Call::Accept,
            6 => Call::Accepted,
            7 => Call::Receive,
            8 => Call::Shutdown,
            9 => Call::GetOption(self.option.0, self.option.1),
            _ => Call::SetOption(self.option.0, self.option.1),
        }
    }
}

fn ask(stack: &[Owned], socket: &Socket, call: Call<'_>) -> Answer {
    ask_and_keep(stack, &mut { *socket }, call)
}

/// Asks, and leaves in the socket what the answer does.
fn ask_and_keep(stack: &[Owned], socket: &mut Socket, call: Call<'_>) -> Answer {
    ask_and_hear(stack, socket, call).0
}

/// [`ask_and_keep`], with what the layers tell.
fn ask_and_hear(stack: &[Owned], socket: &mut Socket, call: Call<'_>) -> (Answer, Vec<Record>) {
    let told = RefCell::new(Vec::new());
    let layers: Vec<Layer<'_>> = stack
        .iter()
        .map(|layer| Layer {
            handled: layer.handled,
            quiet: layer.quiet,
            netns: layer.netns,
            opened: &layer.opened,
            is_permissive: layer.is_permissive,
            ..Layer::new(layer.is_extended, &layer.rules)
        })
        .collect();

    let stack = Stack {
        layers: &layers,
        tell: &|record| told.borrow_mut().push(record),
    };
    let answer = socket.answer(&stack, call);

    (answer, told.into_inner())
}

/// The layers, each changed.
fn each(stack: &[Owned], change: impl Fn(&Owned) -> Owned) -> Vec<Owned> {
    stack.iter().map(change).collect()
}

fn with_rules(layer: &Owned, rules: impl Iterator<Item = Rule>) -> Owned {
    Owned {
        rules: rules.collect(),
        ..layer.clone()
    }
}

fn without_prefixes(stack: &[Owned]) -> Vec<Owned> {
    each(stack, |layer| {
        with_rules(
            layer,
            layer
                .rules
                .iter()
                .copied()
                .filter(|rule| rule.prefix.is_none()),
        )
    })
}

/// A refusal without its layer, which changes when layers come and go.
fn outcome(answer: Answer) -> Result<(), Option<i32>> {
    answer.map_err(|failure| match failure {
        Error(errno) => Some(errno),
        Refused(..) => None,
    })
}

/// An address as the numbers of its family, from the first to the last of its prefix.
fn numbers(address: Address, len: Option<u32>) -> (bool, u128, u128) {
    let (is_inet6, first, size) = match address {
        V4(bytes) => (false, u32::from_be_bytes(bytes).into(), 32),
        V6(bytes) => (true, u128::from_be_bytes(bytes), 128),
    };

    (
        is_inet6,
        first,
        first | len.map_or(0, |len| ones(len, size)),
    )
}

/// What a bind or connect to an address of the socket's family gets, said once more.
fn once_more(
    stack: &[Owned],
    socket: &Socket,
    right: u64,
    port: u16,
    address: Address,
    is_remote: bool,
) -> Answer {
    let (is_inet6, number, _) = numbers(address, None);
    let is_special = match address {
        V4(_) => number >> 28 == 0xe,
        V6(_) => number >> 120 == 0xff || number >> 118 == 0x3fa,
    };
    let is_own_way = socket.way.has_route
        || !is_special && (socket.may_name_device || socket.way.device > LOOPBACK)
        || is_remote && number == 0;

    for (at, layer) in stack.iter().enumerate().rev() {
        if layer.handled & right == 0 {
            continue;
        }

        let mut found = Vec::new();

        for rule in &layer.rules {
            let is_matched = match rule.prefix {
                None => true,
                Some((base, len)) => {
                    let (family, first, last) = numbers(base, Some(len));

                    family == is_inet6
                        && (first..=last).contains(&number)
                        && layer.netns == socket.netns
                        && !is_own_way
                }
            };

            if is_matched && (rule.first..=rule.last).contains(&port) {
                found.push(rule);
            }
        }
        if found.iter().all(|rule| rule.access & right == 0) {
            let quiet = found.iter().any(|rule| rule.quiet) && layer.quiet & right != 0;

            return Err(Refused(at, right, quiet));
        }
    }
    Ok(())
}

/// The port and address of a good socket address of a family.
fn endpoint_of(bytes: &[u8], family: u16) -> Option<(u16, Address)> {
    let named = u16::from_ne_bytes(*bytes.first_chunk()?);
    let port = u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]);
    let address = match (named, bytes.len()) {
        (AF_INET, 16..) => V4(bytes[4..8].try_into().ok()?),
        (AF_INET6, 24..) => Address::from_inet6(bytes[8..24].try_into().ok()?),
        _ => return None,
    };

    Some((port, address)).filter(|_| named == family)
}

/// How often each law was tried; a law that is never tried is no law.
type Counts = std::collections::BTreeMap<&'static str, usize>;

macro_rules! law {
    ($counts:ident, $name:literal, $holds:expr, $($shown:expr),*) => {
        *$counts.entry($name).or_default() += 1;
        assert!($holds, "{}: {:?}", $name, ($(&$shown,)*));
    };
}

fn try_laws(random: &mut Random, counts: &mut Counts) {
    let stack: Vec<Owned> = (0..random.below(5)).map(|_| random.layer()).collect();
    let socket = random.socket();
    let question = random.question(&socket);
    let call = question.call();
    let answer = ask(&stack, &socket, call);
    let has_address = question.kind < 3;
    let is_fresh = !socket.granted_by_address && !socket.may_name_device;
    let is_tcp_or_udp = matches!(socket.protocol, Protocol::Tcp | Protocol::Udp);

    match answer {
        Ok(()) => *counts.entry("(allowed)").or_default() += 1,
        Err(Error(_)) => *counts.entry("(wrong address)").or_default() += 1,
        Err(Refused(_, _, true)) => *counts.entry("(refused, quiet)").or_default() += 1,
        Err(Refused(_, _, false)) => *counts.entry("(refused)").or_default() += 1,
    }

    // A layer that is added, wherever, never allows more.
    let mut more = stack.clone();
    let at = random.below(stack.len() + 1);

    more.insert(at, random.layer());
    if answer.is_err() {
        law!(
            counts,
            "a layer takes away",
            ask(&more, &socket, call).is_err(),
            stack,
            more,
            socket,
            question
        );
    }

    // The order of layers matters only to who is blamed.
    let mut turned = stack.clone();

    turned.reverse();
    law!(
        counts,
        "any order of layers",
        outcome(ask(&turned, &socket, call)) == outcome(answer),
        stack,
        socket,
        question
    );

    // A layer that handles nothing, and a rule that grants nothing, change nothing but quiet.
    let nothing = Owned {
        handled: 0,
        ..random.layer()
    };
    let rules = nothing.rules.iter().map(|rule| Rule { access: 0, ..*rule });
    let nothing = with_rules(&nothing, rules);
    let mut more = stack.clone();

    more.push(nothing);
    law!(
        counts,
        "who handles nothing changes nothing",
        ask(&more, &socket, call) == answer,
        stack,
        socket,
        question
    );

    if !stack.is_empty() {
        let at = random.below(stack.len());
        let mut more = stack.clone();
        let rule = random.rule(stack[at].is_extended);
        let access = rule.access & stack[at].handled;

        more[at].rules.push(Rule { access, ..rule });
        // An address rule brings care for devices, of SMC sockets at once, and for the control data of a
        // send to the peer. It forbids some options.
        if rule.prefix.is_none()
            || is_fresh
                && question.kind != 3
                && socket.protocol != Protocol::Smc
                && !question.is_special()
        {
            let after = ask(&more, &socket, call);

            if answer.is_ok() {
                law!(
                    counts,
                    "a rule gives",
                    after.is_ok(),
                    stack,
                    more,
                    socket,
                    question
                );
            }
            // Of one refusal: with the rule, a call may go on to the next, for another reason.
            if let (Err(Refused(a, right, true)), Err(Refused(b, next, quiet)), true) =
                (answer, after, is_fresh)
            {
                // Fast open asks twice about the same right.
                if (a, right) == (b, next) && !question.fast_open {
                    law!(
                        counts,
                        "a rule makes nothing louder",
                        quiet,
                        stack,
                        more,
                        socket,
                        question
                    );
                }
            }
        }

        // A rule that is cut in two, by ports or by addresses, is the same rule.
        if let Some(rule) = stack[at].rules.first().copied() {
            let (mut low, mut high) = (rule, rule);
            let mut is_cut = rule.first < rule.last;

            if is_cut {
                low.last = rule.first + random.below((rule.last - rule.first) as usize) as u16;
                high.first = low.last + 1;
            }
            match rule.prefix {
                Some((V4(base), len)) if len < 32 && random.one_in(2) => {
                    let base = u32::from_be_bytes(base) | 1 << (31 - len);

                    (low, high, is_cut) = (rule, rule, true);
                    low.prefix = rule.prefix.map(|(base, len)| (base, len + 1));
                    high.prefix = Some((V4(base.to_be_bytes()), len + 1));
                }
                Some((V6(base), len)) if len < 128 && random.one_in(2) => {
                    let base = u128::from_be_bytes(base) | 1 << (127 - len);

                    (low, high, is_cut) = (rule, rule, true);
                    low.prefix = rule.prefix.map(|(base, len)| (base, len + 1));
                    high.prefix = Some((V6(base.to_be_bytes()), len + 1));
                }
                _ => {}
            }
            if is_cut {
                let mut cut = stack.clone();

                cut[at].rules[0] = low;
                cut[at].rules.push(high);
                law!(
                    counts,
                    "a rule that is cut is the same",
                    ask(&cut, &socket, call) == answer,
                    stack,
                    cut,
                    socket,
                    question
                );
            }
        }
    }

    // Family 0 makes every address pass that is not wrong.
    let open = each(&stack, |layer| {
        with_rules(
            layer,
            layer
                .rules
                .iter()
                .copied()
                .chain([Rule::new(layer.handled, 0, 65535)]),
        )
    });
    let is_unspec_send = socket.family == AF_INET6 && question.bytes.starts_with(&[0, 0]);

    if is_fresh && socket.protocol != Protocol::Smc && !is_unspec_send && !question.is_special() {
        law!(
            counts,
            "family 0 lets all addresses pass",
            !matches!(ask(&open, &socket, call), Err(Refused(..))),
            stack,
            socket,
            question
        );
    }

    // Where prefixes match nothing, it is as if there were none. But an SMC socket may not name a device
    // then.
    let bare = without_prefixes(&stack);

    if is_fresh && question.kind != 3 && socket.protocol != Protocol::Smc && !question.is_special()
    {
        let away = Socket { netns: 3, ..socket };
        let way = Way {
            has_route: true,
            device: 0,
        };
        let routed = Socket { way, ..socket };

        law!(
            counts,
            "elsewhere there are no prefixes",
            ask(&stack, &away, call) == ask(&bare, &away, call),
            stack,
            socket,
            question
        );
        // Before a connection is there, its way is not known.
        if question.kind != 5 {
            law!(
                counts,
                "with a route there are no prefixes",
                ask(&stack, &routed, call) == ask(&bare, &socket, call),
                stack,
                socket,
                question
            );
        }
    }

    // An IPv4 address is the same if it is mapped, on an IPv6 socket.
    let (port, host) = (random.port(), random.inet());
    let (four, six) = (inet(port, host), inet6(port, mapped(host)));
    let four = |kind| Question {
        bytes: four.to_vec(),
        kind,
        ..question.clone()
    };
    let six = |kind| Question {
        bytes: six.to_vec(),
        kind,
        ..question.clone()
    };
    let bound = Socket {
        local: (1, V4([0; 4])),
        ..socket
    };

    for kind in 0..3 {
        let on_four = ask(
            &stack,
            &Socket {
                family: AF_INET,
                ..bound
            },
            four(kind).call(),
        );
        let on_six = ask(
            &stack,
            &Socket {
                family: AF_INET6,
                ..bound
            },
            six(kind).call(),
        );

        law!(
            counts,
            "mapped is IPv4",
            on_four == on_six,
            stack,
            bound,
            host
        );
        if kind > 0
            && socket.protocol == Protocol::Udp
            && stack.iter().all(|layer| layer.is_extended)
        {
            let unmapped = ask(
                &stack,
                &Socket {
                    family: AF_INET6,
                    ..bound
                },
                four(kind).call(),
            );

            law!(
                counts,
                "AF_INET is IPv4 on IPv6 UDP",
                on_four == unmapped,
                stack,
                bound,
                host
            );
        }
    }

    // Plain layers that say the same as extended ones get the same answers.
    let extended = each(&stack, |layer| Owned {
        is_extended: true,
        handled: layer.handled & 15,
        rules: layer
            .rules
            .iter()
            .map(|rule| Rule {
                last: rule.first,
                prefix: None,
                ..*rule
            })
            .collect(),
        ..layer.clone()
    });
    let plain = each(&extended, |layer| Owned {
        is_extended: false,
        ..layer.clone()
    });
    let is_inet_on_inet6 =
        socket.family == AF_INET6 && question.bytes.starts_with(&AF_INET.to_ne_bytes());

    if is_tcp_or_udp && !(socket.protocol == Protocol::Udp && is_inet_on_inet6) {
        law!(
            counts,
            "plain is extended",
            ask(&plain, &socket, call) == ask(&extended, &socket, call),
            plain,
            socket,
            question
        );
    }

    // MPTCP is TCP where there are no plain layers. Neither it nor SMC sees them.
    let only: Vec<Owned> = stack
        .iter()
        .filter(|layer| layer.is_extended)
        .cloned()
        .collect();
    let (tcp, mptcp) = (
        Socket {
            protocol: Protocol::Tcp,
            ..socket
        },
        Socket {
            protocol: Protocol::Mptcp,
            ..socket
        },
    );
    let smc = Socket {
        protocol: Protocol::Smc,
        ..socket
    };

    law!(
        counts,
        "MPTCP is TCP",
        ask(&only, &tcp, call) == ask(&only, &mptcp, call),
        stack,
        tcp,
        question
    );
    law!(
        counts,
        "MPTCP sees no plain layer",
        outcome(ask(&only, &mptcp, call)) == outcome(ask(&stack, &mptcp, call)),
        stack,
        mptcp,
        question
    );
    law!(
        counts,
        "SMC gets no address wrong",
        !matches!(ask(&stack, &smc, call), Err(Error(_))),
        stack,
        smc,
        question
    );

    // The same by numbers.
    let (bind, connect) = match socket.protocol {
        Protocol::Udp => (BIND_UDP, CONNECT_SEND_UDP),
        _ => (BIND_TCP, CONNECT_TCP),
    };
    let named = match (socket.family, question.bytes.get(8..24)) {
        (AF_INET, _) if question.bytes.len() >= 16 => Some(V4([
            question.bytes[4],
            question.bytes[5],
            question.bytes[6],
            question.bytes[7],
        ])),
        (AF_INET6, Some(bytes)) => Some(Address::from_inet6(bytes.try_into().unwrap())),
        _ => None,
    };

    if has_address
        && named.is_some()
        && is_tcp_or_udp
        && question.bytes.starts_with(&socket.family.to_ne_bytes())
        && !socket.granted_by_address
    {
        let port = u16::from_be_bytes([question.bytes[2], question.bytes[3]]);
        let bound = Socket {
            local: (1, V4([0; 4])),
            ..socket
        };

        if let (Some(address), true) = (named, question.kind < 2) {
            let right = [bind, connect][question.kind];

            law!(
                counts,
                "numbers say the same",
                ask(&stack, &bound, call)
                    == once_more(&stack, &bound, right, port, address, question.kind == 1),
                stack,
                bound,
                question
            );
        }
    }
    if question.kind == 4
        && socket.protocol == Protocol::Tcp
        && !socket.is_kernel
        && !socket.is_listening
    {
        let (port, address) = socket.local;

        law!(
            counts,
            "numbers say the same of listen",
            answer == once_more(&stack, &socket, LISTEN_TCP, port, address, false),
            stack,
            socket
        );
    }
    if question.kind == 1
        && socket.protocol == Protocol::Udp
        && socket.local.0 == 0
        && is_fresh
        && answer.is_ok()
        && !question.bytes.starts_with(&[0, 0])
        && question.bytes.len() > 1
    {
        let address = Address::wildcard(socket.family);
        let is_device = named.is_some_and(|address| matches!(address, V6([0xfe | 0xff, ..])));

        if !is_device {
            law!(
                counts,
                "numbers say the same of a port",
                once_more(&stack, &socket, BIND_UDP, 0, address, false) == Ok(()),
                stack,
                socket
            );
        }
    }
}

/// Laws about accepted connections, and about what is done on a connection.
fn try_laws_of_connections(random: &mut Random, counts: &mut Counts) {
    let stack: Vec<Owned> = (0..random.below(4)).map(|_| random.layer()).collect();
    let bare = without_prefixes(&stack);
    let socket = random.socket();
    let is_fresh = !socket.granted_by_address && !socket.may_name_device;
    let is_tcp = matches!(socket.protocol, Protocol::Tcp | Protocol::Mptcp);
    let is_passive = socket.is_connected
        && socket.accepted.is_some()
        && socket.accepted == socket.peer.map(|peer| (socket.local.0, peer));
    let call = random.question(&socket);
    let mut after = socket;

    // Only the marks are state: so what a call gets once it always gets, and that may be kept.
    if ask_and_keep(&stack, &mut after, call.call()).is_ok() {
        law!(
            counts,
            "what is allowed is allowed again",
            ask(&stack, &after, call.call()).is_ok(),
            stack,
            socket,
            call
        );
    }
    after.granted_by_address = socket.granted_by_address;
    after.may_name_device = socket.may_name_device;
    after.has_lost_port = socket.has_lost_port;
    law!(
        counts,
        "a call changes nothing but the marks",
        format!("{after:?}") == format!("{socket:?}"),
        stack,
        socket,
        call
    );

    // A right of its own for each, by the service port and the peer.
    let question = Question::about(random.pick(&[3, 7, 8, 9, 10]), NODELAY);
    let call = question.call();
    let answer = ask(&stack, &socket, call);

    if let Some(right) = question.service_right(socket.protocol) {
        let port = match socket.peer {
            Some((port, _)) if port != 0 && !is_passive => port,
            _ => socket.local.0,
        };
        let peer = socket.peer.filter(|(port, _)| *port != 0);

        if is_tcp && !socket.granted_by_address || socket.protocol == Protocol::Udp {
            let extended: Vec<Owned> = (stack.iter())
                .map(|layer| Owned {
                    handled: if layer.is_extended { layer.handled } else { 0 },
                    ..layer.clone()
                })
                .collect();
            let said = match peer {
                _ if socket.is_kernel => Ok(()),
                Some((_, address)) => once_more(&extended, &socket, right, port, address, true),
                None => {
                    let away = Socket { netns: 3, ..socket };

                    once_more(&extended, &away, right, port, V4([0; 4]), true)
                }
            };

            law!(
                counts,
                "numbers say the same of a connection",
                answer == said,
                stack,
                socket,
                question
            );
        }

        // Only one of the two ports counts, and a passive socket's is its own.
        let to = |socket: &Socket, peer: (u16, Address)| Socket {
            peer: Some(peer),
            accepted: if is_passive {
                Some((socket.local.0, peer))
            } else {
                None
            },
            ..*socket
        };

        if let Some((remote, address)) = peer {
            let other = 1 + random.port() % 65535;
            let from = Socket {
                local: (random.port(), socket.local.1),
                accepted: None,
                ..socket
            };

            if is_passive {
                law!(
                    counts,
                    "the remote port does not matter to a passive socket",
                    ask(&stack, &to(&socket, (other, address)), call) == answer,
                    stack,
                    socket,
                    question
                );
            } else {
                law!(
                    counts,
                    "the local port does not matter to other connections",
                    ask(&stack, &from, call) == answer,
                    stack,
                    socket,
                    question
                );
            }
            law!(
                counts,
                "without prefixes the peer's address does not matter",
                ask(&bare, &to(&socket, (remote, V4(random.inet()))), call)
                    == ask(&bare, &socket, call),
                stack,
                socket,
                question
            );
        }
    }

    // Reading an option that receives needs both rights.
    let [read, receive, both] = [(9, NODELAY), (7, NODELAY), (9, ZEROCOPY_RECEIVE)]
        .map(|(kind, option)| ask(&stack, &socket, Question::about(kind, option).call()).is_ok());

    if is_tcp {
        law!(
            counts,
            "to receive by an option needs two rights",
            both == (read && receive),
            stack,
            socket
        );
    }

    // The kernel does as it likes, but with the addresses that Landlock's rights are about.
    let kernel = Socket {
        is_kernel: true,
        ..socket
    };

    for kind in 5..=10 {
        law!(
            counts,
            "the kernel is exempt",
            ask(&stack, &kernel, Question::about(kind, NODELAY).call()) == Ok(()),
            stack,
            kernel,
            kind
        );
    }

    // What may not be accepted from anywhere is not accepted from somewhere.
    let listener = Socket {
        is_listening: true,
        is_kernel: false,
        ..socket
    };
    let child = Socket {
        is_listening: false,
        accepted: None,
        ..listener
    };
    let [refused, taken] = [&stack, &bare].map(|stack| {
        (
            ask(stack, &listener, Call::Accept).is_err(),
            ask(stack, &child, Call::Accepted).is_err(),
        )
    });

    if is_tcp && refused.0 {
        law!(
            counts,
            "what is not accepted from anywhere is not accepted",
            refused.1,
            stack,
            listener
        );
    }
    if is_tcp {
        law!(
            counts,
            "without prefixes a connection is accepted as its port is",
            taken.0 == taken.1,
            stack,
            listener
        );
    }

    if let (true, Some((remote, address)), true) = (
        socket.protocol == Protocol::Tcp,
        socket.peer,
        !socket.granted_by_address,
    ) {
        if remote != 0 {
            law!(
                counts,
                "numbers say the same of what is accepted",
                ask(&stack, &child, Call::Accepted)
                    == once_more(&stack, &child, ACCEPT_TCP, child.local.0, address, true),
                stack,
                child
            );
        }
    }

    // A message that chooses a way is as one of a socket that does. Fast open needs what connecting
    // needs, and what sending to the address and to the peer needs.
    if is_tcp && is_fresh {
        let question = random.question(&socket);
        let send = |to, way| Call::Send(to, true, way);
        let routed = Socket {
            way: question.way,
            ..socket
        };
        let still = Socket {
            way: Way::NONE,
            ..socket
        };

        law!(
            counts,
            "a message has the way of a socket",
            ask(&stack, &still, send(None, question.way))
                == ask(&stack, &routed, send(None, Way::NONE)),
            stack,
            socket,
            question
        );

        let at = |peer| Socket {
            peer,
            accepted: None,
            ..still
        };
        let named = endpoint_of(&question.bytes, socket.family);

        if let Some((port, address)) = named {
            let to = send(Some(&question.bytes), Way::NONE);
            let parts = [
                ask(&stack, &still, Call::Connect(&question.bytes)),
                ask(&stack, &at(Some((port, address))), send(None, Way::NONE)),
                match socket.peer {
                    Some((1.., _)) => ask(&stack, &still, send(None, Way::NONE)),
                    _ => Ok(()),
                },
            ];

            // Of port 0, and of what may name a device, other laws tell.
            if port != 0 && !matches!(address, V6([0xfe | 0xff, ..])) {
                law!(
                    counts,
                    "fast open needs three rights",
                    ask(&stack, &still, to).is_ok() == parts.iter().all(Answer::is_ok),
                    stack,
                    still,
                    question
                );
            }
        }
    }

    // Where a layer handles receiving, no filter is attached.
    let receive = match socket.protocol {
        Protocol::Udp => RECEIVE_UDP,
        _ => RECEIVE_TCP,
    };

    if socket.protocol != Protocol::Other && stack.iter().any(|layer| layer.handled & receive != 0)
    {
        law!(
            counts,
            "who receives by rules attaches no filter",
            ask(&stack, &socket, Call::SetOption(1, 26)).is_err(),
            stack,
            socket
        );
    }

    // A datagram is received on a port that bind(2) named, or on port 0.
    if socket.protocol == Protocol::Udp {
        let other = Socket {
            netns: 3,
            peer: Some((random.port(), V4(random.inet()))),
            way: random.way(),
            accepted: None,
            is_connected: !socket.is_connected,
            granted_by_address: random.one_in(2),
            may_name_device: random.one_in(2),
            ..socket
        };
        let unbound = Socket {
            local: (0, Address::wildcard(socket.family)),
            ..other
        };
        let answer = ask(&stack, &socket, Call::Receive);

        law!(
            counts,
            "a datagram is received whoever the peer is",
            ask(&stack, &other, Call::Receive) == answer,
            stack,
            socket,
            other
        );
        if !socket.is_port_named {
            law!(
                counts,
                "a port that the kernel chose is none",
                ask(&stack, &unbound, Call::Receive) == answer,
                stack,
                socket,
                unbound
            );
        }
    }
}

/// Laws about permissive layers, and about rules for single sockets.
fn try_laws_of_single_layers(random: &mut Random, counts: &mut Counts) {
    let stack: Vec<Owned> = (0..random.below(5))
        .map(|_| random.single_layer())
        .collect();
    let socket = Socket {
        cookie: random.cookie(),
        listener: random.cookie(),
        ..random.socket()
    };
    let question = random.question(&socket);
    let call = question.call();
    let hear = |stack: &[Owned]| ask_and_hear(stack, &mut { socket }, call);
    let (answer, told) = hear(&stack);
    let as_permissive = |is_permissive| {
        move |layer: &Owned| Owned {
            is_permissive,
            ..layer.clone()
        }
    };

    // A permissive layer changes no answer, but that an address may be wrong for it.
    let enforced: Vec<Owned> = (stack.iter())
        .filter(|layer| !layer.is_permissive)
        .cloned()
        .collect();

    law!(
        counts,
        "a permissive layer changes no answer",
        matches!(answer, Err(Error(_)))
            || outcome(answer) == outcome(ask(&enforced, &socket, call)),
        stack,
        socket,
        question
    );

    // The first that tells and is not permissive is the reason.
    let reason = told
        .iter()
        .find(|record| !stack[record.layer].is_permissive);

    if !matches!(answer, Err(Error(_))) {
        law!(
            counts,
            "who refuses tells it, and is not permissive",
            answer.err()
                == reason.map(|record| Refused(record.layer, record.right, record.is_quiet)),
            stack,
            socket,
            question,
            told
        );
    }

    // If all are permissive, each tells what it alone would refuse.
    let permissive = each(&stack, as_permissive(true));
    let (answer_of_all, told_by_all) = hear(&permissive);

    law!(
        counts,
        "permissive layers refuse nothing",
        !matches!(answer_of_all, Err(Refused(..))),
        stack,
        socket,
        question
    );
    // Where there is one question, whoever refuses is told with all others.
    if question.service_right(socket.protocol).is_some() {
        law!(
            counts,
            "a refusal hides no other",
            told == told_by_all,
            stack,
            socket,
            question
        );
    }
    for (at, layer) in stack.iter().enumerate() {
        let alone = ask(&[as_permissive(false)(layer)], &socket, call);
        let first = told_by_all.iter().find(|record| record.layer == at);

        if answer_of_all.is_ok() {
            law!(
                counts,
                "what is told is what would be refused",
                alone.err() == first.map(|record| Refused(0, record.right, record.is_quiet)),
                stack,
                socket,
                question,
                told_by_all
            );
        }
        if answer.is_ok() && !layer.is_permissive {
            law!(
                counts,
                "each layer grants what all grant",
                alone.is_ok(),
                stack,
                socket,
                question
            );
        }
    }

    // A layer that is there twice tells all twice.
    if let (Some(layer), Ok(())) = (stack.first(), answer) {
        let mut twice = stack.clone();
        let count = |told: &[Record], at| told.iter().filter(|record| record.layer == at).count();

        twice.insert(0, layer.clone());

        let (again, told_twice) = hear(&twice);

        law!(
            counts,
            "equal layers tell the same",
            again == answer && [0, 1].map(|at| count(&told_twice, at)) == [count(&told, 0); 2],
            stack,
            socket,
            question
        );
    }

    // A rule about a socket is about no other one, and 0 is the cookie of none.
    let about = |is_for: fn(&Socket, u64) -> bool| {
        each(&stack, |layer| Owned {
            opened: (layer.opened.iter())
                .filter(|(cookie, _)| is_for(&socket, *cookie))
                .copied()
                .collect(),
            ..layer.clone()
        })
    };

    law!(
        counts,
        "a rule about a socket is about no other one",
        hear(&about(|socket, cookie| {
            cookie != 0 && [socket.cookie, socket.listener].contains(&cookie)
        })) == (answer, told.clone()),
        stack,
        socket,
        question
    );

    // What a listener is granted helps what it accepted, to use the connection.
    let is_passive = socket.is_connected
        && socket.accepted.is_some()
        && socket.accepted == socket.peer.map(|peer| (socket.local.0, peer));
    let is_use = question.kind == 2 || question.kind == 3 || question.kind >= 7;

    if !is_passive || !is_use {
        let fresh = Socket {
            listener: 0,
            ..socket
        };

        law!(
            counts,
            "a listener only helps to use what it accepted",
            ask(&stack, &fresh, call) == answer,
            stack,
            socket,
            question
        );
    }

    // More rules never refuse more, and a layer never allows more.
    if !stack.is_empty() {
        let at = random.below(stack.len());
        let mut more = stack.clone();

        more[at]
            .opened
            .push((random.cookie(), random.access() & stack[at].handled));
        law!(
            counts,
            "a rule about a socket gives",
            answer.is_err() || ask(&more, &socket, call).is_ok(),
            stack,
            more,
            socket,
            question
        );
    }

    let mut more = stack.clone();

    more.insert(random.below(stack.len() + 1), random.single_layer());
    law!(
        counts,
        "a layer takes away, whatever sockets it is about",
        answer.is_ok() || ask(&more, &socket, call).is_err(),
        stack,
        more,
        socket,
        question
    );

    // A rule about the socket itself grants all that rules can grant.
    let named = Socket {
        cookie: 1,
        granted_by_address: false,
        may_name_device: false,
        ..socket
    };
    let granted = each(&stack, |layer| Owned {
        opened: vec![(1, layer.handled)],
        ..layer.clone()
    });
    let is_unspec_send = socket.family == AF_INET6 && question.bytes.starts_with(&[0, 0]);

    if socket.protocol != Protocol::Smc && !is_unspec_send && !question.is_special() {
        law!(
            counts,
            "a rule about a socket grants all",
            hear_of(&granted, &named, call).is_empty(),
            stack,
            named,
            question
        );
    }
}

/// What is told of a call.
fn hear_of(stack: &[Owned], socket: &Socket, call: Call<'_>) -> Vec<Record> {
    ask_and_hear(stack, &mut { *socket }, call).1
}

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|argument| argument.parse().expect("a number"));
    let stacks = arguments.next().unwrap_or(1_000_000);
    let mut random = Random(arguments.next().unwrap_or(20_260_401));
    let mut counts = Counts::new();

    for _ in 0..stacks {
        try_laws(&mut random, &mut counts);
        try_laws_of_connections(&mut random, &mut counts);
        try_laws_of_single_layers(&mut random, &mut counts);
    }
    for (law, count) in counts {
        println!("{count:9}  {law}");
    }
    println!("{stacks:9}  stacks, no law broken");
}
