// SPDX-License-Identifier: GPL-2.0

//! The network domain of a task: frozen, shared, and read without a lock.

use crate::{
    access::{
        Access,
        AccessSet, //
    },
    index::Index,
    landlock::{
        LayerRights,
        MAX_LAYERS, //
    },
    rules::{
        Rule,
        Rules, //
    },
    ruleset::Frozen, //
};
use kernel::{
    alloc::flags::GFP_KERNEL_ACCOUNT,
    impl_has_work,
    new_work,
    prelude::*,
    sync::Arc,
    workqueue::{
        self,
        Work,
        WorkItem, //
    }, //
};

/// One enforced ruleset.
#[derive(Clone)]
struct Layer {
    /// The position of the layer in C Landlock's domain of the same credentials, from 1.
    level: u8,
    /// The rights that need a rule.
    handled: AccessSet,
    /// The rules, shared with the ruleset and with the domains made of this one.
    rules: Arc<Rules>,
}

/// The layers that hold a task, the oldest first.
///
/// A ruleset that handles no network right makes no layer here, though it makes one in C Landlock:
/// a task whose sandbox is not about the network has no domain, and pays nothing.
///
/// The memory is charged to who enforces the ruleset.
///
/// # Invariants
///
/// - There are at most [`MAX_LAYERS`] layers, with ascending levels.
/// - `handled` is what the layers together handle.
/// - `index` allows an access on a port if and only if every layer does.
#[pin_data]
pub(crate) struct Domain {
    handled: AccessSet,
    index: Arc<Index>,
    /// All layers but the youngest: most domains have but one layer.
    outer: KVec<Layer>,
    youngest: Layer,
    #[pin]
    free: Work<Domain>,
}

impl_has_work! {
    impl HasWork<Self> for Domain { self.free }
}

impl WorkItem for Domain {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        drop(this);
    }
}

impl Domain {
    /// Stacks a layer on `parent`, which stays as it is.
    ///
    /// `level` is the layer's position in C Landlock's domain, greater than those of `parent`.
    /// Returns `ENOMEM` if there is no memory, `E2BIG` if there are [`MAX_LAYERS`] layers already.
    pub(crate) fn new(
        parent: Option<&Self>,
        level: u8,
        handled: AccessSet,
        Frozen { rules, index }: Frozen,
    ) -> Result<Arc<Self>> {
        let all_handled = parent.map_or(handled, |parent| parent.handled | handled);
        let outer = match parent {
            Some(parent) => parent.to_outer()?,
            None => KVec::new(),
        };
        let youngest = Layer {
            level,
            handled,
            rules,
        };

        // INVARIANT: The layers were counted above. `handled` is the union of those of the layers,
        // and the index is the intersection of theirs.
        let index = match parent {
            // The layer adds nothing.
            Some(parent) if parent.index.is_within(&index) => parent.index.clone(),
            Some(parent) if !index.is_within(&parent.index) => {
                Arc::new(parent.index.intersect(&index)?, GFP_KERNEL_ACCOUNT)?
            }
            // The layer says it all.
            _ => match index.shorter()? {
                Some(shorter) => Arc::new(shorter, GFP_KERNEL_ACCOUNT)?,
                None => index,
            },
        };

        Arc::pin_init(
            pin_init!(Self {
                handled: all_handled,
                index,
                outer,
                youngest,
                free <- new_work!("Domain::free"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Copies the layers to be the outer ones of a domain.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM` if there is none, `E2BIG` if
    /// there are [`MAX_LAYERS`] layers already.
    fn to_outer(&self) -> Result<KVec<Layer>> {
        let len = self.outer.len() + 1;

        if len >= MAX_LAYERS {
            return Err(E2BIG);
        }

        let mut outer = KVec::with_capacity(len, GFP_KERNEL_ACCOUNT)?;

        outer.extend_from_slice(&self.outer, GFP_KERNEL_ACCOUNT)?;
        outer.push(self.youngest.clone(), GFP_KERNEL_ACCOUNT)?;
        Ok(outer)
    }

    /// Drops a reference in a context that must not sleep.
    ///
    /// The last one leaves the work to a kernel thread: a domain may hold many rules.
    pub(crate) fn put(this: Arc<Self>) {
        if let Some(last) = Arc::into_unique_or_drop(this) {
            // The work item is not queued, as that takes a reference of its own.
            let _ = workqueue::system_long().enqueue(Arc::<Self>::from(last));
        }
    }

    /// Whether a layer handles `access`.
    #[inline]
    pub(crate) fn handles(&self, access: Access) -> bool {
        self.handled.contains(access)
    }

    /// Whether every layer that handles `access` has a rule that grants it on `port`.
    #[inline]
    pub(crate) fn allows(&self, port: u16, access: Access) -> bool {
        self.index.allows(port, access)
    }

    /// The youngest layer that refuses `access` on `port`, or on any port if `None`: its level, and
    /// what it refuses, with the quiet flag of its rule.
    pub(crate) fn refusing(&self, port: Option<u16>, access: Access) -> Option<(u8, Rule)> {
        // A layer alone refuses what the domain does, and its rules only say whether to be quiet.
        if self.outer.is_empty() && !self.youngest.rules.has_quiet() {
            let refused = Rule {
                access: access.into(),
                quiet: false,
            };
            let allowed =
                !self.handles(access) || port.is_some_and(|port| self.allows(port, access));

            return (!allowed).then_some((self.youngest.level, refused));
        }

        let refused_by = |layer: &Layer| {
            let rule = port.and_then(|port| layer.rules.get(port));
            let Rule {
                access: granted,
                quiet,
            } = rule.unwrap_or_default();
            let refused = Rule {
                access: access.into(),
                quiet,
            };

            (layer.handled.contains(access) && !granted.contains(access))
                .then_some((layer.level, refused))
        };

        refused_by(&self.youngest).or_else(|| self.outer.iter().rev().find_map(refused_by))
    }

    /// What each layer with a rule for `port` grants: the rights of the rule, and those that the
    /// layer does not handle.
    pub(crate) fn granted(&self, port: u16) -> LayerRights {
        let mut granted = LayerRights::new();

        for layer in Iterator::chain(self.outer.iter(), [&self.youngest]) {
            if let Some(rule) = layer.rules.get(port) {
                granted.push(
                    layer.level,
                    Rule {
                        access: rule.access | !layer.handled,
                        quiet: rule.quiet,
                    },
                );
            }
        }
        granted
    }
}

#[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
#[kernel::macros::kunit_tests(portlock_domain)]
mod tests {
    use super::*;
    use crate::ruleset::Draft;

    fn rules(handled: AccessSet, ports: &[(u16, AccessSet)]) -> Result<Frozen> {
        let mut draft = Draft::new(handled);

        for (port, access) in ports {
            let rule = Rule {
                access: *access,
                quiet: false,
            };
            draft.add(*port, rule)?;
        }
        draft.freeze()
    }

    #[test]
    fn a_layer_only_takes_away() -> Result {
        let tcp = Access::BindTcp | Access::ConnectTcp;
        let connect = AccessSet::from(Access::ConnectTcp);
        let outer = rules(tcp, &[(80, tcp), (443, connect)])?;
        let outer = Domain::new(None, 1, tcp, outer)?;
        let inner = rules(connect, &[(443, connect), (1, connect)])?;
        let inner = Domain::new(Some(&outer), 2, connect, inner)?;

        assert!(outer.allows(80, Access::ConnectTcp));
        assert!(inner.allows(80, Access::BindTcp));
        assert!(!inner.allows(80, Access::ConnectTcp));
        assert!(inner.allows(443, Access::ConnectTcp));
        assert!(!inner.allows(1, Access::ConnectTcp));
        assert!(!inner.handles(Access::BindUdp));
        assert!(inner.allows(1, Access::BindUdp));
        Ok(())
    }

    #[test]
    fn a_layer_that_adds_nothing_shares_the_index() -> Result {
        let tcp = Access::BindTcp | Access::ConnectTcp;
        let one = rules(tcp, &[(80, tcp)])?;
        let two = rules(tcp, &[(80, tcp), (81, tcp)])?;
        let outer = Domain::new(None, 1, tcp, one.clone())?;
        let inner = Domain::new(Some(&outer), 2, tcp, two.clone())?;

        assert!(Arc::ptr_eq(&outer.index, &inner.index));

        // Nor is there another index if the layer says all that is left.
        let outer = Domain::new(None, 1, tcp, two)?;
        let inner = Domain::new(Some(&outer), 2, tcp, one.clone())?;

        assert!(Arc::ptr_eq(&inner.index, &one.index));
        Ok(())
    }

    #[test]
    fn there_are_at_most_sixteen_layers() -> Result {
        let tcp = AccessSet::from(Access::BindTcp);
        let none = rules(tcp, &[])?;
        let mut domain = Domain::new(None, 1, tcp, none.clone())?;

        for level in 2..=16 {
            domain = Domain::new(Some(&domain), level, tcp, none.clone())?;
        }
        assert_eq!(Domain::new(Some(&domain), 17, tcp, none).err(), Some(E2BIG));
        Ok(())
    }
}
