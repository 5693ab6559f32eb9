//! The proxy in front of the brokers, run as a separate process so that its cost is not measured.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, ensure};

/// A running proxy. Its process exits when its standard input closes.
#[derive(Debug)]
pub(crate) struct Proxy {
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    ports: Vec<u16>,
}

impl Proxy {
    /// Starts a proxy in front of `brokers` brokers, which delays each direction.
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

    /// Returns the ports that the proxy listens on, one for each broker.
    pub(crate) fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// Returns the bootstrap list of clients that connect through the proxy.
    pub(crate) fn addresses(&self) -> String {
        let addresses: Vec<String> = self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        addresses.join(",")
    }

    /// Sends the addresses of the brokers to the proxy.
    pub(crate) fn forward_to(&mut self, brokers: &[String]) -> anyhow::Result<()> {
        self.say(&brokers.join(" "))
    }

    /// Breaks every connection, and returns how many there were.
    pub(crate) fn cut(&mut self) -> anyhow::Result<u64> {
        self.say("cut")?;
        Ok(self.answer()?.trim().parse()?)
    }

    /// Returns the bytes that brokers have sent so far, by the `client.id` of the requests.
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
        // The process may have exited already.
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}
