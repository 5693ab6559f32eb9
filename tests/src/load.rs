//! An endless load of calls, until it is stopped.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use kafka_rpc::Client;
use tokio::{sync::watch, task::JoinHandle};

use crate::orders::{OrdersClient as _, order};

/// How many calls are in flight.
const IN_FLIGHT: usize = 32;

/// A load of orders of a hundred accounts, numbered from 0 in the order in which they are placed. Each must
/// get its own answer.
#[derive(Debug)]
pub struct Load {
    stop: watch::Sender<bool>,
    answered: Arc<AtomicUsize>,
    calls: JoinHandle<u64>,
}

impl Load {
    /// Starts the load, with this timeout per call.
    #[expect(clippy::missing_panics_doc, reason = "`stop` panics for the task")]
    pub fn start(client: Client, timeout: Duration) -> Self {
        let (stop, mut stopped) = watch::channel(false);
        let answered = Arc::<AtomicUsize>::default();
        let answers = Arc::clone(&answered);
        let calls = tokio::spawn(async move {
            let until = async move { stopped.wait_for(|stop| *stop).await.map(drop) };
            let calls = stream::iter(0..).take_until(until).map(|number| {
                let call = client.place(order(&format!("a{}", number % 100), number)).timeout(timeout);
                async move { assert_eq!(call.await, Ok(number)) }
            });
            let counted = calls.buffer_unordered(IN_FLIGHT).fold(0, |count, ()| {
                answers.fetch_add(1, Ordering::Relaxed);
                async move { count + 1 }
            });
            counted.await
        });
        Self { stop, answered, calls }
    }

    /// How many calls were answered.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// Stops the load, and returns the number of calls, all of which were answered.
    ///
    /// # Panics
    ///
    /// If a call was not answered, or got the answer to another call.
    pub async fn stop(self) -> u64 {
        self.stop.send_replace(true);
        self.calls
            .await
            .unwrap_or_else(|panic| panic!("not every call was answered with its own answer: {panic}"))
    }
}
