// SPDX-License-Identifier: GPL-2.0

//! What a socket carries.

use crate::{
    cached::Cached,
    flow::{
        Accepted,
        LostPort, //
    },
    way::Mark,
    Portlock, //
};
use kernel::{
    lsm::sock_blob,
    net::socket::Sock,
    prelude::*, //
};

/// What Portlock keeps of each socket. Zeroes are a new socket's.
#[derive(Zeroable)]
pub(crate) struct Carried {
    pub(crate) mark: Mark,
    pub(crate) lost_port: LostPort,
    pub(crate) accepted: Accepted,
    pub(crate) cached: Cached,
}

// Each socket of the machine has it, whatever it is for.
kernel::static_assert!(size_of::<Carried>() <= 96);

impl Carried {
    /// What `sk` carries, or `None` if it has no room for it, as sockets that LSMs were not asked about.
    #[inline(always)]
    pub(crate) fn of(sk: &Sock) -> Option<&Self> {
        sock_blob::<Portlock>(sk)
    }
}
