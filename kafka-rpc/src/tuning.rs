//! Presets of the producer.

/// How the producer trades the latency of one record against the throughput of many.
///
/// The default is the best preset, or close to it, in most places where calls have been measured: near
/// brokers and far from them, on few partitions and many, one at a time and hundreds at once. The others are
/// for records with keys that you set, which cannot be gathered, and for comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Tuning {
    /// A record is sent at once if nothing is in flight. Records that come while something is in flight are
    /// sent together, as soon as that has arrived or a millisecond later. Batches of more than five records
    /// go through a separate producer: if acknowledgements take less than two milliseconds, one with a single
    /// request in flight; otherwise one with five, which waits a millisecond for the whole of a batch. The
    /// default.
    #[default]
    Latency,
    /// Every record waits up to a millisecond for others, also records with keys that you set: a single call
    /// takes 2 ms longer.
    Throughput,
    /// One producer with one request in flight: the next batch gathers while the last is on its way. Ruinous
    /// if there is a network between this process and the broker.
    NearBroker,
}
