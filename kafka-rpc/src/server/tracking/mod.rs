//! Which offsets of each assigned partition are finished.
//!
//! - [`partitions`]: all assigned partitions
//! - [`assigned`]: one assigned partition
//! - [`offsets`]: which offsets of a partition are finished
//! - [`bounds`]: at how many records and bytes a partition pauses
//! - [`pausing`]: when a partition pauses, and which are held
//! - [`watermarks`]: which offsets may be committed

pub(super) mod assigned;
pub(super) mod bounds;
pub(crate) mod offsets;
pub(super) mod partitions;
pub(super) mod pausing;
pub(super) mod watermarks;
