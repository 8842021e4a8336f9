// SPDX-License-Identifier: GPL-2.0

//! The network domain of a task: frozen, shared, and read without a lock.

use crate::{
    abi::MAX_LAYERS,
    access::{
        Access,
        AccessSet, //
    },
    frozen::Frozen,
    index::Index,
    landlock::LayerRights,
    rules::{
        Rule,
        Rules, //
    }, //
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

/// The layers that hold a task.
///
/// A ruleset that handles no network right makes no layer here, though it makes one in C Landlock:
/// a task whose sandbox is not about the network has no domain, and pays nothing.
///
/// The memory is charged to the task that enforces the ruleset.
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
    /// All layers but the youngest, the oldest first: most domains have only one layer.
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
    pub(crate) fn new(parent: Option<&Self>, level: u8, frozen: Frozen) -> Result<Arc<Self>> {
        let Frozen {
            handled,
            rules,
            index,
        } = frozen;
        let youngest = Layer {
            level,
            handled,
            rules,
        };
        // INVARIANT: The layers are counted in `to_outer`. `handled` is the union of those of the
        // layers, and the index is the intersection of theirs.
        let (handled, index, outer) = match parent {
            None => (handled, index, KVec::new()),
            Some(parent) => (
                parent.handled | handled,
                parent.index_with(index)?,
                parent.to_outer()?,
            ),
        };

        Arc::pin_init(
            pin_init!(Self {
                handled,
                index,
                outer,
                youngest,
                free <- new_work!("Domain::free"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// What both this domain and a layer whose index is `new` allow.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM` if there is none.
    fn index_with(&self, new: Arc<Index>) -> Result<Arc<Index>> {
        if self.index.is_within(&new) {
            return Ok(self.index.clone());
        }
        if new.is_within(&self.index) {
            return Ok(new);
        }
        self.index.intersect(&new)
    }

    /// Copies the layers, to be the outer ones of a domain.
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
        self.index.allows(port, access.into())
    }

    /// The youngest layer that refuses `access` on `port`, or on any port if `None`: its level, and
    /// whether its rule for the port is quiet. The domain refuses it.
    pub(crate) fn refusing(&self, port: Option<u16>, access: Access) -> Option<(u8, bool)> {
        // It is the only layer, and none of its rules is quiet.
        if self.outer.is_empty() && !self.youngest.rules.has_quiet() {
            return Some((self.youngest.level, false));
        }

        let refused_by = |layer: &Layer| {
            let rule = port.and_then(|port| layer.rules.get(port));
            let Rule {
                access: granted,
                quiet,
            } = rule.unwrap_or_default();

            (layer.handled.contains(access) && !granted.contains(access))
                .then_some((layer.level, quiet))
        };

        refused_by(&self.youngest).or_else(|| self.outer.iter().rev().find_map(refused_by))
    }

    /// What each layer with a rule for `port` grants: the rights of the rule, and those that the
    /// layer does not handle.
    pub(crate) fn granted(&self, port: u16) -> LayerRights {
        let mut granted = LayerRights::new();

        for layer in Iterator::chain(self.outer.iter(), [&self.youngest]) {
            if let Some(rule) = layer.rules.get(port) {
                let access = rule.access | !layer.handled;

                granted.push(layer.level, access, rule.quiet);
            }
        }
        granted
    }
}

#[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
#[kernel::macros::kunit_tests(portlock_domain)]
mod tests {
    use super::*;
    use crate::frozen::Draft;

    fn frozen(handled: AccessSet, ports: &[(u16, AccessSet)]) -> Result<Frozen> {
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
        let outer = frozen(tcp, &[(80, tcp), (443, connect)])?;
        let outer = Domain::new(None, 1, outer)?;
        let inner = frozen(connect, &[(443, connect), (1, connect)])?;
        let inner = Domain::new(Some(&outer), 2, inner)?;

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
        let one = frozen(tcp, &[(80, tcp)])?;
        let two = frozen(tcp, &[(80, tcp), (81, tcp)])?;
        let outer = Domain::new(None, 1, one.clone())?;
        let inner = Domain::new(Some(&outer), 2, two.clone())?;

        assert!(Arc::ptr_eq(&inner.index, &one.index));

        // A layer that says all that is left needs no other index.
        let outer = Domain::new(None, 1, two)?;
        let inner = Domain::new(Some(&outer), 2, one.clone())?;

        assert!(Arc::ptr_eq(&inner.index, &one.index));
        Ok(())
    }

    #[test]
    fn there_are_at_most_sixteen_layers() -> Result {
        let none = frozen(Access::BindTcp.into(), &[])?;
        let mut domain = Domain::new(None, 1, none.clone())?;

        for level in 2..=16 {
            domain = Domain::new(Some(&domain), level, none.clone())?;
        }
        assert_eq!(Domain::new(Some(&domain), 17, none).err(), Some(E2BIG));
        Ok(())
    }
}
