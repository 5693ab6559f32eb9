//! Price alerts: set one, report prices, and hear of those that go off.

use kafka_rpc::{RpcError, kafka_handler};
use serde::{Deserialize, Serialize};

/// The commands of `dashboard-alerts-commands`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AlertsCommandType {
    /// Sets an alert.
    CreateAlert,
    /// Asks for the alerts that are set.
    ListAlerts,
    /// Says what something costs now.
    ReportPrice,
}

/// Sets an alert that goes off once at a price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateAlert {
    /// What is watched, such as `BTC`.
    pub symbol: String,
    /// The price from which on it goes off, in cents.
    pub above_cents: u64,
}

/// An alert that is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// Which one it is.
    pub id: u64,
    /// What is watched.
    pub symbol: String,
    /// The price from which on it goes off, in cents.
    pub above_cents: u64,
}

/// Says what something costs now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportPrice {
    /// What has the price.
    pub symbol: String,
    /// The price, in cents.
    pub cents: u64,
}

/// How many alerts a price has set off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PriceReported {
    /// The number of alerts.
    pub triggered: usize,
}

/// An alert has gone off: a record of `dashboard-alerts-events`, whole, without an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertEvent {
    /// The alert.
    pub alert: Alert,
    /// The price that set it off, in cents.
    pub cents: u64,
}

/// Price alerts. What goes off is an event on `dashboard-alerts-events`.
#[kafka_handler(
    topic = "dashboard-alerts-commands",
    group = "dashboard-service-alerts-consumer",
    replies = "dashboard-alerts-responses",
    dead_letter = "dashboard-alerts-dlq"
)]
pub trait Alerts {
    /// Sets an alert.
    #[command(AlertsCommandType::CreateAlert)]
    async fn create_alert(&self, request: CreateAlert) -> Result<Alert, RpcError>;

    /// Asks for the alerts that are set.
    #[command(AlertsCommandType::ListAlerts)]
    async fn list_alerts(&self) -> Result<Vec<Alert>, RpcError>;

    /// Says what something costs now. Prices of one symbol stay in order.
    #[command(AlertsCommandType::ReportPrice, key = symbol)]
    async fn report_price(&self, request: ReportPrice) -> Result<PriceReported, RpcError>;
}
