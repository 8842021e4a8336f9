// SPDX-License-Identifier: GPL-2.0

//! Portlock: Landlock's network sandbox, decided in Rust.
//!
//! A process without privileges says which ports it will use, with Landlock's system calls; from
//! then on the kernel holds it and its children to that. C Landlock keeps what is not network.
//!
//! Each file is one noun, and arrows run one way, down this list:
//!
//! - `portlock`: the front door: what this is, when it is on, what C calls.
//! - `hooks`: socket and credential hooks: translate, ask the domain, refuse.
//! - `syscalls`: the three calls and the ruleset file descriptor.
//! - `ruleset`: a ruleset, while it is being written.
//! - `denial`: what only a refusal or a listener needs. Cold.
//! - `domain`: a domain, frozen: layers, checks, how a child is made.
//! - `index`: port to effective access: what an allowed call reads.
//! - `rules`: the red-black tree of rules, shared by rulesets and domains.
//! - `landlock`: the only door to C Landlock; the `unsafe` lives there.
//! - `address`: the bytes of an address to the port that is asked for.
//! - `access`: rights as flag types.
//!
//! `model`, for the unit tests only, evaluates every layer's rules one by one.
//!
//! The way of an allowed bind is hooks, address, domain, index, and back. That of a refused one is
//! the same, then denial and landlock.

use kernel::{
    bindings,
    lsm,
    prelude::*, //
};

mod access;
mod address;
mod denial;
mod domain;
mod hooks;
mod index;
mod landlock;
#[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
mod model;
mod rules;
mod ruleset;
mod syscalls;

/// The LSM.
struct Portlock;

lsm! {
    type: Portlock,
    name: "portlock",
    id: bindings::LSM_ID_PORTLOCK,
}

/// Whether Portlock decides the network rules of this boot: it does if the list of LSMs names both
/// Landlock, whose system calls it fronts, and Portlock.
///
/// Known before any LSM is initialized, and never changes.
fn is_on() -> bool {
    lsm::is_enabled::<Portlock>() && landlock::is_enabled()
}

/// Tells C Landlock whether to leave the network hooks to Portlock.
#[export]
extern "C" fn portlock_is_on() -> bool {
    is_on()
}
