//! SIGINT and SIGTERM, for a program that sleeps a lot: whoever sleeps here wakes with an error, so that what was started is
//! dropped, and ends. A second one ends the program.

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

/// How long what a command has started may take to end when it is told to.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

static TOLD: Mutex<bool> = Mutex::new(false);
static WAKE: Condvar = Condvar::new();

/// Listens for the signals from now on, instead of ending by them.
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

/// An error where a signal has come.
pub fn check() -> io::Result<()> {
    sleep(Duration::ZERO)
}

/// Runs a command to its end. Where a signal comes, all that it has started is told to end too, and made to.
pub fn run_to_its_end(command: &mut Command) -> io::Result<ExitStatus> {
    // A group of its own: `cargo test` ends by a signal and leaves its tests behind.
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
    // There is an error where the group is empty.
    while Instant::now() < until && signal_group(child, "0").is_ok() {
        child.try_wait()?;
        thread::sleep(Duration::from_millis(20));
    }
    let _may_be_empty = signal_group(child, "KILL");
    child.wait().map(drop)
}

/// Sleeps for so long; an error at once where a signal has come, or comes.
pub fn sleep(time: Duration) -> io::Result<()> {
    let told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    let woken = WAKE.wait_timeout_while(told, time, |told| !*told);
    if *woken.unwrap_or_else(PoisonError::into_inner).0 {
        return Err(io::Error::new(io::ErrorKind::Interrupted, "told to end by a signal"));
    }
    Ok(())
}
