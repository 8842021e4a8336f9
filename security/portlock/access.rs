// SPDX-License-Identifier: GPL-2.0

//! Rights as types: those of user space, and those that an index of ports holds.

use core::{
    array,
    iter, //
};
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
        matches!(self, Self::BindTcp | Self::BindUdp | Self::ListenTcp)
    }

    /// The name of the right in the records of Landlock's audit.
    pub(crate) const fn name(self) -> &'static CStr {
        match self {
            Self::BindTcp => c"net.bind_tcp",
            Self::ConnectTcp => c"net.connect_tcp",
            Self::BindUdp => c"net.bind_udp",
            Self::ConnectSendUdp => c"net.connect_send_udp",
            Self::ListenTcp => c"net.listen_tcp",
        }
    }

    /// The rights of the protocol that the right is about.
    #[inline]
    pub(crate) const fn protocol(self) -> AccessSet {
        match self {
            Self::BindTcp | Self::ConnectTcp | Self::ListenTcp => AccessSet::TCP,
            Self::BindUdp | Self::ConnectSendUdp => AccessSet::UDP,
        }
    }

    /// The group of the right.
    #[inline]
    pub(crate) const fn group(self) -> Group {
        if self as u64 <= AccessSet::LANDLOCK.0 {
            Group::Landlock
        } else {
            Group::Portlock
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

    /// The rights of TCP.
    pub(crate) const TCP: Self =
        Self(Access::BindTcp as u64 | Access::ConnectTcp as u64 | Access::ListenTcp as u64);

    /// The rights of UDP.
    pub(crate) const UDP: Self = Self(Access::BindUdp as u64 | Access::ConnectSendUdp as u64);

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

    /// The rights in the set that C Landlock has too, in the width of its `access_mask_t`.
    pub(crate) const fn landlock_bits(self) -> u32 {
        // CAST: No right of Landlock's has a higher bit, as asserted below.
        (self.0 & Self::LANDLOCK.0) as u32
    }

    /// Whether there is no right in the set.
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The rights of a group that are in the set.
    #[inline]
    pub(crate) const fn in_group(self, group: Group) -> PortAccessSet {
        // CAST: The other bits are masked off.
        PortAccessSet((self.0 >> group.lowest_bit()) as u8 & PortAccessSet::ALL)
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

/// Four rights with neighbouring bits, which one index of ports holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// Bits 0 to 3: the rights that C Landlock has too.
    Landlock,
    /// Bits 32 to 35.
    Portlock,
}

impl Group {
    /// The number of the lowest bit of its rights.
    const fn lowest_bit(self) -> u32 {
        match self {
            Self::Landlock => 0,
            Self::Portlock => 32,
        }
    }

    /// The number of the lowest bit of its rights in a [`Packed`] set.
    const fn position_in_packed(self) -> u32 {
        match self {
            Self::Landlock => 0,
            Self::Portlock => 4,
        }
    }

    /// The bits of its rights.
    const fn bits(self) -> u64 {
        (PortAccessSet::ALL as u64) << self.lowest_bit()
    }
}

// Each right is in a group, and C Landlock's are in its first one: nothing is dropped on the way.
kernel::static_assert!(
    AccessSet::all_bits() & !(Group::Landlock.bits() | Group::Portlock.bits()) == 0
);
kernel::static_assert!(AccessSet::LANDLOCK.0 == Group::Landlock.bits());

/// A set of rights in one byte, as trees of rules keep it: four bits for each [`Group`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packed(u8);

impl From<AccessSet> for Packed {
    fn from(access: AccessSet) -> Self {
        Self(access.in_group(Group::Landlock).0 | access.in_group(Group::Portlock).0 << 4)
    }
}

impl From<Packed> for AccessSet {
    fn from(Packed(bits): Packed) -> Self {
        Self(u64::from(bits & 15) | u64::from(bits >> 4) << Group::Portlock.lowest_bit())
    }
}

impl Packed {
    /// The rights of a group that are in the set.
    #[inline]
    pub(crate) const fn in_group(self, group: Group) -> PortAccessSet {
        PortAccessSet(self.0 >> group.position_in_packed() & PortAccessSet::ALL)
    }
}

/// How many sets each right is in.
#[derive(Default)]
pub(crate) struct Tally([u32; u8::BITS as usize]);

impl Tally {
    /// Adds a set.
    pub(crate) fn add(&mut self, Packed(bits): Packed) {
        for (position, count) in self.0.iter_mut().enumerate() {
            *count = count.wrapping_add(u32::from(bits >> position & 1));
        }
    }

    /// Takes away a set that was added, or will be.
    pub(crate) fn remove(&mut self, Packed(bits): Packed) {
        for (position, count) in self.0.iter_mut().enumerate() {
            *count = count.wrapping_sub(u32::from(bits >> position & 1));
        }
    }

    /// Adds the sets of `other`.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, other) in iter::zip(&mut self.0, &other.0) {
            *count = count.wrapping_add(*other);
        }
    }

    /// The rights that are in some set.
    pub(crate) fn union(&self) -> Packed {
        let bit = |(position, count): (usize, &u32)| u8::from(*count != 0) << position;

        Packed(
            self.0
                .iter()
                .enumerate()
                .map(bit)
                .fold(0, |all, bit| all | bit),
        )
    }
}

/// A right as one of the four of its [`Group`]: the position of its bitmap in an index of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortAccess(u8);

impl PortAccess {
    /// The number of rights that an index holds.
    pub(crate) const COUNT: usize = 4;

    /// The position, less than [`PortAccess::COUNT`].
    #[inline]
    pub(crate) const fn position(self) -> usize {
        self.0 as usize % Self::COUNT
    }
}

/// A set of the four rights that an index of ports holds, in the lowest bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortAccessSet(u8);

impl PortAccessSet {
    /// The bits of all rights.
    const ALL: u8 = (1 << PortAccess::COUNT) - 1;

    /// Whether `access` is in the set.
    #[inline]
    pub(crate) const fn contains(self, access: PortAccess) -> bool {
        self.0 & 1 << access.position() != 0
    }

    /// Whether there is no right in the set.
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in both sets.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The rights that are not in the set.
    pub(crate) const fn complement(self) -> Self {
        Self(!self.0 & Self::ALL)
    }

    /// For each of the rights, whether it is in the set: a word of ones or of zeroes.
    #[inline]
    pub(crate) fn masks(self) -> [u64; PortAccess::COUNT] {
        array::from_fn(|position| u64::from(self.0 >> position & 1).wrapping_neg())
    }
}

impl From<Access> for PortAccess {
    #[inline]
    fn from(access: Access) -> Self {
        // CAST: The number of a bit is small. That of a group's lowest bit is a multiple of four.
        Self((access as u64).trailing_zeros() as u8 % Self::COUNT as u8)
    }
}
