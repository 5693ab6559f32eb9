//! How the binaries print: one line for each thing that happened, in columns.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _},
    time::{Duration, Instant},
};

use kafka_rpc::{Call, CallError, FromReply};
use tracing_subscriber::EnvFilter;

/// How wide the column is that says what was done.
const WHAT: usize = 24;

/// How wide the column is that says what came of it.
const OUTCOME: usize = 70;

/// Prints what the next lines are about.
pub fn heading(text: impl Display) {
    println!("\n{text}");
}

/// Prints what was done and what came of it.
pub fn line(what: impl Display, outcome: impl Display) {
    println!("  {what:<WHAT$}  {outcome}");
}

/// Prints what was done, what came of it, and how long that took.
pub fn timed(what: impl Display, outcome: impl Display, took: Duration) {
    // Made a text first: a width is for texts, and many a `Display` ignores it.
    let outcome = outcome.to_string();
    println!("  {what:<WHAT$}  {outcome:<OUTCOME$}  {:>9}", millis(took));
}

/// A time in milliseconds, with as many digits as anybody reads.
pub fn millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1_000.0;
    if millis < 100.0 { format!("{millis:.1} ms") } else { format!("{millis:.0} ms") }
}

/// Cents as an amount: `1234.50`.
pub fn amount(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// Writes the log to stderr. `RUST_LOG` says what of it; without, it is `default`.
pub fn log(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}

/// Makes a call and prints what came of it: what `say` makes of the reply, or the error.
pub async fn told<T: FromReply>(
    what: &str,
    call: Call<T>,
    say: impl FnOnce(&T) -> String,
) -> Result<T, CallError> {
    let started = Instant::now();
    let answer = call.await;
    let outcome = match &answer {
        Ok(reply) => say(reply),
        Err(error) => failure(error),
    };
    timed(what, outcome, started.elapsed());
    answer
}

/// An error in a line: the other side's has a status and perhaps a code, the rest is what this side knows.
fn failure(error: &CallError) -> String {
    match error {
        CallError::Remote(remote) => match remote.code() {
            Some(code) => format!("{remote} [{code}]"),
            None => remote.to_string(),
        },
        CallError::DeadlineExceeded { progress, .. } => {
            format!("no reply in time; the request was {progress}")
        }
        other => other.to_string(),
    }
}
