//! Answers that the registry is not ready, on its own address, while the log is read.

use crate::http::starting;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Does what takes long, and answers meanwhile on a twin of the listener, where there is one: what comes after that waits
/// for the other.
pub(super) async fn meanwhile<T: Send + 'static>(
    twin: Option<TcpListener>,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (ends, mut end) = watch::channel(false);
    let ended = async move {
        let _ = end.wait_for(|ends| *ends).await;
    };
    if let Some(twin) = twin {
        tokio::spawn(async move { axum::serve(twin, starting::router()).with_graceful_shutdown(ended).await });
    }
    let done = tokio::task::spawn_blocking(work).await;
    ends.send_replace(true);
    // A panic in there is this task's own.
    done.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
}
