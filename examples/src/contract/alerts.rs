//! Price alerts: set one, report prices, and receive an event when an alert goes off.

use kafka_rpc::{RpcError, kafka_handler};
use serde::{Deserialize, Serialize};

/// The commands of `dashboard-alerts-commands`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AlertsCommandType {
    /// Sets an alert.
    CreateAlert,
    /// Lists the active alerts.
    ListAlerts,
    /// Reports a current price.
    ReportPrice,
}

/// Sets an alert that goes off once at a price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateAlert {
    /// The watched symbol, such as `BTC`.
    pub symbol: String,
    /// The lowest price that sets off the alert, in cents.
    pub above_cents: u64,
}

/// An active alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// The id of the alert.
    pub id: u64,
    /// The watched symbol.
    pub symbol: String,
    /// The lowest price that sets off the alert, in cents.
    pub above_cents: u64,
}

/// Reports a current price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportPrice {
    /// The symbol with this price.
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

/// The event that an alert has gone off: a record of `dashboard-alerts-events`, which consists of this value
/// alone, without an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertEvent {
    /// The alert.
    pub alert: Alert,
    /// The price that set it off, in cents.
    pub cents: u64,
}

/// The price-alert service. Alerts that go off become events on `dashboard-alerts-events`.
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

    /// Lists the active alerts.
    #[command(AlertsCommandType::ListAlerts)]
    async fn list_alerts(&self) -> Result<Vec<Alert>, RpcError>;

    /// Reports a current price. The record key is the symbol, so reports of one symbol stay in order.
    #[command(AlertsCommandType::ReportPrice, key = symbol)]
    async fn report_price(&self, request: ReportPrice) -> Result<PriceReported, RpcError>;
}
