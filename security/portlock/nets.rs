// SPDX-License-Identifier: GPL-2.0

//! Rules about addresses: ranges of ports, each with a prefix.

use crate::{
    access::{
        AccessSet,
        Packed, //
    },
    endpoint::Prefix,
    ports::Rule, //
};
use kernel::{
    alloc::flags::GFP_KERNEL_ACCOUNT,
    prelude::*,
    rbtree::{
        Entry,
        RBTree,
        RBTreeNodeReservation, //
    }, //
};

/// The most different prefixes of a family that a ruleset can have: their ends divide the addresses
/// of the family into pieces whose numbers fit into 16 bits.
pub(crate) const MAX_PREFIXES: u16 = 32_767;

/// What a rule names: the ports from `first` to `last`, in host byte order, with the addresses of
/// `prefix`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Net {
    pub(crate) prefix: Prefix,
    pub(crate) first: u16,
    pub(crate) last: u16,
}

/// Rules about addresses.
///
/// # Invariants
///
/// - `len` counts the rules of the tree.
/// - `prefixes` counts its different prefixes: those of IPv4, and those of IPv6. Neither is more
///   than [`MAX_PREFIXES`].
/// - `granted` has the rights that some rule grants.
#[derive(Default)]
pub(crate) struct NetRules {
    tree: RBTree<Net, Said>,
    len: usize,
    prefixes: [u16; 2],
    granted: AccessSet,
    /// Whether a rule has the quiet flag.
    has_quiet: bool,
}

/// What is said of a [`Net`].
#[derive(Clone, Copy)]
struct Said {
    access: Packed,
    quiet: bool,
}

impl Said {
    fn new(rule: Rule) -> Self {
        Self {
            access: rule.access.into(),
            quiet: rule.quiet,
        }
    }

    fn rule(self) -> Rule {
        Rule {
            access: self.access.into(),
            quiet: self.quiet,
        }
    }
}

impl NetRules {
    /// Adds `rule` to what is said of `net`.
    ///
    /// The memory is charged to the current task. Returns, with nothing changed, `E2BIG` if there
    /// are [`MAX_PREFIXES`] others of the family, or `ENOMEM`.
    pub(crate) fn add(&mut self, net: Net, rule: Rule) -> Result {
        match self.tree.entry(net) {
            Entry::Occupied(mut place) => {
                let said = place.get_mut();

                *said = Said::new(said.rule().and(rule));
            }
            Entry::Vacant(place) => {
                // The prefix is what the order looks at first.
                let is_same = |(other, _): (&Net, &Said)| other.prefix == net.prefix;
                let is_known = place.peek_prev().is_some_and(is_same)
                    || place.peek_next().is_some_and(is_same);
                let count = &mut self.prefixes[usize::from(net.prefix.is_ipv6())];

                if !is_known && *count >= MAX_PREFIXES {
                    return Err(E2BIG);
                }

                let node = RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?;

                // INVARIANT: A prefix that no neighbour has is counted, and there is room for it.
                *count += u16::from(!is_known);
                self.len += 1;
                place.insert(Said::new(rule), node);
            }
        }
        // INVARIANT: What is said of a net only grows.
        self.granted |= rule.access;
        self.has_quiet |= rule.quiet;
        Ok(())
    }

    /// Whether a rule is quiet.
    pub(crate) fn has_quiet(&self) -> bool {
        self.has_quiet
    }

    /// Whether there are no rules.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of rules.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The rules, each with what it says, prefix by prefix.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Net, Rule)> + '_ {
        self.tree.iter().map(|(net, said)| (*net, said.rule()))
    }

    /// The rights that some rule grants.
    pub(crate) fn granted(&self) -> AccessSet {
        self.granted
    }

    /// Copies the rules, with memory charged to the current task.
    pub(crate) fn try_clone(&self) -> Result<Self> {
        let mut copy = Self {
            tree: RBTree::new(),
            ..*self
        };

        for (net, said) in &self.tree {
            let node = RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?;

            copy.tree.insert(node.into_node(*net, *said));
        }
        Ok(copy)
    }
}

#[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
#[kernel::macros::kunit_tests(portlock_nets)]
mod tests {
    use super::*;
    use crate::access::Access;

    fn net(address: u32, len: u8, first: u16, last: u16) -> Result<Net> {
        Ok(Net {
            prefix: Prefix::ipv4(address.to_be_bytes(), len)?,
            first,
            last,
        })
    }

    const CONNECT: Rule = Rule {
        access: AccessSet::LANDLOCK,
        quiet: false,
    };

    #[test]
    fn the_same_net_is_one_rule() -> Result {
        let mut rules = NetRules::default();
        let net = net(0x7f00_0000, 8, 80, 443)?;

        rules.add(
            net,
            Rule {
                access: Access::BindTcp.into(),
                quiet: false,
            },
        )?;
        rules.add(
            net,
            Rule {
                access: Access::ConnectTcp.into(),
                quiet: true,
            },
        )?;
        assert!(rules.iter().eq([(
            net,
            Rule {
                access: Access::BindTcp | Access::ConnectTcp,
                quiet: true
            }
        )]));
        assert_eq!(rules.prefixes, [1, 0]);
        assert_eq!(rules.len(), 1);
        assert_eq!(rules.granted(), Access::BindTcp | Access::ConnectTcp);
        Ok(())
    }

    #[test]
    fn prefixes_are_counted_once_each() -> Result {
        let mut rules = NetRules::default();

        for port in [5, 1, 9, 3, 7] {
            for address in [0x0a00_0000, 0x7f00_0000, 0xc0a8_0000] {
                rules.add(net(address, 16, port, port)?, CONNECT)?;
            }
        }
        // The same address with another length is another prefix.
        rules.add(net(0x0a00_0000, 8, 5, 5)?, CONNECT)?;
        assert_eq!(rules.prefixes, [4, 0]);
        assert_eq!(rules.iter().count(), 16);
        assert_eq!(rules.len(), 16);

        let copy = rules.try_clone()?;

        assert_eq!(copy.prefixes, [4, 0]);
        assert_eq!((copy.len(), copy.granted()), (16, AccessSet::LANDLOCK));
        Ok(())
    }

    #[test]
    fn there_are_at_most_32767_prefixes_of_a_family() -> Result {
        let mut rules = NetRules::default();

        for address in 0..u32::from(MAX_PREFIXES) {
            rules.add(net(address, 32, 1, 1)?, CONNECT)?;
        }
        assert_eq!(
            rules.add(net(u32::from(MAX_PREFIXES), 32, 1, 1)?, CONNECT),
            Err(E2BIG)
        );
        assert_eq!(rules.iter().count(), usize::from(MAX_PREFIXES));
        // A known prefix, and the other family, have room.
        rules.add(net(7, 32, 2, 2)?, CONNECT)?;
        rules.add(
            Net {
                prefix: Prefix::ipv6([0; 16], 128)?,
                first: 1,
                last: 1,
            },
            CONNECT,
        )?;
        assert_eq!(rules.prefixes, [MAX_PREFIXES, 1]);
        Ok(())
    }
}
