// SPDX-License-Identifier: GPL-2.0

//! The rules of a ruleset: written until they are enforced, then frozen and shared.

use crate::{
    access::{
        AccessSet,
        PermissionSet, //
    },
    index::Index,
    nets::NetRules,
    observer::Reporter,
    prefixes::Prefixes,
    rules::Rules, //
};
use core::mem;
use kernel::{
    alloc::flags::GFP_KERNEL_ACCOUNT,
    prelude::*,
    sync::{
        Arc,
        UniqueArc, //
    }, //
};

/// What a ruleset handles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Handled {
    /// Whether the ruleset is an extended one. Plain ones are Landlock's.
    pub(crate) is_extended: bool,
    /// The rights that need a rule.
    pub(crate) access: AccessSet,
    /// The permissions that need a rule.
    pub(crate) permissions: PermissionSet,
    /// The rights whose denials a quiet rule keeps out of the logs, some of `access`.
    pub(crate) quiet: AccessSet,
}

impl Handled {
    /// Whether nothing needs a rule of Portlock's.
    pub(crate) fn is_nothing(&self) -> bool {
        self.access.is_empty() && self.permissions.is_empty()
    }
}

/// An enforced ruleset, which layers share. It never changes.
///
/// What it allows on each port is apart, in [`Index`]: a layer keeps its rules, and a domain keeps
/// one for all its layers.
///
/// # Invariants
///
/// - `by_address` is the rights that `rules.nets` grant.
/// - `prefixes` says what `rules.nets` say. It is `None` if there are none.
pub(crate) struct Frozen {
    pub(crate) handled: Handled,
    /// The rules, by which a refusal is explained.
    pub(crate) rules: Rules,
    /// The rights that a rule about addresses grants.
    pub(crate) by_address: AccessSet,
    /// What the rules allow at each address.
    pub(crate) prefixes: Option<KBox<Prefixes>>,
    /// Who is told what the layers refuse.
    pub(crate) reporter: Option<Arc<Reporter>>,
}

impl Frozen {
    /// Takes `rules` of a ruleset that handles `handled`, and leaves none. With them comes what they
    /// allow on each port. `reporter` is that of the ruleset, if it has one.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM`, with nothing taken, if there is
    /// none.
    fn new(
        handled: Handled,
        reporter: Option<&Arc<Reporter>>,
        rules: &mut Rules,
    ) -> Result<(Arc<Self>, Arc<Index>)> {
        let (by_address, prefixes) = if rules.nets.is_empty() {
            (AccessSet::empty(), None)
        } else {
            (rules.nets.granted(), Some(boxed_prefixes(&rules.nets)?))
        };
        let index = Index::new(handled.access.into(), &rules.ports)?;
        let place = UniqueArc::new_uninit(GFP_KERNEL_ACCOUNT)?;
        // INVARIANT: All was made of the rules.
        let frozen = place.write(Self {
            handled,
            rules: mem::take(rules),
            by_address,
            prefixes,
            reporter: reporter.cloned(),
        });

        Ok((frozen.into(), index))
    }
}

/// What `nets` allow at each address.
// Out of line, for rulesets that have no addresses.
#[inline(never)]
fn boxed_prefixes(nets: &NetRules) -> Result<KBox<Prefixes>> {
    Ok(KBox::new(Prefixes::of(nets)?, GFP_KERNEL_ACCOUNT)?)
}

/// The rules of a ruleset while they may be written.
///
/// # Invariants
///
/// `open` is empty if there is `frozen`.
#[derive(Default)]
pub(crate) struct Draft {
    /// The rules, unless they are frozen.
    open: Rules,
    /// The rules, if none was added since they were enforced.
    frozen: Option<(Arc<Frozen>, Arc<Index>)>,
}

impl Draft {
    /// The rules, to add one: a copy of them if they are frozen.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM`, with nothing changed, if there
    /// is none.
    #[inline]
    pub(crate) fn open(&mut self) -> Result<&mut Rules> {
        if self.frozen.is_some() {
            self.thaw()?;
        }
        Ok(&mut self.open)
    }

    /// Copies the frozen rules, so that they may be written. Few programs add to what they enforced.
    #[cold]
    fn thaw(&mut self) -> Result {
        if let Some((frozen, _)) = &self.frozen {
            self.open = frozen.rules.try_clone()?;
            // INVARIANT: `open` has the rules now.
            self.frozen = None;
        }
        Ok(())
    }

    /// Returns the rules of a ruleset that handles `handled`, to be enforced: frozen, and the same as
    /// before if no rule was added. With them comes what they allow on each port.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM`, with nothing changed, if there
    /// is none.
    pub(crate) fn freeze(
        &mut self,
        handled: Handled,
        reporter: Option<&Arc<Reporter>>,
    ) -> Result<(Arc<Frozen>, Arc<Index>)> {
        let frozen = match &mut self.frozen {
            Some(frozen) => frozen,
            // INVARIANT: This leaves `open` empty.
            none => none.insert(Frozen::new(handled, reporter, &mut self.open)?),
        };

        Ok(frozen.clone())
    }
}

#[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
#[kernel::macros::kunit_tests(portlock_frozen)]
mod tests {
    use super::*;
    use crate::{
        access::Access,
        ports::Rule, //
    };

    fn plain(access: AccessSet) -> Handled {
        Handled {
            access,
            ..Handled::default()
        }
    }

    #[test]
    fn enforced_rules_do_not_change() -> Result {
        let handled = plain(Access::BindTcp.into());
        let mut draft = Draft::default();
        let rule = Rule {
            access: Access::BindTcp.into(),
            quiet: false,
        };
        let allows = |index: &Index, port| index.allows(port, Access::BindTcp);

        draft.open()?.ports.add(1..=1, rule)?;
        let (first, first_index) = draft.freeze(handled, None)?;
        draft.open()?.ports.add(2..=2, rule)?;
        let (second, second_index) = draft.freeze(handled, None)?;

        assert!(first.rules.ports.iter().eq([(1, rule)]));
        assert!(second.rules.ports.iter().eq([(1, rule), (2, rule)]));
        assert!(allows(&first_index, 1) && !allows(&first_index, 2));
        assert!(allows(&second_index, 1) && allows(&second_index, 2));
        Ok(())
    }

    #[test]
    fn unchanged_rules_are_shared() -> Result {
        let handled = plain(Access::BindTcp.into());
        let mut draft = Draft::default();
        let (first, first_index) = draft.freeze(handled, None)?;
        let (second, second_index) = draft.freeze(handled, None)?;

        assert!(Arc::ptr_eq(&first, &second));
        assert!(Arc::ptr_eq(&first_index, &second_index));
        Ok(())
    }
}
