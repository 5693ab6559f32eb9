//! The commits of a consumer: one at a time, on a separate thread.
//!
//! While a commit is in flight, librdkafka begins no new partition and ends no rebalance
//! (`rdkafka_assignment.c` waits until none is in flight). A member that sends the next commit before the
//! last is answered keeps both from ever happening, for as long as it has something to commit. And librdkafka
//! does not report how an asynchronous commit ended.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
};

use crate::{
    caught::caught,
    kafka, moment,
    server::{tracking::watermarks::Watermark, worker::Worker},
    unpoisoned::Unpoisoned as _,
};

/// Delay between a failed commit and the next.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Delay before a failed last commit is tried again: the group may just be rebalancing.
const LAST_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// How long a last commit is tried again while the group answers that it is rebalancing. Brokers answer so
/// until the members have synced, which is soon. The embedded broker answers so until all members have
/// rejoined, and this member rejoins only after its commit.
const REBALANCES_FOR: Duration = Duration::from_millis(500);

/// The commits of a consumer, shared by the thread that polls and the thread that commits.
#[derive(Debug, Default)]
pub(super) struct Commits {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The watermarks to commit next.
    asked: Option<Vec<Watermark>>,
    is_under_way: bool,
    /// How the last commit ended. Taken by the caller that waits for it or reports it.
    ended: Option<Result<(), Failed>>,
    failed_at: Option<Instant>,
    /// No more commits are accepted.
    is_closed: bool,
    /// The thread has let go of the consumer.
    is_gone: bool,
}

/// Why a commit failed.
#[derive(Debug)]
pub(super) struct Failed {
    /// The error code of librdkafka, for metrics.
    pub(super) code: String,
    pub(super) reason: String,
    why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// No commit of this member can work any more: other members have its partitions.
    Gone,
    Rebalances,
    Other,
}

impl Failed {
    /// A commit of which nobody knows whether it has worked.
    fn unanswered(reason: String) -> Self {
        Self { code: "Unanswered".to_owned(), reason, why: Why::Other }
    }
}

impl From<KafkaError> for Failed {
    fn from(error: KafkaError) -> Self {
        let why = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::UnknownMemberId | RDKafkaErrorCode::FencedInstanceId) => Why::Gone,
            Some(RDKafkaErrorCode::RebalanceInProgress) => Why::Rebalances,
            _ => Why::Other,
        };
        Self { code: kafka::code_of(&error), reason: error.to_string(), why }
    }
}

impl State {
    fn is_busy(&self) -> bool {
        self.asked.is_some() || self.is_under_way
    }
}

impl Commits {
    /// Starts the thread that commits.
    pub(super) fn start<C: ConsumerContext + 'static>(
        self: &Arc<Self>,
        consumer: Arc<BaseConsumer<C>>,
        worker: Arc<Worker>,
    ) -> std::io::Result<()> {
        let commits = Arc::clone(self);
        thread::Builder::new().name("kafka-rpc-commits".to_owned()).spawn(move || {
            while let Some(watermarks) = commits.next() {
                let committed = caught("the commit thread", || {
                    commit(&consumer, &worker.source, &watermarks).map_err(Failed::from)?;
                    worker.committed(&watermarks);
                    Ok(())
                });
                // Ended even after a panic: no other commit could follow one that stays under way.
                let panicked = || "the commit thread panicked; the panic message says where".to_owned();
                commits.end(committed.unwrap_or_else(|| {
                    Err(Failed { code: "Panicked".to_owned(), reason: panicked(), why: Why::Other })
                }));
            }
            // Before `is_gone` is set, so that the polling thread, which waits for that, mostly drops the
            // consumer last: the last drop closes it and runs the rebalance callback on its thread.
            drop(consumer);
            commits.lock().is_gone = true;
            commits.changed.notify_all();
        })?;
        Ok(())
    }

    /// Whether a commit may be requested: the last one has been answered and, if it failed, was
    /// [`AGAIN_AFTER`] ago.
    pub(super) fn may_ask(&self) -> bool {
        let state = self.lock();
        !state.is_busy() && state.failed_at.is_none_or(|at| at.elapsed() >= AGAIN_AFTER)
    }

    /// Requests a commit and does not wait for it.
    pub(super) fn ask(&self, watermarks: Vec<Watermark>) {
        let mut state = self.lock();
        state.ended = None;
        if !state.is_closed {
            state.asked = Some(watermarks);
            self.changed.notify_all();
        }
    }

    /// Why the last commit failed, if it did and no caller waited for it. Returned once.
    pub(super) fn failed(&self) -> Option<Failed> {
        self.lock().ended.take()?.err()
    }

    /// Commits, and waits until the commit is known to have worked, for at most `within`. Blocks.
    pub(super) fn commit_now(&self, watermarks: &[Watermark], within: Duration) -> Result<(), Failed> {
        let until = moment::after(Instant::now(), within);
        let mut rebalances_since = None;
        loop {
            // The commit in flight may cover less.
            drop(self.wait_until(until, |state| !state.is_busy()).map_err(Failed::unanswered)?);
            self.ask(watermarks.to_vec());
            let ended = self.wait_until(until, |state| state.ended.is_some() || state.is_gone);
            let mut state = ended.map_err(Failed::unanswered)?;
            match state.ended.take() {
                Some(Ok(())) => return Ok(()),
                Some(Err(failed)) => {
                    let is_over = match failed.why {
                        Why::Gone => true,
                        Why::Rebalances => {
                            rebalances_since.get_or_insert_with(Instant::now).elapsed() >= REBALANCES_FOR
                        }
                        Why::Other => false,
                    };
                    if is_over || Instant::now() + LAST_AGAIN_AFTER >= until {
                        return Err(failed);
                    }
                    drop(state);
                }
                None => return Err(Failed::unanswered("the consumer has been closed".to_owned())),
            }
            thread::sleep(LAST_AGAIN_AFTER);
        }
    }

    /// Lets the thread end once the commit in flight is answered. Returns whether that happened within
    /// `within`; otherwise the thread itself closes the consumer after the answer.
    pub(super) fn close(&self, within: Duration) -> bool {
        self.lock().is_closed = true;
        self.changed.notify_all();
        self.wait_until(Instant::now() + within, |state| state.is_gone).is_ok()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unpoisoned()
    }

    fn wait_until(
        &self,
        until: Instant,
        is_so: impl Fn(&State) -> bool,
    ) -> Result<MutexGuard<'_, State>, String> {
        let left = until.saturating_duration_since(Instant::now());
        let waited = self.changed.wait_timeout_while(self.lock(), left, |state| !is_so(state));
        let (state, timeout) = waited.unpoisoned();
        if timeout.timed_out() && !is_so(&state) {
            return Err("the group's coordinator does not answer".to_owned());
        }
        Ok(state)
    }

    /// Waits for watermarks to commit; `None` once none will come.
    fn next(&self) -> Option<Vec<Watermark>> {
        let waited = self.changed.wait_while(self.lock(), |state| state.asked.is_none() && !state.is_closed);
        let mut state = waited.unpoisoned();
        let asked = state.asked.take()?;
        state.is_under_way = true;
        Some(asked)
    }

    fn end(&self, committed: Result<(), Failed>) {
        let mut state = self.lock();
        state.is_under_way = false;
        state.failed_at = committed.is_err().then(Instant::now);
        state.ended = Some(committed);
        self.changed.notify_all();
    }
}

fn commit(
    consumer: &BaseConsumer<impl ConsumerContext>,
    topic: &str,
    watermarks: &[Watermark],
) -> Result<(), KafkaError> {
    let mut list = TopicPartitionList::with_capacity(watermarks.len());
    for Watermark { partition, offset, .. } in watermarks {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
    }
    consumer.commit(&list, CommitMode::Sync)
}

#[cfg(test)]
mod tests {
    use thread::JoinHandle;

    use super::*;

    const BOUND: Duration = Duration::from_mins(1);

    fn failed(why: Why) -> Result<(), Failed> {
        Err(Failed { code: String::new(), reason: format!("{why:?}"), why })
    }

    /// Commits to a group that gives these answers, one after the other, and then accepts every commit. The
    /// thread returns how many commits there were once they are closed.
    fn answered(answers: Vec<Result<(), Failed>>) -> (Arc<Commits>, JoinHandle<usize>) {
        let commits = Arc::<Commits>::default();
        let group = Arc::clone(&commits);
        let answered = thread::spawn(move || {
            let (mut answers, mut count) = (answers.into_iter(), 0);
            while group.next().is_some() {
                group.end(answers.next().unwrap_or(Ok(())));
                count += 1;
            }
            group.lock().is_gone = true;
            count
        });
        (commits, answered)
    }

    /// How a last commit that gets these answers ends, and how often it was tried.
    fn last(answers: Vec<Result<(), Failed>>) -> (Result<(), String>, usize) {
        let (commits, answered) = answered(answers);
        let ended = commits.commit_now(&[], BOUND).map_err(|failed| failed.reason);
        commits.close(Duration::ZERO);
        (ended, answered.join().expect("no panic"))
    }

    #[test]
    fn a_last_commit_is_tried_again_while_it_may_work() {
        assert_eq!(last(vec![]), (Ok(()), 1));
        assert_eq!(last(vec![failed(Why::Rebalances), failed(Why::Other), failed(Why::Other)]), (Ok(()), 4));
    }

    #[test]
    fn a_last_commit_is_tried_once_where_others_have_the_partitions() {
        assert_eq!(last(vec![failed(Why::Gone)]), (Err("Gone".to_owned()), 1));
    }

    #[test]
    fn a_group_that_rebalances_all_the_time_keeps_nobody_from_leaving_it() {
        let (began, rebalances) = (Instant::now(), || failed(Why::Rebalances));
        let (ended, count) = last(std::iter::repeat_with(rebalances).take(10_000).collect());
        let took = began.elapsed();
        assert_eq!(ended, Err("Rebalances".to_owned()));
        assert!(count > 1 && took < BOUND / 2, "{count} times in {took:?}");
    }

    #[test]
    fn a_commit_that_has_failed_is_told_once_and_not_followed_at_once() {
        let (commits, answered) = answered(vec![failed(Why::Other)]);
        commits.ask(Vec::new());
        drop(commits.wait_until(Instant::now() + BOUND, |state| state.ended.is_some()).expect("it ends"));
        assert!(!commits.may_ask());
        let told = || commits.failed().map(|failed| failed.reason);
        assert_eq!((told(), told()), (Some("Other".to_owned()), None));
        commits.close(Duration::ZERO);
        assert_eq!(answered.join().expect("no panic"), 1);
    }
}
