// SPDX-License-Identifier: GPL-2.0

//! What holds for all policies: what is printed is read again, and the answers are those of the kernel's
//! specification.

use portlock::*;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[allow(dead_code, missing_docs, clippy::all)]
#[path = "../../../../security/portlock/spec.rs"]
mod spec;

fn net() -> impl Strategy<Value = IpNet> {
    // Few bits, so that prefixes meet.
    let v4 = (0u32..16, 0u8..=32).prop_map(|(high, len)| v4(high << 28 | high, len));
    let v6 = (0u128..16, 0u8..=128).prop_map(|(high, len)| v6(high << 124 | high, len));

    prop_oneof![v4, v6]
}

use ipnet::IpNet;

fn v4(bits: u32, len: u8) -> IpNet {
    IpNet::new(Ipv4Addr::from(bits).into(), len)
        .unwrap()
        .trunc()
}

fn v6(bits: u128, len: u8) -> IpNet {
    let net = IpNet::new(Ipv6Addr::from(bits).into(), len)
        .unwrap()
        .trunc();

    match net.addr() {
        // Such an address is written as one of IPv4.
        IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => "::/0".parse().unwrap(),
        _ => net,
    }
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        net().prop_map(Item::Net),
        proptest::sample::select(&Named::ALL[..]).prop_map(Item::Named),
    ]
}

fn terms() -> impl Strategy<Value = Vec<Term>> {
    let kept = prop_oneof![Just(Item::Any), item()];
    let some = |is_exception| move |item| Term { is_exception, item };
    let list = (
        proptest::collection::vec(kept.prop_map(some(false)), 1..3),
        proptest::collection::vec(item().prop_map(some(true)), 0..2),
    );

    prop_oneof![
        Just(Vec::new()),
        list.prop_map(|(kept, taken)| [kept, taken].concat())
    ]
}

fn ports() -> impl Strategy<Value = Ports> {
    prop_oneof![
        Just(Ports::ALL),
        (0u16..6).prop_map(Ports::one),
        (0u16..6, 0u16..6).prop_map(|(a, b)| Ports {
            first: a.min(b),
            last: a.max(b)
        }),
    ]
}

fn word() -> impl Strategy<Value = Word> {
    let protocol = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp)];

    (
        proptest::sample::select(&Verb::ALL[..]),
        protocol,
        terms(),
        proptest::collection::vec(ports(), 1..3),
    )
        .prop_filter_map(
            "a word that means something",
            |(verb, protocol, terms, ports)| {
                let place = Place {
                    protocol,
                    terms,
                    ports,
                };

                Word::new(verb, &place.to_string()).ok()
            },
        )
}

fn kind() -> impl Strategy<Value = Kind> {
    let number = || proptest::option::of(0u8..4);

    (
        prop_oneof![Just(2u8), Just(16), Just(200)],
        number(),
        number(),
    )
        .prop_map(|(family, kind, protocol)| Kind {
            family,
            kind,
            protocol: protocol.map(u16::from),
        })
}

fn restrict() -> impl Strategy<Value = Restrict> {
    let some = (any::<u64>(), any::<bool>()).prop_map(|(bits, create)| Restrict {
        net: Rights::from_bits(bits),
        create,
    });

    prop_oneof![3 => Just(Restrict::default()), 1 => Just(Restrict::NONE), 2 => some]
}

fn path() -> impl Strategy<Value = std::path::PathBuf> {
    "/[a-z\" \\\\]{0,3}(/[a-z]{1,2})?".prop_map(Into::into)
}

prop_compose! {
    fn policy()(
        words in proptest::collection::vec(word(), 0..5),
        dns in any::<bool>(),
        opened in proptest::collection::vec(
            (0i32..5, proptest::option::of(1u64..8)).prop_map(|(fd, bits)| Opened { fd, rights: bits.map(Rights::from_bits) }),
            0..2,
        ),
        create in proptest::collection::vec(kind(), 0..3),
        read in proptest::collection::vec(path(), 0..2),
        write in proptest::collection::vec(path(), 0..2),
        unix in prop_oneof![
            Just(Unix::Any),
            proptest::collection::vec(path(), 0..2).prop_map(Unix::Below),
        ],
        keyrings in any::<bool>(),
        restrict in restrict(),
    ) -> Policy {
        let mut policy = Policy::default();

        policy.words = words;
        policy.dns = dns;
        policy.opened = opened;
        policy.create = create;
        policy.read = read;
        policy.write = write;
        policy.unix = unix;
        policy.keyrings = keyrings;
        policy.restrict = restrict;
        policy.sort();
        policy
    }
}

/// A question that a kernel may be asked.
fn question() -> impl Strategy<Value = (Right, u16, Option<IpAddr>)> {
    let address = prop_oneof![
        1 => Just(None),
        2 => (0u32..16, 0u32..16).prop_map(|(high, low)| Some(Ipv4Addr::from(high << 28 | low).into())),
        2 => (0u128..16, 0u128..16).prop_map(|(high, low)| Some(Ipv6Addr::from(high << 124 | low).into())),
        1 => proptest::sample::select(vec!["127.0.0.1", "10.0.0.1", "169.254.169.254", "64:ff9b::a00:1", "fe80::1", "::"])
            .prop_map(|text| text.parse().ok()),
    ];

    (proptest::sample::select(&Right::ALL[..]), 0u16..7, address)
}

/// The layer of some rules, for the kernel's specification.
struct Model {
    restrict: Restrict,
    rules: Vec<spec::Rule>,
    opened: Vec<(u64, u64)>,
}

impl Model {
    fn new(rules: &Rules, suits: Suits) -> Self {
        let rules_of = |grant: &Grant| -> Vec<spec::Rule> {
            let rule = |prefix| spec::Rule {
                access: grant.rights.and(rules.restrict.net).bits(),
                quiet: false,
                first: grant.ports.first,
                last: grant.ports.last,
                prefix,
            };

            match &grant.nets {
                Nets::Any => vec![rule(None)],
                Nets::Of(nets) => (nets.iter())
                    .map(|net| {
                        rule(Some((
                            specified_address(net.addr()),
                            net.prefix_len().into(),
                        )))
                    })
                    .collect(),
            }
        };
        let opened = |opened: &Opened| {
            let rights = opened.rights.unwrap_or(suits.rights());

            (cookie(opened.fd), rights.and(rules.restrict.net).bits())
        };

        Self {
            restrict: rules.restrict,
            rules: rules.grants.iter().flat_map(rules_of).collect(),
            opened: rules.opened.iter().map(opened).collect(),
        }
    }

    fn layer(&self) -> spec::Layer<'_> {
        spec::Layer {
            is_extended: true,
            handled: self.restrict.net.bits(),
            quiet: 0,
            permissions: 0,
            rules: &self.rules,
            kinds: &[],
            opened: &self.opened,
            is_permissive: false,
            netns: 1,
        }
    }

    /// Whether a call on a socket is allowed.
    fn allows(&self, mut socket: spec::Socket, call: spec::Call<'_>) -> bool {
        let stack = spec::Stack {
            layers: &[self.layer()],
            tell: &|_| {},
        };

        socket.answer(&stack, call).is_ok()
    }
}

/// What the kernel's specification says of a question about one layer with these rules.
fn specified(rules: &Rules, (right, port, address): (Right, u16, Option<IpAddr>)) -> bool {
    let suits = Suits {
        is_listener: false,
        has_peer: false,
    };
    let model = Model::new(rules, suits);
    // As `Socket::judge` does it, for a socket without a way of its own.
    let meant = address
        .filter(|address| right.is_local() || !address.is_unspecified())
        .map(specified_address);

    rules.restrict.net.bits() & right.bit() == 0
        || (model.layer())
            .matching(port, meant)
            .any(|rule| rule.access & right.bit() != 0)
}

fn specified_address(address: IpAddr) -> spec::Address {
    match address {
        IpAddr::V4(address) => spec::Address::V4(address.octets()),
        IpAddr::V6(address) => spec::Address::from_inet6(address.octets()),
    }
}

/// Paths that meet. An absolute path that goes up leads where it would without links.
const PATHS: [&str; 8] = [
    "/",
    "/a",
    "/a/b",
    "/ab",
    "/c",
    "/a/../c",
    "/c/../a/b",
    "/a/b/c",
];

fn resolved(path: &str) -> std::path::PathBuf {
    let mut all = std::path::PathBuf::new();

    for part in std::path::Path::new(path) {
        match part.to_str() {
            Some("..") => _ = all.pop(),
            _ => all.push(part),
        }
    }
    all
}

fn is_below(path: &str, folders: &[std::path::PathBuf]) -> bool {
    (folders.iter()).any(|folder| resolved(path).starts_with(resolved(folder.to_str().unwrap())))
}

fn reads(rules: &Rules, path: &str) -> bool {
    is_below(path, &rules.read) || writes(rules, path)
}

fn writes(rules: &Rules, path: &str) -> bool {
    is_below(path, &rules.write) || rules.read.is_empty() && rules.write.is_empty()
}

fn reaches(rules: &Rules, path: &str) -> bool {
    match &rules.unix {
        Unix::Any => true,
        Unix::Below(folders) => is_below(path, folders),
    }
}

/// "Without it, and where anything of the network is restricted", they fail.
fn asks_for_keys(rules: &Rules) -> bool {
    rules.keyrings || rules.restrict.net.is_empty() && !rules.restrict.create
}

/// The cookie of an open socket. 0 is none.
fn cookie(fd: i32) -> u64 {
    1 + u64::try_from(fd).unwrap()
}

/// Numbers of open sockets.
const OPEN: std::ops::Range<i32> = 0..3;

/// What an open socket is: of TCP, whether it listens, and of UDP, whether it has a peer.
#[derive(Clone, Copy, Debug)]
struct Suits {
    is_listener: bool,
    has_peer: bool,
}

fn suits() -> impl Strategy<Value = Suits> {
    (any::<bool>(), any::<bool>()).prop_map(|(is_listener, has_peer)| Suits {
        is_listener,
        has_peer,
    })
}

impl Suits {
    /// The rights that suit it, as the page on the command says.
    fn rights(self) -> Rights {
        use Right::*;

        let used = [
            SendTcp,
            ReceiveTcp,
            ShutdownTcp,
            GetsockoptTcp,
            SetsockoptTcp,
            ReceiveUdp,
            ShutdownUdp,
            GetsockoptUdp,
            SetsockoptUdp,
        ];
        let mut all: Rights = used.into_iter().collect();

        if self.is_listener {
            all |= AcceptTcp.into();
        }
        if !self.has_peer {
            all |= ConnectSendUdp.into();
        }
        all
    }
}

fn opened() -> impl Strategy<Value = Opened> {
    (OPEN, proptest::option::of(any::<u64>())).prop_map(|(fd, bits)| Opened {
        fd,
        rights: (bits.map(Rights::from_bits)).filter(|rights| !rights.is_empty()),
    })
}

/// A policy of which parts meet those of another.
fn near() -> impl Strategy<Value = Policy> {
    let paths = || {
        let path = proptest::sample::select(&PATHS[..]).prop_map(Into::into);

        proptest::collection::vec(path, 0..3)
    };

    (
        policy(),
        paths(),
        paths(),
        paths(),
        proptest::collection::vec(opened(), 0..3),
    )
        .prop_map(|(mut policy, read, write, unix, opened)| {
            (policy.read, policy.write, policy.opened) = (read, write, opened);
            if policy.unix != Unix::Any {
                policy.unix = Unix::Below(unix);
            }
            policy
        })
}

/// Two policies. Most pairs of any two would differ in everything.
fn pair() -> impl Strategy<Value = (Policy, Policy)> {
    (near(), near(), 0..4).prop_map(|(old, mut other, relation)| {
        let mut new = old.clone();

        match relation {
            0 => new = other,
            1 => {
                other.words.truncate(1);
                new.add(other);
            }
            2 => new.restrict = other.restrict,
            _ => {
                // This leaves mapped addresses, of which the kernel has no rule.
                let hollow = [(false, "::fffe:0:0/95"), (true, "::fffe:0:0/96")].map(
                    |(is_exception, net)| Term {
                        is_exception,
                        item: Item::Net(net.parse().unwrap()),
                    },
                );

                for word in new
                    .words
                    .iter_mut()
                    .filter(|word| !word.place.terms.is_empty())
                {
                    word.place.terms = hollow.to_vec();
                }
            }
        }
        (old, new)
    })
}

/// What is asked of a socket. The address is that of a call that has one.
#[derive(Clone, Copy, Debug)]
enum Ask {
    Bind([u8; 28]),
    Connect([u8; 28]),
    Send([u8; 28]),
    Listen,
    Accept,
    Accepted,
    Receive,
    Shutdown,
    GetOption,
    SetOption(i32, i32),
}

const SOME_OPTION: Ask = Ask::SetOption(6, 1);
/// SO_BINDTODEVICE, and SO_ATTACH_FILTER.
const OWN_WAY: Ask = Ask::SetOption(1, 25);
const FILTER: Ask = Ask::SetOption(1, 26);

impl Ask {
    fn call(&self) -> spec::Call<'_> {
        match self {
            Self::Bind(address) => spec::Call::Bind(address),
            Self::Connect(address) => spec::Call::Connect(address),
            Self::Send(address) => spec::Call::Send(Some(address), false, spec::Way::NONE),
            Self::Listen => spec::Call::Listen,
            Self::Accept => spec::Call::Accept,
            Self::Accepted => spec::Call::Accepted,
            Self::Receive => spec::Call::Receive,
            Self::Shutdown => spec::Call::Shutdown,
            Self::GetOption => spec::Call::GetOption(1, 4),
            Self::SetOption(level, option) => spec::Call::SetOption(*level, *option),
        }
    }
}

fn inet6(port: u16, address: Option<IpAddr>) -> [u8; 28] {
    let mut bytes = [0; 28];
    let address = match address {
        None => Ipv6Addr::UNSPECIFIED,
        Some(IpAddr::V4(address)) => address.to_ipv6_mapped(),
        Some(IpAddr::V6(address)) => address,
    };

    bytes[..2].copy_from_slice(&spec::AF_INET6.to_ne_bytes());
    bytes[2..4].copy_from_slice(&port.to_be_bytes());
    bytes[8..24].copy_from_slice(&address.octets());
    bytes
}

/// A socket with this service port, and this peer if there is one.
fn socket(protocol: spec::Protocol, port: u16, peer: Option<IpAddr>) -> spec::Socket {
    spec::Socket {
        protocol,
        family: spec::AF_INET6,
        netns: 1,
        is_kernel: false,
        is_listening: false,
        local: (
            if peer.is_some() { 1 } else { port },
            spec::Address::wildcard(spec::AF_INET6),
        ),
        is_port_named: true,
        peer: peer.map(|peer| (port, specified_address(peer))),
        accepted: None,
        is_connected: peer.is_some(),
        cookie: 0,
        listener: 0,
        has_lost_port: false,
        way: spec::Way::NONE,
        granted_by_address: false,
        may_name_device: false,
    }
}

/// How a right is used.
fn used(right: Right, port: u16, address: Option<IpAddr>) -> Ask {
    use Right::*;

    match right {
        BindTcp | BindUdp => Ask::Bind(inet6(port, address)),
        ConnectTcp => Ask::Connect(inet6(port, address)),
        ConnectSendUdp => Ask::Send(inet6(port, address)),
        ListenTcp => Ask::Listen,
        AcceptTcp => Ask::Accept,
        SendTcp => Ask::Send(inet6(port, None)),
        ReceiveTcp | ReceiveUdp => Ask::Receive,
        ShutdownTcp | ShutdownUdp => Ask::Shutdown,
        GetsockoptTcp | GetsockoptUdp => Ask::GetOption,
        SetsockoptTcp | SetsockoptUdp => SOME_OPTION,
        _ => unreachable!("{right} is new here"),
    }
}

/// Calls on sockets that are not judged by port and address alone, each with the right that it needs.
fn calls((right, port, address): (Right, u16, Option<IpAddr>)) -> Vec<(spec::Socket, Ask, Right)> {
    let options = [
        (spec::Protocol::Tcp, Right::SetsockoptTcp),
        (spec::Protocol::Udp, Right::SetsockoptUdp),
    ];
    let mut all = Vec::new();

    for ((protocol, right), ask) in options
        .into_iter()
        .flat_map(|of| [(of, OWN_WAY), (of, FILTER)])
    {
        all.push((socket(protocol, port, address), ask, right));
        all.extend(OPEN.map(|fd| {
            let socket = spec::Socket {
                cookie: cookie(fd),
                ..socket(protocol, port, address)
            };

            (socket, ask, right)
        }));
    }
    if right.protocol() == Protocol::Tcp {
        // These addresses name a device.
        let near = inet6(port, "fe80::1".parse().ok());
        let asks = [
            used(right, port, address),
            OWN_WAY,
            Ask::Bind(near),
            Ask::Connect(near),
        ];

        all.extend(asks.map(|ask| (socket(spec::Protocol::Smc, port, address), ask, right)));
    }
    for fd in OPEN {
        let (socket, ask) = open(fd, right, port, address);

        all.push((socket, ask, right));
    }
    all
}

/// An open socket that is asked for a right. Without an address, it chooses its own way.
fn open(fd: i32, right: Right, port: u16, address: Option<IpAddr>) -> (spec::Socket, Ask) {
    let protocol = match right.protocol() {
        Protocol::Tcp => spec::Protocol::Tcp,
        Protocol::Udp => spec::Protocol::Udp,
    };
    let mut socket = socket(protocol, port, address);
    let mut ask = used(right, port, address);

    socket.cookie = cookie(fd);
    if address.is_none() {
        socket.way.device = 2;
    }
    match right {
        Right::BindTcp | Right::BindUdp => socket.peer = None,
        Right::ListenTcp => {
            socket.peer = None;
            socket.local = (
                port,
                specified_address(address.unwrap_or(Ipv6Addr::UNSPECIFIED.into())),
            );
        }
        // It does not have to get a port first.
        Right::ConnectSendUdp => {
            socket.peer = None;
            socket.local.0 = 1;
        }
        // The right is one of the listener, and the peer that of the connection.
        Right::AcceptTcp => {
            ask = Ask::Accepted;
            socket.local.0 = port;
            socket.peer = Some((
                1,
                specified_address(address.unwrap_or(Ipv6Addr::LOCALHOST.into())),
            ));
        }
        _ => {}
    }
    (socket, ask)
}

/// A socket that no rule holds: of UDP with this peer, or of this kind.
#[derive(Clone, Copy, Debug)]
enum Unheld {
    Udp(u16, IpAddr),
    Other(Kind),
}

const OTHERS: [Kind; 3] = [
    Kind::new(2, 3, 1),
    Kind::new(16, 3, 2),
    Kind::new(200, 2, 2),
];

/// Whether a program may have the socket under this number, as the page on the command says: it could send there or
/// make it, or it is named and its rights suit it.
fn inherits(rules: &Rules, fd: i32, socket: Unheld) -> bool {
    let named: Vec<_> = rules.opened.iter().filter(|of| of.fd == fd).collect();
    let suits = |opened: &&Opened| match (opened.rights, socket) {
        (None, _) => true,
        (Some(rights), Unheld::Udp(..)) => {
            (rights.iter()).all(|right| right.protocol() == Protocol::Udp)
        }
        _ => false,
    };
    let is_own = match socket {
        Unheld::Udp(port, peer) => specified(rules, (Right::ConnectSendUdp, port, Some(peer))),
        Unheld::Other(kind) => rules.makes(kind),
    };

    is_own || !named.is_empty() && named.iter().all(suits)
}

/// Whether a witness tells of the call.
fn is_about(witness: &Witness, socket: &spec::Socket, ask: Ask, needed: Right) -> bool {
    let is_option = |number: i32| matches!(ask, Ask::SetOption(1, of) if of == number);

    match *witness {
        Witness::Access { right, .. } => right == needed && socket.protocol != spec::Protocol::Smc,
        Witness::Opened(fd, rights) => cookie(fd) == socket.cookie && rights.has(needed),
        Witness::OwnWay(of) => is_option(25) && needed.protocol() == of,
        Witness::Filter(of) => is_option(26) && needed.protocol() == of,
        Witness::Smc => socket.protocol == spec::Protocol::Smc,
        _ => false,
    }
}

/// The addresses before and after a prefix.
fn beside(net: &IpNet) -> [IpAddr; 2] {
    match (net.network(), net.broadcast()) {
        (IpAddr::V4(first), IpAddr::V4(last)) => [
            first.to_bits().wrapping_sub(1),
            last.to_bits().wrapping_add(1),
        ]
        .map(|bits| Ipv4Addr::from_bits(bits).into()),
        (IpAddr::V6(first), IpAddr::V6(last)) => [
            first.to_bits().wrapping_sub(1),
            last.to_bits().wrapping_add(1),
        ]
        .map(|bits| Ipv6Addr::from_bits(bits).into()),
        (first, last) => [first, last],
    }
}

/// Whether the new rules allow what a witness tells, and the old ones do not.
fn is_true(witness: &Witness, new: &Rules, old: &Rules) -> bool {
    // At one of these ports and addresses, if at all.
    let ports = (0..8).chain([53, 54, 32768, 61000, u16::MAX]);
    let addresses = (new.grants.iter())
        .filter_map(|grant| match &grant.nets {
            Nets::Of(nets) => {
                Some((nets.iter().take(2)).flat_map(|net| [net.network(), net.broadcast()]))
            }
            Nets::Any => None,
        })
        .flatten()
        .map(Some)
        .chain([None, "fe80::1".parse().ok()]);
    let places: Vec<(u16, Option<IpAddr>)> = addresses
        .flat_map(|address| ports.clone().map(move |port| (port, address)))
        .collect();
    let any_suits = [(false, false), (false, true), (true, false), (true, true)].map(
        |(is_listener, has_peer)| Suits {
            is_listener,
            has_peer,
        },
    );
    let models = any_suits.map(|suits| (Model::new(new, suits), Model::new(old, suits)));
    let is_more = |rights: Rights| {
        (places.iter())
            .flat_map(|(port, address)| {
                rights
                    .iter()
                    .flat_map(|right| calls((right, *port, *address)))
            })
            .any(|(socket, ask, right)| {
                is_about(witness, &socket, ask, right)
                    && models.iter().any(|(new, old)| {
                        new.allows(socket, ask.call()) && !old.allows(socket, ask.call())
                    })
            })
    };
    // Where a path leads that goes up is known when it is there.
    let goes_up = |path: &std::path::PathBuf| path.to_str().unwrap().contains("..");
    let unix = match &old.unix {
        Unix::Any => &[][..],
        Unix::Below(paths) => paths,
    };
    let old_goes_up = [&old.read[..], &old.write, unix]
        .into_iter()
        .flatten()
        .any(goes_up);

    match witness {
        Witness::Access {
            right,
            port,
            address,
            ..
        } => {
            let question = (*right, *port, *address);

            specified(new, question) && !specified(old, question)
        }
        Witness::Create(kind) => new.makes(*kind) && !old.makes(*kind),
        Witness::Opened(_, rights) => rights.iter().all(|right| is_more(right.into())),
        Witness::Inherit { fd, is_udp } => {
            let peers = (old.grants.iter())
                .filter_map(|grant| match &grant.nets {
                    Nets::Of(nets) => Some(nets),
                    Nets::Any => None,
                })
                .flatten()
                .flat_map(beside)
                .chain(["192.0.2.1", "fe80::1"].map(|peer| peer.parse().unwrap()));
            let mut sockets: Vec<_> = OTHERS.map(Unheld::Other).into();

            sockets.extend((200..210).map(|family| Unheld::Other(Kind::new(family, 4, 9))));
            if *is_udp {
                sockets = peers
                    .filter(|peer| !peer.is_unspecified())
                    .flat_map(|peer| {
                        (ports.clone().skip(1)).map(move |port| Unheld::Udp(port, peer))
                    })
                    .collect();
            }
            (sockets.into_iter())
                .any(|socket| inherits(new, *fd, socket) && !inherits(old, *fd, socket))
        }
        Witness::OwnWay(protocol) | Witness::Filter(protocol) => is_more(match protocol {
            Protocol::Tcp => Right::SetsockoptTcp.into(),
            Protocol::Udp => Right::SetsockoptUdp.into(),
        }),
        Witness::Smc => is_more(Rights::of(Protocol::Tcp)),
        Witness::Read(path) | Witness::Write(path) | Witness::Unix(path)
            if goes_up(path) || old_goes_up =>
        {
            true
        }
        Witness::Read(path) => {
            reads(new, path.to_str().unwrap()) && !reads(old, path.to_str().unwrap())
        }
        // Without rules about files, the tree may be changed too.
        Witness::Write(path) => {
            !new.holds_files() && old.holds_files()
                || writes(new, path.to_str().unwrap()) && !writes(old, path.to_str().unwrap())
        }
        // Abstract names are below no path.
        Witness::Unix(path) => {
            new.unix == Unix::Any && old.unix != Unix::Any
                || reaches(new, path.to_str().unwrap()) && !reaches(old, path.to_str().unwrap())
        }
        Witness::Keyrings => asks_for_keys(new) && !asks_for_keys(old),
        _ => false,
    }
}

proptest! {
    #[test]
    fn a_comparison_is_exact((old, new) in pair(), suits in suits(), questions in proptest::collection::vec(question(), 20)) {
        let (old, new) = (old.rules(&Machine::default()), new.rules(&Machine::default()));
        let models = (Model::new(&new, suits), Model::new(&old, suits));
        let witnesses = new.beyond(&old);
        let told = |is: &dyn Fn(&Witness) -> bool| witnesses.iter().any(is);

        // What is told is true.
        for witness in &witnesses {
            prop_assert!(is_true(witness, &new, &old), "{:?}", witness);
        }

        // What is true is told.
        for question in questions {
            if specified(&new, question) && !specified(&old, question) {
                let is_it = |witness: &Witness| matches!(witness, Witness::Access { right, .. } if *right == question.0);

                prop_assert!(told(&is_it), "{:?}", question);
            }
            for (socket, call, right) in calls(question) {
                if models.0.allows(socket, call.call()) && !models.1.allows(socket, call.call()) {
                    prop_assert!(told(&|witness| is_about(witness, &socket, call, right)), "{:?} {:?}", socket, call);
                }
            }
        }
        for (fd, port) in OPEN.flat_map(|fd| (1..7).map(move |port| (fd, port))) {
            let peers = ["192.0.2.1", "10.0.0.1", "fe80::1"].map(|peer| Unheld::Udp(port, peer.parse().unwrap()));

            for socket in peers.into_iter().chain(OTHERS.map(Unheld::Other)) {
                if inherits(&new, fd, socket) && !inherits(&old, fd, socket) {
                    prop_assert!(told(&|witness| match (witness, socket) {
                        (Witness::Opened(of, _), _) | (Witness::Inherit { fd: of, .. }, _) => *of == fd,
                        (Witness::Create(_), Unheld::Other(_)) => true,
                        (Witness::Access { right, .. }, Unheld::Udp(..)) => *right == Right::ConnectSendUdp,
                        _ => false,
                    }), "{} {:?}", fd, socket);
                }
            }
        }
        for family in [1, 2, 10, 16, 200] {
            for (kind, protocol) in (0..4).flat_map(|kind| (0..8).map(move |protocol| (kind, protocol))) {
                let kind = Kind::new(family, kind, protocol);

                if new.makes(kind) && !old.makes(kind) {
                    prop_assert!(told(&|witness| matches!(witness, Witness::Create(_))), "{}", kind);
                }
            }
        }
        for path in PATHS {
            if reads(&new, path) && !reads(&old, path) {
                prop_assert!(told(&|witness| matches!(witness, Witness::Read(_) | Witness::Write(_))), "{}", path);
            }
            if writes(&new, path) && !writes(&old, path) {
                prop_assert!(told(&|witness| matches!(witness, Witness::Write(_))), "{}", path);
            }
            if reaches(&new, path) && !reaches(&old, path) {
                prop_assert!(told(&|witness| matches!(witness, Witness::Unix(_))), "{}", path);
            }
        }
        if asks_for_keys(&new) && !asks_for_keys(&old) {
            prop_assert!(told(&|witness| *witness == Witness::Keyrings));
        }
    }

    #[test]
    fn what_is_printed_is_read_again(policy in policy()) {
        let text = policy.to_toml();

        prop_assert_eq!(Policy::from_toml(&text, "printed").unwrap(), policy);
    }

    #[test]
    fn answers_are_those_of_the_specification(policy in policy(), questions in proptest::collection::vec(question(), 20)) {
        let rules = policy.rules(&Machine::default());

        for question in questions {
            let (right, port, address) = question;

            prop_assert_eq!(rules.allows(right, port, address), specified(&rules, question), "{:?}", question);
        }
    }

    #[test]
    fn a_policy_allows_what_it_allows(policy in policy()) {
        let rules = policy.rules(&Machine::default());

        prop_assert_eq!(rules.beyond(&rules), Vec::new());
    }

    // The kernel refuses a rule with a prefix inside of ::ffff:0:0/96.
    #[test]
    fn no_rule_is_about_mapped_addresses(terms in terms()) {
        let text = Place { protocol: Protocol::Tcp, terms, ports: vec![Ports::ALL] }.to_string();

        if let Ok(place) = text.parse::<Place>() {
            if let Nets::Of(nets) = place.nets() {
                let mapped: IpNet = "::ffff:0:0/96".parse().unwrap();

                prop_assert!(nets.iter().all(|net| !mapped.contains(net)), "{}", text);
            }
        }
    }
}
