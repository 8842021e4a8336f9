// SPDX-License-Identifier: GPL-2.0

//! The hooks: which right is asked for, and what the address is used for. The verdict decides.

use crate::{
    abi::MSG_FASTOPEN,
    access::Access,
    domain::Domain,
    endpoint::{
        self,
        Use, //
    },
    subject::Subject,
    verdict::{
        check,
        check_udp_autobind, //
    },
    Portlock, //
};
use kernel::{
    lsm::{
        Hooks,
        Lsm, //
    },
    net::socket::{
        Msg,
        Sock,
        SockKind,
        Sockaddr,
        Socket, //
    },
    prelude::*, //
};

#[vtable]
impl Lsm for Portlock {
    type Cred = Subject;
    type Sock = ();

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
fn bind(sock: &Socket, address: Sockaddr<'_>, domain: &Domain) -> Result {
    let sk = sock.sk();
    let kind = sk.kind();

    if kind.is_tcp() {
        check(domain, sk, kind, address, Use::Bind, Access::BindTcp)
    } else if kind.is_udp() {
        bind_udp(domain, sk, kind, address)
    } else {
        Ok(())
    }
}

#[inline(never)]
fn connect(sock: &Socket, address: Sockaddr<'_>, domain: &Domain) -> Result {
    let sk = sock.sk();
    let kind = sk.kind();

    if kind.is_tcp() {
        check(domain, sk, kind, address, Use::Connect, Access::ConnectTcp)
    } else if kind.is_udp() {
        connect_udp(domain, sk, kind, address)
    } else {
        Ok(())
    }
}

#[inline(never)]
fn send(sock: &Socket, msg: &Msg, domain: &Domain) -> Result {
    let sk = sock.sk();
    let kind = sk.kind();

    if kind.is_udp() {
        send_udp(domain, sk, kind, msg)
    } else if msg.flags() & MSG_FASTOPEN != 0 && kind.is_tcp() {
        match msg.name() {
            Some(name) => check(domain, sk, kind, name, Use::Connect, Access::ConnectTcp),
            None => Ok(()),
        }
    } else {
        Ok(())
    }
}

#[inline(never)]
fn bind_udp(domain: &Domain, sk: &Sock, kind: SockKind, address: Sockaddr<'_>) -> Result {
    check(domain, sk, kind, address, Use::Bind, Access::BindUdp)
}

#[inline(never)]
fn connect_udp(domain: &Domain, sk: &Sock, kind: SockKind, address: Sockaddr<'_>) -> Result {
    let access = Access::ConnectSendUdp;

    check(domain, sk, kind, address, Use::Connect, access)?;
    if endpoint::may_autobind(address.bytes()) {
        check_udp_autobind(domain, sk)
    } else {
        Ok(())
    }
}

#[inline(never)]
fn send_udp(domain: &Domain, sk: &Sock, kind: SockKind, msg: &Msg) -> Result {
    if let Some(name) = msg.name() {
        check(domain, sk, kind, name, Use::Send, Access::ConnectSendUdp)?;
    }
    check_udp_autobind(domain, sk)
}
