//! What goes on whether or not its caller polls it.

use std::time::{Duration, Instant};

use tokio::{runtime::Handle, time};
use tokio_util::task::AbortOnDropHandle;

use crate::moment;

/// How much later than its deadline it is given up. Its task ends it at that, unless the tokio runtime that it is on stands still.
const GRACE: Duration = Duration::from_millis(100);

/// Why something was not done.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(super) enum Undone {
    #[error("its deadline has passed")]
    Late,
    #[error("the tokio runtime on which this runtime was started stands still")]
    StandsStill,
    #[error("the tokio runtime on which this runtime was started has ended")]
    Ended,
    #[error("what sends it panicked; the panic itself says where")]
    Panicked,
}

/// Does something in a task, until its deadline at most. Dropping this ends it.
pub(super) async fn in_a_task<T: Send + 'static>(
    runtime: &Handle,
    deadline: Instant,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Undone> {
    let task = AbortOnDropHandle::new(runtime.spawn(time::timeout_at(deadline.into(), work)));
    match time::timeout_at(moment::after(deadline, GRACE).into(), task).await {
        Ok(Ok(done)) => done.map_err(|_elapsed| Undone::Late),
        Ok(Err(ended)) if ended.is_panic() => Err(Undone::Panicked),
        Ok(Err(_cancelled)) => Err(Undone::Ended),
        Err(_elapsed) => Err(Undone::StandsStill),
    }
}
