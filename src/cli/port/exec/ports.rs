//! What the ports are called: in the command line, the command's environment and its arguments.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::str::FromStr;

use clap::error::ErrorKind;
use clap::{ArgMatches, Command, FromArgMatches};

/// The port where none is named.
const DEFAULT: &str = "PORT";

/// One port that is wanted.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    /// A valid name of an environment variable.
    pub(super) name: String,
    /// The number to try first.
    pub(super) preferred: Option<u16>,
}

/// Why a text names no port.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidPort {
    #[error("a port's name has letters, digits and _ and does not begin with a digit, as environment variables have")]
    Name,
    #[error("PATH, and names that begin with LISTEN_ or ONEX_, mean something else to the command and to onex")]
    Taken,
    #[error("after = stands the number to try first, from 1 to 65535")]
    Number,
}

impl FromStr for Wanted {
    type Err = InvalidPort;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, number) = text.split_once('=').map_or((text, None), |(name, number)| (name, Some(number)));
        let allowed = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if name.is_empty() || !allowed || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(InvalidPort::Name);
        }
        if name == "PATH" || name.starts_with("LISTEN_") || name.starts_with("ONEX_") {
            return Err(InvalidPort::Taken);
        }
        let preferred =
            number.map(|number| number.parse().ok().filter(|number| *number > 0).ok_or(InvalidPort::Number));
        Ok(Self { name: name.to_owned(), preferred: preferred.transpose()? })
    }
}

/// The ports that are wanted: at least one, no two of one name.
#[derive(Clone, Debug)]
pub(super) struct Ports(Vec<Wanted>);

impl Ports {
    /// Each of them, in the order they were typed.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Wanted> {
        self.0.iter()
    }
}

/// As it is typed. [`Ports`] goes through it, so that a name that is typed twice is refused as every other mistake.
#[derive(clap::Args)]
struct Typed {
    /// A port to lease, with a number to try first if you like; may be given several times [default: PORT]
    #[arg(long = "port", value_name = "NAME[=NUMBER]")]
    ports: Vec<Wanted>,
}

impl clap::Args for Ports {
    fn augment_args(command: Command) -> Command {
        Typed::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Typed::augment_args_for_update(command)
    }
}

impl FromArgMatches for Ports {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let Typed { mut ports } = Typed::from_arg_matches(matches)?;
        for (index, port) in ports.iter().enumerate() {
            if ports[..index].iter().any(|before| before.name == port.name) {
                let said = format!("two ports are called {}: give each --port a name of its own", port.name);
                return Err(clap::Error::raw(ErrorKind::ValueValidation, said));
            }
        }
        if ports.is_empty() {
            ports.push(Wanted { name: DEFAULT.to_owned(), preferred: None });
        }
        Ok(Self(ports))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// An argument with each port's number in the place of `{NAME}`.
///
/// `${NAME}` stays: it is a shell's, which has the number in its environment, and would read `$8080` as something else.
/// Braces around anything else stay as well.
pub(super) fn filled(argument: &OsStr, numbers: &[(&str, u16)]) -> OsString {
    let mut rest = argument.as_bytes();
    let mut filled = Vec::with_capacity(rest.len());
    while let Some(&byte) = rest.first() {
        let found = numbers.iter().filter(|_| !filled.ends_with(b"$")).find_map(|(name, number)| {
            let after = rest.strip_prefix(b"{")?.strip_prefix(name.as_bytes())?.strip_prefix(b"}")?;
            Some((number, after))
        });
        match found {
            Some((number, after)) => {
                filled.extend_from_slice(number.to_string().as_bytes());
                rest = after;
            }
            None => {
                filled.push(byte);
                rest = &rest[1..];
            }
        }
    }
    OsString::from_vec(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_has_a_variables_name_and_maybe_a_number() {
        let wanted = |name: &str, preferred| Wanted { name: name.into(), preferred };
        assert_eq!("HTTP".parse::<Wanted>().unwrap(), wanted("HTTP", None));
        assert_eq!("_h2=8080".parse::<Wanted>().unwrap(), wanted("_h2", Some(8080)));
        for wrong in ["", "2A", "A-B", "A B", "Ä", "=1", "A=", "A=0", "A=65536", "A=1=2", "A=x"] {
            assert!(wrong.parse::<Wanted>().is_err(), "{wrong}");
        }
    }

    #[track_caller]
    fn check(argument: &str, expected: &str) {
        let numbers = [("PORT", 8080), ("PORT_2", 81)];
        assert_eq!(filled(OsStr::new(argument), &numbers), OsString::from(expected));
    }

    #[test]
    fn names_in_braces_become_numbers() {
        check("{PORT}", "8080");
        check("--listen=127.0.0.1:{PORT},[::1]:{PORT_2}", "--listen=127.0.0.1:8080,[::1]:81");
        check("{PORT}{PORT_2}{PORT}", "8080818080");
        check("{{PORT}}", "{8080}");
    }

    #[test]
    fn everything_else_stays() {
        for argument in ["", "{}", "{", "{PORT", "PORT}", "{port}", "{OTHER}", "{ PORT }", "a{PORT_}b", "ä{"] {
            check(argument, argument);
        }
    }

    #[test]
    fn a_shells_braces_stay() {
        check("echo ${PORT} {PORT} $PORT", "echo ${PORT} 8080 $PORT");
    }

    #[test]
    fn an_argument_need_not_be_text() {
        let odd = OsString::from_vec(b"\xff{PORT}\xfe".to_vec());
        assert_eq!(filled(&odd, &[("PORT", 1)]).into_vec(), b"\xff1\xfe");
    }
}
