// SPDX-License-Identifier: GPL-2.0

//! Kinds of sockets: what a program passes to socket(2).

use crate::place::Mistake;
use crate::suggest;
use rustix::io::Errno;
use rustix::net::sockopt;
use std::fmt;
use std::fs::File;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileTypeExt;

/// A family, a type and a protocol. `None` is any.
///
/// ```
/// use portlock::Kind;
///
/// let kind: Kind = "netlink:raw:audit".parse()?;
/// assert_eq!((kind.family, kind.kind, kind.protocol), (16, Some(3), Some(9)));
/// assert_eq!(kind.to_string(), "netlink:raw:audit");
/// # Ok::<(), portlock::Mistake>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind {
    /// The address family, at most 254.
    pub family: u8,
    /// The type, at most 254.
    pub kind: Option<u8>,
    /// The protocol, at most 65534.
    pub protocol: Option<u16>,
}

pub(crate) const UNIX: u8 = 1;
pub(crate) const INET: u8 = 2;
pub(crate) const INET6: u8 = 10;
pub(crate) const NETLINK: u8 = 16;
pub(crate) const SMC: u8 = 43;
pub(crate) const STREAM: u8 = 1;
pub(crate) const DGRAM: u8 = 2;
pub(crate) const RAW: u8 = 3;
pub(crate) const SEQPACKET: u8 = 5;
pub(crate) const TCP: u16 = 6;
pub(crate) const UDP: u16 = 17;
pub(crate) const MPTCP: u16 = 262;

const FAMILIES: [(&str, u8); 18] = [
    ("unix", UNIX),
    ("inet", INET),
    ("inet6", INET6),
    ("netlink", NETLINK),
    ("packet", 17),
    ("ax25", 3),
    ("x25", 9),
    ("key", 15),
    ("rds", 21),
    ("can", 29),
    ("tipc", 30),
    ("bluetooth", 31),
    ("rxrpc", 33),
    ("alg", 38),
    ("vsock", 40),
    ("kcm", 41),
    ("smc", SMC),
    ("xdp", 44),
];
const TYPES: [(&str, u8); 4] = [
    ("stream", STREAM),
    ("dgram", DGRAM),
    ("raw", RAW),
    ("seqpacket", SEQPACKET),
];
const IP_PROTOCOLS: [(&str, u16); 6] = [
    ("icmp", 1),
    ("tcp", TCP),
    ("udp", UDP),
    ("icmpv6", 58),
    ("sctp", 132),
    ("mptcp", MPTCP),
];
const NETLINK_PROTOCOLS: [(&str, u16); 5] = [
    ("route", 0),
    ("sock-diag", 4),
    ("audit", 9),
    ("kobject-uevent", 15),
    ("generic", 16),
];

fn protocols(family: u8) -> &'static [(&'static str, u16)] {
    match family {
        INET | INET6 => &IP_PROTOCOLS,
        NETLINK => &NETLINK_PROTOCOLS,
        _ => &[],
    }
}

impl Kind {
    /// Exact numbers.
    pub const fn new(family: u8, kind: u8, protocol: u16) -> Self {
        Self {
            family,
            kind: Some(kind),
            protocol: Some(protocol),
        }
    }

    /// The kind of a socket. `None` if it is no socket.
    ///
    /// The error is that of a socket of which the kernel does not tell: a sandbox around this process may refuse
    /// getsockopt(2).
    pub(crate) fn of(socket: BorrowedFd<'_>) -> rustix::io::Result<Option<Self>> {
        let family = match sockopt::socket_domain(socket) {
            // The second one is that of a file that was opened with O_PATH, with which nothing can be done.
            Err(Errno::NOTSOCK | Errno::BADF) => return Ok(None),
            // A filter of system calls refuses without a look at the file.
            Err(_) if !may_be_socket(socket) => return Ok(None),
            other => other?.as_raw(),
        };
        let kind = sockopt::socket_type(socket)?.as_raw();
        let protocol = sockopt::socket_protocol(socket)?;
        let protocol = protocol.map_or(0, |protocol| protocol.as_raw().get());

        Ok(Some(Self::new(
            family.try_into().map_err(|_| Errno::RANGE)?,
            kind.try_into().map_err(|_| Errno::RANGE)?,
            protocol.try_into().map_err(|_| Errno::RANGE)?,
        )))
    }

    /// Whether a rule with this kind allows the other one, in which `None` stands for all.
    pub fn covers(self, other: Self) -> bool {
        self.family == other.family
            && (self.kind.is_none() || self.kind == other.kind)
            && (self.protocol.is_none() || self.protocol == other.protocol)
    }
}

fn may_be_socket(file: BorrowedFd<'_>) -> bool {
    let metadata = (file.try_clone_to_owned()).and_then(|file| File::from(file).metadata());

    metadata.map_or(true, |metadata| metadata.file_type().is_socket())
}

fn name<T: Copy + PartialEq + fmt::Display>(known: &[(&str, T)], value: Option<T>) -> String {
    match value {
        None => "any".to_owned(),
        Some(value) => (known.iter())
            .find(|(_, number)| *number == value)
            .map_or_else(|| value.to_string(), |(name, _)| (*name).to_owned()),
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}",
            name(&FAMILIES, Some(self.family)),
            name(&TYPES, self.kind),
            name(protocols(self.family), self.protocol)
        )
    }
}

/// The number of a name. `most` is the highest number.
fn number<T>(
    known: &[(&str, T)],
    text: &str,
    what: &str,
    most: u16,
    can_be_any: bool,
) -> Result<Option<T>, String>
where
    T: Copy + TryFrom<u16>,
{
    if text == "any" && can_be_any {
        return Ok(None);
    }
    if let Some((_, value)) = known.iter().find(|(name, _)| *name == text) {
        return Ok(Some(*value));
    }

    let value = (text.parse().ok())
        .filter(|value| *value <= most && text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|value| T::try_from(value).ok());

    match value {
        Some(value) => Ok(Some(value)),
        None => {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            let hint = match suggest::closest(text, names.iter().copied()) {
                Some(name) => format!("write {name}"),
                None if names.is_empty() => format!("write a number up to {most}"),
                None => format!(
                    "write one of {}, or a number up to {most}",
                    names.join(", ")
                ),
            };

            Err(format!("{text:?} is no {what} of sockets: {hint}"))
        }
    }
}

impl std::str::FromStr for Kind {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        let parts: Vec<&str> = text.split(':').collect();
        let [family, kind, protocol] = parts[..] else {
            return Err(Mistake::new(
                0..text.len(),
                format!(
                    "{text:?} is no kind of sockets: write a family, a type and a protocol, such as netlink:raw:route or \
                     inet:dgram:icmp"
                ),
            ));
        };
        let at = [0, family.len() + 1, family.len() + kind.len() + 2];
        let wrong = |part: usize| {
            move |sentence: String| {
                Mistake::new(at[part]..at[part] + parts_len(text, part), sentence)
            }
        };
        let family: u8 = match number(&FAMILIES, family, "family", 254, false).map_err(wrong(0))? {
            Some(family) => family,
            None => {
                return Err(Mistake::new(
                    0..text.len(),
                    "a family has to be named: write one such as inet",
                ))
            }
        };

        Ok(Self {
            family,
            kind: number(&TYPES, kind, "type", 254, true).map_err(wrong(1))?,
            protocol: number(protocols(family), protocol, "protocol", 65534, true)
                .map_err(wrong(2))?,
        })
    }
}

fn parts_len(text: &str, part: usize) -> usize {
    text.split(':').nth(part).map_or(0, str::len)
}
