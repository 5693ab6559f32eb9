//! A whole run: brokers, services and callers start; faults occur; everything heals and drains; the ledgers
//! are reconciled.

use std::{
    error::Error,
    fs, io,
    process::ExitCode,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::{
    args::{Arguments, Process, RunArguments},
    caller,
    contract::{DEAD_LETTERS, REPLIES, TOPIC},
    fleet::{Caller, Fleet},
    ledger::{Ledgers, Moment, RunEntry, Writer},
    log::Log,
    reconcile::reconcile,
    report::Report,
    schedule::{self, Act, Fault, How, Target},
    service,
};
use crate::{BOUND, Cluster, cluster::Brokers, interrupt};

const BROKERS: usize = 3;

/// How often the progress of the run is printed.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// How many answers each caller must get after the last fault: seconds of load.
const ANSWERED_AFTERWARDS: u64 = 1_000;

/// How long the group may take to finish the remaining records once everything has healed.
const DRAIN_WITHIN: Duration = Duration::from_mins(3);

/// Does what the command line says. The exit code is non-zero if the run found a violation.
pub fn main(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    match &arguments.process {
        Some(Process::Service(arguments)) => service::run(arguments).map(|()| ExitCode::SUCCESS),
        Some(Process::Caller(arguments)) => caller::run(arguments).map(|()| ExitCode::SUCCESS),
        None => Ok(run(&arguments.run)?),
    }
}

fn run(arguments: &RunArguments) -> io::Result<ExitCode> {
    interrupt::listen()?;
    let folder = arguments
        .ledger
        .clone()
        .unwrap_or_else(|| std::env::temp_dir().join(format!("kafka-rpc-chaos-{}", Uuid::new_v4().simple())));
    let ledgers = Ledgers::create(&folder)?;
    println!("the ledger: {}", ledgers.folder().display());
    let ledger = Arc::new(Writer::append_to(&ledgers.of_run())?);
    let protocol = format!("{:?}", arguments.protocol);
    ledger.append(&RunEntry::Began {
        at: Moment::now(),
        seed: arguments.seed,
        protocol: protocol.clone(),
    })?;

    println!("starting {BROKERS} brokers");
    let mut brokers = Brokers::start(BROKERS)?;
    make_topics(&brokers, arguments.partitions)?;
    let addresses = brokers.addresses();
    let mut fleet = Fleet::new(addresses.clone(), arguments.clone(), ledgers.clone(), Arc::clone(&ledger));
    for slot in 0..fleet.slots() - 1 {
        fleet.start(slot)?;
    }
    let callers = (0..arguments.callers)
        .map(|index| Caller::start(index, &addresses, arguments, &ledgers))
        .collect::<io::Result<Vec<_>>>()?;
    let board = Board::new(callers, &ledger);
    board.wait_for_answers(1)?;

    println!("faults for {} min: seed {}, protocol {protocol}", arguments.minutes, arguments.seed);
    board.faults(arguments, &mut brokers, &mut fleet)?;
    ledger.append(&RunEntry::Over { at: Moment::now() })?;
    println!("faults are over; draining");
    brokers.wait_until_in_sync()?;
    fleet.heal()?;
    // Calls must succeed again after the faults, not only end.
    board.wait_for_answers(ANSWERED_AFTERWARDS)?;
    board.finish_calls()?;
    let log = Log::of(&addresses)?;
    wait_until_drained(&log, arguments.partitions)?;
    fleet.stop_all()?;
    interrupt::check()?;
    log.write(arguments.partitions, &Writer::append_to(&ledgers.of_log())?)?;
    drop((log, brokers));

    interrupt::check()?;
    println!("reconciling");
    let evidence = ledgers.read()?;
    evidence.proves_something()?;
    let verdict = reconcile(&evidence);
    let title = format!(
        "chaos: {} min, seed {}, {protocol}, {} callers, {} services, {} commands/s",
        arguments.minutes, arguments.seed, arguments.callers, arguments.services, arguments.rate
    );
    let report = |in_full| Report { title: title.clone(), verdict: &verdict, in_full }.to_string();
    fs::write(ledgers.folder().join("verdict.md"), report(true))?;
    println!("\n{}\nthe ledger: {}", report(false), ledgers.folder().display());
    Ok(if verdict.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn make_topics(brokers: &Brokers, partitions: u16) -> io::Result<()> {
    let cluster = Cluster::of(brokers);
    tokio::runtime::Runtime::new()?.block_on(async {
        cluster.create_topic(TOPIC, partitions).await;
        cluster.create_topic(REPLIES, 3).await;
        cluster.create_topic(DEAD_LETTERS, 1).await;
    });
    Ok(())
}

/// Waits until every record in the log is committed. Records that are not committed in time show in the
/// verdict.
fn wait_until_drained(log: &Log, partitions: u16) -> io::Result<()> {
    let until = Instant::now() + DRAIN_WITHIN;
    while Instant::now() < until {
        match log.committed(partitions) {
            Ok(partitions) if partitions.values().all(|(committed, end)| committed == end) => return Ok(()),
            Ok(partitions) => {
                let left: i64 = partitions.values().map(|(committed, end)| end - committed).sum();
                println!("{left} records are not committed yet");
            }
            Err(error) => println!("the committed offsets cannot be read: {error}"),
        }
        interrupt::sleep(Duration::from_secs(1))?;
    }
    Ok(())
}

/// The progress of a run, printed every few seconds.
struct Board<'a> {
    callers: Vec<Caller>,
    ledger: &'a Writer,
    started: Instant,
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    faults: usize,
    last: String,
}

impl<'a> Board<'a> {
    fn new(callers: Vec<Caller>, ledger: &'a Writer) -> Self {
        Self { callers, ledger, started: Instant::now(), said: Mutex::default() }
    }

    fn tell(&self) {
        let (mut sent, mut answered, mut failed) = (0, 0, 0);
        for tally in self.callers.iter().map(Caller::tally) {
            sent += tally.sent;
            answered += tally.answered;
            failed += tally.failed;
        }
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        println!(
            "{:>4} s: {sent} commands, {answered} answered, {failed} errors, {} in flight; {} faults, last: {}",
            self.started.elapsed().as_secs(),
            sent.saturating_sub(answered + failed),
            said.faults,
            if said.last.is_empty() { "none" } else { &said.last },
        );
    }

    /// Waits until each caller has had `more` further answers. Faults begin, and callers stop, only while
    /// calls succeed.
    fn wait_for_answers(&self, more: u64) -> io::Result<()> {
        let until = Instant::now() + BOUND;
        let answered = || self.callers.iter().map(|caller| caller.tally().answered);
        let wanted: Vec<u64> = answered().map(|before| before + more).collect();
        while !answered().zip(&wanted).all(|(answered, wanted)| answered >= *wanted) {
            if Instant::now() > until {
                return Err(io::Error::other(format!(
                    "not each caller has had {more} more answers within {BOUND:?}: see the processes' logs"
                )));
            }
            interrupt::sleep(Duration::from_millis(100))?;
        }
        Ok(())
    }

    /// Runs the faults of brokers and those of services, each on a thread, until the time is up and the last
    /// fault of a broker is over.
    fn faults(&self, arguments: &RunArguments, brokers: &mut Brokers, fleet: &mut Fleet) -> io::Result<()> {
        let started = Instant::now();
        let lasts = Duration::from_mins(arguments.minutes);
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let of_brokers = scope.spawn(|| self.broker_faults(arguments.seed, started + lasts, brokers));
            let of_services = scope.spawn(|| self.service_faults(arguments.seed, started, lasts, fleet));
            scope.spawn(|| {
                while !over.load(Ordering::Acquire) {
                    self.tell();
                    thread::park_timeout(TELL_EVERY);
                }
            });
            let ended = [of_brokers, of_services].map(thread::ScopedJoinHandle::join);
            over.store(true, Ordering::Release);
            ended.into_iter().try_for_each(|ended| {
                ended.unwrap_or_else(|_panic| Err(io::Error::other("a thread of faults panicked")))
            })
        })
    }

    fn broker_faults(&self, seed: u64, until: Instant, brokers: &mut Brokers) -> io::Result<()> {
        for planned in schedule::brokers(seed, BROKERS) {
            let left = until.saturating_duration_since(Instant::now());
            if left < planned.pause {
                break;
            }
            interrupt::sleep(planned.pause)?;
            let broker = planned.broker;
            let fault = Fault { target: Target::Broker(broker), how: planned.how };
            self.begin(fault)?;
            match planned.how {
                How::Kill => brokers.kill(broker)?,
                How::Freeze => brokers.freeze(broker)?,
                How::Stop | How::Add => brokers.stop(broker)?,
            }
            interrupt::sleep(planned.lasts)?;
            match planned.how {
                How::Freeze => brokers.thaw(broker)?,
                How::Kill | How::Stop | How::Add => brokers.restart(broker)?,
            }
            brokers.wait_until_in_sync()?;
            self.end(fault)?;
        }
        Ok(())
    }

    fn service_faults(
        &self,
        seed: u64,
        started: Instant,
        lasts: Duration,
        fleet: &mut Fleet,
    ) -> io::Result<()> {
        for step in schedule::services(seed, fleet.slots()).take_while(|step| step.at < lasts) {
            interrupt::sleep((started + step.at).saturating_duration_since(Instant::now()))?;
            let slot = step.slot;
            let fault = |how| Fault { target: Target::Service(slot), how };
            match step.act {
                Act::Begin(how) => {
                    self.begin(fault(how))?;
                    match how {
                        How::Kill => fleet.kill(slot)?,
                        How::Freeze => fleet.freeze(slot)?,
                        How::Stop | How::Add => fleet.stop(slot)?,
                    }
                }
                Act::End(how) => {
                    match how {
                        How::Freeze => fleet.thaw(slot)?,
                        How::Kill | How::Stop => fleet.start(slot)?,
                        How::Add => {
                            self.begin(fault(how))?;
                            fleet.start(slot)?;
                        }
                    }
                    self.end(fault(how))?;
                }
            }
        }
        Ok(())
    }

    fn begin(&self, fault: Fault) -> io::Result<()> {
        {
            let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            said.faults += 1;
            said.last = fault.to_string();
        }
        self.ledger.append(&RunEntry::Fault { at: Moment::now(), fault })
    }

    fn end(&self, fault: Fault) -> io::Result<()> {
        self.ledger.append(&RunEntry::Healed { at: Moment::now(), fault })
    }

    /// Stops the callers, and waits until their calls have ended.
    fn finish_calls(self) -> io::Result<()> {
        for caller in &self.callers {
            caller.stop()?;
        }
        for caller in self.callers {
            caller.ended(self.ledger)?;
        }
        Ok(())
    }
}
