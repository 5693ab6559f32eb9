//! Locks that stay usable after a panic.

use std::sync::{LockResult, PoisonError};

/// Access to what a lock guards, poisoned or not.
///
/// Code that a user plugs in, above all a log subscriber, may panic while one of our locks is held. The code
/// that catches the panic makes up for what was left undone; a lock that can never be taken again would bring
/// down everything else too.
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
