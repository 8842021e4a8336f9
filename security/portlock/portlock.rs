// SPDX-License-Identifier: GPL-2.0

//! Portlock: Landlock's network sandbox, decided in Rust.
//!
//! A process without privileges says which ports it will use, with Landlock's system calls; from
//! then on the kernel holds it and its children to that. C Landlock keeps what is not network.
//!
//! What decides an allowed or refused bind, connect or send is [`verdict::check`]. A hook chooses the
//! right and asks it; it reads the endpoint of the address, and the index of the domain.
//!
//! Each file is one noun, and imports go one way, down this list. The items of this page itself, the
//! type of the LSM and whether it is on, are for all.
//!
//! - `hooks`: a hook of a socket: which right, which use of an address.
//! - `syscalls`: the three calls and the ruleset file descriptor.
//! - `subject`: what a credential carries.
//! - `verdict`: the decision, in one place.
//! - `denial`: where a refusal is told: audit and trace. Cold.
//! - `ruleset`: what a ruleset file descriptor refers to.
//! - `domain`: a domain: its layers, and how a child is made of a parent and a ruleset.
//! - `frozen`: the rules of a ruleset, written until they are enforced, then frozen and shared.
//! - `index`: port to rights.
//! - `rules`: the red-black tree of rules.
//! - `endpoint`: the bytes of an address to the port that is asked for.
//! - `landlock`: the only door to C Landlock.
//! - `abi`: user-space structures, constants, layout assertions.
//! - `access`: rights as types.
//!
//! `model`, for the unit tests only, asks the rules of each layer one by one.
//!
//! The `unsafe` of this folder is in `landlock`, except for the entry points of the system calls
//! and the structures that are copied from user space.

use kernel::{
    bindings,
    lsm,
    prelude::*, //
};

mod abi;
mod access;
mod denial;
mod domain;
mod endpoint;
mod frozen;
mod hooks;
mod index;
mod landlock;
#[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
mod model;
mod rules;
mod ruleset;
mod subject;
mod syscalls;
mod verdict;

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
