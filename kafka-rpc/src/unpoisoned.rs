//! Locks that go on after a panic.

use std::sync::{LockResult, PoisonError};

/// What a lock guards, poisoned or not.
///
/// What panics under a lock of ours is what a user plugs in, a subscriber of logs above all. Whoever catches that sees to what it
/// has left undone; a lock that nobody could take any more would end everything else too.
pub(crate) trait Unpoisoned {
    type Guard;

    fn unpoisoned(self) -> Self::Guard;
}

impl<G> Unpoisoned for LockResult<G> {
    type Guard = G;

    fn unpoisoned(self) -> G {
        self.unwrap_or_else(PoisonError::into_inner)
    }
}
