//! The service of orders as a process of its own, which can be killed.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
};

use uuid::Uuid;

use crate::{Cluster, process};

/// A service process, killed when dropped.
#[derive(Debug)]
pub struct Service(Child);

impl Service {
    /// Starts the program `orders-service` on a cluster.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn start(program: &str, cluster: &Cluster, journal: &Journal) -> Self {
        Self::start_with(program, cluster, journal, &[])
    }

    /// Starts the program with further properties `NAME=VALUE`.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn start_with(program: &str, cluster: &Cluster, journal: &Journal, properties: &[&str]) -> Self {
        let mut service = Command::new(program);
        service.arg(cluster.brokers()).arg(cluster.name("")).arg(&journal.0);
        // The group keeps a killed member until its session times out.
        service.args(["session.timeout.ms=6000", "heartbeat.interval.ms=500"]);
        if cluster.is_embedded() {
            // The embedded broker holds an empty fetch for the whole wait. See `EmbeddedBroker::config`.
            service.args(["fetch.wait.max.ms=1"]);
        }
        service.args(properties);
        Self(service.spawn().unwrap_or_else(|error| panic!("{program}: {error}")))
    }

    /// Kills the process as `kill -9` does.
    pub fn kill(&mut self) {
        // The process may have ended already.
        let _ended = self.0.kill().and_then(|()| self.0.wait());
    }

    /// Sends the process a signal by its name, such as `TERM`.
    ///
    /// # Panics
    ///
    /// If the signal cannot be sent.
    pub fn signal(&self, name: &str) {
        process::signal(&self.0, name).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Whether the process handles SIGTERM itself, instead of leaving it to the system.
    pub fn listens(&self) -> bool {
        const SIGTERM: u32 = 15;
        let Ok(status) = fs::read_to_string(format!("/proc/{}/status", self.0.id())) else { return false };
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
        caught & (1 << (SIGTERM - 1)) != 0
    }

    /// How the process ended, if it has.
    ///
    /// # Panics
    ///
    /// If the system does not report it.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The resident memory of the process, in bytes.
    pub fn resident(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kibibytes.map(|kibibytes| kibibytes << 10).ok_or_else(|| io::Error::other("no VmRSS"))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The file in which services note the orders they have placed. It outlives the services, and is removed when
/// dropped.
#[derive(Debug)]
pub struct Journal(PathBuf);

/// An order that was placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "named after what they are")]
pub struct Placed {
    pub number: u64,
    pub partition: i32,
    pub offset: i64,
}

impl Default for Journal {
    fn default() -> Self {
        Self::new()
    }
}

impl Journal {
    /// An empty journal.
    pub fn new() -> Self {
        Self(env::temp_dir().join(format!("orders-{}", Uuid::new_v4().simple())))
    }

    /// Lets the orders of [`RELEASED`](crate::orders::RELEASED) end.
    ///
    /// # Panics
    ///
    /// If the release file cannot be written.
    pub fn release(&self) {
        fs::write(release_of(&self.0), "").unwrap_or_else(|error| panic!("{error}"));
    }

    /// The orders that were placed, in order. An order placed twice is listed twice.
    pub fn placed(&self) -> Vec<Placed> {
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        let line = |line: &str| {
            let mut parts = line.split(' ');
            Some(Placed {
                number: parts.next()?.parse().ok()?,
                partition: parts.next()?.parse().ok()?,
                offset: parts.next()?.parse().ok()?,
            })
        };
        text.lines().filter_map(line).collect()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Files that cannot be removed stay in the temporary folder, which the system cleans.
        let _left = (fs::remove_file(&self.0), fs::remove_file(release_of(&self.0)));
    }
}

/// The file beside a journal that lets orders end once it exists.
pub fn release_of(journal: &Path) -> PathBuf {
    journal.with_extension("release")
}
