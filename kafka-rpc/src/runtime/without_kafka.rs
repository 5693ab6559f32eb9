//! What a build without Kafka says of the methods that need one.

use std::{
    convert::Infallible,
    future::{self, Pending},
};

use super::Runtime;
use crate::Error;

#[diagnostic::on_unimplemented(
    message = "`Runtime::start` and `Runtime::run` need the feature `kafka` of kafka-rpc",
    label = "this build of kafka-rpc has no Kafka in it",
    note = "write `features = [\"kafka\"]` beside `default-features = false` for kafka-rpc in the `Cargo.toml` of this crate, or use `.loopback()`"
)]
#[doc(hidden)]
pub trait Kafka {}

#[doc(hidden)]
impl Runtime {
    // `for<'a>`, although there is no lifetime, defers the bound to the caller. Not `async`: the compiler would report
    // the bound once more for the future.
    pub fn start(self) -> Pending<Result<Infallible, Error>>
    where
        for<'a> Self: Kafka,
    {
        future::pending()
    }

    pub fn run(self) -> Pending<Result<(), Error>>
    where
        for<'a> Self: Kafka,
    {
        future::pending()
    }
}
