//! Every wait of the suite ends, and a failure names what it waited for.

use std::fmt::Display;
use std::time::Duration;

/// The longest wait for anything that should happen. It is generous, because it only decides when a
/// hung test fails: two brokers and a compiler may share two cores.
pub const TIMEOUT: Duration = Duration::from_mins(1);

/// The future's output, or a failure that names what did not happen within [`TIMEOUT`].
pub async fn within<T>(what: impl Display, future: impl Future<Output = T>) -> T {
    let output = tokio::time::timeout(TIMEOUT, future).await;
    output.unwrap_or_else(|_elapsed| panic!("waited {TIMEOUT:?} for {what}"))
}

/// Polls `probe` every 50 ms until it returns `Some`. Fails with `what` after [`TIMEOUT`].
///
/// Use it for state that can only be polled, such as the metadata of a topic or a metric. It cannot
/// show that something does NOT happen.
pub async fn eventually<T>(what: impl Display, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    within(what, async {
        loop {
            if let Some(value) = probe().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
}
