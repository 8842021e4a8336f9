// SPDX-License-Identifier: GPL-2.0

//! Network sandboxes of Portlock: policies, rulesets and observers.
//!
//! A [`Policy`] is what a person writes, as flags or as a file. [`Policy::rules`] compiles it for a
//! machine: [`Rules`] are what the kernel gets, each with the reason for it. [`Rules::sandbox`] makes layers of
//! them, as far as the running kernel can enforce them, and a [`Sandbox`] is enforced once. An [`Observer`] tells
//! what its layers refuse.
//!
//! This runs a program that can only use HTTPS, and tells what else it tries:
//!
//! ```no_run
//! use portlock::{Machine, Observer, Options, Policy, Support};
//! use std::process::Command;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = Policy::from_toml("connect = ['tcp:443']\ndns = true", "built in")?;
//! let rules = policy.rules(&Machine::read());
//! let mut observer = Observer::new()?;
//! let options = Options::default().observer(&observer, 0);
//! let sandbox = rules.sandbox(Support::read(), options)?;
//! let mut command = Command::new("curl");
//!
//! command.arg("https://example.org");
//! sandbox.spawn(command, None)??.wait()?;
//! while let Some(events) = observer.poll()?.filter(|events| !events.is_empty()) {
//!     for event in events {
//!         println!("refused: {}", event.words().unwrap_or_default());
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A process that was started with SIGCHLD ignored gets its default before `main`, or nobody could wait for a
//! program. A [`Sandbox`] gives its program the signals as they were.

#![deny(unsafe_code)]

mod compare;
mod inherited;
mod kind;
mod learn;
mod observer;
mod place;
mod policy;
mod ranges;
mod rights;
mod rules;
mod sandbox;
mod signals;
mod suggest;
#[allow(unsafe_code)]
mod sys;
mod tell;

pub use compare::Witness;
pub use inherited::Inherited;
/// The crate of the prefixes in [`Item`] and [`Nets`].
///
/// ```
/// use portlock::{ipnet::IpNet, Nets, Place};
///
/// let net: IpNet = "10.0.0.0/8".parse()?;
/// assert_eq!("tcp:10.0.0.0/8:443".parse::<Place>()?.nets(), Nets::Of(vec![net]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub use ipnet;
pub use kind::Kind;
pub use learn::{Learned, Seen};
pub use observer::{Asked, Event, Observer};
pub use place::{Item, Mistake, Named, Nets, Place, Ports, Term};
pub use policy::{Opened, Origin, Policy, PolicyError, Restrict, Unix, Verb, Word};
pub use ranges::AddressSet;
pub use rights::{Protocol, Right, Rights};
pub use rules::{resolvers, Grant, Machine, Made, Note, Rules, Why};
pub use sandbox::{families, has_root_capabilities, Failure, Options, Sandbox, Support};
pub use signals::Signals;
pub use tell::{advice_to_make, Advice};
