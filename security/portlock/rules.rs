// SPDX-License-Identifier: GPL-2.0

//! The rules of one ruleset, which the layers made of it share.

use crate::access::AccessSet;
use kernel::{
    alloc::flags::GFP_KERNEL_ACCOUNT,
    prelude::*,
    rbtree::{
        Entry,
        RBTree,
        RBTreeNodeReservation, //
    }, //
};

/// What a rule says of its port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The rights that it grants, all of them handled by the ruleset.
    pub(crate) access: AccessSet,

    /// Whether denials on its port are kept out of the logs (`LANDLOCK_ADD_RULE_QUIET`), as far as
    /// the quiet rights of the ruleset say.
    pub(crate) quiet: bool,
}

/// Rules by port, in host byte order: a red-black tree, as C Landlock's `landlock_rules`.
pub(crate) struct Rules {
    tree: RBTree<u16, Rule>,
    #[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
    _census: crate::model::Census,
}

impl Rules {
    /// Creates an empty set of rules.
    pub(crate) fn new() -> Self {
        Self {
            tree: RBTree::new(),
            #[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
            _census: crate::model::Census::new(),
        }
    }

    /// Adds `rule`, or extends the rule that `port` has.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM`, with nothing changed, if there
    /// is none.
    pub(crate) fn add(&mut self, port: u16, rule: Rule) -> Result {
        match self.tree.entry(port) {
            Entry::Occupied(mut entry) => {
                let known = entry.get_mut();
                known.access |= rule.access;
                known.quiet |= rule.quiet;
            }
            Entry::Vacant(entry) => {
                entry.insert(rule, RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?);
            }
        }
        Ok(())
    }

    /// The rule of `port`, if there is one.
    pub(crate) fn get(&self, port: u16) -> Option<Rule> {
        self.tree.get(&port).copied()
    }

    /// The rules by ascending port.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, Rule)> + '_ {
        self.tree.iter().map(|(port, rule)| (*port, *rule))
    }

    /// Copies the rules, with memory charged to the current task.
    pub(crate) fn try_clone(&self) -> Result<Self> {
        let mut copy = Self::new();

        for (port, rule) in self.iter() {
            copy.add(port, rule)?;
        }
        Ok(copy)
    }
}

#[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
#[kernel::macros::kunit_tests(portlock_rules)]
mod tests {
    use super::*;
    use crate::access::Access;

    fn rule(access: AccessSet, quiet: bool) -> Rule {
        Rule { access, quiet }
    }

    #[test]
    fn a_second_rule_extends_the_first() -> Result {
        let mut rules = Rules::new();

        rules.add(443, rule(Access::BindTcp.into(), false))?;
        rules.add(443, rule(Access::ConnectTcp.into(), true))?;
        assert_eq!(
            rules.get(443),
            Some(rule(Access::BindTcp | Access::ConnectTcp, true))
        );
        assert_eq!(rules.iter().count(), 1);
        Ok(())
    }

    #[test]
    fn ports_are_apart() -> Result {
        let mut rules = Rules::new();

        for port in [65535, 0, 1] {
            rules.add(port, rule(Access::BindUdp.into(), false))?;
        }
        assert!(rules.iter().map(|(port, _)| port).eq([0, 1, 65535]));
        assert_eq!(rules.get(2), None);
        Ok(())
    }

    #[test]
    fn a_copy_is_independent() -> Result {
        let mut rules = Rules::new();

        rules.add(1, rule(Access::BindTcp.into(), false))?;
        let copy = rules.try_clone()?;
        rules.add(1, rule(Access::ConnectTcp.into(), false))?;
        rules.add(2, rule(Access::ConnectTcp.into(), false))?;
        assert!(copy.iter().eq([(1, rule(Access::BindTcp.into(), false))]));
        Ok(())
    }
}
