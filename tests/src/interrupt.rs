//! SIGINT and SIGTERM, for a program that sleeps a lot: whoever sleeps here wakes with an error, so that what was started is
//! dropped, and ends.

use std::{
    io,
    sync::{Condvar, Mutex, PoisonError},
    thread,
    time::Duration,
};

use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
};

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
        tokio.block_on(async {
            tokio::select! {
                _ = terminated.recv() => {}
                _ = interrupted.recv() => {}
            }
        });
        *TOLD.lock().unwrap_or_else(PoisonError::into_inner) = true;
        WAKE.notify_all();
    });
    Ok(())
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
