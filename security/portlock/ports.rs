// SPDX-License-Identifier: GPL-2.0

//! Rules about ports, whatever the address.

use crate::access::{
    AccessSet,
    Packed, //
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

/// What a rule says of its ports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The rights that it grants, all of them handled by the ruleset.
    pub(crate) access: AccessSet,

    /// Whether denials on its ports are kept out of the logs (`LANDLOCK_ADD_RULE_QUIET`), as far as
    /// the quiet rights of the ruleset say.
    pub(crate) quiet: bool,
}

impl Rule {
    /// What two rules for the same port say together.
    pub(crate) fn and(self, other: Self) -> Self {
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
pub(crate) struct PortRules {
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
    access: Packed,
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

    /// Whether both say the same of their ports.
    fn says_as(&self, other: &Self) -> bool {
        self.access == other.access && self.quiet == other.quiet
    }
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

/// Spans in ascending order, none of which could be joined to another.
struct Joined(KVec<Span>);

impl Joined {
    /// Adds the ports from `from` to just before `to`, if there are any: they are behind all others.
    fn push(&mut self, from: u32, to: u32, rule: Rule) -> Result {
        if from >= to {
            return Ok(());
        }

        // CAST: Both are ports.
        let (first, last) = (from as u16, (to - 1) as u16);

        match self.0.last_mut() {
            Some(before) if before.rule == rule && u32::from(before.last) + 1 == from => {
                before.last = last;
            }
            _ => self
                .0
                .push(Span { first, last, rule }, GFP_KERNEL_ACCOUNT)?,
        }
        Ok(())
    }
}

impl PortRules {
    /// Adds `rule` to what is said of each of `ports`, which are at least one.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM`, with nothing changed, if there
    /// is none.
    // Inlined, as what it calls first: two calls would cost 20 instructions a rule.
    #[inline(always)]
    pub(crate) fn add(&mut self, ports: RangeInclusive<u16>, rule: Rule) -> Result {
        let (first, last) = (*ports.start(), *ports.end());

        if first == last && self.add_in_place(first, rule)? {
            return Ok(());
        }
        self.rewrite(first, last, rule)
    }

    /// [`PortRules::add`], where no span need be cut, and none is joined to one that follows: what
    /// most programs ask for. Returns `false` if it is something else.
    #[inline(always)]
    fn add_in_place(&mut self, port: u16, rule: Rule) -> Result<bool> {
        let Entry::Vacant(place) = self.tree.entry(First(port)) else {
            return Ok(false);
        };
        let new = Rest::new(port, rule);

        // Keys descend, so the next span begins at a smaller port.
        if let Some((next, right)) = place.peek_prev() {
            if next.0 == port.wrapping_add(1) && right.says_as(&new) {
                return Ok(false);
            }
        }
        match place.peek_next() {
            Some((_, left)) if left.last >= port => return Ok(false),
            Some((first, left)) if left.last.wrapping_add(1) == port && left.says_as(&new) => {
                let first = *first;

                // INVARIANT: The span before the port is joined to it, and to no other.
                if let Some(left) = self.tree.get_mut(&first) {
                    left.last = port;
                }
            }
            _ => {
                let node = RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?;

                // INVARIANT: No span has the port, or could be joined to it.
                place.insert(new, node);
            }
        }
        self.has_quiet |= rule.quiet;
        Ok(true)
    }

    /// [`PortRules::add`], for ports that may have rules, or whose neighbours may have the same: the
    /// spans around are made anew.
    // Out of line: it would cost the usual way through `add` a large stack frame.
    #[inline(never)]
    fn rewrite(&mut self, first: u16, last: u16, rule: Rule) -> Result {
        let (old, new) = self.rewritten(first, last, rule)?;
        let mut nodes = KVec::new();

        if old == new {
            return Ok(());
        }
        for _ in old.len()..new.len() {
            let node = RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?;

            nodes.push(node, GFP_KERNEL_ACCOUNT)?;
        }
        // Room for the nodes that are taken out, too.
        nodes.reserve(old.len(), GFP_KERNEL_ACCOUNT)?;

        // Nothing fails from here on.
        self.has_quiet |= rule.quiet;
        for span in &old {
            if let Some(node) = self.tree.remove_node(&First(span.first)) {
                let _ = nodes.push_within_capacity(node.into_reservation());
            }
        }
        // INVARIANT: `new` says what `old` said and the rule, and its spans are joined.
        for span in &new {
            if let Some(node) = nodes.pop() {
                self.tree.insert(span.into_node(node));
            }
        }
        Ok(())
    }

    /// The spans that a range meets or touches, and those that are to be in their place, in
    /// ascending order.
    fn rewritten(&mut self, first: u16, last: u16, rule: Rule) -> Result<(KVec<Span>, KVec<Span>)> {
        let mut old = KVec::new();
        let mut new = Joined(KVec::new());
        let mut next = self
            .tree
            .cursor_lower_bound_mut(&First(last.saturating_add(1)));

        while let Some(cursor) = next {
            let span = span(cursor.current());

            if span.last < first.saturating_sub(1) {
                break;
            }
            old.push(span, GFP_KERNEL_ACCOUNT)?;
            next = cursor.move_next();
        }
        old.reverse();

        // Half-open ranges, which may end after the last port.
        let (start, end) = (u32::from(first), u32::from(last) + 1);
        // Up to there `new` is complete.
        let mut done = start;

        for old in &old {
            let (from, to) = (u32::from(old.first), u32::from(old.last) + 1);

            // What the span has before the range; the gap before the span; what is in both; what the
            // span has after the range.
            new.push(from, to.min(start), old.rule)?;
            new.push(done, from.min(end), rule)?;
            new.push(from.max(start), to.min(end), old.rule.and(rule))?;
            new.push(from.max(end), to, old.rule)?;
            done = done.max(to.min(end)).max(from.min(end));
        }
        new.push(done, end, rule)?;
        Ok((old, new.0))
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

    /// Ranges of ports with the rights that are granted on each port, at least one. The ranges do not
    /// overlap, and descend.
    pub(crate) fn spans(&self) -> impl Iterator<Item = (RangeInclusive<u16>, Packed)> + '_ {
        self.tree
            .iter()
            .filter(|(_, rest)| !rest.access.is_empty())
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
}

/// A set of ports, which gives them back in order. The sort of `core` would call itself, and could
/// take kilobytes of the kernel's stack.
#[derive(Default)]
pub(crate) struct PortSet {
    /// A bit for each port, once there was one.
    ports: KVVec<u64>,
    /// A bit for each word of `ports`: whether it is not zero.
    words: [u64; 16],
    /// A bit for each word of `words`: whether it is not zero.
    groups: u64,
}

impl PortSet {
    /// Adds a port.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM` if there is none.
    fn insert(&mut self, port: u16) -> Result {
        let word = usize::from(port >> 6);

        if self.ports.is_empty() {
            self.ports = KVVec::zeroed(1024, GFP_KERNEL_ACCOUNT)?;
        }
        self.ports[word] |= 1 << (port & 63);
        self.words[word >> 6] |= 1 << (word & 63);
        self.groups |= 1 << (word >> 6);
        Ok(())
    }

    /// Adds the ports at which something changes if `range` is for something: its first port, and the
    /// one after its last.
    ///
    /// Returns `ENOMEM` as [`PortSet::insert`] does.
    pub(crate) fn insert_turns(&mut self, range: RangeInclusive<u16>) -> Result {
        self.insert(*range.start())?;
        match range.end().checked_add(1) {
            Some(after) => self.insert(after),
            None => Ok(()),
        }
    }

    /// Takes the least port out of the set.
    pub(crate) fn pop(&mut self) -> Option<u16> {
        let group = lowest(self.groups)?;
        let word = group << 6 | lowest(self.words[group])?;
        let port = word << 6 | lowest(self.ports[word])?;

        self.ports[word] &= self.ports[word].wrapping_sub(1);
        if self.ports[word] == 0 {
            self.words[group] &= self.words[group].wrapping_sub(1);
            if self.words[group] == 0 {
                self.groups &= self.groups.wrapping_sub(1);
            }
        }
        // CAST: There are 1,024 words.
        Some(port as u16)
    }
}

/// The number of the lowest bit that is set.
fn lowest(word: u64) -> Option<usize> {
    (word != 0).then_some(word.trailing_zeros() as usize)
}

#[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
#[kernel::macros::kunit_tests(portlock_ports)]
mod tests {
    use super::*;
    use crate::access::Access;

    fn rule(access: AccessSet, quiet: bool) -> Rule {
        Rule { access, quiet }
    }

    #[test]
    fn a_second_rule_extends_the_first() -> Result {
        let mut rules = PortRules::default();

        rules.add(443..=443, rule(Access::BindTcp.into(), false))?;
        rules.add(443..=443, rule(Access::ConnectTcp.into(), true))?;
        assert_eq!(
            rules.get(443),
            Some(rule(Access::BindTcp | Access::ConnectTcp, true))
        );
        assert_eq!(rules.iter().count(), 1);
        Ok(())
    }

    #[test]
    fn ports_are_apart() -> Result {
        let mut rules = PortRules::default();

        for port in [65535, 0, 2] {
            rules.add(port..=port, rule(Access::BindUdp.into(), false))?;
        }
        assert!(rules.iter().map(|(port, _)| port).eq([65535, 2, 0]));
        assert_eq!(rules.get(1), None);
        assert_eq!(rules.get(3), None);
        Ok(())
    }

    #[test]
    fn neighbours_with_equal_rules_are_one_node() -> Result {
        let equal = rule(Access::BindTcp.into(), false);
        let mut rules = PortRules::default();

        // From the left, from the right, and in between.
        for port in [10, 11, 12, 20, 19, 18, 14, 16, 15, 13, 17] {
            rules.add(port..=port, equal)?;
        }
        assert_eq!(rules.tree.iter().count(), 1);
        assert!(rules.iter().eq((10..=20).map(|port| (port, equal))));

        // A rule that says nothing new changes nothing; another is cut out, at either end too.
        let other = rule(Access::BindTcp | Access::ConnectTcp, false);

        rules.add(15..=15, equal)?;
        assert_eq!(rules.tree.iter().count(), 1);
        rules.add(15..=15, other)?;
        assert_eq!(rules.tree.iter().count(), 3);
        rules.add(10..=10, other)?;
        rules.add(20..=20, other)?;
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
            rules.add(port..=port, other)?;
        }
        assert_eq!(rules.tree.iter().count(), 1);
        Ok(())
    }

    #[test]
    fn the_first_and_the_last_port_have_no_neighbour_outside() -> Result {
        let equal = rule(Access::BindTcp.into(), false);
        let mut rules = PortRules::default();

        for port in [65535, 0, 65534, 1] {
            rules.add(port..=port, equal)?;
        }
        assert_eq!(rules.tree.iter().count(), 2);
        assert_eq!(rules.get(0), Some(equal));
        assert_eq!(rules.get(65535), Some(equal));
        assert_eq!(rules.get(2), None);
        Ok(())
    }

    #[test]
    fn a_copy_is_independent() -> Result {
        let mut rules = PortRules::default();

        rules.add(1..=1, rule(Access::BindTcp.into(), false))?;
        let copy = rules.try_clone()?;
        rules.add(1..=1, rule(Access::ConnectTcp.into(), false))?;
        rules.add(2..=2, rule(Access::ConnectTcp.into(), false))?;
        assert!(copy.iter().eq([(1, rule(Access::BindTcp.into(), false))]));
        Ok(())
    }

    /// What is said of each of some ports, kept in the plainest way.
    struct Plain([Rule; 64]);

    #[test]
    fn ranges_say_what_each_of_their_ports_would() -> Result {
        let mut state = 1u32;
        let mut random = |limit: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % limit
        };

        for _ in 0..2_000 {
            let mut plain = Plain([Rule::default(); 64]);
            let mut rules = PortRules::default();
            // At either end of the ports, and in the middle.
            let base = [0, 30_000, 65_536 - 64][random(3) as usize];

            for _ in 0..random(12) + 1 {
                let (one, other) = (random(64), random(64));
                let (first, last) = (one.min(other), one.max(other));
                let rule = rule(
                    AccessSet::from_bits(u64::from(random(8) + 1)).unwrap_or_default(),
                    random(4) == 0,
                );

                rules.add((base + first) as u16..=(base + last) as u16, rule)?;
                for said in &mut plain.0[first as usize..=last as usize] {
                    *said = said.and(rule);
                }
            }

            let mut before: Option<Span> = None;

            for port in base..base + 64 {
                let said = rules.get(port as u16).unwrap_or_default();

                assert_eq!(said, plain.0[(port - base) as usize]);
            }
            for span in rules.tree.iter().map(span) {
                assert!(span.first <= span.last);
                if let Some(above) = before {
                    assert!(span.last < above.first);
                    assert!(span.last + 1 != above.first || span.rule != above.rule);
                }
                before = Some(span);
            }
        }
        Ok(())
    }

    #[test]
    fn all_ports_are_one_node() -> Result {
        let equal = rule(Access::ListenTcp | Access::BindTcp, false);
        let mut rules = PortRules::default();

        rules.add(443..=443, rule(Access::ListenTcp.into(), false))?;
        rules.add(0..=u16::MAX, equal)?;
        assert_eq!(rules.tree.iter().count(), 1);
        assert_eq!(rules.get(0), Some(equal));
        assert_eq!(rules.get(u16::MAX), Some(equal));
        Ok(())
    }
}
