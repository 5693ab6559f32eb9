//! Calls the services of another process: every command once and then, if requested, many calls at once.
//!
//! ```text
//! KAFKA_BROKERS=localhost:9092 cargo run -p examples --bin caller
//! KAFKA_BROKERS=localhost:9092 cargo run --release -p examples --bin caller -- --calls 10000 --in-flight 64
//! ```
//!
//! Exits with an error if a call failed, or if an answer belonged to another request.

use std::{
    env,
    error::Error,
    process,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use examples::{
    contract::{
        alerts::{AlertsClient as _, CreateAlert, ReportPrice},
        bybit::{BybitClient as _, Connect, GetBalance, PlaceOrder},
        chat::{ChatClient as _, GetHistory, SendMessage},
        mcp_tools::CallTool,
        settings::UpdateSettings,
    },
    services::{
        mcp_tools::tools::ToolsClient as _,
        settings::{ResetSettingsClient as _, SettingsServiceClient as _},
    },
    terminal::{self, amount, heading, line, millis, told},
};
use kafka_rpc::{CallError, Client, Config, Runtime};
use serde_json::json;
use tokio::task::JoinSet;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    terminal::log("warn,librdkafka=error");
    let load = Load::from_arguments(env::args().skip(1))?;
    // Linking the clients of `examples` also links its handlers; `client_only` keeps this process from
    // serving them.
    let running = Runtime::builder().config(Config::from_env()?).client_only().build()?.start().await?;

    let called = every_command_once(&running.client()).await;
    let ran = match load {
        Load { calls: 0, .. } => Ok(()),
        load => load.run(&running.client()).await,
    };
    running.shutdown().await?;
    called?;
    ran
}

/// Calls each command and prints a line for each. Stops at the first failure, because later commands build on
/// earlier ones.
async fn every_command_once(client: &Client) -> Result<(), CallError> {
    // The process id keeps callers apart that run at the same time or on the same Kafka later.
    let own = &format!("caller-{}", process::id());
    let user = &format!("user-{}", process::id());

    heading("Every command, once");
    let connect = Connect { account: own.clone(), api_key: "key".to_owned() };
    told("bybit.connect", client.connect(connect).user_id(user), |connected| {
        format!("{} belongs to {}", connected.account, connected.owner)
    })
    .await?;
    let get = GetBalance { account: own.clone() };
    told("bybit.get_balance", client.get_balance(get), |balance| amount(balance.cents)).await?;
    let order =
        PlaceOrder { id: "first".to_owned(), account: own.clone(), symbol: "BTC".to_owned(), cents: 25_000 };
    told("bybit.place_order", client.place_order(order), |placed| {
        format!("order {}, {} left", placed.number, amount(placed.cents_left))
    })
    .await?;

    let create = CreateAlert { symbol: own.clone(), above_cents: 100 };
    told("alerts.create_alert", client.create_alert(create), |alert| format!("alert {}", alert.id)).await?;
    told("alerts.list_alerts", client.list_alerts(), |alerts| format!("{} set", alerts.len())).await?;
    let price = ReportPrice { symbol: own.clone(), cents: 150 };
    told("alerts.report_price", client.report_price(price), |price| format!("{} gone off", price.triggered))
        .await?;

    let update = UpdateSettings { theme: Some("dark".to_owned()), ..UpdateSettings::default() };
    told("settings.update_settings", client.update_settings(update).user_id(user), |now| now.theme.clone())
        .await?;
    told("settings.get_settings", client.get_settings().user_id(user), |now| now.theme.clone()).await?;
    told("settings.reset_settings", client.reset_settings().user_id(user), |now| now.theme.clone()).await?;

    let message = SendMessage { conversation: own.clone(), text: format!("/balance {own}") };
    told("chat.send_message", client.send_message(message), |answer| answer.text.clone()).await?;
    let history = GetHistory { conversation: own.clone() };
    told("chat.get_history", client.get_history(history), |said| format!("{} messages", said.len())).await?;

    told("mcp_tools.list_tools", client.list_tools(), |tools| format!("{} tools", tools.len())).await?;
    let sum = CallTool { name: "sum".to_owned(), arguments: json!([1, 2, 3]) };
    told("mcp_tools.call_tool", client.call_tool(sum), |result| result.content.to_string()).await?;
    Ok(())
}

/// The number of calls to make, and of calls in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Load {
    calls: u32,
    in_flight: u32,
}

impl Load {
    fn from_arguments(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut load = Self { calls: 0, in_flight: 1 };
        while let Some(name) = arguments.next() {
            let number = match name.as_str() {
                "--calls" => &mut load.calls,
                "--in-flight" => &mut load.in_flight,
                _ => {
                    return Err(format!("`{name}` is not known; write `caller [--calls N] [--in-flight K]`"));
                }
            };
            *number = arguments
                .next()
                .and_then(|value| value.parse().ok())
                .ok_or_else(|| format!("`{name}` takes a whole number"))?;
        }
        if load.in_flight == 0 {
            return Err("`--in-flight 0` would never call; give 1 or more".to_owned());
        }
        Ok(load)
    }

    /// Makes the calls and prints how they went.
    async fn run(self, client: &Client) -> Result<(), Box<dyn Error>> {
        heading(format_args!("{} calls, {} in flight", self.calls, self.in_flight));
        let started = Instant::now();
        let next = Arc::new(AtomicU32::new(0));
        let mut workers = JoinSet::new();
        for _ in 0..self.in_flight {
            workers.spawn(call_until(self.calls, Arc::clone(&next), client.clone()));
        }
        let mut tally = Tally::default();
        while let Some(worker) = workers.join_next().await {
            tally.add(worker?);
        }
        tally.print(started.elapsed());
        if tally.failed + tally.mixed_up > 0 {
            return Err("not every call was answered as it should be".into());
        }
        Ok(())
    }
}

/// Makes one call after the other until all workers together have made `calls`.
async fn call_until(calls: u32, next: Arc<AtomicU32>, client: Client) -> Tally {
    let mut tally = Tally::default();
    // The process id tells this caller's arguments from those of callers that run at the same time.
    let caller = process::id();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= calls {
            return tally;
        }
        let arguments = json!({ "caller": caller, "number": number, "text": "x".repeat(200) });
        let call = client.call_tool(CallTool { name: "echo".to_owned(), arguments: arguments.clone() });
        let started = Instant::now();
        match call.await {
            Ok(result) if result.content == arguments => tally.answered.push(started.elapsed()),
            Ok(_) => tally.mixed_up += 1,
            Err(error) => {
                tally.failed += 1;
                tally.last_error = Some(error);
            }
        }
    }
}

/// The outcomes of calls.
#[derive(Debug, Default)]
struct Tally {
    answered: Vec<Duration>,
    /// The number of answers that belonged to another request.
    mixed_up: usize,
    failed: usize,
    last_error: Option<CallError>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.answered.extend(other.answered);
        self.mixed_up += other.mixed_up;
        self.failed += other.failed;
        self.last_error = other.last_error.or(self.last_error.take());
    }

    fn print(&mut self, took: Duration) {
        self.answered.sort_unstable();
        let sent = self.answered.len() + self.mixed_up + self.failed;
        line("sent", sent);
        line("answered", self.answered.len());
        line("answered with another's", self.mixed_up);
        line("failed", self.failed);
        if let Some(error) = &self.last_error {
            line("the last failure", error);
        }
        let answered = u32::try_from(self.answered.len()).unwrap_or(u32::MAX);
        line("calls/s", format_args!("{:.0}", f64::from(answered) / took.as_secs_f64()));
        for percent in [50, 99] {
            if let Some(latency) = self.answered.get(self.answered.len() * percent / 100) {
                line(format_args!("p{percent}"), millis(*latency));
            }
        }
    }
}
