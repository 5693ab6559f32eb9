//! Runs a command with a real Kafka of its own: `with-kafka [--brokers N] COMMAND [ARGUMENT]..`
//!
//! The command finds the bootstrap list in `KAFKA_BROKERS`, and its exit code becomes this program's. On
//! SIGINT or SIGTERM, this program ends everything that the command has started, and the brokers.

use std::{
    env, io,
    process::{Command, ExitCode},
};

use tests::{cluster::Brokers, interrupt};

fn main() -> io::Result<ExitCode> {
    let mut arguments: Vec<String> = env::args().skip(1).collect();
    let mut count = 1;
    if let [option, number, ..] = arguments.as_slice()
        && option == "--brokers"
    {
        count = number.parse().map_err(|_not_a_number| io::Error::other("`--brokers` takes a number"))?;
        arguments.drain(..2);
    }
    let Some((command, rest)) = arguments.split_first() else {
        return Err(io::Error::other("usage: with-kafka [--brokers N] COMMAND [ARGUMENT].."));
    };
    interrupt::listen()?;
    let brokers = Brokers::start(count)?;
    let mut command = Command::new(command);
    let status = interrupt::run_to_its_end(command.args(rest).env("KAFKA_BROKERS", brokers.addresses()))?;
    drop(brokers);
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
