//! An instance that calls, as a separate process: the code that it runs, and the handle through which the
//! main process controls it.
//!
//! The instance prints [`READY`] after its first calls, makes the measured calls after [`GO`], prints
//! [`CALLED`], keeps reading the replies to others, and prints what it has [`Seen`] after [`END`].

use std::{env, process::Stdio, sync::atomic::AtomicU64};

use anyhow::{Context as _, ensure};
use kafka_rpc::{Config, ReplyReading, Runtime};
use serde::{Deserialize, Serialize};
use tests::{BOUND, counted};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time,
};

use crate::{
    measure::{Sample, Used},
    memory::{answered, calls_with},
};

/// The measured calls of an instance, and how many of them are in flight at a time.
pub(crate) const CALLS: u64 = 2_000;
pub(crate) const IN_FLIGHT: u64 = 16;

/// The calls before the measured ones: they open the connections and position the reply consumer.
const WARM_UP: u64 = 64;

pub(crate) const READY: &str = "ready";
pub(crate) const GO: &str = "go";
pub(crate) const CALLED: &str = "called";
pub(crate) const END: &str = "end";

/// What an instance has read and used from [`GO`] to [`END`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// The records that the instance has read from the reply topic, its own and those of others.
    pub(crate) records: u64,
    /// Processor time for each call that the instance makes.
    pub(crate) cpu_micros_per_call: f64,
}

/// Runs the calling process.
pub(crate) async fn call_as_told(prefix: String, own_partition: bool) -> anyhow::Result<()> {
    counted::record();
    let reading = if own_partition { ReplyReading::OwnPartition } else { ReplyReading::AllPartitions };
    let runtime = Runtime::builder()
        .config(Config::from_env()?)
        .client_only()
        .map_topics(move |topic| format!("{prefix}{topic}"))
        .reply_reading(reading)
        .build()?;
    let running = runtime.start().await?;
    let client = running.client();
    calls_with(&client, WARM_UP, IN_FLIGHT, answered, &AtomicU64::new(0)).await?;

    let mut told = BufReader::new(tokio::io::stdin()).lines();
    println!("{READY}");
    expect(&mut told, GO).await?;
    let (from, read) = (Used::now(), replies_read());
    calls_with(&client, CALLS, IN_FLIGHT, answered, &AtomicU64::new(0)).await?;
    println!("{CALLED}");
    expect(&mut told, END).await?;
    let used = Sample::between(&from, &Used::now(), CALLS)?;
    let seen = Seen { records: replies_read() - read, cpu_micros_per_call: used.cpu_micros_per_call };
    println!("{}", serde_json::to_string(&seen)?);
    Ok(running.shutdown().await?)
}

/// Returns the number of replies read: each one either ends a call of this process or is dropped.
fn replies_read() -> u64 {
    counted("kafka_rpc_calls_total", &[("outcome", "replied")])
        + counted("kafka_rpc_replies_dropped_total", &[])
}

/// Reads a line, which must be the expected one.
async fn expect<R: AsyncRead + Unpin>(lines: &mut Lines<BufReader<R>>, expected: &str) -> anyhow::Result<()> {
    let line = lines.next_line().await?;
    ensure!(line.as_deref() == Some(expected), "`{expected}` was expected, and {line:?} came");
    Ok(())
}

/// A started instance. Its process is killed on drop.
#[derive(Debug)]
pub(crate) struct Caller {
    client_id: String,
    process: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Caller {
    pub(crate) fn start(
        client_id: String,
        brokers: &str,
        prefix: &str,
        reading: ReplyReading,
    ) -> anyhow::Result<Self> {
        let own_partition = (reading == ReplyReading::OwnPartition).then_some("--own-partition");
        let mut process = Command::new(env::current_exe()?)
            .args(["--caller", prefix])
            .args(own_partition)
            .env("KAFKA_BROKERS", brokers)
            .env("KAFKA_CLIENT_ID", &client_id)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {client_id}"))?;
        let commands = process.stdin.take().context("no standard input")?;
        let answers = BufReader::new(process.stdout.take().context("no standard output")?).lines();
        Ok(Self { client_id, process, commands, answers })
    }

    pub(crate) fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Waits until the instance prints `line`.
    pub(crate) async fn says(&mut self, line: &str) -> anyhow::Result<()> {
        time::timeout(BOUND, expect(&mut self.answers, line))
            .await
            .with_context(|| format!("{} has not said `{line}`", self.client_id))?
            .with_context(|| self.client_id.clone())
    }

    pub(crate) async fn tell(&mut self, line: &str) -> anyhow::Result<()> {
        let told = self.commands.write_all(format!("{line}\n").as_bytes()).await;
        told.with_context(|| format!("{} has gone", self.client_id))
    }

    /// Ends the instance, and returns what it has seen.
    pub(crate) async fn end(mut self) -> anyhow::Result<Seen> {
        self.tell(END).await?;
        let line = self.answers.next_line().await?;
        let line = line.with_context(|| format!("{} says nothing of what it has seen", self.client_id))?;
        ensure!(self.process.wait().await?.success(), "{} has failed", self.client_id);
        Ok(serde_json::from_str(&line)?)
    }
}
