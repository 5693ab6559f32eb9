//! What becomes of a record: the one thing that must be done before its offset may be committed.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    Deadline, RetryPolicy, RpcError,
    handler::{Reply, registry::HandlerName},
    server::Served,
    wire::{
        Answer, Origin, OutgoingRecord, Peer, ReceivedRecord, RequestHeaders,
        dead_letter::{self, Failure},
        retry,
    },
};

/// What becomes of a record.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The record was handled, and nobody waits.
    Handled,
    /// Nobody waited any more, so the record was not handled.
    Expired,
    /// Somebody waits: the reply must be acknowledged first.
    Reply(Arc<OutgoingRecord>),
    /// The record failed for good, and only the reply that says so is owed: it must be acknowledged first.
    ErrorReply { reply: Arc<OutgoingRecord>, failed: Failed },
    /// The record failed, and is handled once more in the process, after this time.
    Retry { after: Duration, failed: Failed },
    /// The record failed, and is handled once more from the retry topic: `record` must be acknowledged first.
    RetryLater { record: Arc<OutgoingRecord>, failed: Failed },
    /// The record failed for good: the letter must be acknowledged first, and then the reply, if somebody
    /// waits.
    DeadLetter { letter: Arc<OutgoingRecord>, reply: Option<Arc<OutgoingRecord>>, failed: Failed },
    /// The record failed for good, nobody waits, and there is no dead-letter topic: nothing more is done.
    Discarded(Failed),
}

/// Why a record failed, and in which handler.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: RpcError,
    /// `None` if the record reached no handler.
    pub(crate) handler: Option<HandlerName>,
}

/// A run of a record that has ended.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    pub(crate) served: &'a Served,
    pub(crate) record: &'a ReceivedRecord,
    pub(crate) peer: Peer,
    pub(crate) request: &'a RequestHeaders,
    pub(crate) deadline: Option<Deadline>,
    /// The record's handler; `None` if it reached none.
    pub(crate) handler: Option<HandlerName>,
    /// How often the record was retried before this run.
    pub(crate) retries: u32,
}

impl Attempt<'_> {
    /// The outcome of a record for which nobody waits any more. The record is dropped, unless it has failed
    /// before: nobody would hear of that failure then.
    pub(crate) fn expire(&self) -> Outcome {
        if self.retries == 0 {
            return Outcome::Expired;
        }
        let error = RpcError::gateway_timeout("the deadline passed before the record could be retried");
        self.give_up(error.with_name("DeadlineExceeded"))
    }

    /// Decides the outcome of a record, by the handler's answer or by the error that kept it from answering.
    pub(crate) fn conclude(&self, answer: Result<Reply, RpcError>, policy: &dyn RetryPolicy) -> Outcome {
        let error = match answer {
            Ok(Reply::None) => return Outcome::Handled,
            Ok(answer) => {
                let reply = self.reply(match &answer {
                    Reply::Data(data) => Answer::Data(data),
                    Reply::Empty | Reply::None => Answer::Empty,
                });
                return reply.map_or(Outcome::Handled, Outcome::Reply);
            }
            Err(error) => error,
        };
        let next = self.retries.saturating_add(1);
        if let Some(after) = self.delay_by(policy, &error, next)
            && self.deadline.is_none_or(|deadline| after < deadline.remaining())
        {
            match &self.served.retry_topic {
                None => return Outcome::Retry { after, failed: self.failed(error) },
                // A user's policy may wait for longer than dates can express: that is forever.
                Some(topic) => {
                    if let Some(due) = SystemTime::now().checked_add(after) {
                        let record =
                            Arc::new(retry::again(topic, self.record, next, due, &error, self.origin()));
                        return Outcome::RetryLater { record, failed: self.failed(error) };
                    }
                }
            }
        }
        self.give_up(error)
    }

    /// The outcome of a record that will not be retried.
    pub(crate) fn give_up(&self, error: RpcError) -> Outcome {
        let reply = self.reply(Answer::Failure(&error));
        match (reply, &self.served.dead_letter_topic) {
            // The reply says whose fault it is, the caller's or another service's: nothing is left to do.
            (Some(reply), topic) if topic.is_none() || error.is_final() => {
                Outcome::ErrorReply { reply, failed: self.failed(error) }
            }
            (_, None) => Outcome::Discarded(self.failed(error)),
            (reply, Some(topic)) => {
                let failure = Failure {
                    error: &error,
                    peer: self.peer,
                    retries: self.retries,
                    topic: &self.served.topic,
                    origin: self.origin(),
                    group: &self.served.group,
                    at: SystemTime::now(),
                };
                let letter = Arc::new(dead_letter::letter(topic, self.record, &failure));
                Outcome::DeadLetter { letter, reply, failed: self.failed(error) }
            }
        }
    }

    /// Where the record was first read, in the topic of its subscription.
    fn origin(&self) -> Origin {
        let record = self.record;
        // Anybody can write the origin header; on a retry topic it is ours.
        let kept = (record.topic != self.served.topic).then(|| Origin::read(record.headers())).flatten();
        kept.unwrap_or_else(|| Origin::of(record))
    }

    fn failed(&self, error: RpcError) -> Failed {
        Failed { error, handler: self.handler }
    }

    /// Asks the policy whether to retry, and when. A user's policy may panic, which means no.
    fn delay_by(&self, policy: &dyn RetryPolicy, error: &RpcError, retry: u32) -> Option<Duration> {
        catch_unwind(AssertUnwindSafe(|| policy.delay(error, retry))).unwrap_or_else(|_panic| {
            let ReceivedRecord { topic, partition, offset, .. } = self.record;
            tracing::error!(
                %topic, partition, offset, group = %self.served.group, retry,
                "a retry policy panicked; the record is not retried"
            );
            None
        })
    }

    /// The reply, if somebody waits for one.
    fn reply(&self, answer: Answer<'_>) -> Option<Arc<OutgoingRecord>> {
        self.peer.reply(self.request, self.record.key.as_ref(), answer).map(Arc::new)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::Bytes;

    use super::*;
    use crate::{Headers, Retry};

    fn record() -> ReceivedRecord {
        ReceivedRecord {
            topic: "orders".into(),
            value: Some(Bytes::from_static(b"{}")),
            ..ReceivedRecord::blank()
        }
    }

    fn waited_for() -> RequestHeaders {
        RequestHeaders {
            correlation_id: Some("c-1".into()),
            reply_to: Some("orders-responses".into()),
            ..RequestHeaders::default()
        }
    }

    struct Case {
        served: Served,
        record: ReceivedRecord,
        request: RequestHeaders,
        retries: u32,
        deadline_in: Option<Duration>,
    }

    impl Default for Case {
        fn default() -> Self {
            Self {
                served: Served::of_orders(true, false),
                record: record(),
                request: waited_for(),
                retries: 3,
                deadline_in: None,
            }
        }
    }

    impl Case {
        fn concluded(&self, answer: Result<Reply, RpcError>) -> Outcome {
            self.concluded_by(&Retry::new(), answer)
        }

        fn concluded_by(&self, policy: &dyn RetryPolicy, answer: Result<Reply, RpcError>) -> Outcome {
            self.attempt().conclude(answer, policy)
        }

        fn attempt(&self) -> Attempt<'_> {
            let now = (Instant::now(), SystemTime::now());
            Attempt {
                served: &self.served,
                record: &self.record,
                peer: Peer::Reference,
                request: &self.request,
                deadline: self.deadline_in.and_then(|left| Deadline::at_wall(now.1 + left, now)),
                handler: None,
                retries: self.retries,
            }
        }
    }

    /// Retries forever, after this delay.
    struct Always(Duration);

    impl RetryPolicy for Always {
        fn delay(&self, _error: &RpcError, _retry: u32) -> Option<Duration> {
            Some(self.0)
        }
    }

    fn nobody() -> RequestHeaders {
        RequestHeaders::default()
    }

    fn failed() -> Result<Reply, RpcError> {
        Err(RpcError::internal("bug"))
    }

    #[test]
    fn an_answer_goes_to_whoever_waits() {
        let answered = Case::default().concluded(Ok(Reply::Data(Bytes::from_static(b"1"))));
        let Outcome::Reply(record) = answered else { panic!("no reply") };
        assert_eq!(&*record.topic, "orders-responses");
        assert_eq!(record.headers.text("correlation-id"), Some("c-1"));
        assert_eq!(record.key.as_deref(), record.headers.get("message-id"));
        assert!(
            record.value.as_ref().is_some_and(|value| value.starts_with(br#"{"success":true,"data":1,"#))
        );
    }

    #[test]
    fn no_reply_is_sent_where_nobody_waits_or_the_handler_says_so() {
        let unwaited = Case { request: nobody(), ..Case::default() };
        assert!(matches!(unwaited.concluded(Ok(Reply::Empty)), Outcome::Handled));
        assert!(matches!(Case::default().concluded(Ok(Reply::None)), Outcome::Handled));
    }

    #[test]
    fn what_may_pass_is_tried_again_and_then_dead_lettered_and_answered() {
        let first = Case { retries: 0, ..Case::default() };
        assert!(matches!(first.concluded(failed()), Outcome::Retry { after, .. } if after.as_secs() == 1));
        let Outcome::DeadLetter { letter, reply, .. } = Case::default().concluded(failed()) else {
            panic!("not dead-lettered")
        };
        assert_eq!((&*letter.topic, letter.headers.text("total-retries")), ("orders.dlq", Some("3")));
        assert!(reply.is_some());
    }

    #[test]
    fn a_final_error_is_answered_at_once_and_dead_lettered_only_where_nobody_waits() {
        let bad = || Err(RpcError::bad_request("no"));
        let first = Case { retries: 0, ..Case::default() };
        assert!(matches!(first.concluded(bad()), Outcome::ErrorReply { .. }));
        let unwaited = Case { request: nobody(), ..first };
        assert!(matches!(unwaited.concluded(bad()), Outcome::DeadLetter { reply: None, .. }));
    }

    #[test]
    fn no_retry_is_begun_that_could_not_end_before_the_deadline() {
        let soon = Case { retries: 0, deadline_in: Some(Duration::from_millis(900)), ..Case::default() };
        assert!(matches!(soon.concluded(failed()), Outcome::DeadLetter { .. }));
        let later = Case { retries: 0, deadline_in: Some(Duration::from_secs(5)), ..Case::default() };
        assert!(matches!(later.concluded(failed()), Outcome::Retry { .. }));
    }

    #[test]
    fn what_expires_is_dropped_unless_it_has_failed_before() {
        let expired = |retries| Case { retries, ..Case::default() }.attempt().expire();
        assert!(matches!(expired(0), Outcome::Expired));
        let Outcome::DeadLetter { letter, reply: Some(_), .. } = expired(1) else {
            panic!("not dead-lettered")
        };
        assert_eq!(letter.headers.text("error-name"), Some("DeadlineExceeded"));
    }

    #[test]
    fn without_a_dead_letter_topic_the_reply_is_all_and_without_a_reply_nothing_is() {
        let none = || Case { served: Served::of_orders(false, false), ..Case::default() };
        assert!(matches!(none().concluded(failed()), Outcome::ErrorReply { .. }));
        assert!(matches!(Case { request: nobody(), ..none() }.concluded(failed()), Outcome::Discarded(_)));
    }

    #[test]
    fn a_retry_through_kafka_carries_its_count_and_when_it_is_due() {
        let case = Case { served: Served::of_orders(true, true), retries: 1, ..Case::default() };
        let (before, after) = (SystemTime::now(), Duration::from_mins(7));
        let Outcome::RetryLater { record, .. } = case.concluded_by(&Always(after), failed()) else {
            panic!("not retried")
        };
        assert_eq!((&*record.topic, record.headers.text("retry-count")), ("orders-retry", Some("2")));
        let due = retry::due(&record.headers).expect("it says when");
        // The header has whole milliseconds.
        assert!(due + Duration::from_millis(1) >= before + after && due <= SystemTime::now() + after);
    }

    #[test]
    fn a_letter_after_a_retry_through_kafka_tells_where_the_record_was_first_read() {
        let place = |record: ReceivedRecord| {
            let case = Case { served: Served::of_orders(true, true), record, ..Case::default() };
            let Outcome::DeadLetter { letter, .. } = case.concluded(failed()) else { panic!("not given up") };
            letter.headers.text("original-offset").map(str::to_owned)
        };
        let mut headers = Headers::new();
        headers.push("retry-origin", "0:41");
        let again = ReceivedRecord { offset: 7, headers: Ok(headers), ..record() };
        assert_eq!(place(again.clone()).as_deref(), Some("7"), "anybody can write it in its own topic");
        assert_eq!(place(ReceivedRecord { topic: "orders-retry".into(), ..again }).as_deref(), Some("41"));
    }

    #[test]
    fn a_count_that_cannot_grow_and_a_delay_past_all_dates_are_no_panic() {
        let case = Case { served: Served::of_orders(true, true), retries: u32::MAX, ..Case::default() };
        let Outcome::RetryLater { record, .. } = case.concluded_by(&Always(Duration::ZERO), failed()) else {
            panic!("not retried")
        };
        assert_eq!(record.headers.text("retry-count"), Some("4294967295"));
        assert!(matches!(case.concluded_by(&Always(Duration::MAX), failed()), Outcome::DeadLetter { .. }));
    }

    #[test]
    fn a_policy_that_panics_says_no() {
        /// Overflows a `Duration` once the count, which a stranger's header may set, is large.
        struct Doubling;

        impl RetryPolicy for Doubling {
            fn delay(&self, _error: &RpcError, retry: u32) -> Option<Duration> {
                Some(Duration::MAX * retry)
            }
        }

        assert!(matches!(
            Case::default().concluded_by(&Doubling, failed()),
            Outcome::DeadLetter { reply: Some(_), .. }
        ));
    }
}
