//! A record that was taken, and how its turn ends.

use std::{sync::Arc, time::Duration};

use super::{
    consuming::pack::Packed,
    running::lanes::{self, Lane},
    tracking::assigned::Generation,
};
use crate::wire::OutgoingRecord;

/// A record that was taken, with the generation that it was taken in.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) record: Packed,
    pub(super) generation: Generation,
    /// How often this process has retried the record.
    pub(super) retries: u32,
}

/// A record that was taken, with its lane.
pub(super) type Job = lanes::Job<Taken>;

/// What a run of a record leads to.
pub(super) enum Step {
    Ends(End),
    /// Somebody waits for this: the outcome of the record is final once it is delivered.
    Reply(OwedReply),
    /// The record runs once more after this time, and its lane waits for it.
    Again(Duration),
    /// The record has not run: it is due after this time.
    NotYet(Duration),
}

impl From<End> for Step {
    fn from(end: End) -> Self {
        Self::Ends(end)
    }
}

/// A reply that is to be sent.
#[derive(Debug)]
pub(super) struct OwedReply {
    pub(super) record: Arc<OutgoingRecord>,
    /// What became of the dead letter that was sent before, if there was one.
    pub(super) letter: Option<Letter>,
}

/// What became of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Letter {
    Delivered,
    /// The broker refused it for good.
    Lost,
}

/// How a job ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The record's outcome is final: its offset may be committed.
    Final,
    /// The record was given up without an outcome: it is delivered again, mostly to another instance.
    Left,
}

/// What the lane and the partition of a job that has ended need to know of it.
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
    pub(super) fn new(job: &Job, end: End) -> Self {
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
