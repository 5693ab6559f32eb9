//! Promise 6: payloads and secrets are never logged.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kafka_rpc::{CallError, RpcError, kafka_handler};
use tests::{Cluster, Record, cluster::started, eventually};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

/// What may be in no line.
const SECRET: &str = "hunter2";

/// Everything that is logged, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[kafka_handler(topic = "secret-commands", group = "secret", retry(max = 1, base = "1ms"), register = false)]
mod vault {
    use super::{RpcError, SECRET};

    #[command("KEEP")]
    pub(super) async fn keep(secret: String) -> Result<String, RpcError> {
        Ok(secret)
    }

    #[command("REFUSE")]
    pub(super) async fn refuse(secret: String) -> Result<(), RpcError> {
        Err(RpcError::unprocessable(secret).with_code(SECRET).with_details(SECRET.into()))
    }

    #[command("FAIL")]
    pub(super) async fn fail(secret: String) -> Result<(), RpcError> {
        Err(RpcError::unavailable(secret).with_source(SECRET))
    }
}
use vault::VaultClient as _;

#[tokio::test(flavor = "multi_thread")]
async fn payloads_keys_headers_errors_and_passwords_are_in_no_line_of_the_log() {
    let log = Log::default();
    tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(log.clone()).init();
    let cluster = Cluster::start();
    cluster.create_topic("secret-commands", 1).await;
    let (peer, topic) = (cluster.peer(), cluster.name("secret-commands"));
    let config = cluster.config().clock_skew(Duration::ZERO).property("sasl.password", SECRET);
    let running = started(cluster.runtime(config).handlers(vault::handlers())).await;
    let client = running.client();

    let call = client.keep(SECRET.to_owned()).key(SECRET).header("x-own", SECRET).user_id(SECRET);
    assert_eq!(call.await, Ok(SECRET.to_owned()));
    for (call, status) in [(client.refuse(SECRET.to_owned()), 422), (client.fail(SECRET.to_owned()), 503)] {
        let Err(CallError::Remote(error)) = call.await else { panic!("it did not fail") };
        assert_eq!(error.status().as_u16(), status);
    }
    let expired = Record::new(format!(r#"{{"type":"KEEP","payload":"{SECRET}"}}"#)).header("deadline", "1");
    for record in [expired, Record::new(SECRET), Record::new(format!(r#"{{"type":"{SECRET}"}}"#))] {
        peer.send(&topic, &record.key(SECRET).header("x-own", SECRET)).await;
    }
    eventually("all are final", || {
        (cluster.committed_sum("secret", "secret-commands", 1) == 6).then_some(())
    })
    .await;
    running.shutdown().await.expect("a clean shutdown");

    let log = log.text();
    for line in
        ["serving", "expired", "a record failed for good", "is tried again in the process", "shut down"]
    {
        assert!(log.contains(line), "`{line}` was not logged, so nothing is shown");
    }
    let told: Vec<&str> = log.lines().filter(|line| line.contains(SECRET)).collect();
    assert!(told.is_empty(), "{told:#?}");
}
