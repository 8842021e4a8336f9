// SPDX-License-Identifier: GPL-2.0

//! `portlock why`.

use crate::arguments::Why;
use crate::show::is_privileged;
use crate::{program, Wrong};
use clap::Parser;
use portlock::{
    advice_to_make, families, Advice, Kind, Machine, PolicyError, Ports, Protocol, Right, Rules,
    Verb, Word,
};
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An access that a call asks about, at each of the ports that it may come to.
type Access = (Right, Ports, Option<IpAddr>);

/// The sandboxes to ask, the outer one first, each with a name.
fn layers(arguments: &Why, machine: &Machine) -> Result<Vec<(String, Rules)>, Wrong> {
    let Some(pid) = arguments.pid else {
        return Ok(vec![(
            "this policy".into(),
            arguments.words.policy()?.rules(machine),
        )]);
    };

    if !arguments.words.is_empty() {
        return Err(Wrong(
            "--pid names a policy already: leave --profile and the words out".into(),
        ));
    }

    let environment = std::fs::read(format!("/proc/{pid}/environ"))
        .map_err(|error| format!("--pid {pid}: {error}: name a process of your own that runs"))?;
    let prefix = format!("{}=", program::NOTED);
    let noted = (environment.split(|byte| *byte == 0))
        .filter_map(|variable| std::str::from_utf8(variable).ok())
        .find_map(|variable| variable.strip_prefix(&prefix))
        .ok_or_else(|| {
            format!(
                "--pid {pid}: portlock run did not start this process, and the kernel does not tell what holds it: name the \
                 policy with --profile"
            )
        })?;
    let mut all = Vec::new();

    // Each line is a sandbox, an empty one too: a policy without a word allows nothing.
    for (at, line) in noted.split('\n').enumerate() {
        let words = line.split('\t').filter(|word| !word.is_empty());
        let command = ["portlock", "why"]
            .into_iter()
            .chain(words)
            .chain(["connect", "tcp:1"]);
        let parsed = crate::Cli::try_parse_from(command);
        let Ok(crate::Cli {
            command: crate::Command::Why(inner),
        }) = parsed
        else {
            return Err(Wrong(format!("--pid {pid}: its environment has no policy of this version: name it with --profile")));
        };

        all.push((
            format!("sandbox {}", at + 1),
            inner.words.policy()?.rules(machine),
        ));
    }
    Ok(all)
}

/// What a verb at a place asks for.
fn accesses(arguments: &Why, machine: &Machine) -> Result<Vec<Access>, Wrong> {
    let verb = Verb::ALL
        .into_iter()
        .find(|verb| verb.name() == arguments.verb)
        .ok_or_else(|| {
            let names: Vec<&str> = Verb::ALL.iter().map(|verb| verb.name()).collect();

            format!(
                "{:?} is nothing that can be asked about: write one of {}, create",
                arguments.verb,
                names.join(", ")
            )
        })?;
    let place = Word::new(verb, &arguments.place)
        .map_err(|mistake| PolicyError::in_flag(verb.name(), &arguments.place, mistake))?
        .place;
    let port = place.ports[0];

    if place.ports.len() > 1 || port.first != port.last {
        return Err(Wrong(format!(
            "{place} has several ports: ask about one, such as {}:{}",
            place.protocol, port.first
        )));
    }

    let address = match &place.terms[..] {
        [] => None,
        [term] => match term.item {
            portlock::Item::Net(net)
                if net.prefix_len() == net.max_prefix_len() && !term.is_exception =>
            {
                Some(net.addr())
            }
            _ => {
                return Err(Wrong(format!(
                    "{place} has several addresses: ask about one"
                )))
            }
        },
        _ => {
            return Err(Wrong(format!(
                "{place} has several addresses: ask about one"
            )))
        }
    };
    let protocol = place.protocol;
    let rights: Vec<Access> = match (verb, protocol) {
        (Verb::Connect, Protocol::Tcp) => vec![
            (Right::ConnectTcp, port, address),
            (Right::SendTcp, port, address),
            (Right::ReceiveTcp, port, address),
        ],
        (Verb::Connect, Protocol::Udp) => {
            let zero = Ports::one(0);
            let mut all = vec![(Right::ConnectSendUdp, port, address)];

            // The kernel binds a socket without a port to the wildcard of its family.
            all.extend(
                [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()]
                    .into_iter()
                    .filter(|own: &IpAddr| address.is_none_or(|to| to.is_ipv4() == own.is_ipv4()))
                    .map(|own| (Right::BindUdp, zero, Some(own))),
            );
            all.push((Right::ReceiveUdp, zero, None));
            all
        }
        (Verb::Serve, Protocol::Tcp) => {
            // Only bind(2) is asked about port 0. The socket then has the port that the kernel chose.
            let own = match port.first {
                0 => machine.ephemeral,
                _ => port,
            };

            vec![
                (Right::BindTcp, port, address),
                (Right::ListenTcp, own, address),
                (Right::AcceptTcp, own, None),
                (Right::SendTcp, own, None),
                (Right::ReceiveTcp, own, None),
            ]
        }
        (Verb::Serve, Protocol::Udp) => vec![
            (Right::BindUdp, port, address),
            (Right::ReceiveUdp, port, None),
            // A client has a port that its kernel chose, and on this machine an address of it.
            (
                Right::ConnectSendUdp,
                machine.ephemeral,
                address.filter(IpAddr::is_loopback),
            ),
        ],
        _ => verb
            .right(protocol)
            .map(|right| (right, port, address))
            .into_iter()
            .collect(),
    };

    Ok(rights)
}

pub(crate) fn why(arguments: &Why) -> Result<u8, Wrong> {
    let machine = Machine::read();
    let layers = layers(arguments, &machine)?;
    let mut answers = Vec::new();

    if arguments.verb == "create" {
        let kind: Kind = (arguments.place.parse())
            .map_err(|mistake| PolicyError::in_flag("create", &arguments.place, mistake))?;

        for (name, rules) in &layers {
            let by = rules
                .kinds
                .iter()
                .find(|made| made.kind.covers(kind))
                .map(|made| made.why.to_string());

            answers.push(answer(
                name,
                &format!("create {kind}"),
                rules.makes(kind),
                by,
                advice_to_make(kind),
            ));
        }
    } else {
        for (name, rules) in &layers {
            for access in accesses(arguments, &machine)? {
                answers.push(answer_to(name, rules, arguments, access, &machine));
            }
        }
    }

    // Where nobody was asked, nobody allowed it.
    let is_allowed = !answers.is_empty() && answers.iter().all(|(_, is)| *is);
    let others = others(arguments, &machine)?;

    if arguments.json {
        let answers: Vec<_> = answers
            .iter()
            .map(|(line, is)| json!({ "answer": line, "allowed": is }))
            .collect();

        say!(
            "{}",
            json!({ "allowed": is_allowed, "answers": answers, "other_causes": others })
        );
    } else {
        for (line, _) in answers {
            say!("{line}");
        }
        for other in others {
            say!("other cause: {other}");
        }
    }
    Ok(u8::from(!is_allowed))
}

/// The answer to a question about ports, and whether it is allowed.
fn answer_to(
    layer: &str,
    rules: &Rules,
    arguments: &Why,
    access: Access,
    machine: &Machine,
) -> (String, bool) {
    let (right, ports, address) = access;
    // One that is refused is what matters.
    let port = (ports.first..=ports.last)
        .find(|port| !rules.allows(right, *port, address))
        .unwrap_or(ports.last);
    let shown = address.map_or("*".into(), |address| address.to_string());
    let aim = if arguments.verb == "serve" && right == Right::ConnectSendUdp {
        ", to answer a client"
    } else if ports.first != ports.last {
        ", which the kernel may choose"
    } else {
        ""
    };
    let what = format!(
        "{} {} {shown} port {port}{aim}",
        right.verb(),
        right.protocol()
    );
    let granting = rules.granting(right, port, address);
    let opened = (rules.opened.iter()).find(|opened| opened.most().has(right));

    if rules.allows(right, port, address) {
        let by = granting.map(|grant| grant.why.to_string());

        return answer(layer, &what, true, by, Advice::Nothing(""));
    }
    if let Some(opened) = opened {
        let suits = match opened.rights {
            Some(_) => "",
            None => ", if it suits that socket",
        };

        return (
            format!(
                "{what}: allowed on the open socket {} only, by --opened {opened}{suits} ({layer})",
                opened.fd
            ),
            true,
        );
    }
    answer(
        layer,
        &what,
        false,
        None,
        advice(rules, arguments, (right, port, address), machine),
    )
}

/// What would allow an access. A question about a big word gets a big word as its answer.
fn advice(
    rules: &Rules,
    arguments: &Why,
    (right, port, address): (Right, u16, Option<IpAddr>),
    machine: &Machine,
) -> Advice {
    match rules.advice(right, port, address, machine) {
        Advice::Flag(flag)
            if flag != "--dns" && ["connect", "serve"].contains(&arguments.verb.as_str()) =>
        {
            Advice::Flag(format!("--{} {}", arguments.verb, arguments.place))
        }
        other => other,
    }
}

fn answer(
    layer: &str,
    what: &str,
    is_allowed: bool,
    by: Option<String>,
    advice: Advice,
) -> (String, bool) {
    let text = match (is_allowed, by, advice) {
        (true, Some(by), _) if !by.is_empty() => format!("{what}: allowed by {by} ({layer})"),
        (true, Some(_), _) => format!("{what}: always allowed ({layer})"),
        (true, None, _) => format!("{what}: allowed, since {layer} does not restrict it"),
        (false, _, Advice::Flag(flag)) => format!("{what}: refused by {layer}: add {flag}"),
        (false, _, Advice::Nothing(reason)) => format!("{what}: refused by {layer}: {reason}"),
    };

    (text, is_allowed)
}

/// What else can fail with EACCES or the like.
fn others(arguments: &Why, machine: &Machine) -> Result<Vec<String>, Wrong> {
    let mut all = Vec::new();

    if arguments.verb == "create" {
        return Ok(all);
    }

    let accesses = accesses(arguments, machine)?;

    for (right, ports, _) in &accesses {
        let port = ports.first;

        if is_privileged(*right, port) {
            let lowest = crate::show::lowest_port().unwrap_or_default();

            all.push(format!(
                "port {port} is below {lowest}, and users may not bind it (EACCES): choose a higher one, or lower \
                 net.ipv4.ip_unprivileged_port_start"
            ));
        }
    }
    // What is asked about comes first. The rest follows from it.
    if let Some((right, _, address)) = accesses.first() {
        let (v4, v6) = families(right.protocol());

        match address {
            Some(IpAddr::V6(_)) if !v6 => all.push("this kernel has no IPv6 (EAFNOSUPPORT)".into()),
            Some(IpAddr::V4(_)) if !v4 => all.push("this kernel has no IPv4 (EAFNOSUPPORT)".into()),
            _ => {}
        }
    }
    if std::fs::read_to_string("/proc/self/status")
        .is_ok_and(|status| status.contains("NoNewPrivs:\t1"))
    {
        all.push(
            "this shell may be in a sandbox itself (no_new_privs is set), which holds all that it starts: a program cannot \
             ask which"
                .into(),
        );
    }
    all.dedup();
    Ok(all)
}
