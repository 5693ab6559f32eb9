//! The proxy before the brokers, as a process of its own: what it costs is not what is measured.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, ensure};

/// A running proxy. It ends with its standard input.
#[derive(Debug)]
pub(crate) struct Proxy {
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    ports: Vec<u16>,
}

impl Proxy {
    /// Starts a proxy before so many brokers, which delays each way.
    pub(crate) fn start(brokers: usize, delay_millis: u64) -> anyhow::Result<Self> {
        let mut process = Command::new(env::current_exe()?)
            .args(["--proxy", &brokers.to_string(), "--delay", &delay_millis.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the proxy")?;
        let commands = process.stdin.take().context("the proxy has no standard input")?;
        let answers = process.stdout.take().context("the proxy has no standard output")?;
        let mut proxy = Self { process, commands, answers: BufReader::new(answers), ports: Vec::new() };
        proxy.ports = proxy.answer()?.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let ports = proxy.ports.len();
        ensure!(ports == brokers, "the proxy listens on {ports} ports and not on {brokers}");
        Ok(proxy)
    }

    /// Where it listens: a port for each broker.
    pub(crate) fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// The bootstrap list of those who come through it.
    pub(crate) fn addresses(&self) -> String {
        let addresses: Vec<String> = self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        addresses.join(",")
    }

    /// Says where the brokers are.
    pub(crate) fn forward_to(&mut self, brokers: &[String]) -> anyhow::Result<()> {
        self.say(&brokers.join(" "))
    }

    /// Breaks every connection; returns how many there were.
    pub(crate) fn cut(&mut self) -> anyhow::Result<u64> {
        self.say("cut")?;
        Ok(self.answer()?.trim().parse()?)
    }

    /// How many bytes have come from the brokers so far, by the `client.id` of those who asked.
    pub(crate) fn traffic(&mut self) -> anyhow::Result<BTreeMap<String, u64>> {
        self.say("traffic")?;
        Ok(serde_json::from_str(&self.answer()?)?)
    }

    fn answer(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line)
    }

    fn say(&mut self, line: &str) -> anyhow::Result<()> {
        writeln!(self.commands, "{line}").context("the proxy has gone")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}
