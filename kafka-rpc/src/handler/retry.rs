//! Whether a record is retried after its handler has failed, and when.

use std::time::Duration;

use crate::RpcError;

/// Decides whether a failed record is retried. [`Retry`] is the usual policy; implement this for any other.
///
/// ```
/// use std::time::Duration;
/// use kafka_rpc::{RetryPolicy, RpcError};
///
/// /// Waits for the exchange to come back, and for nothing else.
/// struct WhileUnavailable;
///
/// impl RetryPolicy for WhileUnavailable {
///     fn delay(&self, error: &RpcError, retry: u32) -> Option<Duration> {
///         (error.status() == 503 && retry <= 10).then_some(Duration::from_millis(500))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a retry policy",
    label = "this does not implement `RetryPolicy`",
    note = "write `retry(max = 3, base = \"1s\")` for backoff, or `retry = none`"
)]
pub trait RetryPolicy: Send + Sync {
    /// The delay before retry number `retry`, the first being 1; `None` ends the retries. Called for every
    /// failure, including final ones ([`RpcError::is_final`]).
    fn delay(&self, error: &RpcError, retry: u32) -> Option<Duration>;

    /// The longest delay that the policy ever returns, if it knows. Without a `retry_topic`, records wait in
    /// the process, so building the runtime fails if this is longer than the runtime's `drain_timeout`.
    ///
    /// With a `retry_topic` no record waits for longer than this, or than seven days if this is `None`: a
    /// record that is due later runs at once.
    fn longest_delay(&self) -> Option<Duration> {
        None
    }
}

/// Exponential backoff: `base * factor^(n-1)` before retry `n`, at most `max_delay`, for errors that are not
/// final.
///
/// By default 3 retries after 1 s, 2 s and 4 s, as in the reference package.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retry {
    max: u32,
    base: Duration,
    factor: f64,
    max_delay: Duration,
    jitter: bool,
}

impl Retry {
    /// No retries: the first failure is the last.
    pub const NONE: Self = Self::new().max(0);

    /// The default policy.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            max: 3,
            base: Duration::from_secs(1),
            factor: 2.0,
            max_delay: Duration::from_secs(30),
            jitter: false,
        }
    }

    /// Sets the maximum number of retries: by default 3.
    #[must_use]
    pub const fn max(mut self, retries: u32) -> Self {
        self.max = retries;
        self
    }

    /// Sets the delay before the first retry: by default 1 s.
    #[must_use]
    pub const fn base(mut self, delay: Duration) -> Self {
        self.base = delay;
        self
    }

    /// Sets the factor from each delay to the next: by default 2. A factor below 1 makes the delays shorter;
    /// a delay that is negative or not a number becomes `max_delay`.
    #[must_use]
    pub const fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// Sets the longest delay: by default 30 s.
    #[must_use]
    pub const fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// Sets whether each delay is cut to a random value between its half and its whole, so that records that
    /// failed together are not retried together: by default `false`.
    #[must_use]
    pub const fn jitter(mut self, jitter: bool) -> Self {
        self.jitter = jitter;
        self
    }

    fn backoff(&self, retry: u32) -> Duration {
        let exponent = i32::try_from(retry.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = self.base.as_secs_f64() * self.factor.powi(exponent);
        // A product that is no duration (negative, infinite or not a number) counts as longer than any bound.
        Duration::try_from_secs_f64(seconds).unwrap_or(self.max_delay).min(self.max_delay)
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self::new()
    }
}

impl RetryPolicy for Retry {
    fn delay(&self, error: &RpcError, retry: u32) -> Option<Duration> {
        if error.is_final() || retry > self.max {
            return None;
        }
        let delay = self.backoff(retry);
        Some(if self.jitter { delay.mul_f64(fastrand::f64().mul_add(0.5, 0.5)) } else { delay })
    }

    fn longest_delay(&self) -> Option<Duration> {
        Some(if self.max == 0 { Duration::ZERO } else { self.backoff(self.max).max(self.backoff(1)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(retry: Retry) -> Vec<u128> {
        let error = RpcError::internal("again");
        (1..=10).map_while(|n| retry.delay(&error, n)).map(|delay| delay.as_millis()).collect()
    }

    #[test]
    fn the_default_waits_one_two_and_four_seconds() {
        assert_eq!(delays(Retry::default()), [1_000, 2_000, 4_000]);
    }

    #[test]
    fn a_final_error_is_never_retried() {
        assert_eq!(Retry::default().delay(&RpcError::bad_request("no"), 1), None);
        assert_eq!(Retry::NONE.delay(&RpcError::internal("bug"), 1), None);
    }

    #[test]
    fn no_delay_is_longer_than_the_longest_whatever_the_factor() {
        let retry = Retry::new().max(100).factor(1e9).max_delay(Duration::from_secs(5));
        assert_eq!(delays(retry)[1..], [5_000; 9]);
        assert_eq!(retry.longest_delay(), Some(Duration::from_secs(5)));
    }

    #[test]
    fn jitter_takes_no_more_than_half_of_a_delay() {
        let retry = Retry::new().max(1).jitter(true);
        for _ in 0..1_000 {
            let delay = delays(retry)[0];
            assert!((500..=1_000).contains(&delay), "{delay}");
        }
    }
}
