//! Resets an HTTP/2 stream whose client takes nothing while its connection lives. hyper lacks this.
//!
//! hyper does not poll a body again before the client has room for more of it. So the task of each
//! stream can be cancelled from outside. That frees what the task holds and resets the stream (RFC
//! 9113, section 5.4.2).

use std::cell::RefCell;

use hyper::rt::Executor;
use tokio_util::sync::CancellationToken;

use super::connection_slots::Share;
use super::open_requests::OpenRequests;

/// What belongs to the task of a stream.
struct Scope {
    reset: CancellationToken,
    /// The stream's share of its client's connections.
    share: RefCell<Option<Share>>,
}

tokio::task_local! {
    static SCOPE: Scope;
}

/// Spawns the tasks of a connection's streams, and counts them.
#[derive(Clone, Debug)]
pub(super) struct StreamExecutor {
    requests: OpenRequests,
}

impl StreamExecutor {
    pub(super) fn new(requests: OpenRequests) -> Self {
        Self { requests }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for StreamExecutor {
    fn execute(&self, stream: F) {
        let reset = CancellationToken::new();
        let open = self.requests.open();
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

/// Keeps a share until the stream of the current task ends.
pub(super) fn keep(share: Share) {
    // Outside a scope the share is dropped at once.
    let _ = SCOPE.try_with(|scope| scope.share.replace(Some(share)));
}

/// Resets the stream of the current task; `None` over HTTP/1.
pub(in crate::http) fn reset() -> Option<CancellationToken> {
    SCOPE.try_with(|scope| scope.reset.clone()).ok()
}
