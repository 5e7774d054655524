//! What hyper lacks for HTTP/2: to reset a stream whose client takes nothing while its connection lives.
//!
//! hyper does not look at a body again before the client has room for more of it. So each stream's task can be ended from outside: what it
//! holds is freed, and the stream is reset (RFC 9113 §5.4.2).

use std::cell::RefCell;

use hyper::rt::Executor;
use tokio_util::sync::CancellationToken;

use super::connection_places::Share;
use super::requests::Requests;

/// What belongs to a stream's task.
struct Scope {
    reset: CancellationToken,
    /// What the stream counts against its client's address.
    share: RefCell<Option<Share>>,
}

tokio::task_local! {
    static SCOPE: Scope;
}

/// Runs the tasks of a connection's streams, and counts them.
#[derive(Clone, Debug)]
pub(super) struct StreamExecutor {
    requests: Requests,
}

impl StreamExecutor {
    pub(super) fn new(requests: Requests) -> Self {
        Self { requests }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for StreamExecutor {
    fn execute(&self, stream: F) {
        let (reset, open) = (CancellationToken::new(), self.requests.begin());
        let stream = SCOPE.scope(
            Scope {
                reset: reset.clone(),
                share: RefCell::default(),
            },
            stream,
        );
        tokio::spawn(async move {
            reset.run_until_cancelled(stream).await;
            drop(open);
        });
    }
}

/// Keeps a share until the stream has ended whose request is answered by this task.
pub(super) fn keep(share: Share) {
    // Without a scope nothing is kept: it is given back at once.
    let _ = SCOPE.try_with(|scope| scope.share.replace(Some(share)));
}

/// What resets the stream whose request is answered by this task; `None` over HTTP/1.
pub(super) fn reset() -> Option<CancellationToken> {
    SCOPE.try_with(|scope| scope.reset.clone()).ok()
}
