//! Work that continues whether or not its caller polls it.

use std::time::{Duration, Instant};

use tokio::{runtime::Handle, time};
use tokio_util::task::AbortOnDropHandle;

use crate::moment;

/// How long after its deadline the work is given up. Its task ends the work at the deadline, unless the tokio
/// runtime that the task runs on stands still.
const GRACE: Duration = Duration::from_millis(100);

/// Why the work was not done.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(super) enum Undone {
    #[error("its deadline has passed")]
    Late,
    #[error("the tokio runtime that this runtime was started on makes no progress")]
    StandsStill,
    #[error("the tokio runtime that this runtime was started on has ended")]
    Ended,
    #[error("sending it panicked; the panic message says where")]
    Panicked,
}

/// Does `work` in a task, until `deadline` at most. Dropping the returned future ends the task.
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
