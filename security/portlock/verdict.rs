// SPDX-License-Identifier: GPL-2.0

//! The decision: may this socket use this address?

use crate::{
    abi::SOCKADDR_STORAGE_LEN,
    access::Access,
    denial::{
        self,
        Refused, //
    },
    domain::Domain,
    endpoint::{
        self,
        Asked,
        Use, //
    },
    landlock, //
};
use kernel::{
    net::socket::{
        Sock,
        SockKind,
        Sockaddr,
        UdpSock, //
    },
    prelude::*, //
};

/// Whether `domain` lets `sk`, which is of `kind`, use `address` for what `access` is about.
///
/// Returns `EINVAL` or `EAFNOSUPPORT` for an address that the network stack would refuse, else
/// `EACCES` for one that a layer refuses.
///
/// The answer is that of [`decide`]. What most calls ask, an allowed port in an address of the
/// socket's own family, is answered here: then `decide` would say the same.
#[inline(always)]
pub(crate) fn check(
    domain: &Domain,
    sk: &Sock,
    kind: SockKind,
    address: Sockaddr<'_>,
    used: Use,
    access: Access,
) -> Result {
    match endpoint::plain_port(address, kind.family()) {
        Some(port) if domain.allows(port, access) && !landlock::checks_are_traced() => Ok(()),
        _ => decide(domain, sk, address.bytes(), used, access),
    }
}

/// [`check`], step by step in the order of C Landlock's `current_check_access_socket()`: which error
/// a program gets for two mistakes is part of the interface.
#[cold]
#[inline(never)]
fn decide(domain: &Domain, sk: &Sock, address: &[u8], used: Use, access: Access) -> Result {
    // If no layer handles the right, even a wrong address is left to the stack.
    if !domain.handles(access) {
        return Ok(());
    }

    // The socket is not locked: IPV6_ADDRFORM may change the family, so it is read once.
    let socket_family = sk.family();
    let asked = endpoint::asked(address, socket_family, used)?;
    let port = match asked {
        Asked::Nothing => return Ok(()),
        Asked::Port(port) => Some(port),
        Asked::Unknowable => None,
    };

    if let Some(port) = port {
        if landlock::checks_are_traced() {
            denial::trace_check(domain, port, access);
        }
        if domain.allows(port, access) {
            return Ok(());
        }
    }

    denial::log(&Refused {
        domain,
        sk,
        socket_family,
        address,
        port,
        access,
    });
    Err(EACCES)
}

/// Whether `domain` lets the UDP socket `sk` get a local port, if it has none.
///
/// A call that connects or sends gives it one then, which is checked as a bind to port 0. Returns
/// `EACCES` if a layer refuses. This is C Landlock's `current_check_autobind_udp_socket()`, except
/// that a socket that is known to be bound is not locked.
#[inline]
pub(crate) fn check_udp_autobind(domain: &Domain, sk: &Sock) -> Result {
    if !domain.handles(Access::BindUdp) || sk.as_udp().is_some_and(UdpSock::is_known_bound) {
        return Ok(());
    }
    check_unbound(domain, sk)
}

/// [`check_udp_autobind`], for a socket that may have no port.
#[cold]
#[inline(never)]
fn check_unbound(domain: &Domain, sk: &Sock) -> Result {
    if sk.local_port() != 0 {
        return Ok(());
    }

    // The address that a program would pass: as long as any, zero except for the family.
    let mut address = [0; SOCKADDR_STORAGE_LEN];
    let [family_0, family_1] = sk.family().to_ne_bytes();

    [address[0], address[1]] = [family_0, family_1];
    decide(domain, sk, &address, Use::Bind, Access::BindUdp)
}
