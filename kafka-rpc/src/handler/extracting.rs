//! The future that extracts one argument of a handler.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context as TaskContext, Poll},
};

use futures_util::FutureExt as _;

use super::{Context, FromRecord};
use crate::RpcError;

/// The extraction of one argument.
///
/// A type with a name instead of the future of [`FromRecord::from_record`]: a handler that awaits that future
/// must be proved [`Send`] again, with all lifetimes in the argument's type erased. If one of them must be
/// `'static`, as in `State<Arc<dyn Repository>>`, the compiler cannot prove it and reports that
/// "implementation of `Send` is not general enough" (<https://github.com/rust-lang/rust/issues/110338>).
pub enum Extracting<'a, X> {
    /// Extracted at once, as by all extractors of kafka-rpc.
    Made(Option<Result<X, RpcError>>),
    /// Extraction may have to wait.
    Awaited(Pin<Box<dyn Future<Output = Result<X, RpcError>> + Send + 'a>>),
}

impl<'a, X: FromRecord + 'a> Extracting<'a, X> {
    pub(super) fn begin(context: &'a Context) -> Self {
        let made = X::from_record(context).map(|made| made.map_err(Into::into));
        if X::AT_ONCE { Self::Made(made.now_or_never()) } else { Self::Awaited(made.boxed()) }
    }
}

// Nothing inside is structurally pinned: the future that is awaited is boxed.
impl<X> Unpin for Extracting<'_, X> {}

impl<X> Future for Extracting<'_, X> {
    type Output = Result<X, RpcError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Made(made) => Poll::Ready(
                made.take()
                    .unwrap_or_else(|| Err(RpcError::internal("an extractor with `AT_ONCE` had to wait"))),
            ),
            Self::Awaited(awaited) => awaited.as_mut().poll(cx),
        }
    }
}

impl<X> fmt::Debug for Extracting<'_, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Made(_) => "Extracting(made)",
            Self::Awaited(_) => "Extracting(awaited)",
        })
    }
}
