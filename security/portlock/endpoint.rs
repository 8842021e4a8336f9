// SPDX-License-Identifier: GPL-2.0

//! The bytes of a socket address to the port that is asked for.
//!
//! The order of the checks is that of C Landlock's `current_check_access_socket()`: which error a
//! program gets for an address that is wrong in two ways is part of the interface.

use crate::{
    abi::{
        AF_INET,
        AF_INET6,
        AF_UNSPEC,
        SIN6_LEN_RFC2133,
        SOCKADDR_IN_LEN, //
    },
    access::Access, //
};
use core::net::IpAddr;
use kernel::{
    net::socket::Sockaddr,
    prelude::*, //
};

/// An IPv4 or IPv6 address, in network byte order.
///
/// An IPv4-mapped IPv6 address is an IPv4 address: `V6` never holds one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Address {
    V4([u8; 4]),
    V6([u8; 16]),
}

/// The first bytes of IPv4-mapped IPv6 addresses, `::ffff:0:0/96`.
const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => Self::from_ipv6(address.octets()),
        }
    }
}

impl From<Address> for IpAddr {
    fn from(address: Address) -> Self {
        match address {
            Address::V4(bytes) => bytes.into(),
            Address::V6(bytes) => bytes.into(),
        }
    }
}

impl Address {
    /// Takes the bytes of an IPv6 address.
    pub(crate) fn from_ipv6(bytes: [u8; 16]) -> Self {
        match bytes.split_last_chunk() {
            Some((head, tail)) if *head == MAPPED => Self::V4(*tail),
            _ => Self::V6(bytes),
        }
    }

    /// Whether rules with an address may match this one, which `access` is about.
    ///
    /// To bind, a wildcard is an address as any other. As a remote address it means this machine, or an
    /// address that the socket is bound to, whatever list contains it: only rules without an address
    /// match.
    #[inline]
    pub(crate) fn can_match(&self, access: Access) -> bool {
        /// Few calls ask this.
        #[cold]
        #[inline(never)]
        fn is_about_local(access: Access) -> bool {
            access.is_about_local()
        }

        !self.is_wildcard() || is_about_local(access)
    }

    /// Whether this is the wildcard address of its family.
    pub(crate) fn is_wildcard(&self) -> bool {
        match self {
            Self::V4(bytes) => u32::from_ne_bytes(*bytes) == 0,
            Self::V6(bytes) => u128::from_ne_bytes(*bytes) == 0,
        }
    }

    /// Whether a device is part of the address: a link-local IPv6 address, or a multicast one.
    ///
    /// IPv4 knows no such scope: 169.254.0.0/16 through another device is another host.
    pub(crate) fn is_of_a_link(&self) -> bool {
        match self {
            Self::V4([first, ..]) => first >> 4 == 14,
            Self::V6([0xfe, second, ..]) => second >> 6 == 2,
            Self::V6([first, ..]) => *first == 0xff,
        }
    }

    /// Whether [`Address::is_of_a_link`] may be true: a cheaper question.
    #[inline]
    pub(crate) fn may_be_of_a_link(&self) -> bool {
        // The whole number is asked for, since it is what the address index searches for.
        match self {
            Self::V4(bytes) => u32::from_be_bytes(*bytes) >= 0xe0 << 24,
            Self::V6(bytes) => u128::from_be_bytes(*bytes) >= 0xfe << 120,
        }
    }

    /// The address as the highest bits of a number, so that both families are alike: a prefix is
    /// some of these bits.
    pub(crate) fn highest(self) -> u128 {
        match self {
            Self::V4(bytes) => u128::from(u32::from_be_bytes(bytes)) << 96,
            Self::V6(bytes) => u128::from_be_bytes(bytes),
        }
    }

    /// The bytes, most significant first.
    fn bytes(&self) -> &[u8] {
        match self {
            Self::V4(bytes) => bytes,
            Self::V6(bytes) => bytes,
        }
    }
}

/// Addresses of a family that begin with the same bits.
///
/// # Invariants
///
/// - `len` is at most 32 for IPv4, and 128 for IPv6.
/// - The bits of `address` after the first `len` are zero.
/// - The prefix is not inside of `::ffff:0:0/96`: these addresses are IPv4's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Prefix {
    address: Address,
    len: u8,
}

impl Prefix {
    /// The IPv4 prefix of `len` bits.
    ///
    /// Returns `EINVAL` if it is too long, or has bits behind its end.
    pub(crate) fn ipv4(address: [u8; 4], len: u8) -> Result<Self> {
        Self::new(Address::V4(address), len)
    }

    /// The IPv6 prefix of `len` bits.
    ///
    /// Returns `EINVAL` if it is too long, has bits behind its end, or is inside of `::ffff:0:0/96`.
    pub(crate) fn ipv6(address: [u8; 16], len: u8) -> Result<Self> {
        if len >= 96 && address.starts_with(&MAPPED) {
            return Err(EINVAL);
        }
        Self::new(Address::V6(address), len)
    }

    fn new(address: Address, len: u8) -> Result<Self> {
        let bytes = address.bytes();
        let bits = bytes.len() * 8;
        // How many bits of a byte are behind the end.
        let has_tail = bytes.iter().zip(0usize..).any(|(byte, position)| {
            let kept = usize::from(len).saturating_sub(position * 8).min(8);

            u16::from(*byte) & (0xff >> kept) != 0
        });

        if usize::from(len) > bits || has_tail {
            return Err(EINVAL);
        }
        // INVARIANT: As just seen, and as `Prefix::ipv6` has seen.
        Ok(Self { address, len })
    }

    /// Whether the family is IPv6.
    pub(crate) const fn is_ipv6(&self) -> bool {
        matches!(self.address, Address::V6(_))
    }

    /// The first address.
    pub(crate) const fn first(&self) -> Address {
        self.address
    }

    /// The number of bits that are fixed.
    pub(crate) const fn len(&self) -> u8 {
        self.len
    }
}

/// What the socket call does with the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// It becomes the local address.
    Bind,
    /// It becomes the remote address.
    Connect,
    /// It is the destination of one datagram.
    Send,
}

impl Use {
    /// What bind(2), connect(2) or listen(2) does with the address that `access` is about.
    #[inline]
    pub(crate) const fn of(access: Access) -> Self {
        if access.is_about_local() {
            Self::Bind
        } else {
            Self::Connect
        }
    }
}

/// Whether `address`, of which there are as many bytes as a plain address has, may be an IPv6 address
/// with which a device counts: a link-local or a multicast one.
///
/// The byte that tells it means nothing in an IPv4 address, of which this may be true as well.
#[inline]
pub(crate) fn may_be_of_a_link(address: Sockaddr<'_>) -> bool {
    address
        .first_chunk::<SOCKADDR_IN_LEN>()
        .is_none_or(|bytes| bytes[8] >= 0xfe)
}

/// Whether a socket that uses the address may be bound to a device by that: an IPv6 address that
/// needs a scope, or a multicast one to connect to.
pub(crate) fn names_device(bytes: &[u8], used: Use) -> bool {
    if family(bytes) != Some(AF_INET6) {
        return false;
    }
    match (used, bytes.get(8..24)) {
        (Use::Bind | Use::Connect, Some([0xfe, second, ..])) => second >> 6 == 2,
        // Multicast on an interface or a link.
        (Use::Bind, Some([0xff, second, ..])) => matches!(second & 15, 1 | 2),
        (Use::Connect, Some([0xff, ..])) => true,
        _ => false,
    }
}

/// What an address asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Nothing that rules are about: the network stack answers.
    Nothing,
    /// A port, in host byte order.
    Port(u16),
    /// Something whose port cannot be known for sure, so that no rule can allow it.
    Unknowable,
}

/// The address that a socket address names, if [`asked`] found a port in it, or `None` if it is too
/// short.
#[inline]
pub(crate) fn address(address: Sockaddr<'_>) -> Option<Address> {
    let [family_0, family_1, _, _, ipv4 @ ..] = *address.first_chunk::<8>()?;

    match u16::from_ne_bytes([family_0, family_1]) {
        AF_INET6 => {
            let bytes = address.first_chunk::<SIN6_LEN_RFC2133>()?;

            Some(Address::from_ipv6(*bytes.last_chunk()?))
        }
        // As an IPv4 socket takes it, whatever its family is.
        _ => Some(Address::V4(ipv4)),
    }
}

/// The family of `address` (`sa_family`), or `None` if it is too short to have one.
#[inline]
fn family(address: &[u8]) -> Option<u16> {
    Some(u16::from_ne_bytes(*address.first_chunk()?))
}

/// Whether connecting a UDP socket to `address` may give it a local port.
///
/// Dropping the remote address does not, and the stack refuses an address without a family.
#[inline]
pub(crate) fn may_autobind(address: &[u8]) -> bool {
    family(address).is_some_and(|family| family != AF_UNSPEC)
}

/// Whether connecting a socket to `address` drops its peer.
#[inline]
pub(crate) fn drops_peer(address: &[u8]) -> bool {
    family(address) == Some(AF_UNSPEC)
}

/// The port of an address as a socket of `socket_family` usually gets it: of its own family, `AF_INET`
/// or `AF_INET6`, and not too short. For any other, ask [`asked`].
#[inline]
pub(crate) fn plain_port(address: Sockaddr<'_>, socket_family: u16) -> Option<u16> {
    let head = match socket_family {
        AF_INET => address.first_chunk::<SOCKADDR_IN_LEN>()?.first_chunk()?,
        AF_INET6 if cfg!(CONFIG_IPV6) => {
            address.first_chunk::<SIN6_LEN_RFC2133>()?.first_chunk()?
        }
        _ => return None,
    };
    let [family_0, family_1, high, low] = *head;

    (u16::from_ne_bytes([family_0, family_1]) == socket_family)
        .then_some(u16::from_be_bytes([high, low]))
}

/// Says what `address`, as user space passed it, asks of a socket of `socket_family`.
///
/// Returns the error that the network stack would give for an address that is too short or of a
/// wrong family, `EINVAL` or `EAFNOSUPPORT`, so that it comes before a refusal.
///
/// An IPv6 socket of UDP takes an IPv4 address as its destination. Landlock refuses it with
/// `EINVAL`, and so must plain layers; `takes_ipv4` says that there is none to do so.
#[inline]
pub(crate) fn asked(
    address: &[u8],
    socket_family: u16,
    used: Use,
    takes_ipv4: bool,
) -> Result<Asked> {
    let Some(family) = family(address) else {
        return Err(EINVAL);
    };

    let port = match family {
        AF_INET => inet_port(address)?,
        AF_INET6 if cfg!(CONFIG_IPV6) => inet6_port(address)?,
        AF_UNSPEC => return unspecified(address, socket_family, used),
        _ => return Ok(Asked::Nothing),
    };

    // The stack would refuse this too, but only after a refusal by the rules.
    if family != socket_family && !(takes_ipv4 && family == AF_INET) {
        return Err(EINVAL);
    }
    Ok(Asked::Port(port))
}

/// The port of `address`, in host byte order, if it is at least `min_len` bytes long.
#[inline]
fn port(address: &[u8], min_len: usize) -> Result<u16> {
    if address.len() < min_len {
        return Err(EINVAL);
    }
    match address {
        [_, _, high, low, ..] => Ok(u16::from_be_bytes([*high, *low])),
        _ => Err(EINVAL),
    }
}

#[inline]
fn inet_port(address: &[u8]) -> Result<u16> {
    port(address, SOCKADDR_IN_LEN)
}

#[inline]
fn inet6_port(address: &[u8]) -> Result<u16> {
    port(address, SIN6_LEN_RFC2133)
}

/// [`asked`], for an address whose family is `AF_UNSPEC`.
#[cold]
fn unspecified(address: &[u8], socket_family: u16, used: Use) -> Result<Asked> {
    match used {
        // This only drops a remote address, which is always allowed, like dropping a privilege.
        Use::Connect => Ok(Asked::Nothing),

        // An IPv6 socket takes this for "no address", but another thread may turn it into an IPv4
        // socket meanwhile (IPV6_ADDRFORM), which takes it for an IPv4 address.
        Use::Send if socket_family == AF_INET6 => Ok(Asked::Unknowable),

        // An IPv4 socket takes this for an IPv4 address.
        Use::Send => Ok(Asked::Port(inet_port(address)?)),

        // An IPv4 socket takes this for an IPv4 address if it is INADDR_ANY.
        Use::Bind if socket_family == AF_INET => {
            let port = inet_port(address)?;

            match address {
                [_, _, _, _, 0, 0, 0, 0, ..] => Ok(Asked::Port(port)),
                _ => Err(EAFNOSUPPORT),
            }
        }

        // An IPv6 socket refuses this.
        Use::Bind => {
            inet6_port(address)?;
            Err(EAFNOSUPPORT)
        }
    }
}

#[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
#[kernel::macros::kunit_tests(portlock_endpoint)]
mod tests {
    use super::*;

    /// An address of `family` whose port is 443 and whose other bytes are `rest`.
    fn address(family: u16, rest: u8) -> [u8; 28] {
        let mut bytes = [rest; 28];

        bytes[..2].copy_from_slice(&family.to_ne_bytes());
        bytes[2..4].copy_from_slice(&443u16.to_be_bytes());
        bytes
    }

    #[test]
    fn a_plain_port_is_what_is_asked() {
        // AF_UNIX, AF_INET, AF_NETLINK and others: each as socket and as address.
        let families = [AF_UNSPEC, 1, AF_INET, 5, AF_INET6, 16, 0x0a00, u16::MAX];

        for socket_family in families {
            for family in families {
                for rest in [0, 1, 0xff] {
                    let bytes = address(family, rest);

                    for len in 0..=bytes.len() {
                        let plain = plain_port(bytes[..len].into(), socket_family);

                        for used in [Use::Bind, Use::Connect, Use::Send] {
                            let asked = asked(&bytes[..len], socket_family, used, false);

                            // All that is plain is asked; of what is not, only AF_UNSPEC asks for a
                            // port.
                            match plain {
                                Some(port) => assert_eq!(asked, Ok(Asked::Port(port))),
                                None => assert!(
                                    !matches!(asked, Ok(Asked::Port(_))) || family == AF_UNSPEC
                                ),
                            }
                        }
                    }
                }
            }
        }
        assert_eq!(
            plain_port(address(AF_INET, 0)[..16].into(), AF_INET),
            Some(443)
        );
        assert_eq!(
            plain_port(address(AF_INET6, 0)[..24].into(), AF_INET6),
            Some(443)
        );
        assert_eq!(plain_port(address(AF_INET, 0)[..15].into(), AF_INET), None);
        assert_eq!(
            plain_port(address(AF_INET6, 0)[..23].into(), AF_INET6),
            None
        );
    }

    #[test]
    fn too_short_for_a_family_is_einval() {
        for len in 0..2 {
            for used in [Use::Bind, Use::Connect, Use::Send] {
                assert_eq!(asked(&[0; 2][..len], AF_INET, used, false), Err(EINVAL));
            }
        }
    }

    #[test]
    fn short_addresses_are_einval_before_anything_else() {
        for used in [Use::Bind, Use::Connect, Use::Send] {
            for (family, min) in [(AF_INET, 16), (AF_INET6, 24)] {
                let bytes = address(family, 0);

                assert_eq!(asked(&bytes[..min - 1], family, used, false), Err(EINVAL));
                assert_eq!(
                    asked(&bytes[..min], family, used, false),
                    Ok(Asked::Port(443))
                );
            }
        }
    }

    #[test]
    fn another_family_than_the_socket_is_einval() {
        for used in [Use::Bind, Use::Connect, Use::Send] {
            assert_eq!(
                asked(&address(AF_INET, 0), AF_INET6, used, false),
                Err(EINVAL)
            );
            assert_eq!(
                asked(&address(AF_INET6, 0), AF_INET, used, false),
                Err(EINVAL)
            );
        }
    }

    #[test]
    fn unknown_families_are_left_to_the_stack() {
        let netlink = address(16, 0);

        assert_eq!(
            asked(&netlink, AF_INET, Use::Bind, false),
            Ok(Asked::Nothing)
        );
    }

    #[test]
    fn unspecified_connect_is_allowed() {
        let bytes = address(AF_UNSPEC, 0xff);

        for family in [AF_INET, AF_INET6] {
            assert_eq!(
                asked(&bytes[..2], family, Use::Connect, false),
                Ok(Asked::Nothing)
            );
        }
    }

    #[test]
    fn only_a_remote_address_may_autobind() {
        assert!(may_autobind(address(AF_INET, 0)[..].into()));
        assert!(!may_autobind(address(AF_UNSPEC, 0)[..].into()));
        assert!(!may_autobind(address(AF_INET, 0)[..1].into()));
    }

    #[test]
    fn unspecified_send_is_an_ipv4_address_or_unknowable() {
        let bytes = address(AF_UNSPEC, 0xff);

        assert_eq!(
            asked(&bytes[..2], AF_INET6, Use::Send, false),
            Ok(Asked::Unknowable)
        );
        assert_eq!(asked(&bytes[..15], AF_INET, Use::Send, false), Err(EINVAL));
        assert_eq!(
            asked(&bytes[..16], AF_INET, Use::Send, false),
            Ok(Asked::Port(443))
        );
    }

    #[test]
    fn a_prefix_is_refused_unless_it_is_one() {
        assert!(Prefix::ipv4([0; 4], 0).is_ok());
        assert!(Prefix::ipv4([255; 4], 32).is_ok());
        assert!(Prefix::ipv4([10, 0, 0, 0], 8).is_ok());
        assert_eq!(Prefix::ipv4([0; 4], 33), Err(EINVAL));
        assert_eq!(Prefix::ipv4([10, 0, 0, 1], 31), Err(EINVAL));
        assert_eq!(Prefix::ipv4([128, 0, 0, 0], 0), Err(EINVAL));

        let mut mapped = [0; 16];

        mapped[10..12].fill(0xff);
        assert!(Prefix::ipv6([0; 16], 0).is_ok());
        assert!(Prefix::ipv6([255; 16], 128).is_ok());
        assert_eq!(Prefix::ipv6([0; 16], 129), Err(EINVAL));
        assert_eq!(Prefix::ipv6([1; 16], 120), Err(EINVAL));
        assert_eq!(Prefix::ipv6(mapped, 96), Err(EINVAL));
        assert_eq!(Prefix::ipv6(mapped, 128), Err(EINVAL));
        // What begins before the mapped addresses is a prefix of IPv6.
        mapped[10..].fill(0);
        assert!(Prefix::ipv6(mapped, 80).is_ok());
    }

    #[test]
    fn a_mapped_address_is_an_ipv4_address() {
        let mut mapped = [0; 16];

        mapped[10..12].fill(0xff);
        mapped[12..].copy_from_slice(&[127, 0, 0, 1]);
        assert_eq!(Address::from_ipv6(mapped), Address::V4([127, 0, 0, 1]));
        mapped[0] = 1;
        assert_eq!(Address::from_ipv6(mapped), Address::V6(mapped));
        assert!(Address::from_ipv6([0; 16]).is_wildcard());
        assert!(Address::V4([0; 4]).is_wildcard());
        assert!(!Address::V4([0, 0, 0, 1]).is_wildcard());
    }

    #[test]
    fn link_local_and_multicast_addresses_are_of_a_link() {
        for (address, is) in [
            (Address::V4([169, 254, 0, 1]), false),
            (Address::V4([224, 0, 0, 1]), true),
            (Address::V4([239, 255, 255, 255]), true),
            (Address::V4([240, 0, 0, 1]), false),
            (Address::V4([127, 0, 0, 1]), false),
        ] {
            assert_eq!(address.is_of_a_link(), is);
        }
        for (head, is) in [
            ([0xfe, 0x80], true),
            ([0xfe, 0xbf], true),
            ([0xfe, 0xc0], false),
            ([0xff, 0x02], true),
            ([0x20, 0x01], false),
        ] {
            let mut bytes = [0; 16];

            bytes[..2].copy_from_slice(&head);
            assert_eq!(Address::V6(bytes).is_of_a_link(), is);
            assert!(!is || Address::V6(bytes).may_be_of_a_link());
        }
    }

    #[test]
    fn unspecified_bind_is_for_ipv4_and_any_address() {
        let any = address(AF_UNSPEC, 0);
        let other = address(AF_UNSPEC, 1);

        assert_eq!(asked(&any[..15], AF_INET, Use::Bind, false), Err(EINVAL));
        assert_eq!(
            asked(&any[..16], AF_INET, Use::Bind, false),
            Ok(Asked::Port(443))
        );
        assert_eq!(asked(&other, AF_INET, Use::Bind, false), Err(EAFNOSUPPORT));
        assert_eq!(asked(&any[..23], AF_INET6, Use::Bind, false), Err(EINVAL));
        assert_eq!(
            asked(&any[..24], AF_INET6, Use::Bind, false),
            Err(EAFNOSUPPORT)
        );
    }
}
