//! The offsets up to which partitions may be committed: below what is unfinished, and above what is known to
//! be committed.

use super::{
    assigned::{Assigned, Generation},
    partitions::Partitions,
};

/// The offset up to which a partition may be committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Watermark {
    pub(crate) partition: i32,
    generation: Generation,
    pub(crate) offset: i64,
}

impl Watermark {
    fn due(partition: i32, own: &Assigned) -> Option<Self> {
        Some(Self { partition, generation: own.generation, offset: own.due_commit()? })
    }
}

impl Partitions {
    /// The watermarks to commit now: those that have moved.
    pub(crate) fn due_commits(&self) -> Vec<Watermark> {
        self.assigned.iter().filter_map(|(partition, own)| Watermark::due(*partition, own)).collect()
    }

    /// The watermarks of these partitions that have moved, for a last commit.
    pub(crate) fn due_commits_of(&self, partitions: &[i32]) -> Vec<Watermark> {
        let due = |partition: &i32| Watermark::due(*partition, self.assigned.get(partition)?);
        partitions.iter().filter_map(due).collect()
    }

    /// Notes that a commit has worked.
    pub(crate) fn committed(&mut self, watermarks: &[Watermark]) {
        for Watermark { partition, generation, offset } in watermarks {
            if let Some(own) = self.current_mut(*partition, *generation) {
                own.committed = own.committed.max(Some(*offset));
            }
        }
    }

    /// How many offsets of these partitions are finished, and in no commit that is known to have worked.
    pub(crate) fn finished_since_commit(&self, partitions: &[i32]) -> usize {
        let of = |own: &Assigned| own.offsets.finished_since(own.committed);
        partitions.iter().filter_map(|partition| self.assigned.get(partition)).map(of).sum()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::{
        super::partitions::tests::{assigned, finish},
        *,
    };

    /// The partitions and offsets to commit.
    pub(in super::super) fn due(partitions: &Partitions) -> Vec<(i32, i64)> {
        partitions.due_commits().iter().map(|watermark| (watermark.partition, watermark.offset)).collect()
    }

    #[test]
    fn a_watermark_is_due_until_its_commit_has_worked_in_the_generation_that_it_is_of() {
        let mut partitions = assigned();
        let old = partitions.take(0, 1_000, 1).expect("ours");
        finish(&mut partitions, old, 1_000, 1);
        let of_old = partitions.due_commits();
        let new = partitions.take(0, 0, 1).expect("a record of the new log");
        finish(&mut partitions, new, 0, 1);
        partitions.committed(&of_old);
        assert_eq!(due(&partitions), [(0, 1)], "what was committed is the old log's");
        partitions.committed(&partitions.due_commits());
        assert!(due(&partitions).is_empty() && partitions.due_commits_of(&[0]).is_empty());
    }
}
