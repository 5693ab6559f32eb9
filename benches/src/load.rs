//! The load: a number of callers, each of which makes one call after the other.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::ensure;
use futures_util::{StreamExt as _, future, stream};
use tokio::{task::JoinSet, time};

use crate::{
    contract::Payload,
    measure::{Sample, Used, latencies},
    side::{Act, Side},
};

/// How long callers call before the measurement begins.
const WARM_UP: Duration = Duration::from_millis(100);

/// The longest that a run goes on until it has seen enough calls.
const AT_MOST: Duration = Duration::from_secs(10);

/// How long a run waits for its first call to end if brokers stand still.
pub(crate) const FIRST_WITHIN: Duration = Duration::from_secs(30);

/// The bytes of payload that a run may send: without a bound, large payloads would fill the brokers' disks.
const BYTES: usize = 128 << 20;

/// The number of calls that a run should see.
const ENOUGH: u64 = 20;

/// The state that the callers of a run share.
#[derive(Debug, Default)]
struct Shared {
    counting: AtomicBool,
    stop: AtomicBool,
    completed: AtomicU64,
    number: AtomicU64,
}

/// The calls at a time, and in total, that a side makes before it is measured. A new topic is slow: brokers
/// create a partition's files with its first record, and clients connect to a leader when they first need it.
const SETTLING: usize = 256;
const SETTLED: u64 = 2_048;

/// Uses the partitions of the topics that `act` needs, so that the side that is measured first does not pay
/// for their newness.
///
/// The first calls run one at a time, enough of them that the framework, which takes the next partition for
/// each, reaches all partitions. Concurrent calls would share a few.
pub(crate) async fn settle(side: &Side, act: Act, partitions: u16) -> anyhow::Result<()> {
    let order = |number| Payload::Of(256).order(number);
    for number in 0..2 * u64::from(partitions) {
        side.act(act, order(number)).await?;
    }
    let calls = stream::iter(0..SETTLED).map(|number| side.act(act, order(number)));
    // Failures show in the measured runs.
    calls.buffer_unordered(SETTLING).for_each(|_ended| future::ready(())).await;
    Ok(())
}

/// Runs one side for about `window`.
pub(crate) async fn run(
    side: &Arc<Side>,
    act: Act,
    payload: Payload,
    in_flight: usize,
    window: Duration,
) -> anyhow::Result<Sample> {
    let shared = Arc::<Shared>::default();
    let mut callers = JoinSet::new();
    for _ in 0..in_flight {
        callers.spawn(call_until_stopped(Arc::clone(side), Arc::clone(&shared), act, payload));
    }
    time::sleep(WARM_UP).await;

    let from = Used::now();
    shared.counting.store(true, Ordering::Release);
    let enough_bytes = (BYTES / payload.mean()) as u64;
    loop {
        time::sleep(Duration::from_millis(10)).await;
        let completed = shared.completed.load(Ordering::Relaxed);
        let elapsed = from.elapsed();
        let is_done = (elapsed >= window && completed >= ENOUGH) || completed >= enough_bytes.max(ENOUGH);
        let at_most = if completed > 0 { AT_MOST } else { FIRST_WITHIN };
        if is_done || elapsed >= at_most {
            break;
        }
    }
    shared.counting.store(false, Ordering::Release);
    let to = Used::now();
    let completed = shared.completed.load(Ordering::Relaxed);
    shared.stop.store(true, Ordering::Release);

    let mut sample = Sample::between(&from, &to, completed)?;
    while let Some(caller) = callers.join_next().await {
        let (calls, errors) = caller??;
        for micros in calls {
            sample.latencies.saturating_record(u64::from(micros));
        }
        sample.errors += errors;
    }
    Ok(sample)
}

/// Returns the latencies of the calls that ended while counting, and the number of failed calls.
async fn call_until_stopped(
    side: Arc<Side>,
    shared: Arc<Shared>,
    act: Act,
    payload: Payload,
) -> anyhow::Result<(Vec<u32>, u64)> {
    // Allocated up front, so that measuring does not allocate.
    let mut calls = Vec::with_capacity(1_024);
    let mut errors = 0;
    while !shared.stop.load(Ordering::Relaxed) {
        let number = shared.number.fetch_add(1, Ordering::Relaxed);
        let order = payload.order(number);
        let began = Instant::now();
        let ended = side.act(act, order).await;
        let micros = u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX);
        match ended {
            Ok(answer) => {
                let own = answer.is_none_or(|answer| answer.number == number);
                ensure!(own, "the answer to another call came back");
            }
            Err(error) => {
                errors += 1;
                if errors == 1 {
                    tracing::warn!(%error, side = side.name().label(), "a call has failed");
                }
                continue;
            }
        }
        if shared.counting.load(Ordering::Relaxed) {
            calls.push(micros);
            shared.completed.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok((calls, errors))
}

/// Returns the histogram of all samples together.
pub(crate) fn merged<'a>(
    samples: impl Iterator<Item = &'a Sample>,
) -> anyhow::Result<hdrhistogram::Histogram<u64>> {
    let mut merged = latencies()?;
    for sample in samples {
        merged.add(&sample.latencies)?;
    }
    Ok(merged)
}
