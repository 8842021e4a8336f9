// SPDX-License-Identifier: GPL-2.0

//! What only a refusal or a listener needs: which layer refused, audit and trace. Cold.

use crate::{
    access::Access,
    domain::Domain,
    landlock::{
        self,
        Denial, //
    }, //
};
use kernel::net::socket::Sock;

/// An access that a domain refuses.
pub(crate) struct Refused<'a> {
    pub(crate) domain: &'a Domain,
    pub(crate) sk: &'a Sock,
    /// The family of the socket when it was checked.
    pub(crate) socket_family: u16,
    /// The address that was passed, at least as long as what was read of it.
    pub(crate) address: &'a [u8],
    /// The port that it asks for, in host byte order, unless that cannot be known.
    pub(crate) port: Option<u16>,
    pub(crate) access: Access,
}

/// Counts a refusal and tells audit and trace of it: the youngest layer that refuses is named.
#[cold]
#[inline(never)]
pub(crate) fn log(refused: &Refused<'_>) {
    if let Some((level, quiet)) = refused.domain.refusing(refused.port, refused.access) {
        let denial = Denial {
            sk: refused.sk,
            socket_family: refused.socket_family,
            address: refused.address,
            names_port: refused.port.is_some(),
            access: refused.access,
        };

        denial.log(level, quiet);
    }
}

/// Emits the event of a check, if a layer of `domain` has a rule for `port`.
#[cold]
#[inline(never)]
pub(crate) fn trace_check(domain: &Domain, port: u16, access: Access) {
    let granted = domain.granted(port);

    if !granted.is_empty() {
        landlock::trace_check(port, access, &granted);
    }
}
