//! A proxy that delays every byte, in order, counts what brokers send, and can break connections.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use tests::delayed::carry;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::traffic::{FirstRequest, Traffic};

/// Runs the proxy. Prints its ports to standard output, then reads from standard input: first the addresses
/// of the brokers, then any number of commands. `cut` breaks every connection and prints how many there were;
/// `traffic` prints the bytes that brokers have sent. Returns when the input ends.
pub(crate) async fn run(brokers: usize, delay: Duration) -> anyhow::Result<()> {
    let mut listeners = Vec::new();
    let mut ports = Vec::new();
    for _ in 0..brokers {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        ports.push(listener.local_addr()?.port().to_string());
        listeners.push(listener);
    }
    println!("{}", ports.join(" "));

    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let targets = lines.next_line().await?.context("nobody said where the brokers are")?;
    let targets: Vec<String> = targets.split_whitespace().map(str::to_owned).collect();
    ensure!(targets.len() == brokers, "{} brokers for {brokers} ports", targets.len());

    let (cut, cuts) = watch::channel(());
    let connections = Arc::<AtomicU64>::default();
    let traffic = Traffic::default();
    for (listener, target) in listeners.into_iter().zip(targets) {
        let (connections, traffic) = (Arc::clone(&connections), traffic.clone());
        tokio::spawn(accept(listener, target, delay, cuts.clone(), connections, traffic));
    }
    while let Some(line) = lines.next_line().await? {
        match line.as_str() {
            "cut" => {
                println!("{}", connections.load(Ordering::Relaxed));
                cut.send_replace(());
            }
            "traffic" => println!("{}", serde_json::to_string(&traffic.totals())?),
            other => bail!("`{other}` is no command of the proxy"),
        }
    }
    Ok(())
}

async fn accept(
    listener: TcpListener,
    target: String,
    delay: Duration,
    cuts: watch::Receiver<()>,
    connections: Arc<AtomicU64>,
    traffic: Traffic,
) {
    while let Ok((client, _)) = listener.accept().await {
        // A broker that is down ends the connection, as it would without a proxy.
        let Ok(broker) = TcpStream::connect(&target).await else { continue };
        let _best_effort = (client.set_nodelay(true), broker.set_nodelay(true));
        let (mut cuts, (from_client, to_client), (from_broker, to_broker)) =
            (cuts.clone(), client.into_split(), broker.into_split());
        cuts.mark_unchanged();
        let (connections, traffic) = (Arc::clone(&connections), traffic.clone());
        tokio::spawn(async move {
            connections.fetch_add(1, Ordering::Relaxed);
            let (mut first, whose) = (FirstRequest::default(), OnceLock::new());
            let asked = |chunk: &[u8]| {
                if whose.get().is_none()
                    && let Some(client) = first.read(chunk)
                {
                    whose.get_or_init(|| traffic.of(client));
                }
                delay
            };
            // A broker sends only replies, so the client is known by now: its first request passed `asked`
            // before it reached the broker.
            let answered = |chunk: &[u8]| {
                if let Some(bytes) = whose.get() {
                    bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                }
                delay
            };
            // Whichever ends first drops both connections.
            tokio::select! {
                () = carry(from_client, to_broker, asked) => {}
                () = carry(from_broker, to_client, answered) => {}
                _cut = cuts.changed() => {}
            }
            connections.fetch_sub(1, Ordering::Relaxed);
        });
    }
}
