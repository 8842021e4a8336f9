// SPDX-License-Identifier: GPL-2.0

//! A model of domains, for the unit tests: every layer's rules are read one by one.
//!
//! Random rulesets are made, stacked and asked both here and in `domain.rs`, and must agree. What is
//! random follows from a constant seed, so a failure comes back.

use crate::{
    access::{
        Access,
        AccessSet, //
    },
    domain::Domain,
    landlock::MAX_LAYERS,
    rules::Rule,
    ruleset::Draft, //
};
use core::sync::atomic::{
    AtomicIsize,
    Ordering, //
};
use kernel::{
    alloc::flags::GFP_KERNEL,
    prelude::*,
    sync::Arc, //
};

/// The number of [`Rules`](crate::rules::Rules) and [`Index`](crate::index::Index) that exist.
static ALIVE: AtomicIsize = AtomicIsize::new(0);

/// A part of what is counted: exists as long as its owner.
#[derive(PartialEq)]
pub(crate) struct Census(());

impl Census {
    /// Counts one more.
    pub(crate) fn new() -> Self {
        ALIVE.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Census {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Numbers that look random: Sebastiano Vigna's splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;

        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is not zero.
    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// A port: often one of a few, often a neighbour of a block's border, sometimes any.
    fn port(&mut self) -> u16 {
        match self.below(4) {
            0 => self.below(8) as u16,
            1 => (self.below(256) * 256 + self.below(3)).wrapping_sub(1) as u16,
            2 => 8000 + self.below(64) as u16,
            _ => self.next() as u16,
        }
    }

    fn access(&mut self) -> AccessSet {
        AccessSet::from_bits_truncate(self.next())
    }
}

const EACH: [Access; 4] = [
    Access::BindTcp,
    Access::ConnectTcp,
    Access::BindUdp,
    Access::ConnectSendUdp,
];

/// A ruleset, beside the list of what was added to it.
struct Twin {
    handled: AccessSet,
    draft: Draft,
    list: KVec<(u16, Rule)>,
}

/// What a layer was made of.
struct Layer {
    level: u8,
    handled: AccessSet,
    list: KVec<(u16, Rule)>,
}

impl Layer {
    /// The rights of all rules for `port` together, if there is one.
    fn rule(&self, port: u16) -> Option<Rule> {
        let mut sum: Option<Rule> = None;

        for (_, rule) in self.list.iter().filter(|(known, _)| *known == port) {
            let sum = sum.get_or_insert_default();

            sum.access |= rule.access;
            sum.quiet |= rule.quiet;
        }
        sum
    }
}

fn add_rules(twin: &mut Twin, random: &mut Random) -> Result {
    let most = [1, 4, 16, 200][random.below(4)];

    for _ in 0..random.below(most + 1) {
        let rule = Rule {
            access: random.access() & twin.handled,
            quiet: random.below(4) == 0,
        };
        let port = random.port();

        twin.draft.add(port, rule)?;
        twin.list.push((port, rule), GFP_KERNEL)?;
    }
    Ok(())
}

fn copy(list: &[(u16, Rule)]) -> Result<KVec<(u16, Rule)>> {
    let mut copy = KVec::with_capacity(list.len(), GFP_KERNEL)?;

    copy.extend_from_slice(list, GFP_KERNEL)?;
    Ok(copy)
}

/// Asks the domain and the layers the same.
fn ask(domain: &Domain, layers: &[Layer], port: u16, access: Access) {
    let handling = || layers.iter().filter(|layer| layer.handled.contains(access));
    let granted = |layer: &Layer| layer.rule(port).unwrap_or_default();
    let allowed = handling().all(|layer| granted(layer).access.contains(access));

    assert_eq!(domain.handles(access), handling().next().is_some());
    assert_eq!(domain.allows(port, access), allowed);
}

/// Asks for what only a denial or a listener needs.
fn ask_details(domain: &Domain, layers: &[Layer], port: u16, access: Access) {
    let refusing = layers.iter().rev().find_map(|layer| {
        let rule = layer.rule(port).unwrap_or_default();
        let refused = Rule {
            access: access.into(),
            quiet: rule.quiet,
        };

        (layer.handled.contains(access) && !rule.access.contains(access))
            .then_some((layer.level, refused))
    });
    let granted = layers.iter().filter_map(|layer| {
        let rule = layer.rule(port)?;
        let granted = Rule {
            access: rule.access | !layer.handled,
            quiet: rule.quiet,
        };

        Some((layer.level, granted))
    });

    assert_eq!(domain.refusing(Some(port), access), refusing);
    assert!(domain.granted(port).iter().eq(granted));
}

/// Makes domains at random, asks them `queries` questions, and drops them in any order.
fn compare(random: &mut Random, queries: usize) -> Result {
    let mut twins = KVec::new();
    let mut layers = KVec::new();
    let mut domains: KVec<Arc<Domain>> = KVec::new();

    for _ in 0..=random.below(3) {
        let handled = random.access();
        let twin = Twin {
            handled,
            draft: Draft::new(handled),
            list: KVec::new(),
        };

        twins.push(twin, GFP_KERNEL)?;
    }
    for level in 1..=1 + random.below(MAX_LAYERS) as u8 {
        let which = random.below(twins.len());
        let twin: &mut Twin = &mut twins[which];

        if random.below(3) != 0 {
            add_rules(twin, random)?;
        }
        // As in `syscalls.rs`, a ruleset without network rights makes no layer.
        if twin.handled.is_empty() {
            continue;
        }

        let rules = twin.draft.freeze()?;
        let parent = domains.last().map(|domain| &**domain);

        domains.push(Domain::new(parent, level, twin.handled, rules)?, GFP_KERNEL)?;
        layers.push(
            Layer {
                level,
                handled: twin.handled,
                list: copy(&twin.list)?,
            },
            GFP_KERNEL,
        )?;
    }
    if domains.is_empty() {
        return Ok(());
    }
    for query in 0..queries {
        // An outer domain is as it was before another was made of it.
        let depth = if random.below(3) == 0 {
            random.below(domains.len())
        } else {
            domains.len() - 1
        };
        let layers = &layers[..=depth];
        let list = &layers[random.below(layers.len())].list;
        let port = match random.below(3) {
            0 if !list.is_empty() => list[random.below(list.len())].0,
            1 if !list.is_empty() => list[random.below(list.len())].0.wrapping_add(1),
            _ => random.port(),
        };
        let access = EACH[random.below(EACH.len())];

        ask(&domains[depth], layers, port, access);
        if query % 16 == 0 {
            ask_details(&domains[depth], layers, port, access);
        }
    }
    while !domains.is_empty() {
        let which = random.below(domains.len());

        drop(domains.remove(which));
    }
    Ok(())
}

#[kernel::macros::kunit_tests(portlock_model)]
mod tests {
    use super::*;

    #[test]
    fn a_million_answers_are_those_of_the_rules_one_by_one() -> Result {
        let before = ALIVE.load(Ordering::Relaxed);
        let mut random = Random(20_260_401);

        for _ in 0..2_000 {
            compare(&mut random, 500)?;
        }
        // Nothing was leaked, and nothing was freed twice.
        assert_eq!(ALIVE.load(Ordering::Relaxed), before);
        Ok(())
    }

    #[test]
    fn the_census_sees_a_leak() -> Result {
        let before = ALIVE.load(Ordering::Relaxed);
        let kept = Draft::new(AccessSet::empty()).freeze()?;

        // The rules, and their index.
        assert_eq!(ALIVE.load(Ordering::Relaxed), before + 2);
        drop(kept);
        assert_eq!(ALIVE.load(Ordering::Relaxed), before);
        Ok(())
    }
}
