// SPDX-License-Identifier: GPL-2.0

//! The network rights that a policy is about, as the kernel numbers them.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// TCP (with MPTCP) or UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP and MPTCP.
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// One right of `handled_access_net`. The value is the number of its bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
#[non_exhaustive]
pub enum Right {
    BindTcp = 0,
    ConnectTcp = 1,
    BindUdp = 2,
    ConnectSendUdp = 3,
    ListenTcp = 32,
    AcceptTcp = 33,
    SendTcp = 34,
    ReceiveTcp = 35,
    ShutdownTcp = 36,
    GetsockoptTcp = 37,
    SetsockoptTcp = 38,
    ReceiveUdp = 39,
    ShutdownUdp = 40,
    GetsockoptUdp = 41,
    SetsockoptUdp = 42,
}

impl Right {
    /// All rights, in the order in which they are shown.
    pub const ALL: [Self; 15] = [
        Self::ConnectTcp,
        Self::BindTcp,
        Self::ListenTcp,
        Self::AcceptTcp,
        Self::SendTcp,
        Self::ReceiveTcp,
        Self::ShutdownTcp,
        Self::GetsockoptTcp,
        Self::SetsockoptTcp,
        Self::ConnectSendUdp,
        Self::BindUdp,
        Self::ReceiveUdp,
        Self::ShutdownUdp,
        Self::GetsockoptUdp,
        Self::SetsockoptUdp,
    ];

    /// The protocol that it is about.
    pub const fn protocol(self) -> Protocol {
        match self {
            Self::BindUdp
            | Self::ConnectSendUdp
            | Self::ReceiveUdp
            | Self::ShutdownUdp
            | Self::GetsockoptUdp
            | Self::SetsockoptUdp => Protocol::Udp,
            _ => Protocol::Tcp,
        }
    }

    /// What is done, without the protocol.
    pub const fn verb(self) -> &'static str {
        match self {
            Self::ConnectTcp => "connect",
            Self::BindTcp | Self::BindUdp => "bind",
            Self::ListenTcp => "listen",
            Self::AcceptTcp => "accept",
            Self::SendTcp | Self::ConnectSendUdp => "send",
            Self::ReceiveTcp | Self::ReceiveUdp => "receive",
            Self::ShutdownTcp | Self::ShutdownUdp => "shutdown",
            Self::GetsockoptTcp | Self::GetsockoptUdp => "getsockopt",
            Self::SetsockoptTcp | Self::SetsockoptUdp => "setsockopt",
        }
    }

    /// The right with this bit.
    pub fn from_bit(bit: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|right| right.bit() == bit)
    }

    /// The bit in `handled_access_net` and `allowed_access`.
    pub const fn bit(self) -> u64 {
        1 << self as u8
    }

    /// Whether Landlock has it too, for one port and any address.
    pub const fn is_landlocks(self) -> bool {
        (self as u8) < 32
    }

    /// Whether the address that is compared is the socket's own.
    pub const fn is_local(self) -> bool {
        matches!(self, Self::BindTcp | Self::BindUdp | Self::ListenTcp)
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.verb(), self.protocol())
    }
}

/// A set of rights.
///
/// ```
/// use portlock::{Right, Rights};
///
/// let rights = Rights::from(Right::BindTcp) | Right::ListenTcp.into();
/// assert!(rights.has(Right::BindTcp) && !rights.has(Right::AcceptTcp));
/// assert_eq!(rights.to_string(), "bind-tcp, listen-tcp");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rights(u64);

impl Rights {
    /// No right.
    pub const NONE: Self = Self(0);
    /// Every right.
    pub const ALL: Self = {
        let mut bits = 0;
        let mut at = 0;
        while at < Right::ALL.len() {
            bits |= Right::ALL[at].bit();
            at += 1;
        }
        Self(bits)
    };

    /// The rights with these bits. Unknown ones are left out.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// As the kernel takes them.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether the right is in the set.
    pub const fn has(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is only in this set.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The rights, in the order of [`Right::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL.into_iter().filter(move |right| self.has(*right))
    }

    /// The rights of a protocol.
    pub fn of(protocol: Protocol) -> Self {
        (Self::ALL.iter())
            .filter(|right| right.protocol() == protocol)
            .collect()
    }
}

impl From<Right> for Rights {
    fn from(right: Right) -> Self {
        Self(right.bit())
    }
}

impl BitOr for Rights {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Rights {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<T: IntoIterator<Item = Right>>(rights: T) -> Self {
        (rights.into_iter()).fold(Self::NONE, |all, right| all | right.into())
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, right) in self.iter().enumerate() {
            write!(f, "{}{right}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
