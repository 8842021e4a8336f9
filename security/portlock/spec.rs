// SPDX-License-Identifier: GPL-2.0

//! What "allowed" means: the specification of Portlock's network rules, as a program.
//!
//! [`Socket::answer`] and [`create_socket`] say what a stack of layers answers to a call, and what its
//! layers tell of it. [`create_ruleset`], [`create_observer`] and [`add_rule`] say which error a wrong
//! ruleset, observer or rule gets. Every rule of every layer is read, each time: what is fast is elsewhere and is compared
//! with this. The kernel's unit tests compile this file, and so can a program that predicts the
//! kernel's answers. So it needs only `core`, and nothing else of this folder.
//!
//! [`CASES`] at the end are examples. `rustc --edition 2021 --test spec.rs` makes a program that
//! tries them.

pub(crate) const BIND_TCP: u64 = 1 << 0;
pub(crate) const CONNECT_TCP: u64 = 1 << 1;
pub(crate) const BIND_UDP: u64 = 1 << 2;
pub(crate) const CONNECT_SEND_UDP: u64 = 1 << 3;
pub(crate) const LISTEN_TCP: u64 = 1 << 32;
pub(crate) const ACCEPT_TCP: u64 = 1 << 33;
pub(crate) const SEND_TCP: u64 = 1 << 34;
pub(crate) const RECEIVE_TCP: u64 = 1 << 35;
pub(crate) const SHUTDOWN_TCP: u64 = 1 << 36;
pub(crate) const GETSOCKOPT_TCP: u64 = 1 << 37;
pub(crate) const SETSOCKOPT_TCP: u64 = 1 << 38;
pub(crate) const RECEIVE_UDP: u64 = 1 << 39;
pub(crate) const SHUTDOWN_UDP: u64 = 1 << 40;
pub(crate) const GETSOCKOPT_UDP: u64 = 1 << 41;
pub(crate) const SETSOCKOPT_UDP: u64 = 1 << 42;
/// The rights of TCP, and of UDP, that a ruleset may handle.
pub(crate) const TCP: u64 = BIND_TCP
    | CONNECT_TCP
    | LISTEN_TCP
    | ACCEPT_TCP
    | SEND_TCP
    | RECEIVE_TCP
    | SHUTDOWN_TCP
    | GETSOCKOPT_TCP
    | SETSOCKOPT_TCP;
pub(crate) const UDP: u64 =
    BIND_UDP | CONNECT_SEND_UDP | RECEIVE_UDP | SHUTDOWN_UDP | GETSOCKOPT_UDP | SETSOCKOPT_UDP;
/// The only permission.
pub(crate) const SOCKET_CREATE: u64 = 1 << 32;

pub(crate) const E2BIG: i32 = 7;
pub(crate) const EACCES: i32 = 13;
pub(crate) const EFAULT: i32 = 14;
pub(crate) const EINVAL: i32 = 22;
pub(crate) const ENOMSG: i32 = 42;
pub(crate) const EAFNOSUPPORT: i32 = 97;

pub(crate) const AF_UNSPEC: u16 = 0;
pub(crate) const AF_INET: u16 = 2;
pub(crate) const AF_INET6: u16 = 10;
pub(crate) const AF_PACKET: u16 = 17;
pub(crate) const SOCK_PACKET: i32 = 10;

/// An address as it is matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Address {
    V4([u8; 4]),
    V6([u8; 16]),
}

use Address::{V4, V6};

impl Address {
    /// An IPv4-mapped IPv6 address is an IPv4 address.
    pub(crate) fn from_inet6(bytes: [u8; 16]) -> Self {
        match bytes {
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d] => V4([a, b, c, d]),
            _ => V6(bytes),
        }
    }

    pub(crate) const fn wildcard(family: u16) -> Self {
        match family {
            AF_INET => V4([0; 4]),
            _ => V6([0; 16]),
        }
    }

    fn is_in(self, (base, len): (Self, u32)) -> bool {
        match (self, base) {
            (V4(a), V4(b)) => first_bits_are_equal(&a, &b, len),
            (V6(a), V6(b)) => first_bits_are_equal(&a, &b, len),
            _ => false,
        }
    }

    /// Link-local or multicast: a device is part of the address. It is not part of 169.254.0.0/16,
    /// which Linux routes as any other unicast address of IPv4.
    fn has_device(self) -> bool {
        match self {
            V4([first, ..]) => first >> 4 == 14,
            V6([first, second, ..]) => first == 0xff || first == 0xfe && second >> 6 == 2,
        }
    }
}

fn first_bits_are_equal(a: &[u8], b: &[u8], len: u32) -> bool {
    (0..len as usize).all(|bit| (a[bit / 8] ^ b[bit / 8]) & 0x80 >> (bit % 8) == 0)
}

/// A rule for ports, or for ports and addresses. Port 0 is a port as any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) access: u64,
    pub(crate) quiet: bool,
    pub(crate) first: u16,
    pub(crate) last: u16,
    /// `None` (family 0) is any address; a prefix of length 0 is any address of one family.
    pub(crate) prefix: Option<(Address, u32)>,
}

/// A kind of sockets: the parameters of socket(2). In a rule, a type or protocol of -1 is any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) family: i32,
    pub(crate) kind: i32,
    pub(crate) protocol: i32,
}

/// An enforced ruleset.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layer<'a> {
    pub(crate) is_extended: bool,
    pub(crate) handled: u64,
    pub(crate) quiet: u64,
    pub(crate) permissions: u64,
    pub(crate) rules: &'a [Rule],
    pub(crate) kinds: &'a [Kind],
    /// The sockets that rules are about, by their cookies, each with the rights that are granted.
    pub(crate) opened: &'a [(u64, u64)],
    /// Whether it only tells what it would refuse.
    pub(crate) is_permissive: bool,
    /// The network namespace in which it was enforced, the only one where its prefixes match.
    pub(crate) netns: u64,
}

/// Layers that hold a task together, the oldest first, and who hears what they refuse.
#[derive(Clone, Copy)]
pub(crate) struct Stack<'a> {
    pub(crate) layers: &'a [Layer<'a>],
    pub(crate) tell: &'a dyn Fn(Record),
}

/// What an observer is told of a refusal by one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    /// The layer, counted from 0.
    pub(crate) layer: usize,
    /// The right, 0 for SOCKET_CREATE.
    pub(crate) right: u64,
    /// Whether a rule keeps it out of the logs, and from observers.
    pub(crate) is_quiet: bool,
    /// The port and the address that were asked about.
    pub(crate) asked: Option<(u16, Option<Address>)>,
}

impl Stack<'_> {
    /// Refuses what `right` is about in some layers, the youngest first, each with whether it is
    /// quiet. Each of them tells it. The first that is not permissive is the reason for EACCES.
    fn refuse(
        &self,
        layers: impl Iterator<Item = (usize, bool)>,
        right: u64,
        asked: Option<(u16, Option<Address>)>,
    ) -> Answer {
        let mut answer = Ok(());

        for (layer, is_quiet) in layers {
            (self.tell)(Record {
                layer,
                right,
                is_quiet,
                asked,
            });
            if answer.is_ok() && !self.layers[layer].is_permissive {
                answer = Err(Refused(layer, right, is_quiet));
            }
        }
        answer
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
    /// Counts as TCP in extended layers. Plain layers ignore it.
    Mptcp,
    /// Refused by extended layers that handle the right of TCP. Plain layers ignore it.
    Smc,
    /// [`create_socket`] alone is about it.
    Other,
}

use Protocol::{Mptcp, Other, Smc, Tcp, Udp};

/// How a socket, or a message in its control data, chooses its own way: then an address means
/// another host, and only rules without an address match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way {
    /// IP options, a routing header, a flow label, FREEBIND, TRANSPARENT, DONTROUTE.
    pub(crate) has_route: bool,
    /// The interface that `sk_bound_dev_if`, UNICAST_IF or PKTINFO names, else 0. If there are
    /// several, one that is not [`LOOPBACK`].
    pub(crate) device: u32,
}

/// The index of the loopback interface in every namespace. It is not a device here.
pub(crate) const LOOPBACK: u32 = 1;

impl Way {
    pub(crate) const NONE: Self = Self {
        has_route: false,
        device: 0,
    };

    fn is_own(self, address: Option<Address>) -> bool {
        let is_part_of_address = address.is_some_and(Address::has_device);

        self.has_route || ![0, LOOPBACK].contains(&self.device) && !is_part_of_address
    }
}

/// What is known of a socket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Socket {
    pub(crate) protocol: Protocol,
    pub(crate) family: u16,
    pub(crate) netns: u64,
    /// `sk_kern_sock` is set, or it has no file.
    pub(crate) is_kernel: bool,
    pub(crate) is_listening: bool,
    /// The source port and address: port 0 and the wildcard address if it is not bound.
    pub(crate) local: (u16, Address),
    /// Whether bind(2) named the port, and not the kernel.
    pub(crate) is_port_named: bool,
    pub(crate) peer: Option<(u16, Address)>,
    /// What `local` and `peer` were when accept(2) returned the socket, but for the local address.
    pub(crate) accepted: Option<(u16, (u16, Address))>,
    /// Its state is `SS_CONNECTED`.
    pub(crate) is_connected: bool,
    /// Its cookie, and that of the listener which accept(2) returned it from: 0 if there is none.
    pub(crate) cookie: u64,
    pub(crate) listener: u64,
    /// Set for ever, for UDP: it may have lost a port that bind(2) did not name. What came to it stays in
    /// the queue.
    pub(crate) has_lost_port: bool,
    pub(crate) way: Way,
    /// Set for ever: something was granted by a rule with an address.
    pub(crate) granted_by_address: bool,
    /// Set for ever: a bind or connect was let through that may bind it to a device.
    pub(crate) may_name_device: bool,
}

/// What is asked of a socket. Addresses are the bytes that a program passes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Call<'a> {
    Bind(&'a [u8]),
    Connect(&'a [u8]),
    /// The destination, whether there is MSG_FASTOPEN, and what the control data say.
    Send(Option<&'a [u8]>, bool, Way),
    /// After the network stack's test of the socket's state.
    Listen,
    /// Before a connection is taken from the queue.
    Accept,
    /// The same call, asked of the connection. A refusal closes it and is ECONNABORTED, not EACCES.
    Accepted,
    Receive,
    Shutdown,
    /// The level and the number of an option.
    GetOption(i32, i32),
    SetOption(i32, i32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The address is wrong, whatever the rules are: EINVAL or EAFNOSUPPORT.
    Error(i32),
    /// EACCES, because of a layer (the youngest that refuses, counted from 0) and a right (0 for
    /// SOCKET_CREATE). The last says whether it is kept out of the logs.
    Refused(usize, u64, bool),
}

use Failure::{Error, Refused};

pub(crate) type Answer = Result<(), Failure>;

impl Socket {
    /// The answer to `call`, and what it leaves behind in the socket for later ones.
    pub(crate) fn answer(&mut self, stack: &Stack<'_>, call: Call<'_>) -> Answer {
        let none = Way::NONE;

        match (self.protocol, call) {
            (Other, _) => Ok(()),
            (_, Call::Bind(address)) => self.use_address(stack, Use::Bind, address, none),
            (_, Call::Connect(address)) => {
                self.use_address(stack, Use::Connect, address, none)?;
                match family(address) {
                    None => Ok(()),
                    Some(AF_UNSPEC) => {
                        let mut judges = self.judges(stack, RECEIVE_UDP);

                        self.has_lost_port |=
                            self.protocol == Udp && !self.is_port_named && judges.next().is_some();
                        Ok(())
                    }
                    _ => self.get_port(stack, none),
                }
            }
            (Udp, Call::Send(to, _, way)) => {
                match to {
                    Some(address) => self.use_address(stack, Use::Send, address, way)?,
                    None => self.send_to_peer(stack, way)?,
                }
                self.get_port(stack, way)
            }
            (_, Call::Send(to, is_fast, way)) => self.send(stack, to.filter(|_| is_fast), way),
            // UDP cannot listen, and to listen again only changes the backlog.
            (Udp, Call::Listen) => Ok(()),
            (Tcp | Mptcp, Call::Listen) if self.is_kernel || self.is_listening => Ok(()),
            (_, Call::Listen) => {
                let (port, address) = self.local;

                self.judge(stack, LISTEN_TCP, Asked::At(port, Some(address)), none)
            }
            (_, Call::SetOption(level, option)) => self.set_option(stack, level, option),
            _ if self.is_kernel => Ok(()),
            // The network stack answers.
            (Tcp | Mptcp, Call::Accept) if !self.is_listening => Ok(()),
            (Udp, Call::Accept | Call::Accepted) | (Smc, Call::Accepted) => Ok(()),
            (_, Call::Accept) => self.accept(stack),
            (_, Call::Accepted) => {
                let peer = self.remote().map(|(_, address)| address);

                self.judge(stack, ACCEPT_TCP, Asked::At(self.local.0, peer), none)
            }
            (Udp, Call::Receive) => {
                let is_known = self.is_port_named && !self.has_lost_port;
                let port = if is_known { self.local.0 } else { 0 };

                self.judge(stack, RECEIVE_UDP, Asked::At(port, None), none)
            }
            (_, Call::Receive) => self.use_service(stack, RECEIVE_TCP, none),
            (Udp, Call::Shutdown) => self.use_service(stack, SHUTDOWN_UDP, none),
            (_, Call::Shutdown) => self.use_service(stack, SHUTDOWN_TCP, none),
            (Udp, Call::GetOption(..)) => self.use_service(stack, GETSOCKOPT_UDP, none),
            (_, Call::GetOption(level, option)) => {
                self.use_service(stack, GETSOCKOPT_TCP, none)?;
                match (level, option) {
                    TCP_ZEROCOPY_RECEIVE => self.use_service(stack, RECEIVE_TCP, none),
                    _ => Ok(()),
                }
            }
        }
    }

    /// The remote port and address. Without a port there is no peer.
    fn remote(&self) -> Option<(u16, Address)> {
        self.peer.filter(|(port, _)| *port != 0)
    }

    /// Whether accept(2) returned it, and it is connected as it was then.
    fn is_passive(&self) -> bool {
        self.is_connected
            && self.accepted.is_some()
            && self.remote().is_some()
            && self.accepted == self.peer.map(|peer| (self.local.0, peer))
    }

    /// The service port, and the address of the peer. A socket that accept(2) returned is for the
    /// service of its local port, while it is connected as it was then.
    fn service(&self) -> (u16, Option<Address>) {
        match self.remote() {
            Some((_, address)) if self.is_passive() => (self.local.0, Some(address)),
            Some((port, address)) => (port, Some(address)),
            None => (self.local.0, None),
        }
    }

    /// What is granted by the service port and the peer, if there is one.
    fn use_service(&mut self, stack: &Stack<'_>, right: u64, way: Way) -> Answer {
        let (port, address) = self.service();

        self.judge(stack, right, Asked::At(port, address), way)
    }

    /// Sending over TCP. With MSG_FASTOPEN, `to` is an address to connect to; if the socket has a peer,
    /// that gets the data, whatever the address is.
    fn send(&mut self, stack: &Stack<'_>, to: Option<&[u8]>, way: Way) -> Answer {
        if let Some(address) = to {
            self.use_address(stack, Use::Connect, address, way)?;
        }
        if self.is_kernel || self.judges(stack, SEND_TCP).next().is_none() {
            return Ok(());
        }
        if let (Some(address), Tcp | Mptcp) = (to, self.protocol) {
            let asked = self.asked(Use::Connect, address, false).map_err(Error)?;

            self.judge(stack, SEND_TCP, asked, way)?;
            if self.remote().is_none() {
                return Ok(());
            }
        }
        self.use_service(stack, SEND_TCP, way)
    }

    /// A layer that lets no connection be accepted on the port, from whatever address, refuses before
    /// one is taken from the queue.
    fn accept(&self, stack: &Stack<'_>) -> Answer {
        let port = self.local.0;
        let grants = |layer: &Layer<'_>| {
            let is_for = |rule: &&Rule| rule.first <= port && port <= rule.last;
            let matches = |rule: &Rule| rule.prefix.is_none() || layer.netns == self.netns;

            (layer.rules.iter().filter(is_for))
                .any(|rule| rule.access & ACCEPT_TCP != 0 && matches(rule))
                || self.is_granted_by(layer, ACCEPT_TCP)
        };
        let is_smc = self.protocol == Smc;
        let refusing = (self.judges(stack, ACCEPT_TCP))
            .filter(|(_, layer)| is_smc || !grants(layer))
            .map(|(at, layer)| (at, !is_smc && layer.is_quiet(ACCEPT_TCP, port, None)));

        stack.refuse(refusing, ACCEPT_TCP, Some((port, None)).filter(|_| !is_smc))
    }

    /// Whether a rule of the layer is about this socket. A rule about a listener also grants the rights
    /// to use what it accepts.
    fn is_granted_by(&self, layer: &Layer<'_>, right: u64) -> bool {
        const USE: u64 = SEND_TCP | RECEIVE_TCP | SHUTDOWN_TCP | GETSOCKOPT_TCP | SETSOCKOPT_TCP;

        let is_for = |cookie: u64| {
            (layer.opened.iter())
                .any(|(of, access)| cookie != 0 && *of == cookie && access & right != 0)
        };

        is_for(self.cookie) || right & USE != 0 && self.is_passive() && is_for(self.listener)
    }

    /// The layers that have a say, the youngest first: they handle `right`, for such a socket.
    fn judges<'a>(
        &self,
        stack: &'a Stack<'a>,
        right: u64,
    ) -> impl Iterator<Item = (usize, &'a Layer<'a>)> {
        let is_plain = matches!(self.protocol, Tcp | Udp);

        (stack.layers.iter().enumerate().rev())
            .filter(move |(_, layer)| layer.handled & right != 0 && (layer.is_extended || is_plain))
    }

    /// A call with an address. Kernel-internal sockets are no exception, as in C Landlock.
    ///
    /// Plain and extended layers give one answer together, in the order of C Landlock's
    /// `current_check_access_socket()`:
    ///
    /// 1. No layer has a say: allowed, however wrong the address is. Plain layers have no say about
    ///    MPTCP and SMC, so they bring no errors there.
    /// 2. SMC: EACCES, since no rule could grant it.
    /// 3. The address is wrong: EINVAL or EAFNOSUPPORT. Plain and extended layers call the same
    ///    addresses wrong, so it does not matter which of them have a say. There is one exception:
    ///    an AF_INET address on an AF_INET6 UDP socket is wrong for plain layers, and an IPv4
    ///    address for extended ones. If a plain layer has a say, the answer is its EINVAL, even if
    ///    another layer would refuse: errors come before rules. An extended layer that is added
    ///    cannot undo the EINVAL, and a plain layer that is added only takes away. If no plain layer
    ///    has a say, the rules for the IPv4 address decide.
    /// 4. A layer refuses: EACCES.
    ///
    /// After that, a UDP socket may need a port ([`Socket::get_port`]). Other layers may have a say
    /// in that, so it is a question of its own.
    fn use_address(&mut self, stack: &Stack<'_>, used: Use, bytes: &[u8], way: Way) -> Answer {
        let right = match (used, self.protocol) {
            (Use::Bind, Udp) => BIND_UDP,
            (Use::Bind, _) => BIND_TCP,
            (_, Udp) => CONNECT_SEND_UDP,
            _ => CONNECT_TCP,
        };

        if self.judges(stack, right).next().is_some() {
            let has_plain = (self.judges(stack, right)).any(|(_, layer)| !layer.is_extended);
            let asked = match self.protocol {
                Smc => Asked::NoRule,
                _ => self.asked(used, bytes, has_plain).map_err(Error)?,
            };

            self.judge(stack, right, asked, way)?;
        }
        self.name_device(stack, right, used, bytes)
    }

    /// What an address asks for, or what is wrong with it.
    fn asked(&self, used: Use, bytes: &[u8], has_plain: bool) -> Result<Asked, i32> {
        let is_inet6 = self.family == AF_INET6;
        // The lengths of `struct sockaddr_in`, and of `struct sockaddr_in6` without a scope.
        let (has_inet, has_inet6) = (bytes.len() >= 16, bytes.len() >= 24);
        let has_any = bytes.get(4..8) == Some(&[0; 4]);
        let named = family(bytes).ok_or(EINVAL)?;
        let family = match (named, used) {
            // This only drops the peer.
            (AF_UNSPEC, Use::Connect) => return Ok(Asked::Nothing),
            // IPV6_ADDRFORM may turn the socket into one that takes this for AF_INET.
            (AF_UNSPEC, Use::Send) if is_inet6 => return Ok(Asked::NoRule),
            (AF_UNSPEC, Use::Bind) if is_inet6 && !has_inet6 => return Err(EINVAL),
            (AF_UNSPEC, Use::Bind) if is_inet6 => return Err(EAFNOSUPPORT),
            (AF_UNSPEC, Use::Bind) if has_inet && !has_any => return Err(EAFNOSUPPORT),
            (AF_UNSPEC, _) => AF_INET,
            _ => named,
        };
        let address = match family {
            AF_INET if has_inet => V4([bytes[4], bytes[5], bytes[6], bytes[7]]),
            AF_INET6 if has_inet6 => Address::from_inet6(core::array::from_fn(|at| bytes[8 + at])),
            AF_INET | AF_INET6 => return Err(EINVAL),
            _ => return Ok(Asked::Nothing),
        };
        // The network stack takes an AF_INET address so on an AF_INET6 UDP socket.
        let is_taken = family == AF_INET && self.protocol == Udp && used != Use::Bind;

        if family != self.family && (has_plain || !is_taken) {
            return Err(EINVAL);
        }

        let port = u16::from_be_bytes([bytes[2], bytes[3]]);

        Ok(Asked::At(port, Some(address)))
    }

    /// Connect and send give a UDP socket a port, like a bind to port 0 and the wildcard address.
    fn get_port(&mut self, stack: &Stack<'_>, way: Way) -> Answer {
        if self.protocol != Udp || self.local.0 != 0 {
            return Ok(());
        }

        let address = Address::wildcard(self.family);

        self.judge(stack, BIND_UDP, Asked::At(0, Some(address)), way)
    }

    /// A UDP send without a destination is like a write to an open file, unless its control data
    /// choose a way. Then each layer with address rules for UDP must have a rule without an address
    /// for the peer's port. Another thread may give the socket another peer, so it is marked as in
    /// [`Socket::name_device`].
    fn send_to_peer(&mut self, stack: &Stack<'_>, way: Way) -> Answer {
        const RIGHT: u64 = CONNECT_SEND_UDP;

        let wildcard = (0, Address::wildcard(self.family));
        let (port, address) = self.remote().unwrap_or(wildcard);
        let is_own_way = way.is_own(Some(address));
        let refuses = |layer: &Layer<'_>| {
            layer.has_address_rule(Udp)
                && !layer.grants(RIGHT, port, None)
                && !self.is_granted_by(layer, RIGHT)
        };
        let refusing = (self.judges(stack, RIGHT))
            .filter(|(_, layer)| is_own_way && refuses(layer))
            .map(|(at, layer)| (at, layer.is_quiet(RIGHT, port, None)));

        stack.refuse(refusing, RIGHT, Some((port, Some(address))))?;
        self.mark(stack, RIGHT, way.is_own(None))
    }

    /// An access is granted when every layer that has a say has a matching rule.
    fn judge(&mut self, stack: &Stack<'_>, right: u64, asked: Asked, way: Way) -> Answer {
        let (port, address) = match asked {
            Asked::Nothing => return Ok(()),
            Asked::At(port, address) if self.protocol != Smc => (port, address),
            _ => {
                let refusing = self.judges(stack, right).map(|(at, _)| (at, false));

                return stack.refuse(refusing, right, None);
            }
        };
        // As a remote address a wildcard is this machine, whatever list contains it.
        let is_local = right & (BIND_TCP | BIND_UDP | LISTEN_TCP) != 0;
        let is_wildcard = |address: &Address| [V4([0; 4]), V6([0; 16])].contains(address);
        let meant = address.filter(|address| is_local || !is_wildcard(address));
        let has_device = meant.is_some_and(Address::has_device);
        let is_own_way = [self.way, way].iter().any(|way| way.is_own(meant))
            || self.may_name_device && !has_device;
        let known = |layer: &Layer<'_>| meant.filter(|_| !is_own_way && layer.netns == self.netns);
        let grants_anywhere =
            |layer: &Layer<'_>| layer.grants(right, port, None) || self.is_granted_by(layer, right);
        let grants = |layer: &Layer<'_>| {
            layer.grants(right, port, known(layer)) || self.is_granted_by(layer, right)
        };

        let refusing = (self.judges(stack, right))
            .filter(|(_, layer)| !grants(layer))
            .map(|(at, layer)| (at, layer.is_quiet(right, port, known(layer))));

        stack.refuse(refusing, right, Some((port, address)))?;

        let needs_address =
            (self.judges(stack, right)).any(|(_, layer)| grants(layer) && !grants_anywhere(layer));

        self.granted_by_address |= needs_address && !has_device;
        Ok(())
    }

    /// A bind or connect to some IPv6 addresses binds the socket to a device, maybe after a call of
    /// another thread was judged. So in a stack with address rules for its protocol, a socket is
    /// either let through here, or granted something by address. What comes second is refused, here
    /// or in [`Socket::judge`]. This holds even if no layer handles the right. The socket of TCP under
    /// one of SMC is not seen, so it may not be bound to a device.
    fn name_device(&mut self, stack: &Stack<'_>, right: u64, used: Use, bytes: &[u8]) -> Answer {
        self.mark(stack, right, names_device(used, bytes))
    }

    /// Marks the socket if a call may bind it to a device, or refuses that.
    fn mark(&mut self, stack: &Stack<'_>, right: u64, names_device: bool) -> Answer {
        if !names_device || self.watching(stack).next().is_none() {
            return Ok(());
        }
        if self.granted_by_address || self.protocol == Smc {
            return stack.refuse(self.watching(stack), right, None);
        }
        self.may_name_device = true;
        Ok(())
    }

    /// The layers with an address rule for the protocol, the youngest first. What they refuse then is
    /// not quiet.
    fn watching<'a>(&self, stack: &Stack<'a>) -> impl Iterator<Item = (usize, bool)> + use<'a> {
        let protocol = self.protocol;

        (stack.layers.iter().enumerate().rev())
            .filter(move |(_, layer)| layer.has_address_rule(protocol))
            .map(|(at, _)| (at, false))
    }

    /// The answer to setsockopt(2), whatever the value and the family of the socket.
    fn set_option(&mut self, stack: &Stack<'_>, level: i32, option: i32) -> Answer {
        let is_in = |list: &[(i32, i32, &str)]| {
            (list.iter()).any(|(l, number, _)| (*l, *number) == (level, option))
        };
        let (right, receive) = match self.protocol {
            Udp => (SETSOCKOPT_UDP, RECEIVE_UDP),
            _ => (SETSOCKOPT_TCP, RECEIVE_TCP),
        };
        // An SMC socket sets options of its TCP socket.
        let gives_way = is_in(&OWN_WAY) || is_in(&JOIN) && self.protocol != Udp;

        stack.refuse(self.watching(stack).filter(|_| gives_way), right, None)?;

        // A filter tells the size of what it sees, and can make that anything.
        let receiving = (stack.layers.iter().enumerate().rev())
            .filter(|(_, layer)| layer.handled & receive != 0 && is_in(&FILTER))
            .map(|(at, _)| (at, false));

        stack.refuse(receiving, right, None)?;
        if self.is_kernel {
            return Ok(());
        }
        self.use_service(stack, right, Way::NONE)?;
        // The kernel then sends and receives on the stream by itself.
        if (level, option) == TCP_ULP && self.protocol != Udp {
            self.use_service(stack, RECEIVE_TCP, Way::NONE)?;
            self.use_service(stack, SEND_TCP, Way::NONE)?;
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Bind,
    Connect,
    Send,
}

#[derive(Clone, Copy)]
enum Asked {
    /// Nothing that rules are about: the network stack answers.
    Nothing,
    /// What no rule can grant.
    NoRule,
    /// A port, and an address if it means the host that rules with an address mean.
    At(u16, Option<Address>),
}

/// Whether a bind or connect to the address would bind a socket to a device.
pub(crate) fn names_device(used: Use, bytes: &[u8]) -> bool {
    match (used, bytes.get(8..24)) {
        _ if family(bytes) != Some(AF_INET6) => false,
        // These need a scope: link-local, and multicast of an interface or a link.
        (Use::Bind | Use::Connect, Some([0xfe, second, ..])) => second >> 6 == 2,
        (Use::Bind, Some([0xff, second, ..])) => matches!(second & 15, 1 | 2),
        (Use::Connect, Some([0xff, ..])) => true,
        _ => false,
    }
}

fn family(bytes: &[u8]) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.first_chunk()?))
}

impl Layer<'_> {
    /// The rules for `port` that match `address`, or without one those that match any.
    pub(crate) fn matching(
        &self,
        port: u16,
        address: Option<Address>,
    ) -> impl Iterator<Item = &Rule> {
        let has = move |prefix| address.is_some_and(|address| address.is_in(prefix));

        (self.rules.iter())
            .filter(move |rule| rule.first <= port && port <= rule.last)
            .filter(move |rule| rule.prefix.is_none_or(has))
    }

    fn grants(&self, right: u64, port: u16, address: Option<Address>) -> bool {
        (self.matching(port, address)).any(|rule| rule.access & right != 0)
    }

    /// Any rule that matches may be quiet, whatever it grants.
    fn is_quiet(&self, right: u64, port: u16, address: Option<Address>) -> bool {
        self.quiet & right != 0 && self.matching(port, address).any(|rule| rule.quiet)
    }

    /// Whether a rule with an address is about a right of `protocol`.
    fn has_address_rule(&self, protocol: Protocol) -> bool {
        let rights = match protocol {
            Tcp | Mptcp | Smc => TCP,
            Udp => UDP,
            Other => 0,
        };

        (self.rules.iter()).any(|rule| rule.prefix.is_some() && rule.access & rights != 0)
    }
}

/// The answer to socket(2), and twice to socketpair(2).
pub(crate) fn create_socket(stack: &Stack<'_>, mut asked: Kind, is_kernel: bool) -> Answer {
    // The network stack changes this before it asks.
    if asked.family == AF_INET.into() && asked.kind == SOCK_PACKET {
        asked.family = AF_PACKET.into();
    }

    let grants = |rule: &Kind| {
        rule.family == asked.family
            && [-1, asked.kind].contains(&rule.kind)
            && [-1, asked.protocol].contains(&rule.protocol)
    };
    let refuses = |layer: &Layer<'_>| {
        layer.permissions & SOCKET_CREATE != 0 && !layer.kinds.iter().any(grants)
    };

    let refusing = (stack.layers.iter().enumerate().rev())
        .filter(|(_, layer)| !is_kernel && refuses(layer))
        .map(|(at, _)| (at, false));

    stack.refuse(refusing, 0, None)
}

const SOL_SOCKET: i32 = 1;
const SOL_IP: i32 = 0;
const SOL_IPV6: i32 = 41;
const SOL_UDP: i32 = 17;

/// Options that make a socket choose its own way, by level and number.
pub(crate) const OWN_WAY: [(i32, i32, &str); 14] = [
    (SOL_SOCKET, 5, "SO_DONTROUTE"),
    (SOL_SOCKET, 25, "SO_BINDTODEVICE"),
    (SOL_SOCKET, 62, "SO_BINDTOIFINDEX"),
    (SOL_IP, 4, "IP_OPTIONS"),
    (SOL_IP, 15, "IP_FREEBIND"),
    (SOL_IP, 19, "IP_TRANSPARENT"),
    (SOL_IP, 50, "IP_UNICAST_IF"),
    (SOL_IPV6, 6, "IPV6_2292PKTOPTIONS"),
    (SOL_IPV6, 32, "IPV6_FLOWLABEL_MGR"),
    (SOL_IPV6, 50, "IPV6_PKTINFO"),
    (SOL_IPV6, 57, "IPV6_RTHDR"),
    (SOL_IPV6, 75, "IPV6_TRANSPARENT"),
    (SOL_IPV6, 76, "IPV6_UNICAST_IF"),
    (SOL_IPV6, 78, "IPV6_FREEBIND"),
];

/// Options that attach a filter, or what looks at the data as one does.
pub(crate) const FILTER: [(i32, i32, &str); 5] = [
    (SOL_SOCKET, 26, "SO_ATTACH_FILTER"),
    (SOL_SOCKET, 50, "SO_ATTACH_BPF"),
    (SOL_SOCKET, 51, "SO_ATTACH_REUSEPORT_CBPF"),
    (SOL_SOCKET, 52, "SO_ATTACH_REUSEPORT_EBPF"),
    (SOL_UDP, 100, "UDP_ENCAP"),
];

/// The option that gives the stream to a layer of the kernel.
const TCP_ULP: (i32, i32) = (6, 31);

/// The option whose reading receives data.
const TCP_ZEROCOPY_RECEIVE: (i32, i32) = (6, 35);

/// Options that join a multicast or anycast group, or choose the sources of one.
pub(crate) const JOIN: [(i32, i32, &str); 17] = [
    (SOL_IP, 35, "IP_ADD_MEMBERSHIP"),
    (SOL_IP, 37, "IP_UNBLOCK_SOURCE"),
    (SOL_IP, 38, "IP_BLOCK_SOURCE"),
    (SOL_IP, 39, "IP_ADD_SOURCE_MEMBERSHIP"),
    (SOL_IP, 41, "IP_MSFILTER"),
    (SOL_IP, 42, "MCAST_JOIN_GROUP"),
    (SOL_IP, 43, "MCAST_BLOCK_SOURCE"),
    (SOL_IP, 44, "MCAST_UNBLOCK_SOURCE"),
    (SOL_IP, 46, "MCAST_JOIN_SOURCE_GROUP"),
    (SOL_IP, 48, "MCAST_MSFILTER"),
    (SOL_IPV6, 20, "IPV6_ADD_MEMBERSHIP"),
    (SOL_IPV6, 27, "IPV6_JOIN_ANYCAST"),
    (SOL_IPV6, 42, "MCAST_JOIN_GROUP"),
    (SOL_IPV6, 43, "MCAST_BLOCK_SOURCE"),
    (SOL_IPV6, 44, "MCAST_UNBLOCK_SOURCE"),
    (SOL_IPV6, 46, "MCAST_JOIN_SOURCE_GROUP"),
    (SOL_IPV6, 48, "MCAST_MSFILTER"),
];

/// `struct portlock_ruleset_attr`, with zeroes for what was not passed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RulesetAttr {
    pub(crate) handled_access_net: u64,
    pub(crate) quiet_access_net: u64,
    pub(crate) handled_permissions: u64,
    pub(crate) flags: u32,
    pub(crate) observer_fd: i32,
    pub(crate) observer_cookie: u64,
}

pub(crate) const CREATE_RULESET: u32 = 1 << 31;
/// The flag of a ruleset.
pub(crate) const OBSERVED: u32 = 1;
pub(crate) const VERSION: u32 = 1;

fn refuse_if(is_wrong: bool, errno: i32) -> Result<(), i32> {
    if is_wrong {
        Err(errno)
    } else {
        Ok(())
    }
}

/// The answer to landlock_create_ruleset(2) with flags of Portlock's: the version, or a ruleset.
///
/// `attr` is `None` if it cannot be read; `has_more` is said of bytes after it that are not zero.
/// `observer` is what is wrong with the file descriptor of an observer: EBADF or EBADFD.
pub(crate) fn create_ruleset(
    flags: u32,
    is_null: bool,
    size: usize,
    has_more: bool,
    attr: Option<RulesetAttr>,
    observer: Result<(), i32>,
) -> Result<Option<u32>, i32> {
    refuse_if(flags != CREATE_RULESET, EINVAL)?;
    if is_null && size == 0 {
        return Ok(Some(VERSION));
    }

    let attr = copied(is_null, size, has_more, attr)?;
    let (handled, permissions) = (attr.handled_access_net, attr.handled_permissions);

    refuse_if(handled & !(TCP | UDP) != 0, EINVAL)?;
    refuse_if(permissions & !SOCKET_CREATE != 0, EINVAL)?;
    refuse_if(attr.quiet_access_net & !handled != 0, EINVAL)?;

    let is_observed = attr.flags == OBSERVED;
    let names_observer = attr.observer_fd != 0 || attr.observer_cookie != 0;

    refuse_if(attr.flags & !OBSERVED != 0, EINVAL)?;
    refuse_if(names_observer && !is_observed, EINVAL)?;
    refuse_if(handled == 0 && permissions == 0, ENOMSG)?;
    if is_observed {
        observer?;
    }
    Ok(None)
}

/// The answer to landlock_create_ruleset(2) with CREATE_OBSERVER. `attr` are the flags.
pub(crate) fn create_observer(
    is_null: bool,
    size: usize,
    has_more: bool,
    attr: Option<u64>,
) -> Result<(), i32> {
    let flags = copied(is_null, size, has_more, attr)?;

    refuse_if(flags != 0, EINVAL)
}

/// An attribute as it is copied from user space.
fn copied<T>(is_null: bool, size: usize, has_more: bool, attr: Option<T>) -> Result<T, i32> {
    refuse_if(is_null, EFAULT)?;
    refuse_if(size < 8, EINVAL)?;
    refuse_if(size > 4096 || has_more, E2BIG)?;
    attr.ok_or(EFAULT)
}

/// `struct portlock_net_attr`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct NetAttr {
    pub(crate) allowed_access: u64,
    pub(crate) port_first: u64,
    pub(crate) port_last: u64,
    pub(crate) family: u32,
    pub(crate) prefix_len: u32,
    pub(crate) address: [u8; 16],
    pub(crate) ifindex: u32,
    pub(crate) reserved: u32,
}

/// `struct portlock_socket_attr`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SocketAttr {
    pub(crate) permissions: u64,
    pub(crate) kind: Kind,
    pub(crate) reserved: u32,
}

/// `struct portlock_opened_attr`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenedAttr {
    pub(crate) allowed_access: u64,
    /// The cookie of the socket, or what is wrong with the file descriptor: EBADF, ENOTSOCK, or
    /// EOPNOTSUPP for a socket that is not one of TCP, MPTCP or UDP.
    pub(crate) socket: Result<u64, i32>,
    pub(crate) reserved: u32,
}

/// What is added, by the type that is named. It is `None` if it cannot be read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RuleAttr {
    /// LANDLOCK_RULE_NET_PORT: the rights and the port.
    NetPort(Option<(u64, u64)>),
    Net(Option<NetAttr>),
    Socket(Option<SocketAttr>),
    Opened(Option<OpenedAttr>),
    /// Any other type; LANDLOCK_RULE_PATH_BENEATH is one for extended rulesets.
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    Rule(Rule),
    Kind(Kind),
    /// The cookie of a socket, and the rights on it.
    Opened(u64, u64),
}

pub(crate) const QUIET: u32 = 1;
/// The most prefixes of a family in a ruleset.
pub(crate) const MAX_PREFIXES: usize = 32_767;

/// The answer to landlock_add_rule(2), for a ruleset that was created with `ruleset`.
///
/// `fd` is what Landlock finds wrong with the file descriptor: EBADF, EBADFD or EPERM. `prefixes`
/// is how many different prefixes of the rule's family the ruleset has with the rule.
pub(crate) fn add_rule(
    ruleset: &RulesetAttr,
    is_extended: bool,
    fd: Result<(), i32>,
    attr: RuleAttr,
    flags: u32,
    prefixes: usize,
) -> Result<Added, i32> {
    let is_quiet = flags == QUIET;

    refuse_if(flags & !QUIET != 0, EINVAL)?;
    fd?;
    match attr {
        RuleAttr::Other => Err(EINVAL),
        RuleAttr::Net(_) | RuleAttr::Socket(_) | RuleAttr::Opened(_) if !is_extended => Err(EINVAL),
        RuleAttr::Net(attr) => net_rule(ruleset, attr.ok_or(EFAULT)?, is_quiet, prefixes),
        RuleAttr::Socket(attr) => socket_rule(ruleset, attr.ok_or(EFAULT)?, is_quiet),
        RuleAttr::Opened(attr) => opened_rule(ruleset, attr.ok_or(EFAULT)?, is_quiet),
        RuleAttr::NetPort(attr) => {
            let (allowed_access, port) = attr.ok_or(EFAULT)?;
            let attr = NetAttr {
                allowed_access,
                port_first: port,
                port_last: port,
                ..NetAttr::default()
            };

            net_rule(ruleset, attr, is_quiet, prefixes)
        }
    }
}

fn net_rule(
    ruleset: &RulesetAttr,
    attr: NetAttr,
    quiet: bool,
    prefixes: usize,
) -> Result<Added, i32> {
    let (access, address, len) = (attr.allowed_access, attr.address, attr.prefix_len);
    let [a, b, c, d, ..] = address;
    let (base, max_len) = match attr.family {
        0 => (None, 0),
        2 => (Some(V4([a, b, c, d])), 32),
        10 => (Some(V6(address)), 128),
        _ => return refuse_if(access == 0 && !quiet, ENOMSG).and(Err(EINVAL)),
    };
    let is_set = |bit: u32| address[bit as usize / 8] & 0x80 >> (bit % 8) != 0;
    let is_mapped = matches!(Address::from_inet6(address), V4(_)) && len >= 96;

    refuse_if(access == 0 && !quiet, ENOMSG)?;
    refuse_if(access & !ruleset.handled_access_net != 0, EINVAL)?;
    refuse_if(quiet && ruleset.quiet_access_net == 0, EINVAL)?;
    refuse_if(attr.port_first > attr.port_last, EINVAL)?;
    refuse_if(attr.port_last > 65535, EINVAL)?;
    refuse_if(len > max_len, EINVAL)?;
    // Past the prefix, past the four bytes of AF_INET, or any with family 0.
    refuse_if((len..128).any(is_set), EINVAL)?;
    refuse_if(is_mapped, EINVAL)?;
    refuse_if(attr.ifindex != 0 || attr.reserved != 0, EINVAL)?;
    // connect(2) does not empty the queue of a UDP socket, so a peer cannot be promised.
    refuse_if(base.is_some() && access & RECEIVE_UDP != 0, EINVAL)?;
    refuse_if(base.is_some() && prefixes > MAX_PREFIXES, E2BIG)?;
    Ok(Added::Rule(Rule {
        access,
        quiet,
        first: attr.port_first as u16,
        last: attr.port_last as u16,
        prefix: base.map(|base| (base, len)),
    }))
}

fn socket_rule(ruleset: &RulesetAttr, attr: SocketAttr, quiet: bool) -> Result<Added, i32> {
    refuse_if(attr.permissions == 0, ENOMSG)?;
    refuse_if(attr.permissions & !ruleset.handled_permissions != 0, EINVAL)?;
    refuse_if(quiet || attr.reserved != 0, EINVAL)?;
    refuse_if(!(0..=254).contains(&attr.kind.family), EINVAL)?;
    refuse_if(!(-1..=254).contains(&attr.kind.kind), EINVAL)?;
    refuse_if(!(-1..=65534).contains(&attr.kind.protocol), EINVAL)?;
    Ok(Added::Kind(attr.kind))
}

fn opened_rule(ruleset: &RulesetAttr, attr: OpenedAttr, quiet: bool) -> Result<Added, i32> {
    refuse_if(attr.allowed_access == 0, ENOMSG)?;
    refuse_if(
        attr.allowed_access & !ruleset.handled_access_net != 0,
        EINVAL,
    )?;
    refuse_if(quiet || attr.reserved != 0, EINVAL)?;
    Ok(Added::Opened(attr.socket?, attr.allowed_access))
}

// The specification ends here. What follows are examples of it, and what makes them.

impl Rule {
    /// A rule for some ports and any address.
    pub(crate) const fn new(access: u64, first: u16, last: u16) -> Self {
        Self {
            access,
            quiet: false,
            first,
            last,
            prefix: None,
        }
    }

    /// The rule, for addresses that begin as this one.
    pub(crate) const fn at(self, base: Address, len: u32) -> Self {
        Self {
            prefix: Some((base, len)),
            ..self
        }
    }
}

impl<'a> Layer<'a> {
    /// A layer that handles all rights that it can, enforced in namespace 1.
    pub(crate) const fn new(is_extended: bool, rules: &'a [Rule]) -> Self {
        let rights = if is_extended { TCP | UDP } else { 15 };

        Self {
            is_extended,
            handled: rights,
            quiet: rights,
            permissions: 0,
            rules,
            kinds: &[],
            opened: &[],
            is_permissive: false,
            netns: 1,
        }
    }
}

impl Socket {
    /// A new socket in namespace 1.
    pub(crate) const fn new(protocol: Protocol, family: u16) -> Self {
        Self {
            protocol,
            family,
            netns: 1,
            is_kernel: false,
            is_listening: false,
            local: (0, Address::wildcard(family)),
            is_port_named: false,
            peer: None,
            accepted: None,
            is_connected: false,
            cookie: 0,
            listener: 0,
            has_lost_port: false,
            way: Way::NONE,
            granted_by_address: false,
            may_name_device: false,
        }
    }
}

/// `struct sockaddr_in`.
pub(crate) const fn inet(port: u16, address: [u8; 4]) -> [u8; 16] {
    let ([f, g], [p, q], [a, b, c, d]) = (AF_INET.to_ne_bytes(), port.to_be_bytes(), address);

    [f, g, p, q, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// `struct sockaddr_in6`.
pub(crate) const fn inet6(port: u16, address: [u8; 16]) -> [u8; 28] {
    let ([f, g], [p, q]) = (AF_INET6.to_ne_bytes(), port.to_be_bytes());
    let mut bytes = [0; 28];
    let mut at = 0;

    [bytes[0], bytes[1], bytes[2], bytes[3]] = [f, g, p, q];
    while at < 16 {
        bytes[8 + at] = address[at];
        at += 1;
    }
    bytes
}

macro_rules! cases {
    ($($sentence:literal: $holds:expr;)*) => { &[$(($sentence, || $holds)),*] };
}

/// An example: what it is about, and whether it holds.
pub(crate) type Case = (&'static str, fn() -> bool);

pub(crate) const CASES: &[Case] = {
    use Call::{
        Accept, Accepted, Bind, Connect, GetOption, Listen, Receive, Send, SetOption, Shutdown,
    };

    fn errno(answer: Answer) -> i32 {
        match answer {
            Ok(()) => 0,
            Err(Error(errno)) => errno,
            Err(Refused(..)) => EACCES,
        }
    }

    fn heard<'a>(layers: &'a [Layer<'a>]) -> Stack<'a> {
        Stack {
            layers,
            tell: &|_| (),
        }
    }

    fn answers(layers: &[Layer<'_>], mut socket: Socket, call: Call<'_>) -> Answer {
        socket.answer(&heard(layers), call)
    }

    fn gets(stack: &[Layer<'_>], socket: Socket, call: Call<'_>) -> i32 {
        errno(answers(stack, socket, call))
    }

    /// What the second of two calls gets, if the first is allowed.
    fn then(stack: &[Layer<'_>], mut socket: Socket, first: Call<'_>, second: Call<'_>) -> i32 {
        match socket.answer(&heard(stack), first) {
            Ok(()) => gets(stack, socket, second),
            Err(_) => -1,
        }
    }

    const fn v6(first: u8, second: u8, last: u8) -> [u8; 16] {
        [first, second, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]
    }

    const fn mapped([a, b, c, d]: [u8; 4]) -> [u8; 16] {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
    }

    const fn only(handled: u64, layer: Layer<'_>) -> Layer<'_> {
        Layer { handled, ..layer }
    }

    const fn bound(socket: Socket, port: u16, address: [u8; 4]) -> Socket {
        let local = (port, V4(address));

        Socket { local, ..socket }
    }

    /// The socket, with another peer at the same port.
    fn from(address: [u8; 4], socket: Socket) -> Socket {
        let peer = socket.peer.map(|(port, _)| (port, V4(address)));

        Socket { peer, ..socket }
    }

    /// The socket, with a peer at another port.
    const fn to(port: u16, socket: Socket) -> Socket {
        let peer = Some((port, V4(LO)));

        Socket { peer, ..socket }
    }

    const fn on(way: Way, socket: Socket) -> Socket {
        Socket { way, ..socket }
    }

    const fn kind(family: i32, kind: i32, protocol: i32) -> Kind {
        Kind {
            family,
            kind,
            protocol,
        }
    }

    fn creates(attr: RulesetAttr) -> Result<Option<u32>, i32> {
        create_ruleset(CREATE_RULESET, false, 40, false, Some(attr), Ok(()))
    }

    fn adds(attr: RuleAttr, flags: u32, fd: Result<(), i32>) -> Result<Added, i32> {
        add_rule(&TCP_AND_SOCKETS, true, fd, attr, flags, 1)
    }

    fn net(attr: NetAttr) -> Result<Added, i32> {
        adds(RuleAttr::Net(Some(attr)), 0, Ok(()))
    }

    fn socket(kind: Kind, flags: u32) -> Result<Added, i32> {
        let attr = SocketAttr {
            permissions: SOCKET_CREATE,
            kind,
            reserved: 0,
        };

        adds(RuleAttr::Socket(Some(attr)), flags, Ok(()))
    }

    fn opened(socket: Result<u64, i32>, flags: u32) -> Result<Added, i32> {
        let attr = OpenedAttr {
            allowed_access: TCP,
            socket,
            reserved: 0,
        };

        adds(RuleAttr::Opened(Some(attr)), flags, Ok(()))
    }

    /// The layers, the youngest first, that tell a refusal of a right on a port.
    fn tell(
        layers: &[Layer<'_>],
        mut socket: Socket,
        call: Call<'_>,
        expected: &[(usize, u64, Option<u16>)],
    ) -> bool {
        let count = core::cell::Cell::new(0);
        let tell = |record: Record| {
            let told = (
                record.layer,
                record.right,
                record.asked.map(|(port, _)| port),
            );

            assert!(expected.get(count.get()) == Some(&told));
            count.set(count.get() + 1);
        };
        let _ = socket.answer(
            &Stack {
                layers,
                tell: &tell,
            },
            call,
        );

        count.get() == expected.len()
    }

    const fn permissive(layer: Layer<'_>) -> Layer<'_> {
        Layer {
            is_permissive: true,
            ..layer
        }
    }

    const fn on_socket<'a>(opened: &'a [(u64, u64)]) -> Layer<'a> {
        Layer {
            opened,
            ..Layer::new(true, &[])
        }
    }

    const fn of_cookie(cookie: u64, socket: Socket) -> Socket {
        Socket { cookie, ..socket }
    }

    const fn of_listener(listener: u64, socket: Socket) -> Socket {
        Socket { listener, ..socket }
    }

    const TCP4: Socket = Socket::new(Tcp, AF_INET);
    const TCP6: Socket = Socket::new(Tcp, AF_INET6);
    const UDP4: Socket = Socket::new(Udp, AF_INET);
    const UDP6: Socket = Socket::new(Udp, AF_INET6);
    const MPTCP4: Socket = Socket::new(Mptcp, AF_INET);
    const SMC4: Socket = Socket::new(Smc, AF_INET);
    const UDP4_80: Socket = bound(UDP4, 80, LO);
    const UDP6_80: Socket = bound(UDP6, 80, LO);
    const LISTENER: Socket = Socket {
        is_listening: true,
        ..TCP4
    };
    const LISTENER_80: Socket = bound(LISTENER, 80, LO);
    const CLIENT: Socket = Socket {
        local: (40000, V4(LO)),
        peer: Some((80, V4(LO))),
        is_connected: true,
        ..TCP4
    };
    const ACCEPTED: Socket = Socket {
        local: (80, V4(LO)),
        peer: Some((40000, V4(LO))),
        accepted: Some((80, (40000, V4(LO)))),
        is_connected: true,
        ..TCP4
    };
    const KERNEL: Socket = Socket {
        is_kernel: true,
        ..TCP4
    };
    const ELSEWHERE: Socket = Socket { netns: 2, ..TCP4 };
    const CONNECTED: Socket = Socket {
        peer: Some((80, V4(LO))),
        ..UDP4_80
    };

    const LO: [u8; 4] = [127, 0, 0, 1];
    const LO_80: [u8; 16] = inet(80, LO);
    const UNSPEC_LO_80: [u8; 16] = [0, 0, 0, 80, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    const ANY_80: [u8; 16] = inet(80, [0; 4]);
    const LO6_80: [u8; 28] = inet6(80, v6(0, 0, 1));
    const ANY6_80: [u8; 28] = inet6(80, [0; 16]);
    const MAPPED_80: [u8; 28] = inet6(80, mapped(LO));
    const MAPPED_ANY_80: [u8; 28] = inet6(80, mapped([0; 4]));
    const LINK_80: [u8; 28] = inet6(80, v6(0xfe, 0x80, 1));
    const GROUP_80: [u8; 28] = inet6(80, v6(0xff, 2, 1));

    const NONE: Way = Way::NONE;
    const ROUTE: Way = Way {
        has_route: true,
        ..NONE
    };
    const ETH: Way = Way { device: 2, ..NONE };
    const LOOP: Way = Way {
        device: LOOPBACK,
        ..NONE
    };

    /// The rights that are about an address which a call names or a listener has.
    const ADDRESSES: u64 = BIND_TCP | CONNECT_TCP | LISTEN_TCP | BIND_UDP | CONNECT_SEND_UDP;
    const RULE: Rule = Rule::new(TCP | UDP, 80, 89);
    const PORTS: Layer<'_> = Layer::new(true, &[RULE]);
    const PORTS_0: Layer<'_> = Layer::new(true, &[RULE, Rule::new(BIND_UDP, 0, 0)]);
    const LOCAL: Layer<'_> = Layer::new(true, &[RULE.at(V4(LO), 8)]);
    const LOCAL_TCP: Layer<'_> = Layer::new(true, &[Rule::new(TCP, 80, 80).at(V4(LO), 8)]);
    const ALL4: Layer<'_> = Layer::new(true, &[RULE.at(V4([0; 4]), 0)]);
    const ALL6: Layer<'_> = Layer::new(true, &[RULE.at(V6([0; 16]), 0)]);
    const NOTHING: Layer<'_> = Layer::new(true, &[]);
    const PLAIN: Layer<'_> = Layer::new(false, &[Rule::new(15, 80, 80)]);
    const PLAIN_NOTHING: Layer<'_> = Layer::new(false, &[]);
    const HUSH: Layer<'_> = Layer {
        quiet: BIND_TCP,
        rules: &[Rule {
            quiet: true,
            ..Rule::new(0, 80, 80)
        }],
        ..NOTHING
    };
    const KINDS: Layer<'_> = Layer {
        permissions: SOCKET_CREATE,
        kinds: &[kind(1, -1, -1), kind(2, 1, 6), kind(2, SOCK_PACKET, -1)],
        ..NOTHING
    };

    const NO_ATTR: RulesetAttr = RulesetAttr {
        handled_access_net: 0,
        quiet_access_net: 0,
        handled_permissions: 0,
        flags: 0,
        observer_fd: 0,
        observer_cookie: 0,
    };
    const TCP_AND_SOCKETS: RulesetAttr = RulesetAttr {
        handled_access_net: TCP,
        quiet_access_net: BIND_TCP,
        handled_permissions: SOCKET_CREATE,
        ..NO_ATTR
    };
    const SLASH_24: NetAttr = NetAttr {
        allowed_access: TCP,
        port_first: 80,
        port_last: 89,
        family: 2,
        prefix_len: 24,
        address: [10, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ifindex: 0,
        reserved: 0,
    };

    cases! {
        "without layers all is allowed": gets(&[], TCP4, Bind(&LO_80)) == 0;
        "a matching rule grants": gets(&[PORTS], TCP4, Bind(&LO_80)) == 0;
        "without a matching rule: EACCES": gets(&[NOTHING], TCP4, Bind(&LO_80)) == EACCES;
        "a younger layer takes away": gets(&[PORTS, NOTHING], TCP4, Bind(&LO_80)) == EACCES;
        "a younger layer gives nothing": gets(&[NOTHING, PORTS], TCP4, Bind(&LO_80)) == EACCES;
        "plain and extended layers stack":
            gets(&[PORTS, PLAIN_NOTHING], TCP4, Bind(&LO_80)) == EACCES;
        "a range has a first port": gets(&[PORTS], TCP4, Bind(&inet(79, LO))) == EACCES;
        "a range has a last port": gets(&[PORTS], TCP4, Bind(&inet(89, LO))) == 0;
        "a range ends with its last port": gets(&[PORTS], TCP4, Bind(&inet(90, LO))) == EACCES;
        "port 0 is not any port": gets(&[PORTS_0], UDP4, Bind(&inet(1, LO))) == EACCES;
        "a layer that does not handle a right allows it":
            gets(&[only(CONNECT_TCP, NOTHING)], TCP4, Bind(&LO_80)) == 0;
        "if no layer handles a right, no address is wrong":
            gets(&[only(CONNECT_TCP, PLAIN)], TCP4, Bind(&LO_80[..3])) == 0;

        "family 0 matches IPv4": gets(&[PORTS], TCP4, Connect(&LO_80)) == 0;
        "family 0 matches IPv6": gets(&[PORTS], TCP6, Connect(&LO6_80)) == 0;
        "0.0.0.0/0 matches IPv4": gets(&[ALL4], TCP4, Connect(&LO_80)) == 0;
        "0.0.0.0/0 matches mapped IPv4": gets(&[ALL4], TCP6, Connect(&MAPPED_80)) == 0;
        "0.0.0.0/0 does not match IPv6": gets(&[ALL4], TCP6, Connect(&LO6_80)) == EACCES;
        "::/0 matches IPv6": gets(&[ALL6], TCP6, Connect(&LO6_80)) == 0;
        "::/0 does not match IPv4": gets(&[ALL6], TCP4, Connect(&LO_80)) == EACCES;
        "::/0 does not match mapped IPv4": gets(&[ALL6], TCP6, Connect(&MAPPED_80)) == EACCES;
        "127.0.0.0/8 ends":
            gets(&[LOCAL], TCP4, Connect(&inet(80, [127, 255, 0, 9]))) == 0
                && gets(&[LOCAL], TCP4, Connect(&inet(80, [128, 0, 0, 1]))) == EACCES;
        "bind: 0.0.0.0 is literal": gets(&[ALL4], TCP4, Bind(&ANY_80)) == 0;
        "bind: 0.0.0.0 is not loopback": gets(&[LOCAL], TCP4, Bind(&ANY_80)) == EACCES;
        "bind: [::] is literal": gets(&[ALL6], TCP6, Bind(&ANY6_80)) == 0;
        "connect: 0.0.0.0 is in no prefix": gets(&[ALL4], TCP4, Connect(&ANY_80)) == EACCES;
        "connect: [::] is in no prefix": gets(&[ALL6], TCP6, Connect(&ANY6_80)) == EACCES;
        "connect: ::ffff:0.0.0.0 is in no prefix":
            gets(&[ALL4], TCP6, Connect(&MAPPED_ANY_80)) == EACCES;
        "connect: 0.0.0.0 matches family 0": gets(&[PORTS], TCP4, Connect(&ANY_80)) == 0;
        "in another namespace, prefixes match nothing":
            gets(&[LOCAL], ELSEWHERE, Connect(&LO_80)) == EACCES;
        "in another namespace, family 0 matches": gets(&[PORTS], ELSEWHERE, Connect(&LO_80)) == 0;

        "AF_INET on AF_INET6 UDP, extended: allowed by a rule":
            gets(&[LOCAL], UDP6_80, Connect(&LO_80)) == 0;
        "AF_INET on AF_INET6 UDP, extended: refused without one":
            gets(&[NOTHING], UDP6_80, Connect(&LO_80)) == EACCES;
        "AF_INET on AF_INET6 UDP, plain: EINVAL":
            gets(&[PLAIN], UDP6_80, Connect(&LO_80)) == EINVAL;
        "AF_INET on AF_INET6 UDP, mixed: EINVAL":
            gets(&[PLAIN, NOTHING], UDP6_80, Connect(&LO_80)) == EINVAL;
        "AF_INET on AF_INET6 UDP, plain, not handled: no say":
            gets(&[only(BIND_UDP, PLAIN), LOCAL], UDP6_80, Connect(&LO_80)) == 0;
        "AF_INET on AF_INET6 UDP, bind: EINVAL": gets(&[PORTS], UDP6, Bind(&LO_80)) == EINVAL;
        "AF_INET on AF_INET6 TCP: EINVAL": gets(&[PORTS], TCP6, Connect(&LO_80)) == EINVAL;
        "AF_INET6 on AF_INET: EINVAL": gets(&[PORTS], UDP4_80, Connect(&LO6_80)) == EINVAL;
        "a short address: EINVAL, before EACCES":
            gets(&[NOTHING], TCP4, Bind(&LO_80[..15])) == EINVAL;
        "too short for a family: EINVAL": gets(&[NOTHING], TCP4, Bind(&LO_80[..1])) == EINVAL;
        "other families are left to the network stack":
            gets(&[NOTHING], TCP4, Bind(&1u16.to_ne_bytes())) == 0;
        "AF_UNSPEC, connect: allowed, it drops a peer":
            gets(&[NOTHING], UDP6, Connect(&[0; 2])) == 0;
        "AF_UNSPEC, bind to 0.0.0.0: as AF_INET": gets(&[PORTS_0], UDP4, Bind(&[0; 16])) == 0;
        "AF_UNSPEC, bind to another address: EAFNOSUPPORT":
            gets(&[PORTS], TCP4, Bind(&UNSPEC_LO_80)) == EAFNOSUPPORT;
        "AF_UNSPEC, bind on AF_INET6: EAFNOSUPPORT":
            gets(&[PORTS], TCP6, Bind(&[0; 24])) == EAFNOSUPPORT;
        "AF_UNSPEC, bind on AF_INET6, short: EINVAL":
            gets(&[PORTS], TCP6, Bind(&[0; 23])) == EINVAL;
        "AF_UNSPEC, send: as AF_INET":
            gets(&[LOCAL], UDP4_80, Send(Some(&UNSPEC_LO_80), false, NONE)) == 0;
        "AF_UNSPEC, send on AF_INET6: EACCES whatever the rules":
            gets(&[PORTS], UDP6_80, Send(Some(&UNSPEC_LO_80), false, NONE)) == EACCES;

        "UDP, send without a port: binds":
            gets(&[PORTS], UDP4, Send(Some(&LO_80), false, NONE)) == EACCES;
        "UDP, connect without a port: binds": gets(&[PORTS], UDP4, Connect(&LO_80)) == EACCES;
        "UDP, send without a port: binds to port 0":
            gets(&[PORTS_0], UDP4, Send(Some(&LO_80), false, NONE)) == 0;
        "UDP, send with a port: does not bind":
            gets(&[PORTS], UDP4_80, Send(Some(&LO_80), false, NONE)) == 0;
        "UDP, send without a destination: not checked":
            gets(&[NOTHING], UDP4_80, Send(None, false, NONE)) == 0;
        "TCP, send: the address counts only with MSG_FASTOPEN":
            gets(&[only(CONNECT_TCP, NOTHING)], TCP4, Send(Some(&LO_80), false, NONE)) == 0;
        "TCP, send with MSG_FASTOPEN and an address: connects":
            gets(&[NOTHING], TCP4, Send(Some(&LO_80), true, NONE)) == EACCES;

        "MPTCP counts as TCP": gets(&[NOTHING], MPTCP4, Connect(&LO_80)) == EACCES;
        "MPTCP counts as TCP, also by address": gets(&[LOCAL], MPTCP4, Connect(&LO_80)) == 0;
        "MPTCP: plain layers ignore it":
            gets(&[PLAIN_NOTHING, PORTS], MPTCP4, Connect(&LO_80)) == 0;
        "SMC: EACCES whatever the rules": gets(&[PORTS], SMC4, Connect(&LO_80)) == EACCES;
        "SMC, listen: EACCES": gets(&[PORTS], bound(SMC4, 80, LO), Listen) == EACCES;
        "SMC: plain layers ignore it": gets(&[PLAIN_NOTHING], SMC4, Connect(&LO_80)) == 0;
        "SMC: layers without a right of TCP ignore it":
            gets(&[only(UDP, NOTHING)], SMC4, Connect(&LO_80)) == 0;
        "sockets of other protocols are not checked":
            gets(&[NOTHING], Socket::new(Other, 1), Connect(&LO_80)) == 0;

        "listen: the local port": gets(&[PORTS], bound(TCP4, 80, LO), Listen) == 0;
        "listen: port 0 if unbound": gets(&[PORTS], TCP4, Listen) == EACCES;
        "listen: the local address":
            gets(&[LOCAL], bound(TCP4, 80, [10, 0, 0, 1]), Listen) == EACCES;
        "listen: 0.0.0.0 is literal": gets(&[ALL4], bound(TCP4, 80, [0; 4]), Listen) == 0;
        "listen again: allowed": gets(&[NOTHING], LISTENER, Listen) == 0;
        "kernel-internal sockets listen": gets(&[NOTHING], KERNEL, Listen) == 0;
        "kernel-internal sockets are checked at bind":
            gets(&[NOTHING], KERNEL, Bind(&LO_80)) == EACCES;

        "a socket with a route matches no prefix":
            gets(&[LOCAL], on(ROUTE, TCP4), Bind(&LO_80)) == EACCES;
        "a socket with a device matches no prefix":
            gets(&[LOCAL], on(ETH, TCP4), Bind(&LO_80)) == EACCES;
        "a socket with a device matches family 0": gets(&[PORTS], on(ETH, TCP4), Bind(&LO_80)) == 0;
        "the loopback interface is not a device": gets(&[LOCAL], on(LOOP, TCP4), Bind(&LO_80)) == 0;
        "for a link-local address, a device does not count":
            gets(&[ALL6], on(ETH, TCP6), Connect(&LINK_80)) == 0;
        "for a link-local address, a route counts":
            gets(&[ALL6], on(ROUTE, TCP6), Connect(&LINK_80)) == EACCES;
        "a message with a device matches no prefix":
            gets(&[LOCAL], UDP4_80, Send(Some(&LO_80), false, ETH)) == EACCES;
        "a message with a device, no destination: likewise":
            gets(&[LOCAL], CONNECTED, Send(None, false, ETH)) == EACCES;
        "a message with a device, no destination: family 0 matches":
            gets(&[PORTS, LOCAL], CONNECTED, Send(None, false, LOOP)) == 0;
        "a message with a device, no prefix for UDP: not checked":
            gets(&[NOTHING], CONNECTED, Send(None, false, ETH)) == 0;
        "granted by address, then a device: EACCES":
            then(&[ALL6], TCP6, Connect(&LO6_80), Connect(&LINK_80)) == EACCES;
        "a device, then by address: EACCES":
            then(&[ALL6], TCP6, Connect(&GROUP_80), Connect(&LO6_80)) == EACCES;
        "a device, then a device: allowed":
            then(&[ALL6], TCP6, Connect(&LINK_80), Connect(&GROUP_80)) == 0;
        "granted by family 0, then a device: allowed":
            then(&[PORTS], TCP6, Connect(&LO6_80), Connect(&LINK_80)) == 0;

        "the youngest that refuses is reported":
            answers(&[NOTHING, LOCAL, PORTS], TCP4, Bind(&ANY_80))
                == Err(Refused(1, BIND_TCP, false));
        "a quiet rule for the port makes a refusal quiet":
            answers(&[HUSH], TCP4, Bind(&LO_80)) == Err(Refused(0, BIND_TCP, true));
        "a quiet rule for another port does not":
            answers(&[HUSH], TCP4, Bind(&inet(81, LO))) == Err(Refused(0, BIND_TCP, false));
        "a quiet rule does not, if the right is not quiet":
            answers(&[HUSH], TCP4, Connect(&LO_80)) == Err(Refused(0, CONNECT_TCP, false));

        "IP_OPTIONS under an address rule: EACCES":
            gets(&[PORTS, LOCAL, PORTS], TCP6, SetOption(0, 4)) == EACCES;
        "SO_BINDTODEVICE on MPTCP under an address rule: EACCES":
            gets(&[LOCAL], MPTCP4, SetOption(1, 25)) == EACCES;
        "IP_OPTIONS without an address rule: allowed":
            gets(&[only(ADDRESSES, PORTS)], TCP4, SetOption(0, 4)) == 0;
        "IP_OPTIONS, UDP, an address rule for TCP: allowed":
            gets(&[only(TCP, LOCAL_TCP)], UDP4, SetOption(0, 4)) == 0;
        "UDP may join a group under an address rule":
            gets(&[only(ADDRESSES, LOCAL)], UDP4, SetOption(41, 20)) == 0;
        "TCP may not": gets(&[only(ADDRESSES, LOCAL)], TCP4, SetOption(41, 20)) == EACCES;
        "a filter where RECEIVE is handled: EACCES":
            gets(&[only(RECEIVE_TCP, PORTS)], bound(TCP4, 80, LO), SetOption(1, 26)) == EACCES;
        "a filter where RECEIVE is handled for UDP alone: allowed":
            gets(&[only(RECEIVE_UDP, PORTS)], bound(TCP4, 80, LO), SetOption(1, 26)) == 0;

        "accept: a rule for the port": gets(&[PORTS], LISTENER_80, Accept) == 0;
        "accept: no rule for the port": gets(&[PORTS], bound(LISTENER, 90, LO), Accept) == EACCES;
        "accept: a rule for the port and some address": gets(&[LOCAL], LISTENER_80, Accept) == 0;
        "accept: such a rule of another namespace":
            gets(&[LOCAL], Socket { netns: 2, ..LISTENER_80 }, Accept) == EACCES;
        "accept: each layer needs a rule": gets(&[PORTS, NOTHING], LISTENER_80, Accept) == EACCES;
        "accept: what does not listen is left to the network stack":
            gets(&[NOTHING], TCP4, Accept) == 0;
        "accepted: the peer's address": gets(&[LOCAL], ACCEPTED, Accepted) == 0;
        "accepted: another address":
            gets(&[LOCAL], from([10, 0, 0, 1], ACCEPTED), Accepted) == EACCES;
        "accepted: the port that was dialled, not the listener's":
            gets(&[LOCAL], Socket { local: (99, V4(LO)), ..ACCEPTED }, Accepted) == EACCES;
        "accepted through a device: prefixes match nothing":
            gets(&[LOCAL], on(ETH, ACCEPTED), Accepted) == EACCES;
        "SMC, accept: EACCES, whether it listens or not":
            [false, true].map(|is_listening| Socket { is_listening, ..bound(SMC4, 80, LO) })
                .iter()
                .all(|socket| gets(&[PORTS], *socket, Accept) == EACCES);

        "service: the remote port": gets(&[PORTS], CLIENT, Send(None, false, NONE)) == 0;
        "service: not the local port":
            gets(&[PORTS], Socket { local: (80, V4(LO)), ..to(90, CLIENT) }, Receive) == EACCES;
        "service: the local port without a peer": gets(&[PORTS], bound(TCP4, 80, LO), Shutdown) == 0;
        "service: 0 if there is no port": gets(&[PORTS], TCP4, Shutdown) == EACCES;
        "service: the local port if accepted": gets(&[PORTS], ACCEPTED, Send(None, false, NONE)) == 0;
        "service: the remote port again, once it is not connected":
            gets(&[PORTS], Socket { is_connected: false, ..ACCEPTED }, Receive) == EACCES;
        "service: likewise, if it has another peer": gets(&[PORTS], to(90, ACCEPTED), Receive) == EACCES;
        "service: likewise, if it has another port":
            gets(&[PORTS], Socket { local: (81, V4(LO)), ..ACCEPTED }, Receive) == EACCES;
        "service: the peer's address": gets(&[LOCAL], CLIENT, Receive) == 0;
        "service: another address":
            gets(&[LOCAL], from([10, 0, 0, 1], CLIENT), GetOption(6, 1)) == EACCES;
        "service: without a peer, prefixes match nothing":
            gets(&[LOCAL], bound(TCP4, 80, LO), SetOption(6, 1)) == EACCES;
        "service: a control message with a device":
            gets(&[LOCAL], CLIENT, Send(None, false, ETH)) == EACCES;
        "service: UDP": gets(&[LOCAL], CONNECTED, Shutdown) == 0;
        "service: the kernel is exempt": gets(&[NOTHING], KERNEL, Receive) == 0;
        "MSG_FASTOPEN: its address": gets(&[LOCAL], TCP4, Send(Some(&LO_80), true, NONE)) == 0;
        "MSG_FASTOPEN: the peer too":
            gets(&[LOCAL], to(90, CLIENT), Send(Some(&LO_80), true, NONE)) == EACCES;
        "MSG_FASTOPEN: its address too":
            gets(&[LOCAL], CLIENT, Send(Some(&inet(90, LO)), true, NONE)) == EACCES;
        "TCP_ZEROCOPY_RECEIVE receives":
            gets(&[only(RECEIVE_TCP, NOTHING)], CLIENT, GetOption(6, 35)) == EACCES
                && gets(&[only(RECEIVE_TCP, NOTHING)], CLIENT, GetOption(6, 36)) == 0;
        "UDP, receive: the port that bind named":
            gets(&[PORTS], Socket { is_port_named: true, ..UDP4_80 }, Receive) == 0;
        "UDP, receive: 0 if the kernel has chosen it": gets(&[PORTS], UDP4_80, Receive) == EACCES;
        "UDP, receive: 0 if it had such a port before":
            gets(&[PORTS], Socket { has_lost_port: true, is_port_named: true, ..UDP4_80 }, Receive)
                == EACCES;
        "TCP_ULP sends and receives":
            gets(&[only(SEND_TCP, NOTHING)], CLIENT, SetOption(6, 31)) == EACCES
                && gets(&[only(RECEIVE_TCP, NOTHING)], CLIENT, SetOption(6, 31)) == EACCES
                && gets(&[PORTS], CLIENT, SetOption(6, 31)) == 0;

        "a permissive layer allows what it would refuse":
            gets(&[permissive(NOTHING)], TCP4, Connect(&inet(80, LO))) == 0;
        "a permissive layer does not weaken another":
            gets(&[permissive(NOTHING), NOTHING], TCP4, Connect(&inet(80, LO))) == EACCES
                && gets(&[NOTHING, permissive(NOTHING)], TCP4, Connect(&inet(80, LO))) == EACCES;
        "the error of a wrong address holds in a permissive layer":
            gets(&[permissive(NOTHING)], TCP4, Connect(&[2, 0])) == EINVAL;
        "an EACCES without a rule does not hold in a permissive layer":
            gets(&[permissive(NOTHING)], UDP6, Send(Some(&[0; 24]), false, Way::NONE)) == 0;
        "each layer tells what it refuses, the youngest first":
            tell(
                &[NOTHING, PORTS, permissive(NOTHING)],
                TCP4,
                Connect(&inet(80, LO)),
                &[(2, CONNECT_TCP, Some(80)), (0, CONNECT_TCP, Some(80))],
            );
        "what is granted is not told": tell(&[PORTS], TCP4, Connect(&inet(80, LO)), &[]);

        "a rule about a socket grants whatever the port and address":
            gets(&[on_socket(&[(7, CONNECT_TCP)])], of_cookie(7, TCP4), Connect(&inet(80, LO))) == 0
                && gets(&[on_socket(&[(7, LISTEN_TCP)])], of_cookie(7, TCP4), Listen) == 0
                && gets(&[on_socket(&[(7, RECEIVE_UDP)])], of_cookie(7, UDP4), Receive) == 0;
        "a rule about a socket is about no other":
            gets(&[on_socket(&[(7, CONNECT_TCP)])], of_cookie(8, TCP4), Connect(&inet(80, LO)))
                == EACCES
                && gets(&[on_socket(&[(7, CONNECT_TCP)])], TCP4, Connect(&inet(80, LO))) == EACCES;
        "a rule about a socket grants its rights only":
            gets(&[on_socket(&[(7, BIND_TCP)])], of_cookie(7, TCP4), Connect(&inet(80, LO)))
                == EACCES;
        "layers intersect for a socket as for a port":
            gets(
                &[on_socket(&[(7, TCP)]), NOTHING],
                of_cookie(7, TCP4),
                Connect(&inet(80, LO)),
            ) == EACCES;
        "what a granted listener accepts may be used":
            gets(&[on_socket(&[(7, TCP)])], of_listener(7, ACCEPTED), Send(None, false, Way::NONE)) == 0
                && gets(&[on_socket(&[(7, TCP)])], of_listener(7, ACCEPTED), Receive) == 0
                && gets(&[on_socket(&[(7, TCP)])], of_listener(7, ACCEPTED), Shutdown) == 0;
        "what a granted listener accepts is not granted more":
            gets(&[on_socket(&[(7, TCP)])], of_listener(7, ACCEPTED), Connect(&inet(80, LO)))
                == EACCES;
        "what was accepted and is connected elsewhere is not granted":
            gets(&[on_socket(&[(7, TCP)])], of_listener(7, to(81, ACCEPTED)), Receive) == EACCES;

        "socket: -1 is any type and protocol":
            errno(create_socket(&heard(&[KINDS]), kind(1, 5, 0), false)) == 0;
        "socket: a rule names family, type and protocol":
            errno(create_socket(&heard(&[KINDS]), kind(2, 1, 6), false)) == 0;
        "socket: protocol 0 is no alias":
            errno(create_socket(&heard(&[KINDS]), kind(2, 1, 0), false)) == EACCES;
        "socket: another type": errno(create_socket(&heard(&[KINDS]), kind(2, 3, 6), false)) == EACCES;
        "socket: AF_INET with SOCK_PACKET is AF_PACKET":
            errno(create_socket(&heard(&[KINDS]), kind(2, 10, 3), false)) == EACCES;
        "socket: the kernel is exempt": errno(create_socket(&heard(&[KINDS]), kind(2, 3, 6), true)) == 0;
        "socket: allowed if not handled":
            errno(create_socket(&heard(&[NOTHING]), kind(2, 3, 6), false)) == 0;

        "create: NULL and 0 ask for the version":
            create_ruleset(CREATE_RULESET, true, 0, false, None, Ok(())) == Ok(Some(1));
        "create: with a flag of Landlock's: EINVAL":
            create_ruleset(CREATE_RULESET | 1, true, 0, false, None, Ok(())) == Err(EINVAL);
        "create: NULL with a size: EFAULT":
            create_ruleset(CREATE_RULESET, true, 4, false, None, Ok(())) == Err(EFAULT);
        "create: less than 8 bytes: EINVAL":
            create_ruleset(CREATE_RULESET, false, 7, false, None, Ok(())) == Err(EINVAL);
        "create: more than a page: E2BIG":
            create_ruleset(CREATE_RULESET, false, 4097, false, None, Ok(())) == Err(E2BIG);
        "create: nothing handled: ENOMSG": creates(NO_ATTR) == Err(ENOMSG);
        "create: an unknown right: EINVAL":
            creates(RulesetAttr { handled_access_net: 1 << 43, ..NO_ATTR }) == Err(EINVAL);
        "create: quiet rights that are not handled: EINVAL":
            creates(RulesetAttr { quiet_access_net: 1, ..NO_ATTR }) == Err(EINVAL);
        "create: an observer that is not meant: EINVAL":
            creates(RulesetAttr { observer_cookie: 1, ..NO_ATTR }) == Err(EINVAL)
                && creates(RulesetAttr { observer_fd: 1, ..NO_ATTR }) == Err(EINVAL);
        "create: an unknown flag: EINVAL":
            creates(RulesetAttr { flags: 2, ..TCP_AND_SOCKETS }) == Err(EINVAL);
        "create: what is wrong with the observer comes last":
            create_ruleset(
                CREATE_RULESET,
                false,
                40,
                false,
                Some(RulesetAttr { flags: OBSERVED, ..TCP_AND_SOCKETS }),
                Err(9),
            ) == Err(9)
                && creates(RulesetAttr { flags: OBSERVED, ..NO_ATTR }) == Err(ENOMSG);
        "observer: NULL is EFAULT, whatever the size":
            create_observer(true, 0, false, None) == Err(EFAULT);
        "observer: no flag is known": create_observer(false, 8, false, Some(1)) == Err(EINVAL);
        "observer: created": create_observer(false, 8, false, Some(0)) == Ok(());
        "create: a ruleset": creates(TCP_AND_SOCKETS) == Ok(None);

        "add: wrong flags come first": adds(RuleAttr::Other, 2, Err(9)) == Err(EINVAL);
        "add: then the file descriptor": adds(RuleAttr::Other, 0, Err(9)) == Err(9);
        "add: then an unknown type": adds(RuleAttr::Other, 0, Ok(())) == Err(EINVAL);
        "add: then EFAULT": adds(RuleAttr::Net(None), 0, Ok(())) == Err(EFAULT);
        "add: then ENOMSG, before EINVAL":
            net(NetAttr { allowed_access: 0, family: 1, ..SLASH_24 }) == Err(ENOMSG);
        "add: a right not handled": net(NetAttr { allowed_access: UDP, ..SLASH_24 }) == Err(EINVAL);
        "add: port_first over port_last": net(NetAttr { port_last: 79, ..SLASH_24 }) == Err(EINVAL);
        "add: a port over 65535": net(NetAttr { port_last: 65536, ..SLASH_24 }) == Err(EINVAL);
        "add: an unknown family": net(NetAttr { family: 1, ..SLASH_24 }) == Err(EINVAL);
        "add: family 0 with an address": net(NetAttr { family: 0, ..SLASH_24 }) == Err(EINVAL);
        "add: a prefix too long": net(NetAttr { prefix_len: 33, ..SLASH_24 }) == Err(EINVAL);
        "add: bits past the prefix": net(NetAttr { prefix_len: 23, ..SLASH_24 }) == Err(EINVAL);
        "add: AF_INET with bytes after the fourth":
            net(NetAttr { address: v6(10, 0, 1), ..SLASH_24 }) == Err(EINVAL);
        "add: a rule inside ::ffff:0:0/96":
            net(NetAttr { family: 10, prefix_len: 128, address: mapped(LO), ..SLASH_24 })
                == Err(EINVAL);
        "add: a field that must be 0": net(NetAttr { ifindex: 1, ..SLASH_24 }) == Err(EINVAL);
        "add: RECEIVE_UDP with an address":
            add_rule(
                &RulesetAttr { handled_access_net: RECEIVE_UDP, ..NO_ATTR },
                true,
                Ok(()),
                RuleAttr::Net(Some(NetAttr { allowed_access: RECEIVE_UDP, ..SLASH_24 })),
                0,
                1,
            ) == Err(EINVAL);
        "add: too many prefixes":
            add_rule(&TCP_AND_SOCKETS, true, Ok(()), RuleAttr::Net(Some(SLASH_24)), 0, 32_768)
                == Err(E2BIG);
        "add: to a plain ruleset":
            add_rule(&TCP_AND_SOCKETS, false, Ok(()), RuleAttr::Net(Some(SLASH_24)), 0, 1)
                == Err(EINVAL);
        "add: a prefix":
            net(SLASH_24) == Ok(Added::Rule(Rule::new(TCP, 80, 89).at(V4([10, 0, 1, 0]), 24)));
        "add: Landlock's rule":
            adds(RuleAttr::NetPort(Some((1, 80))), 0, Ok(()))
                == Ok(Added::Rule(Rule::new(1, 80, 80)));
        "add: a socket": opened(Ok(7), 0) == Ok(Added::Opened(7, TCP));
        "add: what is wrong with the socket comes last":
            opened(Err(88), 0) == Err(88) && opened(Err(88), QUIET) == Err(EINVAL);
        "add: a kind": socket(kind(254, -1, 65534), 0) == Ok(Added::Kind(kind(254, -1, 65534)));
        "add: a kind out of range": socket(kind(-1, -1, -1), 0) == Err(EINVAL);
        "add: QUIET for a kind": socket(kind(2, 1, 6), QUIET) == Err(EINVAL);
    }
};

#[cfg(test)]
mod tests {
    #[test]
    fn cases_hold() {
        for (case, holds) in super::CASES {
            assert!(holds(), "{case}");
        }
    }
}
