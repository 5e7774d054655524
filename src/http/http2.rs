//! What hyper lacks for HTTP/2: to reset a stream whose client takes nothing while its connection lives.
//!
//! hyper does not look at a body again before the client has room for more of it. So each stream's task can be ended from outside: what it
//! holds is freed, and the stream is reset (RFC 9113 §5.4.2).

use hyper::rt::Executor;
use tokio_util::sync::CancellationToken;

tokio::task_local! {
    static RESET: CancellationToken;
}

/// Runs the tasks of a connection's streams.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamExecutor;

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for StreamExecutor {
    fn execute(&self, stream: F) {
        let reset = CancellationToken::new();
        let stream = RESET.scope(reset.clone(), stream);
        tokio::spawn(async move { reset.run_until_cancelled(stream).await });
    }
}

/// What resets the stream whose request is answered by this task; `None` over HTTP/1.
pub(super) fn reset() -> Option<CancellationToken> {
    RESET.try_with(CancellationToken::clone).ok()
}
