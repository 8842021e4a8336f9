// SPDX-License-Identifier: GPL-2.0

//! The address rules of one frozen ruleset, made to be asked by address and port.
//!
//! Two prefixes lie one in the other or apart; they never cross. So the prefixes of a family form
//! trees. An address that is in some prefix is also in all prefixes above it in the tree. The
//! question is whether one of them has a rule for the port.
//!
//! Each tree is cut into *chains*. A chain begins at a prefix and goes on to the child that has the
//! most rules at and below it, until there is no child. Each other child begins a chain of its own,
//! which hangs on the place that it was cut from. An example:
//!
//! ```text
//!   rule                            chain 0              chain 1, on chain 0 at depth 0
//!   10.0.0.0/8    ports 1-1023      depth 0: 10/8
//!   10.1.0.0/16   port 8080         depth 1: 10.1/16
//!   10.1.2.0/24   ports 1000-1999   depth 2: 10.1.2/24
//!   10.9.0.0/16   port 3128                              depth 0: 10.9/16
//! ```
//!
//! An address in a prefix of a chain is in all prefixes that come before it there. So a chain only
//! has to know, for each port, the *least depth* at which a rule grants it. These are its
//! *segments*; each ends where the next begins:
//!
//! ```text
//!   chain 0   from port 1: depth 0   1024: depth 2   2000: none   8080: depth 1   8081: none
//!   chain 1   from port 3128: depth 0   3129: none
//! ```
//!
//! The ports 1000 to 1023 have depth 0 here, since 10/8 grants them to 10.1.2/24 too.
//!
//! The *edges* of the prefixes cut the addresses into pieces. Each piece knows the *place* of the
//! smallest prefix that contains it: a chain, and a depth there. A query finds the piece of its
//! address, and then the segment of its port in that chain. A rule grants the port if the depth of
//! the segment is not greater than that of the place. If it is greater, the query goes on at the
//! place that the chain hangs on. For 10.9.0.1 and port 80 it begins in chain 1, finds no segment,
//! and goes on in chain 0 at depth 0; there port 80 has depth 0, so it is granted.
//!
//! A segment has a depth for each *column*: a set of rights that exactly the same rules grant. Most
//! rulesets have only one.
//!
//! # Bounds
//!
//! Time: where a chain is cut off, at least as many rules are at and below the child that the upper
//! chain goes on with. So each step up to another chain at least doubles the rules at and below. A
//! query of `n` rules searches `log2(n) + 1` chains at most. A depth fits in a byte, since there are
//! 129 lengths of prefixes.
//!
//! Memory: a prefix has two edges, of 8 bytes (IPv4) or 20 bytes (IPv6), and begins at most one
//! chain, of 12 bytes. A rule begins at most two segments, at its first port and after its last. A
//! segment has 4 bytes with two columns, and 4 more for each four further columns. A rule that grants
//! to accept connections takes 4 bytes more. So a rule takes 40 bytes (IPv4) or 64 bytes (IPv6) with one
//! column, and 72 or 96 with 16 columns, as many as there are. An allocation may be up to twice as large
//! as what was asked for. [`Prefixes`] itself takes 128 bytes. Together that is at most 192 bytes for
//! each of two rules or more, and 128 bytes once. A single rule has one column, and takes at most 256
//! bytes. Ranges are never multiplied by prefixes, nor rules by rights.

use crate::{
    access::{
        Access,
        Packed, //
    },
    columns,
    endpoint::{
        Address,
        Prefix, //
    },
    nets::{
        NetRules,
        MAX_PREFIXES, //
    },
    ports::{
        PortRules,
        PortSet,
        Rule, //
    }, //
};
use core::{
    array,
    cmp::Ordering,
    iter, //
};
use kernel::{
    alloc::flags::GFP_KERNEL_ACCOUNT,
    prelude::*, //
};

/// What a rule grants on the addresses of its prefix.
#[derive(Debug, Clone, Copy)]
struct Grant {
    /// The first port.
    first: u16,
    /// The last port, which is not less than the first.
    last: u16,
    rights: Rights,
}

/// A right by its number in a [`Packed`] set. A quiet rule has another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Right(u8);

impl Right {
    /// More than there are numbers, and a power of two.
    const COUNT: usize = Packed::COUNT;

    /// What a quiet rule says, as if it were a right.
    const QUIET: Self = Self(Packed::NO_RIGHT);

    /// The number, less than [`Right::COUNT`].
    #[inline]
    const fn number(self) -> usize {
        self.0 as usize % Self::COUNT
    }
}

impl From<Access> for Right {
    #[inline]
    fn from(access: Access) -> Self {
        // CAST: The number is small.
        Self(access.number() as u8)
    }
}

/// A set of rights: the bits of their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rights(u32);

impl Rights {
    fn has(self, right: Right) -> bool {
        self.0 >> right.number() & 1 != 0
    }
}

impl From<Rule> for Rights {
    fn from(rule: Rule) -> Self {
        let rights = Packed::from(rule.access).bits();

        Self(rights | u32::from(rule.quiet) << Right::QUIET.number())
    }
}

/// The place of a prefix: the number of a chain, and the depth there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    chain: u16,
    depth: u8,
}

impl Place {
    /// The place of what is in no prefix. No chain has this number: there are fewer.
    const NOWHERE: Self = Self {
        chain: u16::MAX,
        depth: 0,
    };
}

/// The depth of ports that no rule of a chain grants. No place is that deep.
const NO_DEPTH: u8 = u8::MAX;

/// A piece of the addresses, which ends where the next begins.
#[derive(Clone, Copy)]
struct Edge<T> {
    from: T,
    /// The place of the smallest prefix that contains the piece.
    place: Place,
}

/// An address as an edge stores it.
trait Key: Copy + Ord {
    /// Takes as many of the highest bits as an address of the family has.
    fn from_highest(bits: u128) -> Self;
}

impl Key for u32 {
    fn from_highest(bits: u128) -> Self {
        // CAST: The higher bits have become the lower ones.
        (bits >> 96) as u32
    }
}

/// A `u128` without its alignment, with which an [`Edge`] would be 32 bytes long instead of 20.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Wide([u8; 16]);

impl Key for Wide {
    fn from_highest(bits: u128) -> Self {
        Self(bits.to_ne_bytes())
    }
}

impl Ord for Wide {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        u128::from_ne_bytes(self.0).cmp(&u128::from_ne_bytes(other.0))
    }
}

impl PartialOrd for Wide {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A row of prefixes, each of which lies in the one before it.
#[derive(Clone, Copy)]
struct Chain {
    /// The number of its first segment.
    first: u32,
    /// One more than the number of its last segment.
    end: u32,
    /// What the chain hangs on.
    up: Place,
}

/// The address rules of a frozen ruleset.
///
/// It is read without a lock. Large vectors may be from `vmalloc()`, so it is dropped where the
/// kernel may sleep.
///
/// # Invariants
///
/// - `ipv4` and `ipv6` are sorted, and their places are those of the smallest prefixes.
/// - A chain hangs on one with a smaller number, or on none.
/// - `rows` begins with the segments: their first ports, which are sorted in each chain, with their
///   depths in the first two columns. Then, for each four further columns, it has further depths of
///   the segments. The low byte of a pair of depths is that of the first of the two columns. From
///   `accept` on, it has the first and last ports of [`Prefixes::accepts_somewhere`], which are sorted
///   and do not overlap.
/// - No vector has room for more elements than it holds.
pub(crate) struct Prefixes {
    ipv4: KVVec<Edge<u32>>,
    ipv6: KVVec<Edge<Wide>>,
    chains: KVVec<Chain>,
    rows: KVVec<[u16; 2]>,
    /// The number of segments, and so the length of each row.
    segments: u32,
    accept: u32,
    /// Where the depths of each right begin in those of a segment, in bits: eight times its column. Or
    /// [`NO_COLUMN`].
    columns: [u8; Right::COUNT],
}

/// The column of a right that no rule grants. It has no row.
const NO_COLUMN: u8 = u8::MAX;

impl Prefixes {
    /// Takes the rules of a ruleset that are about addresses.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM` if there is none. May sleep.
    pub(crate) fn of(rules: &NetRules) -> Result<Self> {
        let grants = rules.iter().map(|(net, rule)| {
            let grant = Grant {
                first: net.first,
                last: net.last,
                rights: rule.into(),
            };

            (net.prefix, grant)
        });

        Self::new(rules.len(), grants)
    }

    /// Whether a rule grants `access` on `port` of `address`.
    #[inline(always)]
    pub(crate) fn grants(&self, port: u16, address: &Address, access: Access) -> bool {
        self.allows(*address, port, access.into())
    }

    /// Whether a rule for `port` of `address` is quiet.
    pub(crate) fn is_quiet(&self, port: u16, address: &Address) -> bool {
        self.allows(*address, port, Right::QUIET)
    }

    /// Whether a rule grants to accept connections on `port` from some address.
    pub(crate) fn accepts_somewhere(&self, port: u16) -> bool {
        let ranges = self.rows.get(self.accept as usize..).unwrap_or_default();

        last_not_after(ranges, |[first, _]| *first <= port)
            .is_some_and(|(_, [_, last])| port <= *last)
    }

    /// Takes `count` rules, which are sorted by prefix. A rule that grants no right counts for
    /// nothing.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM` if there is none, and `E2BIG` if
    /// there are more than twice [`MAX_PREFIXES`] prefixes, which the tree of rules keeps out. May
    /// sleep.
    fn new(count: usize, rules: impl Iterator<Item = (Prefix, Grant)>) -> Result<Self> {
        let mut forest = Forest::new(count, rules)?;
        let mut columns = Columns::default();

        for grant in &forest.grants {
            columns.divide(grant.rights.0);
        }

        let mut chains = Chains::of(&forest)?;

        for top in 0..forest.nodes.len() {
            if forest.nodes[top].place == Place::NOWHERE {
                chains.add(&mut forest, top, &columns)?;
            }
        }

        let (ipv4, ipv6) = (forest.edges(true)?, forest.edges(false)?);

        let ranges = accept_ranges(&forest.grants)?;

        drop(forest);

        let (rows, accept) = chains.rows(&columns, &ranges)?;

        // INVARIANT: Chains were added in the order of the nodes, and a node comes after those that
        // contain it.
        Ok(Self {
            ipv4,
            ipv6,
            segments: count_of(&chains.segments)?,
            rows,
            accept,
            chains: chains.chains,
            columns: columns_of_rights(&columns),
        })
    }

    /// Whether a rule grants `right` on `port` of `address`.
    #[inline(always)]
    fn allows(&self, address: Address, port: u16, right: Right) -> bool {
        let column = self.columns[right.number()];
        let mut place = match address {
            Address::V4(bytes) => find_place(&self.ipv4, u32::from_be_bytes(bytes)),
            Address::V6(_) => find_place(&self.ipv6, Wide::from_highest(address.highest())),
        };

        // A chain hangs on one with a smaller number, so this comes to an end.
        while let Some(chain) = self.chains.get(usize::from(place.chain)) {
            if self.least_depth(chain, port, column) <= place.depth {
                return true;
            }
            place = chain.up;
        }
        false
    }

    /// The least depth at which a prefix of `chain` has a rule for `port`, or [`NO_DEPTH`].
    #[inline(always)]
    fn least_depth(&self, chain: &Chain, port: u16, column: u8) -> u8 {
        let (first, end) = (chain.first as usize, chain.end as usize);
        let segments = self.rows.get(first..end).unwrap_or_default();
        let Some((segment, [_, depths])) = last_not_after(segments, |[from, _]| *from <= port)
        else {
            return NO_DEPTH;
        };

        match depths.checked_shr(column.into()) {
            // CAST: The other column is cut off.
            Some(depths) => depths as u8,
            None => self.further_depth(first.wrapping_add(segment), column),
        }
    }

    /// The depth of `segment` in a column that is none of the first two; `column` is as in `columns`.
    #[inline(never)]
    fn further_depth(&self, segment: usize, column: u8) -> u8 {
        let column = usize::from(column / 8).wrapping_sub(2);
        let row = (column / 4).wrapping_add(1);
        let at = row
            .wrapping_mul(self.segments as usize)
            .wrapping_add(segment);

        self.rows.get(at).map_or(NO_DEPTH, |pairs| {
            pairs[column / 2 % 2].to_le_bytes()[column % 2]
        })
    }
}

/// The smallest prefix that contains `address`.
#[inline(always)]
fn find_place<T: Key>(edges: &[Edge<T>], address: T) -> Place {
    last_not_after(edges, |edge| edge.from <= address)
        .map_or(Place::NOWHERE, |(_, edge)| edge.place)
}

/// The last element that `is_not_after` is true for, with its index. It is false for all after it.
///
/// This is shorter than `partition_point()`, from whose answer one has to find the way back. The last
/// element is tried first, after which nothing is left to search where there is one rule.
#[inline(always)]
fn last_not_after<T>(sorted: &[T], is_not_after: impl Fn(&T) -> bool) -> Option<(usize, &T)> {
    let (last, mut rest) = sorted.split_last()?;
    let mut before = 0_usize;

    if is_not_after(last) {
        return Some((rest.len(), last));
    }
    while rest.len() > 1 {
        let (left, right) = rest.split_at(rest.len() / 2);

        if right.first().is_some_and(&is_not_after) {
            before = before.wrapping_add(left.len());
            rest = right;
        } else {
            rest = left;
        }
    }
    rest.first()
        .filter(|first| is_not_after(first))
        .map(|first| (before, first))
}

/// The most prefixes that two families can have.
const MAX_NODES: usize = 2 * MAX_PREFIXES as usize;

/// The number of no node. There are fewer.
const NO_NODE: u16 = u16::MAX;

/// A prefix in its tree, while a [`Prefixes`] is made.
struct Node {
    is_ipv4: bool,
    /// The first address, in the highest bits.
    first: u128,
    /// The last address, in the highest bits. All lower bits are ones.
    last: u128,
    /// The begin of its rules in [`Forest::grants`]. They end where those of the next node begin.
    grants: usize,
    /// The number of rules at the prefix and below it.
    weight: usize,
    /// The smallest prefix that contains it, or [`NO_NODE`].
    up: u16,
    /// The child with the greatest weight, or [`NO_NODE`].
    heaviest: u16,
    /// Known once its chain was added.
    place: Place,
}

/// The trees of prefixes, while a [`Prefixes`] is made.
///
/// # Invariants
///
/// Nodes are sorted by prefix. So a node comes after those that contain it.
struct Forest {
    nodes: KVVec<Node>,
    grants: KVVec<Grant>,
}

impl Forest {
    /// Takes at most `count` rules, which are sorted by prefix.
    fn new(count: usize, rules: impl Iterator<Item = (Prefix, Grant)>) -> Result<Self> {
        let mut forest = Self {
            nodes: KVVec::with_capacity(count.min(MAX_NODES), GFP_KERNEL_ACCOUNT)?,
            grants: KVVec::with_capacity(count, GFP_KERNEL_ACCOUNT)?,
        };

        for (prefix, grant) in rules {
            if grant.rights.0 != 0 {
                forest.add(prefix)?;
                forest.grants.push_within_capacity(grant)?;
            }
        }
        forest.weigh();
        Ok(forest)
    }

    /// Adds a prefix for the next rule, unless it is that of the rule before.
    fn add(&mut self, prefix: Prefix) -> Result {
        let is_ipv4 = !prefix.is_ipv6();
        let first = prefix.first().highest();
        let last = first | u128::MAX.checked_shr(prefix.len().into()).unwrap_or(0);
        let is_same = |node: &Node| (node.is_ipv4, node.first, node.last) == (is_ipv4, first, last);

        if self.nodes.last().is_some_and(is_same) {
            return Ok(());
        }
        if self.nodes.len() >= MAX_NODES {
            return Err(E2BIG);
        }

        // CAST: There are fewer nodes. Without any, this is `NO_NODE`.
        let mut up = self.nodes.len().wrapping_sub(1) as u16;

        // No node begins after the new one, so a node contains it unless it ends before.
        while let Some(node) = self.node(up) {
            if node.is_ipv4 == is_ipv4 && node.last >= first {
                break;
            }
            up = node.up;
        }

        let node = Node {
            is_ipv4,
            first,
            last,
            grants: self.grants.len(),
            weight: 0,
            up,
            heaviest: NO_NODE,
            place: Place::NOWHERE,
        };

        self.nodes.push_within_capacity(node)?;
        Ok(())
    }

    /// The node `at`, which may be [`NO_NODE`].
    fn node(&self, at: u16) -> Option<&Node> {
        self.nodes.get(usize::from(at))
    }

    /// The rules of the node `at`.
    fn grants(&self, at: usize) -> &[Grant] {
        let end = self
            .nodes
            .get(at + 1)
            .map_or(self.grants.len(), |next| next.grants);

        &self.grants[self.nodes[at].grants..end]
    }

    /// Sums up the weights, and finds the heaviest children.
    fn weigh(&mut self) {
        let mut end = self.grants.len();

        for at in (0..self.nodes.len()).rev() {
            let node = &mut self.nodes[at];

            node.weight += end - node.grants;
            end = node.grants;

            let Node { weight, up, .. } = *node;
            let Some(Node { heaviest, .. }) = self.node(up) else {
                continue;
            };
            let is_heaviest = self
                .node(*heaviest)
                .is_none_or(|heaviest| heaviest.weight <= weight);
            let up = &mut self.nodes[usize::from(up)];

            up.weight += weight;
            if is_heaviest {
                // CAST: There are fewer nodes, as `add` has seen.
                up.heaviest = at as u16;
            }
        }
    }

    /// The place of the node `at`, or [`Place::NOWHERE`] if that is [`NO_NODE`].
    fn place(&self, at: u16) -> Place {
        self.node(at).map_or(Place::NOWHERE, |node| node.place)
    }

    /// The edges of the prefixes of a family. All chains were added.
    fn edges<T: Key>(&self, is_ipv4: bool) -> Result<KVVec<Edge<T>>> {
        // IPv4 is sorted first.
        let middle = self.nodes.partition_point(|node| node.is_ipv4);
        let (begin, end) = if is_ipv4 {
            (0, middle)
        } else {
            (middle, self.nodes.len())
        };
        let mut edges = KVVec::with_capacity(2 * (end - begin), GFP_KERNEL_ACCOUNT)?;
        let mut inside = NO_NODE;

        for at in begin..=end {
            let next = self.nodes[..end].get(at);
            let up = next.map_or(NO_NODE, |next| next.up);

            // Leave all prefixes that do not contain the next.
            while inside != up {
                let Some(node) = self.node(inside) else {
                    break;
                };

                if let Some(after) = node.last.checked_add(1) {
                    set_edge(&mut edges, after, self.place(node.up))?;
                }
                inside = node.up;
            }
            if let Some(node) = next {
                set_edge(&mut edges, node.first, node.place)?;
                // CAST: There are fewer nodes, as `add` has seen.
                inside = at as u16;
            }
        }
        fit(edges)
    }
}

/// Adds an edge. Of those with the same address, the last one counts.
#[inline]
fn set_edge<T: Key>(edges: &mut KVVec<Edge<T>>, highest: u128, place: Place) -> Result {
    let from = T::from_highest(highest);

    match edges.last_mut() {
        Some(last) if last.from == from => last.place = place,
        _ => edges.push_within_capacity(Edge { from, place })?,
    }
    Ok(())
}

/// The sets of rights that exactly the same rules grant.
type Columns = columns::Columns<{ Right::COUNT }>;

/// Eight times the column of each right, or [`NO_COLUMN`].
fn columns_of_rights(columns: &Columns) -> [u8; Right::COUNT] {
    array::from_fn(|right| {
        let column = columns.sets().iter().position(|set| set >> right & 1 != 0);

        // CAST: There are few columns.
        column.map_or(NO_COLUMN, |column| column as u8 * 8)
    })
}

/// Ports of a chain, up to where its next segment begins, and for each column the least depth at
/// which a rule grants them.
#[derive(Clone, Copy)]
struct Segment {
    from: u16,
    depths: [u8; Right::COUNT],
}

impl Segment {
    /// The depths in two columns, those with the numbers `2 * pair` and one more.
    fn pair(&self, pair: usize) -> u16 {
        let depth = |column: usize| self.depths.get(column).copied().unwrap_or(NO_DEPTH);

        u16::from_le_bytes([depth(2 * pair), depth(2 * pair + 1)])
    }
}

/// A rule of a chain.
#[derive(Clone, Copy)]
struct Link {
    grant: Grant,
    depth: u8,
    /// The cell that begins at its first port, once there are cells.
    cell: usize,
}

/// Chains, while a [`Prefixes`] is made.
struct Chains {
    chains: KVVec<Chain>,
    /// The segments of all chains.
    segments: KVVec<Segment>,
    /// The rules of the chain that is being added. Their depths ascend.
    links: KVVec<Link>,
    /// The ports of that chain at which a segment may begin.
    ports: PortSet,
    /// What may become segments of that chain.
    cells: KVVec<Segment>,
    /// For each cell, itself if it has no depth yet in the column that is being painted, or else a
    /// cell that is nearer to the next such one.
    next: KVVec<usize>,
}

impl Chains {
    /// No chains yet, with room for those of `forest`.
    fn of(forest: &Forest) -> Result<Self> {
        // Each ends at a node that has no child.
        let ends = forest.nodes.iter().filter(|node| node.heaviest == NO_NODE);
        // A rule begins at most two segments.
        let segments = 2 * forest.grants.len();

        Ok(Self {
            chains: KVVec::with_capacity(ends.count(), GFP_KERNEL_ACCOUNT)?,
            segments: KVVec::with_capacity(segments, GFP_KERNEL_ACCOUNT)?,
            links: KVVec::new(),
            ports: PortSet::default(),
            cells: KVVec::new(),
            next: KVVec::new(),
        })
    }

    /// Adds the chain that begins at the node `top`, after the one that it hangs on.
    fn add(&mut self, forest: &mut Forest, top: usize, columns: &Columns) -> Result {
        let first = count_of(&self.segments)?;
        let up = forest.place(forest.nodes[top].up);
        let place = Place {
            // CAST: There are no more chains than nodes, fewer than 65,535.
            chain: self.chains.len() as u16,
            depth: 0,
        };

        if let ([grant], NO_NODE) = (forest.grants(top), forest.nodes[top].heaviest) {
            self.add_only(*grant, columns)?;
            forest.nodes[top].place = place;
        } else {
            self.link(forest, top, place)?;
            self.cut()?;
            for (column, set) in columns.sets().iter().enumerate() {
                self.paint(column, *set)?;
            }
            self.join()?;
        }

        let end = count_of(&self.segments)?;

        self.chains.push_within_capacity(Chain { first, end, up })?;
        Ok(())
    }

    /// Makes the segments of a chain with one rule, as most are.
    fn add_only(&mut self, grant: Grant, columns: &Columns) -> Result {
        let mut depths = [NO_DEPTH; Right::COUNT];

        for (depth, set) in iter::zip(&mut depths, columns.sets()) {
            if set & grant.rights.0 != 0 {
                *depth = 0;
            }
        }
        self.segments.push_within_capacity(Segment {
            from: grant.first,
            depths,
        })?;
        if let Some(from) = grant.last.checked_add(1) {
            let depths = [NO_DEPTH; Right::COUNT];

            self.segments
                .push_within_capacity(Segment { from, depths })?;
        }
        Ok(())
    }

    /// Takes the rules of the chain that begins at the node `top`, and gives its nodes their places.
    fn link(&mut self, forest: &mut Forest, top: usize, mut place: Place) -> Result {
        let mut at = top;

        self.links.clear();
        while at < forest.nodes.len() {
            for grant in forest.grants(at) {
                let link = Link {
                    grant: *grant,
                    depth: place.depth,
                    cell: 0,
                };

                self.links.push(link, GFP_KERNEL_ACCOUNT)?;
            }
            forest.nodes[at].place = place;
            // It stays below 129, the number of lengths that a prefix may have.
            place.depth = place.depth.saturating_add(1);
            at = forest.nodes[at].heaviest.into();
        }
        Ok(())
    }

    /// Makes the cells: one at each port where a rule begins, or before which one ends.
    fn cut(&mut self) -> Result {
        for Link { grant, .. } in &self.links {
            self.ports.insert_turns(grant.first..=grant.last)?;
        }

        self.cells.clear();
        while let Some(from) = self.ports.pop() {
            let depths = [NO_DEPTH; Right::COUNT];

            self.cells
                .push(Segment { from, depths }, GFP_KERNEL_ACCOUNT)?;
        }
        for link in &mut self.links {
            let first = link.grant.first;

            link.cell = self.cells.partition_point(|cell| cell.from < first);
        }
        Ok(())
    }

    /// Gives the cells their depths in `column`, that of the rights in `set`.
    ///
    /// A cell gets the depth of the first rule that grants its ports, which is the least. The rules
    /// that follow leap over it, so that each cell is painted once, whatever the rules.
    fn paint(&mut self, column: usize, set: u32) -> Result {
        self.next.clear();
        for cell in 0..=self.cells.len() {
            self.next.push(cell, GFP_KERNEL_ACCOUNT)?;
        }

        for link in &self.links {
            if link.grant.rights.0 & set == 0 {
                continue;
            }

            let mut at = without_depth(&mut self.next, link.cell);

            while let Some(cell) = self.cells.get_mut(at) {
                if cell.from > link.grant.last {
                    break;
                }
                cell.depths[column] = link.depth;
                self.next[at] = at + 1;
                at = without_depth(&mut self.next, at + 1);
            }
        }
        Ok(())
    }

    /// Makes segments of the cells: neighbours with the same depths are one.
    fn join(&mut self) -> Result {
        let mut depths = None;

        for cell in &self.cells {
            if depths.replace(cell.depths) != Some(cell.depths) {
                self.segments.push_within_capacity(*cell)?;
            }
        }
        Ok(())
    }

    /// [`Prefixes::rows`], which end with `ranges`, and [`Prefixes::accept`].
    fn rows(&self, columns: &Columns, ranges: &[[u16; 2]]) -> Result<(KVVec<[u16; 2]>, u32)> {
        let further = columns.sets().len().saturating_sub(2).div_ceil(4);
        let len = self.segments.len() * (1 + further);
        let mut rows = KVVec::with_capacity(len + ranges.len(), GFP_KERNEL_ACCOUNT)?;

        for segment in &self.segments {
            rows.push_within_capacity([segment.from, segment.pair(0)])?;
        }
        for four in 0..further {
            for segment in &self.segments {
                let pairs = [segment.pair(1 + 2 * four), segment.pair(2 + 2 * four)];

                rows.push_within_capacity(pairs)?;
            }
        }

        let accept = count_of(&rows)?;

        rows.extend_from_slice(ranges, GFP_KERNEL_ACCOUNT)?;
        Ok((rows, accept))
    }
}

/// The ports on which one of `grants` is to accept connections: ranges that are sorted and do not
/// overlap.
fn accept_ranges(grants: &[Grant]) -> Result<KVVec<[u16; 2]>> {
    let accept = Access::AcceptTcp;
    let rule = Rule {
        access: accept.into(),
        quiet: false,
    };
    // It joins ranges that overlap.
    let mut ports = PortRules::default();

    for grant in grants {
        if grant.rights.has(accept.into()) {
            ports.add(grant.first..=grant.last, rule)?;
        }
    }

    let mut ranges = KVVec::with_capacity(ports.spans().count(), GFP_KERNEL_ACCOUNT)?;

    for (range, _) in ports.spans() {
        ranges.push_within_capacity([*range.start(), *range.end()])?;
    }
    // Spans descend.
    ranges.reverse();
    Ok(ranges)
}

/// The first cell from `at` on that has no depth yet, or the number of cells. Shortens the way.
fn without_depth(next: &mut [usize], mut at: usize) -> usize {
    while next[at] != at {
        next[at] = next[next[at]];
        at = next[at];
    }
    at
}

/// The number of elements. Returns `ENOMEM` if it is too large: there is never that much memory.
fn count_of<T>(elements: &[T]) -> Result<u32> {
    u32::try_from(elements.len()).or(Err(ENOMEM))
}

/// Makes room for the elements that there are and for no more.
fn fit<T: Copy>(elements: KVVec<T>) -> Result<KVVec<T>> {
    if elements.len() == elements.capacity() {
        return Ok(elements);
    }

    let mut copy = KVVec::with_capacity(elements.len(), GFP_KERNEL_ACCOUNT)?;

    copy.extend_from_slice(&elements, GFP_KERNEL_ACCOUNT)?;
    Ok(copy)
}

#[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
#[kernel::macros::kunit_tests(portlock_prefixes)]
mod tests {
    use super::*;
    use crate::access::AccessSet;
    use core::mem::{
        size_of,
        size_of_val, //
    };
    use kernel::rbtree::RBTree;

    type Rules = KVVec<(Prefix, Grant)>;

    const PORTS: [u16; 10] = [0, 1, 2, 443, 1023, 32767, 32768, 65533, 65534, 65535];

    /// Numbers that look random: George Marsaglia's xorshift.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn wide(&mut self) -> u128 {
            u128::from(self.next()) << 64 | u128::from(self.next())
        }

        /// A number below `limit`, which is not zero.
        fn below(&mut self, limit: usize) -> usize {
            (self.next() >> 11) as usize % limit
        }

        fn port(&mut self) -> u16 {
            match self.below(3) {
                0 => PORTS[self.below(PORTS.len())],
                1 => 8000 + self.below(20) as u16,
                _ => self.next() as u16,
            }
        }

        fn range(&mut self) -> (u16, u16) {
            let (one, other) = (self.port(), self.port());

            match self.below(8) {
                0 => (0, u16::MAX),
                1 | 2 => (one, one),
                _ => (one.min(other), one.max(other)),
            }
        }

        /// Some of the 15 rights.
        fn rights(&mut self) -> u32 {
            (self.next() & 0x7fff) as u32
        }
    }

    fn bits_of(is_ipv4: bool) -> usize {
        if is_ipv4 {
            32
        } else {
            128
        }
    }

    fn address(is_ipv4: bool, highest: u128) -> Address {
        if is_ipv4 {
            Address::V4(((highest >> 96) as u32).to_be_bytes())
        } else {
            Address::V6(highest.to_be_bytes())
        }
    }

    /// The bits that follow the first `len` ones.
    fn rest_of(len: usize) -> u128 {
        u128::MAX.checked_shr(len as u32).unwrap_or(0)
    }

    fn prefix(is_ipv4: bool, highest: u128, len: usize) -> Prefix {
        let address = address(is_ipv4, highest & !rest_of(len));
        let prefix = match address {
            Address::V4(bytes) => Prefix::ipv4(bytes, len as u8),
            Address::V6(bytes) => Prefix::ipv6(bytes, len as u8),
        };

        prefix.expect("a prefix")
    }

    fn ipv4(bytes: [u8; 4], len: usize) -> Prefix {
        prefix(true, Address::V4(bytes).highest(), len)
    }

    fn add(rules: &mut Rules, prefix: Prefix, (first, last): (u16, u16), rights: u32) -> Result {
        let grant = Grant {
            first,
            last,
            rights: Rights(rights),
        };

        rules.push((prefix, grant), GFP_KERNEL_ACCOUNT)?;
        Ok(())
    }

    fn made_of(rules: &Rules) -> Result<Prefixes> {
        let mut sorted = RBTree::new();

        for (number, (prefix, grant)) in rules.iter().enumerate() {
            sorted.try_create_and_insert((*prefix, number), *grant, GFP_KERNEL_ACCOUNT)?;
        }

        let sorted = sorted.iter().map(|((prefix, _), grant)| (*prefix, *grant));

        Prefixes::new(rules.len(), sorted)
    }

    /// The model: what the rules that contain the address and the port grant together.
    fn granted(rules: &Rules, asked: Address, port: u16) -> u32 {
        let is_ipv4 = |address| matches!(address, Address::V4(_));
        let mut sum = 0;

        for (prefix, grant) in rules {
            let (address, len) = (&prefix.first(), &prefix.len());

            let differing = address.highest() ^ asked.highest();

            if is_ipv4(*address) == is_ipv4(asked)
                && differing & !rest_of((*len).into()) == 0
                && (grant.first..=grant.last).contains(&port)
            {
                sum |= grant.rights.0;
            }
        }
        sum
    }

    /// Asks for each right. Returns the number of questions.
    fn ask(prefixes: &Prefixes, rules: &Rules, address: Address, port: u16) -> usize {
        let granted = granted(rules, address, port);

        for right in 0..15 {
            assert_eq!(
                prefixes.allows(address, port, Right(right)),
                granted >> right & 1 != 0
            );
        }
        15
    }

    /// Asks at the edges of a rule and of another, and beside them.
    fn ask_around(
        prefixes: &Prefixes,
        rules: &Rules,
        random: &mut Random,
        port: u16,
    ) -> Result<usize> {
        let (prefix, grant) = rules[random.below(rules.len())];
        let (_, other) = rules[random.below(rules.len())];
        let is_ipv4 = matches!(prefix.first(), Address::V4(_));
        let first = prefix.first().highest();
        let last = first | rest_of(prefix.len().into());
        let step = 1 << (128 - bits_of(is_ipv4));
        let highest = match random.below(6) {
            0 => first,
            1 => last,
            2 => first.wrapping_sub(step),
            3 => last.wrapping_add(step),
            4 => first | random.wide() & rest_of(prefix.len().into()),
            _ => random.wide(),
        };
        let port = match random.below(7) {
            0 => grant.first,
            1 => grant.last,
            2 => grant.first.wrapping_sub(1),
            3 => grant.last.wrapping_add(1),
            4 => other.first,
            5 => other.last,
            _ => port,
        };

        Ok(ask(prefixes, rules, address(is_ipv4, highest), port))
    }

    /// A kind of rulesets.
    #[derive(Debug, Clone, Copy)]
    enum Kind {
        /// Prefixes that are apart, with one range.
        Apart,
        /// All lengths of prefixes, each in the one before it.
        Nested,
        /// One prefix with many ranges.
        OnePrefix,
        /// Many prefixes with one range.
        OneRange,
        /// Every prefix that there is from the shortest on, each with another range.
        Tree,
        /// Prefixes that are each in the one before it, with a heavier one beside each.
        Comb,
        /// Each another range with another prefix, which overlap.
        Overlapping,
        /// Few addresses, and lengths and ports at the ends of what is possible.
        Ends,
    }

    const KINDS: [Kind; 8] = [
        Kind::Apart,
        Kind::Nested,
        Kind::OnePrefix,
        Kind::OneRange,
        Kind::Tree,
        Kind::Comb,
        Kind::Overlapping,
        Kind::Ends,
    ];

    /// Adds `count` rules of one family.
    fn add_kind(
        rules: &mut Rules,
        kind: Kind,
        is_ipv4: bool,
        count: usize,
        random: &mut Random,
        mut rights: impl FnMut(&mut Random) -> u32,
    ) -> Result {
        let bits = bits_of(is_ipv4);
        let base = random.wide();

        for number in 0..count {
            // With a one before it: the path to a node in a tree of two children each.
            let path = number + 1;
            let level = path.ilog2() as usize;
            let (highest, len, range) = match kind {
                // Every other one, so that no two touch.
                Kind::Apart => ((number as u128) << 105, 24, (443, 443)),
                Kind::Nested => (base, number % (bits + 1), random.range()),
                Kind::OnePrefix => (base, 8, random.range()),
                Kind::OneRange => (random.wide(), random.below(bits + 1), (8000, 8100)),
                Kind::Tree => {
                    let highest = (path as u128).wrapping_shl(128 - level as u32);

                    (highest, level, random.range())
                }
                Kind::Comb => {
                    let len = number / 3 % bits;

                    if number % 3 == 0 {
                        (0, len, random.range())
                    } else {
                        (1 << (127 - len), len + 1, random.range())
                    }
                }
                Kind::Overlapping => {
                    let range = (random.next() as u16, random.next() as u16);
                    let range = (range.0.min(range.1), range.0.max(range.1));

                    (random.wide(), random.below(level + 3).min(bits), range)
                }
                Kind::Ends => {
                    let highest = [0, u128::MAX, base, !base][random.below(4)];
                    let len = [0, 1, 2, bits / 2, bits - 2, bits - 1, bits][random.below(7)];

                    (highest, len, random.range())
                }
            };
            let rights = rights(random);

            add(rules, prefix(is_ipv4, highest, len), range, rights)?;
        }
        Ok(())
    }

    /// The memory that an allocation takes.
    fn allocated(bytes: usize) -> usize {
        const SIZES: [usize; 9] = [0, 8, 16, 32, 64, 96, 128, 192, 256];

        SIZES
            .into_iter()
            .find(|size| *size >= bytes)
            .unwrap_or_else(|| bytes.next_power_of_two())
    }

    fn allocated_for<T>(elements: &KVVec<T>) -> usize {
        allocated(elements.capacity() * size_of::<T>())
    }

    /// All memory of `prefixes`, with a reference count.
    fn memory(prefixes: &Prefixes) -> usize {
        allocated(size_of_val(prefixes) + size_of::<usize>())
            + allocated_for(&prefixes.ipv4)
            + allocated_for(&prefixes.ipv6)
            + allocated_for(&prefixes.chains)
            + allocated_for(&prefixes.rows)
    }

    /// The most chains that a query searches.
    fn most_chains(prefixes: &Prefixes) -> usize {
        let ways = prefixes.chains.iter().map(|chain| {
            let ups = iter::successors(Some(chain), |chain| {
                prefixes.chains.get(usize::from(chain.up.chain))
            });

            ups.count()
        });

        ways.max().unwrap_or(0)
    }

    fn segments(prefixes: &Prefixes, chain: usize) -> impl Iterator<Item = (u16, u16)> + '_ {
        let Chain { first, end, .. } = prefixes.chains[chain];
        let segments = &prefixes.rows[first as usize..end as usize];

        segments.iter().map(|[port, depths]| (*port, depths & 255))
    }

    #[test]
    fn the_example_is_true() -> Result {
        let none = NO_DEPTH.into();
        let mut rules = Rules::new();

        add(&mut rules, ipv4([10, 0, 0, 0], 8), (1, 1023), 1)?;
        add(&mut rules, ipv4([10, 1, 0, 0], 16), (8080, 8080), 1)?;
        add(&mut rules, ipv4([10, 1, 2, 0], 24), (1000, 1999), 1)?;
        add(&mut rules, ipv4([10, 9, 0, 0], 16), (3128, 3128), 1)?;

        let prefixes = made_of(&rules)?;

        assert_eq!(prefixes.chains.len(), 2);
        assert!(segments(&prefixes, 0).eq([
            (1, 0),
            (1024, 2),
            (2000, none),
            (8080, 1),
            (8081, none)
        ]));
        assert!(segments(&prefixes, 1).eq([(3128, 0), (3129, none)]));
        assert_eq!(prefixes.chains[1].up, Place { chain: 0, depth: 0 });
        for (bytes, ports) in [
            ([10, 9, 0, 1], &[80, 1000, 1023, 3128][..]),
            ([10, 1, 2, 3], &[80, 1000, 1023, 1999, 8080]),
            ([10, 1, 3, 3], &[80, 1000, 1023, 8080]),
            ([11, 1, 2, 3], &[]),
        ] {
            for port in [0, 80, 1000, 1023, 1024, 1999, 2000, 3128, 8080, 8081] {
                assert_eq!(
                    prefixes.allows(Address::V4(bytes), port, Right(0)),
                    ports.contains(&port) || port == 1024 && bytes == [10, 1, 2, 3]
                );
            }
        }
        Ok(())
    }

    #[test]
    fn a_million_answers_are_those_of_the_rules_one_by_one() -> Result {
        let mut random = Random(20_260_401);
        let mut questions = 0;

        while questions < 1_000_000 {
            let most = [2, 8, 60, 500][random.below(4)];
            let few = [random.rights(), random.rights(), 1];
            let mut rules = Rules::new();

            for _ in 0..=random.below(2) {
                let (kind, is_ipv4) = (KINDS[random.below(KINDS.len())], random.below(2) == 0);
                let count = 1 + random.below(most);

                add_kind(
                    &mut rules,
                    kind,
                    is_ipv4,
                    count,
                    &mut random,
                    |random| match random.below(4) {
                        0 => random.rights(),
                        _ => few[random.below(few.len())],
                    },
                )?;
            }

            let prefixes = made_of(&rules)?;

            for _ in 0..200 {
                let port = random.port();

                questions += ask_around(&prefixes, &rules, &mut random, port)?;
            }
        }
        Ok(())
    }

    #[test]
    fn prefixes_and_ranges_end_where_they_should() -> Result {
        for is_ipv4 in [true, false] {
            let bits = bits_of(is_ipv4);

            for len in [0, 1, bits - 1, bits] {
                for range in [(0, 0), (0, 65535), (1, 65534), (65535, 65535)] {
                    for highest in [0, u128::MAX] {
                        let mut rules = Rules::new();

                        add(&mut rules, prefix(is_ipv4, highest, len), range, 1)?;
                        let prefixes = made_of(&rules)?;

                        for bit in 0..bits {
                            for port in PORTS {
                                let highest = highest ^ 1 << (127 - bit);

                                ask(&prefixes, &rules, address(is_ipv4, highest), port);
                            }
                        }
                        for port in PORTS {
                            ask(&prefixes, &rules, address(is_ipv4, highest), port);
                            // The other family has no rule.
                            ask(&prefixes, &rules, address(!is_ipv4, highest), port);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    #[test]
    fn each_length_of_a_prefix_may_have_its_port() -> Result {
        for is_ipv4 in [true, false] {
            let bits = bits_of(is_ipv4);
            let highest = 0x5555_5555 << 96;
            let mut rules = Rules::new();

            for len in 0..=bits {
                let port = len as u16 * 2;

                add(&mut rules, prefix(is_ipv4, highest, len), (port, port), 1)?;
            }

            let prefixes = made_of(&rules)?;

            assert_eq!(prefixes.chains.len(), 1);
            // An address that shares `len` bits has the ports of as many prefixes, and of /0.
            for len in 0..=bits {
                let other = highest ^ (1 << 127_u32.saturating_sub(len as u32));
                let asked = if len == bits { highest } else { other };

                for port in 0..=258 {
                    assert_eq!(
                        prefixes.allows(address(is_ipv4, asked), port, Right(0)),
                        port % 2 == 0 && usize::from(port / 2) <= len
                    );
                }
            }
        }
        Ok(())
    }

    #[test]
    fn no_ruleset_takes_more_than_its_bounds() -> Result {
        let mut random = Random(31);

        for kind in KINDS {
            for count in [1, 2, 3, 5, 16, 64, 256, 1000, 4096] {
                for is_ipv4 in [true, false] {
                    for has_many_columns in [false, true] {
                        let mut rules = Rules::new();

                        add_kind(&mut rules, kind, is_ipv4, count, &mut random, |random| {
                            if has_many_columns {
                                random.rights() | 1
                            } else {
                                1
                            }
                        })?;

                        let prefixes = made_of(&rules)?;
                        let chains = most_chains(&prefixes);

                        assert!(memory(&prefixes) <= 256 * count);
                        assert!(prefixes
                            .ipv4
                            .is_sorted_by(|left, right| left.from < right.from));
                        assert!(prefixes
                            .ipv6
                            .is_sorted_by(|left, right| left.from < right.from));
                        assert!(chains <= 1 + count.ilog2() as usize);
                    }
                }
            }
        }
        Ok(())
    }

    #[test]
    fn rights_of_the_same_rules_share_a_column() -> Result {
        let mut rules = Rules::new();

        add(&mut rules, ipv4([10, 0, 0, 0], 8), (1, 9), 0b0_0110)?;
        add(&mut rules, ipv4([10, 0, 0, 0], 16), (1, 9), 0b1_0110)?;
        add(&mut rules, ipv4([11, 0, 0, 0], 8), (1, 9), 0b0_1110)?;

        let columns = made_of(&rules)?.columns;

        assert_eq!(columns[1], columns[2]);
        for (left, right) in [(1, 3), (1, 4), (3, 4)] {
            assert_ne!(columns[left], columns[right]);
        }
        assert_eq!(columns[0], NO_COLUMN);
        Ok(())
    }

    #[test]
    fn every_right_has_its_number() {
        assert_eq!(Right::from(Access::BindTcp), Right(0));
        assert_eq!(Right::from(Access::ConnectSendUdp), Right(3));
        assert_eq!(Right::from(Access::ListenTcp), Right(4));
        assert_eq!(Right::from(Access::SetsockoptUdp), Right(14));
        for (quiet, expected) in [(false, 0x7fff), (true, 0xffff)] {
            let rule = Rule {
                access: !AccessSet::empty(),
                quiet,
            };

            assert_eq!(Rights::from(rule), Rights(expected));
        }
    }

    #[test]
    fn rules_without_rights_leave_no_trace() -> Result {
        let mut rules = Rules::new();

        add(&mut rules, ipv4([10, 0, 0, 0], 8), (1, 9), 0)?;

        let prefixes = made_of(&rules)?;

        assert_eq!(memory(&prefixes), 128);
        assert!(!prefixes.allows(Address::V4([10, 0, 0, 0]), 1, Right(0)));
        Ok(())
    }

    #[test]
    fn there_are_as_many_prefixes_as_two_families_may_have() -> Result {
        let mut rules = Rules::new();

        for is_ipv4 in [true, false] {
            for number in 0..u128::from(MAX_PREFIXES) {
                add(&mut rules, prefix(is_ipv4, number << 105, 24), (1, 1), 1)?;
            }
        }

        let prefixes = made_of(&rules)?;

        for is_ipv4 in [true, false] {
            let end = u128::from(MAX_PREFIXES);

            for number in [0, 1, end - 1, end] {
                assert_eq!(
                    prefixes.allows(address(is_ipv4, number << 105), 1, Right(0)),
                    number < end
                );
            }
        }
        add(&mut rules, prefix(true, u128::MAX, 32), (1, 1), 1)?;
        assert_eq!(made_of(&rules).err(), Some(E2BIG));
        Ok(())
    }
}
