// SPDX-License-Identifier: GPL-2.0

//! What a ruleset file descriptor refers to.

use crate::{
    abi::{
        ExtendedAttr,
        RulesetAttr,
        RULESET_OBSERVED, //
    },
    access::{
        AccessSet,
        PermissionSet, //
    },
    frozen::{
        Draft,
        Handled, //
    },
    landlock::CRuleset,
    observer::Reporter, //
};
use kernel::{
    alloc::flags::GFP_KERNEL_ACCOUNT,
    fs::anon_inode::Fd,
    prelude::*,
    sync::{
        Arc,
        UniqueArc, //
    }, //
};

/// A ruleset: Portlock's rules, and C Landlock's ruleset for all others.
pub(crate) struct Ruleset {
    /// What needs a rule once the ruleset is enforced.
    pub(crate) handled: Handled,

    /// Who is told what the layers made of it refuse.
    pub(crate) reporter: Option<Arc<Reporter>>,

    /// The rules, with the part that C Landlock keeps: one lock protects both.
    ///
    /// Threads that are being synchronized may wait for the lock, so it must not be held while
    /// waiting for them.
    pub(crate) rules: CRuleset<Draft>,
}

impl Ruleset {
    /// Creates a plain ruleset without rules, charged to the current task.
    ///
    /// Returns the errors of [`CRuleset::new`], and `ENOMEM`.
    pub(crate) fn new(attr: &RulesetAttr) -> Result<Arc<Self>> {
        // C Landlock refuses other unknown bits likewise, before all else.
        let access = AccessSet::from_landlock_bits(attr.0.handled_access_net).ok_or(EINVAL)?;
        let quiet = AccessSet::from_landlock_bits(attr.0.quiet_access_net).ok_or(EINVAL)?;
        let handled = Handled {
            is_extended: false,
            access,
            permissions: PermissionSet::empty(),
            quiet,
        };
        let place = UniqueArc::new_uninit(GFP_KERNEL_ACCOUNT)?;
        let rules = CRuleset::new(attr)?;

        Ok(place
            .write(Self {
                handled,
                reporter: None,
                rules,
            })
            .into())
    }

    /// Creates an extended ruleset without rules, charged to the current task.
    ///
    /// Returns `EINVAL` for unknown bits, quiet rights that are not handled, and fields that must be
    /// zero, `ENOMSG` if nothing is handled, `EBADF` if the observer's file descriptor is not open,
    /// `EBADFD` if it is no observer's, `ENOMEM`.
    pub(crate) fn extended(ExtendedAttr(attr): &ExtendedAttr) -> Result<Arc<Self>> {
        let access = AccessSet::from_bits(attr.handled_access_net).ok_or(EINVAL)?;
        let quiet = AccessSet::from_bits(attr.quiet_access_net).ok_or(EINVAL)?;
        let permissions = PermissionSet::from_bits(attr.handled_permissions).ok_or(EINVAL)?;

        let is_observed = attr.flags & RULESET_OBSERVED != 0;

        if attr.flags & !RULESET_OBSERVED != 0
            || !is_observed && (attr.observer_fd != 0 || attr.observer_cookie != 0)
        {
            return Err(EINVAL);
        }
        if !access.contains_all(quiet) {
            return Err(EINVAL);
        }
        if access.is_empty() && permissions.is_empty() {
            return Err(ENOMSG);
        }

        let handled = Handled {
            is_extended: true,
            access,
            permissions,
            quiet,
        };
        let reporter = if is_observed {
            Some(Reporter::new(
                &*Fd::get(attr.observer_fd)?,
                attr.observer_cookie,
            )?)
        } else {
            None
        };
        let place = UniqueArc::new_uninit(GFP_KERNEL_ACCOUNT)?;
        let rules = CRuleset::extended(access, quiet)?;

        Ok(place
            .write(Self {
                handled,
                reporter,
                rules,
            })
            .into())
    }
}
