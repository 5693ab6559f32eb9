//! The handle of a started runtime, and its shutdown.

use std::{error::Error as _, fmt, sync::Arc, thread, time::Duration};

use futures_util::future::join_all;
use tokio::{
    sync::{mpsc, oneshot},
    time,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::signals::Signals;
use crate::{
    Client, Config, Error,
    client::{pending::Pending, replies::Replies},
    producer::Producer,
    server::consuming::consumer::ConsumerThread,
};

/// How long closing a consumer may take beyond the drain: leaving the group takes a round trip or two.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// A runtime that serves and calls. Dropping it stops it without waiting; [`shutdown`](Self::shutdown) waits.
#[must_use = "dropping it stops the runtime"]
pub struct Running {
    config: Config,
    client: Client,
    producer: Arc<Producer>,
    pending: Arc<Pending>,
    replies: Arc<Replies>,
    replies_ended: Option<oneshot::Receiver<()>>,
    consumers: Vec<ConsumerThread>,
    tasks: TaskTracker,
    /// Cancels what only waits, once the consumers have gone.
    stopping: CancellationToken,
    failures: mpsc::UnboundedReceiver<Error>,
}

impl Running {
    #[expect(clippy::too_many_arguments, reason = "called once; each is a part of its own")]
    pub(super) fn new(
        config: Config,
        client: Client,
        producer: Arc<Producer>,
        pending: Arc<Pending>,
        replies: Arc<Replies>,
        replies_ended: oneshot::Receiver<()>,
        tasks: TaskTracker,
        failures: mpsc::UnboundedReceiver<Error>,
    ) -> Self {
        Self {
            config,
            client,
            producer,
            pending,
            replies,
            replies_ended: Some(replies_ended),
            consumers: Vec::new(),
            tasks,
            stopping: CancellationToken::new(),
            failures,
        }
    }

    pub(super) fn add(&mut self, consumer: ConsumerThread) {
        self.consumers.push(consumer);
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn producer(&self) -> Arc<Producer> {
        Arc::clone(&self.producer)
    }

    pub(super) fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Returns a client over this runtime. Clone it freely; it works until the shutdown.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Waits for SIGINT or SIGTERM, or for an error that serving cannot survive; then shuts down. A second
    /// signal ends the shutdown too, with an error: records whose handlers have not ended are delivered
    /// again.
    ///
    /// This call begins to listen for signals: a signal that comes between `start()` and this call ends the
    /// process at once. [`Runtime::run`](crate::Runtime::run) leaves no such gap. After this has returned,
    /// SIGINT and SIGTERM no longer end the process by default.
    pub async fn until_signal(self) -> Result<(), Error> {
        let signals = Signals::listen()?;
        self.until_signalled(signals).await
    }

    /// Waits for `stop` to resolve, or for an error that serving cannot survive; then shuts down. For a
    /// process that decides when to stop in its own way, such as one that serves HTTP too.
    ///
    /// ```no_run
    /// # async fn main_loop(runtime: kafka_rpc::Runtime) -> Result<(), kafka_rpc::Error> {
    /// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    /// // `stop` goes to whoever decides.
    /// runtime.start().await?.until(async { drop(stopped.await) }).await
    /// # }
    /// ```
    pub async fn until(mut self, stop: impl Future<Output = ()>) -> Result<(), Error> {
        let failed = self.failed_before(stop).await;
        failed.and(self.shutdown().await)
    }

    async fn failed_before(&mut self, stop: impl Future<Output = ()>) -> Result<(), Error> {
        tokio::select! {
            () = stop => Ok(()),
            Some(error) = self.failures.recv() => Err(error),
        }
    }

    pub(super) async fn until_signalled(mut self, mut signals: Signals) -> Result<(), Error> {
        let signalled = async {
            let signal = signals.next().await;
            tracing::info!(signal, "shutting down");
        };
        let failed = self.failed_before(signalled).await;
        let impatient = async {
            if failed.is_err() {
                // The sender of the first signal does not know of the shutdown yet.
                let signal = signals.next().await;
                tracing::info!(signal, "already shutting down; another signal ends the wait for that");
            }
            signals.next().await
        };
        let shut_down = tokio::select! {
            shut_down = self.shutdown() => shut_down,
            signal = impatient => {
                tracing::warn!(signal, "a second signal came during the shutdown; not waiting for its end");
                Err(Error::Interrupted)
            }
        };
        failed.and(shut_down)
    }

    fn stop_the_rest(&self) {
        self.pending.close();
        self.stopping.cancel();
        self.replies.stop();
        self.tasks.close();
    }

    /// Ends pending calls, except for those of handlers; stops taking records, lets handlers end within
    /// `drain_timeout`, commits, leaves the groups, and sends what is queued, in this order: a handler that
    /// is ending may still call and reply. Records that Kafka has not acknowledged five seconds after that
    /// are an error.
    ///
    /// Takes `drain_timeout` and 20 s at most. If a handler awaits the shutdown, the shutdown waits for that
    /// handler until `drain_timeout` is over. A consumer that had ended before is no error of the shutdown:
    /// [`until`](Self::until) and [`until_signal`](Self::until_signal) return that error.
    pub async fn shutdown(mut self) -> Result<(), Error> {
        self.pending.close_to_others();
        for consumer in &self.consumers {
            consumer.stop();
        }
        let within = self.config.drain_timeout.saturating_add(CLOSE_WITHIN);
        // All at once: several that hang take no longer than one.
        join_all(std::mem::take(&mut self.consumers).into_iter().map(|consumer| consumer.ended(within)))
            .await;
        self.stop_the_rest();
        if time::timeout(CLOSE_WITHIN, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                running = self.tasks.len(),
                "handlers, and deliveries of replies, retries and dead letters, did not end in time and are left \
                 running; their records are not committed"
            );
        }
        if let Some(ended) = self.replies_ended.take()
            && time::timeout(CLOSE_WITHIN, ended).await.is_err()
        {
            tracing::warn!("the reply consumer did not close in time");
        }
        let flushed = self.flush().await;
        self.producer.end();
        match &flushed {
            Ok(()) => tracing::info!("shut down"),
            // Also logged here, because a `main` that drops the error would end without a word.
            Err(error) => {
                tracing::error!(%error, cause = error.source().map(display), "the shutdown ended with an error");
            }
        }
        flushed
    }

    /// Waits until Kafka has acknowledged what was sent. Uses a thread of its own, because handlers that are
    /// left running may occupy all of tokio's blocking threads.
    async fn flush(&self) -> Result<(), Error> {
        let producer = Arc::clone(&self.producer);
        let (tell, flushed) = oneshot::channel();
        thread::Builder::new()
            .name("kafka-rpc-flush".to_owned())
            .spawn(move || {
                let _nobody_waits = tell.send(producer.flush(CLOSE_WITHIN));
            })
            .map_err(|source| Error::System { action: "records may be left unsent".to_owned(), source })?;
        flushed.await.unwrap_or_else(|_panicked| {
            Err(Error::Panicked { what: "the thread that sends what is queued at a shutdown".to_owned() })
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for consumer in &self.consumers {
            consumer.stop();
        }
        self.stop_the_rest();
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("config", &self.config).finish_non_exhaustive()
    }
}
