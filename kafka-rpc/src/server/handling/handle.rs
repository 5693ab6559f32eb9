//! Takes a record from its bytes to its outcome: through its handler, unless it has expired.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant, SystemTime},
};

use tokio::time;

use super::{
    bounded_run::{self, Ran},
    dedupe::{self, Dedupe, Turn},
    dispatch::Dispatched,
    limits::Limits,
    outcome::{Attempt, Outcome},
    reply_topics::ReplyTopics,
    watch::Watch,
};
use crate::{
    Context, CorrelationId, Deadline, RetryPolicy, RpcError,
    caught::caught,
    handler::{Reply, context::Input, state::Provided},
    server::Served,
    telemetry,
    wire::{ReceivedRecord, RequestHeaders, retry},
};

/// What all handlers of a process share.
#[derive(Debug)]
pub(crate) struct Handling {
    pub(crate) provided: Arc<Provided>,
    pub(crate) clock_skew: Duration,
    pub(crate) limits: Limits,
    pub(crate) reply_topics: ReplyTopics,
    pub(crate) dedupe: Dedupe,
    pub(crate) watch: Watch,
}

impl Handling {
    /// The input that the handler of a record runs on.
    pub(crate) fn input(&self, served: &Served, record: ReceivedRecord) -> Input {
        Input { record, group: Arc::clone(&served.group), provided: Arc::clone(&self.provided) }
    }

    /// Takes a record from its bytes to its outcome. `retries` is how often this process has retried the
    /// record. `clocks` shows a moment by both clocks, and tells by that when the record's deadline is.
    pub(crate) async fn handle(
        &self,
        served: &Served,
        input: &Arc<Input>,
        retries: u32,
        clocks: impl FnOnce() -> (Instant, SystemTime),
    ) -> Outcome {
        let record = &input.record;
        let headers = record.headers();
        let peer = served.dialect.sender(headers);
        let mut request = peer.read_request(headers);
        if served.reply_topic.is_none() {
            // A subscription without replies takes a request for an event like any other.
            request = request.unaddressed();
        }
        let refused = self.reply_topics.check(served, &request).err();
        if refused.is_some() {
            // A reply must not go to a topic that is not allowed, and the request names no other.
            request = request.unaddressed();
        }
        let deadline = request.deadline.and_then(|wall| Deadline::at_wall(wall, clocks()));
        let retries = served.retries(record, retries);
        let attempt = Attempt { served, record, peer, request: &request, deadline, handler: None, retries };

        if let Some(error) = refused {
            return attempt.give_up(error);
        }
        if let Err(error) = self.measure(served, record) {
            return attempt.give_up(error);
        }
        if deadline.is_some_and(|deadline| deadline.has_passed(self.clock_skew)) {
            return attempt.expire();
        }
        let dispatched = match served.dispatch.find(peer.read_value(record.value.as_ref())) {
            Ok(dispatched) => dispatched,
            Err(error) => return attempt.give_up(error),
        };
        let policy: &dyn RetryPolicy = dispatched.handler.retry;
        let attempt = Attempt { handler: Some(dispatched.handler.name()), ..attempt };
        match self.answer(served, input, &request, deadline, dispatched).await {
            Some(answer) => attempt.conclude(answer, policy),
            None => attempt.expire(),
        }
    }

    /// When the calls that a handler makes must end, by its caller's deadline. A deadline that has passed and
    /// was forgiven as clock skew is extended by the skew: as it is, no call could begin.
    fn lent(&self, deadline: Deadline) -> Option<Instant> {
        if deadline.has_passed(Duration::ZERO) {
            deadline.instant().checked_add(self.clock_skew)
        } else {
            Some(deadline.instant())
        }
    }

    /// Refuses a record that its sender has made too large. Headers that we have added do not count.
    fn measure(&self, served: &Served, record: &ReceivedRecord) -> Result<(), RpcError> {
        if served.of_dead_letters {
            // We wrote the letter, and the record in it may have been refused for its size.
            return Limits::NONE.check(record, &[]);
        }
        let is_again = served.retry_topic.as_ref() == Some(&record.topic);
        self.limits.check(record, if is_again { retry::NAMES } else { &[] })
    }

    /// The answer that was kept for a repeated request, or else the handler's; `None` if the caller stopped
    /// waiting while an earlier run of the request was under way.
    async fn answer(
        &self,
        served: &Served,
        input: &Arc<Input>,
        request: &RequestHeaders,
        deadline: Option<Deadline>,
        dispatched: Dispatched<'_>,
    ) -> Option<Result<Reply, RpcError>> {
        let handler = dispatched.handler;
        // A request that waits for another has a place, and may be in the way, as one whose handler runs.
        let _watched = self.watch.start(handler.name(), input);
        let answer = self.answer_of_handler(served, input, request, deadline, dispatched);
        let repeatable =
            handler.dedupe.and_then(|lasts| Some((lasts, dedupe::Request::of(handler.id, request)?)));
        let Some((lasts, repeatable)) = repeatable else { return Some(answer.await) };
        match self.while_awaited(deadline, self.dedupe.turn(&repeatable)).await? {
            Turn::Repeats(answer) => {
                telemetry::repeated(&served.topic, &served.group);
                Some(Ok(answer))
            }
            Turn::Runs(running) => {
                let answer = answer.await;
                if let Ok(reply) = &answer {
                    running.keep(reply.clone(), lasts);
                }
                Some(answer)
            }
        }
    }

    /// Waits for `turn`, for as long as the caller does, clock skew included.
    async fn while_awaited<T>(&self, deadline: Option<Deadline>, turn: impl Future<Output = T>) -> Option<T> {
        match deadline.and_then(|deadline| deadline.instant().checked_add(self.clock_skew)) {
            Some(until) => time::timeout_at(until.into(), turn).await.ok(),
            None => Some(turn.await),
        }
    }

    /// The answer of the handler, whatever becomes of it.
    async fn answer_of_handler(
        &self,
        served: &Served,
        input: &Arc<Input>,
        request: &RequestHeaders,
        deadline: Option<Deadline>,
        dispatched: Dispatched<'_>,
    ) -> Result<Reply, RpcError> {
        let (handler, record) = (dispatched.handler, &input.record);
        let context = Context {
            info: OnceLock::new(),
            input: Arc::clone(input),
            payload: dispatched.payload,
            user_id: OnceLock::new(),
            correlation_id: request.correlation_id.clone().map(CorrelationId),
            deadline,
        };
        let lent = deadline.and_then(|deadline| self.lent(deadline));
        match bounded_run::run(handler, context, lent).await {
            Ran::Answered(answer) => answer,
            Ran::Panicked(panic) => {
                let panic = bounded_run::message_of(&*panic);
                telemetry::panicked(&served.topic, &served.group);
                caught("logging a panic", || {
                    tracing::error!(
                        topic = %record.topic, partition = record.partition, offset = record.offset,
                        group = %served.group, handler = %handler.name(), panic,
                        "a handler panicked"
                    );
                });
                // The panic message is for the dead letter, and not for the caller.
                Err(RpcError::internal("the handler panicked").with_source(panic))
            }
            Ran::TimedOut(bound) => {
                telemetry::timed_out(&served.topic, &served.group);
                Err(RpcError::gateway_timeout(format!("the handler did not end within {bound:?}"))
                    .with_name("HandlerTimeout"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::{FutureExt as _, poll};

    use super::{super::dispatch::Dispatch, *};
    use crate::{
        Headers, Location, Stub,
        handler::{Handler, HandlerFuture, PayloadSource, Subscription, state::States},
        moment,
        wire::{
            Origin, Peer, ReplyTo,
            dead_letter::{self, Failure},
            reply,
        },
    };

    const HERE: Location = Location { file: file!(), line: line!() };

    fn handling(limits: Limits) -> Handling {
        Handling {
            provided: Arc::new(Provided { states: States::default(), client: Stub::new().client() }),
            clock_skew: Duration::ZERO,
            limits,
            reply_topics: ReplyTopics::default(),
            dedupe: Dedupe::default(),
            watch: Watch::default(),
        }
    }

    /// Fails with the correlation id, so that the record's outcome shows the id.
    fn tells_its_id(context: Context) -> HandlerFuture {
        Box::pin(async move {
            let id = context.correlation_id().map(|CorrelationId(id)| String::from_utf8_lossy(id));
            Err(RpcError::bad_request(id.unwrap_or("no id".into())))
        })
    }

    /// A subscription to the dead letters of `orders`, as a handler's attribute declares it.
    fn letters() -> Served {
        let Subscription { dialect, of_dead_letters, .. } =
            Subscription::of_dead_letters("orders", "undertaker", HERE);
        let handler = Handler::every_record(PayloadSource::Record, "handler", HERE, |_| {}, tells_its_id);
        Served {
            topic: "orders.dlq".into(),
            reply_topic: None,
            dialect,
            of_dead_letters,
            dispatch: Arc::new(Dispatch { fallback: Some(handler), ..Dispatch::default() }),
            ..Served::of_orders(false, false)
        }
    }

    /// A record of `orders` as it lies in the dead-letter topic.
    fn dead(peer: Peer, headers: Headers) -> ReceivedRecord {
        let record = ReceivedRecord { headers: Ok(headers), ..ReceivedRecord::blank() };
        let (error, at) = (RpcError::internal("bug"), SystemTime::now());
        let origin = Origin::of(&record);
        let failure = Failure { error: &error, peer, retries: 3, topic: "orders", origin, group: "g", at };
        let letter = dead_letter::letter(&"orders.dlq".into(), &record, &failure);
        ReceivedRecord { topic: letter.topic, headers: Ok(letter.headers), ..record }
    }

    /// The error message of a handler that fails for good.
    async fn said(handling: &Handling, served: &Served, record: ReceivedRecord) -> String {
        let outcome =
            handling.handle(served, &Arc::new(handling.input(served, record)), 0, moment::both_clocks).await;
        let Outcome::Discarded(failed) = outcome else {
            panic!("not given up without a letter: {outcome:?}")
        };
        failed.error.message().to_owned()
    }

    #[tokio::test]
    async fn the_handler_of_dead_letters_gets_the_correlation_id_of_every_dialect() {
        let handling = handling(Limits::NONE);
        let reply_to = ReplyTo { topic: "orders-responses", partition: None };
        for peer in [Peer::Reference, Peer::Nest, Peer::Spring] {
            let request = peer.request("c-1", reply_to, SystemTime::now(), Headers::new(), 1);
            assert_eq!(said(&handling, &letters(), dead(peer, request)).await, "c-1", "{peer:?}");
            let event = peer.event("m-1", Headers::new(), 1);
            assert_eq!(said(&handling, &letters(), dead(peer, event)).await, "no id", "{peer:?}");
        }
    }

    #[tokio::test]
    async fn where_nobody_is_answered_a_request_is_an_event_and_elsewhere_it_is_refused() {
        let handling = handling(Limits::NONE);
        let handler = Handler::every_record(PayloadSource::Record, "handler", HERE, |_| {}, tells_its_id);
        let dispatch = Arc::new(Dispatch { fallback: Some(handler), ..Dispatch::default() });
        let answered = Served { dispatch, ..Served::of_orders(false, false) };
        let unanswered = Served { reply_topic: None, ..answered.clone() };
        let reply_to = ReplyTo { topic: "somewhere", partition: None };
        let headers = Ok(Peer::Reference.request("c-1", reply_to, SystemTime::now(), Headers::new(), 1));
        let request = ReceivedRecord { headers, ..ReceivedRecord::blank() };
        assert_eq!(said(&handling, &unanswered, request.clone()).await, "c-1");
        let reply_topics = ReplyTopics { allowed: ["somewhere".into()].into() };
        let allowing = Handling { reply_topics, ..self::handling(Limits::NONE) };
        assert_eq!(
            said(&allowing, &unanswered, request.clone()).await,
            "c-1",
            "what is allowed answers nobody"
        );
        assert!(said(&handling, &answered, request).await.contains("allow_reply_to"));
    }

    #[tokio::test]
    async fn the_bounds_of_a_record_do_not_count_the_headers_that_a_retry_has_added() {
        let handling = handling(Limits { headers: 1, ..Limits::NONE });
        let handler = Handler::every_record(PayloadSource::Record, "handler", HERE, |_| {}, tells_its_id);
        let dispatch = Arc::new(Dispatch { fallback: Some(handler), ..Dispatch::default() });
        let served = Served { dispatch, ..Served::of_orders(false, true) };
        let mut headers = Headers::new();
        headers.push("correlation-id", "c-1");
        let first =
            ReceivedRecord { topic: "orders".into(), headers: Ok(headers), ..ReceivedRecord::blank() };
        let (error, due) = (RpcError::internal("bug"), SystemTime::now());
        let again = retry::again(&"orders-retry".into(), &first, 1, due, &error, Origin::of(&first));
        let again = ReceivedRecord { topic: again.topic, headers: Ok(again.headers), ..first.clone() };
        assert_eq!(said(&handling, &served, first).await, "c-1");
        assert_eq!(said(&handling, &served, again.clone()).await, "c-1");
        let forged = ReceivedRecord { topic: "orders".into(), ..again };
        assert_eq!(said(&handling, &served, forged).await, "the record has more than 1 headers");
    }

    #[tokio::test]
    async fn the_dead_letter_of_a_record_that_was_too_large_reaches_its_handler() {
        let handling = handling(Limits { headers: 1, header_bytes: 24, value_bytes: 1 });
        let mut headers = Headers::new();
        headers.push("correlation-id", "c-1");
        headers.push("more", "than it may have");
        let letter = ReceivedRecord { value: Some("large".into()), ..dead(Peer::Reference, headers) };
        assert_eq!(said(&handling, &letters(), letter).await, "c-1");
    }

    #[tokio::test]
    async fn a_command_is_not_answered_with_what_was_kept_for_another_that_was_written_in_the_same_place() {
        let handling = handling(Limits::NONE);
        let a = Handler::command(
            || Ok("A".into()),
            "a",
            HERE,
            |_| {},
            |_| Box::pin(async { Ok(Reply::Data("1".into())) }),
        );
        let b = Handler::command(
            || Ok("B".into()),
            "b",
            HERE,
            |_| {},
            |_| Box::pin(async { Ok(Reply::Data("2".into())) }),
        );
        let kept = |handler: Handler| handler.dedupe(Duration::from_mins(1));
        let commands = [("A".to_owned(), kept(a)), ("B".to_owned(), kept(b))];
        let dispatch = Arc::new(Dispatch { commands: commands.into(), ..Dispatch::default() });
        let served = Served { dispatch, ..Served::of_orders(true, false) };
        let reply_to = ReplyTo { topic: "orders-responses", partition: None };
        let deadline = SystemTime::now() + Duration::from_mins(1);
        for (value, answer) in [(r#"{"type":"A"}"#, "1"), (r#"{"type":"B"}"#, "2"), (r#"{"type":"A"}"#, "1")]
        {
            let headers = Ok(Peer::Reference.request("c-1", reply_to, deadline, Headers::new(), 1));
            let record = ReceivedRecord { value: Some(value.into()), headers, ..ReceivedRecord::blank() };
            let outcome = handling
                .handle(&served, &Arc::new(handling.input(&served, record)), 0, moment::both_clocks)
                .await;
            let Outcome::Reply(reply) = outcome else { panic!("not answered: {outcome:?}") };
            let data = reply::decode(reply.value.as_ref().expect("a value")).expect("a reply");
            assert_eq!(data.expect("a success").decode::<u8>().ok(), answer.parse().ok(), "{value}");
        }
    }

    #[tokio::test]
    async fn a_repeat_whose_deadline_is_forgiven_for_the_skew_of_clocks_waits_for_the_answer() {
        const HOUR: Duration = Duration::from_hours(1);
        let handling = Handling { clock_skew: HOUR, ..handling(Limits::NONE) };
        let handler = Handler::command(
            || Ok("A".into()),
            "a",
            HERE,
            |_| {},
            |_| Box::pin(tokio::task::yield_now().map(|()| Ok(Reply::Data("1".into())))),
        );
        let commands = [("A".to_owned(), handler.dedupe(HOUR))];
        let dispatch = Arc::new(Dispatch { commands: commands.into(), ..Dispatch::default() });
        let served = Served { dispatch, ..Served::of_orders(true, false) };
        let reply_to = ReplyTo { topic: "orders-responses", partition: None };
        let input = |deadline| {
            let headers = Ok(Peer::Reference.request("c-1", reply_to, deadline, Headers::new(), 1));
            let value = Some(r#"{"type":"A"}"#.into());
            Arc::new(handling.input(&served, ReceivedRecord { value, headers, ..ReceivedRecord::blank() }))
        };
        let now = SystemTime::now();
        let [first, repeat] = [now + HOUR, now - HOUR / 2].map(input);
        let mut first = pin!(handling.handle(&served, &first, 0, moment::both_clocks));
        assert!(poll!(&mut first).is_pending(), "it runs");
        let mut repeat = pin!(handling.handle(&served, &repeat, 0, moment::both_clocks));
        assert!(poll!(&mut repeat).is_pending(), "it waits for the first");
        assert!(matches!(first.await, Outcome::Reply(_)));
        assert!(matches!(repeat.await, Outcome::Reply(_)), "it has the answer of the first");
    }
}
