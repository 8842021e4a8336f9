// SPDX-License-Identifier: GPL-2.0

//! Socket and credential hooks: translate, ask the domain, refuse.

use crate::{
    access::Access,
    address::{
        self,
        Asked,
        Use, //
    },
    denial,
    domain::Domain,
    landlock::{
        self,
        Denial, //
    },
    Portlock, //
};
use kernel::{
    lsm::{
        CredBlob,
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
    prelude::*,
    sync::Arc, //
};

/// What Portlock keeps in each credential.
#[derive(Zeroable)]
pub(crate) struct Subject {
    /// The domain that holds the task, if there is one.
    domain: Option<Arc<Domain>>,
}

impl Subject {
    /// The domain that holds the task, if there is one.
    #[inline]
    pub(crate) fn domain(&self) -> Option<&Domain> {
        self.domain.as_deref()
    }

    /// Puts the task under `domain`.
    pub(crate) fn enter(&mut self, domain: Arc<Domain>) {
        if let Some(old) = self.domain.replace(domain) {
            Domain::put(old);
        }
    }
}

impl CredBlob for Subject {
    fn inherit(&self) -> Self {
        Self {
            domain: self.domain.clone(),
        }
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // Credentials are freed in an RCU callback.
        if let Some(domain) = self.domain.take() {
            Domain::put(domain);
        }
    }
}

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

// A task without a domain pays for nothing of what follows: neither for registers that are saved, nor
// for arguments that are moved, since they come in the order of the hooks.

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
    } else if msg.flags() & landlock::MSG_FASTOPEN != 0 && kind.is_tcp() {
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
    if address::may_autobind(address.bytes()) {
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

/// Whether `domain` lets `sk`, which is of `kind`, use `address` for what `access` is about.
///
/// Returns `EINVAL` or `EAFNOSUPPORT` for an address that the network stack would refuse, else
/// `EACCES` for one that a layer refuses.
#[inline(always)]
fn check(
    domain: &Domain,
    sk: &Sock,
    kind: SockKind,
    address: Sockaddr<'_>,
    used: Use,
    access: Access,
) -> Result {
    // What most calls ask. All else is decided from the beginning, out of line.
    match address::plain_port(address, kind.family()) {
        Some(port) if domain.allows(port, access) && !landlock::checks_are_traced() => Ok(()),
        Some(_) if !landlock::checks_are_traced() => {
            refuse_plain(domain, sk, address.bytes(), kind.family(), access)
        }
        _ => check_in_full(domain, sk, address.bytes(), used, access),
    }
}

/// Refuses `access` on the port of `address`, which is of the socket's family and long enough.
#[cold]
#[inline(never)]
fn refuse_plain(
    domain: &Domain,
    sk: &Sock,
    address: &[u8],
    socket_family: u16,
    access: Access,
) -> Result {
    let asked = match address {
        [_, _, high, low, ..] => Asked::Port(u16::from_be_bytes([*high, *low])),
        _ => Asked::Unknowable,
    };

    refuse(domain, sk, address, socket_family, asked, access)
}

/// [`check`], in C Landlock's order.
#[cold]
#[inline(never)]
fn check_in_full(domain: &Domain, sk: &Sock, address: &[u8], used: Use, access: Access) -> Result {
    // With no layer that handles the right, even a wrong address is left to the stack.
    if !domain.handles(access) {
        return Ok(());
    }

    // The socket is not locked: IPV6_ADDRFORM may change the family, which is read once.
    let socket_family = sk.family();
    let asked = address::asked(address, socket_family, used)?;

    match asked {
        Asked::Nothing => return Ok(()),
        Asked::Port(port) => {
            if landlock::checks_are_traced() {
                denial::trace_check(domain, port, access);
            }
            if domain.allows(port, access) {
                return Ok(());
            }
        }
        Asked::Unknowable => {}
    }

    refuse(domain, sk, address, socket_family, asked, access)
}

/// Returns `EACCES` for what `asked` says of `address`, and lets it be logged.
#[inline(always)]
fn refuse(
    domain: &Domain,
    sk: &Sock,
    address: &[u8],
    socket_family: u16,
    asked: Asked,
    access: Access,
) -> Result {
    Err(denial::refuse(
        domain,
        &Denial {
            sk,
            socket_family,
            address,
            asked,
            access,
        },
    ))
}

/// Whether `domain` lets a UDP socket get a local port, if it has none: connect and send bind it
/// then, which is checked as a bind to port 0.
#[inline]
fn check_udp_autobind(domain: &Domain, sk: &Sock) -> Result {
    if !domain.handles(Access::BindUdp) {
        return Ok(());
    }
    check_unbound(domain, sk)
}

/// [`check_udp_autobind`], for a domain that asks for the port.
#[inline(never)]
fn check_unbound(domain: &Domain, sk: &Sock) -> Result {
    if sk.local_port() != 0 {
        return Ok(());
    }

    // The address that a program would pass: as long as any, zero but for the family.
    let mut address = [0; landlock::SOCKADDR_STORAGE_LEN];
    let [family_0, family_1] = sk.family().to_ne_bytes();

    [address[0], address[1]] = [family_0, family_1];
    check_in_full(domain, sk, &address, Use::Bind, Access::BindUdp)
}
