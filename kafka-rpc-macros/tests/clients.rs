//! Tests uses of a client trait and its calls.

use std::sync::Arc;

use futures_util::future::join_all;
use kafka_rpc::{Call, Client, RpcError, Runtime, kafka_handler};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Ping {
    number: u64,
}

/// A payload that implements no `Serialize`, because this crate never sends it.
#[derive(Deserialize)]
struct ServerOnly;

#[kafka_handler(topic = "ping-commands", group = "ping")]
mod ping {
    use super::{Ping, RpcError, ServerOnly};

    #[command("PING")]
    async fn ping(request: Ping) -> Result<u64, RpcError> {
        Ok(request.number)
    }

    #[command("SERVER_ONLY")]
    async fn server_only(_: ServerOnly) -> Result<(), RpcError> {
        Ok(())
    }

    #[command("OLD")]
    #[deprecated = "use `PING`"]
    async fn old() -> Result<(), RpcError> {
        Ok(())
    }
}

#[kafka_handler(topic = "events", group = "events", replies = none)]
async fn on_event(event: Ping) -> Result<(), RpcError> {
    let _ = event.number;
    Ok(())
}

use ping::PingClient;

/// A fake client, as the tests of a caller would write it.
struct Fake;

impl PingClient for Fake {
    fn ping(&self, request: Ping) -> Call<u64> {
        Call::ready(Ok(request.number + 1))
    }

    fn server_only(&self, _: ServerOnly) -> Call<()> {
        Call::ready(Ok(()))
    }

    fn old(&self) -> Call<()> {
        Call::ready(Ok(()))
    }
}

#[tokio::test]
async fn a_fake_stands_in_for_the_client() {
    let client: Arc<dyn PingClient> = Arc::new(Fake);
    assert_eq!(client.ping(Ping { number: 1 }).await.expect("ready"), 2);
}

#[tokio::test]
async fn calls_go_into_spawn_join_and_select() {
    let loopback = Runtime::builder().build().expect("nothing is needed").loopback();
    let client: Client = loopback.client();
    let client: &dyn PingClient = &client;

    let spawned = tokio::spawn(client.ping(Ping { number: 1 }));
    assert_eq!(spawned.await.expect("no panic").expect("served"), 1);

    let joined = join_all((0..3).map(|number| client.ping(Ping { number }))).await;
    assert_eq!(joined.into_iter().map(|reply| reply.expect("served")).collect::<Vec<_>>(), [0, 1, 2]);

    tokio::select! {
        reply = client.ping(Ping { number: 7 }) => assert_eq!(reply.expect("served"), 7),
        () = std::future::pending() => {}
    }
}

#[tokio::test]
async fn an_event_is_notified() {
    let loopback = Runtime::builder().build().expect("nothing is needed").loopback();
    loopback.client().on_event(Ping { number: 1 }).notify().await.expect("sent");
}
