// SPDX-License-Identifier: GPL-2.0

//! The rules of one ruleset, which the layers made of it share.

use crate::access::{
    AccessSet,
    PortAccessSet, //
};
use core::{
    cmp::Ordering,
    ops::RangeInclusive, //
};
use kernel::{
    alloc::flags::GFP_KERNEL_ACCOUNT,
    prelude::*,
    rbtree::{
        Entry,
        RBTree,
        RBTreeNode,
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

impl Rule {
    /// What two rules for the same port say together.
    fn and(self, other: Self) -> Self {
        Self {
            access: self.access | other.access,
            quiet: self.quiet | other.quiet,
        }
    }
}

/// Neighbouring ports with equal rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    first: u16,
    last: u16,
    rule: Rule,
}

/// Rules by port, in host byte order: a red-black tree, as C Landlock's `landlock_rules`, with one
/// node for neighbouring ports that have equal rules.
///
/// The key is the first port of a [`Span`]. Keys descend, so that a lower bound of the tree is the
/// span at a port or before it, and rules that are added port after port extend a node in place.
///
/// # Invariants
///
/// No two spans overlap, and none could be joined to another.
#[derive(Default)]
pub(crate) struct Rules {
    tree: RBTree<First, Rest>,
    /// Whether a rule has the quiet flag.
    has_quiet: bool,
}

/// The first port of a [`Span`], the greatest first.
#[derive(Clone, Copy, PartialEq, Eq)]
struct First(u16);

impl Ord for First {
    // In a search, all comparisons but the last go left or right: half the code of u16's answer in
    // three values.
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        if self.0 > other.0 {
            Ordering::Less
        } else if self.0 < other.0 {
            Ordering::Greater
        } else {
            found()
        }
    }
}

/// Tells the compiler that a search rarely ends here.
#[cold]
const fn found() -> Ordering {
    Ordering::Equal
}

impl PartialOrd for First {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A [`Span`] without its first port. A node of the tree is 32 bytes long with it.
struct Rest {
    last: u16,
    access: PortAccessSet,
    quiet: bool,
}

impl Rest {
    fn new(last: u16, rule: Rule) -> Self {
        Self {
            last,
            access: rule.access.into(),
            quiet: rule.quiet,
        }
    }

    fn rule(&self) -> Rule {
        Rule {
            access: self.access.into(),
            quiet: self.quiet,
        }
    }
}

/// The spans that a port is in, or may be joined to.
struct Around {
    at: Option<Span>,
    left: Option<Span>,
    right: Option<Span>,
}

impl Span {
    fn into_node(self, node: RBTreeNodeReservation<First, Rest>) -> RBTreeNode<First, Rest> {
        node.into_node(First(self.first), Rest::new(self.last, self.rule))
    }
}

/// A node of the tree as a span.
fn span((first, rest): (&First, &Rest)) -> Span {
    Span {
        first: first.0,
        last: rest.last,
        rule: rest.rule(),
    }
}

impl Rules {
    /// Adds `rule`, or extends the rule that `port` has.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM`, with nothing changed, if there
    /// is none.
    pub(crate) fn add(&mut self, port: u16, rule: Rule) -> Result {
        if let Entry::Vacant(place) = self.tree.entry(First(port)) {
            // Keys descend, so the next span begins at a smaller port.
            let is_apart_from_left = place.peek_next().is_none_or(|(_, left)| {
                left.last < port && (left.last.wrapping_add(1) != port || left.rule() != rule)
            });
            let is_apart_from_right = place.peek_prev().is_none_or(|(first, right)| {
                first.0 != port.wrapping_add(1) || right.rule() != rule
            });

            if is_apart_from_left && is_apart_from_right {
                let node = RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?;

                self.has_quiet |= rule.quiet;
                // INVARIANT: No span has the port, or could be joined to it.
                place.insert(Rest::new(port, rule), node);
                return Ok(());
            }
        }
        self.join(port, rule)
    }

    /// [`Rules::add`], for a port that has a rule, or whose neighbours have the same.
    fn join(&mut self, port: u16, rule: Rule) -> Result {
        let Around { at, left, right } = self.around(port);
        let rule = at.map_or(rule, |at| at.rule.and(rule));

        if at.is_some_and(|at| at.rule == rule) {
            return Ok(());
        }

        let left = left.filter(|left| left.rule == rule);
        let right = right.filter(|right| right.rule == rule);
        let joined = Span {
            first: left.map_or(port, |left| left.first),
            last: right.map_or(port, |right| right.last),
            rule,
        };
        let begins_here = at.is_some_and(|at| at.first == port);
        // What is left of a span after the port has been cut out of it.
        let before = at.filter(|at| at.first < port);
        let after = at.filter(|at| at.last > port);

        let node = if left.is_none() && !begins_here {
            Some(RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?)
        } else {
            None
        };
        let node_after = after
            .map(|_| RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT))
            .transpose()?;

        // Nothing fails from here on.
        self.has_quiet |= rule.quiet;
        // INVARIANT: The port is cut out of its span, and joined to the neighbours that have the
        // same rule.
        if let Some(before) = before {
            self.set(Span {
                last: port.wrapping_sub(1),
                ..before
            });
        }
        if let (Some(after), Some(node)) = (after, node_after) {
            let after = Span {
                first: port.wrapping_add(1),
                ..after
            };

            self.tree.insert(after.into_node(node));
        }
        if let Some(right) = right {
            self.tree.remove(&First(right.first));
        }
        if begins_here && left.is_some() {
            self.tree.remove(&First(port));
        }
        match node {
            Some(node) => drop(self.tree.insert(joined.into_node(node))),
            None => self.set(joined),
        }
        Ok(())
    }

    /// Whether a rule is quiet.
    #[inline]
    pub(crate) fn has_quiet(&self) -> bool {
        self.has_quiet
    }

    /// The rule of `port`, if there is one.
    pub(crate) fn get(&self, port: u16) -> Option<Rule> {
        let cursor = self.tree.cursor_lower_bound(&First(port))?;
        let (_, rest) = cursor.current();

        (port <= rest.last).then(|| rest.rule())
    }

    /// Ranges of ports with what is granted on each port. The ranges do not overlap, and descend.
    pub(crate) fn spans(&self) -> impl Iterator<Item = (RangeInclusive<u16>, PortAccessSet)> + '_ {
        self.tree
            .iter()
            .map(|(first, rest)| (first.0..=rest.last, rest.access))
    }

    /// The ports with their rules, in no particular order.
    #[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, Rule)> + '_ {
        self.tree
            .iter()
            .flat_map(|(first, rest)| (first.0..=rest.last).map(|port| (port, rest.rule())))
    }

    /// Copies the rules, with memory charged to the current task.
    pub(crate) fn try_clone(&self) -> Result<Self> {
        let mut copy = Self {
            has_quiet: self.has_quiet,
            ..Self::default()
        };

        for (first, rest) in &self.tree {
            let node = RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?;

            copy.tree.insert(span((first, rest)).into_node(node));
        }
        Ok(copy)
    }

    /// Changes the span that begins where `span` does.
    fn set(&mut self, span: Span) {
        if let Some(rest) = self.tree.get_mut(&First(span.first)) {
            *rest = Rest::new(span.last, span.rule);
        }
    }

    /// The spans at `port` and beside it.
    fn around(&self, port: u16) -> Around {
        let Some(cursor) = self.tree.cursor_lower_bound(&First(port)) else {
            // All spans begin after the port; the nearest is the last of the tree.
            return Around {
                at: None,
                left: None,
                right: self.tree.cursor_back().map(|cursor| span(cursor.current())),
            }
            .beside(port);
        };
        let here = span(cursor.current());
        let is_at = port <= here.last;

        Around {
            at: is_at.then_some(here),
            left: if is_at {
                cursor.peek_next().map(span)
            } else {
                Some(here)
            },
            right: cursor.peek_prev().map(span),
        }
        .beside(port)
    }
}

impl Around {
    /// Leaves out the spans that do not touch `port`.
    fn beside(self, port: u16) -> Self {
        Self {
            at: self.at,
            left: self
                .left
                .filter(|left| left.last.checked_add(1) == Some(port)),
            right: self
                .right
                .filter(|right| port.checked_add(1) == Some(right.first)),
        }
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
        let mut rules = Rules::default();

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
        let mut rules = Rules::default();

        for port in [65535, 0, 2] {
            rules.add(port, rule(Access::BindUdp.into(), false))?;
        }
        assert!(rules.iter().map(|(port, _)| port).eq([65535, 2, 0]));
        assert_eq!(rules.get(1), None);
        assert_eq!(rules.get(3), None);
        Ok(())
    }

    #[test]
    fn neighbours_with_equal_rules_are_one_node() -> Result {
        let equal = rule(Access::BindTcp.into(), false);
        let mut rules = Rules::default();

        // From the left, from the right, and in between.
        for port in [10, 11, 12, 20, 19, 18, 14, 16, 15, 13, 17] {
            rules.add(port, equal)?;
        }
        assert_eq!(rules.tree.iter().count(), 1);
        assert!(rules.iter().eq((10..=20).map(|port| (port, equal))));

        // A rule that says nothing new changes nothing; another is cut out, at either end too.
        let other = rule(Access::BindTcp | Access::ConnectTcp, false);

        rules.add(15, equal)?;
        assert_eq!(rules.tree.iter().count(), 1);
        rules.add(15, other)?;
        assert_eq!(rules.tree.iter().count(), 3);
        rules.add(10, other)?;
        rules.add(20, other)?;
        assert_eq!(rules.tree.iter().count(), 5);
        for port in 9..=21 {
            assert_eq!(
                rules.get(port),
                match port {
                    9 | 21 => None,
                    10 | 15 | 20 => Some(other),
                    _ => Some(equal),
                }
            );
        }

        // Those that become equal are joined again.
        for port in 10..=20 {
            rules.add(port, other)?;
        }
        assert_eq!(rules.tree.iter().count(), 1);
        Ok(())
    }

    #[test]
    fn the_first_and_the_last_port_have_no_neighbour_outside() -> Result {
        let equal = rule(Access::BindTcp.into(), false);
        let mut rules = Rules::default();

        for port in [65535, 0, 65534, 1] {
            rules.add(port, equal)?;
        }
        assert_eq!(rules.tree.iter().count(), 2);
        assert_eq!(rules.get(0), Some(equal));
        assert_eq!(rules.get(65535), Some(equal));
        assert_eq!(rules.get(2), None);
        Ok(())
    }

    #[test]
    fn a_copy_is_independent() -> Result {
        let mut rules = Rules::default();

        rules.add(1, rule(Access::BindTcp.into(), false))?;
        let copy = rules.try_clone()?;
        rules.add(1, rule(Access::ConnectTcp.into(), false))?;
        rules.add(2, rule(Access::ConnectTcp.into(), false))?;
        assert!(copy.iter().eq([(1, rule(Access::BindTcp.into(), false))]));
        Ok(())
    }
}
