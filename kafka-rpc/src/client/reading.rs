//! Which partitions of a reply topic a process reads.

/// Which partitions of a reply topic this process reads.
///
/// With many callers on one reply topic the default costs each of them the replies of all: the headers of every
/// record are fetched and looked at. Measured with 16 callers, see the performance notes of the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ReplyReading {
    /// Every partition: the reference answers to any of them. The default.
    #[default]
    AllPartitions,
    /// One, drawn by lot for each topic, and named in every request. Only for fleets in which every service that
    /// answers heeds `reply-partition`, as this framework, NestJS and Spring do: the reply of another is never read.
    OwnPartition,
}
