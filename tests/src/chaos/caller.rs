//! A caller: it sends commands at a steady rate, and writes down what it sends and how each call ends.

use std::{
    collections::HashMap,
    error::Error,
    future::{Future, poll_fn},
    io::{self, Write as _},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use kafka_rpc::{CallError, Client, Config, Progress, Runtime};
use serde::{Deserialize, Serialize};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::Semaphore,
    time::{self, MissedTickBehavior},
};

use super::{
    args::CallerArguments,
    contract::{ChaosClient as _, Task, Work},
    ledger::{CallerEntry, Moment, Outcome, Reached, Writer},
    observe,
};
use crate::process::end_with_parent;

/// The number of keys that a caller uses. Each key is ordered independently.
const KEYS: usize = 500;

/// The timeout of most calls, and below it that of the few that are in a hurry.
const PATIENCE: Duration = Duration::from_secs(30);
const HURRY: Duration = Duration::from_secs(2);

/// The interval at which commands are sent: each tick sends as many as the rate asks for.
const EVERY: Duration = Duration::from_millis(10);

/// What a caller reports while it runs: one line of JSON a second.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) sent: u64,
    pub(super) answered: u64,
    pub(super) failed: u64,
}

#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
}

impl Counters {
    fn tally(&self) -> Tally {
        Tally {
            sent: self.sent.load(Ordering::Relaxed),
            answered: self.answered.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }
}

/// Calls until SIGTERM, and then until every call has ended.
pub(super) fn run(arguments: &CallerArguments) -> Result<(), Box<dyn Error>> {
    end_with_parent();
    observe::install(None);
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    tokio.block_on(async {
        let config = Config::new(&arguments.brokers)
            .client_id("chaos-caller")
            .call_timeout(PATIENCE)
            .connection_timeout(Duration::from_secs(30));
        let running =
            Runtime::builder().config(config).without_registry().client_only().build()?.start().await?;
        let load = Load::new(arguments, running.client())?;
        let ended = load.send().await;
        running.shutdown().await?;
        ended
    })
}

struct Load {
    client: Client,
    ledger: Arc<Writer>,
    counters: Arc<Counters>,
    /// Places for commands in flight.
    places: Arc<Semaphore>,
    in_flight: u32,
    per_second: u32,
    commands: Commands,
}

impl Load {
    fn new(arguments: &CallerArguments, client: Client) -> io::Result<Self> {
        let in_flight = u32::try_from(arguments.in_flight).unwrap_or(u32::MAX);
        Ok(Self {
            client,
            ledger: Arc::new(Writer::append_to(&arguments.ledger)?),
            counters: Arc::default(),
            places: Arc::new(Semaphore::new(arguments.in_flight)),
            in_flight,
            per_second: arguments.rate,
            commands: Commands::new(arguments.seed, arguments.index),
        })
    }

    async fn send(mut self) -> Result<(), Box<dyn Error>> {
        let mut stop = signal(SignalKind::terminate())?;
        let mut ticks = time::interval(EVERY);
        // Commands that could not be sent while the cluster stood still are sent afterwards.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut told = time::interval(Duration::from_secs(1));
        let mut due = 0.0;
        loop {
            tokio::select! {
                biased;
                _ = stop.recv() => break,
                _ = told.tick() => self.tell()?,
                _ = ticks.tick() => {
                    due += f64::from(self.per_second) * EVERY.as_secs_f64();
                    while due >= 1.0 {
                        tokio::select! {
                            biased;
                            _ = stop.recv() => return self.finish().await,
                            _ = told.tick() => self.tell()?,
                            place = Arc::clone(&self.places).acquire_owned() => {
                                due -= 1.0;
                                self.send_one(place?).await?;
                            }
                        }
                    }
                }
            }
        }
        self.finish().await
    }

    /// Waits until every call has ended.
    async fn finish(self) -> Result<(), Box<dyn Error>> {
        let mut told = time::interval(Duration::from_secs(1));
        let all = self.places.acquire_many(self.in_flight);
        let mut all = std::pin::pin!(all);
        loop {
            tokio::select! {
                ended = &mut all => { let _none_in_flight = ended?; break }
                _ = told.tick() => self.tell()?,
            }
        }
        self.tell()?;
        self.ledger.append(&CallerEntry::Stopped { at: Moment::now() })?;
        Ok(())
    }

    fn tell(&self) -> io::Result<()> {
        let mut line = serde_json::to_vec(&self.counters.tally())?;
        line.push(b'\n');
        io::stdout().write_all(&line)
    }

    async fn send_one(&mut self, place: tokio::sync::OwnedSemaphorePermit) -> io::Result<()> {
        let Command { work, patience, notify } = self.commands.next();
        let id = work.id;
        let call = self.client.work(work.clone()).timeout(patience);
        let mut call: Pin<Box<dyn Future<Output = Outcome> + Send>> = if notify {
            let call = call.notify();
            Box::pin(async { call.await.map_or_else(failed, |()| Outcome::Taken) })
        } else {
            Box::pin(async { call.await.map_or_else(failed, |worked| Outcome::Answered { sum: worked.sum }) })
        };
        let at = Moment::now();
        self.ledger.append(&CallerEntry::Sent { at, deadline: at.plus(patience), notify, work })?;
        self.counters.sent.fetch_add(1, Ordering::Relaxed);
        // The first poll of a call sends it. Polling here, one call after another, sends the commands of one
        // key in order.
        let first = poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await;
        let (ledger, counters) = (Arc::clone(&self.ledger), Arc::clone(&self.counters));
        let end = move |outcome: Outcome| {
            let is_answered = matches!(outcome, Outcome::Answered { .. } | Outcome::Taken);
            let counter = if is_answered { &counters.answered } else { &counters.failed };
            counter.fetch_add(1, Ordering::Relaxed);
            let noted = ledger.append(&CallerEntry::Ended { at: Moment::now(), id, outcome });
            drop(place);
            noted
        };
        match first {
            Poll::Ready(outcome) => end(outcome),
            Poll::Pending => {
                tokio::spawn(async move {
                    if let Err(error) = end(call.await) {
                        // Without this entry the rest of the run could not be judged.
                        tracing::error!(%error, "the ledger cannot be written");
                        std::process::abort();
                    }
                });
                Ok(())
            }
        }
    }
}

fn failed(error: CallError) -> Outcome {
    match error {
        CallError::Remote(error) => Outcome::Remote {
            status: error.status().as_u16(),
            name: error.name().to_owned(),
            code: error.code().map(str::to_owned),
        },
        CallError::DeadlineExceeded { progress, .. } => Outcome::Deadline { progress: reached(progress) },
        CallError::Undeliverable { progress, reason, .. } => {
            Outcome::Undeliverable { progress: reached(progress), reason }
        }
        CallError::Overloaded { .. } => Outcome::Overloaded,
        CallError::ShuttingDown { .. } => Outcome::ShuttingDown,
        CallError::Decode { reason, .. } => Outcome::Decode { reason },
        other => Outcome::Invalid { reason: other.to_string() },
    }
}

fn reached(progress: Progress) -> Reached {
    match progress {
        Progress::NotSent => Reached::NotSent,
        Progress::Acknowledged => Reached::Acknowledged,
        Progress::Unknown => Reached::Unknown,
    }
}

/// The endless sequence of a caller's commands.
struct Commands {
    random: fastrand::Rng,
    caller: u16,
    sent: u64,
    numbers: HashMap<String, u64>,
}

struct Command {
    work: Work,
    patience: Duration,
    notify: bool,
}

impl Commands {
    fn new(seed: u64, caller: u16) -> Self {
        let random = fastrand::Rng::with_seed(seed.wrapping_mul(31).wrapping_add(u64::from(caller)));
        Self { random, caller, sent: 0, numbers: HashMap::new() }
    }

    fn next(&mut self) -> Command {
        self.sent += 1;
        let key = format!("c{}k{}", self.caller, self.random.usize(..KEYS));
        let number = self.numbers.entry(key.clone()).or_default();
        *number += 1;
        let work = Work {
            id: u64::from(self.caller) * 1_000_000_000 + self.sent,
            number: *number,
            key,
            task: Task::random(&mut self.random),
        };
        let patience = if self.random.u8(..100) < 5 { HURRY } else { PATIENCE };
        Command { work, patience, notify: self.random.u8(..100) < 5 }
    }
}
