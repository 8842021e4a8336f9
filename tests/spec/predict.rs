// SPDX-License-Identifier: GPL-2.0

//! Predicts what the kernel answers to the programs of the fuzz, by the specification.
//!
//! `tests/harness/fuzz.py` writes to the standard input what a guest did, one thing in each line:
//!
//!   = NUMBER   a program begins
//!   < LINE     an operation (tests/guest/fuzz.c explains it)
//!   ~ STATE    what was known of its socket before it, if it is about a socket
//!   ?          the prediction is asked for
//!   + STATE    what was known after it of the socket that it made or connected
//!   > RESULT   what the kernel answered
//!
//! The answer to `?` is a line with what the operation counts as, the reason, and the results that are
//! right. It is written before the result is read: it only depends on what was known before the
//! operation. The results are:
//!
//!   any        any: it is not known
//!   stack      any but EACCES: the network stack answers
//!   done       any that is no error
//!   upto N     at most N: the message after the first N is refused; not EACCES
//!   N ...      one of these
//!
//! The decision is that of security/portlock/spec.rs. This file only translates, and keeps account of
//! what descriptors and threads have.
//!
//! The network stack does not answer EACCES by itself: the programs run as root, their sockets may
//! broadcast, and none is a ping socket. It answers before the hooks in two cases: socket(2) with
//! numbers out of range, and listen(2) on a socket that is or was connected, which may get EINVAL
//! instead of EACCES. Nothing is predicted (`any`) for a socket that was connected when it cannot be
//! known whether it still has its port, and listen(2) depends on that; and for accept(2) when the
//! answer depends on which of several connections is the first in the queue.

#[allow(dead_code)]
#[path = "../../security/portlock/spec.rs"]
mod spec;

use spec::{Failure::*, Protocol::*, *};
use std::{
    cell::RefCell,
    collections::{HashSet, VecDeque},
    fmt,
    io::{stdin, BufRead},
    rc::Rc,
};

/// The flag of landlock_create_ruleset(2) that makes an observer.
const CREATE_OBSERVER: u32 = 1 << 30;
/// The flag of landlock_restrict_self(2).
const PERMISSIVE: u32 = 1 << 31;

const EBADF: i32 = 9;
const EAGAIN: i32 = 11;
const ENOTSOCK: i32 = 88;
const EOPNOTSUPP: i32 = 95;
const ECONNABORTED: i32 = 103;
const EINPROGRESS: i32 = 115;
const EBADFD: i32 = 77;

const SOCK_STREAM: u64 = 1;
const SOCK_DGRAM: u64 = 2;
const AF_SMC: u64 = 43;
const AF_MAX: i32 = 46;
const SOCK_MAX: i32 = 11;
const MSG_DONTROUTE: u64 = 4;
const MSG_FASTOPEN: u64 = 0x2000_0000;
const TSYNC: u64 = 8;
const POLLIN: u64 = 1;
const POLLOUT: u64 = 4;
const POLLHUP: u64 = 16;
const MAX_LAYERS: usize = 16;

/// A ruleset while it is written.
struct Ruleset {
    attr: RulesetAttr,
    is_extended: bool,
    rules: Vec<Rule>,
    kinds: Vec<Kind>,
    opened: Vec<(u64, u64)>,
    observer: Option<usize>,
}

/// A layer, with its rules.
struct Enforced {
    is_extended: bool,
    attr: RulesetAttr,
    rules: Vec<Rule>,
    kinds: Vec<Kind>,
    opened: Vec<(u64, u64)>,
    observer: Option<usize>,
    is_permissive: bool,
    netns: u64,
}

impl Enforced {
    fn layer<'a>(&'a self, rules: &'a [Rule]) -> Layer<'a> {
        Layer {
            is_extended: self.is_extended,
            handled: self.attr.handled_access_net,
            quiet: self.attr.quiet_access_net,
            permissions: self.attr.handled_permissions,
            rules,
            kinds: &self.kinds,
            opened: &self.opened,
            is_permissive: self.is_permissive,
            netns: self.netns,
        }
    }
}

#[derive(Clone, Default)]
struct Thread {
    layers: Vec<Rc<Enforced>>,
    network: usize,
    /// What the layers told of the last answer.
    told: RefCell<Vec<Record>>,
}

impl Thread {
    fn layers(&self) -> Vec<Layer<'_>> {
        self.layers
            .iter()
            .map(|each| each.layer(&each.rules))
            .collect()
    }

    /// Asks the layers, and keeps what they tell.
    fn ask(&self, ask: impl FnOnce(&Stack<'_>) -> Answer) -> Answer {
        let layers = self.layers();

        self.told.take();
        ask(&Stack {
            layers: &layers,
            tell: &|record| self.told.borrow_mut().push(record),
        })
    }

    /// The observers of the layers.
    fn observers(&self) -> impl Iterator<Item = usize> + '_ {
        self.layers.iter().filter_map(|each| each.observer)
    }

    /// The answer to a call, and what would have to change for another one.
    fn answer(&self, socket: &mut Socket, call: Call<'_>) -> (Answer, &'static str) {
        let before = Socket {
            granted_by_address: false,
            ..*socket
        };
        let with = |change: &dyn Fn(&Rule) -> Option<Rule>, has_opened: bool| {
            let rules: Vec<Vec<Rule>> = (self.layers.iter())
                .map(|each| each.rules.iter().filter_map(change).collect())
                .collect();
            let layers = self.layers.iter().zip(&rules);
            let layers: Vec<_> = layers
                .map(|(each, rules)| Layer {
                    opened: if has_opened { &each.opened } else { &[] },
                    ..each.layer(rules)
                })
                .collect();
            let stack = Stack {
                layers: &layers,
                tell: &|_| (),
            };

            { before }.answer(&stack, call)
        };
        let answer = self.ask(|stack| socket.answer(stack, call));
        let why = match answer {
            Err(Error(_)) => "wrong",
            Err(Refused(..)) if socket.protocol == Smc => "kind",
            Err(Refused(..)) => {
                let without_address = |rule: &Rule| {
                    Some(Rule {
                        prefix: None,
                        ..*rule
                    })
                };

                match with(&without_address, true) {
                    Ok(()) => "address",
                    Err(_) => "port",
                }
            }
            Ok(()) if with(&|_| None, false).is_ok() => "unasked",
            Ok(()) if with(&|rule| Some(*rule), false).is_err() => "socket",
            Ok(()) => match with(
                &|rule| Some(*rule).filter(|rule| rule.prefix.is_none()),
                true,
            ) {
                Ok(()) => "port",
                Err(_) => "address",
            },
        };

        (answer, why)
    }
}

#[derive(Clone, Copy)]
enum Slot {
    Empty,
    Ruleset(usize),
    Socket(usize),
    Observer(usize),
}

/// What is in an observer, as fuzz.c tells it.
#[derive(Default)]
struct Observer {
    events: VecDeque<i64>,
    /// There may be others, too.
    is_unsure: bool,
}

/// What observers will have been told by an operation, if its result is as it was predicted.
#[derive(Default)]
struct Telling {
    events: Vec<(usize, i64)>,
    /// The errors that it goes with; any result if there are none.
    errors: Vec<i32>,
    /// The observers of which nothing is known afterwards.
    unsure: Vec<usize>,
}

/// The family, the type and the protocol of a socket.
type What = [u64; 3];

/// What fuzz.c tells of a record.
fn event(layer: &Enforced, record: &Record, what: What) -> i64 {
    let (port, address) = record.asked.unwrap_or((0, None));
    let mut bytes = [0; 16];
    let family = match address {
        None => 0,
        Some(Address::V4(address)) => {
            bytes[..4].copy_from_slice(&address);
            AF_INET
        }
        Some(Address::V6(address)) => {
            bytes = address;
            AF_INET6
        }
    };
    let (low, high) = bytes.split_at(8);
    let number = |half: &[u8]| u64::from_ne_bytes(half.try_into().unwrap());
    let permissions = if record.right == 0 { SOCKET_CREATE } else { 0 };
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;

    for word in [
        layer.is_permissive.into(),
        0,
        layer.attr.observer_cookie,
        record.right,
        permissions,
        what[0] & 0xffff_ffff,
        what[1] & 0xffff_ffff,
        what[2] & 0xffff_ffff,
        port.into(),
        family.into(),
        number(low),
        number(high),
    ] {
        hash = (hash ^ word).wrapping_mul(0x100_0000_01b3);
    }
    (hash as i64 & i64::MAX) | 1
}

/// What is remembered of a socket, because it cannot be read from it.
#[derive(Clone, Copy, Default)]
struct Traits {
    granted_by_address: bool,
    may_name_device: bool,
    has_lost_port: bool,
    /// Of a sticky IPV6_PKTINFO.
    device: u32,
    has_label: bool,
    /// It was connected, or may be.
    was_connected: bool,
    /// Of MPTCP: a call may have bound the subflow to a device, even if it failed. listen(2) is about
    /// the subflow.
    subflow_may_have_device: bool,
    /// A bind named its port. Else a connection that ends takes the port away, and getsockname(2)
    /// still tells it.
    keeps_port: bool,
    /// The cookie of the listener that it comes from.
    listener: u64,
    /// Its own port and its peer when accept(2) returned it.
    accepted: Option<(u16, (u16, Address))>,
    /// Whether its state is `SS_CONNECTED`, if it was accepted and that is known.
    is_connected: Option<bool>,
    /// Nothing is known of it any more.
    is_unsure: bool,
}

impl Traits {
    /// Notes that a message is sent, which may connect the socket if it `is_fast`.
    fn note_send(&mut self, is_fast: bool) {
        self.was_connected |= is_fast;
        self.subflow_may_have_device |= is_fast;
    }
}

/// A socket, and what it is ready for.
struct Seen {
    id: usize,
    socket: Socket,
    what: What,
    events: u64,
}

impl Seen {
    /// The connection that it has begun, if it has one.
    fn connection(&self) -> Option<Connection> {
        let Socket {
            protocol,
            netns,
            local,
            accepted,
            ..
        } = self.socket;
        let to = self.socket.peer?;
        let is_begun = matches!(protocol, Tcp | Mptcp | Smc) && accepted != Some((local.0, to));

        Some(Connection {
            netns,
            from: local,
            to,
            has_route: self.socket.way.has_route,
            is_taken: false,
        })
        .filter(|_| is_begun && self.is_up())
    }

    /// Whether it has a connection, and is not closed.
    fn is_up(&self) -> bool {
        self.socket.peer.is_some() && self.events & (POLLOUT | POLLHUP) == POLLOUT
    }
}

/// A connection, as the side that began it sees it. It may wait in the queue of a listener.
#[derive(Clone, Copy)]
struct Connection {
    netns: u64,
    from: (u16, Address),
    to: (u16, Address),
    has_route: bool,
    /// Accepted, or refused.
    is_taken: bool,
}

impl Connection {
    fn is(&self, other: &Self) -> bool {
        (self.netns, self.from, self.to) == (other.netns, other.from, other.to)
    }
}

impl Traits {
    /// Notes that the network stack has looked whether what was disconnected is connected now, unless
    /// `result` says that it has not.
    fn note_connected(&mut self, is_connected: bool, result: i64) {
        let is_same = [EACCES, EINPROGRESS]
            .map(|errno| -i64::from(errno))
            .contains(&result);

        if self.is_connected != Some(true) && !is_same {
            self.is_connected = Some(true).filter(|_| is_connected);
        }
    }
}

#[derive(Clone)]
struct Process {
    threads: [Option<Thread>; 4],
    slots: [Slot; 16],
}

/// The results that are right.
enum Right {
    Any,
    Stack,
    Done,
    UpTo(usize),
    OneOf(Vec<i64>),
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Right::Any => write!(f, "any"),
            Right::Stack => write!(f, "stack"),
            Right::Done => write!(f, "done"),
            Right::UpTo(count) => write!(f, "upto {count}"),
            Right::OneOf(results) => {
                let results: Vec<_> = results.iter().map(i64::to_string).collect();

                write!(f, "{}", results.join(" "))
            }
        }
    }
}

type Prediction = (Right, &'static str);

fn error(errno: i32) -> Right {
    Right::OneOf(vec![-i64::from(errno)])
}

fn right_of(answer: Answer) -> Right {
    match answer {
        Ok(()) => Right::Stack,
        Err(Error(errno)) => error(errno),
        Err(Refused(..)) => error(EACCES),
    }
}

/// An operation.
struct Op {
    thread: usize,
    name: String,
    arg: [u64; 16],
}

impl Op {
    fn parse(line: &str) -> Self {
        let mut words = line.split(' ');
        let thread = words
            .next()
            .and_then(|word| word.parse().ok())
            .expect("a thread");
        let name = words.next().expect("a name").to_string();
        let mut arg = [0; 16];

        for (arg, word) in arg.iter_mut().zip(words) {
            *arg = number(word);
        }
        Self { thread, name, arg }
    }

    fn bytes(&self, at: usize, len: usize) -> Vec<u8> {
        let words = &self.arg[at..self.arg.len().min(at + 4)];
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();

        bytes.resize(len.max(32), 0);
        bytes.truncate(len);
        bytes
    }

    /// An address of layout 3.
    fn address(&self, at: usize) -> Vec<u8> {
        assert_eq!(self.arg[at], 3, "layout 3");
        self.bytes(at + 1, self.arg[at + 5] as usize)
    }
}

/// A number as C's strtoull() reads it.
fn number(word: &str) -> u64 {
    let digits = word.trim_start_matches('-');
    let value = match digits.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    let value = value.expect("a number");

    if word.starts_with('-') {
        value.wrapping_neg()
    } else {
        value
    }
}

/// The port and address that a socket address holds.
fn endpoint(bytes: &[u8]) -> Option<(u16, Address)> {
    let port = u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]);
    let address = match u16::from_ne_bytes([bytes[0], bytes[1]]) {
        AF_INET => Address::V4(bytes.get(4..8)?.try_into().ok()?),
        AF_INET6 => Address::from_inet6(bytes.get(8..24)?.try_into().ok()?),
        _ => return None,
    };

    Some((port, address))
}

/// What getsockname(2) or getpeername(2) gave, in hexadecimal.
fn name(text: &str) -> Option<(u16, Address)> {
    let bytes: Vec<u8> = (0..text.len() / 2)
        .filter_map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok())
        .collect();

    endpoint(&bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..at + 4)
        .map_or(0, |bytes| u32::from_ne_bytes(bytes.try_into().unwrap()))
}

const SOL_IP: u64 = 0;
const SOL_IPV6: u64 = 41;

/// What the flags of a message say of the way.
fn way_of_flags(flags: u64) -> Way {
    Way {
        has_route: flags & MSG_DONTROUTE != 0,
        ..Way::NONE
    }
}

/// What a control message says of the way.
fn way_of_control(level: u64, kind: u64, data: &[u8]) -> Way {
    const IP_RETOPTS: u64 = 7;
    const IP_PKTINFO: u64 = 8;
    const IPV6_2292PKTINFO: u64 = 2;
    const IPV6_2292RTHDR: u64 = 5;
    const IPV6_PKTINFO: u64 = 50;
    const IPV6_RTHDR: u64 = 57;

    let (has_route, device) = match (level, kind) {
        (SOL_IP, IP_RETOPTS) | (SOL_IPV6, IPV6_RTHDR | IPV6_2292RTHDR) => (true, 0),
        (SOL_IP, IP_PKTINFO) => (data.len() < 12, u32_at(data, 0)),
        (SOL_IPV6, IPV6_PKTINFO | IPV6_2292PKTINFO) => (data.len() < 20, u32_at(data, 16)),
        _ => (false, 0),
    };

    Way { has_route, device }
}

/// A program that runs.
struct Program {
    rulesets: Vec<Ruleset>,
    process: Process,
    /// Who forked, the innermost last. `None` if a fork failed.
    parents: Vec<Option<Process>>,
    sockets: Vec<Traits>,
    connections: Vec<Connection>,
    observers: Vec<Observer>,
    telling: Telling,
}

impl Program {
    fn new() -> Self {
        Self {
            rulesets: Vec::new(),
            process: Process {
                threads: [Some(Thread::default()), None, None, None],
                slots: [Slot::Empty; 16],
            },
            parents: Vec::new(),
            sockets: Vec::new(),
            connections: Vec::new(),
            observers: Vec::new(),
            telling: Telling::default(),
        }
    }

    fn thread(&mut self, number: usize) -> &mut Thread {
        let first = self.process.threads[0].clone();
        let thread = &mut self.process.threads[number];

        // A thread begins with what its maker has.
        if thread.is_none() {
            *thread = first;
        }
        thread.as_mut().expect("the first thread is there")
    }

    fn slot(&self, number: u64) -> Slot {
        (self.process.slots.get(number as usize).copied()).unwrap_or(Slot::Empty)
    }

    fn keep(&mut self, number: u64, slot: Slot) {
        self.process.slots[number as usize % 16] = slot;
    }

    /// The ruleset of a descriptor.
    fn ruleset(&self, slot: u64) -> Result<usize, i32> {
        match self.slot(slot) {
            Slot::Ruleset(number) => Ok(number),
            Slot::Empty => Err(EBADF),
            Slot::Socket(_) | Slot::Observer(_) => Err(EBADFD),
        }
    }

    /// Notes a new socket in a slot.
    fn keep_socket(&mut self, slot: u64, traits: Traits) {
        self.sockets.push(traits);
        self.keep(slot, Slot::Socket(self.sockets.len() - 1));
    }

    /// What is known of the socket in a slot.
    fn socket(&self, slot: u64, state: &str) -> Option<Seen> {
        let words: Vec<_> = state.split(' ').collect();
        let [netns, family, kind, protocol, is_listening, bound, v4, v6, route, local, peer, events] =
            words[..].try_into().ok()?;
        let Slot::Socket(id) = self.slot(slot) else {
            return None;
        };
        let traits = self.sockets[id];
        let raw_protocol = number(protocol);
        let family = number(family);
        let is_inet = family == AF_INET.into() || family == AF_INET6.into();
        let devices = [
            number(bound) as u32,
            number(v4) as u32,
            number(v6) as u32,
            traits.device,
        ];
        let protocol = match (number(kind), raw_protocol) {
            _ if family == AF_SMC => Smc,
            (SOCK_STREAM, 6) if is_inet => Tcp,
            (SOCK_STREAM, 262) if is_inet => Mptcp,
            (SOCK_STREAM, 256) if is_inet => Smc,
            (SOCK_DGRAM, 17) if is_inet => Udp,
            _ => Other,
        };
        let what = [family, number(kind), raw_protocol];
        let family = family as u16;

        Some(Seen {
            id,
            what,
            events: number(events),
            socket: Socket {
                netns: number(netns),
                is_listening: number(is_listening) != 0,
                local: name(local).unwrap_or((0, Address::wildcard(family))),
                is_port_named: traits.keeps_port,
                peer: name(peer),
                accepted: traits.accepted,
                is_connected: traits.is_connected == Some(true),
                // As if the number was the cookie.
                cookie: id as u64 + 1,
                listener: traits.listener,
                way: Way {
                    has_route: number(route) != 0 || traits.has_label,
                    device: (devices.into_iter().filter(|device| *device != 0))
                        .max()
                        .unwrap_or(0),
                },
                granted_by_address: traits.granted_by_address,
                may_name_device: traits.may_name_device,
                has_lost_port: traits.has_lost_port,
                ..Socket::new(protocol, family)
            },
        })
    }

    /// What an operation counts as in the report: the right, if its name does not say it.
    fn row<'a>(&self, op: &'a Op, state: &str) -> &'a str {
        let seen = self.socket(op.arg[0], state);
        let protocol = seen.map_or(Other, |seen| seen.socket.protocol);
        let is_fast = op.arg[1] & MSG_FASTOPEN != 0;

        match (op.name.as_str(), protocol) {
            ("option" | "setsockopt", _) if is_special(op.arg[1], op.arg[2]) => "option",
            ("accept", Tcp | Mptcp) => "ACCEPT_TCP",
            ("write", Tcp | Mptcp) => "SEND_TCP",
            ("send" | "sendto" | "sendmsg" | "sendmmsg" | "control", Tcp | Mptcp) if !is_fast => {
                "SEND_TCP"
            }
            ("recv" | "read" | "splice", Tcp | Mptcp) => "RECEIVE_TCP",
            ("shutdown", Tcp | Mptcp) => "SHUTDOWN_TCP",
            ("getsockopt", Tcp | Mptcp) => "GETSOCKOPT_TCP",
            ("option" | "setsockopt", Tcp | Mptcp) => "SETSOCKOPT_TCP",
            ("recv" | "read" | "splice", Udp) => "RECEIVE_UDP",
            ("shutdown", Udp) => "SHUTDOWN_UDP",
            ("getsockopt", Udp) => "GETSOCKOPT_UDP",
            ("option" | "setsockopt", Udp) => "SETSOCKOPT_UDP",
            (name, _) => name,
        }
    }

    /// The prediction for an operation. What it leaves behind is noted, as far as no result decides.
    fn predict(&mut self, op: &Op, state: &str) -> Prediction {
        let arg = &op.arg;
        let word = arg[1];

        // The first operation of a thread makes it. The process itself forks and joins.
        if !["fork", "join"].contains(&op.name.as_str()) {
            self.thread(op.thread);
        }

        match op.name.as_str() {
            "ruleset" => (Right::Done, "attr"),
            "extended" => self.predict_create(op),
            "about" => {
                let (is_null, size) = (arg[0] == 0, arg[1] as usize);
                let created = match arg[2] as u32 {
                    CREATE_OBSERVER => create_observer(is_null, size, false, None).map(|()| None),
                    flags => create_ruleset(flags, is_null, size, false, None, Ok(())),
                };

                match created {
                    Ok(version) => (Right::OneOf(vec![version.unwrap_or(0).into()]), "attr"),
                    Err(errno) => (error(errno), "attr"),
                }
            }
            "port" => {
                let attr = match arg[2] {
                    2 => RuleAttr::NetPort(Some((arg[4], arg[5])).filter(|_| can_read(arg[3]))),
                    _ => RuleAttr::Other,
                };

                self.predict_rule(arg[0], attr, word)
            }
            "net" => {
                let attr = NetAttr {
                    allowed_access: arg[3],
                    port_first: arg[4],
                    port_last: arg[5],
                    family: arg[6] as u32,
                    prefix_len: arg[7] as u32,
                    address: op.bytes(8, 16).try_into().unwrap(),
                    ifindex: arg[10] as u32,
                    reserved: arg[11] as u32,
                };

                self.predict_rule(
                    arg[0],
                    RuleAttr::Net(Some(attr).filter(|_| can_read(arg[2]))),
                    word,
                )
            }
            "kind" => {
                let attr = SocketAttr {
                    permissions: arg[3],
                    kind: Kind {
                        family: arg[4] as i32,
                        kind: arg[5] as i32,
                        protocol: arg[6] as i32,
                    },
                    reserved: arg[7] as u32,
                };

                self.predict_rule(
                    arg[0],
                    RuleAttr::Socket(Some(attr).filter(|_| can_read(arg[2]))),
                    word,
                )
            }
            "opened" => {
                let socket = match (self.slot(arg[0]), self.socket(arg[0], state)) {
                    (Slot::Empty, _) => Err(EBADF),
                    (Slot::Ruleset(_) | Slot::Observer(_), _) => Err(ENOTSOCK),
                    (_, Some(seen)) if matches!(seen.socket.protocol, Tcp | Mptcp | Udp) => {
                        Ok(seen.socket.cookie)
                    }
                    _ => Err(EOPNOTSUPP),
                };
                let attr = OpenedAttr {
                    allowed_access: arg[4],
                    socket,
                    reserved: arg[5] as u32,
                };

                self.predict_rule(
                    word,
                    RuleAttr::Opened(Some(attr).filter(|_| can_read(arg[3]))),
                    arg[2],
                )
            }
            "event" => match self.slot(arg[0]) {
                Slot::Observer(number) => {
                    let observer = &self.observers[number];

                    match observer.events.front() {
                        _ if observer.is_unsure => (Right::Any, "unsure"),
                        Some(event) => (Right::OneOf(vec![*event]), "record"),
                        // Whether somebody is left to tell something, the kernel may know later.
                        None => (Right::OneOf(vec![(-EAGAIN).into(), 0]), "none"),
                    }
                }
                Slot::Empty => (error(EBADF), "attr"),
                Slot::Ruleset(_) => (error(EINVAL), "attr"),
                Slot::Socket(_) => (Right::Any, "unsure"),
            },
            "restrict" => {
                let layers = self.thread(op.thread).layers.len();
                let permissive = u64::from(PERMISSIVE);
                let is_permissive = arg[1] as u32 & PERMISSIVE != 0;
                let right = match self.ruleset(arg[0]) {
                    _ if arg[1] & !(0x1f | permissive) != 0 => error(EINVAL),
                    // For all but extended rulesets this is an unknown flag.
                    found
                        if is_permissive
                            && !found.is_ok_and(|number| self.rulesets[number].is_extended) =>
                    {
                        error(EINVAL)
                    }
                    Err(errno) => error(errno),
                    Ok(_) if layers == MAX_LAYERS => error(E2BIG),
                    Ok(_) => Right::OneOf(vec![0]),
                };

                (right, "attr")
            }
            "socket" => self.predict_creation(op.thread, [arg[1], arg[2], arg[3]]),
            "pair" => self.predict_creation(op.thread, [arg[2], arg[3], arg[4]]),
            _ => match self.socket(arg[0], state) {
                Some(seen) => self.predict_call(op, &seen),
                None => (Right::Stack, "unasked"),
            },
        }
    }

    fn predict_create(&self, op: &Op) -> Prediction {
        let (is_null, size) = (op.arg[3] == 1, op.arg[1] as usize);
        let created = if op.arg[2] as u32 == CREATE_OBSERVER {
            let (flags, more) = observer_attr(op);

            create_observer(is_null, size, more, flags)
        } else {
            let (attr, more) = extended_attr(op);
            let observer = attr.map(|attr| self.observer(attr.observer_fd).map(|_| ()));

            create_ruleset(
                op.arg[2] as u32,
                is_null,
                size,
                more,
                attr,
                observer.unwrap_or(Ok(())),
            )
            .map(|_| ())
        };

        (created.map_or_else(error, |()| Right::Done), "attr")
    }

    /// The observer of a descriptor, by its number.
    fn observer(&self, fd: i32) -> Result<usize, i32> {
        // Slots begin at 100. The program has other descriptors, too.
        match self.slot((fd as u64).wrapping_sub(100)) {
            Slot::Observer(number) => Ok(number),
            Slot::Empty if !(0..3).contains(&fd) => Err(EBADF),
            _ => Err(EBADFD),
        }
    }

    fn predict_rule(&mut self, slot: u64, attr: RuleAttr, flags: u64) -> Prediction {
        // Flags come before the descriptor, so there need not be a ruleset.
        let number = self.ruleset(slot);
        let none = Ruleset {
            attr: ruleset_attr(0, 0),
            is_extended: false,
            rules: Vec::new(),
            kinds: Vec::new(),
            opened: Vec::new(),
            observer: None,
        };
        let ruleset = number.map_or(&none, |number| &self.rulesets[number]);
        let prefixes: HashSet<_> = (ruleset.rules.iter())
            .filter_map(|rule| rule.prefix)
            .map(|prefix| format!("{prefix:?}"))
            .collect();
        let added = add_rule(
            &ruleset.attr,
            ruleset.is_extended,
            number.map(|_| ()),
            attr,
            flags as u32,
            prefixes.len() + 1,
        );

        match (added, number) {
            (Ok(added), Ok(number)) => {
                match added {
                    Added::Rule(rule) => self.rulesets[number].rules.push(rule),
                    Added::Kind(kind) => self.rulesets[number].kinds.push(kind),
                    Added::Opened(cookie, access) => {
                        self.rulesets[number].opened.push((cookie, access));
                    }
                }
                (Right::OneOf(vec![0]), "attr")
            }
            (added, _) => (error(added.err().unwrap_or(EBADF)), "attr"),
        }
    }

    fn predict_creation(
        &mut self,
        thread: usize,
        [family, kind, protocol]: [u64; 3],
    ) -> Prediction {
        const FLAGS: u64 = 0o2000000 | 0o4000;

        let asked = Kind {
            family: family as i32,
            kind: (kind & !FLAGS) as i32,
            protocol: protocol as i32,
        };

        // The network stack looks at the ranges before it asks.
        if !(0..AF_MAX).contains(&asked.family) || !(0..SOCK_MAX).contains(&asked.kind) {
            return (Right::Stack, "unasked");
        }

        let thread = self.thread(thread).clone();
        let is_asked = (thread.layers.iter()).any(|layer| layer.attr.handled_permissions != 0);
        let answer = thread.ask(|stack| create_socket(stack, asked, false));
        // The network stack changes this before it asks.
        let family = match (asked.family, asked.kind) {
            (2, SOCK_PACKET) => AF_PACKET.into(),
            (family, _) => family as u64,
        };

        self.tell(
            &thread,
            [family, asked.kind as u64, asked.protocol as u64],
            answer,
        );
        (right_of(answer), if is_asked { "kind" } else { "unasked" })
    }

    /// What the layers of a thread have told of a socket will be told if the result of the operation is
    /// that of the answer.
    fn tell(&mut self, thread: &Thread, what: What, answer: Answer) {
        for record in thread.told.take().iter().filter(|record| !record.is_quiet) {
            let layer = &thread.layers[record.layer];

            if let Some(observer) = layer.observer {
                let event = event(layer, record, what);

                self.telling.events.push((observer, event));
            }
        }
        self.telling.errors = match answer {
            Err(Refused(..)) => vec![EACCES, ECONNABORTED],
            _ => Vec::new(),
        };
    }

    /// Nothing is known of what the layers of a thread have told.
    fn tell_unsurely(&mut self, thread: &Thread) {
        self.telling.events.clear();
        self.telling.unsure.extend(thread.observers());
    }

    /// Notes what observers were told by an operation that had a result.
    fn note_told(&mut self, op: &Op, result: i64) {
        let Telling {
            events,
            errors,
            mut unsure,
        } = std::mem::take(&mut self.telling);
        let is_as_predicted =
            errors.is_empty() || errors.iter().any(|errno| result == -i64::from(*errno));
        // The network stack may have answered first.
        let may_be_unasked =
            op.name == "listen" && result == -i64::from(EINVAL) || op.name == "pair" && result < 0;
        // Of each of two sockets.
        let times = if op.name == "pair" && result >= 0 {
            2
        } else {
            1
        };

        if !is_as_predicted || may_be_unasked {
            unsure.extend(events.iter().map(|(observer, _)| *observer));
        } else {
            for (observer, event) in (0..times).flat_map(|_| &events) {
                self.observers[*observer].events.push_back(*event);
            }
        }
        for observer in unsure {
            self.observers[observer].is_unsure = true;
        }
    }

    fn predict_call(&mut self, op: &Op, seen: &Seen) -> Prediction {
        let arg = op.arg;
        let (id, mut socket) = (seen.id, seen.socket);
        let thread = self.thread(op.thread).clone();
        let (word, level, option) = (arg[1], arg[1] as i32, arg[2] as i32);
        let is_fast = word & MSG_FASTOPEN != 0;
        let plain = way_of_flags(arg[1]);
        let some = |address: Vec<u8>| Some(address).filter(|address| !address.is_empty());
        let mut is_asked = true;
        let traits = &mut self.sockets[id];

        let is_as_accepted = socket.accepted == socket.peer.map(|peer| (socket.local.0, peer));

        traits.is_unsure |=
            socket.accepted.is_some() && is_as_accepted && traits.is_connected.is_none();
        if traits.is_unsure {
            self.tell_unsurely(&thread);
            return (Right::Any, "unsure");
        }

        let (answer, why) = match op.name.as_str() {
            "bind" => {
                let address = op.address(1);

                traits.subflow_may_have_device |= names_device(Use::Bind, &address);
                thread.answer(&mut socket, Call::Bind(&address))
            }
            "connect" => {
                let address = op.address(1);

                traits.was_connected = true;
                traits.subflow_may_have_device |= names_device(Use::Connect, &address);
                thread.answer(&mut socket, Call::Connect(&address))
            }
            // This ends a listener too.
            "shutdown" => {
                traits.was_connected = true;
                thread.answer(&mut socket, Call::Shutdown)
            }
            "accept" => return self.predict_accept(seen, &thread),
            // Without room for data the network stack does not ask.
            "read" if word % 17 == 0 => {
                is_asked = false;
                (Ok(()), "unasked")
            }
            "recv" | "read" | "splice" => thread.answer(&mut socket, Call::Receive),
            "listen" => return self.predict_listen(seen, socket, &thread),
            "write" => thread.answer(&mut socket, Call::Send(None, false, Way::NONE)),
            // On MPTCP, fast open without an address ends a listener.
            "send" => {
                traits.note_send(is_fast);
                thread.answer(&mut socket, Call::Send(None, is_fast, plain))
            }
            // An address of length 0 is an address here.
            "sendto" => {
                traits.note_send(is_fast);
                thread.answer(
                    &mut socket,
                    Call::Send(Some(&op.address(3)), is_fast, plain),
                )
            }
            "sendmsg" => {
                let to = some(op.address(3));

                traits.note_send(is_fast);
                thread.answer(&mut socket, Call::Send(to.as_deref(), is_fast, plain))
            }
            "control" => {
                let to = some(op.address(2));
                let control = way_of_control(arg[8], arg[9], &op.bytes(11, arg[10] as usize));
                let way = Way {
                    has_route: control.has_route || plain.has_route,
                    ..control
                };

                traits.note_send(is_fast);
                thread.answer(&mut socket, Call::Send(to.as_deref(), is_fast, way))
            }
            "sendmmsg" => return self.predict_messages(op, seen, socket, &thread),
            "getsockopt" => thread.answer(&mut socket, Call::GetOption(level, option)),
            "option" | "setsockopt" => {
                let (answer, why) = thread.answer(&mut socket, Call::SetOption(level, option));

                (
                    answer,
                    if is_special(arg[1], arg[2]) {
                        "option"
                    } else {
                        why
                    },
                )
            }
            _ => {
                is_asked = false;
                (Ok(()), "unasked")
            }
        };

        traits.granted_by_address = socket.granted_by_address;
        traits.may_name_device = socket.may_name_device;
        traits.has_lost_port = socket.has_lost_port;
        if !is_asked {
            thread.told.take();
        }
        self.tell(&thread, seen.what, answer);
        (right_of(answer), why)
    }

    /// accept(2), which asks about the listener, and then about the connection that is the first in its
    /// queue. It is one of those that were made to the port.
    fn predict_accept(&mut self, seen: &Seen, thread: &Thread) -> Prediction {
        let (answer, why) = thread.answer(&mut { seen.socket }, Call::Accept);

        self.tell(thread, seen.what, answer);
        if answer.is_err() || !seen.socket.is_listening || seen.events & POLLIN == 0 {
            return (right_of(answer), why);
        }

        let answers: Vec<_> = (self.connections.iter())
            .filter(|each| may_accept(&seen.socket, each))
            .flat_map(|each| accepted(seen, each, thread))
            .collect();
        let why = answers.first().map_or("unsure", |(_, why)| *why);

        if answers.is_empty() || answers.iter().any(|(each, _)| *each != answers[0].0) {
            (Right::Any, "unsure")
        } else if answers[0].0 {
            (Right::Done, why)
        } else {
            (error(ECONNABORTED), why)
        }
    }

    /// listen(2), for which the network stack tests the state first. A socket that was connected may
    /// fail this test, and may have lost its port. Of MPTCP only the subflow loses it, and the address.
    fn predict_listen(&mut self, seen: &Seen, mut socket: Socket, thread: &Thread) -> Prediction {
        let id = seen.id;
        let (port, address) = socket.local;
        let wildcard = Address::wildcard(socket.family);
        let mut may_tell = false;
        let others = [(0, address), (0, wildcard), (port, wildcard)].map(|local| {
            let mut other = Socket { local, ..socket };
            let (answer, _) = thread.answer(&mut other, Call::Listen);

            may_tell |= !thread.told.borrow().is_empty();
            (answer.is_ok(), other.granted_by_address)
        });
        let way = Way {
            device: LOOPBACK + 1,
            ..socket.way
        };
        let with_device = thread.answer(&mut Socket { way, ..socket }, Call::Listen);
        let (answer, why) = thread.answer(&mut socket, Call::Listen);

        self.tell(thread, seen.what, answer);

        let traits = &mut self.sockets[id];
        let is_newly_marked = socket.granted_by_address != traits.granted_by_address;

        if socket.protocol == Mptcp
            && traits.subflow_may_have_device
            && with_device.0.is_ok() != answer.is_ok()
        {
            traits.is_unsure = true;
            self.tell_unsurely(thread);
            return (Right::Any, "unsure");
        }
        traits.granted_by_address = socket.granted_by_address;
        if !traits.was_connected || socket.protocol == Smc {
            return (right_of(answer), why);
        }

        let keeps_port = traits.keeps_port;

        // The record has the port and the address, which it may have lost.
        if may_tell || !self.telling.events.is_empty() {
            self.tell_unsurely(thread);
        }

        let traits = &mut self.sockets[id];
        let may_be = match (keeps_port, socket.protocol) {
            (true, Mptcp) => &others[2..],
            (true, _) => &[],
            (false, Mptcp) => &others[..],
            (false, _) => &others[..1],
        };

        // If the stack answered, the socket got no mark. Another port may be granted in another way.
        let outcome = (answer.is_ok(), socket.granted_by_address);

        if is_newly_marked || may_be.iter().any(|other| *other != outcome) {
            traits.is_unsure = true;
            self.tell_unsurely(thread);
            return (Right::Any, "unsure");
        }
        match answer {
            Ok(()) => (Right::Stack, why),
            Err(_) => (
                Right::OneOf([EACCES, EINVAL].map(|errno| -i64::from(errno)).to_vec()),
                why,
            ),
        }
    }

    /// sendmmsg(2): two messages to each of two addresses. Only an error of the first is returned.
    fn predict_messages(
        &mut self,
        op: &Op,
        seen: &Seen,
        mut socket: Socket,
        thread: &Thread,
    ) -> Prediction {
        let id = seen.id;
        let is_fast = op.arg[1] & MSG_FASTOPEN != 0;
        let mut first_why = "unasked";
        let mut has_told = false;
        let mut prediction = None;
        let traits = &mut self.sockets[id];

        traits.note_send(is_fast);
        for message in 0..4 {
            let address = op.address(if message < 2 { 3 } else { 9 });
            let to = Some(&address[..]).filter(|address| !address.is_empty());
            let (answer, why) = thread.answer(
                &mut socket,
                Call::Send(to, is_fast, way_of_flags(op.arg[1])),
            );

            // The marks of later messages matter only if the ones before were sent.
            if message == 0 {
                traits.granted_by_address = socket.granted_by_address;
                traits.may_name_device = socket.may_name_device;
                traits.has_lost_port = socket.has_lost_port;
                first_why = why;
            }
            if message == 0 && answer.is_err() {
                self.tell(thread, seen.what, answer);
                return (right_of(answer), why);
            }
            has_told |= !thread.told.take().is_empty();
            if answer.is_err() {
                prediction = Some((Right::UpTo(message), why));
                break;
            }
            // What was sent has a port.
            if socket.protocol == Udp {
                socket.local.0 = socket.local.0.max(1);
            }
        }
        // How many messages are asked about depends on how many are sent.
        if has_told {
            self.tell_unsurely(thread);
        }
        prediction.unwrap_or((Right::Stack, first_why))
    }

    /// Notes what an operation did.
    fn note(&mut self, op: &Op, state: &str, after: &str, result: i64) {
        let arg = op.arg;
        let is_done = result >= 0;

        self.note_told(op, result);
        if let Some(seen) = self.socket(arg[0], state) {
            self.note_connection(&seen, false);
        }
        match op.name.as_str() {
            "extended" if is_done && arg[2] as u32 == CREATE_OBSERVER => {
                self.observers.push(Observer::default());
                self.keep(arg[0], Slot::Observer(self.observers.len() - 1));
            }
            "event" => {
                if let Slot::Observer(number) = self.slot(arg[0]) {
                    let observer = &mut self.observers[number];

                    if is_done && result != 0 {
                        observer.events.pop_front();
                    } else {
                        // It is empty.
                        *observer = Observer::default();
                    }
                }
            }
            "ruleset" | "extended" if is_done => {
                let is_extended = op.name == "extended";
                let attr = match extended_attr(op) {
                    (Some(attr), _) if is_extended => attr,
                    _ => ruleset_attr(arg[5], arg[8]),
                };

                let is_observed = is_extended && attr.flags & OBSERVED != 0;

                self.rulesets.push(Ruleset {
                    attr,
                    is_extended,
                    rules: Vec::new(),
                    kinds: Vec::new(),
                    opened: Vec::new(),
                    observer: self.observer(attr.observer_fd).ok().filter(|_| is_observed),
                });
                self.keep(arg[0], Slot::Ruleset(self.rulesets.len() - 1));
            }
            "restrict" if is_done => self.enforce(op, state),
            "socket" if is_done => self.keep_socket(arg[0], Traits::default()),
            "pair" if is_done => {
                self.keep_socket(arg[0], Traits::default());
                self.keep_socket(arg[1], Traits::default());
            }
            "accept" => self.note_accept(op, state, after, result),
            "close" if is_done => self.keep(arg[0], Slot::Empty),
            "dup" if is_done => self.keep(arg[1], self.slot(arg[0])),
            "network" if is_done => self.thread(op.thread).network = arg[0] as usize % 2,
            "option" if is_done => self.note_option(op, state),
            "bind" if is_done && op.address(1)[2..4] != [0, 0] => {
                if let Some(seen) = self.socket(arg[0], state) {
                    self.sockets[seen.id].keeps_port = true;
                }
            }
            "shutdown" => {
                if let Some(seen) = self.socket(arg[0], state) {
                    self.sockets[seen.id].note_connected(seen.is_up(), result);
                }
            }
            "connect" => {
                if let Some(seen) = self.socket(arg[0], state) {
                    let address = op.address(1);
                    let traits = &mut self.sockets[seen.id];

                    // This disconnects, even if it fails.
                    if address.starts_with(&[0, 0]) {
                        traits.is_connected = Some(false);
                    } else {
                        traits.note_connected(is_done && seen.is_up(), result);
                    }
                }
            }
            "sendmmsg" if result > 0 => self.note_messages(op, state, result),
            "fork" => {
                let parent = self.process.clone();

                if is_done {
                    self.process.threads[1..].fill(None);
                }
                self.parents.push(is_done.then_some(parent));
            }
            "join" => {
                if let Some(Some(parent)) = self.parents.pop() {
                    self.process = parent;
                }
            }
            _ => {}
        }
        if let (Some(seen), true) = (self.socket(arg[0], after), op.name != "accept") {
            let is_fast = op.name != "connect" && arg[1] & MSG_FASTOPEN != 0;
            let was_up = (self.socket(arg[0], state)).is_some_and(|seen| seen.is_up());
            let traits = &mut self.sockets[seen.id];

            if is_fast {
                traits.note_connected(is_done && was_up, result);
            }
            // A failure disconnects MPTCP.
            if is_fast
                && seen.socket.protocol == Mptcp
                && result < 0
                && result != -i64::from(EACCES)
            {
                traits.is_connected = None;
            }
            self.note_connection(&seen, true);
        }
    }

    /// Notes the connection that a socket has begun, maybe just now.
    fn note_connection(&mut self, seen: &Seen, may_be_new: bool) {
        let Some(connection) = seen.connection() else {
            return;
        };

        match self
            .connections
            .iter_mut()
            .find(|each| each.is(&connection))
        {
            Some(known) if may_be_new => *known = connection,
            Some(_) => {}
            None => self.connections.push(connection),
        }
    }

    /// Notes what accept(2) returned or refused.
    fn note_accept(&mut self, op: &Op, state: &str, after: &str, result: i64) {
        let thread = self.thread(op.thread).clone();
        let listener = self.socket(op.arg[0], state);

        if let (Some(_), true) = (&listener, result == -i64::from(ECONNABORTED)) {
            // By one of several connections, maybe.
            self.tell_unsurely(&thread);
            self.note_told(op, result);
        }
        if let (Some(listener), true) = (&listener, result == -i64::from(ECONNABORTED)) {
            let mut refused = (self.connections.iter_mut())
                .filter(|each| may_accept(&listener.socket, each))
                .filter(|each| accepted(listener, each, &thread).iter().any(|(is, _)| !is));

            // If it may be any of several, none is forgotten.
            if let (Some(only), None) = (refused.next(), refused.next()) {
                only.is_taken = true;
            }
        }
        if result < 0 {
            return;
        }

        // A child has a mark of its own, and no flow labels.
        let cookie = (listener.as_ref()).map_or(0, |seen| seen.socket.cookie);

        self.keep_socket(
            op.arg[1],
            Traits {
                listener: cookie,
                device: listener.map_or(0, |seen| self.sockets[seen.id].device),
                was_connected: true,
                ..Traits::default()
            },
        );

        let Some(Seen {
            id,
            mut socket,
            what,
            ..
        }) = self.socket(op.arg[1], after)
        else {
            return;
        };

        if !matches!(socket.protocol, Tcp | Mptcp) {
            return;
        }

        let own = socket.cookie;

        // The right is one of the listener.
        socket.cookie = cookie;

        let (answer, _) = thread.answer(&mut socket, Call::Accepted);

        self.tell(&thread, what, answer);
        self.note_told(op, result);
        socket.cookie = own;

        let traits = &mut self.sockets[id];

        traits.granted_by_address = socket.granted_by_address;
        traits.accepted = socket.peer.map(|peer| (socket.local.0, peer));
        traits.is_connected = Some(true);
        for each in &mut self.connections {
            let is_this = each.netns == socket.netns && each.to.0 == socket.local.0;

            each.is_taken |= is_this && Some(each.from) == socket.peer;
        }
    }

    fn enforce(&mut self, op: &Op, state: &str) {
        let Ok(number) = self.ruleset(op.arg[0]) else {
            return;
        };
        let cookies: Vec<_> = state.split(' ').map(self::number).collect();
        let network = self.thread(op.thread).network;
        let ruleset = &self.rulesets[number];
        let layer = Rc::new(Enforced {
            is_extended: ruleset.is_extended,
            attr: ruleset.attr,
            rules: ruleset.rules.clone(),
            kinds: ruleset.kinds.clone(),
            opened: ruleset.opened.clone(),
            observer: ruleset.observer,
            is_permissive: op.arg[1] as u32 & PERMISSIVE != 0,
            netns: cookies[network],
        });
        let thread = self.thread(op.thread);

        thread.layers.push(layer);

        let layers = thread.layers.clone();

        if op.arg[1] & TSYNC != 0 {
            for other in self.process.threads.iter_mut().flatten() {
                other.layers = layers.clone();
            }
        }
    }

    /// Notes an option that cannot be read back.
    fn note_option(&mut self, op: &Op, state: &str) {
        const IPV6_PKTINFO: u64 = 50;
        const IPV6_FLOWLABEL_MGR: u64 = 32;

        let Some(Seen { id, .. }) = self.socket(op.arg[0], state) else {
            return;
        };
        let traits = &mut self.sockets[id];

        match (op.arg[1], op.arg[2]) {
            (SOL_IPV6, IPV6_PKTINFO) => traits.device = u32_at(&op.bytes(4, 20), 16),
            (SOL_IPV6, IPV6_FLOWLABEL_MGR) => traits.has_label = true,
            _ => {}
        }
    }

    /// Notes the marks that messages after the first left behind: those that were sent, and the one
    /// that failed.
    fn note_messages(&mut self, op: &Op, state: &str, sent: i64) {
        let thread = self.thread(op.thread).clone();
        let Some(Seen { id, mut socket, .. }) = self.socket(op.arg[0], state) else {
            return;
        };
        let is_fast = op.arg[1] & MSG_FASTOPEN != 0;

        if socket.protocol == Udp {
            socket.local.0 = socket.local.0.max(1);
        }
        for message in 1..4.min(sent + 1) {
            let address = op.address(if message < 2 { 3 } else { 9 });
            let to = Some(&address[..]).filter(|address| !address.is_empty());
            let _ = thread.answer(
                &mut socket,
                Call::Send(to, is_fast, way_of_flags(op.arg[1])),
            );
        }

        let traits = &mut self.sockets[id];

        traits.granted_by_address = socket.granted_by_address;
        traits.may_name_device = socket.may_name_device;
        traits.has_lost_port = socket.has_lost_port;
    }
}

/// Whether a listener may have a connection in its queue.
fn may_accept(listener: &Socket, connection: &Connection) -> bool {
    let (port, address) = listener.local;
    let is_wildcard = [AF_INET, AF_INET6]
        .map(Address::wildcard)
        .contains(&address);

    !connection.is_taken
        && connection.netns == listener.netns
        && connection.to.0 == port
        && (is_wildcard || connection.to.1 == address)
}

/// Whether a connection may be accepted. A route may not be that of the listener: then there are two
/// answers.
fn accepted(
    listener: &Seen,
    connection: &Connection,
    thread: &Thread,
) -> Vec<(bool, &'static str)> {
    let socket = listener.socket;
    let with = |way: Way| {
        let mut child = Socket {
            is_listening: false,
            local: connection.to,
            peer: Some(connection.from),
            way,
            granted_by_address: false,
            may_name_device: false,
            has_lost_port: false,
            ..socket
        };
        let (answer, why) = thread.answer(&mut child, Call::Accepted);

        (answer.is_ok(), why)
    };
    let routed = |has_route| {
        with(Way {
            has_route,
            ..socket.way
        })
    };

    if socket.way.has_route || connection.has_route {
        vec![routed(false), routed(true)]
    } else {
        vec![routed(false)]
    }
}

/// Whether some stacks forbid the option whatever they grant.
fn is_special(level: u64, option: u64) -> bool {
    (OWN_WAY.iter().chain(&JOIN).chain(&FILTER))
        .any(|(l, number, _)| (*l as u64, *number as u64) == (level, option))
}

/// Whether the kernel can read a small argument: see place() in fuzz.c.
fn can_read(place: u64) -> bool {
    ![1, 2, 4].contains(&place)
}

fn ruleset_attr(handled: u64, quiet: u64) -> RulesetAttr {
    RulesetAttr {
        handled_access_net: handled,
        quiet_access_net: quiet,
        handled_permissions: 0,
        flags: 0,
        observer_fd: 0,
        observer_cookie: 0,
    }
}

/// The flags of an observer's attribute, if they can be read, and whether bytes after them are not zero:
/// the program passes one of a ruleset.
fn observer_attr(op: &Op) -> (Option<u64>, bool) {
    let (attr, more) = extended_attr(op);
    let attr = attr.unwrap_or(ruleset_attr(0, 0));
    let rest = [
        attr.quiet_access_net,
        attr.handled_permissions,
        attr.observer_cookie,
    ];
    let has_rest = rest != [0; 3] || attr.flags != 0 || attr.observer_fd != 0;

    (
        Some(attr.handled_access_net).filter(|_| can_read(op.arg[3])),
        more || has_rest,
    )
}

/// The attribute of an extended ruleset, as much of it as the program passes, and whether bytes
/// after it are not zero.
fn extended_attr(op: &Op) -> (Option<RulesetAttr>, bool) {
    const SIZE: usize = 40;

    let (size, tail) = (op.arg[1] as usize, op.arg[10] as usize % 64);
    let mut bytes = [0; SIZE];

    for (at, word) in [4, 5, 6].into_iter().enumerate() {
        bytes[8 * at..][..8].copy_from_slice(&op.arg[word].to_le_bytes());
    }
    bytes[24..28].copy_from_slice(&(op.arg[7] as u32).to_le_bytes());
    bytes[28..32].copy_from_slice(&(op.arg[8] as u32).to_le_bytes());
    bytes[32..].copy_from_slice(&op.arg[9].to_le_bytes());
    bytes[size.min(SIZE)..].fill(0);

    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let attr = RulesetAttr {
        handled_access_net: word(0),
        quiet_access_net: word(8),
        handled_permissions: word(16),
        flags: u32_at(&bytes, 24),
        observer_fd: u32_at(&bytes, 28) as i32,
        observer_cookie: word(32),
    };

    let can_read = can_read(op.arg[3]);

    (
        Some(attr).filter(|_| can_read),
        can_read && op.arg[10] != 0 && SIZE + tail < size,
    )
}

fn main() {
    let mut program = Program::new();
    let mut op = Op::parse("0 none");
    let (mut state, mut after) = (String::new(), String::new());

    for line in stdin().lock().lines() {
        let line = line.expect("text");
        let rest = line.get(2..).unwrap_or("");

        match line.as_bytes() {
            [b'=', ..] => program = Program::new(),
            [b'<', ..] => {
                op = Op::parse(rest);
                state.clear();
                after.clear();
            }
            [b'~', ..] => state = rest.to_string(),
            [b'+', ..] => after = rest.to_string(),
            [b'?'] => {
                let row = program.row(&op, &state);
                let (right, why) = program.predict(&op, &state);

                println!("{row} {why} {right}");
            }
            [b'>', ..] => program.note(&op, &state, &after, rest.parse().expect("a result")),
            _ => panic!("the line has no meaning: {line}"),
        }
    }
}
