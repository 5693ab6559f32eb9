//! Processes of this machine, and what is done to them.

use std::{
    io,
    process::{Child, Command},
};

/// Sends a signal by its name, such as `TERM`, `STOP` or `CONT`.
pub(crate) fn signal(process: &Child, name: &str) -> io::Result<()> {
    run(Command::new("kill").arg(format!("-{name}")).arg(process.id().to_string()))
}

/// Runs a command to its end; an error holds what it said.
pub(crate) fn run(command: &mut Command) -> io::Result<()> {
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
