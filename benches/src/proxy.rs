//! A proxy that brings every byte later, in order, and can break connections.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    time::{self, Instant},
};

/// How many reads of a connection may be on their way.
const ON_THE_WAY: usize = 4_096;

/// What one read takes at most.
const CHUNK: usize = 64 << 10;

/// Tells its ports on standard output; reads where the brokers are from standard input, and then `cut` as often as
/// every connection is to break, and tells how many did. Ends with its input.
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
    for (listener, target) in listeners.into_iter().zip(targets) {
        tokio::spawn(accept(listener, target, delay, cuts.clone(), Arc::clone(&connections)));
    }
    while let Some(line) = lines.next_line().await? {
        ensure!(line == "cut", "`{line}` is no command of the proxy");
        println!("{}", connections.load(Ordering::Relaxed));
        cut.send_replace(());
    }
    Ok(())
}

async fn accept(
    listener: TcpListener,
    target: String,
    delay: Duration,
    cuts: watch::Receiver<()>,
    connections: Arc<AtomicU64>,
) {
    while let Ok((client, _)) = listener.accept().await {
        // A broker that is not there ends the connection, as it would without a proxy.
        let Ok(broker) = TcpStream::connect(&target).await else { continue };
        let _best_effort = (client.set_nodelay(true), broker.set_nodelay(true));
        let (mut cuts, (from_client, to_client), (from_broker, to_broker)) =
            (cuts.clone(), client.into_split(), broker.into_split());
        cuts.mark_unchanged();
        let connections = Arc::clone(&connections);
        tokio::spawn(async move {
            connections.fetch_add(1, Ordering::Relaxed);
            // Whatever ends first drops both connections.
            tokio::select! {
                () = carry(from_client, to_broker, delay) => {}
                () = carry(from_broker, to_client, delay) => {}
                _cut = cuts.changed() => {}
            }
            connections.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// Brings what is read later by the delay, in order, whatever is on its way already.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let (sender, mut on_the_way) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THE_WAY);
    let read = async move {
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            match from.read_buf(&mut chunk).await {
                Ok(1..) if sender.send((Instant::now() + delay, chunk)).await.is_ok() => {}
                _ended => return,
            }
        }
    };
    let write = async move {
        while let Some((due, chunk)) = on_the_way.recv().await {
            if !delay.is_zero() {
                time::sleep_until(due).await;
            }
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(read, write);
}
