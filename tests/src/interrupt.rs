//! SIGINT and SIGTERM, for a program that sleeps a lot: a signal makes [`sleep`] return an error, so that the
//! program returns and drops, and thereby ends, what it has started. A second signal ends the program at
//! once.

use std::{
    io,
    os::unix::process::CommandExt as _,
    process::{self, Child, Command, ExitStatus},
    sync::{Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
};

use crate::process::signal_group;

/// How long the processes of a command may take to end after SIGTERM.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

static TOLD: Mutex<bool> = Mutex::new(false);
static WAKE: Condvar = Condvar::new();

/// Handles the signals from now on, instead of being ended by them.
pub fn listen() -> io::Result<()> {
    let tokio = runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut terminated, mut interrupted) = {
        let _signals_need_it = tokio.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    thread::spawn(move || {
        let mut told = || {
            tokio.block_on(async {
                tokio::select! {
                    _ = terminated.recv() => {}
                    _ = interrupted.recv() => {}
                }
            });
        };
        told();
        *TOLD.lock().unwrap_or_else(PoisonError::into_inner) = true;
        WAKE.notify_all();
        told();
        process::exit(130);
    });
    Ok(())
}

/// Returns an error if a signal has arrived.
pub fn check() -> io::Result<()> {
    sleep(Duration::ZERO)
}

/// Runs a command to its end. On a signal, sends SIGTERM to everything that the command has started, and
/// SIGKILL to what is left of it.
pub fn run_to_its_end(command: &mut Command) -> io::Result<ExitStatus> {
    // A separate process group: a signal ends `cargo test`, which leaves its tests running.
    let mut child = command.process_group(0).spawn()?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if let Err(told) = sleep(Duration::from_millis(20)) {
            end_all(&mut child)?;
            return Err(told);
        }
    }
}

fn end_all(child: &mut Child) -> io::Result<()> {
    signal_group(child, "TERM")?;
    let until = Instant::now() + ENDS_WITHIN;
    // Signal 0 fails once the group is empty.
    while Instant::now() < until && signal_group(child, "0").is_ok() {
        child.try_wait()?;
        thread::sleep(Duration::from_millis(20));
    }
    let _may_be_empty = signal_group(child, "KILL");
    child.wait().map(drop)
}

/// Sleeps for `time`. Returns an error at once if a signal has arrived or arrives.
pub fn sleep(time: Duration) -> io::Result<()> {
    let told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    let woken = WAKE.wait_timeout_while(told, time, |told| !*told);
    if *woken.unwrap_or_else(PoisonError::into_inner).0 {
        return Err(io::Error::new(io::ErrorKind::Interrupted, "told to end by a signal"));
    }
    Ok(())
}
