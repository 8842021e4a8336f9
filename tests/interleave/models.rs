// SPDX-License-Identifier: GPL-2.0

//! Runs the cached verdict, `security/portlock/cached.rs`, in all orders of a few threads on a machine
//! with weakly ordered memory. Nothing must be allowed but what was granted.
//!
//! `kernel.rs` is that machine. The harness builds and runs this (`tests/harness/interleave.py`), and
//! once more for each of a list of faults in `cached.rs`, which must be noticed.

#[path = "../../security/portlock/cached.rs"]
mod cached;

use cached::{Cached, Key};
use kernel::{
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
    Explored,
};
use std::{collections::BTreeSet, process::ExitCode};

const SEND: u64 = 1;
const RECEIVE: u64 = 2;
const BOTH: u64 = SEND | RECEIVE;

/// What is granted, or allowed: rights to a key.
type Grant = (Key, u64);

#[derive(Clone, Copy)]
enum Step {
    /// A call is granted something by the rules.
    Note(Key, u64),
    /// A call asks whether it is.
    Ask(Key, u64),
    /// A call of this domain sends to the peer that the socket has.
    Send(u64),
}

use Step::*;

struct Model {
    name: &'static str,
    /// The peer that another thread gives the socket meanwhile. At first it is 0.
    peer: Option<u64>,
    threads: &'static [&'static [Step]],
    /// What the rules grant. All of it is allowed in some order, and nothing else in any.
    grants: &'static [Grant],
}

const A: Key = [1, 1, 1, 1];
const B: Key = [2, 2, 2, 2];

const MODELS: [Model; 6] = [
    Model {
        name: "two domains",
        peer: None,
        threads: &[&[Note(A, SEND)], &[Note(B, RECEIVE)]],
        grants: &[(A, SEND), (B, RECEIVE)],
    },
    Model {
        name: "two domains that take turns",
        peer: None,
        threads: &[&[Note(A, SEND), Note(A, SEND)], &[Note(B, RECEIVE)]],
        grants: &[(A, SEND), (B, RECEIVE)],
    },
    Model {
        name: "a writer that sleeps while others write",
        peer: None,
        threads: &[&[Note(A, SEND)], &[Note(B, RECEIVE), Note(A, SEND)]],
        grants: &[(A, SEND), (B, RECEIVE)],
    },
    Model {
        name: "rights that come together",
        peer: None,
        threads: &[&[Note(A, SEND)], &[Note(A, RECEIVE)], &[Note(B, SEND)]],
        grants: &[(A, BOTH), (B, SEND)],
    },
    Model {
        name: "another peer between the question and the answer",
        peer: Some(1),
        threads: &[&[Send(1), Send(1)]],
        grants: &[([1, 0, 0, 0], SEND)],
    },
    Model {
        name: "another peer, which another domain may use",
        peer: Some(1),
        threads: &[&[Send(1), Send(1)], &[Send(2)]],
        grants: &[([1, 0, 0, 0], SEND), ([2, 1, 1, 0], SEND)],
    },
];

/// A socket.
#[derive(Zeroable)]
struct Socket {
    cached: Cached,
    peer: [Atomic<u64>; 2],
}

impl Model {
    fn grants(&self, key: Key, rights: u64) -> bool {
        (self.grants.iter()).any(|(to, granted)| *to == key && granted & rights == rights)
    }

    fn connect(&self, socket: &Socket) -> Vec<Grant> {
        if let Some(peer) = self.peer {
            (socket.peer.iter()).for_each(|word| word.store(peer, Relaxed));
        }
        Vec::new()
    }

    /// Does these steps, and returns what the cached verdict allowed.
    fn run(&self, steps: &[Step], socket: &Socket) -> Vec<Grant> {
        let mut allowed = Vec::new();

        for step in steps {
            match *step {
                Note(key, rights) => socket.cached.note(&key, rights),
                Ask(key, rights) => {
                    if socket.cached.allows(&key, rights) {
                        allowed.push((key, rights));
                    }
                }
                Send(domain) => {
                    let [one, other] = &socket.peer;
                    let key = [domain, one.load(Relaxed), other.load(Relaxed), 0];

                    if socket.cached.allows(&key, SEND) {
                        allowed.push((key, SEND));
                    } else if self.grants(key, SEND) {
                        socket.cached.note(&key, SEND);
                    }
                }
            }
        }
        allowed
    }

    /// The questions: of each word of a key, one that is granted something.
    fn questions(&self) -> BTreeSet<Grant> {
        let mut keys = BTreeSet::from([[0; 4]]);

        for word in 0..4 {
            let with = |key: &Key, value| {
                let mut key = *key;

                key[word] = value;
                key
            };
            let values: BTreeSet<_> = self.grants.iter().map(|(key, _)| key[word]).collect();

            keys = (keys.iter())
                .flat_map(|key| values.iter().map(move |value| with(key, *value)))
                .collect();
        }
        (keys.iter())
            .flat_map(|key| [SEND, RECEIVE, BOTH].map(|rights| (*key, rights)))
            .collect()
    }

    /// What is wrong, or the number of states.
    fn check(&self) -> Result<usize, String> {
        let run = |steps| move |socket: &Socket| self.run(steps, socket);
        let mut explored = Explored::new(Socket::default);
        let threads: Vec<_> = self.threads.iter().copied().map(run).collect();

        explored.run(&[|socket: &Socket| self.connect(socket)]);

        let mut allowed = explored.run(&threads);

        for (key, rights) in self.questions() {
            let ask = |socket: &Socket| self.run(&[Ask(key, rights)], socket);

            allowed.extend(explored.run(&[ask]));
        }

        let wrong = allowed
            .iter()
            .find(|(key, rights)| !self.grants(*key, *rights));
        let missing = self.grants.iter().find(|grant| !allowed.contains(grant));

        match (wrong, missing) {
            (Some((key, rights)), _) => Err(format!("{key:?} got {rights}, which nobody granted")),
            (_, Some((key, rights))) => Err(format!("{key:?} never got {rights}")),
            _ => Ok(explored.states),
        }
    }
}

/// Ends with the first model that fails, because with a fault there can be very many states.
fn main() -> ExitCode {
    println!("TAP version 13\n1..{}", MODELS.len());
    for (number, model) in std::iter::zip(1.., &MODELS) {
        match model.check() {
            Ok(states) => println!("# {states} states\nok {number} {}", model.name),
            Err(why) => {
                println!("# {why}\nnot ok {number} {}", model.name);
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
