//! Counts the allocations of Rust code. librdkafka allocates through C, so its memory is not counted, on
//! either side.

use std::{
    alloc::System,
    sync::{LazyLock, Mutex, PoisonError},
};

use alloc_tracker::{Allocator, Operation, ProcessSpan, ReportOperation, Session};

/// Counts per thread. With counters shared by all threads, a side that uses more threads would wait longer to
/// count.
#[global_allocator]
static ALLOCATOR: Allocator<System> = Allocator::system();

static COUNTING: LazyLock<Mutex<Counting>> = LazyLock::new(|| Mutex::new(Counting::begin()));

/// The allocations up to a moment, since the first call of [`Allocated::now`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allocated {
    pub(crate) times: u64,
    pub(crate) bytes: u64,
}

impl Allocated {
    pub(crate) fn now() -> Self {
        COUNTING.lock().unwrap_or_else(PoisonError::into_inner).so_far()
    }

    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            times: self.times.saturating_sub(earlier.times),
            bytes: self.bytes.saturating_sub(earlier.bytes),
        }
    }
}

/// Counts in consecutive spans, because a span reports its counts only when it ends.
struct Counting {
    session: Session,
    everything: Operation,
    span: Option<ProcessSpan>,
}

impl Counting {
    fn begin() -> Self {
        let session = Session::new().no_stdout().no_file();
        let everything = session.operation("everything");
        Self { span: Some(everything.measure_process()), session, everything }
    }

    fn so_far(&mut self) -> Allocated {
        drop(self.span.take().map(|span| span.iterations(1)));
        self.span = Some(self.everything.measure_process());
        let report = self.session.to_report();
        let sum =
            |of: fn(&ReportOperation) -> u64| report.operations().map(|(_, operation)| of(operation)).sum();
        Allocated {
            times: sum(ReportOperation::total_allocations_count),
            bytes: sum(ReportOperation::total_bytes_allocated),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{hint::black_box, thread};

    use super::*;

    #[test]
    fn what_any_thread_allocates_is_counted_also_once_it_has_ended() {
        let before = Allocated::now();
        thread::spawn(|| drop(black_box(vec![0_u8; 1 << 20]))).join().expect("no panic");
        let allocated = Allocated::now().since(before);
        assert!(allocated.times >= 1 && allocated.bytes >= 1 << 20, "{allocated:?}");
    }
}
