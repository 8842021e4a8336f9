// SPDX-License-Identifier: GPL-2.0

//! A model of domains, for the unit tests: every layer's rules are read one by one.
//!
//! Random rulesets are made, stacked and asked both here and in `domain.rs`, and must agree. What is
//! random follows from a constant seed, so a failure comes back.

use crate::{
    abi::MAX_LAYERS,
    access::{
        Access,
        AccessSet, //
    },
    domain::Domain,
    frozen::{
        Draft,
        Frozen, //
    },
    rules::Rule, //
};
use kernel::{
    alloc::flags::GFP_KERNEL,
    prelude::*,
    sync::Arc, //
};

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
        AccessSet::from_bits(self.next() & AccessSet::all_bits()).unwrap_or_default()
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

        (layer.handled.contains(access) && !rule.access.contains(access))
            .then_some((layer.level, rule.quiet))
    });
    let granted = layers.iter().filter_map(|layer| {
        let rule = layer.rule(port)?;

        Some((layer.level, rule.access | !layer.handled, rule.quiet))
    });

    if refusing.is_some() {
        assert_eq!(domain.refusing(Some(port), access), refusing);
    }
    assert!(domain.granted(port).iter().eq(granted));
}

/// Makes domains at random, asks them `queries` questions, and drops them in any order.
fn compare(random: &mut Random, queries: usize) -> Result {
    let mut twins = KVec::new();
    let mut layers = KVec::new();
    let mut domains: KVec<Arc<Domain>> = KVec::new();
    let mut kept: KVec<Frozen> = KVec::new();

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

        let frozen = twin.draft.freeze()?;
        let parent = domains.last().map(|domain| &**domain);

        if !kept
            .iter()
            .any(|known| Arc::ptr_eq(&known.rules, &frozen.rules))
        {
            kept.push(frozen.clone(), GFP_KERNEL)?;
        }
        domains.push(Domain::new(parent, level, frozen)?, GFP_KERNEL)?;
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
    drop(twins);
    // Nobody has kept a reference to what was enforced, or dropped one of another's.
    while let Some(frozen) = kept.pop() {
        assert!(Arc::into_unique_or_drop(frozen.rules).is_some());
        assert!(Arc::into_unique_or_drop(frozen.index).is_some());
    }
    Ok(())
}

#[kernel::macros::kunit_tests(portlock_model)]
mod tests {
    use super::*;

    #[test]
    fn a_million_answers_are_those_of_the_rules_one_by_one() -> Result {
        let mut random = Random(20_260_401);

        for _ in 0..2_000 {
            compare(&mut random, 500)?;
        }
        Ok(())
    }
}
