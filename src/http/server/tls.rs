//! TLS: the server's certificate, which may change while it serves, and whose certificate a client shows.

use crate::access::{Known, certificate};
use arc_swap::ArcSwap;
use rustls::RootCertStore;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a handshake may take.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);
/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// What is spoken inside.
const PROTOCOL: &[u8] = b"http/1.1";

/// Where the certificates are, as PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The server's certificate, and those that lead from it to one that clients know.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The certificates that clients' are signed by; `None`: clients are asked for none.
    pub client_ca: Option<PathBuf>,
}

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read as what it should be.
    #[error("{} has no {what}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What it should have.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// They do not fit together.
    #[error("the certificate in {} cannot be used: {source}", path.display())]
    Unfit {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// No client's certificate can be checked.
    #[error("{} cannot be used to check certificates: {reason}", path.display())]
    Verifier {
        /// The file of those that sign.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// TLS with what the files say now.
pub struct Tls {
    files: TlsFiles,
    config: ArcSwap<ServerConfig>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// Where they cannot be read, or do not fit together.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let config = ArcSwap::from_pointee(read(&files)?);
        Ok(Tls { files, config })
    }

    /// Reads the files again whenever they change, or the process is told to by SIGHUP. What cannot be used is told to
    /// the log, and what was there before stays in use; connections go on with what they began with.
    pub(super) async fn keep(self: Arc<Self>) {
        let mut seen = self.stamps();
        let mut told = Told::listen();
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {
                    let now = self.stamps();
                    if now == seen {
                        continue;
                    }
                    seen = now;
                }
                () = told.told() => seen = self.stamps(),
            }
            match read(&self.files) {
                Ok(config) => {
                    self.config.store(Arc::new(config));
                    tracing::info!(certificate = %self.files.certificate.display(), "certificates were read again");
                }
                Err(error) => tracing::error!(%error, "certificates changed and cannot be used: the earlier ones stay"),
            }
        }
    }

    /// When each file was written last, and how long it is; absent where it is not there.
    fn stamps(&self) -> Vec<Option<(SystemTime, u64)>> {
        let files = [&self.files.certificate, &self.files.key].into_iter().chain(&self.files.client_ca);
        let stamp = |path: &PathBuf| {
            let about = std::fs::metadata(path).ok()?;
            Some((about.modified().ok()?, about.len()))
        };
        files.map(stamp).collect()
    }

    /// Makes a connection secret, and says whose certificate the client has shown.
    pub(in crate::http) async fn accept(&self, stream: TcpStream) -> io::Result<(TlsStream<TcpStream>, Option<Known>)> {
        let acceptor = TlsAcceptor::from(self.config.load_full());
        let stream = timeout(HANDSHAKE_WAIT, acceptor.accept(stream)).await??;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let principal = shown.map(|shown| certificate::principal(shown)).transpose().map_err(io::Error::other)?;
        Ok((stream, principal.map(Arc::new)))
    }
}

fn read(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| TlsError::File {
        path: files.key.clone(),
        what: "private key",
        reason: error.to_string(),
    })?;
    let unfit = |source| TlsError::Unfit { path: files.certificate.clone(), source };
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let builder = builder.map_err(unfit)?;
    let builder = match &files.client_ca {
        Some(path) => builder.with_client_cert_verifier(verifier(path, provider)?),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(unfit)?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(config)
}

/// Checks the certificates of clients that show one. Those that show none may have a token instead.
fn verifier(
    path: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let unusable = |reason: String| TlsError::Verifier { path: path.to_owned(), reason };
    let mut roots = RootCertStore::empty();
    for root in certificates(path)? {
        roots.add(root).map_err(|error| unusable(error.to_string()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).allow_unauthenticated();
    builder.build().map_err(|error| unusable(error.to_string()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let none = |reason: String| TlsError::File { path: path.to_owned(), what: "certificate", reason };
    let found = CertificateDer::pem_file_iter(path).map_err(|error| none(error.to_string()))?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(|error| none(error.to_string()))?;
    if found.is_empty() { Err(none("there is none in it".to_owned())) } else { Ok(found) }
}

/// How the process is told to read its files again.
struct Told {
    #[cfg(unix)]
    hangup: Option<tokio::signal::unix::Signal>,
}

impl Told {
    #[cfg(unix)]
    fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let hangup = signal(SignalKind::hangup());
        Told { hangup: hangup.inspect_err(|error| tracing::warn!(%error, "SIGHUP cannot be listened for")).ok() }
    }

    #[cfg(not(unix))]
    fn listen() -> Self {
        Told {}
    }

    async fn told(&mut self) {
        #[cfg(unix)]
        if let Some(hangup) = &mut self.hangup
            && hangup.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}
