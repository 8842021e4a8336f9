// SPDX-License-Identifier: GPL-2.0

//! The decision: may this socket use this address?

use crate::{
    abi::SOCKADDR_STORAGE_LEN,
    access::{
        Access,
        AccessSet,
        Permission, //
    },
    denial::{
        self,
        Refusal,
        Right, //
    },
    domain::{
        Domain,
        Question, //
    },
    endpoint::{
        self,
        Address,
        Asked,
        Use, //
    },
    landlock::{
        self,
        About,
        Denial, //
    },
    opened::Cookies,
    socket::Carried,
    way::{
        self,
        Way, //
    }, //
};
use core::net::IpAddr;
use kernel::{
    net::socket::{
        LockedSock,
        Msg,
        Sock,
        Sockaddr,
        SocketParams,
        UdpSock, //
    },
    prelude::*, //
};

/// A call that uses an address.
pub(crate) struct Call<'a> {
    pub(crate) domain: &'a Domain,
    pub(crate) sk: &'a Sock,
    /// What the program passed, or what stands for it.
    pub(crate) address: &'a [u8],
    pub(crate) used: Use,
    pub(crate) access: Access,
    /// Whether the socket is one of MPTCP: only extended layers are about it.
    pub(crate) is_mptcp: bool,
    /// That of [`Cookies`], if what is asked may be granted by it.
    pub(crate) listener: u64,
    /// The message that is sent, if one is.
    pub(crate) msg: Option<&'a Msg>,
}

impl<'a> Call<'a> {
    /// A call that binds or connects `sk`, which is not one of MPTCP, and sends nothing.
    pub(crate) fn plain(
        sk: &'a Sock,
        address: Sockaddr<'a>,
        domain: &'a Domain,
        access: Access,
    ) -> Self {
        Self {
            domain,
            sk,
            address: address.bytes(),
            used: Use::of(access),
            access,
            is_mptcp: false,
            listener: 0,
            msg: None,
        }
    }
}

/// Whether `domain` lets `sk`, whose family was `socket_family`, bind or connect to `address`, which
/// `access` is about.
///
/// Returns `EINVAL` or `EAFNOSUPPORT` for an address that the network stack would refuse, else
/// `EACCES` for one that a layer refuses.
///
/// The answer is that of [`decide`]. What most calls ask is answered here: then `decide` would say
/// the same.
#[inline(always)]
pub(crate) fn check(
    sk: &Sock,
    address: Sockaddr<'_>,
    domain: &Domain,
    socket_family: u16,
    access: Access,
) -> Result {
    let Some(port) = endpoint::plain_port(address, socket_family) else {
        return decide(sk, address, domain, access);
    };

    if !domain.allows(port, access) {
        if domain.is_uniform() {
            check_address::<true>(sk, address, domain, port, access)
        } else {
            check_address::<false>(sk, address, domain, port, access)
        }
    } else if landlock::checks_are_traced() {
        decide(sk, address, domain, access)
    } else if endpoint::may_be_of_a_link(address) {
        check_device(sk, address, domain, access)
    } else {
        Ok(())
    }
}

/// [`check`], where the port is allowed whatever the address: what is left to do with an address that
/// may bind the socket to a device.
#[cold]
#[inline(never)]
fn check_device(sk: &Sock, address: Sockaddr<'_>, domain: &Domain, access: Access) -> Result {
    note_device(&Call::plain(sk, address, domain, access))
}

/// [`check`], where the port alone does not tell: rules about addresses may grant what is asked.
///
/// Here too, what most calls ask is answered as [`decide`] would. `IS_UNIFORM` is whether the domain
/// is uniform.
#[inline(never)]
fn check_address<const IS_UNIFORM: bool>(
    sk: &Sock,
    address: Sockaddr<'_>,
    domain: &Domain,
    port: u16,
    access: Access,
) -> Result {
    if is_granted_at_address::<IS_UNIFORM>(sk, address, domain, port, access) {
        Ok(())
    } else {
        decide(sk, address, domain, access)
    }
}

/// Whether each layer grants what a call asks for. Its address is of no link, and it need not be traced
/// or noted. The address is of the socket's own family, and has the port.
#[inline(always)]
fn is_granted_at_address<const IS_UNIFORM: bool>(
    sk: &Sock,
    address: Sockaddr<'_>,
    domain: &Domain,
    port: u16,
    access: Access,
) -> bool {
    // It costs no more to ask one ruleset than whether there is something to ask.
    if landlock::checks_are_traced() || !IS_UNIFORM && !domain.is_about_addresses_alone(access) {
        return false;
    }

    let Some(address) = endpoint::address(address) else {
        return false;
    };

    if !address.can_match(access) || address.may_be_of_a_link() {
        return false;
    }

    let question = Question {
        address: Some(address),
        net: sk.net_cookie(),
        ..Question::new(access, Some(port), false)
    };
    let is_granted = if IS_UNIFORM {
        domain.grants_uniformly(&question)
    } else {
        domain.grants_at_address(&question)
    };

    is_granted && !Way::of(sk, None).is_own(None) && is_marked(sk)
}

/// Notes that `sk` carries what rules about addresses grant, if it cannot have been bound to a device
/// meanwhile.
#[inline]
fn is_marked(sk: &Sock) -> bool {
    Carried::of(sk).is_some_and(|carried| carried.mark.grant_by_address().is_ok())
}

/// Whether `sk` may have been bound to a device by a call that was let through.
fn may_name_device(sk: &Sock) -> bool {
    Carried::of(sk).is_none_or(|carried| carried.mark.may_name_device())
}

/// [`check`], for a UDP socket that connects to `address`, which may give it a local port.
#[inline(always)]
pub(crate) fn check_udp_connect(
    udp: &UdpSock,
    address: Sockaddr<'_>,
    domain: &Domain,
    socket_family: u16,
) -> Result {
    let access = Access::ConnectSendUdp;
    let port = endpoint::plain_port(address, socket_family);

    if port.is_some_and(|port| domain.allows(port, access))
        && !landlock::checks_are_traced()
        && !endpoint::may_be_of_a_link(address)
        && may_get_port(domain, udp)
    {
        Ok(())
    } else {
        decide_udp_connect(udp, address, domain)
    }
}

/// [`check`], for a UDP socket that sends `msg`, which may give it a local port.
///
/// Without a destination this is like a write to an open file, unless control messages choose a way.
#[inline(always)]
pub(crate) fn check_udp_send(
    domain: &Domain,
    udp: &UdpSock,
    socket_family: u16,
    msg: &Msg,
) -> Result {
    let access = Access::ConnectSendUdp;
    let is_allowed = match msg.name() {
        Some(name) => endpoint::plain_port(name, socket_family)
            .is_some_and(|port| domain.allows(port, access) && !landlock::checks_are_traced()),
        None => !domain.is_about_addresses(AccessSet::UDP),
    };

    if is_allowed && may_get_port(domain, udp) {
        Ok(())
    } else {
        decide_udp_send(domain, udp, msg)
    }
}

/// Whether `udp` surely has a local port, or may get any.
#[inline(always)]
fn may_get_port(domain: &Domain, udp: &UdpSock) -> bool {
    !domain.handles(Access::BindUdp, false) || udp.is_known_bound()
}

/// [`check`], step by step.
#[cold]
#[inline(never)]
fn decide(sk: &Sock, address: Sockaddr<'_>, domain: &Domain, access: Access) -> Result {
    check_call(&Call::plain(sk, address, domain, access))
}

/// [`check_udp_connect`], step by step.
#[cold]
#[inline(never)]
fn decide_udp_connect(udp: &UdpSock, address: Sockaddr<'_>, domain: &Domain) -> Result {
    decide(udp, address, domain, Access::ConnectSendUdp)?;
    if endpoint::may_autobind(address.bytes()) {
        return check_udp_autobind(domain, udp, None);
    }
    if endpoint::drops_peer(address.bytes()) {
        note_lost_port(domain, udp);
    }
    Ok(())
}

/// Notes that `udp`, which is about to drop its peer, loses its port with that if the kernel has chosen
/// it, or chooses one before.
///
/// A port that bind(2) named stays, and a socket that has one keeps it until it is closed.
fn note_lost_port(domain: &Domain, udp: &UdpSock) {
    if domain.handles(Access::ReceiveUdp, false) && !udp.is_port_named() {
        if let Some(carried) = Carried::of(udp) {
            carried.lost_port.note();
        }
    }
}

/// [`check_udp_send`], step by step.
#[cold]
#[inline(never)]
fn decide_udp_send(domain: &Domain, udp: &UdpSock, msg: &Msg) -> Result {
    match msg.name() {
        Some(name) => judge(&Call {
            domain,
            sk: udp,
            address: name.bytes(),
            used: Use::Send,
            access: Access::ConnectSendUdp,
            is_mptcp: false,
            listener: 0,
            msg: Some(msg),
        })?,
        None => check_way_to_peer(domain, udp, msg)?,
    }
    check_udp_autobind(domain, udp, Some(msg))
}

/// [`check`], of any call: what the rules say, and whether it may bind the socket to a device.
pub(crate) fn check_call(call: &Call<'_>) -> Result {
    judge(call)?;
    note_device(call)
}

/// What the rules say, in the order of C Landlock's `current_check_access_socket()`: which error a
/// program gets for two mistakes is part of the interface.
pub(crate) fn judge(call: &Call<'_>) -> Result {
    let Call { domain, access, .. } = *call;

    // If no layer handles the right, even a wrong address is left to the stack.
    if !domain.handles(access, call.is_mptcp) {
        return Ok(());
    }

    // The socket is not locked: IPV6_ADDRFORM may change the family, so it is read once.
    let socket_family = call.sk.family();
    let takes_ipv4 = access == Access::ConnectSendUdp && !domain.handles_plainly(access);
    let port = match endpoint::asked(call.address, socket_family, call.used, takes_ipv4)? {
        Asked::Nothing => return Ok(()),
        Asked::Port(port) => Some(port),
        Asked::Unknowable => None,
    };
    let mut question = Question::new(access, port, call.is_mptcp);
    let address = endpoint::address(call.address.into());

    if let Some(port) = port {
        // The event is Landlock's.
        if landlock::checks_are_traced() && AccessSet::LANDLOCK.contains(access) {
            denial::trace_check(domain, port, access);
        }
        let own_way = || Way::of(call.sk, call.msg);
        let cookies = || Cookies {
            own: call.sk.cookie(),
            listener: call.listener,
        };

        if is_granted(domain, &mut question, call.sk, cookies, own_way, || {
            address.filter(|address| address.can_match(access))
        }) {
            return Ok(());
        }
    }
    refuse(call, socket_family, &question, address)
}

/// Refuses what `question` asks, in those layers that do not grant it.
#[cold]
#[inline(never)]
fn refuse(
    call: &Call<'_>,
    socket_family: u16,
    question: &Question,
    address: Option<Address>,
) -> Result {
    let access = question.access;
    let about = match (question.port, address) {
        (None, _) => About::Socket(call.sk),
        (Some(port), Some(address)) if access.is_about_local() => {
            About::Local(call.sk, port, address.into())
        }
        (Some(port), address) => About::Service {
            sk: call.sk,
            port,
            is_local: access.is_about_local(),
            peer: address.map(IpAddr::from),
        },
    };
    let denial = AccessSet::LANDLOCK.contains(access).then_some(Denial {
        sk: call.sk,
        socket_family,
        address: call.address,
        names_port: question.port.is_some(),
        access,
    });
    let refusal = Refusal {
        right: access.into(),
        about,
        denial,
    };

    refusal.by_some(call.domain.refusing(question))
}

/// Whether all layers of `domain` grant what `question` asks of `sk`: at any address, as one of
/// `cookies`, or at the address that `address` reads unless the socket goes its own way.
///
/// The question gets what it was answered by, by which a refusal is explained. If a layer refuses that
/// is not permissive, the socket is not marked.
pub(crate) fn is_granted(
    domain: &Domain,
    question: &mut Question,
    sk: &Sock,
    cookies: impl Fn() -> Cookies,
    own_way: impl Fn() -> Way,
    address: impl Fn() -> Option<Address>,
) -> bool {
    if domain.allows_by_port(question) {
        return true;
    }
    if domain.is_about_sockets(question.access) {
        question.cookies = cookies();
    }
    // Rules about addresses that grant nothing may keep a refusal out of the logs.
    question.address = address().filter(|address| {
        !own_way().is_own(Some(address)) && (address.is_of_a_link() || !may_name_device(sk))
    });
    question.net = sk.net_cookie();

    if !domain.is_about_more_than_ports(question.access.into()) {
        return false;
    }

    let answer = domain.answer(question);
    // A device is part of a link-local address: it does no harm.
    let is_of_a_link = question.address.as_ref().is_some_and(Address::is_of_a_link);

    if answer.is_by_address && !answer.is_refused && !is_of_a_link && !is_marked(sk) {
        // Then only rules without an address match.
        question.address = None;
        return false;
    }
    answer.is_granted
}

/// Notes that the call may bind the socket to a device, or refuses that.
fn note_device(call: &Call<'_>) -> Result {
    let protocol = call.access.protocol();

    if !call.domain.is_about_addresses(protocol)
        || !endpoint::names_device(call.address, call.used)
        || Carried::of(call.sk).is_some_and(|carried| carried.mark.name_device().is_ok())
    {
        return Ok(());
    }
    refuse_way(call.domain, call.sk, call.access)
}

/// Refuses that `sk` gets a way of its own by what `access` is about, in the layers that have rules
/// about addresses for its protocol. There is one.
fn refuse_way(domain: &Domain, sk: &Sock, access: Access) -> Result {
    let refusal = Refusal::new(access, About::Socket(sk));

    refusal.by_some(domain.watching(access.protocol()))
}

/// Whether `domain` lets a task set an option of `sk`.
///
/// With rules about addresses for its protocol, a socket must not choose its own way. If a layer handles
/// what it receives, it must not get a filter. Returns `EACCES`, whatever the value.
#[inline(never)]
pub(crate) fn check_option(domain: &Domain, sk: &Sock, level: c_int, option: c_int) -> Result {
    let kind = sk.kind();
    // An SMC socket sets options of its TCP socket.
    let (access, receive) = if kind.is_tcp() || kind.is_mptcp() || kind.is_smc() {
        (Access::SetsockoptTcp, Access::ReceiveTcp)
    } else if kind.is_udp() {
        (Access::SetsockoptUdp, Access::ReceiveUdp)
    } else {
        return Ok(());
    };
    let protocol = access.protocol();

    if domain.is_about_addresses(protocol)
        && (way::is_own_way(level, option)
            || protocol == AccessSet::TCP && way::is_join(level, option))
    {
        return refuse_way(domain, sk, access);
    }
    if way::is_filter(level, option) {
        return Refusal::new(access, About::Socket(sk)).by(domain.handling(receive));
    }
    Ok(())
}

/// Whether `domain` lets `udp` send `msg`, which names no destination, to its peer.
///
/// Where control messages choose a way, each layer with rules about addresses must grant the peer's
/// port whatever the address. Another thread may give the socket another peer meanwhile, so it must
/// not be granted one by its address. Returns `EACCES`.
fn check_way_to_peer(domain: &Domain, udp: &UdpSock, msg: &Msg) -> Result {
    let way = Way::of_message(msg);

    if !domain.is_about_addresses(AccessSet::UDP) || !way.is_own(None) {
        return Ok(());
    }

    let (port, address) = udp.peer();
    let question = Question {
        cookies: Cookies::of(udp.cookie()),
        ..Question::new(Access::ConnectSendUdp, Some(port), false)
    };

    if way.is_own(Some(&address.into())) {
        let refusal = Refusal::new(question.access, About::Peer(udp, port, address));

        refusal.by(domain.refusing_way(&question))?;
    }
    if Carried::of(udp).is_some_and(|carried| carried.mark.name_device().is_ok()) {
        return Ok(());
    }
    refuse_way(domain, udp, question.access)
}

/// Whether `domain` lets `sk` become a listener on its local port and address. `owner` is what the
/// task has: `sk` itself, or for MPTCP the socket that `sk` is a subflow of.
///
/// Returns `EACCES` if a layer refuses. Must not sleep.
pub(crate) fn check_listen(
    domain: &Domain,
    sk: &LockedSock,
    owner: &Sock,
    is_mptcp: bool,
) -> Result {
    let access = Access::ListenTcp;

    if !domain.handles(access, is_mptcp) {
        return Ok(());
    }

    let mut question = Question::new(access, Some(sk.port()), is_mptcp);

    if is_granted(
        domain,
        &mut question,
        owner,
        || Cookies::of(owner.cookie()),
        || Way::of(sk, None),
        || Some(sk.address().into()),
    ) {
        return Ok(());
    }

    let refusal = Refusal::new(access, About::Local(owner, sk.port(), sk.address()));

    refusal.by_some(domain.refusing(&question))
}

/// Whether `domain` lets an SMC socket do what `access` is about, with `address` if it uses one.
///
/// Extended layers that handle a right of TCP refuse it: under the socket is one of TCP, which no hook
/// would see. Where rules are about addresses, that one must not be bound to a device either. Returns
/// `EACCES`.
pub(crate) fn check_smc(
    domain: &Domain,
    sk: &Sock,
    address: Option<Sockaddr<'_>>,
    access: Access,
) -> Result {
    Refusal::new(access, About::Socket(sk)).by(domain.handling(access))?;

    let names_device =
        address.is_some_and(|address| endpoint::names_device(address.bytes(), Use::of(access)));

    if names_device && domain.is_about_addresses(AccessSet::TCP) {
        return refuse_way(domain, sk, access);
    }
    Ok(())
}

/// Whether `domain` lets a task create a socket.
///
/// Returns `EACCES` if a layer refuses.
pub(crate) fn check_creation(domain: &Domain, params: SocketParams) -> Result {
    let SocketParams {
        family,
        type_,
        protocol,
        ..
    } = params;
    let right = Right::Permission(Permission::SocketCreate);

    if !domain.handles_permission(Permission::SocketCreate) {
        return Ok(());
    }
    Refusal::new(right, About::Kind(params)).by(domain.refusing_creation(family, type_, protocol))
}

/// Whether `domain` lets `udp` get a local port, if it has none.
///
/// A call that connects or sends gives it one then, which is checked as a bind to port 0. Returns
/// `EACCES` if a layer refuses. This is C Landlock's `current_check_autobind_udp_socket()`, except
/// that a socket that is known to be bound is not locked.
fn check_udp_autobind(domain: &Domain, udp: &UdpSock, msg: Option<&Msg>) -> Result {
    if may_get_port(domain, udp) || udp.local_port() != 0 {
        return Ok(());
    }

    // The address that a program would pass: as long as any, zero except for the family.
    let mut address = [0; SOCKADDR_STORAGE_LEN];
    let [family_0, family_1] = udp.family().to_ne_bytes();

    [address[0], address[1]] = [family_0, family_1];
    judge(&Call {
        domain,
        sk: udp,
        address: &address,
        used: Use::Bind,
        access: Access::BindUdp,
        is_mptcp: false,
        listener: 0,
        msg,
    })
}
