// SPDX-License-Identifier: GPL-2.0

//! The bytes of a socket address to the port that is asked for.
//!
//! The order of the checks is that of C Landlock's `current_check_access_socket()`: which error a
//! program gets for an address that is wrong in two ways is part of the interface.

use crate::abi::{
    AF_INET,
    AF_INET6,
    AF_UNSPEC,
    SIN6_LEN_RFC2133,
    SOCKADDR_IN_LEN, //
};
use kernel::{
    net::socket::Sockaddr,
    prelude::*, //
};

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
#[inline]
pub(crate) fn asked(address: &[u8], socket_family: u16, used: Use) -> Result<Asked> {
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
    if family != socket_family {
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
                            let asked = asked(&bytes[..len], socket_family, used);

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
                assert_eq!(asked(&[0; 2][..len], AF_INET, used), Err(EINVAL));
            }
        }
    }

    #[test]
    fn short_addresses_are_einval_before_anything_else() {
        for used in [Use::Bind, Use::Connect, Use::Send] {
            for (family, min) in [(AF_INET, 16), (AF_INET6, 24)] {
                let bytes = address(family, 0);

                assert_eq!(asked(&bytes[..min - 1], family, used), Err(EINVAL));
                assert_eq!(asked(&bytes[..min], family, used), Ok(Asked::Port(443)));
            }
        }
    }

    #[test]
    fn another_family_than_the_socket_is_einval() {
        for used in [Use::Bind, Use::Connect, Use::Send] {
            assert_eq!(asked(&address(AF_INET, 0), AF_INET6, used), Err(EINVAL));
            assert_eq!(asked(&address(AF_INET6, 0), AF_INET, used), Err(EINVAL));
        }
    }

    #[test]
    fn unknown_families_are_left_to_the_stack() {
        let netlink = address(16, 0);

        assert_eq!(asked(&netlink, AF_INET, Use::Bind), Ok(Asked::Nothing));
    }

    #[test]
    fn unspecified_connect_is_allowed() {
        let bytes = address(AF_UNSPEC, 0xff);

        for family in [AF_INET, AF_INET6] {
            assert_eq!(asked(&bytes[..2], family, Use::Connect), Ok(Asked::Nothing));
        }
    }

    #[test]
    fn only_a_remote_address_may_autobind() {
        assert!(may_autobind(&address(AF_INET, 0)));
        assert!(!may_autobind(&address(AF_UNSPEC, 0)));
        assert!(!may_autobind(&address(AF_INET, 0)[..1]));
    }

    #[test]
    fn unspecified_send_is_an_ipv4_address_or_unknowable() {
        let bytes = address(AF_UNSPEC, 0xff);

        assert_eq!(
            asked(&bytes[..2], AF_INET6, Use::Send),
            Ok(Asked::Unknowable)
        );
        assert_eq!(asked(&bytes[..15], AF_INET, Use::Send), Err(EINVAL));
        assert_eq!(
            asked(&bytes[..16], AF_INET, Use::Send),
            Ok(Asked::Port(443))
        );
    }

    #[test]
    fn unspecified_bind_is_for_ipv4_and_any_address() {
        let any = address(AF_UNSPEC, 0);
        let other = address(AF_UNSPEC, 1);

        assert_eq!(asked(&any[..15], AF_INET, Use::Bind), Err(EINVAL));
        assert_eq!(asked(&any[..16], AF_INET, Use::Bind), Ok(Asked::Port(443)));
        assert_eq!(asked(&other, AF_INET, Use::Bind), Err(EAFNOSUPPORT));
        assert_eq!(asked(&any[..23], AF_INET6, Use::Bind), Err(EINVAL));
        assert_eq!(asked(&any[..24], AF_INET6, Use::Bind), Err(EAFNOSUPPORT));
    }
}
