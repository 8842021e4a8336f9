// SPDX-License-Identifier: GPL-2.0

//! The neighbors of a vacant entry.

use super::{Cursor, Direction, RawVacantEntry, VacantEntry};
use crate::bindings;
use core::ptr::{addr_of_mut, NonNull};

impl<K, V> RawVacantEntry<'_, K, V> {
    /// Access the node that would be the neighbor of a node that is inserted here.
    fn peek(&self, direction: Direction) -> Option<(&K, &V)> {
        let parent = NonNull::new(self.parent)?;
        // SAFETY: By the type invariants, `parent` is a valid node if it is not null.
        let is_left = unsafe { addr_of_mut!((*self.parent).rb_left) } == self.child_field_of_parent;

        // A left child is just before its parent, and a right child is just after it.
        let neighbor = match (direction, is_left) {
            (Direction::Prev, false) | (Direction::Next, true) => parent,
            // SAFETY: By the type invariants, `parent` is a valid node if it is not null.
            (Direction::Prev, true) => NonNull::new(unsafe { bindings::rb_prev(self.parent) })?,
            // SAFETY: As above.
            (Direction::Next, false) => NonNull::new(unsafe { bindings::rb_next(self.parent) })?,
        };

        // SAFETY: `neighbor` is a valid tree node, and the entry borrows the tree.
        Some(unsafe { Cursor::to_key_value(neighbor) })
    }
}

impl<K, V> VacantEntry<'_, K, V> {
    /// Access the node that is before this entry in sort order.
    pub fn peek_prev(&self) -> Option<(&K, &V)> {
        self.raw.peek(Direction::Prev)
    }

    /// Access the node that is after this entry in sort order.
    pub fn peek_next(&self) -> Option<(&K, &V)> {
        self.raw.peek(Direction::Next)
    }
}
