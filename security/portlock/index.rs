// SPDX-License-Identifier: GPL-2.0

//! Port to effective access: what an allowed check reads, and nothing else does.

use crate::{
    access::{
        Access,
        AccessSet, //
    },
    rules::Rules, //
};
use kernel::{
    alloc::flags::GFP_KERNEL_ACCOUNT,
    prelude::*, //
};

/// The rights of a block of 256 neighbouring ports, two ports a byte, the even one in the low half.
type Leaf = [u8; 128];

kernel::static_assert!(AccessSet::COUNT <= 4);

/// What the layers of a domain together allow on each of the 65,536 ports.
///
/// A table names, for each block of ports, the leaf that holds their rights. Blocks that no rule
/// names share a leaf, and so do neighbouring blocks with equal rights: the memory follows the
/// rules, 33 KiB at most.
///
/// Rights that no layer handles are allowed on every port, so that a check need not ask what is
/// handled.
///
/// # Invariants
///
/// Each entry of `blocks` is less than the number of `leaves`.
#[derive(PartialEq)]
pub(crate) struct Index {
    blocks: [u8; 256],
    leaves: KVec<Leaf>,
    #[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
    _census: crate::model::Census,
}

/// A leaf whose ports all have `access`.
const fn filled(access: AccessSet) -> Leaf {
    let half = access.bits() as u8;

    [half << 4 | half; 128]
}

/// Where the rights of `port` are: its block, the byte in the leaf, and the shift in the byte.
#[inline]
const fn place(port: u16) -> (u8, u8, u32) {
    let [block, in_block] = port.to_be_bytes();

    (block, in_block >> 1, (in_block as u32 & 1) << 2)
}

impl Index {
    /// The index of one layer: the `handled` rights need a rule, all others are allowed.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM` if there is none.
    pub(crate) fn new(handled: AccessSet, rules: &Rules) -> Result<Self> {
        let mut rules = rules.iter().peekable();

        Self::build(handled, |block| {
            let mut leaf = filled(!handled);

            while let Some((port, rule)) = rules.next_if(|(port, _)| place(*port).0 == block) {
                let (_, byte, shift) = place(port);

                leaf[usize::from(byte)] |= (rule.access.bits() as u8) << shift;
            }
            leaf
        })
    }

    /// The index of all the layers of `self` and `other`, which together handle `handled`.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM` if there is none.
    pub(crate) fn intersect(&self, other: &Self, handled: AccessSet) -> Result<Self> {
        Self::build(handled, |block| {
            let mut leaf = self.leaf(block);

            for (left, right) in leaf.iter_mut().zip(other.leaf(block)) {
                *left &= right;
            }
            leaf
        })
    }

    /// Whether `access` is allowed on `port`.
    #[inline]
    pub(crate) fn allows(&self, port: u16, access: Access) -> bool {
        let (block, byte, shift) = place(port);

        match self
            .leaves
            .get(usize::from(self.blocks[usize::from(block)]))
        {
            Some(leaf) => u64::from(leaf[usize::from(byte)] >> shift) & access as u64 != 0,
            // The invariant rules this out; without a leaf, nothing is allowed.
            None => false,
        }
    }

    /// The rights of the ports in `block`.
    fn leaf(&self, block: u8) -> Leaf {
        self.leaves
            .get(usize::from(self.blocks[usize::from(block)]))
            .copied()
            .unwrap_or(filled(AccessSet::empty()))
    }

    /// Makes an index of the leaves that `leaf_of` returns for each block, in ascending order.
    fn build(handled: AccessSet, mut leaf_of: impl FnMut(u8) -> Leaf) -> Result<Self> {
        let unnamed = filled(!handled);
        let mut unnamed_at = None;
        let mut blocks = [0; 256];
        let mut leaves = KVec::<Leaf>::new();

        for (block, at) in (0..=u8::MAX).zip(&mut blocks) {
            let leaf = leaf_of(block);

            *at = match (leaves.last(), unnamed_at) {
                (_, Some(unnamed_at)) if leaf == unnamed => unnamed_at,
                (Some(last), _) if leaf == *last => (leaves.len() - 1) as u8,
                _ => {
                    // There is at most a leaf for each block, so its place fits in 8 bits.
                    let new = leaves.len() as u8;

                    leaves.push(leaf, GFP_KERNEL_ACCOUNT)?;
                    if leaf == unnamed {
                        unnamed_at = Some(new);
                    }
                    new
                }
            };
        }

        // The vector grows by doubling; a domain keeps what it needs.
        let mut exact = KVec::with_capacity(leaves.len(), GFP_KERNEL_ACCOUNT)?;
        exact.extend_from_slice(&leaves, GFP_KERNEL_ACCOUNT)?;

        // INVARIANT: Each entry was the place of a leaf that is in `exact`.
        Ok(Self {
            blocks,
            leaves: exact,
            #[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
            _census: crate::model::Census::new(),
        })
    }
}

#[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
#[kernel::macros::kunit_tests(portlock_index)]
mod tests {
    use super::*;
    use crate::rules::Rule;

    const PORTS: [u16; 8] = [0, 1, 2, 255, 256, 443, 65534, 65535];

    fn rules(ports: &[u16], access: AccessSet) -> Result<Rules> {
        let mut rules = Rules::new();

        for port in ports {
            let rule = Rule {
                access,
                quiet: false,
            };
            rules.add(*port, rule)?;
        }
        Ok(rules)
    }

    #[test]
    fn only_ports_with_a_rule_are_allowed() -> Result {
        let both = Access::BindTcp | Access::BindUdp;
        let index = Index::new(!AccessSet::empty(), &rules(&PORTS, both)?)?;

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
        let index = Index::new(Access::BindTcp.into(), &Rules::new())?;

        for port in PORTS {
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
        let left = Index::new(handled, &rules(&[1, 2, 1000], Access::BindTcp.into())?)?;
        let right = Index::new(handled, &rules(&[2, 3, 1000], Access::BindTcp.into())?)?;
        let both = left.intersect(&right, handled)?;

        for port in 0..=u16::MAX {
            assert_eq!(
                both.allows(port, Access::BindTcp),
                [2, 1000].contains(&port)
            );
        }
        Ok(())
    }

    #[test]
    fn memory_follows_the_rules() -> Result {
        let handled = Access::BindTcp.into();
        let mut all = Rules::new();
        let mut scattered = Rules::new();

        for port in 0..=u16::MAX {
            let rule = Rule {
                access: handled,
                quiet: false,
            };
            all.add(port, rule)?;
            if port % 257 == 0 {
                scattered.add(port, rule)?;
            }
        }
        assert_eq!(Index::new(handled, &Rules::new())?.leaves.len(), 1);
        assert_eq!(Index::new(handled, &all)?.leaves.len(), 1);
        assert_eq!(Index::new(handled, &scattered)?.leaves.len(), 256);
        Ok(())
    }
}
