// SPDX-License-Identifier: GPL-2.0

//! A ruleset, while it is being written.

use crate::{
    access::AccessSet,
    landlock,
    rules::{
        Rule,
        Rules, //
    }, //
};
use core::mem;
use kernel::{
    alloc::flags::GFP_KERNEL_ACCOUNT,
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex,
        UniqueArc, //
    }, //
};

/// What a ruleset file descriptor refers to: network rules, and C Landlock's ruleset for all others.
#[pin_data]
pub(crate) struct Ruleset {
    /// The network rights that need a rule once the ruleset is enforced.
    pub(crate) handled: AccessSet,

    /// The network rights whose denials a quiet rule keeps out of the logs, a subset of `handled`.
    pub(crate) quiet: AccessSet,

    /// The part that C Landlock keeps.
    pub(crate) landlock: landlock::Ruleset,

    /// The network rules.
    ///
    /// Lock order: this mutex, then the lock of `landlock`. Threads that are being synchronized may
    /// wait for it, so it must not be held while waiting for them.
    #[pin]
    pub(crate) rules: Mutex<Draft>,
}

impl Ruleset {
    /// Creates a ruleset without rules, charged to the current task.
    pub(crate) fn new(
        handled: AccessSet,
        quiet: AccessSet,
        landlock: landlock::Ruleset,
    ) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                handled,
                quiet,
                landlock,
                rules <- new_mutex!(Draft::Empty, "Ruleset::rules"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }
}

/// The rules of a ruleset that may still be written, or may not without a copy.
pub(crate) enum Draft {
    /// There is no rule yet.
    Empty,
    /// The rules belong to the ruleset alone.
    Open(UniqueArc<Rules>),
    /// The rules were enforced: domains read them without a lock.
    Frozen(Arc<Rules>),
}

impl Draft {
    /// Adds a rule, to a copy of the rules if they are frozen.
    ///
    /// Returns `ENOMEM`, with nothing changed, if there is no memory.
    pub(crate) fn add(&mut self, port: u16, rule: Rule) -> Result {
        if let Self::Open(rules) = self {
            return rules.add(port, rule);
        }

        let mut rules = match self {
            Self::Frozen(rules) => rules.try_clone()?,
            Self::Empty | Self::Open(_) => Rules::new(),
        };

        rules.add(port, rule)?;
        *self = Self::Open(UniqueArc::new(rules, GFP_KERNEL_ACCOUNT)?);
        Ok(())
    }

    /// Freezes the rules and returns them, to be enforced.
    pub(crate) fn freeze(&mut self) -> Result<Arc<Rules>> {
        let rules = match mem::replace(self, Self::Empty) {
            Self::Empty => Arc::new(Rules::new(), GFP_KERNEL_ACCOUNT)?,
            Self::Open(rules) => rules.into(),
            Self::Frozen(rules) => rules,
        };

        *self = Self::Frozen(rules.clone());
        Ok(rules)
    }
}

#[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
#[kernel::macros::kunit_tests(portlock_ruleset)]
mod tests {
    use super::*;
    use crate::access::Access;

    #[test]
    fn enforced_rules_do_not_change() -> Result {
        let mut draft = Draft::Empty;
        let rule = Rule {
            access: Access::BindTcp.into(),
            quiet: false,
        };

        draft.add(1, rule)?;
        let first = draft.freeze()?;
        draft.add(2, rule)?;
        let second = draft.freeze()?;

        assert!(first.iter().eq([(1, rule)]));
        assert!(second.iter().eq([(1, rule), (2, rule)]));
        Ok(())
    }

    #[test]
    fn unchanged_rules_are_shared() -> Result {
        let mut draft = Draft::Empty;

        assert!(Arc::ptr_eq(&draft.freeze()?, &draft.freeze()?));
        Ok(())
    }
}
