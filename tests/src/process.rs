//! Signals to processes of this machine, and running them to their end.

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

/// Sends a signal to a process that leads a process group, and to everything it has started.
pub fn signal_group(process: &Child, name: &str) -> io::Result<()> {
    kill(name, &format!("-{}", process.id()))
}

fn kill(name: &str, whom: &str) -> io::Result<()> {
    run(Command::new("kill").args([&format!("-{name}"), "--", whom]))
}

/// Freezes a process, and returns once every thread is stopped: when `kill` ends, a thread may still run for
/// a moment, and answer.
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

/// Whether every thread of a process is stopped. Without `/proc`, the answer is always yes.
fn is_frozen(id: u32) -> io::Result<bool> {
    let Ok(threads) = fs::read_dir(format!("/proc/{id}/task")) else { return Ok(true) };
    for thread in threads {
        // A thread that has just ended has no state; the caller checks again.
        let Ok(stat) = fs::read_to_string(thread?.path().join("stat")) else { return Ok(false) };
        // The state follows the name, which is in parentheses and may contain anything.
        let is_stopped = stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['T', 't']));
        if !is_stopped {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Runs a command to its end. An error has the command's output.
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

/// Ends this process once its parent has gone, however the parent ended: the parent holds the other end of
/// standard input.
pub fn end_with_parent() {
    thread::spawn(|| {
        let _gone = io::copy(&mut io::stdin(), &mut io::sink());
        process::exit(1);
    });
}
