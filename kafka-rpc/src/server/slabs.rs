//! Lists of running or in-flight items. Each thread adds to its own list, so that threads do not wait for
//! each other's records.

use std::{
    cell::Cell,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use slab::Slab;

use crate::unpoisoned::Unpoisoned as _;

const LISTS: usize = 16;

/// Items in no order, each removed by the slot that it was given.
#[derive(Debug)]
pub(crate) struct Slabs<T>([Mutex<List<T>>; LISTS]);

#[derive(Debug)]
struct List<T> {
    /// Each with its number.
    items: Slab<(u64, T)>,
    inserted: u64,
}

/// Where an item is. No other item ever has the same slot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    list: usize,
    id: usize,
    number: u64,
}

impl<T> Default for Slabs<T> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(List { items: Slab::new(), inserted: 0 })))
    }
}

impl<T> Slabs<T> {
    pub(crate) fn insert(&self, item: T) -> Slot {
        let index = own_list() % LISTS;
        let mut list = self.list(index);
        list.inserted += 1;
        let number = list.inserted;
        Slot { list: index, id: list.items.insert((number, item)), number }
    }

    /// Takes an item out, unless it was taken out already.
    pub(crate) fn remove(&self, slot: Slot) -> Option<T> {
        let mut list = self.list(slot.list);
        list.items.get(slot.id).filter(|(number, _)| *number == slot.number)?;
        list.items.try_remove(slot.id).map(|(_, item)| item)
    }

    /// Visits every item, one list after another. Each list stays locked while its items are visited.
    pub(crate) fn each(&self, mut visit: impl FnMut(&mut T)) {
        for list in 0..LISTS {
            for (_, (_, item)) in &mut self.list(list).items {
                visit(item);
            }
        }
    }

    /// Visits every item, and takes out those for which `is_taken` returns true.
    #[cfg(feature = "kafka")]
    pub(crate) fn take_out(&self, mut is_taken: impl FnMut(&mut T) -> bool) -> Vec<T> {
        let mut taken = Vec::new();
        for list in 0..LISTS {
            let items = &mut self.list(list).items;
            let ids: Vec<usize> =
                items.iter_mut().filter_map(|(id, (_, item))| is_taken(item).then_some(id)).collect();
            taken.extend(ids.into_iter().filter_map(|id| items.try_remove(id)).map(|(_, item)| item));
        }
        taken
    }

    fn list(&self, list: usize) -> MutexGuard<'_, List<T>> {
        self.0[list % LISTS].lock().unpoisoned()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_of_one_item_only() {
        let slabs = Slabs::default();
        let first = slabs.insert("first");
        assert_eq!(slabs.remove(first), Some("first"));
        let second = slabs.insert("second");
        assert_eq!((first.list, first.id), (second.list, second.id), "its place is used again");
        assert_eq!(slabs.remove(first), None);
        assert_eq!(slabs.remove(second), Some("second"));
    }

    #[cfg(feature = "kafka")]
    #[test]
    fn what_is_taken_out_is_nobody_elses_any_more() {
        let slabs = Slabs::default();
        let slots = [1, 2, 3, 4].map(|item| slabs.insert(item));
        assert_eq!(slabs.take_out(|item| *item % 2 == 0), [2, 4]);
        assert_eq!(slots.map(|slot| slabs.remove(slot)), [Some(1), None, Some(3), None]);
    }
}
