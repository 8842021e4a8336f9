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
    pub(crate) fn by<'b>(&self, mut layers: impl Iterator<Item = Refusing<'b>>) -> Result {
        self.told_by(&mut layers)
    }

    /// [`Refusal::by`], where at least one layer refuses: else something is wrong, and it is `EACCES`.
    pub(crate) fn by_some<'b>(&self, layers: impl Iterator<Item = Refusing<'b>>) -> Result {
        let mut layers = layers.peekable();

        if layers.peek().is_none() {
            return Err(EACCES);
        }
        self.told_by(&mut layers)
    }

    #[cold]
    #[inline(never)]
    fn told_by(&self, layers: &mut dyn Iterator<Item = Refusing<'_>>) -> Result {
        let mut answer = Ok(());

        for layer in layers {
            if layer.is_permissive || answer.is_ok() {
                self.log(&layer);
            }
            if !layer.is_permissive {
                answer = Err(EACCES);
            }
            if let Some(reporter) = layer.reporter.filter(|_| !layer.quiet) {
                reporter.report(self.event(layer.is_permissive));
            }
        }
        answer
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
