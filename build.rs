//! Builds the front end in `web/` and puts it into the program.
//!
//! A program without it is a whole registry: where npm or the folder is missing, or something goes wrong, the program
//! is built all the same, and says at `/` what is missing. `ONEX_WEB=require` makes that an error, for those who publish
//! programs, and `ONEX_WEB=skip` leaves the front end out, for those who need none.
//!
//! Nothing is written into the source tree but `web/node_modules` and what comes from the schema (`web/src/gql`).

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is how a build script speaks to cargo")]

use std::collections::hash_map::DefaultHasher;
use std::ffi::OsStr;
use std::fmt::Write;
use std::hash::{Hash, Hasher};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs, io};

/// Where the front end is.
const WEB: &str = "web";
/// What it is generated from besides.
const SCHEMA: &str = "schema.graphql";
/// What is made in its `src` by the build, and is no source.
const GENERATED: &str = "gql";
/// What npm is called here.
const NPM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };
/// The kinds of files that stand beside `src` and decide what is built.
const SETTINGS: [&str; 6] = ["html", "js", "json", "mjs", "npmrc", "ts"];
/// How many lines of what went wrong are shown.
const SHOWN_LINES: usize = 30;

/// Writes the compressed forms of each file beside it, where they are smaller by enough. Node.js has the C libraries
/// for that: in a build script, which is not optimized, the crates would take minutes for what it does in seconds.
const COMPRESS: &str = r#"
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
const [folder, quality] = process.argv.slice(1);
for (const name of readdirSync(folder, { recursive: true })) {
  const path = `${folder}/${name}`;
  if (!statSync(path).isFile() || /\.(br|gz|map)$/.test(path)) continue;
  const bytes = readFileSync(path);
  const gzip = gzipSync(bytes, { level: 9 });
  if (gzip.length > bytes.length * 0.9) continue;
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: Number(quality),
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  };
  writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params }));
  writeFileSync(`${path}.gz`, gzip);
}
"#;

/// Why there is no front end in the program.
enum Absent {
    /// The sentence that the program shows in its place.
    Because(&'static str),
    /// That, and what cargo shows besides.
    Failed(&'static str, String),
}

fn main() -> ExitCode {
    match provide() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// Leaves a table of the front end's files where `src/http/web/built.rs` takes it from.
fn provide() -> Result<(), String> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=ONEX_WEB");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let asked = env::var("ONEX_WEB").unwrap_or_default();
    let built = match asked.as_str() {
        "skip" => Err(Absent::Because("It was left out: this program was built with ONEX_WEB=skip.")),
        // There is no network, and nobody looks at it.
        _ if env::var_os("DOCS_RS").is_some() => Err(Absent::Because("It was left out of the documentation.")),
        "" | "require" => build(&out),
        other => return Err(format!("ONEX_WEB is {other:?}: it is skip, require or absent")),
    };
    let table = match built {
        Ok(pages) => table(&pages).map_err(|error| format!("{} cannot be read: {error}", pages.display()))?,
        Err(absent) => {
            let (why, told) = match absent {
                Absent::Because(why) => (why, String::new()),
                Absent::Failed(why, told) => (why, told),
            };
            if asked == "require" {
                return Err(format!("ONEX_WEB=require, and there is no front end. {why}\n{told}"));
            }
            if asked != "skip" {
                println!("cargo::warning=The dashboard is not in this program. {why}");
                told.lines().for_each(|line| println!("cargo::warning={line}"));
            }
            format!(
                "pub(super) const ABSENT: Option<&str> = Some({why:?});\npub(super) static FILES: [File; 0] = [];\n"
            )
        }
    };
    fs::write(out.join("pages.rs"), table).map_err(|error| format!("pages.rs cannot be written: {error}"))
}

/// Builds the front end, unless the one of an earlier build is of the same sources; answers where it is.
fn build(out: &Path) -> Result<PathBuf, Absent> {
    let web = Path::new(WEB);
    if !web.join("package.json").exists() {
        return Err(Absent::Because("Its sources, the folder web, were not there when this program was built."));
    }
    let unreadable = |error: io::Error| {
        Absent::Failed("Its sources could not be read when this program was built.", error.to_string())
    };
    let sources = sources(web).map_err(unreadable)?;
    // By content: a checkout or another branch makes files newer that are what they were.
    let stamp = stamp(&sources).map_err(unreadable)?;
    let (pages, stamped) = (out.join("pages"), out.join("pages.stamp"));
    if fs::read_to_string(&stamped).is_ok_and(|earlier| earlier == stamp) {
        return Ok(pages);
    }
    if is_older(&web.join("node_modules/.package-lock.json"), &web.join("package-lock.json")) {
        run(Command::new(NPM).args(["ci", "--include=dev", "--no-audit", "--no-fund"]))?;
    }
    let arguments = ["run", "build", "--", "--emptyOutDir", "--outDir"].map(OsStr::new);
    run(Command::new(NPM).args(arguments).arg(&pages))?;
    // The last percents take ten times as long: for programs that are given to others.
    let quality = if env::var("PROFILE").is_ok_and(|profile| profile == "release") { "11" } else { "9" };
    let node = ["--input-type=module", "--eval", COMPRESS, "--"].map(OsStr::new);
    run(Command::new("node").args(node).arg(&pages).arg(quality))?;
    fs::write(&stamped, stamp).map_err(unreadable)?;
    Ok(pages)
}

/// Runs a program in the folder of the front end. What it says is shown only where it fails.
fn run(command: &mut Command) -> Result<(), Absent> {
    let shown = format!("{command:?}").lines().next().unwrap_or_default().to_owned();
    let output = match command.current_dir(WEB).env("NO_UPDATE_NOTIFIER", "1").env("NO_COLOR", "1").output() {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Absent::Because("There was no npm on the machine that built this program: it needs Node.js."));
        }
        Err(error) => return Err(Absent::Failed("npm could not be started.", format!("{shown}: {error}"))),
    };
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n");
    let why = "Building it failed, and the program was built without: \"touch build.rs && cargo build\" shows why.";
    Err(Absent::Failed(why, format!("{shown} ended with {}:\n{last}", output.status)))
}

/// Whether a file is missing, or older than another.
fn is_older(file: &Path, than: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    changed(file).is_none_or(|changed_at| changed(than).is_some_and(|than| than > changed_at))
}

/// All sources of the front end, in order. Cargo is told to look at them, and at nothing that the build writes: it
/// would find that newer than the build each time.
fn sources(web: &Path) -> io::Result<Vec<PathBuf>> {
    let mut roots = vec![PathBuf::from(SCHEMA)];
    for entry in fs::read_dir(web)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let kind = name.rsplit('.').next().unwrap_or_default();
        if path.is_file() && name.contains('.') && SETTINGS.contains(&kind) || name == "public" {
            roots.push(path);
        } else if name == "src" {
            let entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
            roots.extend(entries.into_iter().map(|entry| entry.path()).filter(|path| !path.ends_with(GENERATED)));
        }
    }
    let mut files = Vec::new();
    for root in roots.iter().filter(|root| root.exists()) {
        println!("cargo::rerun-if-changed={}", root.display());
        gather(root, &mut files)?;
    }
    files.sort();
    Ok(files)
}

/// The files in a folder and in those below it.
fn gather(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    fs::read_dir(path)?.try_for_each(|entry| gather(&entry?.path(), files))
}

/// What the sources add up to.
fn stamp(sources: &[PathBuf]) -> io::Result<String> {
    let mut hasher = DefaultHasher::new();
    COMPRESS.hash(&mut hasher);
    for path in sources {
        (path, fs::read(path)?).hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// Rust that has all files of the front end. Written here and not by a crate, since those have no compressed forms made
/// beforehand, or would look for the files beside the program in a debug build.
fn table(pages: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    gather(pages, &mut files)?;
    files.retain(|file| !["br", "gz", "map"].iter().any(|kind| file.extension() == Some(OsStr::new(kind))));
    files.sort();
    let mut text = "pub(super) const ABSENT: Option<&str> = None;\n".to_owned();
    let _ = writeln!(text, "pub(super) static FILES: [File; {}] = [", files.len());
    for file in files {
        let below = file.strip_prefix(pages).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        let mut hasher = DefaultHasher::new();
        fs::read(&file)?.hash(&mut hasher);
        let tag = format!("W/\"{:016x}\"", hasher.finish());
        let beside = |kind: &str| format!("{}.{kind}", file.display());
        let bytes = |path: String| format!("include_bytes!({path:?})");
        let call = match Path::new(&beside("br")).exists() {
            true => format!(
                "File::packed({:?}, {tag:?}, {}, {})",
                format!("/{below}"),
                bytes(beside("br")),
                bytes(beside("gz"))
            ),
            false => format!("File::plain({:?}, {tag:?}, {})", format!("/{below}"), bytes(file.display().to_string())),
        };
        let _ = writeln!(text, "    {call},");
    }
    Ok(text + "];\n")
}
