//! Takes connections, speaks HTTP/1.1 on them, and bounds what they may cost before anybody has asked anything: how many
//! there are, how long a request's headers may take, and how long a peer may read nothing.

mod gate;
mod stream;
mod tls;

pub use tls::{Tls, TlsError, TlsFiles};

use super::{Parts, Peer, respond, router, stopped};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use gate::{Full, Gate, Place};
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use stream::Held;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;

/// How much of a request's head is kept, and of what waits to be written: a document in a GET fits.
const BUFFER_BYTES_MAX: usize = 128 * 1024;
/// How long to wait after the machine had no more connections to give, such as for want of descriptors.
const EXHAUSTED_WAIT: Duration = Duration::from_millis(100);
/// How many that find no place are told so at once; others are cut.
const REFUSED_AT_ONCE: usize = 64;
/// How long one that finds no place may take to read so.
const REFUSED_WAIT: Duration = Duration::from_secs(2);
/// When one that finds no place may come again, in seconds.
const RETRY_AFTER_SECONDS: u32 = 5;

/// Serves, with TLS where that is given, until it is told to stop: then takes nothing new, and returns once all that is
/// under way has been answered.
pub async fn serve(listener: TcpListener, tls: Option<Arc<Tls>>, parts: Parts, mut stop: watch::Receiver<bool>) {
    let keeping = tls.clone().map(|tls| tokio::spawn(tls.keep()));
    let limits = &parts.limits;
    let gate = Gate::new(limits.connections_max, limits.connections_per_address_max);
    let mut http = Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.header_wait).max_buf_size(BUFFER_BYTES_MAX);
    let (held, mut gone) = mpsc::channel::<()>(1);
    let parts = Arc::new(parts);
    let serving = Serving { http, tls, router: router(parts.clone()), parts, stop: stop.clone(), _held: held };
    let refusing = Arc::new(Semaphore::new(REFUSED_AT_ONCE));
    loop {
        let (stream, address) = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = stopped(&mut stop) => break,
        };
        match gate.enter(address.ip()) {
            Ok(place) => {
                // Answers are written whole: waiting for more to send only delays them.
                let _ = stream.set_nodelay(true);
                tokio::spawn(serving.clone().take(stream, place, address));
            }
            Err(full) => {
                tracing::debug!(%address, ?full, "a connection finds no place");
                // Inside of TLS it would cost a handshake to say so.
                if serving.tls.is_none()
                    && let Ok(permit) = refusing.clone().try_acquire_owned()
                {
                    tokio::spawn(async move {
                        let _ = timeout(REFUSED_WAIT, refuse(stream, full)).await;
                        drop(permit);
                    });
                }
            }
        }
    }
    drop((listener, serving));
    if let Some(keeping) = keeping {
        keeping.abort();
    }
    while gone.recv().await.is_some() {}
}

/// The next connection. An error of one that is gone already is passed over; where the machine has no more to give, it
/// waits a little, since the next try would fail alike.
pub(super) async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be taken: trying again");
                tokio::time::sleep(EXHAUSTED_WAIT).await;
            }
        }
    }
}

/// Says to one that finds no place why, and waits until it has read that: to close earlier may take it back.
async fn refuse(mut stream: TcpStream, full: Full) -> std::io::Result<()> {
    let why = match full {
        Full::All => "the registry has as many connections as http.connections_max allows".to_owned(),
        Full::Address(limit) => format!("this address has {limit} connections, which is the most"),
    };
    let body =
        format!(r#"{{"errors":[{{"message":"{why}","extensions":{{"code":"UNAVAILABLE","retryable":true}}}}]}}"#);
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: \
         {}\r\nRetry-After: {RETRY_AFTER_SECONDS}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await?;
    stream.shutdown().await?;
    let mut unread = [0; 1024];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}

/// What all connections share.
#[derive(Clone)]
struct Serving {
    http: Builder,
    tls: Option<Arc<Tls>>,
    router: Router,
    parts: Arc<Parts>,
    stop: watch::Receiver<bool>,
    /// Held by every connection: closed when the last one is gone.
    _held: mpsc::Sender<()>,
}

impl Serving {
    /// Makes a new connection secret, where that is wanted, and talks on it.
    async fn take(self, stream: TcpStream, place: Place, address: SocketAddr) {
        match self.tls.clone() {
            None => self.talk(Held::new(stream, place), Peer::new(address, None)).await,
            // Boxed, so that connections without are not as large.
            Some(tls) => Box::pin(self.take_secret(&tls, stream, place, address)).await,
        }
    }

    async fn take_secret(self, tls: &Tls, stream: TcpStream, place: Place, address: SocketAddr) {
        match tls.accept(stream).await {
            Ok((stream, certificate)) => self.talk(Held::new(stream, place), Peer::new(address, certificate)).await,
            Err(error) => tracing::debug!(%address, %error, "no TLS came about"),
        }
    }

    /// Answers what comes on one connection, until either side has had enough.
    async fn talk<T>(mut self, stream: Held<T>, peer: Peer)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let answering = service_fn(|request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer.clone()));
            let (parts, router) = (&self.parts, self.router.clone());
            async move { Ok::<_, Infallible>(respond(parts, router, request).await) }
        });
        converse(&self.http, stream, answering, &mut self.stop, peer.address).await;
    }
}

/// Answers what comes on one connection, until either side has had enough.
pub(super) async fn converse<T, S>(
    http: &Builder,
    stream: T,
    service: S,
    stop: &mut watch::Receiver<bool>,
    address: SocketAddr,
) where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService<Incoming, ResBody = Body, Error = Infallible>,
{
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(stop) => {
            // An idle connection is closed now, another after its answer.
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%address, %error, "a connection broke");
    }
}
