//! A way to a broker on which bytes come later, in order.

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

/// How many reads of a connection may be on their way.
const ON_THE_WAY: usize = 4_096;

/// What one read takes at most.
const CHUNK: usize = 64 << 10;

/// A port before a broker, which may not be there yet.
#[derive(Debug)]
pub struct Delayed {
    listener: TcpListener,
    port: u16,
}

/// Starts a real broker that is reached only on a way which takes this time, as [`Delayed::carry_to`] says; with the settings for that.
/// `None`, with a line that says so, where there are no real brokers.
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

/// A way that carries.
#[derive(Debug, Clone)]
pub struct Way(Arc<Notify>);

impl Way {
    /// Cuts every connection. Others are made at once by whoever wants to.
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

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Carries what comes to a broker and back as long as the tokio runtime lives, and each way later by this on connections
    /// to a coordinator: that is where members of a group say what they have to say of it, and commit.
    pub fn carry_to(self, broker: String, delay: Duration) -> Way {
        let way = Way(Arc::default());
        let cuts = Arc::clone(&way.0);
        tokio::spawn(async move {
            while let Ok((client, _)) = self.listener.accept().await {
                // A broker that is not there ends the connection.
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

/// Whether this begins with a request of a member of a group: a length, and the number of what is asked for.
fn is_of_group(chunk: &[u8]) -> bool {
    const OFFSET_COMMIT: i16 = 8;
    const JOIN_GROUP: i16 = 11;
    let key = chunk.get(4..6).and_then(|key| key.try_into().ok()).map(i16::from_be_bytes);
    key.is_some_and(|key| [OFFSET_COMMIT, JOIN_GROUP].contains(&key))
}

/// Brings what is read later, in order, whatever is on its way already. Of each read it is asked by how much.
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
            // Even a sleep until now takes a millisecond.
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
