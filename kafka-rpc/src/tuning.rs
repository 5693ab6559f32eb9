//! Presets of the producer.

/// How the producer trades the time of one record against the number of records.
///
/// The default is best, or close to it, in most places where calls have been measured: near brokers and far from them,
/// on few partitions and many, one at a time and hundreds at once. The others are for records with keys of yours, which cannot
/// be gathered, and for measuring against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tuning {
    /// A record is sent at once where nothing is on its way. What comes while something is goes together, as soon as that
    /// has arrived or a millisecond later. Where acknowledgements take longer than two milliseconds, a batch of more than
    /// five records goes through a producer of its own, which waits a millisecond for the whole of it. Up to five requests
    /// in flight, of each producer. The default.
    #[default]
    Latency,
    /// Every record waits up to a millisecond for company, also those with keys of yours: 2 ms more for a call alone.
    Throughput,
    /// One request in flight, and one producer: the next batch gathers while the last is on its way. Ruinous with a
    /// network between.
    NearBroker,
}
