//! Kills, freezes and stops brokers and services under load, and proves that nothing was lost and nothing
//! hung: `chaos [--minutes N] [--seed N] [--protocol range|cooperative-sticky|consumer] ..`; see
//! `docs/chaos.md`.

use std::{error::Error, process::ExitCode};

use clap::Parser as _;
use tests::chaos::{Arguments, main as run};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    run(&Arguments::parse())
}
