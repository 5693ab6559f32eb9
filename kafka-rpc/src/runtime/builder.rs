//! How a user describes a runtime.

use std::{
    any::{TypeId, type_name},
    fmt, panic,
    sync::Arc,
    time::Duration,
};

use super::{
    Runtime,
    assembly::{self, Groups, Provisions},
    names::Names,
};
use crate::{
    Client, Config, Error, Problem, ReplyReading,
    error::Problems,
    handler::{
        Handlers, Registration,
        state::{Deferred, States},
    },
    rename::Rename,
    server::handling::reply_topics::ReplyTopics,
};

/// Describes a [`Runtime`].
///
/// ```no_run
/// use kafka_rpc::{Config, Runtime};
///
/// # #[derive(Clone)] struct Db;
/// # #[cfg(feature = "kafka")]
/// # async fn main_() -> Result<(), kafka_rpc::Error> {
/// Runtime::builder()
///     .config(Config::from_env()?)
///     .provide(Db)
///     .build()?
///     .run()
///     .await
/// # }
/// ```
#[derive(Default)]
pub struct RuntimeBuilder {
    config: Option<Config>,
    states: States,
    provided: Provisions,
    deferred: Vec<Deferred>,
    explicit: Vec<Handlers>,
    without_registry: bool,
    groups: Option<Groups>,
    reply_topics: Vec<String>,
    reply_reading: ReplyReading,
    map_topics: Option<Rename>,
    map_groups: Option<Rename>,
}

impl RuntimeBuilder {
    /// Sets the cluster and the bounds of this process. Required to start on a cluster.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }

    /// Provides a value: the service whose methods are handlers, or a value that handlers take as
    /// [`State<T>`](crate::State). Each type can be provided once.
    #[must_use]
    #[track_caller]
    pub fn provide<T: Send + Sync + 'static>(self, value: T) -> Self {
        self.provide_shared(Arc::new(value))
    }

    /// Provides a value that others hold too, such as a service that an HTTP server in the same process
    /// calls. Handlers see it as if it were a `T`.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use kafka_rpc::{Runtime, RpcError, kafka_handler};
    ///
    /// struct Accounts;
    ///
    /// #[kafka_handler(topic = "accounts-commands", group = "accounts", register = false)]
    /// impl Accounts {
    ///     #[command("CLOSE")]
    ///     async fn close(&self, account: String) -> Result<(), RpcError> {
    ///         Ok(drop(account))
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), kafka_rpc::Error> {
    /// let accounts = Arc::new(Accounts);
    /// let runtime = Runtime::builder()
    ///     .provide_shared(Arc::clone(&accounts))
    ///     .handlers(Accounts::handlers())
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    #[track_caller]
    pub fn provide_shared<T: Send + Sync + 'static>(mut self, value: Arc<T>) -> Self {
        self.note::<T>();
        self.states.insert(value);
        self
    }

    /// Provides a value that makes calls. It is made when the runtime starts, before the first record.
    #[must_use]
    #[track_caller]
    pub fn provide_with<T: Send + Sync + 'static>(
        mut self,
        make: impl FnOnce(Client) -> T + Send + 'static,
    ) -> Self {
        self.note::<T>();
        self.deferred.push(Box::new(|client, states| {
            states.insert(Arc::new(make(client.clone())));
        }));
        self
    }

    #[track_caller]
    fn note<T: 'static>(&mut self) {
        let (_, places) = self.provided.entry(TypeId::of::<T>()).or_insert((type_name::<T>(), Vec::new()));
        places.push(panic::Location::caller().into());
    }

    /// Adds handlers that do not register themselves, such as those of a generic service:
    /// `.handlers(<BybitService<Postgres> as Bybit>::handlers())`.
    #[must_use]
    pub fn handlers(mut self, handlers: Handlers) -> Self {
        self.explicit.push(handlers);
        self
    }

    /// Ignores the handlers that registered themselves, and serves only what
    /// [`handlers`](Self::handlers) adds.
    #[must_use]
    pub fn without_registry(mut self) -> Self {
        self.without_registry = true;
        self
    }

    /// Serves nothing, whatever is registered: a process that only calls.
    #[must_use]
    #[track_caller]
    pub fn client_only(mut self) -> Self {
        self.groups = Some(Groups { names: Vec::new(), stated_at: panic::Location::caller().into() });
        self
    }

    /// Serves only the handlers of these groups, as the attributes name them. A group that no handler has is
    /// an error at [`build`](Self::build).
    #[must_use]
    #[track_caller]
    pub fn serve_groups<G: Into<String>>(mut self, groups: impl IntoIterator<Item = G>) -> Self {
        let names = groups.into_iter().map(Into::into).collect();
        self.groups = Some(Groups { names, stated_at: panic::Location::caller().into() });
        self
    }

    /// Renames every topic, of handlers and of calls alike, such as with a prefix per environment.
    #[must_use]
    pub fn map_topics(mut self, rename: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        self.map_topics = Some(Arc::new(rename));
        self
    }

    /// Renames every consumer group.
    #[must_use]
    pub fn map_groups(mut self, rename: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        self.map_groups = Some(Arc::new(rename));
        self
    }

    /// Lets callers have their replies on this topic of the cluster too, beside the subscription's reply
    /// topic.
    #[must_use]
    pub fn allow_reply_to(mut self, topic: impl Into<String>) -> Self {
        self.reply_topics.push(topic.into());
        self
    }

    /// Sets which partitions of its reply topics this process reads: by default all of them.
    #[must_use]
    pub fn reply_reading(mut self, reading: ReplyReading) -> Self {
        self.reply_reading = reading;
        self
    }

    /// Builds the runtime. Finds every mistake in settings, handlers and provided values that can be found
    /// without a broker, and returns all of them together ([`Error::Build`]).
    pub fn build(self) -> Result<Runtime, Error> {
        let mut problems = Vec::new();
        if let Some(config) = &self.config {
            problems.extend(config.mistakes().into_iter().map(Problem::from));
            #[cfg(feature = "kafka")]
            problems.extend(crate::kafka::property_mistakes(config).into_iter().map(Problem::from));
        }
        let mut twice: Vec<_> = self.provided.values().filter(|(_, places)| places.len() > 1).collect();
        twice.sort_unstable();
        problems.extend(twice.into_iter().map(|(name, places)| Problem {
            message: format!(
                "`{name}` is provided more than once; provide it once, or wrap each in its own type"
            ),
            places: places.clone(),
        }));

        let mut registered = self.explicit;
        if !self.without_registry {
            registered.extend(inventory::iter::<Registration>.into_iter().map(|item| (item.handlers)()));
        }
        let dead_letters = assembly::dead_letters(&registered);
        if let Some(groups) = &self.groups {
            problems.extend(assembly::keep_groups(&mut registered, groups));
        }
        let names = Names { topics: self.map_topics.as_ref(), groups: self.map_groups.as_ref() };
        let drain_timeout = self.config.as_ref().map_or(Duration::MAX, |config| config.drain_timeout);
        let served = assembly::assemble(
            registered,
            &dead_letters,
            names,
            &self.provided,
            drain_timeout,
            &mut problems,
        );
        Problems::check(problems)?;

        Ok(Runtime {
            config: self.config,
            served,
            states: self.states,
            deferred: self.deferred,
            reply_reading: self.reply_reading,
            reply_topics: ReplyTopics { allowed: self.reply_topics.into_iter().map(Arc::from).collect() },
            map_topics: self.map_topics,
        })
    }
}

impl fmt::Debug for RuntimeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeBuilder")
            .field("config", &self.config)
            .field("states", &self.states)
            .finish_non_exhaustive()
    }
}
