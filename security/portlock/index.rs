// SPDX-License-Identifier: GPL-2.0

//! Port to rights: what an allowed check reads, and nothing else does.

use crate::{
    access::{
        PortAccess,
        PortAccessSet, //
    }, //
};
use core::{
    array,
    iter,
    mem,
    ops::RangeInclusive,
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

/// Ports with the rights that are granted on each of them.
pub(crate) type Span = (RangeInclusive<u16>, PortAccessSet);

/// The number of blocks. A block is 256 neighbouring ports: those with the same high byte.
const BLOCKS: usize = 256;

/// The words of a bitmap of the ports of a block.
const WORDS: usize = 4;

/// The rights on the ports of a block: a bitmap for each right, one after the other, and in it a bit
/// for each port.
#[derive(Clone, Copy)]
struct Leaf([u64; WORDS * PortAccess::COUNT]);

impl PartialEq for Leaf {
    /// The first difference tells: most leaves differ early.
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        iter::zip(&self.0, &other.0).all(|(word, other)| word == other)
    }
}

impl Leaf {
    /// The leaf whose ports all have the rights in `access`.
    #[inline]
    fn filled(access: PortAccessSet) -> Self {
        let masks = access.masks();

        Self(array::from_fn(|word| masks[word / WORDS]))
    }

    /// Whether `access` is allowed on the port whose low byte is `in_block`.
    #[inline]
    fn allows(&self, in_block: u8, access: PortAccess) -> bool {
        let word = access.position() * WORDS + usize::from(in_block >> 6);

        self.0[word] >> (in_block & 63) & 1 != 0
    }

    /// Allows `access` on the ports whose low bytes are from `first` to `last`.
    #[inline]
    fn allow(&mut self, first: u8, last: u8, access: PortAccessSet) {
        for word in first >> 6..=last >> 6 {
            let from = if word == first >> 6 { first & 63 } else { 0 };
            let to = if word == last >> 6 { last & 63 } else { 63 };
            let ports = u64::MAX << from & u64::MAX >> (63 - to);

            for (bitmap, mask) in iter::zip(self.0.chunks_exact_mut(WORDS), access.masks()) {
                bitmap[usize::from(word)] |= ports & mask;
            }
        }
    }

    /// Whether `other` allows all that `self` allows.
    #[inline]
    fn is_within(&self, other: &Self) -> bool {
        iter::zip(&self.0, &other.0).all(|(word, other)| word & !other == 0)
    }

    /// What both `self` and `other` allow.
    fn and(&self, other: &Self) -> Self {
        let mut both = *self;

        for (word, other) in iter::zip(&mut both.0, &other.0) {
            *word &= other;
        }
        both
    }
}

/// What the layers of a domain together allow on each of the 65,536 ports.
///
/// A table names, for each block of ports, the leaf that holds their rights. A block that no rule
/// names has no leaf, and neighbouring blocks with equal rights share one: the memory follows the
/// rules, 33 KiB at most.
///
/// Rights that no layer handles are allowed on every port, so that a check need not ask what is
/// handled.
///
/// # Invariants
///
/// - The ports of a block have the rights of the leaf that `blocks` names, or those of `unnamed` if
///   there is no such leaf.
/// - `leaves` has no room for more leaves than it holds.
pub(crate) struct Index {
    blocks: [u8; BLOCKS],
    unnamed: PortAccessSet,
    leaves: KVec<Leaf>,
}

/// The name of a leaf that does not exist, as long as a block has none: there are fewer leaves then.
const NO_LEAF: u8 = u8::MAX;

impl Index {
    /// The index of a layer that handles the rights in `handled`, and grants rights on the ports that
    /// `spans` yields: ranges that do not overlap, and descend.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM` if there is none.
    pub(crate) fn new<I>(handled: PortAccessSet, spans: impl Fn() -> I) -> Result<Arc<Self>>
    where
        I: Iterator<Item = Span>,
    {
        let mut index = UniqueArc::init(Self::empty(handled), GFP_KERNEL_ACCOUNT)?;

        index.fill(count_leaves(spans()), spans())?;
        Ok(index.into())
    }

    /// The index of a layer that handles the rights in `handled` and has no rules.
    fn empty(handled: PortAccessSet) -> impl Init<Self> {
        // INVARIANT: There is no leaf, and no room for one.
        init!(Self {
            blocks: [NO_LEAF; BLOCKS],
            unnamed: handled.complement(),
            leaves: KVec::new(),
        })
    }

    /// Fills in what `spans` grant, for which `count` leaves are enough. The index is empty.
    fn fill(&mut self, count: usize, spans: impl Iterator<Item = Span>) -> Result {
        let bare = Leaf::filled(self.unnamed);
        let mut open = None;

        self.leaves.reserve(count, GFP_KERNEL_ACCOUNT)?;
        // Spans descend, so those of a block follow each other.
        for (ports, access) in spans {
            let mut is_full = false;

            for (block, first, last) in blocks_of(&ports) {
                let was_full = mem::replace(&mut is_full, first == 0 && last == u8::MAX);

                if is_full && was_full {
                    // As the block before: the last leaf is full.
                    self.share(open.take());
                    self.name_last(block);
                    continue;
                }
                if open != Some(block) {
                    self.share(open.replace(block));
                    self.push(block, bare)?;
                }
                if let Some(leaf) = self.leaves.last_mut() {
                    leaf.allow(first, last, access);
                }
            }
        }
        self.share(open);
        self.fit()
    }

    /// The index of several layers: what both `self` and `other` allow.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM` if there is none.
    pub(crate) fn intersect(&self, other: &Self) -> Result<Arc<Self>> {
        let (left, right) = (Leaf::filled(self.unnamed), Leaf::filled(other.unnamed));
        let bare = left.and(&right);
        let handled = self.unnamed.and(other.unnamed).complement();
        let mut index = UniqueArc::init(Self::empty(handled), GFP_KERNEL_ACCOUNT)?;

        for block in 0..=u8::MAX {
            let left = self.leaf(block).unwrap_or(&left);
            let both = left.and(other.leaf(block).unwrap_or(&right));

            if both != bare {
                index.push(block, both)?;
                index.share(Some(block));
            }
        }
        index.fit()?;
        Ok(index.into())
    }

    /// Gives `block` a leaf of its own.
    #[inline]
    fn push(&mut self, block: u8, leaf: Leaf) -> Result {
        self.leaves.extend_with(1, leaf, GFP_KERNEL_ACCOUNT)?;
        self.name_last(block);
        Ok(())
    }

    /// Drops the last leaf, that of `block` alone, if it is equal to the one before.
    #[inline]
    fn share(&mut self, block: Option<u8>) {
        if let (Some(block), [.., before, last]) = (block, &self.leaves[..]) {
            if before == last {
                self.leaves.pop();
                self.name_last(block);
            }
        }
    }

    /// Makes the last leaf that of `block`.
    #[inline]
    fn name_last(&mut self, block: u8) {
        // INVARIANT: The callers see that the last leaf has the rights of the block. CAST: There is at
        // most one leaf for each block; `NO_LEAF` is a name if every block has its own.
        self.blocks[usize::from(block)] = self.leaves.len().wrapping_sub(1) as u8;
    }

    /// Makes room for the leaves that there are and for no more.
    fn fit(&mut self) -> Result {
        if self.leaves.len() != self.leaves.capacity() {
            let mut leaves = KVec::with_capacity(self.leaves.len(), GFP_KERNEL_ACCOUNT)?;

            leaves.extend_from_slice(&self.leaves, GFP_KERNEL_ACCOUNT)?;
            self.leaves = leaves;
        }
        // INVARIANT: As just seen, or done.
        Ok(())
    }

    /// Whether `access` is allowed on `port`.
    #[inline]
    pub(crate) fn allows(&self, port: u16, access: PortAccess) -> bool {
        let [block, in_block] = port.to_be_bytes();

        match self.leaf(block) {
            Some(leaf) => leaf.allows(in_block, access),
            None => self.unnamed.contains(access),
        }
    }

    /// The leaf of `block`, if it has one.
    #[inline]
    fn leaf(&self, block: u8) -> Option<&Leaf> {
        self.leaves
            .get(usize::from(self.blocks[usize::from(block)]))
    }

    /// Whether `other` allows all that `self` allows.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        // As when a ruleset is enforced twice.
        if ptr::eq(self, other) {
            return true;
        }

        let (left, right) = (Leaf::filled(self.unnamed), Leaf::filled(other.unnamed));

        // As when two rulesets name the same ports.
        if self.leaves.len() == other.leaves.len() && self.blocks == other.blocks {
            return left.is_within(&right)
                && iter::zip(&self.leaves, &other.leaves)
                    .all(|(left, right)| left.is_within(right));
        }

        let mut seen = None;

        // Neighbouring blocks often share a leaf, or have none.
        (0..=u8::MAX).all(|block| {
            let names = (
                self.blocks[usize::from(block)],
                other.blocks[usize::from(block)],
            );

            seen.replace(names) == Some(names) || {
                let left = self.leaf(block).unwrap_or(&left);

                left.is_within(other.leaf(block).unwrap_or(&right))
            }
        })
    }
}

/// The number of leaves that `spans` need, if no two of them make equal ones.
fn count_leaves(spans: impl Iterator<Item = Span>) -> usize {
    let mut count = 0;
    let mut lowest = None;

    // Spans descend: a block that two of them have in common is the lowest so far.
    for (ports, _) in spans {
        let ([first, _], [last, _]) = (ports.start().to_be_bytes(), ports.end().to_be_bytes());

        // All blocks between the first and the last are full, and share a leaf.
        count += usize::from(last - first).min(2) + usize::from(lowest != Some(last));
        lowest = Some(first);
    }
    count
}

/// The blocks that have a port in `ports`, in descending order, each with the low bytes of the first
/// and of the last of these ports.
#[inline]
fn blocks_of(ports: &RangeInclusive<u16>) -> impl Iterator<Item = (u8, u8, u8)> {
    let ([first_block, first], [last_block, last]) =
        (ports.start().to_be_bytes(), ports.end().to_be_bytes());

    (first_block..=last_block).rev().map(move |block| {
        let first = if block == first_block { first } else { 0 };
        let last = if block == last_block { last } else { u8::MAX };

        (block, first, last)
    })
}

#[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
#[kernel::macros::kunit_tests(portlock_index)]
mod tests {
    use super::*;
    use crate::{
        access::{
            Access,
            AccessSet,
            Group, //
        },
        ports::{
            PortRules,
            Rule, //
        }, //
    };

    const PORTS: [u16; 8] = [0, 1, 2, 255, 256, 443, 65534, 65535];

    fn index(
        handled: AccessSet,
        ports: impl IntoIterator<Item = u16>,
        access: AccessSet,
    ) -> Result<Arc<Index>> {
        let mut rules = PortRules::default();

        for port in ports {
            let rule = Rule {
                access,
                quiet: false,
            };

            rules.add(port..=port, rule)?;
        }
        Index::new(handled.in_group(Group::Landlock), || {
            rules.spans(Group::Landlock)
        })
    }

    fn allows(index: &Index, port: u16, access: Access) -> bool {
        index.allows(port, access.into())
    }

    /// Asserts that exactly `ports` have [`Access::BindTcp`].
    fn assert_tells(index: &Index, is_named: impl Fn(u16) -> bool) {
        for port in 0..=u16::MAX {
            assert_eq!(allows(index, port, Access::BindTcp), is_named(port));
        }
    }

    #[test]
    fn only_ports_with_a_rule_are_allowed() -> Result {
        let both = Access::BindTcp | Access::BindUdp;
        let index = index(AccessSet::LANDLOCK, PORTS, both)?;

        for port in 0..=u16::MAX {
            let known = PORTS.contains(&port);

            assert_eq!(allows(&index, port, Access::BindTcp), known);
            assert_eq!(allows(&index, port, Access::BindUdp), known);
            assert!(!allows(&index, port, Access::ConnectTcp));
            assert!(!allows(&index, port, Access::ConnectSendUdp));
        }
        Ok(())
    }

    #[test]
    fn rights_that_are_not_handled_are_allowed() -> Result {
        let index = index(Access::BindTcp.into(), [80], AccessSet::empty())?;

        for port in [0, 79, 80, 81, 255, 256, 65535] {
            assert!(!allows(&index, port, Access::BindTcp));
            assert!(allows(&index, port, Access::ConnectTcp));
            assert!(allows(&index, port, Access::BindUdp));
            assert!(allows(&index, port, Access::ConnectSendUdp));
        }
        Ok(())
    }

    #[test]
    fn every_layer_must_allow() -> Result {
        let handled = AccessSet::LANDLOCK;
        let left = index(handled, [1, 2, 1000], Access::BindTcp.into())?;
        let right = index(handled, [2, 3, 1000], Access::BindTcp.into())?;
        let both = left.intersect(&right)?;

        assert_tells(&both, |port| [2, 1000].contains(&port));
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
    fn ranges_end_where_they_should() -> Result {
        let handled = AccessSet::from(Access::BindTcp);

        for (first, last) in [
            (0, 0),
            (0, 63),
            (1, 64),
            (63, 64),
            (100, 355),
            (192, 255),
            (255, 256),
            (256, 1023),
            (65472, 65535),
            (65535, 65535),
        ] {
            let index = index(handled, first..=last, handled)?;

            assert_tells(&index, |port| (first..=last).contains(&port));
        }
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
        assert_tells(&full, |port| port >> 8 == port & 255);
        assert_tells(&but_one, |port| port >> 8 == port & 255 && port != u16::MAX);
        assert!(but_one.is_within(&full) && !full.is_within(&but_one));
        Ok(())
    }

    #[test]
    fn memory_follows_the_rules() -> Result {
        let handled = AccessSet::from(Access::BindTcp);
        let leaves = |ports: &mut dyn Iterator<Item = u16>| {
            index(handled, ports, handled).map(|index| index.leaves.len())
        };

        assert_eq!(leaves(&mut (0..=u16::MAX))?, 1);
        assert_eq!(leaves(&mut (0..=0))?, 1);
        assert_eq!(leaves(&mut (255..=256))?, 2);
        assert_eq!(leaves(&mut core::iter::empty())?, 0);
        // All ports but one: the blocks below it, its own, and those above it.
        assert_eq!(leaves(&mut (0..=u16::MAX).filter(|port| *port != 1000))?, 3);
        Ok(())
    }

    #[test]
    fn there_is_no_room_for_more_leaves_than_there_are() -> Result {
        let handled = AccessSet::from(Access::BindTcp);
        let assert_fits = |index: Arc<Index>| {
            assert_eq!(index.leaves.capacity(), index.leaves.len());
            assert!(index.leaves.len() <= BLOCKS);
        };
        // Two rules in a block after two in others, and then one in each further block.
        let first = [0x0080, 0x0180, 0x0280, 0x0081];
        let further = (3..256).map(|block| block << 8 | 0x80);
        let index_of = |ports: &[u16]| index(handled, ports.iter().copied(), handled);
        let mut ports = KVec::new();
        let mut random = 1u32;

        for port in Iterator::chain(first.into_iter(), further) {
            ports.push(port, GFP_KERNEL)?;
            assert_fits(index_of(&ports)?);
        }

        // The same and others in random orders, and what two of them have in common.
        for _ in 0..50 {
            let mut shuffled = KVec::new();

            for _ in 0..300 {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                // CAST: The high bits are the random ones.
                shuffled.push((random >> 16) as u16, GFP_KERNEL)?;
            }

            let (left, right) = (index_of(&shuffled)?, index_of(&shuffled[150..])?);

            assert_fits(left.clone());
            assert_fits(left.intersect(&right)?);
            assert_fits(left.intersect(&*index_of(&ports)?)?);
        }
        Ok(())
    }
}
