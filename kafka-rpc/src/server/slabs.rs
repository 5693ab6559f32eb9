//! What runs or is on its way, in lists by thread: each thread adds to its own, so that threads do not wait for each
//! other's records.

use std::{
    cell::Cell,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use slab::Slab;

const LISTS: usize = 16;

/// Items in no order, each removed by the place it was given.
#[derive(Debug)]
pub(crate) struct Slabs<T>([Mutex<Slab<T>>; LISTS]);

/// Where an item is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    list: usize,
    id: usize,
}

impl<T> Default for Slabs<T> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(Slab::new())))
    }
}

impl<T> Slabs<T> {
    pub(crate) fn insert(&self, item: T) -> Slot {
        let list = own_list() % LISTS;
        Slot { list, id: self.list(list).insert(item) }
    }

    /// Takes an item out, once: its place may be another's after that.
    pub(crate) fn remove(&self, slot: Slot) -> Option<T> {
        self.list(slot.list).try_remove(slot.id)
    }

    /// Visits every item, one list after another. No other is added to or taken from a list meanwhile.
    pub(crate) fn each(&self, mut visit: impl FnMut(&mut T)) {
        for list in 0..LISTS {
            for (_, item) in self.list(list).iter_mut() {
                visit(item);
            }
        }
    }

    fn list(&self, list: usize) -> MutexGuard<'_, Slab<T>> {
        self.0[list % LISTS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The list of this thread.
fn own_list() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed));
    }
    OWN.get()
}
