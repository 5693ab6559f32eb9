//! Presets of the producer.

/// How the producer trades the time of one record against the number of records.
///
/// Measured as request-reply on one broker nearby; what wins depends on the distance to the brokers and on the
/// number of partitions, so measure with your own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tuning {
    /// A record is sent at once where nothing is on its way; what comes while something is goes together, as soon as that
    /// has arrived or a millisecond later, and through a producer of its own. Up to five requests in flight. The default.
    #[default]
    Latency,
    /// Records wait up to a millisecond for company: more of them per second, 2 ms more for a call alone.
    Throughput,
    /// One request in flight: the next batch gathers while the last is on its way. Best with the brokers in the
    /// same room, ruinous with a network between.
    NearBroker,
}
