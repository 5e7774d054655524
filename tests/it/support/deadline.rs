//! Every wait of the suite has an end, and says what it waited for.

use std::fmt::Display;
use std::time::Duration;

/// The longest wait for anything that ought to happen. Generous, because it decides nothing but when a hung test gives up: two cores may
/// be shared by two brokers and a compiler.
pub const TIMEOUT: Duration = Duration::from_mins(1);

/// The future's output, or a failure that names what did not happen within [`TIMEOUT`].
pub async fn within<T>(what: impl Display, future: impl Future<Output = T>) -> T {
    let output = tokio::time::timeout(TIMEOUT, future).await;
    output.unwrap_or_else(|_elapsed| panic!("waited {TIMEOUT:?} for {what}"))
}

/// Asks again every 50 ms until the answer is `Some`, or fails naming what never came.
///
/// For states that can only be asked for (a topic's metadata, a metric); never to guess that something will NOT happen.
pub async fn eventually<T>(what: impl Display, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    within(what, async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
}
