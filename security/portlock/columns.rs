// SPDX-License-Identifier: GPL-2.0

//! Rights that are always granted together, which need to be stored only once.

/// Sets of bits, each of which is a column: all of its bits, or none, are in each of some other sets.
///
/// A bit is the number of a right. `BITS` says how many there are.
///
/// # Invariants
///
/// The columns do not overlap, none of the first `count` is empty, and no bit is beyond `BITS`.
pub(crate) struct Columns<const BITS: usize> {
    sets: [u32; BITS],
    count: usize,
}

impl<const BITS: usize> Default for Columns<BITS> {
    fn default() -> Self {
        // INVARIANT: There are no columns yet.
        Self {
            sets: [0; BITS],
            count: 0,
        }
    }
}

impl<const BITS: usize> Columns<BITS> {
    /// Divides the columns so that all bits of each of them, or none, are in `set` too, which has no bit
    /// beyond `BITS`.
    #[inline]
    pub(crate) fn divide(&mut self, set: u32) {
        let mut rest = set;

        for at in 0..self.count {
            let column = self.sets[at];

            // As most are.
            if column == set {
                return;
            }

            let (inside, outside) = (column & set, column & !set);

            if inside != 0 && outside != 0 {
                self.sets[at] = inside;
                self.add(outside);
            }
            rest &= !inside;
        }
        // No set before this one had what is left.
        if rest != 0 {
            self.add(rest);
        }
    }

    /// Adds a column, which is not empty and does not overlap with another.
    fn add(&mut self, column: u32) {
        // INVARIANT: The callers see to it. So there are no more columns than bits.
        self.sets[self.count] = column;
        self.count += 1;
    }

    /// The columns.
    #[inline]
    pub(crate) fn sets(&self) -> &[u32] {
        &self.sets[..self.count]
    }
}

#[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
#[kernel::macros::kunit_tests(portlock_columns)]
mod tests {
    use super::*;

    fn columns_of(sets: &[u32]) -> Columns<32> {
        let mut columns = Columns::default();

        for set in sets {
            columns.divide(*set);
        }
        columns
    }

    #[test]
    fn bits_that_come_together_are_one_column() {
        assert_eq!(columns_of(&[]).sets(), []);
        assert_eq!(columns_of(&[0]).sets(), []);
        assert_eq!(columns_of(&[0b11, 0b11]).sets(), [0b11]);
        assert_eq!(columns_of(&[0b0011, 0b1100]).sets(), [0b0011, 0b1100]);
        assert_eq!(
            columns_of(&[0b0111, 0b1110]).sets(),
            [0b0110, 0b0001, 0b1000]
        );
    }

    #[test]
    fn each_bit_may_have_its_own_column() {
        let mut columns = Columns::<32>::default();

        for bit in 0..u32::BITS {
            columns.divide(u32::MAX << bit);
        }
        assert_eq!(columns.sets().len(), 32);
        for bit in 0..u32::BITS {
            assert!(columns.sets().contains(&(1 << bit)));
        }
    }
}
