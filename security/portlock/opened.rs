// SPDX-License-Identifier: GPL-2.0

//! Rules about single sockets: grants by the cookie of a socket, which no other one ever has.

use crate::access::{
    Access,
    AccessSet, //
};
use kernel::{
    alloc::flags::GFP_KERNEL_ACCOUNT,
    prelude::*,
    rbtree::{
        Entry,
        RBTree,
        RBTreeNodeReservation, //
    }, //
};

/// The sockets by which a socket may be granted something. A cookie of 0 is that of no socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cookies {
    /// The socket's own.
    pub(crate) own: u64,
    /// That of the listener which it was accepted from, while it is what accept(2) returned.
    pub(crate) listener: u64,
}

impl Cookies {
    /// Those of a socket that was not accepted, or where that does not matter.
    pub(crate) fn of(own: u64) -> Self {
        Self { own, listener: 0 }
    }
}

/// What a ruleset grants on single sockets.
///
/// # Invariants
///
/// `granted` has the rights that some rule grants.
#[derive(Default)]
pub(crate) struct OpenedRules {
    tree: RBTree<u64, AccessSet>,
    granted: AccessSet,
}

impl OpenedRules {
    /// Grants `access` on the socket that has `cookie`, which is not 0, besides what it was granted
    /// before.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM`, with nothing changed, if there
    /// is none.
    pub(crate) fn add(&mut self, cookie: u64, access: AccessSet) -> Result {
        match self.tree.entry(cookie) {
            Entry::Occupied(mut place) => *place.get_mut() |= access,
            Entry::Vacant(place) => {
                place.insert(access, RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?);
            }
        }
        // INVARIANT: The rules grant that, too.
        self.granted |= access;
        Ok(())
    }

    /// Whether a rule grants `access` on the socket that has `cookies`.
    pub(crate) fn grants(&self, cookies: Cookies, access: Access) -> bool {
        let has = |cookie: u64| {
            cookie != 0 && (self.tree.get(&cookie)).is_some_and(|granted| granted.contains(access))
        };

        has(cookies.own) || AccessSet::ACCEPTED.contains(access) && has(cookies.listener)
    }

    /// The rights that some rule grants.
    pub(crate) fn granted(&self) -> AccessSet {
        self.granted
    }

    /// Copies the rules, with memory charged to the current task.
    pub(crate) fn try_clone(&self) -> Result<Self> {
        let mut copy = Self::default();

        for (cookie, access) in self.tree.iter() {
            copy.add(*cookie, *access)?;
        }
        Ok(copy)
    }
}

#[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
#[kernel::macros::kunit_tests(portlock_opened)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_about_one_socket_and_what_it_accepts() -> Result {
        let mut rules = OpenedRules::default();
        let from = |listener| Cookies { own: 99, listener };

        rules.add(7, Access::AcceptTcp | Access::SendTcp)?;
        rules.add(7, Access::ShutdownTcp.into())?;
        rules.add(8, Access::ReceiveUdp.into())?;
        for rules in [&rules, &rules.try_clone()?] {
            assert!(rules.grants(Cookies::of(7), Access::AcceptTcp));
            assert!(rules.grants(Cookies::of(7), Access::SendTcp));
            assert!(rules.grants(Cookies::of(7), Access::ShutdownTcp));
            assert!(rules.grants(Cookies::of(8), Access::ReceiveUdp));
            assert!(!rules.grants(Cookies::of(8), Access::SendTcp));
            assert!(!rules.grants(Cookies::of(9), Access::SendTcp));
            assert!(rules.grants(from(7), Access::SendTcp));
            assert!(rules.grants(from(7), Access::ShutdownTcp));
            // What is accepted does not listen.
            assert!(!rules.grants(from(7), Access::AcceptTcp));
            assert!(!rules.grants(from(9), Access::SendTcp));
            assert!(rules.granted().contains(Access::ReceiveUdp));
            assert!(rules.granted().contains(Access::SendTcp));
            assert!(!rules.granted().contains(Access::BindTcp));
        }
        Ok(())
    }

    #[test]
    fn without_a_cookie_nothing_is_granted() -> Result {
        let mut rules = OpenedRules::default();

        rules.add(1, AccessSet::TCP)?;
        // Nobody adds this.
        rules.add(0, AccessSet::TCP)?;
        assert!(!rules.grants(Cookies::default(), Access::SendTcp));
        Ok(())
    }
}
