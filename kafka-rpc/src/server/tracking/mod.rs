//! Which offsets of each assigned partition are finished.
//!
//! - [`assignment`]: begins, drains and ends the assignment of partitions
//! - [`partitions`]: all assigned partitions
//! - [`assigned`]: one assigned partition
//! - [`offsets`]: which offsets of a partition are finished
//! - [`watermarks`]: which offsets may be committed
//! - [`pausing`]: when a partition pauses
//! - [`holding`]: partitions that are held by records whose deliveries do not work
//! - [`bounds`]: at how many records and bytes a partition pauses

pub(super) mod assigned;
mod assignment;
pub(super) mod bounds;
mod holding;
pub(crate) mod offsets;
pub(super) mod partitions;
pub(super) mod pausing;
pub(super) mod watermarks;
