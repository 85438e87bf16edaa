//! Which files are contracts, and their text.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::cli::error::Error;

/// Whole names that contracts go by.
const NAMES: [&str; 6] =
    ["contract.yaml", "contract.yml", "contract.json", "node.onex.yaml", "node.onex.yml", "node.onex.json"];
/// Ends of names that mark a contract, whatever stands before.
const ENDS: [&str; 6] = [".contract.yaml", ".contract.yml", ".contract.json", ".onex.yaml", ".onex.yml", ".onex.json"];
/// Folders that hold other people's files, and hidden ones besides.
const PASSED_OVER: [&str; 2] = ["node_modules", "target"];
/// The largest contract that a registry takes.
const CONTRACT_BYTES_MAX: u64 = 1 << 20;

/// The contract files at some paths: sorted, each once, however many ways lead to it. A file that is named is taken
/// whatever it is called.
pub(super) fn collect(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut found = Found::default();
    for path in paths {
        if metadata(path)?.is_dir() {
            let before = found.matches;
            found.walk(path)?;
            if found.matches == before && !found.has_any_in(path)? {
                return Err(Error::NoContracts { path: path.clone(), names: names() });
            }
        } else {
            found.take(path.clone())?;
        }
    }
    let mut files: Vec<PathBuf> = found.files.into_values().collect();
    files.sort();
    Ok(files)
}

/// A contract's text, or why it cannot be one.
pub(in crate::cli) fn read(path: &Path) -> Result<String, String> {
    let cannot = |error: io::Error| format!("cannot read it: {error}");
    let file = File::open(path).map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    if metadata.len() > CONTRACT_BYTES_MAX {
        return Err(too_large(&metadata.len().to_string()));
    }
    // A file may grow, and a pipe has no size: what is read has the bound too.
    let mut bytes = Vec::new();
    file.take(CONTRACT_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > CONTRACT_BYTES_MAX {
        return Err(too_large(&format!("more than {CONTRACT_BYTES_MAX}")));
    }
    String::from_utf8(bytes).map_err(|error| format!("is not UTF-8 text: {}", error.utf8_error()))
}

#[derive(Default)]
struct Found {
    /// By their real place, so that links and repeated arguments add nothing.
    files: BTreeMap<PathBuf, PathBuf>,
    /// Folders that were walked, by their real place: a link back up would otherwise be followed for ever.
    walked: HashSet<PathBuf>,
    /// Contract files met, including those that another way had already led to.
    matches: usize,
}

impl Found {
    fn walk(&mut self, root: &Path) -> Result<(), Error> {
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            if !self.walked.insert(real(&folder)?) {
                continue;
            }
            for (path, is_folder) in entries(&folder)? {
                let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
                if is_folder && !name.starts_with('.') && !PASSED_OVER.contains(&&*name) {
                    folders.push(path);
                } else if !is_folder && is_contract(&name) {
                    self.matches += 1;
                    self.take(path)?;
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, path: PathBuf) -> Result<(), Error> {
        self.files.entry(real(&path)?).or_insert(path);
        Ok(())
    }

    /// Whether an earlier argument already brought what is in this folder.
    fn has_any_in(&self, folder: &Path) -> Result<bool, Error> {
        let folder = real(folder)?;
        Ok(self.files.keys().any(|file| file.starts_with(&folder)))
    }
}

/// What a folder holds, sorted, and whether each is a folder; links count as what they lead to. What is neither file
/// nor folder, or leads nowhere, is left out.
fn entries(folder: &Path) -> Result<Vec<(PathBuf, bool)>, Error> {
    let cannot = |source| Error::Read { path: folder.to_owned(), source };
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() || metadata.is_file() => entries.push((path, metadata.is_dir())),
            _ => {}
        }
    }
    entries.sort();
    Ok(entries)
}

fn is_contract(name: &str) -> bool {
    NAMES.contains(&name) || ENDS.iter().any(|end| name.ends_with(end))
}

fn names() -> String {
    let ends = ENDS.iter().map(|end| format!("*{end}"));
    NAMES.iter().map(|name| (*name).to_owned()).chain(ends).collect::<Vec<_>>().join(", ")
}

fn metadata(path: &Path) -> Result<fs::Metadata, Error> {
    fs::metadata(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

fn real(path: &Path) -> Result<PathBuf, Error> {
    path.canonicalize().map_err(|source| Error::Read { path: path.to_owned(), source })
}

fn too_large(bytes: &str) -> String {
    format!("has {bytes} bytes; a contract has at most {CONTRACT_BYTES_MAX}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder with these files in it, each empty.
    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    #[track_caller]
    fn check(folder: &Path, paths: &[&str], expected: &[&str]) {
        let paths: Vec<PathBuf> = paths.iter().map(|path| folder.join(path)).collect();
        let found = collect(&paths).unwrap();
        let found: Vec<_> = found.iter().map(|path| path.strip_prefix(folder).unwrap().to_str().unwrap()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_folder_gives_what_is_called_a_contract() {
        let folder =
            folder(&["b/contract.yaml", "a/node.onex.json", "x.contract.yml", "y.onex.yaml", "README.md", "c.yaml"]);
        check(folder.path(), &["."], &["a/node.onex.json", "b/contract.yaml", "x.contract.yml", "y.onex.yaml"]);
    }

    #[test]
    fn hidden_and_foreign_folders_are_passed_over_unless_named() {
        let folder =
            folder(&["contract.yaml", ".git/contract.yaml", "target/contract.yaml", "node_modules/m/contract.yml"]);
        check(folder.path(), &[""], &["contract.yaml"]);
        check(folder.path(), &["target"], &["target/contract.yaml"]);
    }

    #[test]
    fn a_named_file_is_taken_whatever_it_is_called() {
        check(folder(&["notes.txt"]).path(), &["notes.txt"], &["notes.txt"]);
    }

    #[test]
    fn each_file_comes_once() {
        let folder = folder(&["a/contract.yaml"]);
        check(folder.path(), &["a/contract.yaml", "a", "."], &["a/contract.yaml"]);
        check(folder.path(), &["a", "a"], &["a/contract.yaml"]);
    }

    #[test]
    fn a_link_back_up_ends() {
        let folder = folder(&["a/contract.yaml"]);
        symlink(folder.path(), folder.path().join("a/up")).unwrap();
        symlink("nowhere", folder.path().join("a/x.onex.yaml")).unwrap();
        check(folder.path(), &["."], &["a/contract.yaml"]);
    }

    #[test]
    fn a_folder_without_contracts_says_what_is_looked_for() {
        let folder = folder(&["README.md"]);
        let said = collect(&[folder.path().to_owned()]).unwrap_err().to_string();
        assert!(said.contains("contract.yaml, ") && said.contains("*.onex.json"), "{said}");
    }

    #[test]
    fn a_path_that_is_not_there_is_an_error() {
        assert!(matches!(collect(&["/no/such/path".into()]), Err(Error::Read { .. })));
    }

    #[test]
    fn only_text_of_bounded_size_is_read() {
        let folder = folder(&[]);
        let path = folder.path().join("contract.yaml");
        let check = |bytes: &[u8], expected: Result<usize, &str>| {
            fs::write(&path, bytes).unwrap();
            assert_eq!(
                read(&path).map(|text| text.len()).map_err(|reason| reason.contains(expected.unwrap_err())),
                expected.map_err(|_| true)
            );
        };
        let largest = vec![b'a'; CONTRACT_BYTES_MAX as usize];
        check(&largest, Ok(largest.len()));
        check(&[&*largest, b"a"].concat(), Err("has 1048577 bytes; a contract has at most 1048576"));
        check(b"\xff", Err("not UTF-8"));
    }
}
