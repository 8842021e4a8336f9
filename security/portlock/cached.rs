// SPDX-License-Identifier: GPL-2.0

//! What one domain allows on one connection, kept in the socket so that the next call need not ask the
//! rules again.
//!
//! There is one entry, which is read and written without a lock. It only ever says "allowed": a reader
//! that finds something else, or nothing, asks the rules. It must never find what nobody wrote, half
//! of one entry and half of another. So the entry has a counter, which is odd while a writer is at
//! work, as that of a seqlock (`Documentation/locking/seqlock.rst`).
//!
//! The kernel's types of atomics are all that this file needs. `tests/interleave` compiles it with
//! others, and tries all orders in which several threads can run.

use kernel::{
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Full,
        Relaxed,
        Release, //
    }, //
};

/// Who asks, and about what: the id of a domain, which is not 0 and never used again, and three words
/// that tell one connection from another.
pub(crate) type Key = [u64; 4];

/// Rights, as bits, that were granted to a key.
///
/// Zeroes are an entry without a key.
#[derive(Zeroable)]
pub(crate) struct Cached {
    /// Odd while the entry is written. With 64 bits it does not come back to an earlier value.
    count: Atomic<u64>,
    key: [Atomic<u64>; 4],
    rights: Atomic<u64>,
}

impl Cached {
    /// Whether the rights in `rights` were all granted to `key`.
    #[inline(always)]
    pub(crate) fn allows(&self, key: &Key, rights: u64) -> bool {
        let count = self.count.load(Acquire);

        // Who writes makes the counter odd first. So nothing of what was read is newer than `count` if
        // it was even, and is the same once all else has been read.
        count & 1 == 0
            && self.has(key)
            && self.rights.load(Acquire) & rights == rights
            && self.count.load(Relaxed) == count
    }

    #[inline(always)]
    fn has(&self, key: &Key) -> bool {
        // Each is read before what follows.
        self.key[0].load(Acquire) == key[0]
            && self.key[1].load(Acquire) == key[1]
            && self.key[2].load(Acquire) == key[2]
            && self.key[3].load(Acquire) == key[3]
    }

    /// Notes that `rights` were granted to `key`, besides others that were, and forgets another key.
    ///
    /// Does nothing if another thread is writing: an entry that is missing only costs time.
    pub(crate) fn note(&self, key: &Key, rights: u64) {
        // As of calls that do not look here first.
        if self.allows(key, rights) {
            return;
        }

        let count = self.count.load(Relaxed);

        // The order `Full` keeps what follows behind.
        if count & 1 != 0
            || self
                .count
                .cmpxchg(count, count.wrapping_add(1), Full)
                .is_err()
        {
            return;
        }
        // Nobody else writes now.
        if self.has(key) {
            self.rights
                .store(self.rights.load(Relaxed) | rights, Relaxed);
        } else {
            for (word, value) in core::iter::zip(&self.key, key) {
                word.store(*value, Relaxed);
            }
            self.rights.store(rights, Relaxed);
        }
        self.count.store(count.wrapping_add(2), Release);
    }
}

#[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
#[kernel::macros::kunit_tests(portlock_cached)]
mod tests {
    use super::*;

    const SEND: u64 = 1;
    const RECEIVE: u64 = 2;

    fn empty() -> Cached {
        pin_init::zeroed()
    }

    #[test]
    fn only_what_was_noted_is_allowed() {
        let cached = empty();
        let key = [1, 2, 3, 4];

        assert!(!cached.allows(&key, SEND));
        cached.note(&key, SEND);
        assert!(cached.allows(&key, SEND));
        assert!(!cached.allows(&key, RECEIVE));
        assert!(!cached.allows(&key, SEND | RECEIVE));
        cached.note(&key, RECEIVE);
        assert!(cached.allows(&key, SEND | RECEIVE));
    }

    #[test]
    fn each_word_of_the_key_counts() {
        let cached = empty();
        let key = [1, 2, 3, 4];

        cached.note(&key, SEND);
        for word in 0..4 {
            let mut other = key;

            other[word] ^= 1 << 63;
            assert!(!cached.allows(&other, SEND));
        }
        // Another key takes the place, with its own rights only.
        cached.note(&[1, 2, 3, 5], RECEIVE);
        assert!(!cached.allows(&key, SEND));
        assert!(!cached.allows(&[1, 2, 3, 5], SEND));
        assert!(cached.allows(&[1, 2, 3, 5], RECEIVE));
    }

    #[test]
    fn nothing_is_allowed_or_written_while_somebody_writes() {
        let cached = empty();
        let key = [1, 2, 3, 4];

        cached.note(&key, SEND);
        cached.count.store(3, Relaxed);
        assert!(!cached.allows(&key, SEND));
        cached.note(&[5, 6, 7, 8], SEND);
        cached.count.store(4, Relaxed);
        assert!(cached.allows(&key, SEND));
        assert!(!cached.allows(&[5, 6, 7, 8], SEND));
    }
}
