// SPDX-License-Identifier: GPL-2.0

//! The rules of one ruleset, which the layers made of it share.

use crate::{
    kinds::KindRules,
    nets::NetRules,
    opened::OpenedRules,
    ports::PortRules, //
};
use kernel::prelude::*;

/// The rules of a ruleset, of each sort.
#[derive(Default)]
pub(crate) struct Rules {
    /// Rules about ports, whatever the address.
    pub(crate) ports: PortRules,
    /// Rules about ports with addresses.
    pub(crate) nets: NetRules,
    /// Rules about kinds of sockets.
    pub(crate) kinds: KindRules,
    /// Rules about single sockets.
    pub(crate) opened: OpenedRules,
}

impl Rules {
    /// Whether a rule is quiet.
    pub(crate) fn has_quiet(&self) -> bool {
        self.ports.has_quiet() || self.nets.has_quiet()
    }

    /// Copies the rules, with memory charged to the current task.
    pub(crate) fn try_clone(&self) -> Result<Self> {
        Ok(Self {
            ports: self.ports.try_clone()?,
            nets: self.nets.try_clone()?,
            kinds: self.kinds.try_clone()?,
            opened: self.opened.try_clone()?,
        })
    }
}
