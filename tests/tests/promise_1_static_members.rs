//! Promise 1, for static members of a group: one that comes back within its session has its partitions again,
//! and nobody else notices.

use kafka_rpc::{Running, kafka_handler};
use tests::{
    BOUND, Cluster, Record,
    cluster::{real_kafka, started},
    orders::{GROUP, OrderService, TOPIC, order, place},
    until,
};

async fn member(cluster: &Cluster, id: &str, service: &OrderService) -> Running {
    let config = cluster.config().property("group.instance.id", id).drain_timeout(2 * BOUND);
    cluster.serve_orders(config, service).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_member_that_comes_back_has_its_partitions_again_and_nobody_else_notices() {
    // The embedded broker does not know static members.
    let Some(cluster) = real_kafka() else { return };
    cluster.create_topic(TOPIC, 2).await;
    let (peer, topic) = (cluster.peer(), cluster.name(TOPIC));
    let send = async |account: &str, number: u64| {
        let partition = i32::try_from(number % 2).expect("0 or 1");
        peer.send(&topic, &Record::new(place(account, number)).key(account).partition(partition)).await;
    };
    let (stays, goes) = (OrderService::default(), OrderService::default());
    let staying = member(&cluster, "stays", &stays).await;
    let going = member(&cluster, "goes", &goes).await;
    // Sends one record to each partition, again and again, until each member has handled one of the two.
    let mut count = 0;
    let its = loop {
        let both = [count, count + 1];
        for number in both {
            send("first", number).await;
        }
        count += 2;
        let had = |service: &OrderService| {
            let numbers = service.ended().into_iter().map(|order| order.number);
            numbers.filter(|number| both.contains(number)).collect::<Vec<_>>()
        };
        let are_handled = || had(&stays).len() + had(&goes).len() >= 2;
        until("both are handled", are_handled).await;
        if let ([_], [number]) = (&*had(&stays), &*had(&goes)) {
            break number % 2;
        }
    };
    let other = 1 - its;
    stays.hold("held");
    send("held", other).await;
    until("it runs", || stays.started().contains(&order("held", other))).await;

    going.shutdown().await.expect("a clean shutdown");
    send("meanwhile", its).await;
    let back = OrderService::default();
    let coming_back = member(&cluster, "goes", &back).await;
    let meanwhile = [order("meanwhile", its)];
    until("its partition is its own", || back.ended() == meanwhile).await;
    // A rebalance would wait for the running handler, and meanwhile nothing would be read.
    send("after", other).await;
    until("the other goes on", || stays.ended().contains(&order("after", other))).await;
    assert!(!stays.ended().contains(&order("held", other)));

    stays.release("held");
    let all = i64::try_from(count + 3).expect("few");
    until("everything is committed", || cluster.committed_sum(GROUP, TOPIC, 2) == all).await;
    assert_eq!(back.started(), meanwhile, "it has had no other");
    for running in [coming_back, staying] {
        running.shutdown().await.expect("a clean shutdown");
    }
}

/// Two topics of one group.
#[kafka_handler(topic = "east-commands", group = "both", register = false)]
mod east {
    use kafka_rpc::RpcError;

    #[command("WHERE")]
    pub(super) async fn side() -> Result<String, RpcError> {
        Ok("east".to_owned())
    }
}

#[kafka_handler(topic = "west-commands", group = "both", register = false)]
mod west {
    use kafka_rpc::RpcError;

    #[command("WHERE")]
    pub(super) async fn side() -> Result<String, RpcError> {
        Ok("west".to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_member_serves_all_topics_of_its_group_also_after_a_restart() {
    // The embedded broker fences nobody off.
    let Some(cluster) = real_kafka() else { return };
    for _ in 0..2 {
        let config = cluster.config().property("group.instance.id", "one").call_timeout(BOUND);
        let runtime = cluster.runtime(config).handlers(east::handlers()).handlers(west::handlers());
        let running = started(runtime).await;
        let client = running.client();
        let (east, west): (&dyn east::EastClient, &dyn west::WestClient) = (&client, &client);
        assert_eq!(east.side().await, Ok("east".to_owned()));
        assert_eq!(west.side().await, Ok("west".to_owned()));
        running.shutdown().await.expect("a clean shutdown");
    }
}
