//! Presets of the producer.

/// How the producer trades the time of one record against the number of records.
///
/// The default is best, or close to it, in most places where calls have been measured: near brokers and far from them,
/// on few partitions and many, one at a time and hundreds at once. The others are for records with keys of yours, which cannot
/// be gathered, and for measuring against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Tuning {
    /// A record is sent at once where nothing is on its way. What comes while something is goes together, as soon as that
    /// has arrived or a millisecond later. Batches of more than five records go through a producer of their own: with one
    /// request in flight where acknowledgements are seen to take less than two milliseconds, and elsewhere with five, and a
    /// millisecond to wait for the whole of a batch. The default.
    #[default]
    Latency,
    /// Every record waits up to a millisecond for company, also those with keys of yours: 2 ms more for a call alone.
    Throughput,
    /// One request in flight, and one producer: the next batch gathers while the last is on its way. Ruinous with a
    /// network between.
    NearBroker,
}
