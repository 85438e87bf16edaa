//! Certificates, made with openssl, as an operator would.

use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// An authority and what it has signed, as files.
pub struct Certificates {
    directory: TempDir,
}

impl Certificates {
    /// An authority `ca`, and a server of its, `server`.
    pub fn new() -> Self {
        let certificates = Certificates { directory: tempfile::tempdir().unwrap() };
        certificates.authority("ca");
        certificates.sign("ca", "server", "/CN=localhost");
        certificates
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A path as text.
    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub fn openssl(&self, arguments: &[&str]) {
        let output = Command::new("openssl").args(arguments).current_dir(self.directory.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub fn authority(&self, name: &str) {
        let (key, certificate) = (format!("{name}.key"), format!("{name}.pem"));
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", &key];
        let about = ["-x509", "-days", "2", "-subj", "/CN=Test authority", "-out", &certificate];
        self.openssl(&[&["req"][..], &curve, &about].concat());
    }

    /// A certificate of `subject` in NAME.pem with its key in NAME.key.
    pub fn sign(&self, authority: &str, name: &str, subject: &str) {
        self.sign_for(authority, name, subject, "DNS:localhost,IP:127.0.0.1");
    }

    pub fn sign_for(&self, authority: &str, name: &str, subject: &str, alternative_names: &str) {
        let (key, certificate) = (format!("{name}.key"), format!("{name}.pem"));
        let names = format!("subjectAltName={alternative_names}");
        let (by, with) = (format!("{authority}.pem"), format!("{authority}.key"));
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", &key];
        let about = ["-x509", "-days", "1", "-subj", subject, "-addext", &names];
        let kind = ["-addext", "basicConstraints=critical,CA:FALSE", "-CA", &by, "-CAkey", &with, "-out", &certificate];
        self.openssl(&[&["req"][..], &curve, &about, &kind].concat());
    }
}
