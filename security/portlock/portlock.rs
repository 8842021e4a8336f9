// SPDX-License-Identifier: GPL-2.0

//! Portlock: Landlock's network sandbox, decided in Rust.
//!
//! A process without privileges says which ports it will use, with Landlock's system calls; from
//! then on the kernel holds it and its children to that. C Landlock keeps what is not network.
//!
//! Where a socket gets an address, a hook chooses the right and asks [`verdict::check`]:
//!
//! 1. `endpoint` reads the port, and `domain` looks it up in the index of all layers together
//!    (`index`). If each layer grants the port whatever the address, the check ends here.
//! 2. `endpoint` reads the address, and `way` says whether the socket chooses its own way. If it
//!    does not, `domain` asks each layer whether the port is granted at the address (`prefixes`).
//! 3. What is granted by an address is marked in the socket (`way`), so that it cannot be bound to a
//!    device later.
//! 4. All other calls are decided step by step, in the order of C Landlock's checks. The steps above
//!    only allow what this would allow. A refusal is told by `denial`.
//!
//! Where a socket that has its addresses is used, the hook asks `service`, for example
//! [`service::check_transfer`]:
//!
//! 1. `flow` reads the ports and the peer.
//! 2. If no rule is about addresses, the port that names the service is looked up in the index. Which
//!    port that is depends on what the socket carries of accept(2) (`socket`).
//! 3. If there are such rules, the socket carries what was granted on this connection before
//!    (`cached`). Its way is read each time.
//! 4. All other calls are decided step by step, as above, and what is granted is noted in the socket.
//!
//! Each file is one noun, and imports go one way, down this list. The items of this page itself, the
//! type of the LSM and whether it is on, are for all.
//!
//! - `hooks`: a hook of a socket: which right, which use of an address.
//! - `syscalls`: the three calls and the ruleset file descriptor.
//! - `subject`: what a credential carries.
//! - `service`: the decision about what a socket is used for once it has its addresses.
//! - `verdict`: the decision about addresses that a socket gets.
//! - `socket`: what a socket carries.
//! - `way`: how a socket chooses its own way.
//! - `cached`: what was granted on a connection.
//! - `flow`: the service port and the peer of a socket.
//! - `denial`: where a refusal is told: audit, trace and observers. Cold.
//! - `ruleset`: what a ruleset file descriptor refers to.
//! - `domain`: a domain: its layers, and how a child is made of a parent and a ruleset.
//! - `frozen`: the rules of a ruleset, written until they are enforced, then frozen and shared.
//! - `index`: port to rights.
//! - `prefixes`: address and port to rights.
//! - `rules`: the rules of a ruleset.
//! - `kinds`: rules about kinds of sockets.
//! - `opened`: rules about single sockets.
//! - `nets`: rules about addresses.
//! - `ports`: rules about ports, whatever the address.
//! - `columns`: rights that are always granted together.
//! - `observer`: a file descriptor that tells what layers refuse.
//! - `endpoint`: the bytes of an address to the port and address that are asked for.
//! - `landlock`: the only door to C Landlock.
//! - `abi`: user-space structures, constants, layout assertions.
//! - `access`: rights as types.
//!
//! The unit tests have two files of their own, which are in no other build: `spec`, the
//! specification of all answers, and `model`, which compares domains with it.
//!
//! The files in C hold what Rust cannot express, and decide nothing:
//!
//! - `entry.c`: the entry points of the system calls, which call `syscalls`; a copy for `abi`.
//! - `landlock.c`: C Landlock's private structures and the trace events, for `landlock`.
//! - `socket.c`: the states and control messages that choose a way, for `way`.
//! - `portlock.h`: what C and Rust call from each other.
//!
//! The `unsafe` of this folder is in `landlock`, except for the calls of `socket.c` (`way`), the
//! entry points of the system calls (`syscalls`), and the structures that are copied from user
//! space (`abi`).

use kernel::{
    bindings,
    lsm,
    prelude::*, //
};

mod abi;
mod access;
mod cached;
mod columns;
mod denial;
mod domain;
mod endpoint;
mod flow;
mod frozen;
mod hooks;
mod index;
mod kinds;
mod landlock;
#[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
mod model;
mod nets;
mod observer;
mod opened;
mod ports;
mod prefixes;
mod rules;
mod ruleset;
mod service;
mod socket;
#[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
mod spec;
mod subject;
mod syscalls;
mod verdict;
mod way;

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
