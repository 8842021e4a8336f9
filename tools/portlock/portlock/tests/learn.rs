// SPDX-License-Identifier: GPL-2.0

//! What is learned from a trace.

use portlock::*;
use proptest::prelude::*;

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
    Learned::from_trace(trace, &machine())
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

fn any_seen() -> impl Strategy<Value = Seen> {
    let address = proptest::sample::select(vec![
        "",
        "",
        "0.0.0.0",
        "::",
        "127.0.0.1",
        "192.0.2.53",
        "198.51.100.1",
        "198.51.100.2",
        "2001:db8::1",
    ]);
    let port = proptest::sample::select(vec![
        0, 53, 80, 443, 5000, 20000, 33000, 40000, 60000, 65535,
    ]);
    let create = (0u8..20, 0u8..4, 0u8..7).prop_map(|(family, kind, protocol)| {
        let mut seen = seen(Asked::Create, 0, None);

        seen.event.socket = (family.into(), kind.into(), protocol.into());
        seen
    });
    let right = (
        proptest::sample::select(&Right::ALL[..]),
        port,
        address,
        1..4i32,
    )
        .prop_map(|(right, port, address, thread)| {
            // Receiving over UDP is never about an address.
            let address = if right == ReceiveUdp { "" } else { address };
            let mut seen = did(right, port, address);

            seen.event.thread = Some(thread);
            seen
        });

    prop_oneof![1 => create, 6 => right]
}

proptest! {
    #[test]
    fn a_learned_policy_allows_its_own_trace(trace in proptest::collection::vec(any_seen(), 0..40)) {
        let learned = learned(&trace);
        let rules = learned.policy.rules(&machine());
        let mut refused = 0;

        for Seen { event, .. } in &trace {
            let is_allowed = match event.asked {
                Asked::Right(right) => rules.allows(right, event.port, event.address),
                Asked::Create => event.kind().is_some_and(|kind| rules.makes(kind)),
                _ => true,
            };

            if !is_allowed {
                // Only these two are left out, and they are counted.
                prop_assert!(matches!(event.asked, Asked::Right(ConnectSendUdp | BindTcp)), "{:?}", event);
                refused += 1;
            }
        }
        prop_assert!(refused <= learned.probes + learned.retried);
        prop_assert_eq!(Policy::from_toml(&learned.to_toml(), "learned").unwrap(), learned.policy);
    }
}
