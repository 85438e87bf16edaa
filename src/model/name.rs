//! Names that were checked once, at the door, and travel inwards as what they are.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// The most characters a name, topic or version may have.
pub const NAME_LEN_MAX: usize = 255;

/// Why a text is no name. Reads on after the name of the field: "name: is empty".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing but white space, or nothing at all.
    #[error("is empty")]
    Empty,
    /// Longer than [`NAME_LEN_MAX`].
    #[error("has {length} characters; the most is {NAME_LEN_MAX}")]
    TooLong {
        /// Its length in characters.
        length: usize,
    },
    /// A character that names of this kind do not have.
    #[error("has {found:?} at character {position}; allowed are {allowed}")]
    Character {
        /// The character.
        found: char,
        /// Where it stands, from 1.
        position: usize,
        /// What may stand there, in words.
        allowed: &'static str,
    },
    /// A topic with two dots in a row, or one at its end.
    #[error("has an empty segment; segments are separated by single dots")]
    EmptySegment,
}

fn check(text: &str, allowed: &'static str, fits: impl Fn(usize, char) -> bool) -> Result<(), InvalidName> {
    if text.trim().is_empty() {
        return Err(InvalidName::Empty);
    }
    if text.len() > NAME_LEN_MAX {
        let length = text.chars().count();
        if length > NAME_LEN_MAX {
            return Err(InvalidName::TooLong { length });
        }
    }
    match text.chars().enumerate().find(|&(at, found)| !fits(at, found)) {
        Some((at, found)) => Err(InvalidName::Character { found, position: at + 1, allowed }),
        None => Ok(()),
    }
}

fn check_identifier(text: &str) -> Result<(), InvalidName> {
    check(text, "ASCII letters, digits and . _ - : / @, with a letter, digit or _ first", |at, found| {
        found.is_ascii_alphanumeric() || found == '_' || (at > 0 && matches!(found, '.' | '-' | ':' | '/' | '@'))
    })
}

fn check_topic(text: &str) -> Result<(), InvalidName> {
    check(text, "printable ASCII without white space, * and >", |_, found| {
        found.is_ascii_graphic() && !matches!(found, '*' | '>')
    })?;
    if text.split('.').any(str::is_empty) { Err(InvalidName::EmptySegment) } else { Ok(()) }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident by $check:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the text; the error reads on after the name of the field it came in.
            pub fn try_new(text: &str) -> Result<Self, InvalidName> {
                $check(text)?;
                Ok(Self(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &self.0)
            }
        }
    )*};
}

names! {
    /// A node's name: unique in a registry, dotted or snake case, e.g. `validator.test.canary.001`.
    NodeName by check_identifier;
    /// A tool's name, without its version.
    ToolName by check_identifier;
    /// A contract's name, without its version.
    ContractName by check_identifier;
    /// A topic: dotted segments, e.g. `onex.evt.platform.node-heartbeat.v1`.
    TopicName by check_topic;
    /// A bus's name: unique in a registry.
    BusName by check_identifier;
    /// The name of a durable subscriber: unique on its bus.
    SubscriberName by check_identifier;
}

impl BusName {
    /// The name of the bus that carries the registry's own changes.
    pub(super) fn of_registry() -> Self {
        BusName("registry".into())
    }
}

/// A version as it was written, ordered by semantic versioning (2.0.0).
///
/// What is no semantic version is kept, and ranks below all that are, by its text. `1` and `1.2` are
/// taken as `1.0.0` and `1.2.0` for ordering.
#[derive(Clone)]
pub struct Version(Arc<VersionText>);

struct VersionText {
    text: Box<str>,
    semantic: Option<semver::Version>,
}

impl Version {
    /// Checks the text; the error reads on after the name of the field it came in.
    pub fn try_new(text: &str) -> Result<Self, InvalidName> {
        check(text, "ASCII letters, digits and . _ - +", |_, found| {
            found.is_ascii_alphanumeric() || matches!(found, '.' | '_' | '-' | '+')
        })?;
        let padded = match text.matches('.').count() {
            0 => format!("{text}.0.0"),
            1 => format!("{text}.0"),
            _ => text.to_owned(),
        };
        let semantic = semver::Version::parse(padded.strip_prefix('v').unwrap_or(&padded)).ok();
        Ok(Version(Arc::new(VersionText { text: text.into(), semantic })))
    }

    /// The version of what does not say one: `0.0.0`.
    pub fn unstated() -> Self {
        Version(Arc::new(VersionText { text: "0.0.0".into(), semantic: Some(semver::Version::new(0, 0, 0)) }))
    }

    /// Below every version there is: where a walk over the versions of a name begins.
    pub fn lowest() -> Self {
        Version(Arc::new(VersionText { text: "".into(), semantic: None }))
    }

    /// The version as it was written.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// Whether this is a semantic version without a pre-release part.
    pub fn is_release(&self) -> bool {
        self.0.semantic.as_ref().is_some_and(|version| version.pre.is_empty())
    }
}

/// Which versions will do, as Cargo and npm write it: `^1.2`, `~1.2.3`, `>=1, <2`, `1.*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionReq(semver::VersionReq);

/// Why a text says nothing of versions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no version and no range of versions such as ^1.2 or >=1.2, <2")]
pub struct InvalidVersionReq;

/// A version, or a range of versions of which the highest will do.
#[derive(Clone, Debug)]
pub enum VersionWanted {
    /// This one.
    Exactly(Version),
    /// The highest in this range, as it was written.
    Range(VersionReq, String),
}

impl VersionWanted {
    /// Reads what a caller wrote; the error reads on after the name of the field it came in.
    pub fn try_new(text: &str) -> Result<Self, String> {
        if VersionReq::is_meant(text) {
            let range = VersionReq::try_new(text).map_err(|error| error.to_string())?;
            return Ok(VersionWanted::Range(range, text.to_owned()));
        }
        Version::try_new(text).map(VersionWanted::Exactly).map_err(|error| error.to_string())
    }

    /// Whether the version will do.
    pub fn matches(&self, version: &Version) -> bool {
        match self {
            VersionWanted::Exactly(wanted) => wanted == version,
            VersionWanted::Range(range, _) => range.matches(version),
        }
    }

    /// What the caller wrote.
    pub fn as_str(&self) -> &str {
        match self {
            VersionWanted::Exactly(version) => version.as_str(),
            VersionWanted::Range(_, text) => text,
        }
    }
}

impl VersionReq {
    /// Whether a text is meant as a range: a version as it was written has none of its signs.
    pub fn is_meant(text: &str) -> bool {
        text.contains(['^', '~', '<', '>', '=', '*', ','])
    }

    /// A range of versions.
    pub fn try_new(text: &str) -> Result<Self, InvalidVersionReq> {
        semver::VersionReq::parse(text).map(VersionReq).map_err(|_| InvalidVersionReq)
    }

    /// Whether the version will do. Pre-releases do only where the range names one of the same version; what is no
    /// semantic version never does.
    pub fn matches(&self, version: &Version) -> bool {
        version.0.semantic.as_ref().is_some_and(|version| self.0.matches(version))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.semantic.cmp(&other.0.semantic).then_with(|| self.0.text.cmp(&other.0.text))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

// By the text alone: 1.0 and 1.0.0 rank together but are two versions.
impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for Version {}

impl std::hash::Hash for Version {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.text.hash(state);
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &self.0.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_refused_with_the_reason() {
        assert_eq!(NodeName::try_new("  "), Err(InvalidName::Empty));
        assert_eq!(NodeName::try_new(&"n".repeat(10_000)), Err(InvalidName::TooLong { length: 10_000 }));
        let spaced = NodeName::try_new("a b").unwrap_err();
        assert!(spaced.to_string().starts_with("has ' ' at character 2"), "{spaced}");
        assert!(NodeName::try_new("validator.test.canary.001").is_ok());
        assert!(NodeName::try_new(".hidden").is_err());
    }

    #[test]
    fn a_topic_has_no_wildcards_and_no_empty_segments() {
        assert!(TopicName::try_new("onex.evt.platform.node-heartbeat.v1").is_ok());
        assert_eq!(TopicName::try_new("onex..evt"), Err(InvalidName::EmptySegment));
        assert!(TopicName::try_new("onex.*").is_err());
        assert!(TopicName::try_new("onex.>").is_err());
    }

    #[test]
    fn versions_order_by_meaning_and_keep_their_text() {
        let mut versions: Vec<Version> = ["1.10.0", "1.9.0", "nightly", "1.9", "2.0.0-rc.1", "v2.0.0"]
            .iter()
            .map(|text| Version::try_new(text).unwrap())
            .collect();
        versions.sort();
        let texts: Vec<&str> = versions.iter().map(Version::as_str).collect();
        assert_eq!(texts, ["nightly", "1.9", "1.9.0", "1.10.0", "2.0.0-rc.1", "v2.0.0"]);
        assert_ne!(Version::try_new("1.9").unwrap(), Version::try_new("1.9.0").unwrap());
    }
}
