// SPDX-License-Identifier: GPL-2.0

//! How a socket chooses its own way: then an address means another host than its author meant, and
//! only rules without an address match.
//!
//! The way is a device, a route or a source address that the socket or a message names. The states
//! are read in [`socket.c`](srctree/security/portlock/socket.c).

use crate::endpoint::Address;
use kernel::{
    bindings,
    net::socket::{
        Msg,
        Sock, //
    },
    prelude::*,
    sync::atomic::{
        Atomic,
        Full,
        Relaxed, //
    }, //
};

/// What a way consists of, as C says: a device, a route, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way(u32);

impl Way {
    /// The way of `sk`, which need not be locked, and of the control messages of `msg`.
    pub(crate) fn of(sk: &Sock, msg: Option<&Msg>) -> Self {
        // SAFETY: By the type invariants of `Sock` it is valid, and a `struct inet_sock` if its
        // family is one of the internet's, as that of all sockets is that are judged by an address.
        let socket = unsafe { bindings::portlock_sock_way(sk.as_ptr()) };

        Self(socket | msg.map_or(0, |msg| Self::of_message(msg).0))
    }

    /// The way of the control messages of `msg`.
    pub(crate) fn of_message(msg: &Msg) -> Self {
        // SAFETY: By the type invariants of `Msg` it is valid. The hook of `sendmsg()` gets control
        // messages in kernel memory.
        Self(unsafe { bindings::portlock_msg_way(msg.as_ptr()) })
    }

    /// Whether an address may mean another host than its author meant. With some addresses a device
    /// is part of the address.
    pub(crate) fn is_own(self, address: Option<&Address>) -> bool {
        self.0 & bindings::PORTLOCK_WAY_ROUTE != 0
            || self.0 & bindings::PORTLOCK_WAY_DEVICE != 0
                && !address.is_some_and(Address::is_of_a_link)
    }
}

/// The first of two things that exclude each other, which a socket carries.
///
/// Some calls bind a socket to a device under the socket lock, after another call may have been
/// judged. So a socket is either granted something by an address, or let through such a call. What
/// comes second is refused.
#[derive(Zeroable)]
pub(crate) struct Mark(Atomic<u32>);

impl Mark {
    const NONE: u32 = 0;
    const GRANTED_BY_ADDRESS: u32 = 1;
    const MAY_NAME_DEVICE: u32 = 2;

    /// Notes that the socket is granted something by its address.
    ///
    /// Returns `EACCES` if it may be bound to a device.
    #[inline]
    pub(crate) fn grant_by_address(&self) -> Result {
        self.set(Self::GRANTED_BY_ADDRESS)
    }

    /// Notes that the socket may be bound to a device from now on.
    ///
    /// Returns `EACCES` if it was granted something by its address.
    #[inline(never)]
    pub(crate) fn name_device(&self) -> Result {
        self.set(Self::MAY_NAME_DEVICE)
    }

    /// Whether the socket may be bound to a device.
    pub(crate) fn may_name_device(&self) -> bool {
        self.0.load(Relaxed) == Self::MAY_NAME_DEVICE
    }

    #[inline(always)]
    fn set(&self, mark: u32) -> Result {
        // A mark stays, and to read it is cheaper than to try to set it again.
        if self.0.load(Relaxed) == mark {
            return Ok(());
        }
        match self.0.cmpxchg(Self::NONE, mark, Full) {
            Ok(_) => Ok(()),
            Err(first) if first == mark => Ok(()),
            Err(_) => Err(EACCES),
        }
    }
}

/// Whether `msg` may choose a way of its own: it has control messages, or is not to be routed.
#[inline(always)]
pub(crate) fn has_way(msg: &Msg) -> bool {
    msg.has_control() || msg.flags() & bindings::MSG_DONTROUTE != 0
}

/// The level of a socket option, and its number.
type NumberedOption = (u32, u32);

/// The options that give a socket a way of its own.
const OWN_WAY: [NumberedOption; 14] = [
    (bindings::SOL_SOCKET, bindings::SO_DONTROUTE),
    (bindings::SOL_SOCKET, bindings::SO_BINDTODEVICE),
    (bindings::SOL_SOCKET, bindings::SO_BINDTOIFINDEX),
    (bindings::SOL_IP, bindings::IP_OPTIONS),
    (bindings::SOL_IP, bindings::IP_FREEBIND),
    (bindings::SOL_IP, bindings::IP_TRANSPARENT),
    (bindings::SOL_IP, bindings::IP_UNICAST_IF),
    (bindings::SOL_IPV6, bindings::IPV6_RTHDR),
    (bindings::SOL_IPV6, bindings::IPV6_2292PKTOPTIONS),
    (bindings::SOL_IPV6, bindings::IPV6_FLOWLABEL_MGR),
    (bindings::SOL_IPV6, bindings::IPV6_UNICAST_IF),
    (bindings::SOL_IPV6, bindings::IPV6_PKTINFO),
    (bindings::SOL_IPV6, bindings::IPV6_FREEBIND),
    (bindings::SOL_IPV6, bindings::IPV6_TRANSPARENT),
];

/// The options that join a multicast group or choose its sources, which has no use on a TCP socket.
const JOIN: [NumberedOption; 17] = [
    (bindings::SOL_IP, bindings::IP_ADD_MEMBERSHIP),
    (bindings::SOL_IP, bindings::IP_ADD_SOURCE_MEMBERSHIP),
    (bindings::SOL_IP, bindings::IP_BLOCK_SOURCE),
    (bindings::SOL_IP, bindings::IP_UNBLOCK_SOURCE),
    (bindings::SOL_IP, bindings::IP_MSFILTER),
    (bindings::SOL_IP, bindings::MCAST_JOIN_GROUP),
    (bindings::SOL_IP, bindings::MCAST_BLOCK_SOURCE),
    (bindings::SOL_IP, bindings::MCAST_UNBLOCK_SOURCE),
    (bindings::SOL_IP, bindings::MCAST_JOIN_SOURCE_GROUP),
    (bindings::SOL_IP, bindings::MCAST_MSFILTER),
    (bindings::SOL_IPV6, bindings::IPV6_ADD_MEMBERSHIP),
    (bindings::SOL_IPV6, bindings::IPV6_JOIN_ANYCAST),
    (bindings::SOL_IPV6, bindings::MCAST_JOIN_GROUP),
    (bindings::SOL_IPV6, bindings::MCAST_BLOCK_SOURCE),
    (bindings::SOL_IPV6, bindings::MCAST_UNBLOCK_SOURCE),
    (bindings::SOL_IPV6, bindings::MCAST_JOIN_SOURCE_GROUP),
    (bindings::SOL_IPV6, bindings::MCAST_MSFILTER),
];

/// The options that attach a filter, or something that looks at the data as one does, by which a socket
/// tells its owner about data that it does not receive.
const FILTER: [NumberedOption; 5] = [
    (bindings::SOL_SOCKET, bindings::SO_ATTACH_FILTER),
    (bindings::SOL_SOCKET, bindings::SO_ATTACH_BPF),
    (bindings::SOL_SOCKET, bindings::SO_ATTACH_REUSEPORT_CBPF),
    (bindings::SOL_SOCKET, bindings::SO_ATTACH_REUSEPORT_EBPF),
    (bindings::SOL_UDP, bindings::UDP_ENCAP),
];

/// Whether setting the option would attach a filter.
pub(crate) fn is_filter(level: c_int, option: c_int) -> bool {
    is_in(&FILTER, level, option)
}

/// Whether setting the option would give a socket a way of its own.
pub(crate) fn is_own_way(level: c_int, option: c_int) -> bool {
    is_in(&OWN_WAY, level, option)
}

/// Whether setting the option would join a multicast group.
pub(crate) fn is_join(level: c_int, option: c_int) -> bool {
    is_in(&JOIN, level, option)
}

fn is_in(list: &[NumberedOption], level: c_int, option: c_int) -> bool {
    list.iter().any(|(of_level, number)| {
        i64::from(*of_level) == i64::from(level) && i64::from(*number) == i64::from(option)
    })
}

#[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
#[kernel::macros::kunit_tests(portlock_way)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_second_is_refused() {
        let granted = Mark(Atomic::new(Mark::NONE));
        let named = Mark(Atomic::new(Mark::NONE));

        assert_eq!(granted.grant_by_address(), Ok(()));
        assert_eq!(granted.grant_by_address(), Ok(()));
        assert_eq!(granted.name_device(), Err(EACCES));
        assert!(!granted.may_name_device());
        assert_eq!(granted.grant_by_address(), Ok(()));
        assert!(!named.may_name_device());
        assert_eq!(named.name_device(), Ok(()));
        assert!(named.may_name_device());
        assert_eq!(named.grant_by_address(), Err(EACCES));
        assert_eq!(named.name_device(), Ok(()));
    }

    #[test]
    fn an_option_is_its_level_and_number() {
        // SO_DONTROUTE, SO_BINDTODEVICE, IP_OPTIONS, IPV6_RTHDR, IPV6_TRANSPARENT.
        for (level, option) in [(1, 5), (1, 25), (0, 4), (41, 57), (41, 75)] {
            assert!(is_own_way(level, option) && !is_join(level, option));
        }
        // The numbers of the above at other levels.
        for (level, option) in [(0, 25), (41, 4), (1, 57), (6, 25)] {
            assert!(!is_own_way(level, option) && !is_join(level, option));
        }
        assert!(is_join(0, 35) && is_join(41, 20) && !is_join(1, 20));
    }
}
