// SPDX-License-Identifier: GPL-2.0

//! The rules of a ruleset: written until they are enforced, then frozen and shared.

use crate::{
    access::AccessSet,
    index::Index,
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

/// The rules of an enforced ruleset, as domains read them. They never change.
///
/// The two parts are apart, since a layer keeps its rules, but a domain only one index.
///
/// # Invariants
///
/// `index` says what `rules` say, for the rights in `handled`.
#[derive(Clone)]
pub(crate) struct Frozen {
    /// The rights that need a rule.
    pub(crate) handled: AccessSet,
    /// The rules, by which a refusal is explained.
    pub(crate) rules: Arc<Rules>,
    /// What the rules allow on each port.
    pub(crate) index: Arc<Index>,
}

/// The rules of a ruleset while they may be written.
pub(crate) struct Draft {
    handled: AccessSet,
    /// The rules, if they were written since they were last enforced.
    open: Option<Rules>,
    /// The rules as they were last enforced.
    frozen: Option<Frozen>,
}

impl Draft {
    /// Begins without rules. The rights in `handled` need one.
    pub(crate) fn new(handled: AccessSet) -> Self {
        Self {
            handled,
            open: None,
            frozen: None,
        }
    }

    /// Adds a rule, to a copy of the rules if they are frozen.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM`, with nothing changed, if there
    /// is none.
    pub(crate) fn add(&mut self, port: u16, rule: Rule) -> Result {
        let rules = match (self.open.take(), &self.frozen) {
            (Some(open), _) => open,
            (None, Some(frozen)) => frozen.rules.try_clone()?,
            (None, None) => Rules::default(),
        };

        self.open.insert(rules).add(port, rule)
    }

    /// Returns the rules, to be enforced: frozen, and the same as before if no rule was added.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM`, with nothing changed, if there
    /// is none.
    pub(crate) fn freeze(&mut self) -> Result<Frozen> {
        let rules = match (&mut self.open, &self.frozen) {
            (None, Some(frozen)) => return Ok(frozen.clone()),
            (open, _) => open.get_or_insert_with(Rules::default),
        };
        let index = Index::new(self.handled.into(), rules)?;
        let place = UniqueArc::new_uninit(GFP_KERNEL_ACCOUNT)?;
        // INVARIANT: The index was made of the rights and the rules.
        let frozen = Frozen {
            handled: self.handled,
            rules: place.write(mem::take(rules)).into(),
            index,
        };

        self.open = None;
        self.frozen = Some(frozen.clone());
        Ok(frozen)
    }
}

#[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
#[kernel::macros::kunit_tests(portlock_frozen)]
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
        let allows = |frozen: &Frozen, port| frozen.index.allows(port, Access::BindTcp.into());

        draft.add(1, rule)?;
        let first = draft.freeze()?;
        draft.add(2, rule)?;
        let second = draft.freeze()?;

        assert!(first.rules.iter().eq([(1, rule)]));
        assert!(second.rules.iter().eq([(1, rule), (2, rule)]));
        assert!(allows(&first, 1) && !allows(&first, 2));
        assert!(allows(&second, 1) && allows(&second, 2));
        Ok(())
    }

    #[test]
    fn unchanged_rules_are_shared() -> Result {
        let mut draft = Draft::new(Access::BindTcp.into());

        let (first, second) = (draft.freeze()?, draft.freeze()?);

        assert!(Arc::ptr_eq(&first.rules, &second.rules));
        assert!(Arc::ptr_eq(&first.index, &second.index));
        Ok(())
    }
}
