//! Runs the jobs in a few tasks, each of which runs one job after another.
//!
//! A handler that does not have to wait costs no task and no wake-up. A handler that has to wait keeps the
//! task that it is in, and another runner takes over the jobs behind it, so the handler delays none of them.
//! A handler that never yields holds one runner: there are as many runners as the runtime has threads, and
//! one more starts whenever nothing has moved for a while. (Such a handler also holds the tasks that tokio
//! lets no other thread take: the last one woken on its thread, and those that have yielded.)

use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio::task::{self, coop};

use super::hand;
use crate::{
    handler::context::Input,
    server::{
        job::{EndedJob, Job, Step, Taken},
        tracking::assigned::Start,
        worker::{State, Worker},
    },
    wire::ReceivedRecord,
};

/// How long a runner keeps its thread while handlers do not wait, beside the last of them. tokio counts the
/// jobs of a runner and lets it run 128: if handlers block their threads for a while, that may take many
/// seconds.
const TURN: Duration = Duration::from_millis(5);

/// The jobs that a runner has taken.
type Hand = hand::Hand<Taken, EndedJob>;

impl State {
    /// The next job that may run, counted as running. Drops the jobs whose partition has gone.
    fn next(&mut self) -> Option<Job> {
        while let Some(job) = self.lanes.next() {
            let Taken { record, generation, .. } = &job.item;
            match self.partitions.start(record.partition(), *generation) {
                Start::Runs => return Some(job),
                Start::Waits => self.put_aside(job),
                Start::Gone => self.lanes.finish(job.lane),
            }
        }
        None
    }

    /// Notes that a job no longer runs, without an outcome.
    pub(super) fn stop(&mut self, job: &Job) {
        let Taken { record, generation, .. } = &job.item;
        self.partitions.end(record.partition(), *generation, record.offset(), record.weight(), false);
    }

    /// Fills an empty hand with a fair share of the jobs that may run, and takes the first of them.
    fn fill(&mut self, hand: &Hand) -> Option<Job> {
        let share = self.lanes.runnable() / self.hands.most();
        let first = self.next()?;
        let mut contents = hand.contents();
        for _ in 1..contents.next_size(Instant::now()).min(share) {
            let Some(job) = self.next() else { break };
            contents.jobs.push_back(job);
        }
        contents.jobs.push_front(first);
        contents.start()
    }
}

impl Worker {
    /// Starts a runner if jobs may run and too few runners look for them. Call this after making a job ready.
    pub(crate) fn start_a_runner_if_wanted(self: &Arc<Self>) {
        let mut state = self.state();
        let has_room = state.hands.has_room();
        self.start_runner_if(has_room, &mut state);
    }

    /// Unblocks the jobs behind handlers that do not yield or take long: takes back what their runners have
    /// taken beside them, and starts one more runner if jobs are ready and none was started since the last
    /// look.
    pub(crate) fn unblock(self: &Arc<Self>) {
        let mut state = self.state();
        for hand in state.hands.stuck() {
            self.take_back(&mut state, &hand);
        }
        self.start_one_more(&mut state);
    }

    /// Starts a runner if jobs may run and no job was started since the last look, however many runners there
    /// are.
    pub(in crate::server) fn start_one_more(self: &Arc<Self>, state: &mut State) {
        let started = state.hands.started();
        // A runner that has not begun may be the task that a blocked thread lets no other thread take. There
        // is at most one such task per thread, and if all threads are blocked nothing helps.
        let hands = &state.hands;
        let is_stuck = started == state.started_before && hands.new_ones() <= hands.most();
        state.started_before = started;
        let has_room = state.hands.has_room();
        self.start_runner_if(is_stuck || has_room, state);
    }

    fn start_runner_if(self: &Arc<Self>, wanted: bool, state: &mut State) {
        if wanted && state.lanes.has_next() {
            let hand = state.hands.add(Instant::now());
            self.spawn_runner(hand);
        }
    }

    /// Takes back the jobs that were taken from the lanes and not started.
    pub(in crate::server) fn take_back_all(&self, state: &mut State) {
        let hands: Vec<Arc<Hand>> = state.hands.iter().map(Arc::clone).collect();
        for hand in hands {
            self.take_back(state, &hand);
        }
    }

    fn take_back(&self, state: &mut State, hand: &Hand) {
        let mut contents = hand.contents();
        for job in contents.jobs.drain(..) {
            state.stop(&job);
            state.lanes.put_back(job);
        }
        self.end(state, contents.ended.drain(..));
    }

    fn spawn_runner(self: &Arc<Self>, hand: Arc<Hand>) {
        self.tasks.spawn_on(Arc::clone(self).run_jobs(hand), &self.runtime);
    }

    async fn run_jobs(self: Arc<Self>, hand: Arc<Hand>) {
        let mut hand = Some(hand);
        let mut ended = None;
        let mut turn_began = Instant::now();
        let mut input = Arc::new(self.handling.input(&self.served, ReceivedRecord::blank()));
        while let Some(job) = self.next(&mut hand, ended.take()) {
            let step = self.run_or_hand_on(&job.item, &mut input, &mut hand).await;
            ended = self.conclude(job, step);
            let Some(hand) = &hand else {
                // The job has waited, and others had the thread.
                turn_began = Instant::now();
                continue;
            };
            // Noted in the hand, so that others find the ended job: only this thread can continue a task that
            // yields, and another task may block the thread before it does.
            let takes_long = hand.contents().note_ended(ended.take());
            // Handlers that never wait must not keep the thread from other tasks: not for too many jobs, and
            // not for too long.
            if takes_long && turn_began.elapsed() >= TURN {
                task::yield_now().await;
                turn_began = Instant::now();
            } else {
                coop::consume_budget().await;
            }
        }
    }

    /// Runs a job. When the job first has to wait, another runner gets the hand with its contents.
    async fn run_or_hand_on(
        self: &Arc<Self>,
        taken: &Taken,
        input: &mut Arc<Input>,
        hand: &mut Option<Arc<Hand>>,
    ) -> Step {
        let mut run = pin!(self.run_caught(taken, input));
        let step = poll_fn(|cx| {
            let polled = run.as_mut().poll(cx);
            if polled.is_pending()
                && let Some(hand) = hand.take()
            {
                self.hand_on(hand);
            }
            polled
        });
        step.await
    }

    /// Lets another runner look for jobs in place of this one, if there are any.
    fn hand_on(self: &Arc<Self>, hand: Arc<Hand>) {
        if hand.contents().jobs.is_empty() {
            let mut state = self.state();
            self.take_back(&mut state, &hand);
            if !state.lanes.has_next() {
                return state.hands.remove(&hand);
            }
        }
        self.spawn_runner(hand);
    }

    /// Takes the next job; `None` if there is none, or others take it. `ended` is the last job of a runner
    /// without a hand.
    fn next(self: &Arc<Self>, hand: &mut Option<Arc<Hand>>, ended: Option<EndedJob>) -> Option<Job> {
        if let Some(job) = hand.as_ref().and_then(|hand| hand.contents().start()) {
            return Some(job);
        }
        // The lanes are locked before a hand, never after it.
        let mut state = self.state();
        self.end(&mut state, ended);
        let own = match hand {
            Some(own) => {
                self.take_back(&mut state, own);
                own
            }
            None if !state.hands.has_room() => return None,
            None => hand.insert(state.hands.add(Instant::now())),
        };
        let next = state.fill(own);
        if next.is_none() {
            state.hands.remove(own);
        } else if own.contents().takes_one() {
            // Jobs take long: the others need not wait until the consumer thread comes round.
            let has_room = state.hands.has_room();
            self.start_runner_if(has_room, &mut state);
        }
        self.ask_for_more_if_few(&mut state);
        next
    }

    /// Does what is left to do for a job after its handler; `None` if the job ends later, elsewhere.
    fn conclude(self: &Arc<Self>, job: Job, step: Step) -> Option<EndedJob> {
        match step {
            Step::Ends(end) => Some(EndedJob::new(&job, end)),
            Step::Again(after) => {
                self.retry_after(job, after);
                None
            }
            Step::NotYet(after) => {
                self.run_when_due(job, after);
                None
            }
            Step::Reply(reply) => {
                self.send_off(job, reply);
                None
            }
        }
    }

    /// Ends jobs, and with each job its turn in its lane.
    pub(in crate::server) fn end(&self, state: &mut State, ended: impl IntoIterator<Item = EndedJob>) {
        let mut finished = 0;
        for EndedJob { lane, partition, generation, offset, weight, is_final } in ended {
            finished += usize::from(is_final);
            if state.partitions.end(partition, generation, offset, weight, is_final) {
                self.flow_has_changed();
            }
            state.lanes.finish(lane);
        }
        if finished > 0 {
            self.finished.fetch_add(finished, Ordering::Relaxed);
        }
        self.notify_drain(state);
    }
}
