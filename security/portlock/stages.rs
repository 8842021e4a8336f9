// SPDX-License-Identifier: GPL-2.0

//! What is allowed on each port, in two stages and for each group of rights.

use crate::{
    access::{
        Access,
        AccessSet,
        Group,
        Packed,
        Tally, //
    },
    index::{
        Index,
        Span, //
    },
    ports::PortSet,
    rules::Rules, //
};
use kernel::{
    alloc::flags::GFP_KERNEL_ACCOUNT,
    prelude::*,
    sync::Arc, //
};

/// What layers allow on each port: whatever the address, and at some address.
#[derive(Clone)]
pub(crate) struct Stages {
    /// The rights that C Landlock has too, which most checks are about.
    landlock: Pair,
    /// Portlock's own, if a layer handles one of them.
    portlock: Option<Pair>,
}

/// The two stages of one group of rights.
///
/// # Invariants
///
/// `may` allows what `all` allows. It is `None` if there is no difference.
#[derive(Clone)]
struct Pair {
    all: Arc<Index>,
    may: Option<Arc<Index>>,
}

impl Stages {
    /// What a layer allows that handles the rights in `handled` and has `rules`, of which those about
    /// addresses grant the rights in `by_address`.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM` if there is none.
    pub(crate) fn new(handled: AccessSet, rules: &Rules, by_address: AccessSet) -> Result<Self> {
        let at_some = if by_address.is_empty() {
            None
        } else {
            Some(at_some_address(rules)?)
        };
        let pair = |group| -> Result<Pair> {
            let of_group = handled.in_group(group);
            // INVARIANT: `at_some` has all rules of `rules.ports`, and the same rights of the group
            // if no address rule has any.
            let may = match &at_some {
                Some(at_some) if !by_address.in_group(group).is_empty() => {
                    Some(Index::new(of_group, || spans(at_some, group))?)
                }
                _ => None,
            };

            Ok(Pair {
                all: Index::new(of_group, || rules.ports.spans(group))?,
                may,
            })
        };

        Ok(Self {
            landlock: pair(Group::Landlock)?,
            portlock: if handled.in_group(Group::Portlock).is_empty() {
                None
            } else {
                Some(pair(Group::Portlock)?)
            },
        })
    }

    /// What both `self` and `other` allow.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM` if there is none.
    pub(crate) fn and(&self, other: &Self) -> Result<Self> {
        Ok(Self {
            landlock: self.landlock.and(&other.landlock)?,
            portlock: match (&self.portlock, &other.portlock) {
                (Some(left), Some(right)) => Some(left.and(right)?),
                // Who handles no right of a group allows all of them.
                (one, other) => one.as_ref().or(other.as_ref()).cloned(),
            },
        })
    }

    /// Whether all layers allow `access` on `port`, whatever the address.
    #[inline]
    pub(crate) fn all_allow(&self, port: u16, access: Access) -> bool {
        self.pair(access)
            .is_none_or(|pair| pair.all.allows(port, access.into()))
    }

    /// Whether each layer allows `access` on `port` at some address.
    pub(crate) fn may_allow(&self, port: u16, access: Access) -> bool {
        self.pair(access).is_none_or(|pair| {
            let index = pair.may.as_ref().unwrap_or(&pair.all);

            index.allows(port, access.into())
        })
    }

    #[inline]
    fn pair(&self, access: Access) -> Option<&Pair> {
        match access.group() {
            Group::Landlock => Some(&self.landlock),
            Group::Portlock => self.portlock.as_ref(),
        }
    }

    /// Whether `self` and `other` are the same, not only equal.
    #[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.landlock.all, &other.landlock.all)
    }
}

impl Pair {
    fn and(&self, other: &Self) -> Result<Self> {
        let may = |pair: &Self| pair.may.clone().unwrap_or_else(|| pair.all.clone());

        Ok(Self {
            all: both(&self.all, &other.all)?,
            may: if self.may.is_some() || other.may.is_some() {
                Some(both(&may(self), &may(other))?)
            } else {
                None
            },
        })
    }
}

/// What both indexes allow: one of them, if it allows no more than the other.
fn both(left: &Arc<Index>, right: &Arc<Index>) -> Result<Arc<Index>> {
    if left.is_within(right) {
        Ok(left.clone())
    } else if right.is_within(left) {
        Ok(right.clone())
    } else {
        left.intersect(right)
    }
}

/// Ports from `first` to `last`, with the rights that are granted on each of them.
struct Granted {
    first: u16,
    last: u16,
    access: Packed,
}

/// Those of `granted` that have rights in `group`.
fn spans(granted: &[Granted], group: Group) -> impl Iterator<Item = Span> + '_ {
    granted.iter().filter_map(move |granted| {
        let access = granted.access.in_group(group);

        (!access.is_empty()).then_some((granted.first..=granted.last, access))
    })
}

/// A port from which on other rules are for it than for the one before.
struct Turn {
    from: u16,
    /// The rules that begin there, less those that have ended.
    change: Tally,
}

/// The turn at `port`, which is one of those in `turns`.
fn turn_at(turns: &mut [Turn], port: u16) -> Option<&mut Turn> {
    let at = turns.partition_point(|turn| turn.from < port);

    turns.get_mut(at)
}

/// What is granted on each port at some address: ranges that do not overlap, and descend.
///
/// Rules may overlap in any way, so the ports where they begin and end are visited once.
fn at_some_address(rules: &Rules) -> Result<KVVec<Granted>> {
    let of_ports = || rules.ports.rules();
    let of_nets = || {
        rules
            .nets
            .iter()
            .map(|(net, rule)| (net.ports(), rule.access))
    };
    let mut ports = PortSet::default();
    let mut turns: KVVec<Turn> = KVVec::new();
    let mut granted: KVVec<Granted> = KVVec::new();

    for (range, _) in Iterator::chain(of_ports(), of_nets()) {
        ports.insert_turns(range)?;
    }
    while let Some(from) = ports.pop() {
        let change = Tally::default();

        turns.push(Turn { from, change }, GFP_KERNEL_ACCOUNT)?;
    }
    for (range, access) in Iterator::chain(of_ports(), of_nets()) {
        if let Some(begin) = turn_at(&mut turns, *range.start()) {
            begin.change.add(access.into());
        }
        if let Some(after) = range.end().checked_add(1) {
            if let Some(end) = turn_at(&mut turns, after) {
                end.change.remove(access.into());
            }
        }
    }

    let mut tally = Tally::default();

    for (at, turn) in turns.iter().enumerate() {
        tally.merge(&turn.change);

        let access = tally.union();
        let (first, last) = (
            turn.from,
            turns.get(at + 1).map_or(u16::MAX, |next| next.from - 1),
        );

        match granted.last_mut() {
            Some(before) if before.access == access => before.last = last,
            _ => granted.push(
                Granted {
                    first,
                    last,
                    access,
                },
                GFP_KERNEL_ACCOUNT,
            )?,
        }
    }
    granted.reverse();
    Ok(granted)
}
