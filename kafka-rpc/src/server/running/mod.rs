//! Which record runs when, and in which task.
//!
//! - [`lanes`]: which record may run now
//! - [`hand`]: the records that a runner has taken from the lanes
//! - [`runners`]: the tasks that run records, one after another
//! - [`run`]: runs one record
//! - [`later`]: the jobs that wait until they are retried or due

pub(super) mod hand;
pub(crate) mod lanes;
mod later;
mod run;
mod runners;
