// SPDX-License-Identifier: GPL-2.0

//! Rules about kinds of sockets: which may be created.

use kernel::{
    alloc::flags::GFP_KERNEL_ACCOUNT,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNode, //
    }, //
};

/// A kind of sockets: the arguments of `socket(2)`, without the flags that the type may carry. A
/// type or protocol of -1 stands for any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind {
    family: i16,
    type_: i16,
    protocol: i32,
}

/// The type or the protocol of a rule that is for any.
const ANY: i32 = -1;

impl Kind {
    /// The kind that a rule names.
    ///
    /// Returns `EINVAL` unless the family is 0 to 254, the type 0 to 254 or -1, and the protocol 0
    /// to 65,534 or -1. Numbers that nobody uses are no error, and match nothing.
    pub(crate) fn new(family: i32, type_: i32, protocol: i32) -> Result<Self> {
        let is_valid = matches!(family, 0..=254)
            && matches!(type_, ANY..=254)
            && matches!(protocol, ANY..=65_534);

        is_valid
            .then_some(Self {
                // CAST: Both are small, as just seen.
                family: family as i16,
                type_: type_ as i16,
                protocol,
            })
            .ok_or(EINVAL)
    }
}

/// The kinds of sockets that a ruleset lets its tasks create.
#[derive(Default)]
pub(crate) struct KindRules(RBTree<Kind, ()>);

impl KindRules {
    /// Adds a kind.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM`, with nothing changed, if there
    /// is none.
    pub(crate) fn add(&mut self, kind: Kind) -> Result {
        let node = RBTreeNode::new(kind, (), GFP_KERNEL_ACCOUNT)?;

        self.0.insert(node);
        Ok(())
    }

    /// Whether a rule lets a task create a socket with these arguments of `socket(2)`.
    pub(crate) fn allows(&self, family: i32, type_: i32, protocol: i32) -> bool {
        let has = |type_, protocol| {
            Kind::new(family, type_, protocol).is_ok_and(|kind| self.0.get(&kind).is_some())
        };

        // What is asked is never -1: such an argument matches rules that are for any only.
        type_ >= 0 && protocol >= 0 && has(type_, protocol)
            || type_ >= 0 && has(type_, ANY)
            || protocol >= 0 && has(ANY, protocol)
            || has(ANY, ANY)
    }

    /// Copies the rules, with memory charged to the current task.
    pub(crate) fn try_clone(&self) -> Result<Self> {
        let mut copy = Self::default();

        for kind in self.0.keys() {
            copy.add(*kind)?;
        }
        Ok(copy)
    }
}

#[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
#[kernel::macros::kunit_tests(portlock_kinds)]
mod tests {
    use super::*;

    #[test]
    fn values_have_ranges() {
        for family in [-1, 255, i32::MIN, i32::MAX] {
            assert_eq!(Kind::new(family, 1, 6), Err(EINVAL));
        }
        for type_ in [-2, 255, i32::MIN, i32::MAX] {
            assert_eq!(Kind::new(2, type_, 6), Err(EINVAL));
        }
        for protocol in [-2, 65_535, i32::MIN, i32::MAX] {
            assert_eq!(Kind::new(2, 1, protocol), Err(EINVAL));
        }
        for family in [0, 254] {
            for type_ in [-1, 0, 254] {
                for protocol in [-1, 0, 65_534] {
                    assert!(Kind::new(family, type_, protocol).is_ok());
                }
            }
        }
    }

    #[test]
    fn minus_one_is_any_and_nothing_else_is() -> Result {
        for (rule, asked, allowed) in [
            ((2, 1, 6), (2, 1, 6), true),
            // No aliases: 0 and IPPROTO_TCP make the same socket, and are two kinds.
            ((2, 1, 6), (2, 1, 0), false),
            ((2, 1, 0), (2, 1, 6), false),
            ((2, 1, -1), (2, 1, 262), true),
            ((2, 1, -1), (2, 2, 0), false),
            ((2, -1, 17), (2, 2, 17), true),
            ((2, -1, 17), (2, 2, 0), false),
            ((16, -1, -1), (16, 3, 9), true),
            ((16, -1, -1), (10, 3, 9), false),
            // What no rule can name, only rules for any match.
            ((2, 1, -1), (2, 1, 70_000), true),
            ((2, 1, -1), (2, 1, -7), true),
            ((2, 1, 6), (2, 1, -1), false),
            ((2, -1, -1), (2, -1, -1), true),
            ((2, -1, -1), (255, 1, 6), false),
        ] {
            let mut rules = KindRules::default();

            rules.add(Kind::new(rule.0, rule.1, rule.2)?)?;
            assert_eq!(rules.allows(asked.0, asked.1, asked.2), allowed);
            assert_eq!(
                rules.try_clone()?.allows(asked.0, asked.1, asked.2),
                allowed
            );
        }
        Ok(())
    }

    #[test]
    fn without_rules_nothing_is_allowed() {
        assert!(!KindRules::default().allows(2, 1, 6));
    }
}
