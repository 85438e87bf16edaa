//! Snapshots as files beside the log: a header, a thing a line, and the SHA-256 of both at the end.
//!
//! Written beside the final name, synced, then moved there: a snapshot is whole or not there. One that does not
//! add up is passed over: the log has everything that is in it.

use super::Hash;
use crate::log::{ReadError, Snapshot, record};
use crate::model::{RegistryId, Sequence, Time};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// How many snapshots are kept: the oldest, the two newest, and some between, ever farther apart.
const KEPT_MAX: usize = 6;

#[derive(Debug)]
pub(super) struct Snapshots {
    directory: PathBuf,
    registry: RegistryId,
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: u32,
    registry: Uuid,
    sequence: u64,
    time: i64,
    /// The hash of the batch that ends at the place, hex: a snapshot of another history is none of this log's.
    chain: String,
}

#[derive(Serialize, Deserialize)]
struct Trailer {
    sha256: String,
}

/// Writes and hashes.
struct Hashing<W> {
    inner: W,
    hasher: Sha256,
}

impl<W: Write> Hashing<W> {
    fn line(&mut self, line: &str) -> io::Result<()> {
        self.hasher.update(line.as_bytes());
        self.hasher.update(b"\n");
        self.inner.write_all(line.as_bytes())?;
        self.inner.write_all(b"\n")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Snapshots {
    pub(super) fn new(directory: PathBuf, registry: RegistryId) -> Self {
        Snapshots { directory, registry }
    }

    fn path(&self, place: Sequence) -> PathBuf {
        self.directory.join(format!("{:016}.snapshot", place.0))
    }

    /// Where there are snapshots, the earliest first.
    pub(super) fn places(&self) -> Result<Vec<Sequence>, ReadError> {
        let listing = match fs::read_dir(&self.directory) {
            Ok(listing) => listing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(ReadError::Failed(error.into())),
        };
        let names = listing.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut places: Vec<Sequence> =
            names.filter_map(|name| name.strip_suffix(".snapshot")?.parse().ok().map(Sequence)).collect();
        places.sort();
        Ok(places)
    }

    pub(super) fn save(&self, snapshot: &Snapshot, chain: &Hash) -> Result<(), ReadError> {
        self.write(snapshot, chain).map_err(ReadError::Failed)?;
        for place in superfluous(self.places()?) {
            self.remove(place)?;
        }
        Ok(())
    }

    fn write(&self, snapshot: &Snapshot, chain: &Hash) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        fs::create_dir_all(&self.directory)?;
        let path = self.path(snapshot.sequence);
        let beside = path.with_extension("new");
        let mut file = Hashing { inner: BufWriter::new(File::create(&beside)?), hasher: Sha256::new() };
        let header = Header {
            format: record::FORMAT,
            registry: self.registry.0,
            sequence: snapshot.sequence.0,
            time: snapshot.time.as_micros(),
            chain: hex(chain),
        };
        file.line(&serde_json::to_string(&header)?)?;
        for thing in &snapshot.things {
            file.line(&record::encode_thing(thing)?)?;
        }
        let Hashing { mut inner, hasher } = file;
        writeln!(inner, "{}", serde_json::to_string(&Trailer { sha256: hex(&hasher.finalize()) })?)?;
        inner.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&beside, &path)?;
        File::open(&self.directory)?.sync_all()?;
        Ok(())
    }

    /// The latest snapshot that is not beyond a place and adds up; `chain_at` gives the log's hash at a place.
    pub(super) fn load(
        &self,
        upto: Sequence,
        chain_at: impl Fn(Sequence) -> Result<Option<Hash>, ReadError>,
    ) -> Result<Option<Snapshot>, ReadError> {
        for place in self.places()?.into_iter().rev().filter(|place| *place <= upto) {
            let path = self.path(place);
            let chain = chain_at(place)?;
            match self.read(&path, chain.as_ref()) {
                Ok(snapshot) => return Ok(Some(snapshot)),
                Err(reason) => tracing::warn!(snapshot = %path.display(), %reason, "a snapshot is passed over"),
            }
        }
        Ok(None)
    }

    fn read(&self, path: &Path, chain: Option<&Hash>) -> Result<Snapshot, Box<dyn std::error::Error + Send + Sync>> {
        let mut lines = BufReader::with_capacity(1 << 20, File::open(path)?);
        let mut hasher = Sha256::new();
        let mut line = String::new();
        lines.read_line(&mut line)?;
        hasher.update(line.as_bytes());
        let header: Header = serde_json::from_str(&line)?;
        if header.format > record::FORMAT || header.registry != self.registry.0 {
            return Err("it is of another registry or a later version".into());
        }
        if chain.is_none_or(|chain| hex(chain) != header.chain) {
            return Err("it is of a history that is not this log's".into());
        }
        let mut things = Vec::new();
        loop {
            line.clear();
            if lines.read_line(&mut line)? == 0 {
                return Err("its end is missing".into());
            }
            if line.starts_with("{\"sha256\"") {
                let trailer: Trailer = serde_json::from_str(&line)?;
                if trailer.sha256 != hex(&hasher.finalize()) {
                    return Err("its content is not what was written".into());
                }
                let (sequence, time) = (Sequence(header.sequence), Time::from_micros(header.time));
                return Ok(Snapshot { sequence, time, things });
            }
            hasher.update(line.as_bytes());
            things.push(record::decode_thing(&line)?);
        }
    }

    /// Takes away the snapshots before this place.
    pub(super) fn remove_before(&self, place: Sequence) -> Result<(), ReadError> {
        self.places()?.into_iter().filter(|earlier| *earlier < place).try_for_each(|earlier| self.remove(earlier))
    }

    fn remove(&self, place: Sequence) -> Result<(), ReadError> {
        match fs::remove_file(self.path(place)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ReadError::Failed(error.into())),
            _ => Ok(()),
        }
    }
}

/// Which of these places to give up, so that at most [`KEPT_MAX`] stay: those whose neighbours are closest
/// for their age.
fn superfluous(mut places: Vec<Sequence>) -> Vec<Sequence> {
    let mut given_up = Vec::new();
    while places.len() > KEPT_MAX {
        let newest = places[places.len() - 1].0;
        // How long the gap would be, in proportion to how old what lies in it is.
        let gap = |at: usize| {
            let (before, after) = (places[at - 1].0, places[at + 1].0);
            (after - before) as f64 / (newest - before) as f64
        };
        let candidates = 1..places.len() - 2;
        match candidates.min_by(|&a, &b| gap(a).total_cmp(&gap(b))) {
            Some(at) => given_up.push(places.remove(at)),
            None => break,
        }
    }
    given_up
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_snapshots_thin_out_and_the_oldest_and_newest_stay() {
        let mut kept: Vec<Sequence> = Vec::new();
        for place in 1..=40 {
            kept.push(Sequence(place * 100));
            for gone in superfluous(kept.clone()) {
                kept.retain(|place| *place != gone);
            }
        }
        assert_eq!(kept.len(), KEPT_MAX);
        assert_eq!((kept[0], kept[KEPT_MAX - 2], kept[KEPT_MAX - 1]), (Sequence(100), Sequence(3900), Sequence(4000)));
        let gaps: Vec<u64> = kept.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        assert!(gaps.windows(2).all(|pair| pair[0] >= pair[1]), "gaps grow with age: {gaps:?}");
    }
}
