// SPDX-License-Identifier: GPL-2.0

//! What is allowed on each port: whatever the address, and at some address.

use crate::{
    access::{
        Access,
        AccessSet,
        Packed,
        Tally, //
    },
    index::{
        Grants,
        Index,
        Span, //
    },
    ports::PortSet,
    rules::Rules, //
};
use core::ops::RangeInclusive;
use kernel::{
    alloc::flags::GFP_KERNEL_ACCOUNT,
    prelude::*,
    sync::Arc, //
};

/// What layers allow on each port: whatever the address, and at some address.
#[derive(Clone)]
pub(crate) struct Stages(Arc<Index>);

impl Stages {
    /// What a layer allows that handles the rights in `handled` and has `rules`, of which those about
    /// addresses grant the rights in `by_address`.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM` if there is none.
    pub(crate) fn new(handled: AccessSet, rules: &Rules, by_address: AccessSet) -> Result<Self> {
        let handled = handled.into();

        if by_address.is_empty() {
            return Ok(Self(Index::new(handled, || {
                rules
                    .ports
                    .spans()
                    .map(|(ports, access)| span(ports, access, access))
            })?));
        }

        let spans = spans(rules)?;

        Ok(Self(Index::new(handled, || spans.iter().copied())?))
    }

    /// What both `self` and `other` allow: one of them, if it allows no more than the other.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM` if there is none.
    pub(crate) fn and(&self, other: &Self) -> Result<Self> {
        if self.0.is_within(&other.0) {
            Ok(self.clone())
        } else if other.0.is_within(&self.0) {
            Ok(other.clone())
        } else {
            Ok(Self(self.0.intersect(&other.0)?))
        }
    }

    /// Whether all layers allow `access` on `port`, whatever the address.
    #[inline]
    pub(crate) fn all_allow(&self, port: u16, access: Access) -> bool {
        self.0.allows(port, access)
    }

    /// Whether each layer allows `access` on `port` at some address.
    pub(crate) fn may_allow(&self, port: u16, access: Access) -> bool {
        self.0.may_allow(port, access)
    }

    /// Whether `self` and `other` are the same, not only equal.
    #[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

fn span(ports: RangeInclusive<u16>, all: Packed, may: Packed) -> Span {
    Span {
        first: *ports.start(),
        last: *ports.end(),
        grants: Grants::new(all, may),
    }
}

/// A port from which on other rules are for it than for the one before.
struct Turn {
    from: u16,
    /// What is granted from there on whatever the address, unless it is the same as before.
    all: Option<Packed>,
    /// The rules that begin there, less those that have ended.
    change: Tally,
}

/// The turn at `port`, which is one of those in `turns`.
fn turn_at(turns: &mut [Turn], port: u16) -> Option<&mut Turn> {
    let at = turns.partition_point(|turn| turn.from < port);

    turns.get_mut(at)
}

/// What `rules` grant on each port: spans that do not overlap, and descend.
///
/// Rules about addresses may overlap in any way, so the ports where rules begin and end are visited
/// once.
fn spans(rules: &Rules) -> Result<KVVec<Span>> {
    let of_ports = || rules.ports.spans();
    let of_nets = || {
        rules
            .nets
            .iter()
            .map(|(net, rule)| (net.ports(), Packed::from(rule.access)))
    };
    let mut ports = PortSet::default();
    let mut turns: KVVec<Turn> = KVVec::new();
    let mut spans: KVVec<Span> = KVVec::new();

    for (range, _) in Iterator::chain(of_ports(), of_nets()) {
        ports.insert_turns(range)?;
    }
    while let Some(from) = ports.pop() {
        let (all, change) = (None, Tally::default());

        turns.push(Turn { from, all, change }, GFP_KERNEL_ACCOUNT)?;
    }
    for (range, access) in Iterator::chain(of_ports(), of_nets()) {
        if let Some(begin) = turn_at(&mut turns, *range.start()) {
            begin.change.add(access);
        }
        if let Some(after) = range.end().checked_add(1) {
            if let Some(end) = turn_at(&mut turns, after) {
                end.change.remove(access);
            }
        }
    }
    // These descend, and do not overlap: where one ends, another one may have begun.
    for (range, access) in of_ports() {
        if let Some(begin) = turn_at(&mut turns, *range.start()) {
            begin.all = Some(access);
        }
        if let Some(after) = range.end().checked_add(1) {
            if let Some(end) = turn_at(&mut turns, after) {
                end.all.get_or_insert_default();
            }
        }
    }

    let mut all = Packed::default();
    let mut tally = Tally::default();

    for (at, turn) in turns.iter().enumerate() {
        tally.merge(&turn.change);
        all = turn.all.unwrap_or(all);

        let grants = Grants::new(all, tally.union());
        let (first, last) = (
            turn.from,
            turns.get(at + 1).map_or(u16::MAX, |next| next.from - 1),
        );

        match spans.last_mut() {
            Some(before) if before.grants == grants && before.last.wrapping_add(1) == first => {
                before.last = last;
            }
            _ if grants.is_nothing() => (),
            _ => spans.push(
                Span {
                    first,
                    last,
                    grants,
                },
                GFP_KERNEL_ACCOUNT,
            )?,
        }
    }
    spans.reverse();
    Ok(spans)
}
