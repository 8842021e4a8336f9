// SPDX-License-Identifier: GPL-2.0

//! What a socket is used for: its service port and its peer.

use crate::endpoint::Address;
use core::net::IpAddr;
use kernel::{
    net::socket::{
        SockKind,
        Socket, //
    },
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// One reading of the ports and the peer of a TCP, MPTCP or UDP socket.
///
/// The socket is not locked. While another thread gives it another peer, the parts may be of both: what
/// is granted then is granted to one who may use either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flow {
    /// The peer's address as one of IPv6, where an IPv4 address is a mapped one, in two halves.
    peer: [u64; 2],
    /// The source port, the remote port, and [`Flow::CONNECTED`].
    ports: u64,
}

impl Flow {
    /// Where the source port is in `ports`.
    const SOURCE: u32 = 16;

    /// In `ports`, that the socket is connected (`SS_CONNECTED`).
    const CONNECTED: u64 = 1 << 32;

    /// Reads the flow of `sock`, which is of `kind`.
    #[inline(always)]
    pub(crate) fn of(sock: &Socket, kind: SockKind<'_>) -> Self {
        let (remote, peer) = kind.peer();

        Self::new(peer, kind.source_port(), remote, sock.is_connected())
    }

    /// The flow from the port `source` to the port `remote` of `peer`.
    #[inline(always)]
    pub(crate) fn new(peer: IpAddr, source: u16, remote: u16, is_connected: bool) -> Self {
        let mut ports = u64::from(source) << Self::SOURCE | u64::from(remote);

        if is_connected {
            ports |= Self::CONNECTED;
        }

        let bytes = match peer {
            IpAddr::V4(peer) => peer.to_ipv6_mapped().octets(),
            IpAddr::V6(peer) => peer.octets(),
        };
        let peer = u128::from_ne_bytes(bytes);

        Self {
            // CAST: One half, and the other.
            peer: [peer as u64, (peer >> 64) as u64],
            ports,
        }
    }

    /// The three words that tell it from any other.
    #[inline(always)]
    pub(crate) fn words(&self) -> [u64; 3] {
        [self.peer[0], self.peer[1], self.ports]
    }

    /// The source port, in host byte order, 0 if there is none.
    #[inline]
    pub(crate) fn source(&self) -> u16 {
        // CAST: The other port is cut off.
        (self.ports >> Self::SOURCE) as u16
    }

    /// The remote port, in host byte order, 0 if there is none.
    #[inline]
    pub(crate) fn remote(&self) -> u16 {
        // CAST: The other port is cut off.
        self.ports as u16
    }

    /// The port that names the service that the socket is for: the local one of a connection that was
    /// accepted, else the remote one, else the local one, else 0.
    #[inline(always)]
    pub(crate) fn service(&self, accepted: &Accepted) -> u16 {
        if self.is_local(accepted) {
            self.source()
        } else {
            self.remote()
        }
    }

    /// Whether the service port is the local one, even if the remote one has the same number.
    #[inline(always)]
    pub(crate) fn is_local(&self, accepted: &Accepted) -> bool {
        // Few sockets were accepted and are not connected.
        self.remote() == 0 || accepted.is(self)
    }

    /// The address of the peer, if there is one.
    pub(crate) fn peer(&self) -> Option<Address> {
        let [low, high] = self.peer;
        let peer = u128::from(high) << 64 | u128::from(low);

        (self.remote() != 0).then(|| Address::from_ipv6(peer.to_ne_bytes()))
    }
}

/// The connection that accept(2) returned with the socket. Zeroes are none.
///
/// It is written once, before user space has the socket.
#[derive(Zeroable)]
pub(crate) struct Accepted([Atomic<u64>; 3]);

impl Accepted {
    /// Notes that accept(2) returns the socket, with the connection `flow`.
    pub(crate) fn note(&self, flow: &Flow) {
        let [low, high, ports] = flow.words();

        for (word, value) in self.0.iter().zip([low, high, ports | Flow::CONNECTED]) {
            word.store(value, Relaxed);
        }
    }

    /// Whether the socket still is what accept(2) returned: then it is *passive*.
    #[inline(always)]
    pub(crate) fn is(&self, flow: &Flow) -> bool {
        let [low, high, ports] = flow.words();

        self.0[2].load(Relaxed) == ports
            && ports & Flow::CONNECTED != 0
            && self.0[0].load(Relaxed) == low
            && self.0[1].load(Relaxed) == high
    }
}

#[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
#[kernel::macros::kunit_tests(portlock_flow)]
mod tests {
    use super::*;
    use core::net::{
        Ipv4Addr,
        Ipv6Addr, //
    };

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    fn none() -> Accepted {
        pin_init::zeroed()
    }

    #[test]
    fn the_service_is_the_remote_port_unless_the_socket_was_accepted() {
        let connection = Flow::new(PEER, 80, 40000, true);
        let accepted = none();

        assert_eq!(connection.service(&accepted), 40000);
        accepted.note(&connection);
        assert_eq!(connection.service(&accepted), 80);

        // What is no longer the same is not passive.
        for other in [
            Flow::new(PEER, 80, 40000, false),
            Flow::new(PEER, 80, 40001, true),
            Flow::new(PEER, 81, 40000, true),
            Flow::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 80, 40000, true),
        ] {
            assert_eq!(other.service(&accepted), other.remote());
        }
        // Two ports with one number are told apart.
        assert!(!Flow::new(PEER, 80, 80, true).is_local(&none()));
        assert!(connection.is_local(&accepted));
        // Without a peer it is the local port.
        assert_eq!(Flow::new(PEER, 80, 0, true).service(&accepted), 80);
        assert_eq!(Flow::new(PEER, 0, 0, false).service(&none()), 0);
    }

    #[test]
    fn a_mapped_peer_is_the_ipv4_one() {
        let mapped = IpAddr::V6(Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped());
        let accepted = none();

        accepted.note(&Flow::new(mapped, 80, 40000, true));
        assert_eq!(Flow::new(PEER, 80, 40000, true).service(&accepted), 80);
        assert_eq!(
            Flow::new(mapped, 80, 40000, true).peer(),
            Some(Address::V4([192, 0, 2, 1]))
        );
    }

    #[test]
    fn without_a_remote_port_there_is_no_peer() {
        let peer = IpAddr::V6(Ipv6Addr::LOCALHOST);

        assert_eq!(Flow::new(peer, 80, 0, true).peer(), None);
        assert_eq!(
            Flow::new(peer, 80, 1, true).peer(),
            Some(Address::from_ipv6(Ipv6Addr::LOCALHOST.octets()))
        );
    }
}
