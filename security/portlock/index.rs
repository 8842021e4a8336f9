// SPDX-License-Identifier: GPL-2.0

//! Port to rights: what an allowed check reads, and nothing else does.

use crate::{
    access::{
        Access,
        Packed, //
    },
    columns::Columns,
    ports::PortRules, //
};
use core::{
    array,
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

/// Ports with what is granted on each of them.
#[derive(Clone, Copy)]
struct Span {
    /// The first port.
    first: u16,
    /// The last port, which is not less than the first.
    last: u16,
    access: Packed,
}

/// More than there are numbers of rights.
const RIGHTS: usize = Packed::COUNT;

/// The number of blocks. A block is 256 neighbouring ports: those with the same high byte.
const BLOCKS: usize = 256;

/// A bit for each port of a block.
#[derive(Clone, Copy)]
struct Bitmap([u64; 4]);

impl PartialEq for Bitmap {
    /// The first difference tells: most bitmaps differ early.
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        iter::zip(&self.0, &other.0).all(|(word, other)| word == other)
    }
}

impl Bitmap {
    const NONE: Self = Self([0; 4]);
    const ALL: Self = Self([u64::MAX; 4]);

    /// Whether the port whose low byte is `in_block` has its bit set.
    #[inline]
    fn contains(&self, in_block: u8) -> bool {
        self.0[usize::from(in_block >> 6)] >> (in_block & 63) & 1 != 0
    }

    /// Whether `other` has all bits that `self` has.
    #[inline]
    fn is_within(&self, other: &Self) -> bool {
        iter::zip(&self.0, &other.0).all(|(word, other)| word & !other == 0)
    }

    /// The bits that both `self` and `other` have.
    #[inline]
    fn and(&self, other: &Self) -> Self {
        Self(array::from_fn(|word| self.0[word] & other.0[word]))
    }
}

/// What the layers of a domain together allow on each of the 65,536 ports, whatever the address.
///
/// A table names, for each block of ports, the leaf that holds their rights. Neighbouring blocks with
/// equal rights share a leaf, and so do all blocks without any. A leaf has a bitmap for each column.
/// Rights that are allowed on the same ports share a column: in most domains there is only one.
///
/// So the memory follows the rules: 32 bytes for each leaf and column. There are at most as many
/// leaves as blocks. So a column has at most 8 KiB, and the index at most 33 KiB for each four rights.
/// The allocator rounds up to a power of two at most: for nine to twelve full columns, to 128 KiB.
///
/// # Invariants
///
/// - `columns` says where each right is allowed: [`NOWHERE`], [`EVERYWHERE`], or where its column says
///   so. Then it is the number of the column's first bitmap.
/// - A column has `leaves` bitmaps. `blocks` names only such leaves, unless there is no column.
/// - `bitmaps` has no room for more bitmaps than it holds.
pub(crate) struct Index {
    bitmaps: KVVec<Bitmap>,
    leaves: usize,
    columns: [u16; RIGHTS],
    blocks: [u8; BLOCKS],
}

/// In [`Index::columns`], a right that is handled, and allowed on no port. There is no such bitmap.
const NOWHERE: u16 = 1 << 14;

/// In [`Index::columns`], a right that no layer handles. There is no such bitmap.
const EVERYWHERE: u16 = 1 << 15;

impl Index {
    /// The index of a layer that handles the rights in `handled` and has `rules`.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM` if there is none. May sleep.
    pub(crate) fn new(handled: Packed, rules: &PortRules) -> Result<Arc<Self>> {
        let spans = || {
            rules.spans().map(|(ports, access)| Span {
                first: *ports.start(),
                last: *ports.end(),
                access,
            })
        };
        let mut shape = Shape::default();

        shape.measure(spans());

        let sets = shape.columns.sets();
        let mut columns = [EVERYWHERE; RIGHTS];

        for right in bits(handled.bits()) {
            columns[right] = NOWHERE;
        }

        let mut index = Self::empty(columns, sets, shape.leaves)?;
        // Number 0 is for the blocks that are bare.
        let mut leaves = index.leaves(sets, usize::from(shape.has_bare));

        for span in spans() {
            leaves.insert(span);
        }
        leaves.close();

        let len = leaves.len;

        Self::fit(index, sets, len)
    }

    /// An index with room for `room` leaves, all of them empty. Each of `sets` is a column: a set of
    /// rights. `columns` says where the others are allowed.
    #[inline(always)]
    fn empty(mut columns: [u16; RIGHTS], sets: &[u32], room: usize) -> Result<UniqueArc<Self>> {
        let bitmaps = KVVec::from_elem(Bitmap::NONE, sets.len() * room, GFP_KERNEL_ACCOUNT)?;

        place(&mut columns, sets, room);
        UniqueArc::init(
            // INVARIANT: As the sets and the callers say. All blocks name an empty leaf.
            init!(Self {
                bitmaps: bitmaps,
                leaves: room,
                columns: columns,
                blocks: [0; BLOCKS],
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// The leaves, to be filled in. There are `len` already.
    #[inline]
    fn leaves<'a>(&'a mut self, sets: &'a [u32], len: usize) -> Leaves<'a> {
        Leaves {
            blocks: &mut self.blocks,
            bitmaps: &mut self.bitmaps,
            sets,
            room: self.leaves,
            len,
            open: None,
        }
    }

    /// The index with only the first `len` leaves of its columns, which are `sets`.
    #[inline(always)]
    fn fit(mut index: UniqueArc<Self>, sets: &[u32], len: usize) -> Result<Arc<Self>> {
        if len < index.leaves {
            index.shrink(sets, len)?;
        }
        Ok(index.into())
    }

    /// Frees the room behind the first `len` leaves of the columns, which are `sets`.
    fn shrink(&mut self, sets: &[u32], len: usize) -> Result {
        let mut bitmaps = KVVec::with_capacity(sets.len() * len, GFP_KERNEL_ACCOUNT)?;

        for column in 0..sets.len() {
            let first = column * self.leaves;

            bitmaps.extend_from_slice(&self.bitmaps[first..first + len], GFP_KERNEL_ACCOUNT)?;
        }
        // INVARIANT: There is no more room.
        place(&mut self.columns, sets, len);
        self.bitmaps = bitmaps;
        self.leaves = len;
        Ok(())
    }

    /// The index of several layers: what both `left` and `right` allow. It is one of them, if that one
    /// allows no more than the other.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM` if there is none. May sleep.
    pub(crate) fn both(left: &Arc<Self>, right: &Arc<Self>) -> Result<Arc<Self>> {
        if left.is_within(right) {
            Ok(left.clone())
        } else if right.is_within(left) {
            Ok(right.clone())
        } else {
            left.intersect(right)
        }
    }

    /// A new index of what both `self` and `other` allow.
    fn intersect(&self, other: &Self) -> Result<Arc<Self>> {
        let room = self.runs(other).count();
        let mut columns = [NOWHERE; RIGHTS];
        // The rights for which both have the same two columns, or one has none.
        let mut sets = [0; RIGHTS];
        let mut count = 0;

        for (right, column) in columns.iter_mut().enumerate() {
            match self.pair(other, right) {
                (NOWHERE, _) | (_, NOWHERE) => (),
                (EVERYWHERE, EVERYWHERE) => *column = EVERYWHERE,
                pair => {
                    let is_known = |set: &u32| self.pair(other, lowest(*set)) == pair;
                    let known = sets[..count].iter().position(is_known);
                    let column = known.unwrap_or(count);

                    sets[column] |= 1 << right;
                    count = count.max(column + 1);
                }
            }
        }

        let sets = &sets[..count];
        let mut index = Self::empty(columns, sets, room)?;
        let mut leaves = index.leaves(sets, 0);
        let mut bare = None;

        for (first, last) in self.runs(other) {
            let mut is_bare = true;

            leaves.len += 1;
            for (column, set) in sets.iter().enumerate() {
                let right = lowest(*set);
                // A right without a column is allowed everywhere: no set has the others.
                let [left, right] =
                    [self, other].map(|index| index.bitmap(right, first).unwrap_or(&Bitmap::ALL));
                let both = left.and(right);

                is_bare &= both == Bitmap::NONE;
                *leaves.last(column) = both;
            }

            let leaf = match bare {
                Some(bare) if is_bare => {
                    leaves.drop_last();
                    bare
                }
                _ => leaves.share(),
            };

            if is_bare {
                bare = Some(leaf);
            }
            // INVARIANT: The blocks of a run have the rights of the leaf.
            leaves.blocks[usize::from(first)..=usize::from(last)].fill(leaf);
        }

        let len = leaves.len;

        Self::fit(index, sets, len)
    }

    /// Where `self` and `other` allow what `right` is about.
    fn pair(&self, other: &Self, right: usize) -> (u16, u16) {
        (self.columns[right], other.columns[right])
    }

    /// The blocks, as runs from a first to a last one in which each index names one leaf.
    fn runs<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (u8, u8)> + 'a {
        let names = |block: u8| {
            (
                self.blocks[usize::from(block)],
                other.blocks[usize::from(block)],
            )
        };
        let mut next = Some(0u8);

        iter::from_fn(move || {
            let first = next?;
            let mut last = first;

            next = loop {
                let Some(block) = last.checked_add(1) else {
                    break None;
                };
                if names(block) != names(first) {
                    break Some(block);
                }
                last = block;
            };
            Some((first, last))
        })
    }

    /// Whether all layers allow `access` on `port`, whatever the address.
    #[inline]
    pub(crate) fn allows(&self, port: u16, access: Access) -> bool {
        let [block, in_block] = port.to_be_bytes();
        let right = access.number();

        match self.bitmap(right, block) {
            Some(bitmap) => bitmap.contains(in_block),
            None => is_everywhere(self.columns[right]),
        }
    }

    /// The ports of `block` on which `right` is allowed, if it has a column.
    #[inline]
    fn bitmap(&self, right: usize, block: u8) -> Option<&Bitmap> {
        let leaf = self.blocks[usize::from(block)];

        self.bitmaps
            .get(usize::from(self.columns[right].wrapping_add(leaf.into())))
    }

    /// Whether `other` allows all that `self` allows. It may say no although it does: it does not
    /// compare what is allowed on every port, or on none, with a column that says the same.
    fn is_within(&self, other: &Self) -> bool {
        // As when a ruleset is enforced twice.
        if ptr::eq(self, other) {
            return true;
        }

        // As when two rulesets name the same ports.
        let is_alike = self.leaves == other.leaves && self.blocks == other.blocks;

        (0..RIGHTS).all(|right| match self.pair(other, right) {
            (NOWHERE, _) | (_, EVERYWHERE) => true,
            (EVERYWHERE, _) | (_, NOWHERE) => false,
            pair if (0..right).any(|before| self.pair(other, before) == pair) => true,
            (left, right) if is_alike => iter::zip(self.column(left), other.column(right))
                .all(|(left, right)| left.is_within(right)),
            _ => self.runs(other).all(|(first, _)| {
                iter::zip(self.bitmap(right, first), other.bitmap(right, first))
                    .all(|(left, right)| left.is_within(right))
            }),
        })
    }

    /// The bitmaps of the column that begins at the number `first`.
    fn column(&self, first: u16) -> &[Bitmap] {
        let first = usize::from(first);

        &self.bitmaps[first..first + self.leaves]
    }
}

/// Whether a right without a column is allowed on every port. Tells the compiler that this is rarely
/// asked.
#[cold]
const fn is_everywhere(column: u16) -> bool {
    column == EVERYWHERE
}

/// Notes in `columns` that those of `sets`, which have `len` bitmaps each, follow each other.
#[inline]
fn place(columns: &mut [u16; RIGHTS], sets: &[u32], len: usize) {
    for (column, set) in sets.iter().enumerate() {
        for right in bits(*set) {
            // CAST: There are few columns and leaves.
            columns[right] = (column * len) as u16;
        }
    }
}

/// The number of the lowest bit of `set`, which is not empty.
#[inline]
fn lowest(set: u32) -> usize {
    set.trailing_zeros() as usize % RIGHTS
}

/// The numbers of the bits of `set`.
#[inline]
fn bits(mut set: u32) -> impl Iterator<Item = usize> {
    iter::from_fn(move || {
        let all = set;

        set &= set.wrapping_sub(1);
        (all != 0).then(|| lowest(all))
    })
}

/// What an index will need.
#[derive(Default)]
struct Shape {
    columns: Columns<RIGHTS>,
    /// The number of leaves, if no two blocks have equal ones.
    leaves: usize,
    /// Whether there is a block on whose ports nothing is granted.
    has_bare: bool,
}

impl Shape {
    /// Takes the spans of an index.
    #[inline]
    fn measure(&mut self, spans: impl Iterator<Item = Span>) {
        let mut named = 0;
        let mut lowest = None;

        // Spans descend: a block that two of them have in common is the lowest so far.
        for span in spans {
            let ([first, _], [last, _]) = (span.first.to_be_bytes(), span.last.to_be_bytes());
            let is_new = usize::from(lowest.replace(first) != Some(last));
            let further = usize::from(last - first);

            self.columns.divide(span.access.bits());
            // All blocks between the first and the last are full, and share a leaf.
            self.leaves += is_new + further.min(2);
            named += is_new + further;
        }
        self.has_bare = named < BLOCKS;
        self.leaves += usize::from(self.has_bare);
    }
}

/// The leaves of an index while it is made.
///
/// # Invariants
///
/// A column has room for `room` leaves. Those from `len` on are empty.
struct Leaves<'a> {
    blocks: &'a mut [u8; BLOCKS],
    bitmaps: &'a mut [Bitmap],
    /// The columns.
    sets: &'a [u32],
    room: usize,
    len: usize,
    /// The block that will have the last leaf, as long as something is inserted there.
    open: Option<u8>,
}

impl Leaves<'_> {
    /// Allows on the ports of `span` what it grants. They are below those of all spans before.
    #[inline]
    fn insert(&mut self, span: Span) {
        if span.first >> 6 == span.last >> 6 {
            self.open(span.last.to_be_bytes()[0]);
            self.allow(span);
        } else {
            self.insert_words(span);
        }
    }

    /// [`Leaves::insert`], of ports whose bits are in several words.
    #[inline(never)]
    fn insert_words(&mut self, span: Span) {
        let ([first_block, _], [mut block, _]) =
            (span.first.to_be_bytes(), span.last.to_be_bytes());

        loop {
            let first = span.first.max(u16::from_be_bytes([block, 0]));
            let last = span.last.min(u16::from_be_bytes([block, u8::MAX]));
            let mut from = first;

            self.open(block);
            while from | 63 < last {
                let last = from | 63;

                self.allow(Span {
                    first: from,
                    last,
                    ..span
                });
                from = last + 1;
            }
            self.allow(Span {
                first: from,
                last,
                ..span
            });
            if block == first_block {
                break;
            }
            block -= 1;
            if last - first == u8::MAX.into() {
                // So are the next blocks, down to the one with the first port.
                self.close();

                let name = self.name();

                self.blocks[usize::from(first_block) + 1..=usize::from(block)].fill(name);
                block = first_block;
            }
        }
    }

    /// Allows what `span` grants on its ports, whose bits are in one word of the last leaf.
    #[inline]
    fn allow(&mut self, span: Span) {
        let word = usize::from(span.first >> 6 & 3);
        let ports = u64::MAX << (span.first & 63) & u64::MAX >> (63 - (span.last & 63));

        for (column, set) in self.sets.iter().enumerate() {
            if span.access.bits() & set != 0 {
                self.last(column).0[word] |= ports;
            }
        }
    }

    /// Begins a leaf for `block`, unless the last one is for it.
    #[inline]
    fn open(&mut self, block: u8) {
        if self.open != Some(block) {
            self.close();
            self.open = Some(block);
            self.len += 1;
        }
    }

    /// Names the last leaf, which is complete.
    #[inline]
    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            // INVARIANT: The leaf has the rights of the block.
            self.blocks[usize::from(open)] = self.share();
        }
    }

    /// The bitmap that the last leaf has in `column`.
    #[inline]
    fn last(&mut self, column: usize) -> &mut Bitmap {
        &mut self.bitmaps[column * self.room + self.len - 1]
    }

    /// Drops the last leaf if it is equal to the one before. Returns the name of what is then the last.
    #[inline]
    fn share(&mut self) -> u8 {
        let is_as_before = |column| {
            let end = column * self.room + self.len;

            matches!(&self.bitmaps[end - 2..end], [before, last] if before == last)
        };

        if self.len > 1 && (0..self.sets.len()).all(is_as_before) {
            self.drop_last();
        }
        self.name()
    }

    /// Drops the last leaf.
    #[cold]
    #[inline(never)]
    fn drop_last(&mut self) {
        for column in 0..self.sets.len() {
            // INVARIANT: The bitmap will be behind the last one.
            *self.last(column) = Bitmap::NONE;
        }
        self.len -= 1;
    }

    /// The name of the last leaf.
    #[inline]
    fn name(&self) -> u8 {
        // CAST: There is at most one leaf for each block.
        self.len.wrapping_sub(1) as u8
    }
}

#[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
#[kernel::macros::kunit_tests(portlock_index)]
mod tests {
    use super::*;
    use crate::{
        access::AccessSet,
        ports::Rule, //
    };

    const PORTS: [u16; 8] = [0, 1, 2, 255, 256, 443, 65534, 65535];

    const TCP: AccessSet = AccessSet::TCP;

    fn rules(ports: impl IntoIterator<Item = (u16, AccessSet)>) -> Result<PortRules> {
        let mut rules = PortRules::default();

        for (port, access) in ports {
            let rule = Rule {
                access,
                quiet: false,
            };

            rules.add(port..=port, rule)?;
        }
        Ok(rules)
    }

    fn index_of(handled: AccessSet, rules: &PortRules) -> Result<Arc<Index>> {
        let index = Index::new(handled.into(), rules)?;

        assert_holds_its_bounds(&index);
        Ok(index)
    }

    /// The index of rules which all grant `access`.
    fn index(
        handled: AccessSet,
        ports: impl IntoIterator<Item = u16>,
        access: AccessSet,
    ) -> Result<Arc<Index>> {
        index_of(
            handled,
            &rules(ports.into_iter().map(|port| (port, access)))?,
        )
    }

    /// What the invariants of [`Index`] say of its memory.
    fn assert_holds_its_bounds(index: &Index) {
        let columns = (0..RIGHTS).filter(|right| {
            let column = index.columns[*right];

            column < NOWHERE && !index.columns[..*right].contains(&column)
        });

        assert_eq!(index.bitmaps.capacity(), index.bitmaps.len());
        assert_eq!(index.bitmaps.len(), columns.count() * index.leaves);
        assert!(index.leaves <= BLOCKS);
        if !index.bitmaps.is_empty() {
            assert!(index
                .blocks
                .iter()
                .all(|leaf| usize::from(*leaf) < index.leaves));
        }
    }

    /// Asserts that exactly `ports` have [`Access::BindTcp`].
    fn assert_tells(index: &Index, is_named: impl Fn(u16) -> bool) {
        for port in 0..=u16::MAX {
            assert_eq!(index.allows(port, Access::BindTcp), is_named(port));
        }
    }

    /// A number that looks random.
    fn next(random: &mut u32) -> u32 {
        *random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *random >> 16
    }

    #[test]
    fn only_ports_with_a_rule_are_allowed() -> Result {
        let both = Access::BindTcp | Access::BindUdp;
        let index = index(AccessSet::LANDLOCK, PORTS, both)?;

        for port in 0..=u16::MAX {
            let known = PORTS.contains(&port);

            assert_eq!(index.allows(port, Access::BindTcp), known);
            assert_eq!(index.allows(port, Access::BindUdp), known);
            assert!(!index.allows(port, Access::ConnectTcp));
            assert!(!index.allows(port, Access::ConnectSendUdp));
            assert!(index.allows(port, Access::ListenTcp));
        }
        Ok(())
    }

    #[test]
    fn rights_that_are_not_handled_are_allowed() -> Result {
        for access in [AccessSet::empty(), Access::BindTcp.into()] {
            let index = index(Access::BindTcp.into(), [80], access)?;

            for port in [0, 79, 80, 81, 255, 256, 65535] {
                let is_named = port == 80 && !access.is_empty();

                assert_eq!(index.allows(port, Access::BindTcp), is_named);
                assert!(index.allows(port, Access::ConnectTcp));
                assert!(index.allows(port, Access::ConnectSendUdp));
                assert!(index.allows(port, Access::ListenTcp));
            }
        }
        Ok(())
    }

    #[test]
    fn each_right_has_its_ports() -> Result {
        let rights = [
            Access::BindTcp,
            Access::ConnectTcp,
            Access::BindUdp,
            Access::ConnectSendUdp,
            Access::ListenTcp,
        ];
        let mut random = 1;

        for _ in 0..20 {
            let mut said: KVec<(u16, AccessSet)> = KVec::new();

            for _ in 0..60 {
                let (port, set) = (next(&mut random) % 1024, next(&mut random));
                let access = rights
                    .into_iter()
                    .filter(|right| set >> right.number() & 1 != 0)
                    .fold(AccessSet::empty(), |all, right| all | right);

                // CAST: It is less than 1,024.
                said.push((port as u16, access), GFP_KERNEL)?;
            }

            let halves = [&said[..], &said[..30], &said[30..]];
            let [all, left, right] =
                halves.map(|half| index_of(!AccessSet::empty(), &rules(half.iter().copied())?));
            let (all, left, right) = (all?, left?, right?);
            let both = left.intersect(&right)?;

            assert_holds_its_bounds(&both);
            for (index, other, expected) in [
                (&left, &all, true),
                (&right, &all, true),
                (&both, &left, true),
                (&both, &right, true),
                (&all, &left, false),
                (&left, &both, false),
            ] {
                assert_eq!(index.is_within(other), expected);
            }
            for port in 0..1280 {
                for right in rights {
                    let [all_say, left_say, right_say] = halves.map(|half| {
                        half.iter()
                            .any(|(known, access)| *known == port && access.contains(right))
                    });

                    assert_eq!(all.allows(port, right), all_say);
                    assert_eq!(left.allows(port, right), left_say);
                    assert_eq!(both.allows(port, right), left_say && right_say);
                }
            }
        }
        Ok(())
    }

    #[test]
    fn rights_on_the_same_ports_share_a_column() -> Result {
        let bind = AccessSet::from(Access::BindTcp);
        let columns = |rules| -> Result<usize> {
            let index = index_of(!AccessSet::empty(), &rules)?;

            // The blocks of 80 and of 443, and the others.
            assert_eq!(index.leaves, 3);
            Ok(index.bitmaps.len() / 3)
        };

        assert_eq!(columns(rules([(80, TCP), (443, TCP)])?)?, 1);
        assert_eq!(columns(rules([(80, bind), (443, TCP)])?)?, 2);
        assert_eq!(
            columns(rules([
                (80, Access::BindTcp | Access::ListenTcp),
                (443, TCP),
                (444, Access::ListenTcp.into()),
            ])?)?,
            3
        );
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
    fn layers_may_handle_different_rights() -> Result {
        let (bind, connect) = (
            AccessSet::from(Access::BindTcp),
            AccessSet::from(Access::ConnectTcp),
        );
        let left = index(bind, [80, 81], bind)?;
        let right = index(connect | Access::BindUdp, [80, 300], connect)?;
        let both = left.intersect(&right)?;

        assert_holds_its_bounds(&both);
        for port in 0..=u16::MAX {
            assert_eq!(both.allows(port, Access::BindTcp), [80, 81].contains(&port));
            assert_eq!(
                both.allows(port, Access::ConnectTcp),
                [80, 300].contains(&port)
            );
            assert!(!both.allows(port, Access::BindUdp));
            assert!(both.allows(port, Access::ListenTcp));
        }
        assert!(both.is_within(&left) && both.is_within(&right));
        assert!(!left.is_within(&right) && !left.is_within(&both));
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
        let all = index(handled, 0..=u16::MAX, handled)?;

        // The block without has the leaf of zeroes.
        assert_eq!(full.leaves, 256);
        assert_eq!(but_one.leaves, 256);
        for full in [&full, &full.intersect(&all)?] {
            assert_tells(full, |port| port >> 8 == port & 255);
        }
        for but_one in [&but_one, &full.intersect(&but_one)?] {
            assert_holds_its_bounds(but_one);
            assert_tells(but_one, |port| port >> 8 == port & 255 && port != u16::MAX);
        }
        assert!(but_one.is_within(&full) && !full.is_within(&but_one));
        assert!(full.is_within(&all) && !all.is_within(&full));
        Ok(())
    }

    #[test]
    fn memory_follows_the_rules() -> Result {
        let handled = AccessSet::from(Access::BindTcp);
        let leaves = |ports: &mut dyn Iterator<Item = u16>| {
            index(handled, ports, handled).map(|index| index.leaves)
        };

        assert_eq!(leaves(&mut (0..=u16::MAX))?, 1);
        // One for the block, and one for all others.
        assert_eq!(leaves(&mut (0..=0))?, 2);
        assert_eq!(leaves(&mut (255..=256))?, 3);
        assert_eq!(leaves(&mut (0..1024))?, 2);
        // All ports but one: the blocks below it, its own, and those above it.
        assert_eq!(leaves(&mut (0..=u16::MAX).filter(|port| *port != 1000))?, 3);
        assert!(index(handled, [], handled)?.bitmaps.is_empty());
        Ok(())
    }

    #[test]
    fn sixteen_scattered_ports_take_less_than_a_kilobyte() -> Result {
        let all = !AccessSet::empty();
        let ports = || (0..16).map(|number| number * 4001);
        let left = index(all, ports(), all)?;
        let right = index(all, Iterator::chain(ports(), [65000]), all)?;

        for index in [&left, &right.intersect(&left)?] {
            assert_eq!(index.bitmaps.len(), 17);
            assert!(size_of::<Index>() + size_of_val(&index.bitmaps[..]) <= 328 + 17 * 32);
        }
        Ok(())
    }

    #[test]
    fn four_rights_take_at_most_33_kib() -> Result {
        let rights = [
            Access::BindTcp,
            Access::ConnectTcp,
            Access::BindUdp,
            Access::ConnectSendUdp,
        ];
        // No two leaves are equal, and no two columns.
        let ports = (0..=u16::from(u8::MAX)).flat_map(|block| {
            iter::zip(0.., rights)
                .map(move |(number, right)| (block << 8 | number << 6 | block & 63, right.into()))
        });
        let index = index_of(AccessSet::LANDLOCK, &rules(ports)?)?;
        // An allocation may be rounded up to a power of two. The index is counted by references.
        let index_size = (size_of::<Index>() + size_of::<usize>()).next_power_of_two();
        let bitmaps = index.bitmaps.capacity() * size_of::<Bitmap>();

        assert_eq!(index.bitmaps.len(), 4 * index.leaves);
        assert_eq!(index.leaves, BLOCKS);
        assert!(index_size + bitmaps.next_power_of_two() <= 33 << 10);
        Ok(())
    }

    #[test]
    fn there_is_no_room_for_more_leaves_than_there_are() -> Result {
        let handled = AccessSet::from(Access::BindTcp);
        // Two rules in a block after two in others, and then one in each further block.
        let first = [0x0080, 0x0180, 0x0280, 0x0081];
        let further = (3..256).map(|block| block << 8 | 0x80);
        let index_of = |ports: &[u16]| index(handled, ports.iter().copied(), handled);
        let mut ports = KVec::new();
        let mut random = 1;

        for port in Iterator::chain(first.into_iter(), further) {
            ports.push(port, GFP_KERNEL_ACCOUNT)?;
            index_of(&ports)?;
        }

        // The same and others in random orders, and what two of them have in common.
        for _ in 0..50 {
            let mut shuffled = KVec::new();

            for _ in 0..300 {
                // CAST: It has 16 bits.
                shuffled.push(next(&mut random) as u16, GFP_KERNEL_ACCOUNT)?;
            }

            let (left, right) = (index_of(&shuffled)?, index_of(&shuffled[150..])?);

            assert_holds_its_bounds(&*left.intersect(&right)?);
            assert_holds_its_bounds(&*left.intersect(&*index_of(&ports)?)?);
        }
        Ok(())
    }
}
