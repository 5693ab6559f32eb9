//! Promise 6: how large a record may be is what the configuration says.

use kafka_rpc::{Call, CallError, Client, Config};
use tests::{
    Cluster,
    orders::{OrderService, OrdersClient as _},
};

/// Makes two calls to a service with these bounds: the first is answered, the second refused for `reason`.
async fn refuses_more(
    bounds: impl FnOnce(Config) -> Config,
    calls: impl FnOnce(&Client) -> [Call<String>; 2],
    reason: &str,
) {
    let cluster = Cluster::start();
    let running = cluster.serve_orders(bounds(cluster.config()), &OrderService::default()).await;
    let [small, large] = calls(&running.client());
    let answer = small.await;
    assert!(answer.is_ok(), "{reason}, and {answer:?}");
    let answer = large.await;
    let Err(CallError::Remote(error)) = answer else { panic!("not that {reason}: {answer:?}") };
    assert_eq!((error.status().as_u16(), error.name(), error.message()), (413, "RecordTooLarge", reason));
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_more_bytes_than_it_may_have_is_refused() {
    refuses_more(
        |config| config.max_value_bytes(1_000),
        |client| [100, 1_000].map(|bytes| client.echo("x".repeat(bytes))),
        "the record's value has more than 1000 bytes",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_more_bytes_than_they_may_have_are_refused() {
    refuses_more(
        |config| config.max_header_bytes(1_000),
        |client| [100, 1_000].map(|bytes| client.echo("hi".to_owned()).header("x-own", "x".repeat(bytes))),
        "the record has more than 1000 bytes of headers",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_headers_than_there_may_be_are_refused() {
    refuses_more(
        // Five headers are the protocol's.
        |config| config.max_headers(6),
        |client| {
            let one = || client.echo("hi".to_owned()).header("x-one", "1");
            [one(), one().header("x-two", "2")]
        },
        "the record has more than 6 headers",
    )
    .await;
}
