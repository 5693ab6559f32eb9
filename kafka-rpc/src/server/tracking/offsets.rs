//! How far a partition may be committed: never past an unfinished record.

use std::collections::{BTreeMap, VecDeque};

/// The offsets of one partition that were taken, and which of them are finished.
///
/// Finished offsets behind an unfinished one are kept as ranges, so memory grows with the number of gaps and
/// not with the number of records.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    /// The offset that may be committed: everything below is finished. `None` before the first record.
    watermark: Option<i64>,
    /// The first offset that was taken: everything below was committed before.
    first: i64,
    /// One past the last offset that was taken.
    next: i64,
    /// Finished ranges above the watermark, start to end (exclusive). No two of them touch.
    finished: BTreeMap<i64, i64>,
    /// The ranges of offsets above the watermark that no record has: the end of each, and its length.
    skipped: VecDeque<(i64, i64)>,
    /// The length of all `skipped` ranges together.
    skipped_in_all: i64,
}

impl Offsets {
    /// Takes a record. Returns `false` if the record lies before one that was taken.
    ///
    /// Offsets that Kafka skips (compacted records, transaction markers) will never come, so they count as
    /// finished.
    pub(crate) fn take(&mut self, offset: i64) -> bool {
        if self.watermark.is_none() {
            self.watermark = Some(offset);
            self.first = offset;
            self.next = offset;
        }
        if offset < self.next {
            return false;
        }
        if offset > self.next {
            let skipped = offset - self.next;
            self.skipped.push_back((offset, skipped));
            self.skipped_in_all += skipped;
            self.finish_range(self.next, offset);
        }
        self.next = offset + 1;
        true
    }

    /// Marks a record that was taken as finished.
    pub(crate) fn finish(&mut self, offset: i64) {
        let below = self.watermark.is_none_or(|watermark| offset < watermark);
        if !below && offset < self.next {
            self.finish_range(offset, offset + 1);
        }
    }

    fn finish_range(&mut self, mut start: i64, mut end: i64) {
        if let Some((&before, &before_end)) = self.finished.range(..=start).next_back()
            && before_end >= start
        {
            self.finished.remove(&before);
            start = before;
            end = end.max(before_end);
        }
        if let Some(after_end) = self.finished.remove(&end) {
            end = after_end;
        }
        if self.watermark == Some(start) {
            self.watermark = Some(end);
            while let Some((_, skipped)) = self.skipped.pop_front_if(|(skipped_to, _)| *skipped_to <= end) {
                self.skipped_in_all -= skipped;
            }
        } else {
            self.finished.insert(start, end);
        }
    }

    /// The offset that may be committed: everything below is finished.
    pub(crate) fn watermark(&self) -> Option<i64> {
        self.watermark
    }

    /// The offset after the last that was taken, if any was.
    pub(crate) fn position(&self) -> Option<i64> {
        self.watermark.map(|_any| self.next)
    }

    /// How many offsets lie below the watermark, and not below `committed`, or, if nothing was committed, not
    /// below the first that was taken.
    pub(crate) fn finished_since(&self, committed: Option<i64>) -> usize {
        let since = committed.unwrap_or(self.first);
        usize::try_from(self.watermark.map_or(0, |watermark| watermark - since)).unwrap_or(0)
    }

    /// How many records were taken and lie at or above the watermark: this many would be delivered again.
    pub(crate) fn uncommitted(&self) -> usize {
        let behind = self.watermark.map_or(0, |watermark| self.next - watermark - self.skipped_in_all);
        usize::try_from(behind).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(range: std::ops::Range<i64>) -> Offsets {
        let mut offsets = Offsets::default();
        for offset in range {
            assert!(offsets.take(offset));
        }
        offsets
    }

    #[test]
    fn nothing_may_be_committed_before_the_first_record() {
        assert_eq!(Offsets::default().watermark(), None);
    }

    #[test]
    fn the_watermark_never_passes_an_unfinished_record() {
        let mut offsets = taken(100..110);
        for offset in [109, 101, 103, 102, 105] {
            offsets.finish(offset);
            assert_eq!(offsets.watermark(), Some(100));
        }
        offsets.finish(100);
        assert_eq!(offsets.watermark(), Some(104));
        offsets.finish(104);
        assert_eq!(offsets.watermark(), Some(106));
        assert_eq!(offsets.uncommitted(), 4);
    }

    #[test]
    fn every_order_of_completion_ends_at_the_end() {
        // 7 is a generator of the numbers below 101, so this visits every offset once, in no order.
        let mut offsets = taken(0..100);
        let mut offset = 1;
        for _ in 0..100 {
            offset = offset * 7 % 101;
            offsets.finish(offset - 1);
        }
        assert_eq!(offsets.watermark(), Some(100));
        assert!(offsets.finished.is_empty());
    }

    #[test]
    fn neighbours_are_kept_as_one_range() {
        let mut offsets = taken(0..10_001);
        for offset in (1..=10_000).rev() {
            offsets.finish(offset);
        }
        assert_eq!(offsets.finished.len(), 1);
    }

    #[test]
    fn what_is_finished_and_not_committed_is_counted() {
        let mut offsets = taken(5..10);
        assert_eq!(Offsets::default().finished_since(None), 0);
        assert_eq!(offsets.finished_since(None), 0);
        for offset in 5..8 {
            offsets.finish(offset);
        }
        assert_eq!((offsets.finished_since(None), offsets.finished_since(Some(7))), (3, 1));
    }

    #[test]
    fn offsets_that_kafka_skips_count_as_finished() {
        let mut offsets = taken(0..2);
        assert!(offsets.take(7));
        offsets.finish(0);
        offsets.finish(1);
        assert_eq!(offsets.watermark(), Some(7));
        offsets.finish(7);
        assert_eq!(offsets.watermark(), Some(8));
    }

    #[test]
    fn offsets_that_kafka_skips_are_not_counted_as_records() {
        let mut offsets = taken(0..2);
        for offset in [1_000, 1_001, 2_000] {
            assert!(offsets.take(offset));
        }
        assert_eq!(offsets.uncommitted(), 5);
        offsets.finish(1_000);
        assert_eq!(offsets.uncommitted(), 5, "it lies behind what is not finished");
        offsets.finish(0);
        offsets.finish(1);
        assert_eq!((offsets.watermark(), offsets.uncommitted()), (Some(1_001), 2));
        offsets.finish(1_001);
        assert_eq!((offsets.watermark(), offsets.uncommitted()), (Some(2_000), 1));
        offsets.finish(2_000);
        assert_eq!((offsets.uncommitted(), offsets.skipped.len(), offsets.skipped_in_all), (0, 0, 0));
    }

    #[test]
    fn a_record_that_lies_before_one_that_was_taken_is_not_taken() {
        let mut offsets = taken(5..8);
        assert!(!offsets.take(6));
        offsets.finish(6);
        offsets.finish(6);
        offsets.finish(4);
        offsets.finish(99);
        assert_eq!(offsets.watermark(), Some(5));
    }
}
