//! Output of the binaries: one line for each thing that happened, in columns.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _},
    time::{Duration, Instant},
};

use kafka_rpc::{Call, CallError, FromReply};
use tracing_subscriber::EnvFilter;

/// The width of the column with what was done.
const WHAT: usize = 24;

/// The width of the column with the outcome.
const OUTCOME: usize = 70;

/// Prints a heading for the lines that follow.
pub fn heading(text: impl Display) {
    println!("\n{text}");
}

/// Prints what was done and its outcome.
pub fn line(what: impl Display, outcome: impl Display) {
    println!("  {what:<WHAT$}  {outcome}");
}

/// Prints what was done, its outcome, and how long it took.
pub fn timed(what: impl Display, outcome: impl Display, took: Duration) {
    // Converted to a string first: many `Display` implementations ignore a width, strings honour it.
    let outcome = outcome.to_string();
    println!("  {what:<WHAT$}  {outcome:<OUTCOME$}  {:>9}", millis(took));
}

/// Formats a time in milliseconds, with one decimal below 100.
pub fn millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1_000.0;
    if millis < 100.0 { format!("{millis:.1} ms") } else { format!("{millis:.0} ms") }
}

/// Formats cents as an amount: `1234.50`.
pub fn amount(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// Writes the log to stderr, filtered by `RUST_LOG` or, if that is unset, by `default`.
pub fn log(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}

/// Makes a call and prints the outcome: the reply as formatted by `say`, or the error.
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

/// Formats an error as one line. A remote error has a status and perhaps a code; other errors come from this
/// side.
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
