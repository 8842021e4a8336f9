// SPDX-License-Identifier: GPL-2.0

//! The decision about what a socket is used for once it has its addresses: is it granted by its service
//! port and its peer?

use crate::{
    abi::{
        SOL_TCP,
        TCP_ULP,
        TCP_ZEROCOPY_RECEIVE, //
    },
    access::{
        Access,
        AccessSet, //
    },
    cached::Key,
    denial::Refusal,
    domain::{
        Domain,
        Question, //
    },
    endpoint::Address,
    flow::Flow,
    landlock::About,
    opened::Cookies,
    socket::Carried,
    verdict::{
        check_smc,
        is_granted,
        judge,
        Call, //
    },
    way::{
        has_way,
        Way, //
    }, //
};
use core::net::IpAddr;
use kernel::{
    net::socket::{
        Msg,
        Sock,
        Socket, //
    },
    prelude::*, //
};

/// Whether the kernel has the socket for itself. Rights that Landlock does not have are not about it.
pub(crate) fn is_kernels(sock: &Socket) -> bool {
    !sock.has_file() || sock.sk().is_kern()
}

/// What tells the connection `flow` in `domain` from all others.
#[inline(always)]
fn key(domain: &Domain, flow: &Flow) -> Key {
    let [low, high, ports] = flow.words();

    [domain.id(), low, high, ports]
}

/// Whether `domain` lets a task send or receive on `sock`, a TCP or MPTCP socket. `msg` is what is sent.
///
/// Returns `EACCES` if a layer refuses. Does not sleep, unless a refusal is logged.
///
/// The answer is that of [`decide_transfer`]. What most calls ask is answered here: then it would say
/// the same.
#[inline(always)]
pub(crate) fn check_transfer<const IS_SEND: bool>(
    domain: &Domain,
    sock: &Socket,
    msg: Option<&Msg>,
) -> Result {
    if !domain.is_about_more_than_ports(AccessSet::TRANSFER_TCP) {
        check_port::<IS_SEND>(domain, sock)
    } else if msg.is_some_and(has_way) {
        decide_transfer(domain, sock, transfer::<IS_SEND>(), msg)
    } else {
        check_cached::<IS_SEND>(domain, sock)
    }
}

const fn transfer<const IS_SEND: bool>() -> Access {
    if IS_SEND {
        Access::SendTcp
    } else {
        Access::ReceiveTcp
    }
}

/// [`check_transfer`], where no rules are about addresses or single sockets.
#[inline(never)]
fn check_port<const IS_SEND: bool>(domain: &Domain, sock: &Socket) -> Result {
    if is_port_allowed(domain, sock, transfer::<IS_SEND>()) {
        Ok(())
    } else {
        decide_plain_transfer::<IS_SEND>(domain, sock)
    }
}

/// Whether the service port of `sock` is allowed whatever the peer is.
///
/// Plain layers handle none of the rights here, so that the index of all layers is right for MPTCP too.
#[inline(always)]
fn is_port_allowed(domain: &Domain, sock: &Socket, access: Access) -> bool {
    let sk = sock.sk();
    let Some(carried) = Carried::of(sk) else {
        return false;
    };
    let port = Flow::service_of(sock, sk.kind(), &carried.accepted);

    domain.allows(port, access)
}

/// [`check_transfer`], where rules about addresses or single sockets may grant what is asked: they did,
/// if the socket says so.
#[inline(never)]
fn check_cached<const IS_SEND: bool>(domain: &Domain, sock: &Socket) -> Result {
    if is_cached(domain, sock, transfer::<IS_SEND>()) {
        Ok(())
    } else {
        decide_plain_transfer::<IS_SEND>(domain, sock)
    }
}

#[inline(always)]
fn is_cached(domain: &Domain, sock: &Socket, access: Access) -> bool {
    let sk = sock.sk();

    // This is a call, after which there is less to keep.
    if Way::of(sk, None).is_own(None) {
        return false;
    }

    let Some(carried) = Carried::of(sk) else {
        return false;
    };
    let flow = Flow::of(sock, sk.kind());

    carried.cached.allows(&key(domain, &flow), access as u64)
}

/// [`decide_transfer`], of what has no way of its own.
#[cold]
#[inline(never)]
fn decide_plain_transfer<const IS_SEND: bool>(domain: &Domain, sock: &Socket) -> Result {
    decide_transfer(domain, sock, transfer::<IS_SEND>(), None)
}

/// [`check_transfer`], step by step.
///
/// With rules about addresses or single sockets, what all layers grant is noted in the socket.
#[cold]
#[inline(never)]
pub(crate) fn decide_transfer(
    domain: &Domain,
    sock: &Socket,
    access: Access,
    msg: Option<&Msg>,
) -> Result {
    let sk = sock.sk();
    let kind = sk.kind();
    let flow = Flow::of(sock, kind);

    let is_granted = check_flow(domain, sock, &flow, access, msg)?;

    // By another way, or with a message that has its own, less is granted: that is asked each time.
    if is_granted && domain.is_about_more_than_ports(AccessSet::TRANSFER_TCP) && !is_kernels(sock) {
        if let Some(carried) = Carried::of(sk) {
            carried.cached.note(&key(domain, &flow), access as u64);
        }
    }
    Ok(())
}

/// Whether a domain lets a task send a message that connects `sock`, as `call` says: to the address, and
/// to the peer if there is one already.
///
/// Returns `EINVAL` for an address that the network stack would refuse, or `EACCES` if a layer refuses.
pub(crate) fn check_fast_open(call: &Call<'_>, sock: &Socket) -> Result {
    let access = Access::SendTcp;

    if is_kernels(sock) {
        return Ok(());
    }

    let flow = Flow::of(sock, call.sk.kind());
    let listener = Carried::of(call.sk).map_or(0, |carried| carried.accepted.listener(&flow));

    judge(&Call {
        access,
        listener,
        ..*call
    })?;
    if flow.remote() == 0 {
        return Ok(());
    }
    check_flow(call.domain, sock, &flow, access, call.msg).map(|_| ())
}

/// Whether reading the option receives data: `TCP_ZEROCOPY_RECEIVE`.
pub(crate) fn is_receive(level: c_int, option: c_int) -> bool {
    (level, option) == (SOL_TCP, TCP_ZEROCOPY_RECEIVE)
}

/// Whether setting the option gives the stream to a layer of the kernel that sends and receives on it:
/// `TCP_ULP`.
pub(crate) fn is_transfer(level: c_int, option: c_int) -> bool {
    (level, option) == (SOL_TCP, TCP_ULP)
}

/// Whether `domain` lets a task do what `access` is about on `sock`, one of SMC: extended layers that
/// handle the right refuse it.
///
/// Returns `EACCES`.
pub(crate) fn check_smc_use(domain: &Domain, sock: &Socket, access: Access) -> Result {
    if is_kernels(sock) {
        Ok(())
    } else {
        check_smc(domain, sock.sk(), None, access)
    }
}

/// Whether `domain` lets a task use `sock` as `access` says, by its service port and its peer: to shut
/// it down, or to read or set an option.
///
/// Returns `EACCES` if a layer refuses.
pub(crate) fn check_use(domain: &Domain, sock: &Socket, access: Access) -> Result {
    if is_port_allowed(domain, sock, access) {
        return Ok(());
    }

    let flow = Flow::of(sock, sock.sk().kind());

    check_flow(domain, sock, &flow, access, None).map(|_| ())
}

/// Whether `domain` lets a task do on the connection `flow` of `sock` what `access` says. Returns whether
/// all layers grant it: else permissive ones let it pass.
fn check_flow(
    domain: &Domain,
    sock: &Socket,
    flow: &Flow,
    access: Access,
    msg: Option<&Msg>,
) -> Result<bool> {
    let sk = sock.sk();
    let is_mptcp = sk.kind().is_mptcp();

    if !domain.handles(access, is_mptcp) || is_kernels(sock) {
        return Ok(true);
    }

    let Some(carried) = Carried::of(sk) else {
        return Err(EACCES);
    };
    let port = flow.service(&carried.accepted);

    Service {
        domain,
        sk,
        is_mptcp,
        access,
        port,
        is_local: flow.is_local(&carried.accepted),
        peer: flow.peer(),
        cookies: Cookies {
            own: sk.cookie(),
            listener: carried.accepted.listener(flow),
        },
        msg,
    }
    .check()
}

/// Whether `domain` lets a task receive on `sock`, a UDP socket.
///
/// Its port is the one that bind(2) named. A socket that had another one before may still have what came
/// to that. Returns `EACCES` if a layer refuses.
pub(crate) fn check_receive_udp(domain: &Domain, sock: &Socket) -> Result {
    let sk = sock.sk();
    let access = Access::ReceiveUdp;
    let mut port = if sk.is_port_named() {
        sk.source_port()
    } else {
        0
    };

    // The loss is read after the port, see `is_noted()`.
    if port != 0 && Carried::of(sk).is_none_or(|carried| carried.lost_port.is_noted()) {
        port = 0;
    }

    if domain.allows(port, access) || is_kernels(sock) {
        return Ok(());
    }
    Service {
        domain,
        sk,
        is_mptcp: false,
        access,
        port,
        is_local: true,
        peer: None,
        cookies: Cookies::of(sk.cookie()),
        msg: None,
    }
    .check()
    .map(|_| ())
}

/// Whether `domain` lets a task accept connections from `sock`, a listener of TCP or MPTCP, on its port.
///
/// Returns `EACCES` if a layer grants that from no address.
pub(crate) fn check_listener(domain: &Domain, sock: &Socket) -> Result {
    let access = Access::AcceptTcp;
    let listener = sock.sk();
    let is_mptcp = listener.kind().is_mptcp();
    let port = listener.source_port();

    if domain.allows(port, access) || is_kernels(sock) {
        return Ok(());
    }

    let question = Question {
        net: listener.net_cookie(),
        cookies: Cookies::of(listener.cookie()),
        ..Question::new(access, Some(port), is_mptcp)
    };
    let about = About::Service {
        sk: listener,
        port,
        is_local: true,
        peer: None,
    };

    Refusal::new(access, about).by(domain.refusing_listener(&question))
}

/// Whether `domain` lets a task have the connection `flow` of `sock`, which accept(2) is about to return
/// from the socket whose cookie is `listener`.
///
/// Returns `ECONNABORTED` if a layer refuses.
pub(crate) fn check_accepted(domain: &Domain, sock: &Socket, flow: &Flow, listener: u64) -> Result {
    let access = Access::AcceptTcp;
    let sk = sock.sk();
    let port = flow.source();

    if domain.allows(port, access) || is_kernels(sock) {
        return Ok(());
    }

    let service = Service {
        domain,
        sk,
        is_mptcp: sk.kind().is_mptcp(),
        access,
        port,
        is_local: true,
        peer: flow.peer(),
        // The right is one of the listener.
        cookies: Cookies::of(listener),
        msg: None,
    };

    service.check().map(|_| ()).or(Err(ECONNABORTED))
}

/// What is asked of a domain about the service of a socket.
struct Service<'a> {
    domain: &'a Domain,
    sk: &'a Sock,
    is_mptcp: bool,
    access: Access,
    /// The service port, in host byte order, and whether it is a local one.
    port: u16,
    is_local: bool,
    peer: Option<Address>,
    cookies: Cookies,
    /// The message that is sent, if one is.
    msg: Option<&'a Msg>,
}

impl Service<'_> {
    /// Returns `EACCES` if a layer refuses, else whether all layers grant it.
    fn check(&self) -> Result<bool> {
        let mut question = Question::new(self.access, Some(self.port), self.is_mptcp);

        if is_granted(
            self.domain,
            &mut question,
            self.sk,
            || self.cookies,
            || Way::of(self.sk, self.msg),
            || self.peer.filter(|peer| peer.can_match(self.access)),
        ) {
            return Ok(true);
        }

        let about = About::Service {
            sk: self.sk,
            port: self.port,
            is_local: self.is_local,
            peer: self.peer.map(IpAddr::from),
        };

        Refusal::new(self.access, about).by_some(self.domain.refusing(&question))?;
        Ok(false)
    }
}
