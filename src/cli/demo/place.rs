//! Where the registry of a demo is, and which settings it has.

use crate::config::{Config, Ports};
use std::fs::{self, DirBuilder};
use std::io;
use std::path::{Path, PathBuf};

/// The file that says of a data directory that it is a demo's.
const MARK: &str = "demo";
/// What is written into it.
const MARK_TEXT: &str = "This registry was filled by onex serve --demo.\n";
/// Two pools, small enough to be seen whole: this machine's, and one of a machine that there is not.
const BANDS: [&str; 2] = ["24000-24127", "depot-1=7000-7063"];
const RESERVED: [&str; 2] = ["24100-24107", "depot-1=7000-7003"];
/// Long enough to be seen.
const QUARANTINE_SECONDS: u32 = 12;
/// How many names of directories are tried.
const TRIES: usize = 100;

/// The data directory of a demo; a temporary one is gone with this.
#[derive(Debug)]
pub(in crate::cli) struct Place {
    temporary: Option<PathBuf>,
}

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum Refused {
    /// It would be open to others.
    #[error("{0} can be reached from other machines: a demo listens at a loopback address, such as 127.0.0.1:4000")]
    Reachable(std::net::SocketAddr),
    /// Its nodes have no token, and no certificates.
    #[error("a demo has no {0}: leave it out")]
    Guarded(&'static str),
    /// There is something in the directory that is no demo's.
    #[error("{} is no demo's: name a new --data-dir, or none for a temporary one", .0.display())]
    Foreign(PathBuf),
    /// The directory cannot be made or looked into.
    #[error("{} cannot be used", path.display())]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Place {
    /// Finds a place for a demo, and fits the settings to it where they say nothing else. The directory is temporary
    /// unless it was named, by whatever means.
    pub(in crate::cli) fn take(config: &mut Config, is_named: bool) -> Result<Self, Refused> {
        if !config.listen.ip().is_loopback() {
            return Err(Refused::Reachable(config.listen));
        }
        if config.access.enabled {
            return Err(Refused::Guarded("access"));
        }
        if !config.tls.certificate.as_os_str().is_empty() {
            return Err(Refused::Guarded("TLS"));
        }
        let (usual, ports) = (Ports::default(), &mut config.ports);
        if (&ports.bands, &ports.reserved) == (&usual.bands, &usual.reserved) {
            ports.bands = BANDS.map(str::to_owned).into();
            ports.reserved = RESERVED.map(str::to_owned).into();
            ports.quarantine_seconds = QUARANTINE_SECONDS;
        }
        // The usual address is one for the whole machine, and programs that mean a real registry ask there.
        if ports.portserver == usual.portserver {
            "off".clone_into(&mut ports.portserver);
        }
        if !is_named && config.data_dir == Config::default().data_dir {
            let made = make_temporary().map_err(|source| Refused::Unusable { path: std::env::temp_dir(), source })?;
            config.data_dir.clone_from(&made);
            return Ok(Place { temporary: Some(made) });
        }
        claim(&config.data_dir)?;
        Ok(Place { temporary: None })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(path) = &self.temporary
            && let Err(error) = fs::remove_dir_all(path)
        {
            tracing::warn!(path = %path.display(), %error, "the demo's directory could not be removed");
        }
    }
}

/// A directory that nobody else has, and nobody else reads.
fn make_temporary() -> io::Result<PathBuf> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    for _ in 0..TRIES {
        let path = std::env::temp_dir().join(format!("onex-demo-{:08x}", fastrand::u32(..)));
        match builder.create(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Marks a directory as a demo's, unless there is something else in it.
fn claim(path: &Path) -> Result<(), Refused> {
    let unusable = |source| Refused::Unusable { path: path.to_owned(), source };
    fs::create_dir_all(path).map_err(unusable)?;
    let mark = path.join(MARK);
    if mark.exists() {
        return Ok(());
    }
    if fs::read_dir(path).map_err(unusable)?.next().is_some() {
        return Err(Refused::Foreign(path.to_owned()));
    }
    fs::write(mark, MARK_TEXT).map_err(unusable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_place_is_gone_with_the_demo() {
        let mut config = Config::default();
        let place = Place::take(&mut config, false).unwrap();
        let path = config.data_dir.clone();
        assert!(path.is_dir());
        assert_eq!((config.ports.bands.len(), config.ports.portserver.as_str()), (2, "off"));
        config.ports.rules().unwrap();
        drop(place);
        assert!(!path.exists());
    }

    #[test]
    fn a_directory_of_something_else_is_refused_and_one_of_a_demo_is_taken_again() {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config { data_dir: directory.path().join("data"), ..Config::default() };
        for _ in 0..2 {
            drop(Place::take(&mut config, false).unwrap());
            assert!(config.data_dir.join(MARK).exists());
        }
        config.data_dir = directory.path().to_owned();
        assert!(matches!(Place::take(&mut config, false), Err(Refused::Foreign(_))));
    }

    #[test]
    fn a_demo_is_for_this_machine_alone() {
        let mut config = Config { listen: "0.0.0.0:4000".parse().unwrap(), insecure: true, ..Config::default() };
        assert!(matches!(Place::take(&mut config, false), Err(Refused::Reachable(_))));
        let mut config = Config::default();
        config.access.enabled = true;
        assert!(matches!(Place::take(&mut config, false), Err(Refused::Guarded("access"))));
    }
}
