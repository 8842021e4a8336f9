// SPDX-License-Identifier: GPL-2.0

//! Rights as flag types.

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

kernel::static_assert!(AccessSet::all_bits() == 0b1111);

impl Access {
    /// Whether the right is about the local address of a socket, not the remote one.
    pub(crate) const fn is_about_local(self) -> bool {
        matches!(self, Self::BindTcp | Self::BindUdp)
    }
}

impl AccessSet {
    /// The number of rights.
    pub(crate) const COUNT: u32 = Self::all_bits().count_ones();

    /// Takes the bits of user space, or returns `None` if one of them is unknown.
    pub(crate) const fn from_bits(bits: u64) -> Option<Self> {
        if bits & !Self::all_bits() == 0 {
            Some(Self(bits))
        } else {
            None
        }
    }

    /// Takes the bits that are rights, and leaves out all others.
    pub(crate) const fn from_bits_truncate(bits: u64) -> Self {
        Self(bits & Self::all_bits())
    }

    /// The bits as user space sees them.
    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// Whether there is no right in the set.
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}
