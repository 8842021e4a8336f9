// SPDX-License-Identifier: GPL-2.0

//! Domains against the specification, for the unit tests.
//!
//! Random rulesets are made and stacked, and random calls are judged both by what the kernel runs and
//! by `spec.rs`, which must agree. What is random follows from a constant seed, so a failure comes
//! back.

use crate::{
    abi::MAX_LAYERS,
    access::{
        Access,
        AccessSet,
        PermissionSet, //
    },
    domain::{
        self,
        Domain,
        Refusing, //
    },
    endpoint::{
        self,
        Asked,
        Prefix,
        Use, //
    },
    flow::{
        Accepted,
        Flow, //
    },
    frozen::{
        Draft,
        Frozen,
        Handled, //
    },
    kinds::Kind,
    nets::Net,
    opened::Cookies,
    ports::Rule,
    spec::{
        self,
        Call,
        Failure,
        Layer,
        Protocol,
        Record,
        Socket,
        Stack,
        Way, //
    }, //
};
use core::{
    cell::Cell,
    net::IpAddr, //
};
use kernel::{
    alloc::flags::GFP_KERNEL,
    prelude::*,
    sync::Arc, //
};

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

    /// A number below `limit`, which is not zero.
    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// A port: often one of a few, often a neighbour of a block's border, sometimes any.
    fn port(&mut self) -> u16 {
        match self.below(4) {
            0 => self.below(8) as u16,
            1 => (self.below(256) * 256 + self.below(3)).wrapping_sub(1) as u16,
            2 => 8000 + self.below(64) as u16,
            _ => self.next() as u16,
        }
    }

    /// Rights: all that there are, or Landlock's only.
    fn access(&mut self, is_extended: bool) -> AccessSet {
        let all = if is_extended {
            AccessSet::all_bits()
        } else {
            bits(AccessSet::LANDLOCK)
        };

        AccessSet::from_bits(self.next() & all).unwrap_or_default()
    }

    /// An address in which few bits vary, so that prefixes contain each other.
    fn address(&mut self) -> spec::Address {
        let mut bytes = [0; 16];
        let byte = |random: &mut Self| [0, 1, 127, 128, 255][random.below(5)];

        bytes[0] = [0, 10, 127, 224, 0xfe, 0xff][self.below(6)];
        bytes[1] = byte(self);
        if self.below(2) == 0 {
            bytes[3] = byte(self);
            bytes[15] = byte(self);
        }
        match self.below(3) {
            0 => spec::Address::from_inet6(bytes),
            _ => spec::Address::V4([bytes[0], bytes[1], bytes[2], bytes[3]]),
        }
    }

    /// Few bits of an address, and none behind them.
    fn prefix(&mut self) -> (spec::Address, u32) {
        let address = self.address();
        let bits = if matches!(address, spec::Address::V4(_)) {
            32
        } else {
            128
        };
        let len = [0, 1, 8, 9, 16, 31, 32, bits - 1, bits][self.below(9)].min(bits);
        let cut = |bytes: &mut [u8]| {
            for (position, byte) in bytes.iter_mut().enumerate() {
                let kept = (len as usize).saturating_sub(position * 8).min(8);

                *byte &= !(0xff_u16 >> kept) as u8;
            }
        };

        match address {
            spec::Address::V4(mut bytes) => {
                cut(&mut bytes);
                (spec::Address::V4(bytes), len)
            }
            spec::Address::V6(mut bytes) => {
                cut(&mut bytes);
                (spec::Address::V6(bytes), len)
            }
        }
    }
}

/// A ruleset, beside the lists of what was added to it.
struct Twin {
    handled: Handled,
    draft: Draft,
    list: KVec<spec::Rule>,
    kinds: KVec<spec::Kind>,
    opened: KVec<(u64, u64)>,
}

fn add_rules(twin: &mut Twin, random: &mut Random) -> Result {
    let most = [1, 4, 16, 200][random.below(4)];

    for _ in 0..random.below(most + 1) {
        let mut rule = Rule {
            access: random.access(twin.handled.is_extended) & twin.handled.access,
            quiet: random.below(4) == 0,
        };
        let first = random.port();
        let mut last = first;
        let mut prefix = None;

        if twin.handled.is_extended {
            last = match random.below(4) {
                0 => first.saturating_add(random.below(300) as u16),
                1 => u16::MAX,
                _ => first,
            };
            if random.below(2) == 0 {
                prefix = Some(random.prefix());
                // A rule with an address cannot grant this.
                rule.access &= !AccessSet::from(Access::ReceiveUdp);
            }
            if random.below(4) == 0 {
                let kind = kind(random);

                twin.draft
                    .open()?
                    .kinds
                    .add(Kind::new(kind.family, kind.kind, kind.protocol)?)?;
                twin.kinds.push(kind, GFP_KERNEL)?;
            }
            if random.below(8) == 0 {
                let cookie = 1 + random.below(3) as u64;
                let access = random.access(true) & twin.handled.access;

                twin.draft.open()?.opened.add(cookie, access)?;
                twin.opened.push((cookie, bits(access)), GFP_KERNEL)?;
            }
        }

        let rules = twin.draft.open()?;

        match prefix {
            None => rules.ports.add(first..=last, rule)?,
            Some((address, len)) => {
                // CAST: There are few bits.
                let prefix = match address {
                    spec::Address::V4(bytes) => Prefix::ipv4(bytes, len as u8)?,
                    spec::Address::V6(bytes) => Prefix::ipv6(bytes, len as u8)?,
                };

                rules.nets.add(
                    Net {
                        prefix,
                        first,
                        last,
                    },
                    rule,
                )?;
            }
        }
        twin.list.push(
            spec::Rule {
                access: bits(rule.access),
                quiet: rule.quiet,
                first,
                last,
                prefix,
            },
            GFP_KERNEL,
        )?;
    }
    Ok(())
}

/// A kind of sockets, as in a rule.
fn kind(random: &mut Random) -> spec::Kind {
    spec::Kind {
        family: [1, 2, 10][random.below(3)],
        kind: [-1, 1, 2][random.below(3)],
        protocol: [-1, 0, 6][random.below(3)],
    }
}

/// The rights as `spec.rs` has them.
fn bits(access: AccessSet) -> u64 {
    access.bits()
}

fn ip(address: spec::Address) -> IpAddr {
    match address {
        spec::Address::V4(bytes) => bytes.into(),
        spec::Address::V6(bytes) => bytes.into(),
    }
}

/// The families of sockets; `spec.rs` is about a kernel that has both.
const FAMILIES: &[u16] = if cfg!(CONFIG_IPV6) {
    &[spec::AF_INET, spec::AF_INET6]
} else {
    &[spec::AF_INET]
};

/// What a call asks about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// The address that it names.
    Address(Use),
    /// The local port and address.
    Local,
    /// The port of a listener.
    Listener,
    /// The local port, and the peer of an accepted connection.
    Accepted,
    /// The service port and the peer.
    Service,
    /// The local port, if bind(2) named it.
    Named,
}

/// All that can be asked, but for what is asked with `Use::Send`.
const ASKED: &[(What, Access)] = &[
    (What::Address(Use::Bind), Access::BindTcp),
    (What::Address(Use::Connect), Access::ConnectTcp),
    (What::Address(Use::Bind), Access::BindUdp),
    (What::Address(Use::Connect), Access::ConnectSendUdp),
    (What::Address(Use::Send), Access::ConnectSendUdp),
    (What::Local, Access::ListenTcp),
    (What::Listener, Access::AcceptTcp),
    (What::Accepted, Access::AcceptTcp),
    (What::Service, Access::SendTcp),
    (What::Service, Access::ReceiveTcp),
    (What::Service, Access::ShutdownTcp),
    (What::Service, Access::GetsockoptTcp),
    (What::Service, Access::SetsockoptTcp),
    (What::Named, Access::ReceiveUdp),
    (What::Service, Access::ShutdownUdp),
    (What::Service, Access::GetsockoptUdp),
    (What::Service, Access::SetsockoptUdp),
];

/// What an answer is, and the layers of which it tells a refusal, as bits: those that are permissive, and
/// the youngest other one. The last are those whose refusal is quiet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Told {
    error: Option<i32>,
    layers: u32,
    quiet: u32,
}

impl Told {
    /// What the kernel tells.
    fn by<'a>(layers: impl Iterator<Item = Refusing<'a>>) -> Self {
        let mut told = Self::default();

        for layer in layers {
            let bit = 1 << (layer.level - 1);

            told.layers |= bit;
            if layer.quiet {
                told.quiet |= bit;
            }
            if !layer.is_permissive {
                told.error = Some(spec::EACCES);
            }
        }
        told
    }

    /// What the specification tells, asked by `ask`.
    fn as_specified(layers: &[Layer<'_>], ask: impl FnOnce(&Stack<'_>) -> spec::Answer) -> Self {
        let told = Cell::new(Self::default());
        let has_refused = Cell::new(false);
        let tell = |record: Record| {
            let is_permissive = layers[record.layer].is_permissive;
            let bit = 1 << record.layer;
            let mut so_far = told.get();

            if is_permissive || !has_refused.get() {
                so_far.layers |= bit;
                so_far.quiet |= if record.is_quiet { bit } else { 0 };
                told.set(so_far);
            }
            has_refused.set(has_refused.get() || !is_permissive);
        };
        let answer = ask(&Stack {
            layers,
            tell: &tell,
        });

        Self {
            error: match answer {
                Ok(()) => None,
                Err(Failure::Error(errno)) => Some(errno),
                Err(Failure::Refused(..)) => Some(spec::EACCES),
            },
            ..told.get()
        }
    }
}

/// What is asked of a socket.
struct Question {
    what: What,
    access: Access,
    socket: Socket,
    address: [u8; 28],
    len: usize,
}

impl Question {
    /// A question about `port` and an address: mostly plain, sometimes wrong.
    fn new(random: &mut Random, port: u16, asked: spec::Address) -> Self {
        let family = FAMILIES[random.below(FAMILIES.len())];
        let (what, access) = ASKED[random.below(ASKED.len())];
        let protocol = if AccessSet::UDP.contains(access) {
            Protocol::Udp
        } else {
            [Protocol::Tcp, Protocol::Mptcp][random.below(2)]
        };
        let mut socket = Socket::new(protocol, family);
        let mut address = spec::inet6(port, [0; 16]);
        let mut named = family;
        let mut len = [16, 28][usize::from(family == spec::AF_INET6)];

        match (asked, family) {
            (spec::Address::V4(bytes), spec::AF_INET) => address[4..8].copy_from_slice(&bytes),
            (spec::Address::V4(bytes), _) => {
                address[18..20].fill(0xff);
                address[20..24].copy_from_slice(&bytes);
            }
            (spec::Address::V6(bytes), spec::AF_INET) => address[4..8].copy_from_slice(&bytes[..4]),
            (spec::Address::V6(bytes), _) => address[8..24].copy_from_slice(&bytes),
        }
        socket.netns = 1 + random.below(2) as u64;
        socket.cookie = random.below(6) as u64;
        socket.listener = random.below(6) as u64;

        // One question at a time: a socket that has a port asks for no other.
        socket.local = (1, asked);
        if !matches!(what, What::Address(_)) {
            socket.is_listening = what == What::Listener;
            socket.is_port_named = random.below(2) == 0;
            socket.is_connected = random.below(4) != 0;
            socket.peer = [
                None,
                Some((port, asked)),
                Some((random.port(), asked)),
                Some((random.port(), random.address())),
            ][random.below(4)];
            // Often it is what accept(2) returned.
            socket.accepted = match random.below(4) {
                0 => None,
                1 => Some((1, (port, asked))),
                _ => socket.peer.map(|peer| (port, peer)),
            };
            if what != What::Service || random.below(2) == 0 {
                socket.local.0 = port;
            }
        } else if random.below(8) == 0 {
            named = [0, 1, FAMILIES[random.below(FAMILIES.len())]][random.below(3)];
            len = [random.below(4), 15, 16, 23, 24, 28][random.below(6)];
        }
        if random.below(8) == 0 {
            address[4..].fill(random.next() as u8);
        }
        address[..2].copy_from_slice(&named.to_ne_bytes());
        Self {
            what,
            access,
            socket,
            address,
            len,
        }
    }

    fn address(&self) -> &[u8] {
        &self.address[..self.len]
    }

    /// What `spec.rs` says.
    fn expected(&self, layers: &[Layer<'_>]) -> Told {
        let mut socket = self.socket;
        let address = self.address();
        let call = match (self.what, self.access) {
            (What::Address(Use::Bind), _) => Call::Bind(address),
            (What::Address(Use::Connect), _) => Call::Connect(address),
            (What::Address(Use::Send), _) => Call::Send(Some(address), false, Way::NONE),
            (What::Local, _) => Call::Listen,
            (What::Listener, _) => Call::Accept,
            (What::Accepted, _) => Call::Accepted,
            (_, Access::SendTcp) => Call::Send(None, false, Way::NONE),
            (_, Access::ReceiveTcp | Access::ReceiveUdp) => Call::Receive,
            (_, Access::ShutdownTcp | Access::ShutdownUdp) => Call::Shutdown,
            (_, Access::GetsockoptTcp | Access::GetsockoptUdp) => Call::GetOption(6, 1),
            _ => Call::SetOption(6, 1),
        };

        Told::as_specified(layers, |stack| socket.answer(stack, call))
    }

    /// What the kernel says, in the steps of `verdict.rs`.
    fn answer(&self, domain: &Domain) -> Told {
        let is_mptcp = self.socket.protocol == Protocol::Mptcp;
        let allowed = Told::default();

        if !domain.handles(self.access, is_mptcp) {
            return allowed;
        }

        let mut question = domain::Question {
            access: self.access,
            port: None,
            address: None,
            net: self.socket.netns,
            is_mptcp,
            cookies: Cookies::of(self.socket.cookie),
        };

        if let What::Address(used) = self.what {
            let family = self.socket.family;
            let takes_ipv4 =
                self.access == Access::ConnectSendUdp && !domain.handles_plainly(self.access);

            question.port = match endpoint::asked(self.address(), family, used, takes_ipv4) {
                Err(error) => {
                    return Told {
                        error: Some(-error.to_errno()),
                        ..allowed
                    }
                }
                Ok(Asked::Nothing) => return allowed,
                Ok(Asked::Port(port)) => Some(port),
                // Whatever is granted on the socket.
                Ok(Asked::Unknowable) => {
                    question.cookies = Cookies::default();
                    None
                }
            };
            question.address = endpoint::address(self.address().into())
                .filter(|address| address.can_match(self.access));
        } else {
            let flow = self.flow();

            if self.what == What::Service {
                question.cookies.listener = self.accepted().listener(&flow);
            }
            question.port = Some(match self.what {
                What::Service => flow.service(&self.accepted()),
                What::Named if !self.socket.is_port_named => 0,
                _ => flow.source(),
            });
            question.address = match self.what {
                What::Local => Some(match self.socket.local.1 {
                    spec::Address::V4(bytes) => endpoint::Address::V4(bytes),
                    spec::Address::V6(bytes) => endpoint::Address::V6(bytes),
                }),
                What::Listener | What::Named => None,
                _ => flow.peer().filter(|peer| peer.can_match(self.access)),
            };
        }

        if self.what == What::Listener {
            if domain.allows_by_port(&question) {
                return allowed;
            }
            return Told::by(domain.refusing_listener(&question));
        }

        // What most calls ask is answered by the port.
        if !is_mptcp {
            if let Some(port) = question.port {
                assert!(!domain.allows(port, self.access) || domain.grants(&question));
            }
        }
        if domain.grants(&question) {
            return allowed;
        }

        let told = Told::by(domain.refusing(&question));

        // It must be one of the layers.
        assert!(told.layers != 0);
        told
    }

    /// The socket's flow, as the kernel reads it.
    fn flow(&self) -> Flow {
        let (remote, peer) = self.socket.peer.unwrap_or((0, self.socket.local.1));

        Flow::new(
            ip(peer),
            self.socket.local.0,
            remote,
            self.socket.is_connected,
        )
    }

    /// What the socket carries of accept(2).
    fn accepted(&self) -> Accepted {
        let accepted: Accepted = pin_init::zeroed();

        if let Some((source, (remote, peer))) = self.socket.accepted {
            let flow = Flow::new(ip(peer), source, remote, true);

            accepted.note(&flow, self.socket.listener);
        }
        accepted
    }
}

/// What a layer was made of.
struct Made {
    handled: Handled,
    is_permissive: bool,
    netns: u64,
    list: KVec<spec::Rule>,
    kinds: KVec<spec::Kind>,
    opened: KVec<(u64, u64)>,
}

fn copy<T: Copy>(list: &[T]) -> Result<KVec<T>> {
    let mut copy = KVec::with_capacity(list.len(), GFP_KERNEL)?;

    copy.extend_from_slice(list, GFP_KERNEL)?;
    Ok(copy)
}

/// Whether creating a socket of a kind gets the same answer.
fn creation_agrees(domain: &Domain, layers: &[Layer<'_>], kind: spec::Kind) -> bool {
    let refusing = domain.refusing_creation(kind.family, kind.kind, kind.protocol);

    Told::by(refusing)
        == Told::as_specified(layers, |stack| spec::create_socket(stack, kind, false))
}

/// Makes domains at random, asks them `queries` questions, and drops them in any order.
fn compare(random: &mut Random, queries: usize) -> Result {
    let mut twins = KVec::new();
    let mut made: KVec<Made> = KVec::new();
    let mut domains: KVec<(usize, Arc<Domain>)> = KVec::new();
    let mut kept: KVec<Arc<Frozen>> = KVec::new();

    for _ in 0..=random.below(3) {
        let is_extended = random.below(3) != 0;
        let access = random.access(is_extended);
        let handled = Handled {
            is_extended,
            access,
            quiet: random.access(is_extended) & access,
            permissions: PermissionSet::from_bits(if is_extended {
                random.next() & PermissionSet::all_bits()
            } else {
                0
            })
            .unwrap_or_default(),
        };
        let twin = Twin {
            handled,
            draft: Draft::default(),
            list: KVec::new(),
            kinds: KVec::new(),
            opened: KVec::new(),
        };

        twins.push(twin, GFP_KERNEL)?;
    }
    // Most stacks have few permissive layers.
    let every = [1, 2, 8, 64][random.below(4)];

    for level in 1..=1 + random.below(MAX_LAYERS) {
        let which = random.below(twins.len());
        let netns = 1 + random.below(8) as u64 / 7;
        let twin: &mut Twin = &mut twins[which];

        if random.below(3) != 0 {
            add_rules(twin, random)?;
        }

        let is_permissive = twin.handled.is_extended && random.below(every) == 0;

        made.push(
            Made {
                handled: twin.handled,
                is_permissive,
                netns,
                list: copy(&twin.list)?,
                kinds: copy(&twin.kinds)?,
                opened: copy(&twin.opened)?,
            },
            GFP_KERNEL,
        )?;
        // As in `syscalls.rs`, a ruleset that handles nothing makes no layer.
        if twin.handled.is_nothing() {
            continue;
        }

        let (frozen, index) = twin.draft.freeze(twin.handled, None)?;
        let parent = domains.last().map(|(_, domain)| &**domain);

        if !kept.iter().any(|known| Arc::ptr_eq(known, &frozen)) {
            kept.push(frozen.clone(), GFP_KERNEL)?;
        }
        let layer = domain::Layer {
            // CAST: There are few levels.
            level: level as u8,
            is_permissive,
            net: netns,
            frozen,
        };
        let domain = Domain::new(parent, layer, index)?;

        domains.push((level, domain), GFP_KERNEL)?;
    }
    if domains.is_empty() {
        return Ok(());
    }

    let mut layers = KVec::new();

    for made in &made {
        let layer = Layer {
            handled: bits(made.handled.access),
            permissions: if made.handled.permissions.is_empty() {
                0
            } else {
                spec::SOCKET_CREATE
            },
            kinds: &made.kinds,
            opened: &made.opened,
            is_permissive: made.is_permissive,
            netns: made.netns,
            quiet: bits(made.handled.quiet),
            ..Layer::new(made.handled.is_extended, &made.list)
        };

        layers.push(layer, GFP_KERNEL)?;
    }
    for query in 0..queries {
        // An outer domain is as it was before another was made of it.
        let (depth, domain) = if random.below(3) == 0 {
            &domains[random.below(domains.len())]
        } else {
            &domains[domains.len() - 1]
        };
        let layers = &layers[..*depth];
        let list = layers[random.below(layers.len())].rules;
        let port = match random.below(4) {
            0 if !list.is_empty() => list[random.below(list.len())].first,
            1 if !list.is_empty() => list[random.below(list.len())].last,
            2 if !list.is_empty() => list[random.below(list.len())].last.wrapping_add(1),
            _ => random.port(),
        };
        let address = match random.below(3) {
            0 if !list.is_empty() => list[random.below(list.len())].prefix,
            _ => None,
        };
        let address = address.map_or_else(|| random.address(), |(address, _)| address);
        let question = Question::new(random, port, address);

        assert_eq!(question.answer(domain), question.expected(layers));
        if query % 16 == 0 {
            let mut kind = kind(random);

            (kind.kind, kind.protocol) = (kind.kind.max(0), kind.protocol.max(0));
            assert!(creation_agrees(domain, layers, kind));
        }
    }
    while !domains.is_empty() {
        let which = random.below(domains.len());

        drop(domains.remove(which));
    }
    drop(twins);
    // Nobody has kept a reference to what was enforced, or dropped one of another's.
    while let Some(frozen) = kept.pop() {
        assert!(Arc::into_unique_or_drop(frozen).is_some());
    }
    Ok(())
}

#[kernel::macros::kunit_tests(portlock_model)]
mod tests {
    use super::*;

    /// The number of stacks that are asked 500 questions each: a million in all. With KASAN, in an
    /// emulated guest, that would take most of an hour.
    const STACKS: usize = if cfg!(CONFIG_KASAN) { 40 } else { 2_000 };

    #[test]
    fn the_examples_of_the_specification_hold() {
        for (case, holds) in spec::CASES {
            let holds = holds();

            if !holds {
                pr_err!("This example does not hold: {case}.\n");
            }
            assert!(holds);
        }
    }

    #[test]
    fn many_answers_are_those_of_the_specification() -> Result {
        let mut random = Random(20_260_401);

        for _ in 0..STACKS {
            compare(&mut random, 500)?;
        }
        Ok(())
    }
}
