// SPDX-License-Identifier: GPL-2.0

//! What is learned from a trace.

use portlock::*;
use proptest::prelude::*;
use std::net::IpAddr;

fn machine() -> Machine {
    Machine {
        resolvers: vec!["192.0.2.53".parse().unwrap()],
        ..Machine::default()
    }
}

fn seen(asked: Asked, port: u16, address: Option<&str>) -> Seen {
    let mut event = Event::new(asked);

    event.is_permissive = true;
    event.thread = Some(7);
    event.socket = (2, 1, 6);
    event.port = port;
    event.address = address.map(|address| address.parse().unwrap());

    Seen {
        event,
        program: "test".into(),
    }
}

fn did(right: Right, port: u16, address: &str) -> Seen {
    seen(
        Asked::Right(right),
        port,
        (!address.is_empty()).then_some(address),
    )
}

fn learned(trace: &[Seen]) -> Learned {
    Learned::from_trace(trace, &[], &machine())
}

use Right::*;

/// What glibc and curl do, as observers tell it.
fn client_by_name() -> Vec<Seen> {
    let mut trace = vec![
        seen(Asked::Create, 0, None),
        did(SetsockoptUdp, 0, ""),
        did(ConnectSendUdp, 53, "192.0.2.53"),
        did(BindUdp, 0, "0.0.0.0"),
        did(ReceiveUdp, 0, ""),
    ];

    for address in ["198.51.100.1", "198.51.100.2", "2001:db8::1"] {
        trace.push(did(ConnectSendUdp, 443, address));
        trace.push(did(BindUdp, 0, "0.0.0.0"));
    }
    trace.push(did(SetsockoptTcp, 0, ""));
    trace.push(did(ConnectTcp, 443, "198.51.100.1"));
    trace.push(did(GetsockoptTcp, 443, "198.51.100.1"));
    trace.push(did(SendTcp, 443, "198.51.100.1"));
    trace.push(did(ReceiveTcp, 443, "198.51.100.1"));
    trace
}

#[test]
fn a_client_needs_its_server_and_look_ups_and_no_probes() {
    let learned = learned(&client_by_name());

    assert_eq!(learned.probes, 3);
    assert_eq!(
        learned.policy.to_toml(),
        "connect = [\"tcp:198.51.100.1:443\"]\ndns = true\n"
    );
    assert!(learned
        .to_toml()
        .contains("connect = [\"tcp:198.51.100.1:443\"]  # 6 times, by test"));
}

#[test]
fn a_socket_that_chooses_its_own_way_needs_words_without_addresses() {
    let mut trace = client_by_name();

    trace.push(did(ConnectTcp, 443, "203.0.113.1"));
    trace.extend((2001..2005).map(|port| did(ConnectTcp, port, "203.0.113.1")));
    trace.extend((2001..2005).map(|port| did(ConnectTcp, port, "203.0.113.2")));
    trace.push(did(ShutdownTcp, 8080, "203.0.113.1"));
    trace.push(did(ConnectSendUdp, 123, "203.0.113.1"));

    for (own_way, text) in [
        (
            &[Protocol::Tcp][..],
            "connect = [\n    \"tcp:1024-65535\",\n    \"tcp:443\",\n    \"udp:203.0.113.1:123\",\n    \
             \"udp:192.0.2.53:53\",\n    \"tcp:53\",\n]\n",
        ),
        (
            &[Protocol::Udp],
            "connect = [\n    \"tcp:203.0.113.1:1024-65535\",\n    \"tcp:203.0.113.2:1024-65535\",\n    \
             \"tcp:198.51.100.1,203.0.113.1:443\",\n    \"udp:123\",\n    \"udp:53\",\n    \
             \"tcp:192.0.2.53:53\",\n]\n",
        ),
    ] {
        let policy = Learned::from_trace(&trace, own_way, &machine()).policy;

        for protocol in [Protocol::Tcp, Protocol::Udp] {
            assert_eq!(
                policy.rules(&machine()).has_addresses(protocol),
                !own_way.contains(&protocol),
                "{own_way:?}"
            );
        }
        assert_eq!(policy.to_toml(), text, "{own_way:?}");
    }
}

/// A program of BitTorrent's makes so many. Whoever looks through all of them for each one takes minutes.
#[test]
fn many_records_are_learned_from_at_once() {
    let address = |number: usize| format!("198.51.100.{}", number % 250);
    let asked = (0..60_000).flat_map(|number| {
        [
            did(ConnectSendUdp, 6881, &address(number)),
            did(ConnectSendUdp, 6881, &address(number + 1)),
            did(ReceiveUdp, 0, ""),
        ]
    });
    let told = (1024..60_000).map(|port| did(ConnectSendUdp, port, "192.0.2.1"));
    let trace: Vec<Seen> = asked.chain(told).collect();
    let began = std::time::Instant::now();
    let learned = learned(&trace);

    assert!(
        began.elapsed().as_secs() < 20,
        "it took {:?}",
        began.elapsed()
    );
    assert_eq!(learned.probes, 0);
    assert_eq!(learned.policy.words.len(), 2);
}

#[test]
fn probes_of_port_0_and_of_go_are_no_rules_either() {
    let trace = [
        did(ConnectSendUdp, 53, "192.0.2.53"),
        did(ReceiveUdp, 0, ""),
        did(ConnectSendUdp, 0, "198.51.100.9"),
        did(ConnectSendUdp, 53, "198.51.100.1"),
        did(ConnectTcp, 80, "198.51.100.1"),
    ];
    let learned = learned(&trace);

    assert_eq!(learned.probes, 2);
    assert_eq!(
        learned.policy.flags(),
        ["--connect", "tcp:198.51.100.1:80", "--dns"]
    );
}

#[test]
fn a_client_of_udp_is_no_probe() {
    // It may also use TCP there, as HTTP/3 clients do.
    let trace = [
        did(ConnectTcp, 443, "198.51.100.1"),
        did(ConnectSendUdp, 443, "198.51.100.1"),
        did(BindUdp, 0, "0.0.0.0"),
        did(ReceiveUdp, 0, ""),
        did(ConnectSendUdp, 8125, "198.51.100.2"),
    ];
    let learned = learned(&trace);

    assert_eq!(learned.probes, 0);
    assert_eq!(
        learned.policy.flags(),
        [
            "--connect",
            "tcp:198.51.100.1:443",
            "--connect",
            "udp:198.51.100.1:443",
            "--connect",
            "udp:198.51.100.2:8125"
        ]
    );
}

#[test]
fn a_server_is_one_word() {
    let trace = [
        did(SetsockoptTcp, 0, ""),
        did(BindTcp, 8080, "0.0.0.0"),
        did(ListenTcp, 8080, "0.0.0.0"),
        did(AcceptTcp, 8080, ""),
        did(AcceptTcp, 8080, "10.0.0.1"),
        did(ReceiveTcp, 8080, "10.0.0.1"),
        did(SendTcp, 8080, "10.0.0.1"),
    ];

    assert_eq!(learned(&trace).policy.flags(), ["--serve", "tcp:8080"]);
}

#[test]
fn a_server_that_asks_for_the_wildcards_probes_them() {
    let trace = [
        did(ConnectSendUdp, 8080, "::"),
        did(BindUdp, 0, "::"),
        did(ConnectSendUdp, 8080, "0.0.0.0"),
        did(BindTcp, 8080, "::"),
        did(ListenTcp, 8080, "::"),
    ];
    let learned = learned(&trace);
    let rules = learned.policy.rules(&machine());

    assert_eq!(learned.probes, 2);
    assert_eq!(learned.policy.flags(), ["--serve", "tcp:8080"]);
    assert!(trace[0].event.is_probe(&rules, &machine()));
    assert!(!did(ConnectSendUdp, 8081, "::")
        .event
        .is_probe(&rules, &machine()));
    assert!(!did(ConnectSendUdp, 8080, "198.51.100.1")
        .event
        .is_probe(&rules, &machine()));
}

#[test]
fn a_port_of_the_kernels_choice_is_port_0() {
    let trace = [
        did(BindTcp, 0, "127.0.0.1"),
        did(ListenTcp, 40123, "127.0.0.1"),
        did(AcceptTcp, 40123, "127.0.0.1"),
    ];

    assert_eq!(
        learned(&trace).policy.flags(),
        ["--serve", "tcp:127.0.0.1:0"]
    );
}

#[test]
fn ports_of_the_programs_choice_are_a_range() {
    let ports = [21, 5021, 20123, 61000];
    let trace: Vec<Seen> = ports
        .iter()
        .flat_map(|port| {
            [
                did(BindTcp, *port, "0.0.0.0"),
                did(ListenTcp, *port, "0.0.0.0"),
            ]
        })
        .collect();

    assert_eq!(
        learned(&trace).policy.flags(),
        ["--serve", "tcp:1024-65535,21"]
    );
}

#[test]
fn a_few_ports_are_in_the_ephemeral_range_by_chance() {
    let served = |count: u16| {
        let trace: Vec<Seen> = (0..count)
            .flat_map(|i| {
                let port = 60999 - 1000 * i;

                [
                    did(BindTcp, port, "0.0.0.0"),
                    did(ListenTcp, port, "0.0.0.0"),
                ]
            })
            .collect();

        learned(&trace).policy.flags()
    };

    assert_eq!(served(3), ["--serve", "tcp:1024-65535"]);
    assert_eq!(served(7), ["--serve", "tcp:1024-65535"]);
    assert_eq!(served(8), ["--serve", "tcp:32768-60999"]);
}

#[test]
fn a_bind_that_only_tries_a_port_is_no_rule() {
    let trace = [did(BindTcp, 0, "0.0.0.0"), did(BindTcp, 40123, "0.0.0.0")];
    let learned = learned(&trace);

    assert_eq!(learned.retried, 1);
    assert_eq!(learned.policy.flags(), ["--bind", "tcp:0.0.0.0:0"]);
}

#[test]
fn a_connection_to_a_wildcard_needs_a_rule_for_any_address() {
    assert_eq!(
        learned(&[did(ConnectTcp, 80, "0.0.0.0")]).policy.flags(),
        ["--connect", "tcp:80"]
    );
}

const PORTS: [u16; 10] = [0, 53, 80, 443, 5000, 20000, 33000, 40000, 60000, 65535];

const ADDRESSES: [&str; 9] = [
    "",
    "",
    "198.51.100.1",
    "0.0.0.0",
    "::",
    "127.0.0.1",
    "192.0.2.53",
    "198.51.100.2",
    "2001:db8::1",
];

fn any_seen() -> impl Strategy<Value = Seen> {
    seen_of(&Right::ALL, &ADDRESSES)
}

fn seen_of(
    rights: &'static [Right],
    addresses: &'static [&'static str],
) -> impl Strategy<Value = Seen> {
    let address = proptest::sample::select(addresses);
    let port = proptest::sample::select(&PORTS[..]);
    let create = (0u8..20, 0u8..4, 0u8..7).prop_map(|(family, kind, protocol)| {
        let mut seen = seen(Asked::Create, 0, None);

        seen.event.socket = (family.into(), kind.into(), protocol.into());
        seen
    });
    let right = (proptest::sample::select(rights), port, address, 1..4i32).prop_map(
        |(right, port, address, thread)| {
            // Receiving over UDP is never about an address.
            let address = if right == ReceiveUdp { "" } else { address };
            let mut seen = did(right, port, address);

            seen.event.thread = Some(thread);
            seen
        },
    );

    prop_oneof![1 => create, 6 => right]
}

/// What programs ask for first: whoever has none of it can do little.
const FIRST: [Right; 6] = [
    ConnectTcp,
    ConnectSendUdp,
    BindTcp,
    ListenTcp,
    AcceptTcp,
    BindUdp,
];

/// Whether a trace is a reason to allow an access of [`FIRST`].
fn is_reason(trace: &[Seen], right: Right, port: u16, address: Option<IpAddr>) -> bool {
    let accesses = || {
        trace.iter().filter_map(|seen| match seen.event.asked {
            Asked::Right(right) => Some((right, seen.event.port, seen.event.address)),
            _ => None,
        })
    };
    // A wildcard, or no address, is only allowed with every address.
    let is_at = |of: Option<IpAddr>| of == address || of.is_none_or(|of| of.is_unspecified());
    let is_high = |port: u16| port >= 1024;
    let machine = machine();
    // Some port of the kernel's choice means every one.
    let is_chosen = |of: u16| machine.ephemeral.has(of) && machine.ephemeral.has(port);
    // So does a port at which a server listens, and which nobody has named.
    let is_named = |of: u16| accesses().any(|(right, at, _)| right == BindTcp && at == of);
    let is_servers_choice = || {
        (port == 0 || machine.ephemeral.has(port))
            && accesses().any(|(right, of, _)| right == ListenTcp && (of == 0 || !is_named(of)))
    };
    let is_seen = |rights: &[Right]| {
        let at: Vec<u16> = (accesses())
            .filter(|(other, _, of)| rights.contains(other) && is_at(*of))
            .map(|(_, of, _)| of)
            .collect();
        let random: std::collections::BTreeSet<u16> =
            at.iter().copied().filter(|of| is_high(*of)).collect();

        at.iter().any(|of| *of == port || is_chosen(*of))
            // From three ports on, the program chose them.
            || random.len() >= 3 && is_high(port)
    };
    let uses = |protocol| accesses().any(|(right, ..)| right.protocol() == protocol);
    let is_resolver = port == 53 && address.is_some_and(|of| machine.resolvers.contains(&of));

    match right {
        ConnectTcp => is_seen(&[ConnectTcp]) || is_resolver && uses(Protocol::Udp),
        // A server of UDP answers anybody.
        ConnectSendUdp => {
            let serves = accesses().any(|(right, port, _)| right == ReceiveUdp && port != 0);

            is_seen(&[ConnectSendUdp]) || is_resolver && uses(Protocol::Tcp) || serves
        }
        BindTcp if port == 0 => uses(Protocol::Tcp) || uses(Protocol::Udp),
        BindTcp => is_seen(&[BindTcp, ListenTcp]),
        ListenTcp => is_seen(&[ListenTcp]) || is_servers_choice(),
        // What listens is accepted from anybody.
        AcceptTcp => {
            is_seen(&[AcceptTcp])
                || is_servers_choice()
                || accesses().any(|(right, of, _)| right == ListenTcp && of == port)
        }
        _ if port == 0 => uses(Protocol::Udp) || uses(Protocol::Tcp),
        _ => {
            is_seen(&[BindUdp])
                || accesses().any(|(right, of, _)| right == ReceiveUdp && of == port)
        }
    }
}

proptest! {
    #[test]
    fn a_learned_policy_allows_its_own_trace(
        trace in proptest::collection::vec(any_seen(), 0..40),
        own_way in proptest::sample::subsequence(vec![Protocol::Tcp, Protocol::Udp], 0..=2),
    ) {
        let learned = Learned::from_trace(&trace, &own_way, &machine());
        let rules = learned.policy.rules(&machine());
        let mut refused = 0;

        for protocol in own_way {
            prop_assert!(!rules.has_addresses(protocol), "{:?}", learned.policy);
        }

        for Seen { event, .. } in &trace {
            let is_allowed = match event.asked {
                Asked::Right(right) => rules.allows(right, event.port, event.address),
                Asked::Create => event.kind().is_some_and(|kind| rules.makes(kind)),
                _ => true,
            };

            if !is_allowed {
                // Only these are left out. Each probe can have a port that the kernel chose.
                prop_assert!(matches!(event.asked, Asked::Right(ConnectSendUdp | BindUdp | BindTcp)), "{:?}", event);
                refused += 1;
            }
        }
        prop_assert!(refused <= 2 * learned.probes + learned.retried);
        prop_assert_eq!(Policy::from_toml(&learned.to_toml(), "learned").unwrap(), learned.policy);
    }

    #[test]
    fn a_learned_policy_allows_nothing_without_a_reason(
        trace in prop_oneof![
            proptest::collection::vec(any_seen(), 0..12),
            proptest::collection::vec(seen_of(&FIRST[..2], &ADDRESSES[2..4]), 0..5),
            proptest::collection::vec(seen_of(&FIRST[2..], &ADDRESSES[2..4]), 0..6),
        ],
        others in proptest::collection::vec(any_seen(), 20),
    ) {
        let rules = learned(&trace).policy.rules(&machine());

        for Seen { event, .. } in trace.iter().chain(&others) {
            for (right, port) in FIRST.iter().flat_map(|right| PORTS.map(|port| (*right, port))) {
                let is_reason = || is_reason(&trace, right, port, event.address);

                prop_assert!(!rules.allows(right, port, event.address) || is_reason(), "{} {} {:?}", right, port, event.address);
            }
            if let (Asked::Create, Some(kind)) = (event.asked, event.kind()) {
                let is_seen = trace.iter().any(|seen| seen.event.kind() == Some(kind) && seen.event.asked == Asked::Create);

                // What is implied is of these families.
                prop_assert!(!rules.makes(kind) || is_seen || [1, 2, 10, 16].contains(&kind.family), "{}", kind);
            }
        }
    }
}
