// SPDX-License-Identifier: GPL-2.0

//! The hooks: which right is asked for, and what the address is used for. The verdict decides.

use crate::{
    abi::MSG_FASTOPEN,
    access::{
        Access,
        AccessSet, //
    },
    domain::Domain,
    flow::Flow,
    service::{
        check_accepted,
        check_fast_open,
        check_listener,
        check_receive_udp,
        check_smc_use,
        check_transfer,
        check_use,
        decide_transfer,
        is_kernels,
        is_receive,
        is_transfer, //
    },
    socket::Carried,
    subject::Subject,
    verdict::{
        check,
        check_call,
        check_creation,
        check_listen,
        check_option,
        check_smc,
        check_udp_connect,
        check_udp_send,
        Call, //
    },
    Portlock, //
};
use kernel::{
    lsm::{
        Hooks,
        Lsm, //
    },
    net::socket::{
        LockedSock,
        Msg,
        NewSocket,
        Sockaddr,
        Socket,
        SocketParams,
        UdpSock, //
    },
    prelude::*, //
};

#[vtable]
impl Lsm for Portlock {
    type Cred = Subject;
    type Sock = Carried;

    fn init(hooks: Hooks<Self>) -> Result {
        if crate::is_on() {
            hooks.register();
            pr_info!("Up and running.\n");
        } else {
            pr_warn!("Off: the list of LSMs does not name landlock, which it needs.\n");
        }
        Ok(())
    }

    #[inline(always)]
    fn socket_create(subject: &Subject, params: SocketParams) -> Result {
        if subject.domain().is_none() {
            return Ok(());
        }
        // One by one, in registers. What is passed on is the subject, so that the test above needs
        // none.
        create(
            params.family,
            params.type_,
            params.protocol,
            params.kern,
            subject,
        )
    }

    #[inline(always)]
    fn socket_bind(subject: &Subject, sock: &Socket, address: Sockaddr<'_>) -> Result {
        match subject.domain() {
            Some(domain) => bind(sock, address, domain),
            None => Ok(()),
        }
    }

    #[inline(always)]
    fn socket_connect(subject: &Subject, sock: &Socket, address: Sockaddr<'_>) -> Result {
        match subject.domain() {
            Some(domain) => connect(sock, address, domain),
            None => Ok(()),
        }
    }

    #[inline(always)]
    fn socket_listen(subject: &Subject, sock: &Socket, _backlog: c_int) -> Result {
        match subject.domain() {
            Some(domain) => listen_smc(sock, domain),
            None => Ok(()),
        }
    }

    #[inline(always)]
    fn inet_listen(subject: &Subject, sk: &LockedSock) -> Result {
        match subject.domain() {
            Some(domain) => listen(sk, domain),
            None => Ok(()),
        }
    }

    #[inline(always)]
    fn socket_accept(subject: &Subject, sock: &Socket, _newsock: &NewSocket) -> Result {
        match subject.domain() {
            Some(domain) => accept(sock, domain),
            None => Ok(()),
        }
    }

    /// Notes what accept(2) returns, whether there is a domain or not: another task may get the socket.
    #[inline(always)]
    fn socket_accepted(subject: &Subject, sock: &Socket, accepted: &Socket) -> Result {
        note_accepted(sock, accepted, subject)
    }

    #[inline(always)]
    fn socket_recvmsg(subject: &Subject, sock: &Socket, _size: usize, _flags: u32) -> Result {
        match subject.domain() {
            Some(domain) => receive(sock, domain),
            None => Ok(()),
        }
    }

    #[inline(always)]
    fn socket_read(subject: &Subject, sock: &Socket) -> Result {
        match subject.domain() {
            Some(domain) => receive(sock, domain),
            None => Ok(()),
        }
    }

    #[inline(always)]
    fn socket_shutdown(subject: &Subject, sock: &Socket, _how: c_int) -> Result {
        match subject.domain() {
            Some(domain) => shutdown(sock, domain),
            None => Ok(()),
        }
    }

    #[inline(always)]
    fn socket_getsockopt(subject: &Subject, sock: &Socket, level: c_int, optname: c_int) -> Result {
        match subject.domain() {
            Some(domain) => get_option(sock, level, optname, domain),
            None => Ok(()),
        }
    }

    #[inline(always)]
    fn socket_setsockopt(subject: &Subject, sock: &Socket, level: c_int, optname: c_int) -> Result {
        match subject.domain() {
            Some(domain) => set_option(sock, level, optname, domain),
            None => Ok(()),
        }
    }

    #[inline(always)]
    fn socket_sendmsg(subject: &Subject, sock: &Socket, msg: &Msg, _size: usize) -> Result {
        match subject.domain() {
            Some(domain) => send(sock, msg, domain),
            None => Ok(()),
        }
    }
}

// A task without a domain pays nothing for what follows, which is not inlined: no register is saved for
// it, and no argument is moved, since the arguments have the order of the hooks'.

#[inline(never)]
fn create(family: c_int, type_: c_int, protocol: c_int, kern: bool, subject: &Subject) -> Result {
    let params = SocketParams {
        family,
        type_,
        protocol,
        kern,
    };

    match subject.domain() {
        Some(domain) if !kern => check_creation(domain, params),
        _ => Ok(()),
    }
}

#[inline(never)]
fn bind(sock: &Socket, address: Sockaddr<'_>, domain: &Domain) -> Result {
    let kind = sock.sk().kind();
    let family = kind.family();

    if kind.is_tcp() {
        check(sock.sk(), address, domain, family, Access::BindTcp)
    } else if let Some(udp) = kind.as_udp() {
        bind_udp(udp, address, domain, family)
    } else {
        other(sock, address, domain, Access::BindTcp)
    }
}

#[inline(never)]
fn connect(sock: &Socket, address: Sockaddr<'_>, domain: &Domain) -> Result {
    let kind = sock.sk().kind();
    let family = kind.family();

    if kind.is_tcp() {
        check(sock.sk(), address, domain, family, Access::ConnectTcp)
    } else if let Some(udp) = kind.as_udp() {
        connect_udp(udp, address, domain, family)
    } else {
        other(sock, address, domain, Access::ConnectTcp)
    }
}

#[inline(never)]
fn send(sock: &Socket, msg: &Msg, domain: &Domain) -> Result {
    let kind = sock.sk().kind();
    let family = kind.family();

    if let Some(udp) = kind.as_udp() {
        send_udp(domain, udp, family, msg)
    } else if msg.flags() & MSG_FASTOPEN != 0 {
        fast_open(sock, msg, domain)
    } else if !domain.handles_any(Access::SendTcp.into()) {
        Ok(())
    } else if kind.is_tcp() || kind.is_mptcp() {
        check_transfer::<true>(domain, sock, Some(msg))
    } else {
        other_transfer(sock, domain, Access::SendTcp, Some(msg))
    }
}

/// TCP Fast Open: with an address, `msg` connects the socket and is sent there.
///
/// A socket that has a peer sends to it, whatever the address is.
#[cold]
#[inline(never)]
fn fast_open(sock: &Socket, msg: &Msg, domain: &Domain) -> Result {
    let kind = sock.sk().kind();

    let Some(address) = msg.name() else {
        return other_transfer(sock, domain, Access::SendTcp, Some(msg));
    };
    if !kind.is_tcp() && !kind.is_mptcp() {
        other(sock, address, domain, Access::ConnectTcp)?;
        return other_transfer(sock, domain, Access::SendTcp, Some(msg));
    }

    let call = Call {
        is_mptcp: kind.is_mptcp(),
        msg: Some(msg),
        ..Call::plain(sock.sk(), address, domain, Access::ConnectTcp)
    };

    check_call(&call)?;
    check_fast_open(&call, sock)
}

#[inline(never)]
fn receive(sock: &Socket, domain: &Domain) -> Result {
    let kind = sock.sk().kind();
    let access = Access::ReceiveTcp;

    if !domain.handles_any(access | Access::ReceiveUdp) {
        Ok(())
    } else if kind.is_tcp() || kind.is_mptcp() {
        check_transfer::<false>(domain, sock, None)
    } else if kind.is_udp() {
        receive_udp(sock, domain)
    } else {
        other_transfer(sock, domain, access, None)
    }
}

/// Sending and receiving in ways that few programs use, and on SMC sockets, which is refused.
#[cold]
#[inline(never)]
fn other_transfer(sock: &Socket, domain: &Domain, access: Access, msg: Option<&Msg>) -> Result {
    let kind = sock.sk().kind();

    if kind.is_smc() {
        check_smc_use(domain, sock, access)
    } else if kind.is_tcp() || kind.is_mptcp() {
        decide_transfer(domain, sock, access, msg)
    } else {
        Ok(())
    }
}

/// What is not sent or received: `tcp` is the right for TCP, MPTCP and SMC, and `udp` that for UDP.
#[inline(never)]
fn use_service(sock: &Socket, domain: &Domain, tcp: Access, udp: Access) -> Result {
    let kind = sock.sk().kind();

    if kind.is_tcp() || kind.is_mptcp() {
        check_use(domain, sock, tcp)
    } else if kind.is_udp() {
        check_use(domain, sock, udp)
    } else if kind.is_smc() {
        check_smc_use(domain, sock, tcp)
    } else {
        Ok(())
    }
}

#[inline(never)]
fn shutdown(sock: &Socket, domain: &Domain) -> Result {
    let (tcp, udp) = (Access::ShutdownTcp, Access::ShutdownUdp);

    if domain.handles_any(tcp | udp) {
        use_service(sock, domain, tcp, udp)
    } else {
        Ok(())
    }
}

#[inline(never)]
fn get_option(sock: &Socket, level: c_int, option: c_int, domain: &Domain) -> Result {
    let handled = Access::GetsockoptTcp | Access::GetsockoptUdp | Access::ReceiveTcp;

    if domain.handles_any(handled) {
        get_checked_option(sock, level, option, domain)
    } else {
        Ok(())
    }
}

#[inline(never)]
fn get_checked_option(sock: &Socket, level: c_int, option: c_int, domain: &Domain) -> Result {
    let (tcp, udp) = (Access::GetsockoptTcp, Access::GetsockoptUdp);

    if domain.handles_any(tcp | udp) {
        use_service(sock, domain, tcp, udp)?;
    }
    if is_receive(level, option) {
        other_transfer(sock, domain, Access::ReceiveTcp, None)
    } else {
        Ok(())
    }
}

#[inline(never)]
fn set_option(sock: &Socket, level: c_int, option: c_int, domain: &Domain) -> Result {
    let handled = Access::SetsockoptTcp
        | Access::SetsockoptUdp
        | AccessSet::TRANSFER_TCP
        | Access::ReceiveUdp;

    // Some options are about rules with addresses, or about what is sent and received.
    if domain.handles_any(handled) || domain.is_about_addresses(AccessSet::TCP | AccessSet::UDP) {
        set_checked_option(sock, level, option, domain)
    } else {
        Ok(())
    }
}

#[inline(never)]
fn set_checked_option(sock: &Socket, level: c_int, option: c_int, domain: &Domain) -> Result {
    let (tcp, udp) = (Access::SetsockoptTcp, Access::SetsockoptUdp);

    check_option(domain, sock.sk(), level, option)?;
    if domain.handles_any(tcp | udp) {
        use_service(sock, domain, tcp, udp)?;
    }
    if is_transfer(level, option) {
        other_transfer(sock, domain, Access::ReceiveTcp, None)?;
        other_transfer(sock, domain, Access::SendTcp, None)?;
    }
    Ok(())
}

/// What does not listen has nothing to accept, as the stack will say.
#[inline(never)]
fn accept(sock: &Socket, domain: &Domain) -> Result {
    let kind = sock.sk().kind();

    if kind.is_smc() {
        check_smc_use(domain, sock, Access::AcceptTcp)
    } else if (kind.is_tcp() || kind.is_mptcp()) && sock.sk().is_listening() {
        check_listener(domain, sock)
    } else {
        Ok(())
    }
}

#[inline(always)]
fn note_accepted(listener: &Socket, accepted: &Socket, subject: &Subject) -> Result {
    let sk = accepted.sk();
    let kind = sk.kind();

    if !kind.is_tcp() && !kind.is_mptcp() {
        return Ok(());
    }

    let flow = Flow::of(accepted, kind);
    let listener = listener.sk().make_cookie();

    // Fails closed: there is room in all sockets that are accepted.
    Carried::of(sk)
        .ok_or(EACCES)?
        .accepted
        .note(&flow, listener);
    match subject.domain() {
        Some(domain) => check_accepted(domain, accepted, &flow, listener),
        None => Ok(()),
    }
}

/// What is neither TCP nor UDP: MPTCP counts as TCP in extended layers, which refuse SMC.
#[cold]
#[inline(never)]
fn other(sock: &Socket, address: Sockaddr<'_>, domain: &Domain, access: Access) -> Result {
    let kind = sock.sk().kind();

    if kind.is_smc() {
        check_smc(domain, sock.sk(), Some(address), access)
    } else if kind.is_mptcp() {
        check_call(&Call {
            is_mptcp: true,
            ..Call::plain(sock.sk(), address, domain, access)
        })
    } else {
        Ok(())
    }
}

/// Under an SMC socket is one of TCP that the kernel made for itself, which is not checked.
#[inline(never)]
fn listen_smc(sock: &Socket, domain: &Domain) -> Result {
    if sock.sk().kind().is_smc() {
        check_smc(domain, sock.sk(), None, Access::ListenTcp)
    } else {
        Ok(())
    }
}

/// The socket is not one of the kernel's own, and TCP or MPTCP, or there is nothing to check.
#[inline(never)]
fn listen(sk: &LockedSock, domain: &Domain) -> Result {
    let Some(sock) = sk.socket() else {
        return Ok(());
    };
    let kind = sock.sk().kind();

    if (kind.is_tcp() || kind.is_mptcp()) && !is_kernels(sock) {
        check_listen(domain, sk, sock.sk(), kind.is_mptcp())
    } else {
        Ok(())
    }
}

#[inline(never)]
fn bind_udp(udp: &UdpSock, address: Sockaddr<'_>, domain: &Domain, family: u16) -> Result {
    check(udp, address, domain, family, Access::BindUdp)
}

#[inline(never)]
fn connect_udp(udp: &UdpSock, address: Sockaddr<'_>, domain: &Domain, family: u16) -> Result {
    check_udp_connect(udp, address, domain, family)
}

#[inline(never)]
fn receive_udp(sock: &Socket, domain: &Domain) -> Result {
    check_receive_udp(domain, sock)
}

#[inline(never)]
fn send_udp(domain: &Domain, udp: &UdpSock, family: u16, msg: &Msg) -> Result {
    check_udp_send(domain, udp, family, msg)
}
