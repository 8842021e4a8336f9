// SPDX-License-Identifier: GPL-2.0

//! What a ruleset file descriptor refers to.

use crate::{
    abi::RulesetAttr,
    access::AccessSet,
    frozen::Draft,
    landlock::CRuleset, //
};
use kernel::{
    alloc::flags::GFP_KERNEL_ACCOUNT,
    prelude::*,
    sync::Arc, //
};

/// A ruleset: Portlock's network rules, and C Landlock's ruleset for all others.
pub(crate) struct Ruleset {
    /// The network rights that need a rule once the ruleset is enforced.
    pub(crate) handled: AccessSet,

    /// The network rights whose denials a quiet rule keeps out of the logs, a subset of `handled`.
    pub(crate) quiet: AccessSet,

    /// The network rules, with the part that C Landlock keeps: one lock protects both.
    ///
    /// Threads that are being synchronized may wait for the lock, so it must not be held while
    /// waiting for them.
    pub(crate) rules: CRuleset<Draft>,
}

impl Ruleset {
    /// Creates a ruleset without rules, charged to the current task.
    ///
    /// Returns the errors of [`CRuleset::new`].
    pub(crate) fn new(attr: &RulesetAttr) -> Result<Arc<Self>> {
        // C Landlock refuses other unknown bits likewise, before all else.
        let handled = AccessSet::from_bits(attr.0.handled_access_net).ok_or(EINVAL)?;
        let quiet = AccessSet::from_bits(attr.0.quiet_access_net).ok_or(EINVAL)?;
        let ruleset = Self {
            handled,
            quiet,
            rules: CRuleset::new(attr, Draft::new(handled))?,
        };

        Ok(Arc::new(ruleset, GFP_KERNEL_ACCOUNT)?)
    }
}
