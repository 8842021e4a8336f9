// SPDX-License-Identifier: GPL-2.0

//! What only a refusal or a listener needs: which layer refused, audit and trace. Cold.

use crate::{
    access::{
        Access,
        AccessSet, //
    },
    domain::{
        Domain,
        Question,
        Refusing, //
    },
    endpoint,
    landlock::{
        self,
        About,
        Denial, //
    }, //
};
use core::net::IpAddr;
use kernel::{
    net::socket::{
        LockedSock,
        Sock, //
    },
    prelude::*, //
};

/// An access that a domain refuses.
pub(crate) struct Refused<'a> {
    pub(crate) domain: &'a Domain,
    pub(crate) sk: &'a Sock,
    /// The family of the socket when it was checked.
    pub(crate) socket_family: u16,
    /// The address that was passed, at least as long as what was read of it.
    pub(crate) address: &'a [u8],
    /// What it asks for.
    pub(crate) question: &'a Question,
}

/// Counts a refusal and tells audit and trace of it: the youngest layer that refuses is named.
#[cold]
#[inline(never)]
pub(crate) fn log(refused: &Refused<'_>) {
    let question = refused.question;

    let Some(refusing) = refused.domain.refusing(question) else {
        return;
    };
    let access = question.access;

    if AccessSet::LANDLOCK.contains(access) {
        let Refusing { level, quiet } = refusing;
        let denial = Denial {
            sk: refused.sk,
            socket_family: refused.socket_family,
            address: refused.address,
            names_port: question.port.is_some(),
            access,
        };

        denial.log(level, quiet);
    } else {
        let about = match question.port {
            Some(port) => About::Service {
                sk: refused.sk,
                port,
                is_local: false,
                peer: endpoint::address(refused.address.into()).map(IpAddr::from),
            },
            None => About::Socket(refused.sk),
        };

        log_by_name(access.name(), about, refusing);
    }
}

/// Counts the refusal of a listener, and tells audit and trace of it. `owner` is the socket that the
/// task has, and `sk` the one whose local port and address were checked.
#[cold]
#[inline(never)]
pub(crate) fn log_listen(domain: &Domain, sk: &LockedSock, owner: &Sock, question: &Question) {
    if let Some(refusing) = domain.refusing(question) {
        let about = About::Local(owner, sk.port(), sk.address());

        log_by_name(question.access.name(), about, refusing);
    }
}

/// Counts a refusal that Landlock has no name for, and tells audit and trace of it.
#[cold]
#[inline(never)]
pub(crate) fn log_by_name(name: &'static CStr, about: About<'_>, refusing: Refusing) {
    landlock::log_by_name(name, about, refusing.level, refusing.quiet);
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
