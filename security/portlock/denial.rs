// SPDX-License-Identifier: GPL-2.0

//! What only a refusal or a listener needs: which layer refused, audit and trace. Cold.

use crate::{
    access::Access,
    address::Asked,
    domain::Domain,
    landlock::{
        self,
        Denial, //
    }, //
};
use kernel::prelude::*;

/// Logs `denial`, by `domain`, and returns the error that user space gets: `EACCES`.
#[cold]
#[inline(never)]
pub(crate) fn refuse(domain: &Domain, denial: &Denial<'_>) -> Error {
    let port = match denial.asked {
        Asked::Port(port) => Some(port),
        Asked::Nothing | Asked::Unknowable => None,
    };

    if let Some((level, refused)) = domain.refusing(port, denial.access) {
        denial.log(level, refused);
    }
    EACCES
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
