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

    prop_oneof![3 => Just(Restrict::default()), 1 => some]
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

/// What the kernel's specification says of a question about one layer with these rules.
fn specified(rules: &Rules, (right, port, address): (Right, u16, Option<IpAddr>)) -> bool {
    let rules_of: Vec<spec::Rule> = (rules.grants.iter())
        .flat_map(|grant| {
            let rule = |prefix| spec::Rule {
                access: grant.rights.bits(),
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
        })
        .collect();
    let layer = spec::Layer {
        is_extended: true,
        handled: rules.restrict.net.bits(),
        quiet: 0,
        permissions: 0,
        rules: &rules_of,
        kinds: &[],
        opened: &[],
        is_permissive: false,
        netns: 1,
    };

    // As `Socket::judge` does it, for a socket without a way of its own.
    let meant = address
        .filter(|address| right.is_local() || !address.is_unspecified())
        .map(specified_address);

    rules.restrict.net.bits() & right.bit() == 0
        || layer
            .matching(port, meant)
            .any(|rule| rule.access & right.bit() != 0)
}

fn specified_address(address: IpAddr) -> spec::Address {
    match address {
        IpAddr::V4(address) => spec::Address::V4(address.octets()),
        IpAddr::V6(address) => spec::Address::from_inet6(address.octets()),
    }
}

proptest! {
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
    fn a_comparison_is_exact(
        old in policy(),
        more in policy(),
        is_related in any::<bool>(),
        questions in proptest::collection::vec(question(), 40),
    ) {
        let mut new = more;

        // Else most pairs would differ in everything.
        if is_related {
            let restrict = new.restrict;
            let mut both = old.clone();

            new.words.truncate(1);
            both.add(new);
            both.restrict = restrict;
            new = both;
        }

        let (old, new) = (old.rules(&Machine::default()), new.rules(&Machine::default()));
        let witnesses = new.beyond(&old);

        for witness in &witnesses {
            match *witness {
                Witness::Access { right, port, address, .. } => {
                    let question = (right, port, address);

                    prop_assert!(specified(&new, question) && !specified(&old, question), "{:?}", witness);
                }
                Witness::Create(kind) => prop_assert!(new.makes(kind) && !old.makes(kind), "{:?}", witness),
                _ => {}
            }
        }
        for question in questions {
            if specified(&new, question) && !specified(&old, question) {
                let is_told = (witnesses.iter())
                    .any(|witness| matches!(witness, Witness::Access { right, .. } if *right == question.0));

                prop_assert!(is_told, "{:?}", question);
            }
        }
        for family in [1, 2, 10, 16, 200] {
            for (kind, protocol) in (0..4).flat_map(|kind| (0..8).map(move |protocol| (kind, protocol))) {
                let kind = Kind::new(family, kind, protocol);

                if new.makes(kind) && !old.makes(kind) {
                    prop_assert!(witnesses.iter().any(|witness| matches!(witness, Witness::Create(_))), "{}", kind);
                }
            }
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
