//! All five services and their caller in one process, with what happens between them on the terminal.
//!
//! - `cargo run -p examples --bin dashboard` starts an embedded broker in the process.
//! - `KAFKA_BROKERS=localhost:9092 cargo run -p examples --bin dashboard` uses that Kafka, and creates the
//!   topics.
//!
//! `RUST_LOG=info` also shows the log.

use std::{
    error::Error,
    process,
    time::{Duration, Instant},
};

use examples::{
    contract::{
        alerts::{AlertEvent, AlertsClient as _, CreateAlert, ReportPrice},
        bybit::{BybitClient as _, Connect, PlaceOrder},
        chat::{ChatClient as _, SendMessage},
        mcp_tools::CallTool,
        settings::UpdateSettings,
    },
    services::{
        self, alerts::AlertFeed, mcp_tools::tools::ToolsClient as _, settings::SettingsServiceClient as _,
    },
    terminal::{self, amount, heading, line, millis, timed, told},
};
use kafka_rpc::{Call, Client, Config, FromReply, RpcError, Runtime, kafka_handler, testing::EmbeddedBroker};
use serde_json::json;
use tokio::{sync::broadcast, time};

/// A contract that is ahead of its service: its command has no handler yet.
#[kafka_handler(
    topic = "dashboard-bybit-commands",
    group = "dashboard-service-bybit-consumer",
    replies = "dashboard-bybit-responses"
)]
pub trait BybitNext {
    /// Takes money out of an account.
    #[command("WITHDRAW")]
    async fn withdraw(&self, account: String) -> Result<(), RpcError>;
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    terminal::log("off");
    // Kept until the end: the embedded broker stops when this value is dropped.
    let (config, _broker) = cluster()?;

    let feed = AlertFeed::default();
    let mut alerts = feed.listen();
    let running = services::provide(Runtime::builder(), feed).config(config).build()?.start().await?;
    line(
        "serving five services",
        format_args!("{} after the start of the process", millis(started.elapsed())),
    );

    let client = running.client();
    let told = story(&client, &mut alerts, started).await;
    let stopping = Instant::now();
    running.shutdown().await?;
    heading("The end");
    timed("shutdown", "handlers ended, offsets committed, groups left", stopping.elapsed());
    told
}

/// Returns the Kafka of the environment, or an embedded broker.
fn cluster() -> Result<(Config, Option<EmbeddedBroker>), Box<dyn Error>> {
    if std::env::var_os("KAFKA_BROKERS").is_some() {
        heading("A dashboard on the Kafka of KAFKA_BROKERS");
        return Ok((Config::from_env()?.create_topics(true), None));
    }
    heading("A dashboard on an embedded broker (set KAFKA_BROKERS to take your own)");
    let broker = EmbeddedBroker::start()?;
    Ok((broker.config(), Some(broker)))
}

async fn story(
    client: &Client,
    alerts: &mut broadcast::Receiver<AlertEvent>,
    started: Instant,
) -> Result<(), Box<dyn Error>> {
    // A persistent Kafka still holds records of earlier runs, so each run uses names of its own.
    let own = &format!("dashboard-{}", process::id());

    heading("Commands, and their answers");
    let connect = Connect { account: own.clone(), api_key: "key".to_owned() };
    told("bybit.connect", client.connect(connect).user_id("ada"), |connected| {
        format!("{} belongs to {}", connected.account, connected.owner)
    })
    .await?;
    line("", format_args!("the first reply, {} after the start of the process", millis(started.elapsed())));
    let order = |id: &str, cents| PlaceOrder {
        id: id.to_owned(),
        account: own.clone(),
        symbol: "BTC".to_owned(),
        cents,
    };
    told("bybit.place_order", client.place_order(order("first", 25_000)), |placed| {
        format!("order {}, {} left", placed.number, amount(placed.cents_left))
    })
    .await?;
    let update = UpdateSettings { theme: Some("dark".to_owned()), ..UpdateSettings::default() };
    told("settings.update_settings", client.update_settings(update).user_id("ada"), |now| {
        format!("{}, {}", now.theme, now.currency)
    })
    .await?;
    let message = SendMessage { conversation: own.clone(), text: "/sum 1 2 3".to_owned() };
    told("chat.send_message", client.send_message(message), |answer| {
        format!("\"{}\" (the chat has asked mcp_tools)", answer.text)
    })
    .await?;

    heading("Errors keep their meaning");
    fails("bybit.place_order", client.place_order(order("second", 100_000))).await?;
    let message = SendMessage { conversation: own.clone(), text: "/balance nobody".to_owned() };
    fails("chat.send_message", client.send_message(message)).await?;
    fails("bybit.withdraw", client.withdraw(own.clone())).await?;

    heading("Nobody waits forever");
    let sleep = CallTool { name: "sleep".to_owned(), arguments: json!(500) };
    let slow = client.call_tool(sleep).timeout(Duration::from_millis(200));
    fails("mcp_tools.call_tool", slow).await?;

    heading("Events");
    let create = CreateAlert { symbol: own.clone(), above_cents: 6_000_000 };
    told("alerts.create_alert", client.create_alert(create), |alert| {
        format!("alert {}, above {}", alert.id, amount(alert.above_cents))
    })
    .await?;
    let reported = Instant::now();
    let price = ReportPrice { symbol: own.clone(), cents: 6_100_000 };
    told("alerts.report_price", client.report_price(price), |price| {
        format!("{} gone off, and sent to dashboard-alerts-events", price.triggered)
    })
    .await?;
    let event = time::timeout(Duration::from_secs(10), event_of(own, alerts)).await??;
    timed(
        "on_alert",
        format_args!("alert {} has arrived, at {}", event.alert.id, amount(event.cents)),
        reported.elapsed(),
    );
    Ok(())
}

/// Waits for this run's event: a persistent Kafka may still deliver older ones.
async fn event_of(
    symbol: &str,
    alerts: &mut broadcast::Receiver<AlertEvent>,
) -> Result<AlertEvent, broadcast::error::RecvError> {
    loop {
        let event = alerts.recv().await?;
        if event.alert.symbol == symbol {
            return Ok(event);
        }
    }
}

/// Makes a call that is meant to fail, and returns an error if it is answered.
async fn fails<T: FromReply>(what: &str, call: Call<T>) -> Result<(), String> {
    match told(what, call, |_| "answered, and should not have been".to_owned()).await {
        Ok(_) => Err(format!("{what} was answered, and should not have been")),
        Err(_) => Ok(()),
    }
}
