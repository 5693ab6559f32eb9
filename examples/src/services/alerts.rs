//! The impl of a contract whose handlers send events, and a free function that handles every one of those
//! events.

use std::sync::{Mutex, MutexGuard, PoisonError};

use kafka_rpc::{Client, RpcError, State, kafka_handler};
use tokio::sync::broadcast;

use crate::contract::alerts::{Alert, AlertEvent, Alerts, CreateAlert, PriceReported, ReportPrice};

/// The service, which keeps the active alerts in memory.
#[derive(Debug, Default)]
pub struct AlertsService {
    alerts: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    set: Vec<Alert>,
    last_id: u64,
}

#[kafka_handler]
impl Alerts for AlertsService {
    async fn create_alert(&self, request: CreateAlert) -> Result<Alert, RpcError> {
        if request.above_cents == 0 {
            return Err(RpcError::unprocessable("every price is above 0; give more"));
        }
        let mut book = self.book();
        book.last_id += 1;
        let alert = Alert { id: book.last_id, symbol: request.symbol, above_cents: request.above_cents };
        book.set.push(alert.clone());
        Ok(alert)
    }

    async fn list_alerts(&self) -> Result<Vec<Alert>, RpcError> {
        Ok(self.book().set.clone())
    }

    /// `notify()` completes once Kafka has the event. The caller's reply waits for that, not for any handler
    /// of the event.
    async fn report_price(&self, price: ReportPrice, client: Client) -> Result<PriceReported, RpcError> {
        let gone_off = self.gone_off(&price);
        for alert in gone_off.clone() {
            client.on_alert(AlertEvent { alert, cents: price.cents }).notify().await?;
        }
        // Removed only after all events are sent. If an event cannot be delivered, the command is retried and
        // finds its alerts again; an event that was sent before may be sent twice. Reports of one symbol
        // share a record key, so they run one at a time.
        self.take_off(&gone_off);
        Ok(PriceReported { triggered: gone_off.len() })
    }
}

impl AlertsService {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.alerts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the active alerts that a price sets off.
    fn gone_off(&self, price: &ReportPrice) -> Vec<Alert> {
        let goes_off = |alert: &&Alert| alert.symbol == price.symbol && alert.above_cents <= price.cents;
        self.book().set.iter().filter(goes_off).cloned().collect()
    }

    fn take_off(&self, alerts: &[Alert]) {
        self.book().set.retain(|alert| !alerts.contains(alert));
    }
}

/// Passes alerts on to listeners in this process, such as the web sockets of a dashboard.
#[derive(Debug, Clone)]
pub struct AlertFeed(broadcast::Sender<AlertEvent>);

impl Default for AlertFeed {
    fn default() -> Self {
        Self(broadcast::Sender::new(64))
    }
}

impl AlertFeed {
    /// Returns a receiver of every alert from now on.
    pub fn listen(&self) -> broadcast::Receiver<AlertEvent> {
        self.0.subscribe()
    }
}

/// Handles every alert that goes off, whichever process set it off, and passes it on to local listeners.
///
/// Events have no reply: with `replies = none`, calls of the client's method can only be sent by `notify()`.
#[kafka_handler(
    topic = "dashboard-alerts-events",
    group = "dashboard-service-alert-events-consumer",
    replies = none,
    dead_letter = "dashboard-alerts-dlq"
)]
pub async fn on_alert(event: AlertEvent, State(feed): State<AlertFeed>) -> Result<(), RpcError> {
    tracing::info!(alert = event.alert.id, symbol = event.alert.symbol, "an alert has gone off");
    // An error here only means that nobody is listening right now, which is fine.
    let _listening = feed.0.send(event);
    Ok(())
}
