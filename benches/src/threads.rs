//! The processor time of each thread: the busiest thread limits a side once there are processors for all of
//! them.

use std::{collections::HashMap, fs, time::Duration};

/// The processor time that each thread of this process has used up to a moment. Empty except on Linux.
#[derive(Debug, Default)]
pub(crate) struct Threads(HashMap<String, Duration>);

impl Threads {
    pub(crate) fn now() -> Self {
        let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let used = threads.filter_map(|thread| {
            // The first number is nanoseconds on a processor (the kernel's
            // Documentation/scheduler/sched-stats.rst).
            let told = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            let nanos = told.split_ascii_whitespace().next()?.parse().ok()?;
            Some((thread.file_name().into_string().ok()?, Duration::from_nanos(nanos)))
        });
        Self(used.collect())
    }

    /// Returns the time that the busiest thread has used since `before`.
    pub(crate) fn busiest_since(&self, before: &Self) -> Option<Duration> {
        let used = |(id, now): (&String, &Duration)| {
            now.saturating_sub(before.0.get(id).copied().unwrap_or_default())
        };
        self.0.iter().map(used).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_is_the_one_that_used_the_most_since_then() {
        let threads = |used: &[(&str, u64)]| {
            Threads(used.iter().map(|(id, millis)| ((*id).into(), Duration::from_millis(*millis))).collect())
        };
        let before = threads(&[("1", 100), ("2", 5), ("4", 9)]);
        let now = threads(&[("1", 110), ("2", 20), ("3", 14)]);
        assert_eq!(now.busiest_since(&before), Some(Duration::from_millis(15)));
        assert_eq!(Threads::default().busiest_since(&before), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_a_thread_does_is_seen() {
        let before = Threads::now();
        let mut rounds = 0_u64;
        while Threads::now().busiest_since(&before).is_none_or(|used| used < Duration::from_millis(1)) {
            rounds += 1;
            assert!(rounds < 1_000_000, "nothing is seen");
        }
    }
}
