//! Processes of this machine, and what is done to them.

use std::{
    fs, io,
    process::{self, Child, Command},
    thread,
    time::{Duration, Instant},
};

/// How long a process may take to freeze.
const FREEZE_WITHIN: Duration = Duration::from_secs(5);

/// Sends a signal by its name, such as `TERM`, `STOP` or `CONT`.
pub fn signal(process: &Child, name: &str) -> io::Result<()> {
    kill(name, &process.id().to_string())
}

/// The same to a process and all that it has started, where it has a group of its own.
pub fn signal_group(process: &Child, name: &str) -> io::Result<()> {
    kill(name, &format!("-{}", process.id()))
}

fn kill(name: &str, whom: &str) -> io::Result<()> {
    run(Command::new("kill").args([&format!("-{name}"), "--", whom]))
}

/// Freezes a process, and returns once it is frozen: when `kill` ends, a thread may still run for a moment, and answer.
pub fn freeze(process: &Child) -> io::Result<()> {
    signal(process, "STOP")?;
    let until = Instant::now() + FREEZE_WITHIN;
    while !is_frozen(process.id())? {
        if Instant::now() >= until {
            return Err(io::Error::other(format!("process {} runs on", process.id())));
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Whether every thread of a process is stopped, as far as this system tells.
fn is_frozen(id: u32) -> io::Result<bool> {
    let Ok(threads) = fs::read_dir(format!("/proc/{id}/task")) else { return Ok(true) };
    for thread in threads {
        // One that has just ended has no state; it is looked again.
        let Ok(stat) = fs::read_to_string(thread?.path().join("stat")) else { return Ok(false) };
        // The state stands after the name, which may hold anything, in parentheses.
        let is_stopped = stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['T', 't']));
        if !is_stopped {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Runs a command to its end; an error holds what it said.
pub fn run(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(io::Error::other(format!(
        "{command:?} ended with {}:\n{}",
        output.status,
        String::from_utf8_lossy(&said)
    )))
}

/// Ends this process once the one that has started it has gone, however that ended: it holds the other end of this one's input.
pub fn end_with_parent() {
    thread::spawn(|| {
        let _gone = io::copy(&mut io::stdin(), &mut io::sink());
        process::exit(1);
    });
}
