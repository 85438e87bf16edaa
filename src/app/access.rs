//! Access control: made from its settings, kept up with its files, and given its first token.

use super::StartError;
use crate::access::{Access, Keys, Options, Policy, policy, secret};
use crate::config::Config;
use crate::model::{Actor, TokenId};
use crate::registry::command::{Command, CreateToken, Request};
use crate::registry::engine::{Clock, Engine};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// How often the files of policy and keys are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The shortest secret that a file may give for the first token, in bytes.
const SECRET_LEN_MIN: usize = 32;

/// Access control that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) access: Arc<Access>,
    /// Where the first token was written, if that was just now.
    pub(super) first_token: Option<PathBuf>,
    tasks: Vec<JoinHandle<()>>,
}

impl Running {
    /// Ends what runs, and brings what was refused of late to the log.
    pub(super) async fn stop(self, engine: &Engine) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.access.flush(&engine.handle()).await;
    }
}

pub(super) async fn start(config: &Config, engine: &Engine, clock: Arc<dyn Clock>) -> Result<Running, StartError> {
    let settings = &config.access;
    let (per_second, burst) = (settings.requests_per_second, settings.burst);
    if !settings.enabled {
        return Ok(Running { access: Arc::new(Access::open(per_second, burst)), first_token: None, tasks: Vec::new() });
    }
    let (policy, keys) = (read_policy(&settings.policy)?, read_keys(config)?);
    let has_keys = keys.is_some();
    let options = Options { policy, keys };
    let access = Arc::new(Access::controlled(engine.views().clone(), clock, options, per_second, burst));
    let first_token = if has_keys && settings.bootstrap_token_file.as_os_str().is_empty() {
        None
    } else {
        first_token(config, engine).await?
    };
    let keeping = access.clone();
    let handle = engine.handle();
    let tasks = vec![
        tokio::spawn(async move { keeping.keep(handle).await }),
        tokio::spawn(follow_files(config.clone(), access.clone())),
    ];
    Ok(Running { access, first_token, tasks })
}

fn setting(setting: &'static str, reason: String) -> StartError {
    StartError::Setting { setting, reason }
}

fn read_policy(path: &Path) -> Result<Policy, StartError> {
    let wrong = |reason: String| setting("access.policy", reason);
    if path.as_os_str().is_empty() {
        return Policy::try_new(policy::DEFAULT).map_err(|error| wrong(error.to_string()));
    }
    let text =
        fs::read_to_string(path).map_err(|error| wrong(format!("{} cannot be read: {error}", path.display())))?;
    Policy::try_new(&text).map_err(|error| wrong(format!("{}: {error}", path.display())))
}

fn read_keys(config: &Config) -> Result<Option<Keys>, StartError> {
    let path = &config.access.jwt_keys;
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let wrong = |reason: String| setting("access.jwt_keys", format!("{}: {reason}", path.display()));
    let text = fs::read(path).map_err(|error| wrong(format!("it cannot be read: {error}")))?;
    Keys::try_new(&text, config.access.jwt()).map(Some).map_err(wrong)
}

/// Where there is no token, one that may do everything: its secret is what the file has, or is drawn and written there.
async fn first_token(config: &Config, engine: &Engine) -> Result<Option<PathBuf>, StartError> {
    let named = &config.access.bootstrap_token_file;
    let is_named = !named.as_os_str().is_empty();
    let path = if is_named { named.clone() } else { config.data_dir.join("admin.token") };
    let wrong = |reason: String| setting("access.bootstrap_token_file", format!("{}: {reason}", path.display()));
    let state = engine.views().current();
    let (secret, is_fresh) = match fs::read_to_string(&path) {
        // What somebody has put there counts also beside other tokens: it may be how a lost one is replaced.
        Ok(text) if is_named => (text.trim().to_owned(), false),
        _ if !state.tokens.is_empty() => return Ok(None),
        _ => (secret::draw().map_err(|error| wrong(error.to_string()))?, true),
    };
    if !secret.starts_with(secret::PREFIX) || secret.len() < SECRET_LEN_MIN {
        let prefix = secret::PREFIX;
        return Err(wrong(format!("a token begins with {prefix} and has {SECRET_LEN_MIN} characters or more")));
    }
    let hash = secret::hash(&secret);
    if state.token_of(&hash).is_some() {
        return Ok(None);
    }
    if is_fresh {
        write_secret(&path, &secret).map_err(|error| wrong(format!("it cannot be written: {error}")))?;
    }
    #[expect(clippy::disallowed_methods, reason = "the id of the first token, drawn where it is made")]
    let id = TokenId(Uuid::new_v4());
    let create = CreateToken {
        id,
        name: "admin".to_owned(),
        hash,
        roles: vec!["admin".to_owned()],
        node: None,
        expires_at: None,
        created_by: Actor::registry().principal,
    };
    let command = Command::CreateToken(Box::new(create));
    engine.handle().submit(Request { command, actor: Actor::registry(), correlation_id: None }).await?;
    Ok(is_fresh.then_some(path))
}

/// A file that only its owner reads.
fn write_secret(path: &Path, secret: &str) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    // One that is left over from a registry that is gone gives way; nobody else's is followed or kept open.
    let _ = fs::remove_file(path);
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{secret}")?;
    file.sync_all()
}

/// What a file looked like.
type Look = Option<(SystemTime, u64)>;

fn look(path: &Path) -> Look {
    let found = fs::metadata(path).ok()?;
    Some((found.modified().ok()?, found.len()))
}

/// Reads the files of policy and keys anew whenever they change. One that cannot be used is told, and what was in force
/// stays.
async fn follow_files(config: Config, access: Arc<Access>) {
    let settings = &config.access;
    let mut looks = (look(&settings.policy), look(&settings.jwt_keys));
    let mut again = tokio::time::interval(LOOK_EVERY);
    loop {
        again.tick().await;
        let now = (look(&settings.policy), look(&settings.jwt_keys));
        if now.0 != looks.0 && now.0.is_some() {
            match read_policy(&settings.policy) {
                Ok(policy) => {
                    tracing::info!(path = %settings.policy.display(), "another policy is in force");
                    access.set_policy(policy);
                }
                Err(error) => {
                    tracing::error!(%error, "the changed policy cannot be used; the earlier one stays in force")
                }
            }
        }
        if now.1 != looks.1 && now.1.is_some() {
            match read_keys(&config) {
                Ok(Some(keys)) => {
                    tracing::info!(path = %settings.jwt_keys.display(), "other keys count from now on");
                    access.set_keys(keys);
                }
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "the changed keys cannot be used; the earlier ones still count"),
            }
        }
        looks = now;
    }
}
