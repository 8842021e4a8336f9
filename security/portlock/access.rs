// SPDX-License-Identifier: GPL-2.0

//! Rights as types: those of user space, and those that an index of ports holds.

use kernel::{
    bits::bit_u64,
    impl_flags,
    prelude::*, //
};

impl_flags!(
    /// A set of network rights, in the bits of `landlock_ruleset_attr.handled_access_net` and
    /// `portlock_ruleset_attr.handled_access_net`.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
    pub(crate) struct AccessSet(u64);

    /// A network right: `LANDLOCK_ACCESS_NET_*` in the low half, `PORTLOCK_ACCESS_NET_*` in the high
    /// one.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Access {
        /// Bind a TCP socket to a local port.
        BindTcp = bit_u64(0),

        /// Connect a TCP socket to a remote port.
        ConnectTcp = bit_u64(1),

        /// Bind a UDP socket to a local port.
        BindUdp = bit_u64(2),

        /// Connect a UDP socket to a remote port, or send to an explicit one.
        ConnectSendUdp = bit_u64(3),

        /// Listen for TCP connections on a local port.
        ListenTcp = bit_u64(32),

        /// Accept a TCP connection on a local port from a peer.
        AcceptTcp = bit_u64(33),

        /// Send on a TCP connection.
        SendTcp = bit_u64(34),

        /// Receive on a TCP connection.
        ReceiveTcp = bit_u64(35),

        /// Shut a TCP connection down.
        ShutdownTcp = bit_u64(36),

        /// Read an option of a TCP socket.
        GetsockoptTcp = bit_u64(37),

        /// Set an option of a TCP socket.
        SetsockoptTcp = bit_u64(38),

        /// Receive on a local UDP port.
        ReceiveUdp = bit_u64(39),

        /// Shut a UDP socket down.
        ShutdownUdp = bit_u64(40),

        /// Read an option of a UDP socket.
        GetsockoptUdp = bit_u64(41),

        /// Set an option of a UDP socket.
        SetsockoptUdp = bit_u64(42),
    }
);

impl_flags!(
    /// A set of permissions, in the bits of `portlock_ruleset_attr.handled_permissions`.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
    pub(crate) struct PermissionSet(u64);

    /// A permission: `PORTLOCK_PERMISSION_*`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Permission {
        /// Create a socket.
        SocketCreate = bit_u64(32),
    }
);

impl Access {
    /// Whether the right is about the local address of a socket, not the remote one.
    pub(crate) const fn is_about_local(self) -> bool {
        matches!(
            self,
            Self::BindTcp | Self::BindUdp | Self::ListenTcp | Self::ReceiveUdp
        )
    }

    /// The name of the right in the records of Landlock's audit.
    pub(crate) const fn name(self) -> &'static CStr {
        match self {
            Self::BindTcp => c"net.bind_tcp",
            Self::ConnectTcp => c"net.connect_tcp",
            Self::BindUdp => c"net.bind_udp",
            Self::ConnectSendUdp => c"net.connect_send_udp",
            Self::ListenTcp => c"net.listen_tcp",
            Self::AcceptTcp => c"net.accept_tcp",
            Self::SendTcp => c"net.send_tcp",
            Self::ReceiveTcp => c"net.receive_tcp",
            Self::ShutdownTcp => c"net.shutdown_tcp",
            Self::GetsockoptTcp => c"net.getsockopt_tcp",
            Self::SetsockoptTcp => c"net.setsockopt_tcp",
            Self::ReceiveUdp => c"net.receive_udp",
            Self::ShutdownUdp => c"net.shutdown_udp",
            Self::GetsockoptUdp => c"net.getsockopt_udp",
            Self::SetsockoptUdp => c"net.setsockopt_udp",
        }
    }

    /// The rights of the protocol that the right is about.
    #[inline]
    pub(crate) const fn protocol(self) -> AccessSet {
        if self as u64 & AccessSet::UDP.0 == 0 {
            AccessSet::TCP
        } else {
            AccessSet::UDP
        }
    }
}

impl AccessSet {
    /// The rights that C Landlock has too: those of plain rulesets.
    pub(crate) const LANDLOCK: Self = Self(
        Access::BindTcp as u64
            | Access::ConnectTcp as u64
            | Access::BindUdp as u64
            | Access::ConnectSendUdp as u64,
    );

    /// The rights of UDP.
    pub(crate) const UDP: Self = Self(
        Access::BindUdp as u64
            | Access::ConnectSendUdp as u64
            | Access::ReceiveUdp as u64
            | Access::ShutdownUdp as u64
            | Access::GetsockoptUdp as u64
            | Access::SetsockoptUdp as u64,
    );

    /// The rights of TCP: all others.
    pub(crate) const TCP: Self = Self(Self::all_bits() & !Self::UDP.0);

    /// The rights to move data over a TCP connection, which are asked for most often.
    pub(crate) const TRANSFER_TCP: Self = Self(Access::SendTcp as u64 | Access::ReceiveTcp as u64);

    /// What a grant on a listener also grants on what it accepts.
    pub(crate) const ACCEPTED: Self = Self(
        Self::TRANSFER_TCP.0
            | Access::ShutdownTcp as u64
            | Access::GetsockoptTcp as u64
            | Access::SetsockoptTcp as u64,
    );

    /// Takes the bits of user space, or returns `None` if one of them is unknown.
    pub(crate) const fn from_bits(bits: u64) -> Option<Self> {
        if bits & !Self::all_bits() == 0 {
            Some(Self(bits))
        } else {
            None
        }
    }

    /// [`AccessSet::from_bits`], of a plain ruleset: Portlock's own rights are unknown.
    pub(crate) const fn from_landlock_bits(bits: u64) -> Option<Self> {
        if bits & !Self::LANDLOCK.0 == 0 {
            Some(Self(bits))
        } else {
            None
        }
    }

    /// The bits of user space.
    #[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// The rights in the set that C Landlock has too, in the width of its `access_mask_t`.
    pub(crate) const fn landlock_bits(self) -> u32 {
        // CAST: No right of Landlock's has a higher bit, as asserted below.
        (self.0 & Self::LANDLOCK.0) as u32
    }

    /// Whether there is no right in the set.
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl Permission {
    /// The name of the permission in the records of Landlock's audit.
    pub(crate) const fn name(self) -> &'static CStr {
        match self {
            Self::SocketCreate => c"socket.create",
        }
    }
}

impl PermissionSet {
    /// Takes the bits of user space, or returns `None` if one of them is unknown.
    pub(crate) const fn from_bits(bits: u64) -> Option<Self> {
        if bits & !Self::all_bits() == 0 {
            Some(Self(bits))
        } else {
            None
        }
    }

    /// Whether there is no permission in the set.
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// A set of rights in two bytes, as trees of rules and indexes of ports keep it: the bits of their
/// numbers. Landlock's rights have the numbers from 0 on, Portlock's own those after them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Packed(u16);

impl Packed {
    /// More than there are numbers, and a power of two.
    pub(crate) const COUNT: usize = u16::BITS as usize;

    /// The number of rights that C Landlock has too.
    const LANDLOCK: u32 = AccessSet::LANDLOCK.0.count_ones();

    /// How far bit 32, the lowest of Portlock's own, is from its number.
    const SHIFT: u32 = 32 - Self::LANDLOCK;

    /// The rights that a set can hold.
    const RIGHTS: u64 = AccessSet::LANDLOCK.0
        | (u16::MAX as u64 >> Self::LANDLOCK << Self::LANDLOCK) << Self::SHIFT;

    /// A number that no right has.
    pub(crate) const NO_RIGHT: u8 = 15;

    /// The bits of the numbers.
    #[inline]
    pub(crate) const fn bits(self) -> u32 {
        self.0 as u32
    }

    /// Whether there is no right in the set.
    #[inline]
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

// A right with another bit would be dropped on the way.
kernel::static_assert!(AccessSet::all_bits() & !Packed::RIGHTS == 0);
kernel::static_assert!(AccessSet::LANDLOCK.0 == (1 << Packed::LANDLOCK) - 1);
kernel::static_assert!(AccessSet::all_bits() >> Packed::SHIFT < 1 << Packed::NO_RIGHT);

impl From<AccessSet> for Packed {
    #[inline]
    fn from(access: AccessSet) -> Self {
        // CAST: The bits from 32 on become those after Landlock's. There are no other high bits.
        Self((access.0 | access.0 >> Self::SHIFT) as u16)
    }
}

impl From<Packed> for AccessSet {
    fn from(packed: Packed) -> Self {
        let bits = u64::from(packed.0);

        Self((bits | bits << Packed::SHIFT) & Packed::RIGHTS)
    }
}

impl Access {
    /// The number of the right in a [`Packed`] set, less than [`Packed::COUNT`].
    #[inline]
    pub(crate) const fn number(self) -> usize {
        let bits = self as u64;

        (bits | bits >> Packed::SHIFT).trailing_zeros() as usize % Packed::COUNT
    }
}
