// SPDX-License-Identifier: GPL-2.0

//! A place: a protocol, addresses and ports, such as `tcp:10.0.0.0/8:443`.

use crate::ranges::AddressSet;
use crate::rights::Protocol;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// What is wrong with a piece of text, and what to write instead.
///
/// ```
/// use portlock::Place;
///
/// let mistake = "tcp:70000".parse::<Place>().unwrap_err();
/// assert_eq!(mistake.to_string(), "port 70000 is too large: the last port is 65535");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The bytes of the text that are wrong.
    pub span: Range<usize>,
    /// What is wrong, and the fix: one sentence without a full stop.
    pub sentence: String,
}

impl Mistake {
    /// A mistake in these bytes.
    pub fn new(span: Range<usize>, sentence: impl Into<String>) -> Self {
        Self {
            span,
            sentence: sentence.into(),
        }
    }

    /// The same, in a text in which this one begins at `offset`.
    #[must_use]
    pub fn at(self, offset: usize) -> Self {
        Self {
            span: self.span.start + offset..self.span.end + offset,
            ..self
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for Mistake {}

/// Ports from the first to the last.
///
/// ```
/// use portlock::Ports;
///
/// let ports = Ports { first: 8000, last: 8100 };
/// assert!(ports.has(8080) && !ports.has(80));
/// assert_eq!((ports.to_string(), Ports::ALL.to_string()), ("8000-8100".into(), "*".into()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ports {
    /// The first one.
    pub first: u16,
    /// The last one, not less than the first.
    pub last: u16,
}

impl Ports {
    /// Every port, 0 too.
    pub const ALL: Self = Self {
        first: 0,
        last: u16::MAX,
    };

    /// One port.
    pub const fn one(port: u16) -> Self {
        Self {
            first: port,
            last: port,
        }
    }

    /// Whether the port is one of them.
    pub const fn has(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            (0, u16::MAX) => f.write_str("*"),
            (first, last) if first == last => write!(f, "{first}"),
            (first, last) => write!(f, "{first}-{last}"),
        }
    }
}

/// A set of addresses that has a name.
///
/// ```
/// use portlock::{Named, Place};
///
/// assert_eq!(Named::Localhost.texts(), ["127.0.0.0/8", "::1/128"]);
/// let place: Place = "tcp:internet:443".parse()?;
/// assert!(!place.set().has("169.254.169.254".parse().unwrap()));
/// # Ok::<(), portlock::Mistake>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Named {
    /// This machine.
    Localhost,
    /// Networks that are not routed on the Internet.
    Private,
    /// Hosts on the same link.
    LinkLocal,
    /// Where clouds tell a machine its secrets.
    Metadata,
    /// Groups of hosts.
    Multicast,
    /// Hosts that have an address for all the world: none of the sets above, and none that a registry of
    /// special addresses keeps for something else.
    Internet,
}

impl Named {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Localhost,
        Self::Private,
        Self::LinkLocal,
        Self::Metadata,
        Self::Multicast,
        Self::Internet,
    ];

    /// How it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Localhost => "localhost",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::Metadata => "metadata",
            Self::Multicast => "multicast",
            Self::Internet => "internet",
        }
    }

    /// The prefixes that it is made of. [`Named::Internet`] is made of what these leave: they are the special
    /// addresses that IANA's registries do not call globally reachable.
    pub const fn texts(self) -> &'static [&'static str] {
        match self {
            Self::Localhost => &["127.0.0.0/8", "::1/128"],
            // RFC 1918, RFC 6598 (shared by a provider's customers, and VPNs), RFC 4193.
            Self::Private => &[
                "10.0.0.0/8",
                "172.16.0.0/12",
                "192.168.0.0/16",
                "100.64.0.0/10",
                "fc00::/7",
            ],
            Self::LinkLocal => &["169.254.0.0/16", "fe80::/10"],
            Self::Metadata => &[
                // Most clouds, and inside of GKE.
                "169.254.169.254/32",
                "169.254.169.252/32",
                // Amazon: tasks of ECS, pods of EKS, machines.
                "169.254.170.2/32",
                "169.254.170.23/32",
                "fd00:ec2::23/128",
                "fd00:ec2::254/128",
                // Google.
                "fd20:ce::254/128",
                // Azure.
                "168.63.129.16/32",
                // Alibaba.
                "100.100.100.200/32",
                "fd00:100::100:200/128",
                // Oracle.
                "192.0.0.192/32",
                "fd00:c1::a9fe:a9fe/128",
                // Tencent.
                "169.254.0.23/32",
                // Scaleway.
                "169.254.42.42/32",
                "fd00:42::42/128",
                // Akamai.
                "fd00:a9fe:a9fe::1/128",
                // OpenStack, and Akamai.
                "fe80::a9fe:a9fe/128",
            ],
            Self::Multicast => &["224.0.0.0/4", "ff00::/8"],
            Self::Internet => &[
                // "This network".
                "0.0.0.0/8",
                // Assignments of protocols.
                "192.0.0.0/24",
                // Documentation.
                "192.0.2.0/24",
                "198.51.100.0/24",
                "203.0.113.0/24",
                // Relays of 6to4.
                "192.88.99.0/24",
                // Benchmarks.
                "198.18.0.0/15",
                // Reserved, and the broadcast address.
                "240.0.0.0/4",
                // Assignments of protocols: Teredo, benchmarks, ORCHID.
                "2001::/23",
                // Documentation.
                "2001:db8::/32",
                "3fff::/20",
                // 6to4.
                "2002::/16",
            ],
        }
    }

    /// The prefixes of the texts.
    fn nets(self) -> Vec<IpNet> {
        parsed(self.texts())
    }

    fn set(self) -> AddressSet {
        if self != Self::Internet {
            return AddressSet::of(&self.nets());
        }

        // Hosts of IPv6 get their addresses from 2000::/3. NAT64 leads to those of IPv4.
        let every = ["0.0.0.0/0", "2000::/3", "64:ff9b::/96"];
        let mut set = AddressSet::of(&parsed(&every));

        for net in Self::ALL.into_iter().flat_map(Self::nets) {
            remove(&mut set, net);
        }
        set
    }
}

fn parsed(texts: &[&str]) -> Vec<IpNet> {
    (texts.iter())
        .filter_map(|text| text.parse().ok())
        .collect()
}

/// Takes a prefix away, and with one of IPv4 the addresses of IPv6 that reach its hosts.
fn remove(set: &mut AddressSet, net: IpNet) {
    set.remove(net);
    if let IpNet::V4(net) = net {
        set.subtract(&around(net));
    }
}

/// The addresses of IPv6 that reach hosts of `net`: those of NAT64 (RFC 6052, and all of RFC 8215's, whose form is a
/// network's own), of 6to4, and of automatic tunnels (RFC 4291, 2.5.5.1), in whose prefix :: and ::1 are not meant.
fn around(net: Ipv4Net) -> AddressSet {
    let bits = u128::from(u32::from(net.network()));
    let nat64 = 0x0064_ff9b_u128 << 96;
    let made = [
        (bits, 96 + net.prefix_len()),
        (nat64 | bits, 96 + net.prefix_len()),
        (nat64 | 1 << 80, 48),
        (0x2002_u128 << 112 | bits << 80, 16 + net.prefix_len()),
    ];
    let nets: Vec<IpNet> = (made.into_iter())
        .filter_map(|(at, len)| Ipv6Net::new(Ipv6Addr::from(at), len).ok())
        .map(IpNet::from)
        .collect();
    let mut set = AddressSet::of(&nets);

    set.subtract(&AddressSet::of(&parsed(&["::/127"])));
    set
}

/// A part of a list of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Item {
    /// Any address.
    Any,
    /// A set that has a name.
    Named(Named),
    /// A prefix, or one address.
    Net(IpNet),
}

/// A part of a list of addresses, or an exception from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term {
    /// Whether it is taken away.
    pub is_exception: bool,
    /// What is meant.
    pub item: Item,
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_exception {
            f.write_str("!")?;
        }
        match self.item {
            Item::Any => f.write_str("any"),
            Item::Named(named) => f.write_str(named.name()),
            Item::Net(net) => {
                match net.addr() {
                    IpAddr::V4(address) => write!(f, "{address}")?,
                    IpAddr::V6(address) => write!(f, "[{address}]")?,
                }
                if net.prefix_len() < net.max_prefix_len() {
                    write!(f, "/{}", net.prefix_len())?;
                }
                Ok(())
            }
        }
    }
}

/// The addresses that a rule is about.
///
/// ```
/// use portlock::{Nets, Place};
///
/// let nets = "tcp:localhost:80".parse::<Place>()?.nets();
/// assert!(nets.is_local() && nets.has("127.0.0.1".parse().ok()));
/// // Without an address, only rules for any address match.
/// assert!(!nets.has(None) && Nets::Any.has(None));
/// # Ok::<(), portlock::Mistake>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Nets {
    /// Every address, known or not.
    Any,
    /// The hosts that have an address in one of these prefixes.
    Of(Vec<IpNet>),
}

impl Nets {
    /// Whether the address is one of them. Without one, whether it does not matter.
    pub fn has(&self, address: Option<IpAddr>) -> bool {
        match (self, address) {
            (Self::Any, _) => true,
            (Self::Of(nets), Some(address)) => nets.iter().any(|net| net.contains(&address)),
            (Self::Of(_), None) => false,
        }
    }

    /// Whether they come to a rule about addresses.
    pub(crate) fn is_rule(&self) -> bool {
        matches!(self, Self::Of(nets) if !nets.is_empty())
    }

    /// Whether all of them are this machine's own.
    pub fn is_local(&self) -> bool {
        let local = Named::Localhost.nets();

        match self {
            Self::Any => false,
            Self::Of(nets) => nets
                .iter()
                .all(|net| local.iter().any(|all| all.contains(net))),
        }
    }
}

impl fmt::Display for Nets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Of(nets) if nets.len() > 8 => write!(f, "({} prefixes)", nets.len()),
            Self::Of(nets) => {
                for (at, net) in nets.iter().enumerate() {
                    let term = Term {
                        is_exception: false,
                        item: Item::Net(*net),
                    };

                    write!(f, "{}{term}", if at == 0 { "" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}

/// A protocol, addresses and ports.
///
/// ```
/// use portlock::Place;
///
/// let place: Place = "tcp:any,!private:443".parse()?;
/// assert_eq!(place.to_string(), "tcp:any,!private:443");
///
/// let mistake = "tcp:example.org:443".parse::<Place>().unwrap_err();
/// assert_eq!(mistake.span, 4..15);
/// # Ok::<(), portlock::Mistake>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The protocol.
    pub protocol: Protocol,
    /// The addresses. None is any.
    pub terms: Vec<Term>,
    /// The ports, at least one range.
    pub ports: Vec<Ports>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, parts: &mut dyn Iterator<Item = String>| {
            for (at, part) in parts.enumerate() {
                write!(f, "{}{part}", if at == 0 { "" } else { "," })?;
            }
            Ok(())
        };

        write!(f, "{}:", self.protocol)?;
        if !self.terms.is_empty() {
            list(f, &mut self.terms.iter().map(Term::to_string))?;
            f.write_str(":")?;
        }
        list(f, &mut self.ports.iter().map(Ports::to_string))
    }
}

/// The prefixes of a set that the kernel takes. It has no rule inside of the prefix of IPv4-mapped addresses, and none
/// is needed: they are addresses of IPv4.
fn rules_of(set: &AddressSet) -> Vec<IpNet> {
    let mapped = IpNet::from(Ipv6Net::new_assert(
        Ipv4Addr::UNSPECIFIED.to_ipv6_mapped(),
        96,
    ));
    let mut nets = set.prefixes();

    nets.retain(|net| !mapped.contains(net));
    nets
}

impl Place {
    /// The addresses as the kernel takes them. Exceptions become what is left.
    pub fn nets(&self) -> Nets {
        let is_any = |term: &Term| term.item == Item::Any;
        let has_exceptions = self.terms.iter().any(|term| term.is_exception);

        if !has_exceptions && (self.terms.is_empty() || self.terms.iter().any(is_any)) {
            return Nets::Any;
        }

        Nets::Of(rules_of(&self.set()))
    }

    /// The same, as addresses of this machine to bind. Who binds a wildcard is reached at every address: exceptions
    /// take it away, unless it is named.
    pub(crate) fn own_nets(&self) -> Nets {
        let Nets::Of(nets) = self.nets() else {
            return Nets::Any;
        };

        if !self.terms.iter().any(|term| term.is_exception) {
            return Nets::Of(nets);
        }

        let mut set = self.set();

        for wildcard in [
            IpAddr::from(Ipv4Addr::UNSPECIFIED),
            Ipv6Addr::UNSPECIFIED.into(),
        ] {
            let net = IpNet::from(wildcard);
            let is_named = |term: &Term| !term.is_exception && term.item == Item::Net(net);

            if !self.terms.iter().any(is_named) {
                set.remove(net);
            }
        }
        Nets::Of(rules_of(&set))
    }

    /// The addresses that the terms name, all of them if there is no term.
    pub fn set(&self) -> AddressSet {
        let (taken, kept): (Vec<&Term>, Vec<&Term>) =
            self.terms.iter().partition(|term| term.is_exception);
        let mut set = AddressSet::default();

        for term in &kept {
            match term.item {
                Item::Any => set = AddressSet::all(),
                Item::Named(named) => {
                    for net in named.set().prefixes() {
                        set.insert(net);
                    }
                }
                Item::Net(net) => set.insert(net),
            }
        }
        if kept.is_empty() {
            set = AddressSet::all();
        }
        for term in taken {
            match term.item {
                Item::Any => set = AddressSet::default(),
                Item::Named(named) => {
                    for net in named.set().prefixes() {
                        remove(&mut set, net);
                    }
                }
                Item::Net(net) => remove(&mut set, net),
            }
        }
        set
    }
}

/// The sentence about a list of addresses that is empty.
pub(crate) const NO_ADDRESS: &str = "the exceptions leave no address: take some of them away";

impl std::str::FromStr for Place {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        let whole = 0..text.len();

        if text.is_empty() {
            return Err(Mistake::new(
                whole,
                "a place is missing here: write one such as tcp:443",
            ));
        }

        let Some((protocol, rest)) = text.split_once(':') else {
            let fix = match text {
                "tcp" | "udp" => format!("ports are missing after {text:?}: write {text}:443 or {text}:*"),
                _ if text.parse::<u16>().is_ok() => {
                    format!("the protocol is missing before {text:?}: write tcp:{text} or udp:{text}")
                }
                _ => format!(
                    "{text:?} is no place: write the protocol, addresses and ports, such as tcp:443 or \
                     tcp:10.0.0.0/8:443"
                ),
            };

            return Err(Mistake::new(whole, fix));
        };
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            other => {
                let span = 0..other.len();
                let lower = other.to_ascii_lowercase();
                let sentence = if ["tcp", "udp"].contains(&&*lower) {
                    format!("protocols are written in small letters: write {lower}:{rest}")
                } else if ["http", "https", "ws", "wss"].contains(&&*lower) {
                    "this is an address of the Web, and rules are about protocols, addresses and ports: write \
                     tcp:443 or tcp:80"
                        .to_owned()
                } else if other.contains('[') || parse_terms(other).is_ok() {
                    format!("the protocol is missing: write tcp:{text} or udp:{text}")
                } else if other.contains('.') {
                    not_an_address(other)
                } else {
                    format!(
                        "{other:?} is no protocol that has ports here: write tcp or udp (other kinds of sockets are \
                         allowed by --create)"
                    )
                };

                return Err(Mistake::new(span, sentence));
            }
        };
        let start = text.len() - rest.len();
        let (addresses, ports) =
            split_ports(protocol, rest).map_err(|mistake| mistake.at(start))?;
        let ports_at = text.len() - ports.len();
        let ports = parse_ports(ports).map_err(|mistake| mistake.at(ports_at))?;
        let mut terms = match addresses {
            None => Vec::new(),
            Some(list) => parse_terms(list).map_err(|mistake| mistake.at(start))?,
        };

        // This says nothing more than no addresses at all.
        if terms
            == [Term {
                is_exception: false,
                item: Item::Any,
            }]
        {
            terms.clear();
        }

        let place = Self {
            protocol,
            terms,
            ports,
        };

        if place.nets() == Nets::Of(Vec::new()) {
            return Err(Mistake::new(start..ports_at - 1, NO_ADDRESS));
        }
        Ok(place)
    }
}

/// Splits off the ports, which follow the last colon outside of brackets.
fn split_ports(protocol: Protocol, text: &str) -> Result<(Option<&str>, &str), Mistake> {
    if let Some(open) = text.rfind('[') {
        if !text[open..].contains(']') {
            return Err(Mistake::new(
                open..text.len(),
                "the bracket is not closed: write ] after the address",
            ));
        }
    }

    let after = text.rfind(']').map_or(0, |at| at + 1);
    let Some(colon) = text[after..].rfind(':').map(|at| at + after) else {
        let is_port = |c: char| c.is_ascii_digit() || "*-,".contains(c);

        if after == 0 && (text.is_empty() || text.chars().all(is_port)) {
            return Ok((None, text));
        }

        // A word such as "https" may be meant as a port.
        if after == 0 && service(text).is_some() {
            return Ok((None, text));
        }

        let whole = 0..text.len();

        return Err(Mistake::new(
            whole,
            format!(
                "the port is missing after {text:?}: write {protocol}:{text}:443, or {protocol}:{text}:* for every port"
            ),
        ));
    };

    if after == 0 && text.matches(':').count() > 1 {
        let (address, port) = text.split_at(colon);
        let sentence = if address.parse::<Ipv6Addr>().is_ok() {
            format!("addresses of IPv6 are written in brackets: write {protocol}:[{address}]{port}")
        } else {
            format!("{text:?} has too many colons: addresses of IPv6 are written in brackets, such as {protocol}:[2001:db8::1]:443")
        };

        return Err(Mistake::new(0..text.len(), sentence));
    }
    Ok((Some(&text[..colon]), &text[colon + 1..]))
}

fn service(name: &str) -> Option<u16> {
    const KNOWN: [(&str, u16); 12] = [
        ("http", 80),
        ("https", 443),
        ("ssh", 22),
        ("dns", 53),
        ("domain", 53),
        ("ntp", 123),
        ("smtp", 25),
        ("imap", 143),
        ("imaps", 993),
        ("postgres", 5432),
        ("mysql", 3306),
        ("redis", 6379),
    ];

    (KNOWN.iter())
        .find(|(known, _)| *known == name)
        .map(|(_, port)| *port)
}

/// The parts of a list, each with where it begins.
fn parts(list: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;

    list.split(',').map(move |part| {
        let start = at;

        at += part.len() + 1;
        (start, part)
    })
}

fn parse_ports(list: &str) -> Result<Vec<Ports>, Mistake> {
    let mut all = Vec::new();

    for (at, part) in parts(list) {
        all.push(
            parse_range(part).map_err(|sentence| Mistake::new(at..at + part.len(), sentence))?,
        );
    }
    Ok(all)
}

fn parse_range(text: &str) -> Result<Ports, String> {
    if text == "*" || text == "any" {
        return Ok(Ports::ALL);
    }

    let Some((first, last)) = text.split_once('-') else {
        return parse_port(text).map(Ports::one);
    };
    let (first, last) = (parse_port(first)?, parse_port(last)?);

    if first > last {
        return Err(format!(
            "this range of ports is empty: write {last}-{first}"
        ));
    }
    Ok(Ports { first, last })
}

fn parse_port(text: &str) -> Result<u16, String> {
    if text.is_empty() {
        return Err("a port is missing here: write a number, a range such as 8000-8100, or * for every port".into());
    }
    if let Some(port) = service(text) {
        return Err(format!("ports are numbers: write {port} for {text}"));
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!(
            "{text:?} is no port: write a number, a range such as 8000-8100, or * for every port"
        ));
    }
    text.parse()
        .map_err(|_| format!("port {text} is too large: the last port is 65535"))
}

fn parse_terms(list: &str) -> Result<Vec<Term>, Mistake> {
    let mut terms = Vec::new();

    for (at, part) in parts(list) {
        let term =
            parse_term(part).map_err(|sentence| Mistake::new(at..at + part.len(), sentence))?;

        terms.push(term);
    }
    if terms.iter().all(|term: &Term| term.is_exception) {
        return Err(Mistake::new(
            0..list.len(),
            format!("an exception needs something to be taken from: write any,{list}"),
        ));
    }
    Ok(terms)
}

fn parse_term(text: &str) -> Result<Term, String> {
    let (is_exception, text) = match text.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, text),
    };

    if text.is_empty() {
        return Err(
            "an address is missing here: write one, a prefix such as 10.0.0.0/8, or any".into(),
        );
    }
    if text == "any" || text == "*" {
        if is_exception {
            return Err("!any would leave nothing: leave this word out".into());
        }
        return Ok(Term {
            is_exception,
            item: Item::Any,
        });
    }

    let named = Named::ALL.into_iter().find(|named| named.name() == text);
    let item = match named {
        Some(named) => Item::Named(named),
        None => Item::Net(parse_net(text)?),
    };

    Ok(Term { is_exception, item })
}

fn parse_net(text: &str) -> Result<IpNet, String> {
    let (host, len) = match text.split_once('/') {
        Some((host, len)) => (host, Some(len)),
        None => (text, None),
    };
    let bracketed = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));

    if host.starts_with('[') && bracketed.is_none() {
        return Err(format!(
            "the bracket is in the wrong place in {text:?}: write [2001:db8::]/32"
        ));
    }

    let address = match bracketed {
        Some(inner) => {
            if let Some((_, scope)) = inner.split_once('%') {
                return Err(format!(
                    "a rule cannot name the device {scope:?}: leave %{scope} out, and the address is meant on every link"
                ));
            }
            if let Some((address, len)) = inner.split_once('/') {
                return Err(format!(
                    "the length goes after the bracket: write [{address}]/{len}"
                ));
            }
            if inner.parse::<Ipv4Addr>().is_ok() {
                return Err(format!(
                    "only addresses of IPv6 have brackets: write {inner}"
                ));
            }

            let address: Ipv6Addr = (inner.parse()).map_err(|_| {
                format!("{inner:?} is no address of IPv6: write one such as [2001:db8::1]")
            })?;

            if let Some(v4) = address.to_ipv4_mapped() {
                return Err(format!("this is the address of IPv4 {v4}: write {v4}"));
            }
            IpAddr::V6(address)
        }
        None => match host.parse::<Ipv4Addr>() {
            Ok(address) => IpAddr::V4(address),
            Err(_) => return Err(not_an_address(host)),
        },
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    let len = match len {
        None => most,
        Some(len) => (len.parse::<u8>().ok())
            .filter(|number| *number <= most && len.bytes().all(|byte| byte.is_ascii_digit()))
            .ok_or_else(|| {
                format!("/{len} is no length of a prefix: write a number from 0 to {most}")
            })?,
    };
    let net = IpNet::new(address, len).map_err(|error| error.to_string())?;

    if net.network() != address {
        let shown = |net| Term {
            is_exception: false,
            item: Item::Net(net),
        };

        return Err(format!(
            "{text} has bits after its first {len}: write {} for the network, or {} for the host",
            shown(net.trunc()),
            shown(IpNet::from(address))
        ));
    }
    Ok(net)
}

fn not_an_address(host: &str) -> String {
    let closest = (Named::ALL.into_iter().map(Named::name).chain(["any"]))
        .find(|name| crate::suggest::is_close(host, name));

    if let Some(name) = closest {
        return format!("{host:?} is no address and no named set: write {name}");
    }
    if host.parse::<Ipv6Addr>().is_ok() {
        return format!("addresses of IPv6 are written in brackets: write [{host}]");
    }
    if host
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return format!(
            "{host:?} is no address of IPv4: write four numbers from 0 to 255, such as 192.0.2.1"
        );
    }
    if host.contains('*') {
        return format!("{host:?} is no address: write a prefix such as 10.0.0.0/8, or any");
    }
    format!(
        "{host:?} is a name, and rules are about addresses, since a name may get another address at any time: allow a \
         proxy on localhost, or paste what `portlock resolve {host}` prints"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Place {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_written_is_printed() {
        for text in [
            "tcp:443",
            "udp:53",
            "tcp:*",
            "tcp:10.0.0.0/8:443",
            "tcp:[2001:db8::]/32:8000-8100",
            "tcp:localhost:*",
            "tcp:any,!private:443",
            "tcp:192.0.2.1,[2001:db8::1]:80,443,8000-8100",
            "udp:0.0.0.0/0:0",
        ] {
            assert_eq!(place(text).to_string(), text);
        }
    }

    #[test]
    fn no_exception_is_forgotten() {
        let set = place("tcp:any,!private,!metadata:443").set();

        for inside in [
            "8.8.8.8",
            "2606:4700::1111",
            "127.0.0.1",
            "169.254.1.1",
            "::1",
            "::808:808",
        ] {
            assert!(set.has(inside.parse().unwrap()), "{inside}");
        }
        for outside in [
            "10.1.2.3",
            "100.64.0.1",
            "169.254.169.254",
            "fd00::1",
            // NAT64 and 6to4 reach 10.1.2.3.
            "64:ff9b::a01:203",
            "64:ff9b:1::a01:203",
            "2002:a01:203::1",
            // So does an automatic tunnel.
            "::a01:203",
        ] {
            assert!(!set.has(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn the_internet_has_no_local_address() {
        let set = place("tcp:internet:443").set();

        assert!(set.has("8.8.8.8".parse().unwrap()) && set.has("2606:4700::1111".parse().unwrap()));
        assert!(set.has("64:ff9b::808:808".parse().unwrap()));
        for outside in [
            "127.0.0.1",
            "10.0.0.1",
            "169.254.1.1",
            "224.0.0.1",
            "255.255.255.255",
            "0.0.0.0",
            "192.0.0.9",
            "192.0.2.1",
            "192.88.99.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "::",
            "::1",
            "::a00:1",
            "::808:808",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:db8::1",
            "2002:808:808::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::808:808",
            "168.63.129.16",
        ] {
            assert!(!set.has(outside.parse().unwrap()), "{outside}");
        }
    }

    // Each is named by the documents of the cloud, or by cloud-init.
    #[test]
    fn metadata_are_what_clouds_name() {
        let (set, rest) = (
            place("tcp:metadata:80").set(),
            place("tcp:any,!metadata:80").set(),
        );

        for address in [
            "169.254.169.254",
            "169.254.169.252",
            "169.254.170.2",
            "169.254.170.23",
            "169.254.0.23",
            "169.254.42.42",
            "168.63.129.16",
            "100.100.100.200",
            "192.0.0.192",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "fd00:100::100:200",
            "fd00:42::42",
            "fd00:a9fe:a9fe::1",
            "fe80::a9fe:a9fe",
        ] {
            let address = address.parse().unwrap();

            assert!(set.has(address) && !rest.has(address), "{address}");
        }
        assert!(!set.has("169.254.1.1".parse().unwrap()));
    }

    #[test]
    fn any_is_no_rule_about_addresses_and_all_prefixes_are() {
        assert_eq!(place("tcp:any:1").nets(), Nets::Any);
        assert_eq!(place("tcp:any:1"), place("tcp:1"));
        assert!(
            matches!(place("tcp:0.0.0.0/0,[::]/0:1").nets(), Nets::Of(nets) if nets.len() == 2)
        );
    }
}
