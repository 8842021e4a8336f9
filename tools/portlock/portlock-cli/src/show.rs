// SPDX-License-Identifier: GPL-2.0

//! `portlock show` and `portlock resolve`.

use crate::arguments::{Resolve, Show};
use crate::{tell, Wrong};
use portlock::{families, Machine, Protocol, Right, Rights, Support};
use serde_json::json;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::process::Command;

pub(crate) fn show(arguments: &Show) -> Result<u8, Wrong> {
    let support = Support::read();
    let machine = Machine::read();
    let rights = support.rights();
    let (v4, v6) = families(Protocol::Tcp);
    let resolvers: Vec<String> = machine.resolvers.iter().map(ToString::to_string).collect();
    let lowest = lowest_port();

    if arguments.json {
        say!(
            "{}",
            json!({
                "portlock": support.portlock,
                "landlock": support.landlock,
                "rights": rights.iter().map(|right| right.to_string()).collect::<Vec<_>>(),
                "ipv4": v4,
                "ipv6": v6,
                "resolvers": resolvers,
                "ephemeral_ports": [machine.ephemeral.first, machine.ephemeral.last],
                "lowest_port_of_users": lowest,
            })
        );
        return Ok(0);
    }
    say!(
        "{}",
        match (support.portlock, support.landlock) {
            (0, 0) if support.is_off =>
                "Landlock is off since the boot: boot with lsm=landlock,portlock and the other names of /sys/kernel/security/lsm"
                    .to_owned(),
            (0, 0) => "neither Portlock nor Landlock: nothing can be enforced here".to_owned(),
            (0, landlock) => format!("Landlock {landlock}, without Portlock: one port a rule, any address"),
            (portlock, landlock) => format!("Portlock {portlock}, with Landlock {landlock}: every word can be enforced"),
        }
    );
    say!(
        "can restrict: {}",
        if rights.is_empty() {
            "nothing of the network".into()
        } else {
            rights.to_string()
        }
    );

    let missing = Rights::ALL.without(rights);

    if !missing.is_empty() {
        say!("cannot restrict: {missing}, create (which sockets are made)");
    }
    say!("IPv4: {}, IPv6: {}", yes(v4), yes(v6));
    say!("resolvers (--dns): {}", resolvers.join(", "));
    say!("ports that the kernel chooses from: {}", machine.ephemeral);
    if let Some(lowest) = lowest.filter(|lowest| *lowest > 0) {
        say!("ports below {lowest} cannot be bound by users (net.ipv4.ip_unprivileged_port_start), whatever a policy says");
    }
    Ok(0)
}

fn yes(is: bool) -> &'static str {
    if is {
        "yes"
    } else {
        "no"
    }
}

/// The lowest port that a user may bind.
pub(crate) fn lowest_port() -> Option<u16> {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// Prints what getent(1) finds: it asks whom the programs of this machine ask, files and all.
pub(crate) fn resolve(arguments: &Resolve) -> Result<u8, Wrong> {
    let name = &arguments.name;

    if name.is_empty() {
        return Err(Wrong(
            "the name is missing: write that of a host, such as example.org".into(),
        ));
    }

    let output = Command::new("getent")
        .args(["ahosts", "--", name])
        .output()
        .map_err(|error| {
            format!(
                "getent(1) cannot be run ({error}): install it, or look {name} up in another way"
            )
        })?;
    let text = String::from_utf8_lossy(&output.stdout);
    let addresses: BTreeSet<IpAddr> = text
        .lines()
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
        .collect();

    if addresses.is_empty() {
        return Err(Wrong(format!("{name} has no address: check the name")));
    }

    let list: Vec<String> = (addresses.iter())
        .map(|address| match address.to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        })
        .collect();

    say!("{}", list.join(","));
    tell::note(&format!(
        "these are the addresses of now; another host may get them, and {name} others: --connect tcp:{}:443",
        list.join(",")
    ));
    Ok(0)
}

/// Whether a right is about a port that a user may not bind.
pub(crate) fn is_privileged(right: Right, port: u16) -> bool {
    matches!(right, Right::BindTcp | Right::BindUdp)
        && port != 0
        && lowest_port().is_some_and(|lowest| port < lowest)
}
