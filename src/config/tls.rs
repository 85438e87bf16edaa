use crate::http::TlsFiles;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What makes connections secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// A file with the server's certificate and those that lead from it to one that clients know, as PEM; empty: no TLS.
    pub certificate: PathBuf,
    /// A file with its private key, as PEM.
    pub key: PathBuf,
    /// A file with the certificates that clients' are signed by, as PEM; empty: clients are asked for none.
    pub client_ca: PathBuf,
}

impl Tls {
    /// Where the certificates are; `None` where there is no TLS.
    ///
    /// # Errors
    /// The setting and what is wrong with it, where one is given without another that it needs.
    pub fn files(&self) -> Result<Option<TlsFiles>, (&'static str, String)> {
        let given = |path: &Path| !path.as_os_str().is_empty();
        match (given(&self.certificate), given(&self.key), given(&self.client_ca)) {
            (false, false, false) => Ok(None),
            (true, true, client_ca) => Ok(Some(TlsFiles {
                certificate: self.certificate.clone(),
                key: self.key.clone(),
                client_ca: client_ca.then(|| self.client_ca.clone()),
            })),
            (false, ..) => Err(("tls.certificate", "is missing, while others of tls are given".to_owned())),
            (true, false, _) => Err(("tls.key", "is missing: a certificate needs its private key".to_owned())),
        }
    }
}
