//! The processes of a run: started, killed, frozen and stopped, each with a ledger and a log of its own.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use clap::ValueEnum as _;

use super::{
    args::RunArguments,
    caller::Tally,
    ledger::{Ledgers, Moment, RunEntry, Writer},
};
use crate::{interrupt, process::signal};

/// How long an instance may take to shut down: `drain_timeout`, time to close, and slack for a busy machine.
const STOP_WITHIN: Duration = Duration::from_mins(1);

/// How long a caller may take to see all its calls end: the longest deadline, and slack for a busy machine.
const CALLS_END_WITHIN: Duration = Duration::from_mins(1);

/// The least age of an instance that is asked to stop. Before an instance listens for SIGTERM, the signal
/// would kill it instead of shutting it down.
const SETTLES: Duration = Duration::from_secs(3);

/// A process of the run. Dropping the member kills it. If the run itself is killed, the process exits when
/// its standard input closes, unless it is frozen at that moment.
#[derive(Debug)]
struct Member {
    name: String,
    process: Child,
    started: Instant,
}

impl Member {
    fn start(command: &mut Command, ledger: &Path) -> io::Result<Self> {
        let name = ledger.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let log = File::create(ledger.with_extension("log"))?;
        // With backtraces, the deliberate panics would spend most of the machine's time on symbol lookup.
        let process = command.env("RUST_BACKTRACE", "0").stdin(Stdio::piped()).stderr(log).spawn()?;
        Ok(Self { name, process, started: Instant::now() })
    }

    /// Waits until the process has ended, and returns how unless it ended cleanly.
    fn ended(mut self, within: Duration) -> io::Result<Option<String>> {
        let until = Instant::now() + within;
        loop {
            if let Some(status) = self.process.try_wait()? {
                return Ok((!status.success()).then(|| status.to_string()));
            }
            if Instant::now() > until {
                return Ok(Some(format!("it had not ended after {within:?}")));
            }
            interrupt::sleep(Duration::from_millis(20))?;
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ended = self.process.kill().and_then(|()| self.process.wait());
    }
}

/// The instances of the service, by slot.
#[derive(Debug)]
pub(super) struct Fleet {
    brokers: String,
    arguments: RunArguments,
    ledgers: Ledgers,
    run: Arc<Writer>,
    slots: Vec<Slot>,
    started: usize,
}

#[derive(Debug)]
enum Slot {
    Empty,
    Runs(Member),
    /// An instance that was asked to stop.
    Stops(Member),
}

impl Fleet {
    /// Creates one slot more than there are instances at the start: the schedule adds one.
    pub(super) fn new(brokers: String, arguments: RunArguments, ledgers: Ledgers, run: Arc<Writer>) -> Self {
        let slots = (0..=arguments.services).map(|_| Slot::Empty).collect();
        Self { brokers, arguments, ledgers, run, slots, started: 0 }
    }

    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Starts a new instance in a slot, once the previous one has gone.
    pub(super) fn start(&mut self, slot: usize) -> io::Result<()> {
        self.clear(slot)?;
        let ledger = self.ledgers.of_service(self.started);
        self.started += 1;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("service").arg("--brokers").arg(&self.brokers).arg("--ledger").arg(&ledger);
        let protocol = self.arguments.protocol.to_possible_value().map(|value| value.get_name().to_owned());
        command.arg("--protocol").arg(protocol.unwrap_or_default()).stdout(Stdio::null());
        let member = Member::start(&mut command, &ledger)?;
        self.run.append(&RunEntry::InstanceStarted { at: Moment::now(), name: member.name.clone() })?;
        self.slots[slot] = Slot::Runs(member);
        Ok(())
    }

    /// Waits for the slot's instance if it was asked to stop, and notes it if it has died.
    fn clear(&mut self, slot: usize) -> io::Result<()> {
        match std::mem::replace(&mut self.slots[slot], Slot::Empty) {
            Slot::Empty => Ok(()),
            Slot::Stops(member) => {
                let name = member.name.clone();
                match member.ended(STOP_WITHIN)? {
                    None => Ok(()),
                    Some(how) => self.died(name, how),
                }
            }
            Slot::Runs(mut member) => match member.process.try_wait()? {
                None => {
                    self.slots[slot] = Slot::Runs(member);
                    Ok(())
                }
                Some(status) => self.died(member.name.clone(), status.to_string()),
            },
        }
    }

    fn died(&self, name: String, how: String) -> io::Result<()> {
        self.run.append(&RunEntry::InstanceDied { at: Moment::now(), name, how })
    }

    pub(super) fn kill(&mut self, slot: usize) -> io::Result<()> {
        self.clear(slot)?;
        if let Slot::Runs(member) = std::mem::replace(&mut self.slots[slot], Slot::Empty) {
            let name = member.name.clone();
            // Dropping the member kills the process as `kill -9` does.
            drop(member);
            self.run.append(&RunEntry::InstanceKilled { at: Moment::now(), name })?;
        }
        Ok(())
    }

    pub(super) fn freeze(&mut self, slot: usize) -> io::Result<()> {
        self.signal(slot, "STOP")
    }

    pub(super) fn thaw(&mut self, slot: usize) -> io::Result<()> {
        self.signal(slot, "CONT")
    }

    /// Asks an instance to shut down. The next start in its slot waits for its end.
    pub(super) fn stop(&mut self, slot: usize) -> io::Result<()> {
        if let Slot::Runs(member) = &self.slots[slot] {
            interrupt::sleep(SETTLES.saturating_sub(member.started.elapsed()))?;
        }
        self.signal(slot, "TERM")?;
        self.slots[slot] = match std::mem::replace(&mut self.slots[slot], Slot::Empty) {
            Slot::Runs(member) => Slot::Stops(member),
            other => other,
        };
        Ok(())
    }

    fn signal(&mut self, slot: usize, name: &str) -> io::Result<()> {
        self.clear(slot)?;
        match &self.slots[slot] {
            Slot::Runs(member) => signal(&member.process, name),
            Slot::Empty | Slot::Stops(_) => Ok(()),
        }
    }

    /// Lets frozen instances continue, and starts one in every slot without a running instance.
    pub(super) fn heal(&mut self) -> io::Result<()> {
        for slot in 0..self.slots.len() {
            self.thaw(slot)?;
            if !matches!(self.slots[slot], Slot::Runs(_)) {
                self.start(slot)?;
            }
        }
        Ok(())
    }

    /// Shuts all instances down at once, and waits for them.
    pub(super) fn stop_all(&mut self) -> io::Result<()> {
        for slot in 0..self.slots.len() {
            self.stop(slot)?;
        }
        for slot in 0..self.slots.len() {
            self.clear(slot)?;
        }
        Ok(())
    }
}

/// A caller process.
#[derive(Debug)]
pub(super) struct Caller {
    member: Member,
    tally: Arc<Mutex<Tally>>,
}

impl Caller {
    pub(super) fn start(
        index: u16,
        brokers: &str,
        arguments: &RunArguments,
        ledgers: &Ledgers,
    ) -> io::Result<Self> {
        let ledger: PathBuf = ledgers.of_caller(index);
        let rate = arguments.rate / u32::from(arguments.callers.max(1));
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("caller").arg("--brokers").arg(brokers).arg("--ledger").arg(&ledger);
        command.args(["--index", &index.to_string(), "--seed", &arguments.seed.to_string()]);
        command.args(["--rate", &rate.to_string(), "--in-flight", &arguments.in_flight.to_string()]);
        let mut member = Member::start(command.stdout(Stdio::piped()), &ledger)?;
        let tally = Arc::<Mutex<Tally>>::default();
        let told = Arc::clone(&tally);
        if let Some(output) = member.process.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if let Ok(new) = serde_json::from_str(&line) {
                        *told.lock().unwrap_or_else(PoisonError::into_inner) = new;
                    }
                }
            });
        }
        Ok(Self { member, tally })
    }

    pub(super) fn tally(&self) -> Tally {
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the caller to send no more commands. It exits once its calls have ended.
    pub(super) fn stop(&self) -> io::Result<()> {
        signal(&self.member.process, "TERM")
    }

    /// Waits for the caller's end, and notes it in the run's ledger unless it was clean.
    pub(super) fn ended(self, run: &Writer) -> io::Result<()> {
        let name = self.member.name.clone();
        match self.member.ended(CALLS_END_WITHIN)? {
            None => Ok(()),
            Some(how) => run.append(&RunEntry::InstanceDied { at: Moment::now(), name, how }),
        }
    }
}
