//! Which partitions of a reply topic a process reads.

/// Which partitions of a reply topic this process reads.
///
/// With many callers on one reply topic, the default has each of them pay for the replies of all: each
/// fetches every record and looks at its headers. Measured with 16 callers, see the performance notes of the
/// repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ReplyReading {
    /// Every partition, because the reference answers to any of them. The default.
    #[default]
    AllPartitions,
    /// One partition of each topic, drawn by lot and named in every request. Only for fleets in which every
    /// service that answers heeds `reply-partition`, as this framework, NestJS and Spring do: replies of a
    /// service that does not are never read.
    OwnPartition,
}
