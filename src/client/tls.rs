//! Secret connections: whose word is taken for who a registry is, and how this program proves who it is itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::Error;

/// The files that an https address needs, as PEM. What is absent is not used.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    /// The certificates that the registry's may be signed by; absent: those that this machine trusts.
    pub ca: Option<PathBuf>,
    /// The certificate that this program shows.
    pub certificate: Option<PathBuf>,
    /// The private key of that certificate.
    pub key: Option<PathBuf>,
}

/// What connections to a registry are made with. Without TLS nobody is trusted, since nobody is asked.
pub(super) fn config(certificates: &Certificates, is_secret: bool) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(ring::default_provider());
    let unfit = |error: rustls::Error| Error::BadCertificate { reason: error.to_string() };
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(unfit)?;
    let roots = if is_secret { roots(certificates.ca.as_deref())? } else { RootCertStore::empty() };
    let builder = builder.with_root_certificates(roots);
    let config = match (&certificates.certificate, &certificates.key) {
        (Some(certificate), Some(key)) if is_secret => {
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| bad(key, &error))?;
            builder.with_client_auth_cert(chain(certificate)?, key).map_err(unfit)?
        }
        (Some(_), Some(_)) | (None, None) => builder.with_no_client_auth(),
        _ => {
            let reason = "a certificate of one's own needs its private key, and the other way round".to_owned();
            return Err(Error::BadCertificate { reason });
        }
    };
    Ok(Arc::new(config))
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            for root in chain(path)? {
                roots.add(root).map_err(|error| bad(path, &error))?;
            }
        }
        // A machine may have some that cannot be read: the others will do.
        None => _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
    }
    if roots.is_empty() {
        let reason = "this machine trusts no certificates: name those to trust with --ca".to_owned();
        return Err(Error::BadCertificate { reason });
    }
    Ok(roots)
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|error| bad(path, &error))?;
    if found.is_empty() { Err(bad(path, &"there is no certificate in it")) } else { Ok(found) }
}

fn bad(path: &Path, reason: &dyn std::fmt::Display) -> Error {
    Error::BadCertificate { reason: format!("{}: {reason}", path.display()) }
}
