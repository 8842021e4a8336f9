// SPDX-License-Identifier: GPL-2.0

//! What only a refusal or a listener needs: which layers refuse, and who is told: audit, trace and
//! observers. Cold.

use crate::{
    abi::{
        Event,
        EVENT_PERMISSIVE, //
    },
    access::{
        Access,
        Permission, //
    },
    domain::{
        Domain,
        Refusing, //
    },
    endpoint::Address,
    landlock::{
        self,
        About,
        Denial, //
    }, //
};
use kernel::prelude::*;

/// What is refused.
#[derive(Clone, Copy)]
pub(crate) enum Right {
    Access(Access),
    Permission(Permission),
}

impl From<Access> for Right {
    fn from(access: Access) -> Self {
        Self::Access(access)
    }
}

impl Right {
    /// Its name in the records of Landlock's audit.
    fn name(self) -> &'static CStr {
        match self {
            Self::Access(access) => access.name(),
            Self::Permission(permission) => permission.name(),
        }
    }
}

/// A refusal.
pub(crate) struct Refusal<'a> {
    pub(crate) right: Right,
    pub(crate) about: About<'a>,
    /// What Landlock's own record and event say of it, if they can.
    pub(crate) denial: Option<Denial<'a>>,
}

impl<'a> Refusal<'a> {
    /// A refusal that Landlock has no name for.
    pub(crate) fn new(right: impl Into<Right>, about: About<'a>) -> Self {
        Self {
            right: right.into(),
            about,
            denial: None,
        }
    }

    /// Tells of the refusal by each of `layers`, the youngest first.
    ///
    /// Returns `EACCES` if one of them is not permissive. Of those, audit and trace hear of the first.
    pub(crate) fn by<'b>(&self, layers: impl Iterator<Item = Refusing<'b>>) -> Result {
        self.answer_of(layers).unwrap_or(Ok(()))
    }

    /// [`Refusal::by`], where at least one layer refuses: else something is wrong, and it is `EACCES`.
    pub(crate) fn by_some<'b>(&self, layers: impl Iterator<Item = Refusing<'b>>) -> Result {
        self.answer_of(layers).unwrap_or(Err(EACCES))
    }

    /// [`Refusal::by`], or `None` if there are no layers.
    fn answer_of<'b>(&self, layers: impl Iterator<Item = Refusing<'b>>) -> Option<Result> {
        let mut answer = None;

        layers.for_each(|layer| {
            let before = answer.unwrap_or(Ok(()));

            self.tell(&layer, before.is_ok());
            answer = Some(if layer.is_permissive {
                before
            } else {
                Err(EACCES)
            });
        });
        answer
    }

    /// Tells of the refusal by `layer`. `is_allowed` is whether all younger layers let it pass.
    #[cold]
    #[inline(never)]
    fn tell(&self, layer: &Refusing<'_>, is_allowed: bool) {
        if layer.is_permissive || is_allowed {
            self.log(layer);
        }
        if let Some(reporter) = layer.reporter.filter(|_| !layer.quiet) {
            reporter.report(self.event(layer.is_permissive));
        }
    }

    /// Counts the refusal by `layer`, and tells audit and trace of it.
    fn log(&self, layer: &Refusing<'_>) {
        let (level, quiet) = (layer.level, layer.quiet);

        match &self.denial {
            // Landlock's event does not say that this was allowed.
            Some(denial) if !layer.is_permissive => denial.log(level, quiet),
            _ => landlock::log_by_name(self.right.name(), self.about, level, quiet),
        }
    }

    /// The refusal as an observer is told of it.
    fn event(&self, is_permissive: bool) -> Event {
        let about = self.about.parts();
        let mut event = Event::default();
        let Event(said) = &mut event;

        if is_permissive {
            said.flags = EVENT_PERMISSIVE;
        }
        match self.right {
            Right::Access(access) => said.access_net = access as u64,
            Right::Permission(permission) => said.permissions = permission as u64,
        }
        [said.family, said.type_, said.protocol] = about.kind;
        said.port = about.port.unwrap_or(0).into();
        // A mapped address is the IPv4 one, as for the rules.
        if let Some(address) = about.address.map(Address::from) {
            let (family, bytes) = landlock::family_and_bytes(address.into());

            said.address_family = family.into();
            said.address = bytes;
        }
        event
    }
}

/// Emits the event of a check, if a layer of `domain` has a rule for `port`.
#[cold]
#[inline(never)]
pub(crate) fn trace_check(domain: &Domain, port: u16, access: Access) {
    let granted = domain.granted(port);

    if !granted.is_empty() {
        landlock::trace_check(port, access, &granted);
    }
}
