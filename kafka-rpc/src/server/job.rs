//! A record that was taken, and what becomes of its turn.

use std::{sync::Arc, time::Duration};

use super::{
    assigned::Generation,
    lanes::{Job, Lane},
    pack::Packed,
};
use crate::wire::OutgoingRecord;

/// A record that was taken, in the assignment it was taken in.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) record: Packed,
    pub(super) generation: Generation,
    /// How often this process has tried it again.
    pub(super) retries: u32,
}

/// What a run of a record leads to.
pub(super) enum Step {
    Ends(End),
    /// Somebody waits for this: its outcome is final once it is delivered.
    Reply(Arc<OutgoingRecord>),
    /// It runs once more after this, and its lane waits for it.
    Again(Duration),
    /// It has not run: it is due after this.
    NotYet(Duration),
}

/// How a job ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Its outcome is final: its offset may be committed.
    Final,
    /// It was given up without an outcome: somebody else gets it.
    Left,
}

/// What is left of a job that has ended: what its lane and its partition are to be told.
#[derive(Debug)]
pub(super) struct EndedJob {
    pub(super) lane: Option<Lane>,
    pub(super) partition: i32,
    pub(super) generation: Generation,
    pub(super) offset: i64,
    pub(super) weight: usize,
    pub(super) is_final: bool,
}

impl EndedJob {
    pub(super) fn new(job: &Job<Taken>, end: End) -> Self {
        let Taken { record, generation, .. } = &job.item;
        Self {
            lane: job.lane,
            partition: record.partition(),
            generation: *generation,
            offset: record.offset(),
            weight: record.weight(),
            is_final: matches!(end, End::Final),
        }
    }
}
