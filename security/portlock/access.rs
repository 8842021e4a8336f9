// SPDX-License-Identifier: GPL-2.0

//! Rights as types: those of user space, and those that an index of ports holds.

use core::array;
use kernel::{
    bits::bit_u64,
    impl_flags, //
};

impl_flags!(
    /// A set of network rights, in the bits of `landlock_ruleset_attr.handled_access_net`.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
    pub(crate) struct AccessSet(u64);

    /// A network right, as `LANDLOCK_ACCESS_NET_*`.
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
    }
);

impl Access {
    /// Whether the right is about the local address of a socket, not the remote one.
    pub(crate) const fn is_about_local(self) -> bool {
        matches!(self, Self::BindTcp | Self::BindUdp)
    }
}

impl AccessSet {
    /// Takes the bits of user space, or returns `None` if one of them is unknown.
    pub(crate) const fn from_bits(bits: u64) -> Option<Self> {
        if bits & !Self::all_bits() == 0 {
            Some(Self(bits))
        } else {
            None
        }
    }

    /// The bits in the width of C Landlock's `access_mask_t`.
    pub(crate) const fn landlock_bits(self) -> u32 {
        const { assert!(Self::all_bits() <= u32::MAX as u64) };

        // CAST: No right has a higher bit, as asserted.
        self.0 as u32
    }

    /// Whether there is no right in the set.
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// A right as one of the four that an index of ports holds: the position of its bitmap.
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

// A right with a higher bit belongs to another index: it must not be dropped here.
kernel::static_assert!(AccessSet::all_bits() <= PortAccessSet::ALL as u64);

impl From<Access> for PortAccess {
    #[inline]
    fn from(access: Access) -> Self {
        // CAST: The number of a bit is small.
        Self((access as u64).trailing_zeros() as u8)
    }
}

impl From<AccessSet> for PortAccessSet {
    #[inline]
    fn from(access: AccessSet) -> Self {
        // CAST: No right has a higher bit, as asserted above.
        Self(access.0 as u8)
    }
}

impl From<PortAccessSet> for AccessSet {
    #[inline]
    fn from(access: PortAccessSet) -> Self {
        Self(access.0.into())
    }
}
