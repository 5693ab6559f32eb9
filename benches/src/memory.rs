//! Measures resident memory over answered calls, calls that time out, and connections that break.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use kafka_rpc::{CallError, Client, Tuning};
use serde::Serialize;
use tokio::{sync::oneshot, task::JoinSet, time};

use crate::{
    calls::bar,
    contract::{BenchClient as _, Payload, UnansweredClient as _},
    framework::Framework,
    kafka::{Kafka, Topology},
    measure::as_float,
    plot, report,
};

const SAMPLE_EVERY: Duration = Duration::from_millis(100);

/// The calls in flight in the phase that is answered, and in the one that is not.
const IN_FLIGHT: u64 = 256;
const IN_FLIGHT_WITHOUT_ANSWER: u64 = 2_048;

/// The timeout of calls that nobody answers.
const TIMEOUT: Duration = Duration::from_millis(100);

/// How many connections are broken in total. Each cut breaks all that are open.
const CONNECTIONS: u64 = 1_000;

pub(crate) const PAYLOAD: Payload = Payload::Of(256);

/// Memory during one phase.
#[derive(Debug, Serialize)]
struct Phase {
    name: &'static str,
    /// The number of calls, or of broken connections.
    done: u64,
    seconds: f64,
    first_mib: f64,
    last_mib: f64,
    /// The growth of memory in the second half, per 1,000 calls or connections.
    kib_per_thousand: f64,
    /// Seconds from the start, and MiB.
    samples: Vec<(f64, f64)>,
}

/// Measures on a Kafka behind a proxy, which breaks the connections. Without a proxy, that phase is left out.
pub(crate) async fn measure(found: Option<Kafka>, calls: u64) -> anyhow::Result<()> {
    let mut kafka = match found {
        Some(kafka) => kafka,
        None => Kafka::start(1, Some(0))?,
    };
    let through_proxy = kafka.proxy().is_some();
    let topology = Topology { kafka: &kafka, partitions: 3, round_trip_millis: u64::from(through_proxy) };
    let framework = Framework::start(&topology, Tuning::Latency).await?;
    let client = framework.client();
    // Lets queues and caches grow to their size before the first sample.
    calls_with(&client, calls / 20, IN_FLIGHT, answered, &AtomicU64::new(0)).await?;

    let began = Instant::now();
    let progress = Arc::new(AtomicU64::new(0));
    let mut phases = Vec::new();
    for (name, in_flight, call) in [
        ("answered", IN_FLIGHT, answered as CallOnce),
        ("timed out", IN_FLIGHT_WITHOUT_ANSWER, timed_out as CallOnce),
    ] {
        let watch = Watch::start(name, calls, began, Arc::clone(&progress));
        calls_with(&client, calls, in_flight, call, &progress).await?;
        phases.push(watch.end(calls).await?);
    }
    if let Some(proxy) = kafka.proxy() {
        let watch = Watch::start("connections broken", CONNECTIONS, began, Arc::clone(&progress));
        let mut broken = 0;
        while broken < CONNECTIONS {
            let now = proxy.cut()?;
            ensure!(now > 0, "a call was answered, and nobody is connected");
            until_answered(&client).await?;
            broken += now;
            progress.store(broken, Ordering::Relaxed);
        }
        phases.push(watch.end(broken).await?);
    }
    framework.stop().await?;
    say(&phases)
}

pub(crate) type CallOnce = fn(Client, u64) -> futures_util::future::BoxFuture<'static, anyhow::Result<()>>;

/// Makes a call of 256 bytes that is answered.
pub(crate) fn answered(
    client: Client,
    number: u64,
) -> futures_util::future::BoxFuture<'static, anyhow::Result<()>> {
    Box::pin(async move {
        client.place(PAYLOAD.order(number)).await?;
        Ok(())
    })
}

fn timed_out(client: Client, number: u64) -> futures_util::future::BoxFuture<'static, anyhow::Result<()>> {
    Box::pin(async move {
        match client.forget(PAYLOAD.order(number)).timeout(TIMEOUT).await {
            Err(CallError::DeadlineExceeded { .. }) => Ok(()),
            other => anyhow::bail!("a call without an answer ended as {other:?}"),
        }
    })
}

/// Makes `calls` calls, `in_flight` of them at a time.
pub(crate) async fn calls_with(
    client: &Client,
    calls: u64,
    in_flight: u64,
    call: CallOnce,
    progress: &AtomicU64,
) -> anyhow::Result<()> {
    let next = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..in_flight {
        let (client, next) = (client.clone(), Arc::clone(&next));
        callers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= calls {
                    return anyhow::Ok(());
                }
                call(client.clone(), number).await?;
            }
        });
    }
    loop {
        match time::timeout(SAMPLE_EVERY, callers.join_next()).await {
            Ok(None) => return Ok(()),
            Ok(Some(ended)) => ended??,
            Err(_elapsed) => {}
        }
        progress.store(next.load(Ordering::Relaxed).min(calls), Ordering::Relaxed);
    }
}

/// Calls until a call is answered: earlier ones may have lost their connection.
async fn until_answered(client: &Client) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        match client.place(PAYLOAD.order(0)).timeout(Duration::from_secs(5)).await {
            Ok(_) => return Ok(()),
            Err(error) => {
                ensure!(began.elapsed() < ::tests::BOUND, "no call is answered any more: {error}");
                // A call fails at once while no broker can be reached.
                time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

/// Samples memory during a phase.
struct Watch {
    name: &'static str,
    end: oneshot::Sender<()>,
    samples: tokio::task::JoinHandle<anyhow::Result<Vec<(f64, f64)>>>,
}

impl Watch {
    fn start(name: &'static str, of: u64, began: Instant, progress: Arc<AtomicU64>) -> Self {
        let (end, mut ended) = oneshot::channel::<()>();
        progress.store(0, Ordering::Relaxed);
        let bar = bar(usize::try_from(of).unwrap_or(usize::MAX));
        bar.set_message(name);
        let samples = tokio::spawn(async move {
            let mut samples = Vec::new();
            loop {
                samples.push((began.elapsed().as_secs_f64(), resident_mib()?));
                bar.set_position(progress.load(Ordering::Relaxed));
                if time::timeout(SAMPLE_EVERY, &mut ended).await.is_ok() {
                    bar.finish_and_clear();
                    return Ok(samples);
                }
            }
        });
        Self { name, end, samples }
    }

    async fn end(self, done: u64) -> anyhow::Result<Phase> {
        // The task runs until this signal, so a receiver exists.
        let _listens = self.end.send(());
        let samples = self.samples.await??;
        let (first, last) = samples.first().zip(samples.last()).context("no sample of memory")?;
        let seconds = last.0 - first.0;
        let second_half = &samples[samples.len() / 2..];
        let kib_per_thousand = slope(second_half) * 1_024.0 * seconds / as_float(done) * 1_000.0;
        Ok(Phase {
            name: self.name,
            done,
            seconds,
            first_mib: first.1,
            last_mib: last.1,
            kib_per_thousand,
            samples,
        })
    }
}

/// Returns the slope of the best-fitting line.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = as_float(points.len() as u64).max(1.0);
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let covariance: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let variance: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    if variance > 0.0 { covariance / variance } else { 0.0 }
}

/// Returns the resident memory of this process, which excludes the brokers and the proxy unless the broker is
/// embedded.
fn resident_mib() -> anyhow::Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(as_float(kib) / 1_024.0)
}

fn say(phases: &[Phase]) -> anyhow::Result<()> {
    println!(
        "\n{:<20} {:>10} {:>9} {:>11} {:>11} {:>20}",
        "resident memory", "times", "seconds", "first MiB", "last MiB", "KiB per 1,000 times"
    );
    for phase in phases {
        println!(
            "{:<20} {:>10} {:>9.1} {:>11.1} {:>11.1} {:>20.2}",
            phase.name, phase.done, phase.seconds, phase.first_mib, phase.last_mib, phase.kib_per_thousand
        );
    }
    println!("(the slope is that of the second half of each part)");
    let lines: Vec<_> = phases.iter().map(|phase| (phase.name, phase.samples.clone())).collect();
    let svg = plot::over_time("memory", "Resident memory of a caller and a service", "MiB", &lines)?;
    println!("{}\n{}", report::write_json("memory", phases)?.display(), svg.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_that_of_the_line() {
        assert!((slope(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]) - 2.0).abs() < 1e-9);
        assert!(slope(&[(0.0, 1.0)]).abs() < 1e-9);
    }
}
