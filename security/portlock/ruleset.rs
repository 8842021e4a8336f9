// SPDX-License-Identifier: GPL-2.0

//! A ruleset, while it is being written.

use crate::{
    access::AccessSet,
    index::{
        self,
        Index, //
    },
    landlock::{
        self,
        RulesetAttr, //
    },
    rules::{
        Rule,
        Rules, //
    }, //
};
use core::mem;
use kernel::{
    alloc::flags::GFP_KERNEL_ACCOUNT,
    prelude::*,
    sync::{
        Arc,
        UniqueArc, //
    }, //
};

/// What a ruleset file descriptor refers to: network rules, and C Landlock's ruleset for all others.
pub(crate) struct Ruleset {
    /// The network rights that need a rule once the ruleset is enforced.
    pub(crate) handled: AccessSet,

    /// The network rights whose denials a quiet rule keeps out of the logs, a subset of `handled`.
    pub(crate) quiet: AccessSet,

    /// The network rules, with the part that C Landlock keeps: one lock protects both.
    ///
    /// Threads that are being synchronized may wait for the lock, so it must not be held while
    /// waiting for them.
    pub(crate) rules: landlock::Ruleset<Draft>,
}

impl Ruleset {
    /// Creates a ruleset without rules, charged to the current task.
    ///
    /// Returns the errors of [`landlock::Ruleset::new`].
    pub(crate) fn new(attr: &RulesetAttr) -> Result<Arc<Self>> {
        // C Landlock refuses other unknown bits likewise, before all else.
        let handled = AccessSet::from_bits(attr.0.handled_access_net).ok_or(EINVAL)?;
        let quiet = AccessSet::from_bits(attr.0.quiet_access_net).ok_or(EINVAL)?;
        let ruleset = Self {
            handled,
            quiet,
            rules: landlock::Ruleset::new(attr, Draft::new(handled))?,
        };

        Ok(Arc::new(ruleset, GFP_KERNEL_ACCOUNT)?)
    }
}

/// The rules of a ruleset with their index, as a domain reads them: never changed.
#[derive(Clone)]
pub(crate) struct Frozen {
    pub(crate) rules: Arc<Rules>,
    pub(crate) index: Arc<Index>,
}

/// The rules of a ruleset with their index, while they may be written.
pub(crate) struct Draft {
    handled: AccessSet,
    state: State,
}

enum State {
    /// There is no rule yet.
    Empty,
    /// The rules belong to the ruleset alone.
    Open {
        rules: UniqueArc<Rules>,
        index: index::Draft,
    },
    /// The rules were enforced: to write them takes a copy.
    Frozen(Frozen),
}

impl Draft {
    /// Begins without rules. The `handled` rights need one.
    pub(crate) fn new(handled: AccessSet) -> Self {
        Self {
            handled,
            state: State::Empty,
        }
    }

    /// Adds a rule, to a copy of the rules if they are frozen.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM`, with nothing changed, if there
    /// is none.
    pub(crate) fn add(&mut self, port: u16, rule: Rule) -> Result {
        let (rules, index) = self.open()?;

        if index.reserve(port, rule.access, rules)? {
            rules.add_apart(port, rule)?;
        } else {
            rules.add(port, rule)?;
        }
        index.grant(port, rule.access);
        Ok(())
    }

    /// Freezes the rules and returns them, to be enforced.
    ///
    /// Returns `ENOMEM`, with nothing changed, if there is no memory.
    pub(crate) fn freeze(&mut self) -> Result<Frozen> {
        if let State::Frozen(frozen) = &self.state {
            return Ok(frozen.clone());
        }
        let (rules, index) = self.open()?;

        index.complete(rules)?;
        if let State::Open { rules, index } = mem::replace(&mut self.state, State::Empty) {
            let frozen = Frozen {
                rules: rules.into(),
                index: index.freeze(),
            };

            self.state = State::Frozen(frozen.clone());
            return Ok(frozen);
        }
        // The rules were opened above.
        Err(EINVAL)
    }

    /// Returns the rules to be written, which are the ruleset's alone from then on.
    #[inline]
    fn open(&mut self) -> Result<(&mut Rules, &mut index::Draft)> {
        if !matches!(self.state, State::Open { .. }) {
            self.reopen()?;
        }
        match &mut self.state {
            State::Open { rules, index } => Ok((rules, index)),
            // The rules were opened above.
            State::Empty | State::Frozen(_) => Err(EINVAL),
        }
    }

    /// [`Draft::open`], for rules that are not open.
    #[cold]
    fn reopen(&mut self) -> Result {
        let (rules, index) = match &self.state {
            State::Open { .. } => return Ok(()),
            State::Empty => (Rules::new(), index::Draft::new(self.handled)?),
            State::Frozen(frozen) => (
                frozen.rules.try_clone()?,
                index::Draft::thaw(&frozen.index)?,
            ),
        };

        self.state = State::Open {
            rules: UniqueArc::new(rules, GFP_KERNEL_ACCOUNT)?,
            index,
        };
        Ok(())
    }
}

#[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
#[kernel::macros::kunit_tests(portlock_ruleset)]
mod tests {
    use super::*;
    use crate::access::Access;

    #[test]
    fn enforced_rules_do_not_change() -> Result {
        let mut draft = Draft::new(Access::BindTcp.into());
        let rule = Rule {
            access: Access::BindTcp.into(),
            quiet: false,
        };

        draft.add(1, rule)?;
        let first = draft.freeze()?;
        draft.add(2, rule)?;
        let second = draft.freeze()?;

        assert!(first.rules.iter().eq([(1, rule)]));
        assert!(second.rules.iter().eq([(1, rule), (2, rule)]));
        assert!(first.index.allows(1, Access::BindTcp));
        assert!(!first.index.allows(2, Access::BindTcp));
        assert!(second.index.allows(2, Access::BindTcp));
        Ok(())
    }

    #[test]
    fn unchanged_rules_are_shared() -> Result {
        let mut draft = Draft::new(Access::BindTcp.into());
        let first = draft.freeze()?;
        let second = draft.freeze()?;

        assert!(Arc::ptr_eq(&first.rules, &second.rules));
        assert!(Arc::ptr_eq(&first.index, &second.index));
        Ok(())
    }
}
