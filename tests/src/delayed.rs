//! A proxy in front of a broker that delays bytes and keeps their order.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use kafka_rpc::Config;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Notify, mpsc},
    time::{self, Instant},
};

use crate::cluster::{Brokers, Extras, real_brokers_with};

/// How many reads of one connection may be delayed at once.
const ON_THE_WAY: usize = 4_096;

/// The most bytes of one read.
const CHUNK: usize = 64 << 10;

/// A port in front of a broker that may not run yet.
#[derive(Debug)]
pub struct Delayed {
    listener: TcpListener,
    port: u16,
}

/// Starts a real broker behind a proxy with this delay, as [`Delayed::carry_to`] describes, and returns
/// settings that connect through the proxy. Without real brokers, prints that tests are skipped and returns
/// `None`.
///
/// # Panics
///
/// If it does not start.
pub async fn real_broker_behind(delay: Duration) -> Option<(Brokers, Way, Config)> {
    let way = Delayed::listen().await.unwrap_or_else(|error| panic!("{error}"));
    let port = way.port();
    let brokers = real_brokers_with(1, &Extras { proxies: vec![port], ..Extras::default() })?;
    let way = way.carry_to(brokers.proxied().remove(0), delay);
    Some((brokers, way, Config::new(format!("127.0.0.1:{port}")).create_topics(true)))
}

/// A running proxy.
#[derive(Debug, Clone)]
pub struct Way(Arc<Notify>);

impl Way {
    /// Cuts every connection. Clients may connect again at once.
    pub fn cut(&self) {
        self.0.notify_waiters();
    }
}

impl Delayed {
    /// Listens on any port that is free.
    pub async fn listen() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port })
    }

    /// The port on which the proxy listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Forwards bytes to a broker and back while the tokio runtime lives. On connections to a group
    /// coordinator, to which members send their joins and commits, adds `delay` in each direction.
    pub fn carry_to(self, broker: String, delay: Duration) -> Way {
        let way = Way(Arc::default());
        let cuts = Arc::clone(&way.0);
        tokio::spawn(async move {
            while let Ok((client, _)) = self.listener.accept().await {
                // Without a broker, the client's connection is closed.
                let Ok(broker) = TcpStream::connect(&broker).await else { continue };
                let _best_effort = (client.set_nodelay(true), broker.set_nodelay(true));
                let ((from_client, to_client), (from_broker, to_broker)) =
                    (client.into_split(), broker.into_split());
                let is_slow = Arc::<AtomicBool>::default();
                let answers_slowly = Arc::clone(&is_slow);
                let asked = move |chunk: &[u8]| {
                    is_slow.fetch_or(is_of_group(chunk), Ordering::Relaxed);
                    if is_slow.load(Ordering::Relaxed) { delay } else { Duration::ZERO }
                };
                let answered = move |_: &[u8]| {
                    if answers_slowly.load(Ordering::Relaxed) { delay } else { Duration::ZERO }
                };
                let cuts = Arc::clone(&cuts);
                tokio::spawn(async move {
                    // Whatever ends first drops both connections.
                    tokio::select! {
                        () = cuts.notified() => {}
                        () = carry(from_client, to_broker, asked) => {}
                        () = carry(from_broker, to_client, answered) => {}
                    }
                });
            }
        });
        way
    }
}

/// Whether `chunk` begins with a request of a group member: a length, then the API key.
fn is_of_group(chunk: &[u8]) -> bool {
    const OFFSET_COMMIT: i16 = 8;
    const JOIN_GROUP: i16 = 11;
    let key = chunk.get(4..6).and_then(|key| key.try_into().ok()).map(i16::from_be_bytes);
    key.is_some_and(|key| [OFFSET_COMMIT, JOIN_GROUP].contains(&key))
}

/// Forwards what is read after a delay, in order, and reads on meanwhile. `delay_of` returns the delay of
/// each read.
pub async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut delay_of: impl FnMut(&[u8]) -> Duration,
) {
    let (sender, mut on_the_way) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THE_WAY);
    let read = async move {
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            let Ok(1..) = from.read_buf(&mut chunk).await else { return };
            let due = Instant::now() + delay_of(&chunk);
            if sender.send((due, chunk)).await.is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((due, chunk)) = on_the_way.recv().await {
            // Even a sleep that is already due takes a millisecond.
            if due > Instant::now() {
                time::sleep_until(due).await;
            }
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(read, write);
}
