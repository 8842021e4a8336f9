// SPDX-License-Identifier: GPL-2.0

//! Port to effective access: what an allowed check reads, and nothing else does.

use crate::{
    access::{
        Access,
        AccessSet, //
    },
    rules::Rules, //
};
use core::{
    iter,
    ptr, //
};
use kernel::{
    alloc::flags::GFP_KERNEL_ACCOUNT,
    prelude::*,
    sync::{
        Arc,
        UniqueArc, //
    }, //
};

/// The rights of a block of 256 neighbouring ports, 16 ports a word, the first in the lowest bits.
type Leaf = [u64; 16];

/// The most leaves that there can be: one for each block.
const BLOCKS: usize = 256;

kernel::static_assert!(AccessSet::COUNT <= 4);

/// What the layers of a domain together allow on each of the 65,536 ports.
///
/// A table names, for each block of ports, the leaf that holds their rights. Blocks that no rule
/// names have no leaf, and neighbouring blocks with equal rights share one: the memory follows the
/// rules, 33 KiB at most.
///
/// Rights that no layer handles are allowed on every port, so that a check need not ask what is
/// handled.
///
/// # Invariants
///
/// The ports of a block have the rights of the leaf that `blocks` names, or those of `unnamed` if
/// there is no such leaf.
pub(crate) struct Index {
    blocks: [u8; BLOCKS],
    unnamed: AccessSet,
    leaves: KVec<Leaf>,
    #[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
    _census: crate::model::Census,
}

/// The name of a leaf that is not there, as long as a block has none: then there are fewer leaves.
const NO_LEAF: u8 = u8::MAX;

/// [`NO_LEAF`] eight times.
const NO_LEAVES: u64 = u64::from_ne_bytes([NO_LEAF; 8]);

/// A leaf whose ports all have `access`.
#[inline]
const fn filled(access: AccessSet) -> Leaf {
    [access.bits() * 0x1111_1111_1111_1111; 16]
}

/// Where the rights of `port` are: its block, the word in the leaf, and the shift in the word.
#[inline]
const fn place(port: u16) -> (u8, u8, u32) {
    let [block, in_block] = port.to_be_bytes();

    (block, in_block >> 4, (in_block as u32 & 15) << 2)
}

/// A port between the ports beside it. The first port and the last are no neighbours, but to take
/// them for ones does no harm.
#[inline]
const fn beside(port: u16) -> [u16; 3] {
    [port.wrapping_sub(1), port, port.wrapping_add(1)]
}

/// Whether `port` is the first or the last of its block.
#[inline]
const fn is_at_border(port: u16) -> bool {
    matches!(port as u8, 0 | u8::MAX)
}

impl Index {
    /// The index of a layer whose `handled` rights no rule grants.
    pub(crate) fn new(handled: AccessSet) -> Self {
        // INVARIANT: There is no leaf.
        Self {
            blocks: [NO_LEAF; BLOCKS],
            unnamed: !handled,
            leaves: KVec::new(),
            #[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
            _census: crate::model::Census::new(),
        }
    }

    /// Whether `access` is allowed on `port`.
    #[inline]
    pub(crate) fn allows(&self, port: u16, access: Access) -> bool {
        let (block, word, shift) = place(port);
        let rights = match self.leaf(block) {
            Some(leaf) => leaf[usize::from(word)] >> shift,
            None => self.unnamed.bits(),
        };

        rights & access as u64 != 0
    }

    /// The leaf of `block`, if it has one.
    #[inline]
    fn leaf(&self, block: u8) -> Option<&Leaf> {
        self.leaves
            .get(usize::from(self.blocks[usize::from(block)]))
    }

    /// The rights of the ports in `block`.
    fn rights(&self, block: u8) -> Leaf {
        self.leaf(block).copied().unwrap_or(filled(self.unnamed))
    }

    /// The names of the leaves, those of eight neighbouring blocks in a word.
    fn groups(&self) -> impl Iterator<Item = u64> + '_ {
        self.blocks
            .chunks_exact(8)
            .filter_map(|group| group.first_chunk().copied().map(u64::from_ne_bytes))
    }

    /// Whether what `self` allows, `other` allows, too.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        // As when a ruleset is enforced twice.
        if ptr::eq(self, other) {
            return true;
        }

        // As when two rulesets name the same ports.
        if self.leaves.len() == other.leaves.len() && self.blocks == other.blocks {
            return other.unnamed.contains_all(self.unnamed)
                && iter::zip(&self.leaves, &other.leaves)
                    .all(|(left, right)| is_within(left, right));
        }

        // Most blocks have no leaf, and neighbours often share theirs.
        let mut seen_groups = None;
        let mut seen = None;

        for groups in self.groups().zip(other.groups()) {
            if seen_groups.replace(groups) == Some(groups) {
                continue;
            }

            for blocks in iter::zip(groups.0.to_ne_bytes(), groups.1.to_ne_bytes()) {
                if seen.replace(blocks) == Some(blocks) {
                    continue;
                }

                if !self.leaf_is_within(blocks.0, other, blocks.1) {
                    return false;
                }
            }
        }
        true
    }

    /// Whether what `self` allows on the ports of a block whose leaf is `left`, `other` allows on
    /// those of one whose leaf is `right`.
    #[inline]
    fn leaf_is_within(&self, left: u8, other: &Self, right: u8) -> bool {
        let left = self.leaves.get(usize::from(left));
        let right = other.leaves.get(usize::from(right));

        match (left, right) {
            (Some(left), Some(right)) => is_within(left, right),
            (None, None) => other.unnamed.contains_all(self.unnamed),
            (left, right) => is_within(
                left.unwrap_or(&filled(self.unnamed)),
                right.unwrap_or(&filled(other.unnamed)),
            ),
        }
    }

    /// What both `self` and `other` allow.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM` if there is none.
    pub(crate) fn intersect(&self, other: &Self) -> Result<Self> {
        Self::build(self.unnamed & other.unnamed, |block| {
            let mut leaf = self.rights(block);

            for (left, right) in leaf.iter_mut().zip(other.rights(block)) {
                *left &= right;
            }
            leaf
        })
    }

    /// The same index in less memory, if there are neighbours that could share a leaf.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM` if there is none.
    pub(crate) fn shorter(&self) -> Result<Option<Self>> {
        if self.leaves.len() < 2 {
            return Ok(None);
        }

        // Most blocks have no leaf.
        let groups = self.groups().filter(|group| *group != NO_LEAVES);
        let mut leaves = groups.flat_map(u64::to_ne_bytes).filter_map(|leaf| {
            let leaf = usize::from(leaf);

            Some((leaf, self.leaves.get(leaf)?))
        });
        let Some(mut last) = leaves.next() else {
            return Ok(None);
        };

        for next in leaves {
            if next.0 != last.0 && are_equal(next.1, last.1) {
                return Self::build(self.unnamed, |block| self.rights(block)).map(Some);
            }
            last = next;
        }
        Ok(None)
    }

    /// Makes an index of the leaves that `leaf_of` returns for each block, in ascending order.
    fn build(unnamed: AccessSet, leaf_of: impl Fn(u8) -> Leaf) -> Result<Self> {
        let mut index = Self::new(!unnamed);

        for block in 0..=u8::MAX {
            let leaf = leaf_of(block);

            if leaf == filled(unnamed) {
                continue;
            }
            if index.leaves.last() != Some(&leaf) {
                index.leaves.push(leaf, GFP_KERNEL_ACCOUNT)?;
            }
            index.name_last(block);
        }
        Ok(index)
    }

    /// Makes the last leaf the one of `block`.
    fn name_last(&mut self, block: u8) {
        // INVARIANT: CAST: There is at most a leaf for each block, and the caller pushed one.
        self.blocks[usize::from(block)] = (self.leaves.len() - 1) as u8;
    }
}

/// Whether two leaves are equal, which is told from the first difference.
#[inline]
fn are_equal(left: &Leaf, right: &Leaf) -> bool {
    left.iter().zip(right).all(|(left, right)| left == right)
}

/// Whether the rights of each port in `left` are among those in `right`.
#[inline]
fn is_within(left: &Leaf, right: &Leaf) -> bool {
    are_equal(left, right)
        || left
            .iter()
            .zip(right)
            .all(|(left, right)| left & !right == 0)
}

/// The most blocks that a [`Draft`] names without making their leaves. With one more, a vector that
/// grows twofold has room for the leaves of all blocks.
const FEW: usize = BLOCKS / 2;

/// An [`Index`] of one layer, while rules are added.
///
/// As long as each rule is far from all others, a block has but the name of its leaf: the leaves
/// are made at once when the index is needed, or when there is more to tell of a block.
///
/// # Invariants
///
/// - The block of each rule has the name of a leaf, and each such block has its own: they are the
///   numbers below `named`.
/// - If there is no leaf, no two rules have a block in common, nor are on ports side by side.
/// - If there are leaves, there are at least `named`, and the index is as [`Index`] says. Those
///   that no block names have the rights of a block without a rule.
pub(crate) struct Draft {
    index: UniqueArc<Index>,
    named: usize,
}

impl Draft {
    /// Begins an index in which the `handled` rights need a rule, and all others are allowed.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM` if there is none.
    pub(crate) fn new(handled: AccessSet) -> Result<Self> {
        // INVARIANT: No block has a name.
        Ok(Self {
            index: UniqueArc::new(Index::new(handled), GFP_KERNEL_ACCOUNT)?,
            named: 0,
        })
    }

    /// Begins with a copy of `index`, charged to the current task.
    ///
    /// Returns `ENOMEM` if there is no memory.
    pub(crate) fn thaw(index: &Index) -> Result<Self> {
        let mut draft = Self::new(!index.unnamed)?;

        for block in 0..=u8::MAX {
            if let Some(leaf) = index.leaf(block) {
                draft.index.leaves.push(*leaf, GFP_KERNEL_ACCOUNT)?;
                draft.name(block);
            }
        }
        Ok(draft)
    }

    /// Makes sure that [`Draft::grant`] for `port` has a block to write to. `rules` are all that were
    /// granted so far.
    ///
    /// Returns whether none of them has granted anything on `port`, nor just `access` on a port
    /// beside it. The memory is charged to the current task. Returns `ENOMEM` if there is none.
    pub(crate) fn reserve(&mut self, port: u16, access: AccessSet, rules: &Rules) -> Result<bool> {
        let (block, _, _) = place(port);

        if !self.has_leaves() {
            if self.named == FEW {
                self.make_leaves(rules, BLOCKS)?;
            } else if beside(port).into_iter().any(|port| self.is_named(port)) {
                self.make_leaves(rules, self.named)?;
            }
        }
        if self.is_named(port) {
            return Ok(self.is_apart(port, access));
        }

        if self.named == self.index.leaves.len() {
            // As a vector grows; by nothing for the first block, which has no leaf yet.
            self.extend(self.named.min(BLOCKS - self.named))?;
        }
        self.name(block);
        // What is beside a border is in another block.
        Ok(!is_at_border(port) || !self.has_leaves() || self.is_apart(port, access))
    }

    /// Allows `access` on `port`, for which [`Draft::reserve`] was called.
    pub(crate) fn grant(&mut self, port: u16, access: AccessSet) {
        let (block, word, shift) = place(port);
        let leaf = usize::from(self.index.blocks[usize::from(block)]);

        // If there are no leaves yet, the rule is asked when they are made.
        if let Some(leaf) = self.index.leaves.get_mut(leaf) {
            leaf[usize::from(word)] |= access.bits() << shift;
        }
    }

    /// Whether no rule has granted anything on `port`, nor just `access` on a port beside it. There
    /// are leaves.
    #[inline]
    fn is_apart(&self, port: u16, access: AccessSet) -> bool {
        let [before, at, after] = self.granted_around(port);

        at == 0 && before != access.bits() && after != access.bits()
    }

    /// What rules have granted on `port` and on the ports beside it.
    #[inline]
    fn granted_around(&self, port: u16) -> [u64; 3] {
        let unnamed = self.index.unnamed.bits();
        let (block, word, shift) = place(port);

        // Most ports share their word with both others.
        match (self.index.leaf(block), shift) {
            (Some(leaf), 4..=56) => {
                let rights = leaf[usize::from(word)] >> (shift - 4);

                [rights, rights >> 4, rights >> 8]
                    .map(|rights| (rights ^ unnamed) & AccessSet::all_bits())
            }
            _ => beside(port).map(|port| self.granted(port)),
        }
    }

    /// What rules have granted on `port`.
    fn granted(&self, port: u16) -> u64 {
        let (block, word, shift) = place(port);

        self.index.leaf(block).map_or(0, |leaf| {
            (leaf[usize::from(word)] >> shift ^ self.index.unnamed.bits()) & AccessSet::all_bits()
        })
    }

    /// Makes sure that there are leaves for all `rules`, which are all that were granted.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM`, with nothing changed, if there
    /// is none.
    pub(crate) fn complete(&mut self, rules: &Rules) -> Result {
        if self.has_leaves() {
            return Ok(());
        }
        self.make_leaves(rules, self.named)
    }

    /// Ends the draft, for which [`Draft::complete`] was called.
    pub(crate) fn freeze(mut self) -> Arc<Index> {
        // INVARIANT: The caller made the leaves, and no block names those that are cut off.
        self.index.leaves.truncate(self.named);
        self.index.into()
    }

    /// Whether the blocks that have the name of a leaf have that leaf, too.
    #[inline]
    fn has_leaves(&self) -> bool {
        !self.index.leaves.is_empty()
    }

    /// Whether the block of `port` has the name of a leaf.
    #[inline]
    fn is_named(&self, port: u16) -> bool {
        let (block, _, _) = place(port);

        usize::from(self.index.blocks[usize::from(block)]) < self.named
    }

    /// Gives `block` the name of the next leaf.
    #[inline]
    fn name(&mut self, block: u8) {
        // INVARIANT: The name is the next one; as that of the 256th leaf, `NO_LEAF` is a name when
        // every block has one.
        // CAST: A block is named once, so there are fewer than 256 names so far.
        self.index.blocks[usize::from(block)] = self.named as u8;
        self.named += 1;
    }

    /// Makes `count` leaves, at least those of the named blocks. There is none yet.
    #[cold]
    fn make_leaves(&mut self, rules: &Rules, count: usize) -> Result {
        self.extend(count)?;
        // INVARIANT: There is a leaf for each name, and they come to say what the rules say.
        for (ports, access) in rules.spans() {
            for port in ports {
                self.grant(port, access);
            }
        }
        Ok(())
    }

    /// Makes `count` more leaves, for blocks without a name.
    #[cold]
    fn extend(&mut self, count: usize) -> Result {
        let unnamed = filled(self.index.unnamed);

        Ok(self
            .index
            .leaves
            .extend_with(count, unnamed, GFP_KERNEL_ACCOUNT)?)
    }
}

#[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
#[kernel::macros::kunit_tests(portlock_index)]
mod tests {
    use super::*;
    use crate::rules::Rule;

    const PORTS: [u16; 8] = [0, 1, 2, 255, 256, 443, 65534, 65535];

    fn draft(
        handled: AccessSet,
        ports: impl IntoIterator<Item = u16>,
        access: AccessSet,
    ) -> Result<Draft> {
        let mut draft = Draft::new(handled)?;
        let mut rules = Rules::new();

        for port in ports {
            add(&mut draft, &mut rules, port, access)?;
        }
        draft.complete(&rules)?;
        Ok(draft)
    }

    /// Adds a rule as a ruleset does.
    fn add(draft: &mut Draft, rules: &mut Rules, port: u16, access: AccessSet) -> Result {
        let rule = Rule {
            access,
            quiet: false,
        };

        draft.reserve(port, access, rules)?;
        rules.add(port, rule)?;
        draft.grant(port, access);
        Ok(())
    }

    fn index(
        handled: AccessSet,
        ports: impl IntoIterator<Item = u16>,
        access: AccessSet,
    ) -> Result<Arc<Index>> {
        Ok(draft(handled, ports, access)?.freeze())
    }

    #[test]
    fn only_ports_with_a_rule_are_allowed() -> Result {
        let both = Access::BindTcp | Access::BindUdp;
        let index = index(!AccessSet::empty(), PORTS, both)?;

        for port in 0..=u16::MAX {
            let known = PORTS.contains(&port);

            assert_eq!(index.allows(port, Access::BindTcp), known);
            assert_eq!(index.allows(port, Access::BindUdp), known);
            assert!(!index.allows(port, Access::ConnectTcp));
            assert!(!index.allows(port, Access::ConnectSendUdp));
        }
        Ok(())
    }

    #[test]
    fn rights_that_are_not_handled_are_allowed() -> Result {
        let index = index(Access::BindTcp.into(), [80], AccessSet::empty())?;

        for port in [0, 79, 80, 81, 255, 256, 65535] {
            assert!(!index.allows(port, Access::BindTcp));
            assert!(index.allows(port, Access::ConnectTcp));
            assert!(index.allows(port, Access::BindUdp));
            assert!(index.allows(port, Access::ConnectSendUdp));
        }
        Ok(())
    }

    #[test]
    fn every_layer_must_allow() -> Result {
        let handled = !AccessSet::empty();
        let left = index(handled, [1, 2, 1000], Access::BindTcp.into())?;
        let right = index(handled, [2, 3, 1000], Access::BindTcp.into())?;
        let both = left.intersect(&right)?;

        for port in 0..=u16::MAX {
            assert_eq!(
                both.allows(port, Access::BindTcp),
                [2, 1000].contains(&port)
            );
        }
        assert!(both.is_within(&left) && both.is_within(&right));
        assert!(!left.is_within(&both) && !left.is_within(&right));
        Ok(())
    }

    #[test]
    fn a_right_that_is_not_handled_counts_for_being_within() -> Result {
        let bind = index(Access::BindTcp.into(), [80], Access::BindTcp.into())?;
        let both = Access::BindTcp | Access::ConnectTcp;
        let narrower = index(both, [80], both)?;

        assert!(narrower.is_within(&bind));
        assert!(!bind.is_within(&narrower));
        assert!(narrower.is_within(&narrower));
        Ok(())
    }

    #[test]
    fn a_block_has_its_leaf_even_if_all_do() -> Result {
        let handled = Access::BindTcp.into();
        // Another port in each block, so that no two leaves are equal; then one block without.
        let ports = |blocks: core::ops::Range<u16>| blocks.map(|block| block << 8 | block);
        let full = index(handled, ports(0..256), handled)?;
        let but_one = index(handled, ports(0..255), handled)?;

        assert_eq!(full.leaves.len(), 256);
        assert_eq!(but_one.leaves.len(), 255);
        for port in 0..=u16::MAX {
            let named = port >> 8 == port & 255;

            assert_eq!(full.allows(port, Access::BindTcp), named);
            assert_eq!(
                but_one.allows(port, Access::BindTcp),
                named && port != u16::MAX
            );
        }
        assert!(but_one.is_within(&full) && !full.is_within(&but_one));
        Ok(())
    }

    #[test]
    fn what_was_frozen_is_not_what_is_written() -> Result {
        let handled = Access::BindTcp.into();
        // Two blocks that share a leaf.
        let frozen = index(handled, [0, 256], handled)?
            .shorter()?
            .ok_or(EINVAL)?;
        let mut written = Draft::thaw(&frozen)?;

        assert_eq!(frozen.leaves.len(), 1);
        // That the other rules are not there shows that the leaves are not made of them again.
        add(&mut written, &mut Rules::new(), 257, handled)?;
        written.complete(&Rules::new())?;
        let written = written.freeze();

        assert!(!frozen.allows(257, Access::BindTcp));
        assert!(written.allows(257, Access::BindTcp) && written.allows(256, Access::BindTcp));
        assert!(!written.allows(1, Access::BindTcp));
        Ok(())
    }

    #[test]
    fn memory_follows_the_rules() -> Result {
        let handled = AccessSet::from(Access::BindTcp);
        let all = index(handled, 0..=u16::MAX, handled)?;
        let shorter = all.shorter()?.ok_or(EINVAL)?;

        assert_eq!(all.leaves.len(), 256);
        assert_eq!(shorter.leaves.len(), 1);
        assert!(all.is_within(&shorter) && shorter.is_within(&all));
        assert!(shorter.shorter()?.is_none());
        assert!(index(handled, 255..=256, handled)?.shorter()?.is_none());
        assert_eq!(Index::new(handled).leaves.len(), 0);
        assert!(Index::new(handled).shorter()?.is_none());
        Ok(())
    }

    #[test]
    fn a_port_is_apart_from_neighbours_with_other_rights() -> Result {
        let bind = AccessSet::from(Access::BindTcp);
        let draft = draft(!AccessSet::empty(), [0, 256], bind)?;

        for port in [0, 1, 255, 256, 257] {
            assert!(!draft.is_apart(port, bind));
        }
        for port in [2, 3, 254, 258, 511, 512, 65534] {
            assert!(draft.is_apart(port, bind));
        }
        for (port, is_apart) in [
            (0, false),
            (1, true),
            (255, true),
            (256, false),
            (257, true),
        ] {
            assert_eq!(draft.is_apart(port, Access::ConnectTcp.into()), is_apart);
        }
        Ok(())
    }

    #[test]
    fn far_rules_have_no_leaves_until_the_index_is_needed() -> Result {
        let handled = AccessSet::from(Access::BindTcp);

        for blocks in [0, 1, FEW - 1, FEW, FEW + 1, BLOCKS] {
            let mut draft = Draft::new(handled)?;
            let mut rules = Rules::new();

            // Another port in each block, the last blocks first.
            for port in (0..blocks as u16).map(|block| (255 - block) << 8 | block) {
                add(&mut draft, &mut rules, port, handled)?;
            }
            assert_eq!(
                draft.index.leaves.len(),
                if blocks > FEW { BLOCKS } else { 0 }
            );
            assert_tells(draft, &rules, blocks)?;
        }
        Ok(())
    }

    #[test]
    fn near_rules_have_leaves() -> Result {
        let handled = AccessSet::from(Access::BindTcp);

        // The same port, the same block, and neighbours in two blocks; none of the last two.
        for (ports, blocks, made) in [
            ([7, 7], 1, 1),
            ([0, 255], 1, 1),
            ([255, 256], 2, 2),
            ([256, 255], 2, 2),
            ([255, 257], 2, 0),
        ] {
            let mut draft = Draft::new(handled)?;
            let mut rules = Rules::new();

            for port in ports {
                add(&mut draft, &mut rules, port, handled)?;
            }
            assert_eq!(draft.index.leaves.len(), made);
            assert_tells(draft, &rules, blocks)?;
        }
        Ok(())
    }

    /// Asserts that the index has `leaves` leaves once it is complete, and says what `rules` say,
    /// which grant [`Access::BindTcp`].
    fn assert_tells(mut draft: Draft, rules: &Rules, leaves: usize) -> Result {
        draft.complete(rules)?;
        let index = draft.freeze();

        assert_eq!(index.leaves.len(), leaves);
        for port in 0..=u16::MAX {
            let has_rule = rules.get(port).is_some();

            assert_eq!(index.allows(port, Access::BindTcp), has_rule);
        }
        Ok(())
    }
}
