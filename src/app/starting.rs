//! Answers that the registry is not ready, on its own address, while the log is read.

use crate::http::{Tls, starting};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Does what takes long, and answers meanwhile on a twin of the listener: what comes after that waits for the other.
pub(super) async fn meanwhile<T: Send + 'static>(
    twin: TcpListener,
    tls: Option<Arc<Tls>>,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (ends, end) = watch::channel(false);
    tokio::spawn(starting::serve(twin, tls, end));
    let done = tokio::task::spawn_blocking(work).await;
    ends.send_replace(true);
    // A panic in there is this task's own.
    done.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
}
