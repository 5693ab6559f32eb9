//! Partitions that are held by records whose deliveries do not work.

use super::{assigned::Generation, partitions::Partitions};

impl Partitions {
    /// Holds a partition for a record that waits for a delivery to work again, and does not count as running
    /// meanwhile.
    pub(crate) fn hold(&mut self, partition: i32, generation: Generation) {
        if let Some(own) = self.same_assignment_mut(partition, generation) {
            own.held += usize::from(own.generation == generation);
            own.running = own.running.saturating_sub(1);
        }
    }

    /// Releases a partition that was held: the record counts as running again.
    pub(crate) fn release(&mut self, partition: i32, generation: Generation) {
        if let Some(own) = self.same_assignment_mut(partition, generation) {
            own.held = own.held.saturating_sub(usize::from(own.generation == generation));
            own.running += 1;
        }
    }

    /// How many partitions are held.
    pub(crate) fn held(&self) -> usize {
        self.assigned.values().filter(|own| own.held > 0).count()
    }
}
