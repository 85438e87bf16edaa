//! `onex keygen`: a node's own key.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{Signer, SigningKey};

use crate::access::secret;
use crate::contracts;

use super::error::Error;
use super::output;

/// Where to keep the key.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file that is written: an Ed25519 key as base64, for its owner's eyes only.
    file: PathBuf,
}

/// Draws a key, writes it, and prints its public part.
pub(super) fn run(args: &Args) -> Result<ExitCode, Error> {
    let drawn = secret::random().map_err(|error| Error::Other(Box::new(error)))?;
    let key = SigningKey::from_bytes(&drawn);
    write(&args.file, &BASE64_STANDARD.encode(key.to_bytes()))
        .map_err(|error| Error::Usage(format!("cannot write {}: {error}", args.file.display())))?;
    output::print(&format!("{}\n", public(&key)))?;
    output::note(&format!("the key is in {}: register with \"onex register --key\"", args.file.display()));
    Ok(ExitCode::SUCCESS)
}

/// A file that was not there, and that only its owner reads.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

/// Reads a key that this command wrote.
pub(super) fn read(path: &Path) -> Result<SigningKey, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let bytes = BASE64_STANDARD.decode(text.trim()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let wrong = || Error::Usage(format!("{} holds no Ed25519 key as \"onex keygen\" writes it", path.display()));
    bytes.map(|bytes| SigningKey::from_bytes(&bytes)).ok_or_else(wrong)
}

/// The public part, as registrations name it.
pub(super) fn public(key: &SigningKey) -> String {
    BASE64_STANDARD.encode(key.verifying_key().to_bytes())
}

/// The signature over a contract document's canonical form; `None` where it is no contract, which the registry tells.
pub(super) fn sign(key: &SigningKey, document: &str) -> Option<String> {
    let read = contracts::read(document).ok()?;
    let message = contracts::canonical_bytes(&read.contract.document);
    Some(BASE64_STANDARD.encode(key.sign(&message).to_bytes()))
}
