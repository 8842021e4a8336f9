// SPDX-License-Identifier: GPL-2.0

//! What a socket is used for: its service port and its peer.

use crate::endpoint::Address;
#[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
use core::net::IpAddr;
use core::net::Ipv6Addr;
use kernel::{
    net::socket::{
        SockKind,
        Socket, //
    },
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        barrier::{
            smp_mb,
            Read, //
        }, //
    }, //
};

/// One reading of the ports and the peer of a TCP, MPTCP or UDP socket.
///
/// The socket is not locked. While another thread gives it another peer, the parts may be of both. So a
/// task that races itself may be granted what neither is, but only with peers that the rights to connect
/// and to accept let it have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flow {
    /// The bytes of the peer's address as one of IPv6, where an IPv4 address is a mapped one, in two
    /// halves.
    peer: [u64; 2],
    /// The source port and the remote port, both in network byte order as they are in the socket.
    ports: u32,
    /// Whether the socket is connected (`SS_CONNECTED`).
    is_connected: bool,
}

impl Flow {
    /// Where the source port is in `ports`.
    const SOURCE: u32 = 16;

    /// Reads the flow of `sock`, which is of `kind`.
    #[inline(always)]
    pub(crate) fn of(sock: &Socket, kind: SockKind<'_>) -> Self {
        let (remote, peer) = kind.peer_as_ipv6();

        Self::from_ipv6(peer, kind.source_port(), remote, sock.is_connected())
    }

    /// The flow from the port `source` to the port `remote` of `peer`.
    #[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
    pub(crate) fn new(peer: IpAddr, source: u16, remote: u16, is_connected: bool) -> Self {
        let peer = match peer {
            IpAddr::V4(peer) => peer.to_ipv6_mapped(),
            IpAddr::V6(peer) => peer,
        };

        Self::from_ipv6(peer, source, remote, is_connected)
    }

    #[inline(always)]
    fn from_ipv6(peer: Ipv6Addr, source: u16, remote: u16, is_connected: bool) -> Self {
        let peer = u128::from_le_bytes(peer.octets());

        Self {
            // CAST: One half, and the other.
            peer: [peer as u64, (peer >> 64) as u64],
            ports: u32::from(source.to_be()) << Self::SOURCE | u32::from(remote.to_be()),
            is_connected,
        }
    }

    /// The three words that tell it from any other.
    #[inline(always)]
    pub(crate) fn words(&self) -> [u64; 3] {
        let [low, high] = self.peer;

        [
            low,
            high,
            u64::from(self.is_connected) << 32 | u64::from(self.ports),
        ]
    }

    /// The source port, in host byte order, 0 if there is none.
    #[inline]
    pub(crate) fn source(&self) -> u16 {
        // CAST: The other port is cut off.
        u16::from_be((self.ports >> Self::SOURCE) as u16)
    }

    /// The remote port, in host byte order, 0 if there is none.
    #[inline]
    pub(crate) fn remote(&self) -> u16 {
        // CAST: The other port is cut off.
        u16::from_be(self.ports as u16)
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

    /// [`Flow::service`] of `sock`, which is of `kind`.
    #[inline(always)]
    pub(crate) fn service_of(sock: &Socket, kind: SockKind<'_>, accepted: &Accepted) -> u16 {
        // As few are read as tell it.
        match kind.remote_port() {
            remote if remote != 0 && accepted.is_none() => remote,
            _ => Self::of(sock, kind).service(accepted),
        }
    }

    /// The address of the peer, if there is one.
    pub(crate) fn peer(&self) -> Option<Address> {
        let [low, high] = self.peer;
        let peer = u128::from(high) << 64 | u128::from(low);

        (self.remote() != 0).then(|| Address::from_ipv6(peer.to_le_bytes()))
    }
}

/// The connection that accept(2) returned with the socket. Zeroes are none.
///
/// It is written once, before user space has the socket: the two halves of the peer's address, the
/// ports, and the cookie of the listener.
#[derive(Zeroable)]
pub(crate) struct Accepted([Atomic<u64>; 4]);

impl Accepted {
    /// Notes that accept(2) returns the socket, with the connection `flow`, from the socket whose cookie
    /// is `listener`.
    pub(crate) fn note(&self, flow: &Flow, listener: u64) {
        let [low, high] = flow.peer;

        for (word, value) in self.0.iter().zip([low, high, flow.ports.into(), listener]) {
            word.store(value, Relaxed);
        }
    }

    /// The cookie of the socket from which accept(2) returned this one, while it is passive and has a
    /// peer, else 0.
    pub(crate) fn listener(&self, flow: &Flow) -> u64 {
        if flow.remote() != 0 && self.is(flow) {
            self.0[3].load(Relaxed)
        } else {
            0
        }
    }

    /// Whether accept(2) did not return the socket with a peer.
    #[inline(always)]
    fn is_none(&self) -> bool {
        self.0[2].load(Relaxed) == 0
    }

    /// Whether the socket still is what accept(2) returned: then it is *passive*.
    #[inline(always)]
    pub(crate) fn is(&self, flow: &Flow) -> bool {
        flow.is_connected
            && self.0[2].load(Relaxed) == flow.ports.into()
            && self.0[0].load(Relaxed) == flow.peer[0]
            && self.0[1].load(Relaxed) == flow.peer[1]
    }
}

/// Whether a UDP socket may have lost a port that the kernel had chosen. Zeroes are that it has not.
///
/// What came to that port stays in the queue, and may be read when the socket has another one.
#[derive(Zeroable)]
pub(crate) struct LostPort(Atomic<u32>);

impl LostPort {
    /// Notes that the socket is about to lose such a port. It need not have one: another thread may
    /// cause it to get one before it drops its peer.
    pub(crate) fn note(&self) {
        self.0.store(1, Relaxed);
    }

    /// Whether it was noted before bind(2) named the port that the caller has read.
    ///
    /// Read the port first. It can only have been named after the loss of another was noted, and two
    /// turns of the socket lock were between them, so that is seen too.
    #[inline]
    pub(crate) fn is_noted(&self) -> bool {
        smp_mb(Read);
        self.0.load(Relaxed) != 0
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
        assert_eq!(accepted.listener(&connection), 0);
        accepted.note(&connection, 7);
        assert_eq!(connection.service(&accepted), 80);
        assert_eq!(accepted.listener(&connection), 7);

        // What is no longer the same is not passive.
        for other in [
            Flow::new(PEER, 80, 40000, false),
            Flow::new(PEER, 80, 40001, true),
            Flow::new(PEER, 81, 40000, true),
            Flow::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 80, 40000, true),
        ] {
            assert_eq!(other.service(&accepted), other.remote());
            assert_eq!(accepted.listener(&other), 0);
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

        accepted.note(&Flow::new(mapped, 80, 40000, true), 0);
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
