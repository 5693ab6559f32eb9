//! The ledgers: what every process of a run writes down, outside of Kafka.
//!
//! Each process has a file, and each entry is a line, written at once to a file open for appending. So an
//! entry is in the file before its handler continues, and a `kill -9` can tear only the last line.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{contract::Work, schedule::Fault};

/// A moment, in microseconds of the wall clock. All processes of a run are on one machine and share that
/// clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Moment(pub(super) u64);

impl Moment {
    pub(super) fn now() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    pub(super) fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }

    /// The time since `earlier`; zero if this moment is before it.
    pub(super) fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// The place of a record in a topic: the topic of commands, unless stated otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) partition: i32,
    pub(super) offset: i64,
}

/// An entry in the ledger of a caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CallerEntry {
    /// A command is about to be sent.
    Sent { at: Moment, deadline: Moment, notify: bool, work: Work },
    /// A call has ended for the caller.
    Ended { at: Moment, id: u64, outcome: Outcome },
    /// Every call has ended, and nothing more is sent.
    Stopped { at: Moment },
}

/// How a call ended for its caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Answered {
        sum: u64,
    },
    /// The broker has acknowledged a call that waits for no answer.
    Taken,
    Remote {
        status: u16,
        name: String,
        code: Option<String>,
    },
    Deadline {
        progress: Reached,
    },
    Undeliverable {
        progress: Reached,
        reason: String,
    },
    Overloaded,
    ShuttingDown,
    Invalid {
        reason: String,
    },
    Decode {
        reason: String,
    },
}

/// How far a request had got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reached {
    NotSent,
    Acknowledged,
    Unknown,
}

/// An entry in the ledger of an instance of the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ServiceEntry {
    /// An assignment of each of these partitions begins.
    Assigned { at: Moment, partitions: Vec<i32> },
    /// The assignments of these partitions end: lost, or given up cleanly.
    Revoked { at: Moment, partitions: Vec<i32>, lost: bool },
    /// Records that were finished in these partitions could not be committed.
    NotCommitted { at: Moment, partitions: Vec<i32> },
    /// A handler starts.
    Started { at: Moment, place: Place, id: u64, key: String, number: u64 },
    /// A handler has ended.
    Ended { at: Moment, place: Place, id: u64, how: HandlerEnd },
    /// A record, or the reply to it, was dropped because its deadline had passed.
    Expired { at: Moment, place: Place },
    /// The instance has shut down cleanly.
    Stopped { at: Moment },
}

/// How a handler ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum HandlerEnd {
    Done,
    Refused,
    Failed,
    Panicked,
}

/// An entry in the ledger of the run itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RunEntry {
    Began {
        at: Moment,
        seed: u64,
        protocol: String,
    },
    /// A fault of a broker or a service begins.
    Fault {
        at: Moment,
        fault: Fault,
    },
    /// The fault is over.
    Healed {
        at: Moment,
        fault: Fault,
    },
    InstanceStarted {
        at: Moment,
        name: String,
    },
    InstanceKilled {
        at: Moment,
        name: String,
    },
    /// A process ended unasked, or failed when asked to stop.
    InstanceDied {
        at: Moment,
        name: String,
        how: String,
    },
    /// The time of faults is over.
    Over {
        at: Moment,
    },
}

/// An entry of what Kafka held at the end of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LogEntry {
    Command {
        place: Place,
        id: u64,
    },
    /// A dead letter; `place` is the place of its command.
    DeadLetter {
        place: Place,
        id: u64,
        status: String,
    },
    /// A reply; `place` is in the topic of replies, and `id` names the command that the reply answers, if
    /// any.
    Reply {
        place: Place,
        id: Option<u64>,
    },
    /// The committed offset of a partition, and its end offset.
    Committed {
        partition: i32,
        committed: i64,
        end: i64,
    },
}

/// The folder of a run's ledgers.
#[derive(Debug, Clone)]
pub(super) struct Ledgers(PathBuf);

const CALLER: &str = "caller-";
const SERVICE: &str = "service-";
const RUN: &str = "run";
const LOG: &str = "log";

impl Ledgers {
    /// Creates the folder, which must not exist yet: the ledgers of two runs would be judged as one.
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        if let Some(parent) = folder.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::create_dir(folder).map_err(|error| io::Error::other(format!("{}: {error}", folder.display())))?;
        Ok(Self(folder.canonicalize()?))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.0
    }

    pub(super) fn of_caller(&self, index: u16) -> PathBuf {
        self.file(&format!("{CALLER}{index}"))
    }

    /// The ledger of an instance of the service; instances are numbered in the order of their starts.
    pub(super) fn of_service(&self, instance: usize) -> PathBuf {
        self.file(&format!("{SERVICE}{instance:03}"))
    }

    pub(super) fn of_run(&self) -> PathBuf {
        self.file(RUN)
    }

    pub(super) fn of_log(&self) -> PathBuf {
        self.file(LOG)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.jsonl"))
    }

    /// Reads all ledgers of the run.
    pub(super) fn read(&self) -> io::Result<Evidence> {
        let mut evidence =
            Evidence { run: read(&self.of_run())?, log: read(&self.of_log())?, ..Evidence::default() };
        for file in fs::read_dir(&self.0)? {
            let path = file?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".jsonl")) else {
                continue;
            };
            if name.starts_with(CALLER) {
                evidence.callers.insert(name.to_owned(), read(&path)?);
            } else if name.starts_with(SERVICE) {
                evidence.services.insert(name.to_owned(), read(&path)?);
            }
        }
        Ok(evidence)
    }
}

/// All ledgers of a run, by process name.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    pub(super) run: Vec<RunEntry>,
    pub(super) callers: BTreeMap<String, Vec<CallerEntry>>,
    pub(super) services: BTreeMap<String, Vec<ServiceEntry>>,
    pub(super) log: Vec<LogEntry>,
}

impl Evidence {
    /// Fails if instances have stopped cleanly and yet no ledger has a clean revocation: then no overlap
    /// could be recognised as a violation.
    pub(super) fn proves_something(&self) -> io::Result<()> {
        let any = |told: fn(&ServiceEntry) -> bool| self.services.values().flatten().any(told);
        let has_stopped = any(|entry| matches!(entry, ServiceEntry::Stopped { .. }));
        let gives_up = any(|entry| matches!(entry, ServiceEntry::Revoked { lost: false, .. }));
        if has_stopped && !gives_up {
            return Err(io::Error::other(
                "instances have stopped in good order, and none has given anything up: the words of the runtime's log are \
                 others than those that are looked for, so no overlap would be one",
            ));
        }
        Ok(())
    }
}

/// The ledger of a process, open for appending.
#[derive(Debug)]
pub(super) struct Writer(File);

impl Writer {
    pub(super) fn append_to(path: &Path) -> io::Result<Self> {
        File::options().create(true).append(true).open(path).map(Self)
    }

    /// Appends an entry, which is in the file when this returns.
    pub(super) fn append(&self, entry: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        (&self.0).write_all(&line)
    }
}

/// Reads a ledger, without a last line that a kill has torn.
fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Vec<T>> {
    let text = fs::read_to_string(path)?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let entry = |(index, line): (usize, &str)| {
        serde_json::from_str(line)
            .map_err(|error| io::Error::other(format!("{}:{}: {error}", path.display(), index + 1)))
    };
    whole.lines().enumerate().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use std::env;

    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_was_written_is_read_and_a_torn_line_is_left_out() {
        let path = env::temp_dir().join(format!("ledger-{}", Uuid::new_v4().simple()));
        let entries = [
            ServiceEntry::Assigned { at: Moment(1), partitions: vec![0, 2] },
            ServiceEntry::Expired { at: Moment(2), place: Place { partition: 0, offset: 7 } },
        ];
        for entry in &entries {
            // Each entry is appended by a writer of its own, as two processes would do.
            Writer::append_to(&path).and_then(|ledger| ledger.append(entry)).expect("it is written");
        }
        File::options()
            .append(true)
            .open(&path)
            .expect("it is there")
            .write_all(b"{\"sto")
            .expect("it is torn");
        assert_eq!(read::<ServiceEntry>(&path).expect("it is read"), entries);
        fs::remove_file(&path).expect("it is there");
    }

    #[test]
    fn a_run_proves_nothing_where_no_assignment_is_seen_to_end() {
        let evidence = |entries: &[ServiceEntry]| Evidence {
            services: [("service-000".to_owned(), entries.to_vec())].into(),
            ..Evidence::default()
        };
        let (stopped, at) = (ServiceEntry::Stopped { at: Moment(3) }, Moment(2));
        let revoked = |lost| ServiceEntry::Revoked { at, partitions: vec![0], lost };
        assert!(evidence(&[revoked(false), stopped.clone()]).proves_something().is_ok());
        assert!(evidence(&[revoked(true), stopped.clone()]).proves_something().is_err());
        assert!(evidence(&[stopped]).proves_something().is_err());
    }

    #[test]
    fn a_folder_that_is_there_is_not_written_to() {
        let folder = env::temp_dir().join(format!("ledgers-{}", Uuid::new_v4().simple()));
        Ledgers::create(&folder).expect("it is made");
        let error = Ledgers::create(&folder).expect_err("it is there").to_string();
        assert!(error.contains("ledgers-"), "{error}");
        fs::remove_dir(&folder).expect("it is empty");
    }

    #[test]
    fn a_line_in_the_middle_that_cannot_be_read_is_an_error_that_names_it() {
        let path = env::temp_dir().join(format!("ledger-{}", Uuid::new_v4().simple()));
        fs::write(&path, "{\"stopped\":{\"at\":1}}\nnonsense\n").expect("it is written");
        let error = read::<ServiceEntry>(&path).expect_err("nonsense").to_string();
        assert!(error.contains(":2:"), "{error}");
        fs::remove_file(&path).expect("it is there");
    }
}
