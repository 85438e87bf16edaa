//! Who asks for leases.
//!
//! The registry gives leases to requesters, and a requester is a UUID that it makes up itself. A person at a shell
//! should not have to: without one, the same is made every time for one user of one machine, so that what `allocate`
//! leased, `release` can give back.

use uuid::Uuid;

use crate::cli::error::Error;

/// Where a requester's id is looked for that was not typed.
const VARIABLE: &str = "ONEX_REQUESTER";

/// Keeps the made ids apart from every other use of UUIDs made from names. Never changed: ids must stay as they were.
const SPACE: Uuid = Uuid::from_u128(0x6f7b_31c2_58a4_4e0d_9c1f_2d86_a7e5_0b93);

/// Who asks.
#[derive(Debug, clap::Args)]
pub(super) struct RequesterArgs {
    /// Who asks for leases; without it, an id made from your user number and this machine's name, always the same.
    #[arg(long, value_name = "UUID", env = VARIABLE)]
    requester: Option<Uuid>,
}

impl RequesterArgs {
    /// The id of who asks.
    pub(super) fn id(&self) -> Uuid {
        self.requester.unwrap_or_else(this_user)
    }
}

/// The id that is taken where none is typed, for a command whose `--requester` means somebody else.
pub(super) fn mine() -> Result<Uuid, Error> {
    match std::env::var(VARIABLE) {
        Ok(text) => {
            Uuid::try_parse(&text).map_err(|error| Error::Other(format!("{VARIABLE} is no UUID: {error}").into()))
        }
        Err(_) => Ok(this_user()),
    }
}

/// The id of whoever runs this program, on this machine.
fn this_user() -> Uuid {
    let (user, host) = user_and_host();
    made_from(&user, &host)
}

fn made_from(user: &str, host: &str) -> Uuid {
    Uuid::new_v5(&SPACE, format!("{user}@{host}").as_bytes())
}

/// The user's number, not the name: cron, containers and services often run without USER or LOGNAME.
#[cfg(unix)]
fn user_and_host() -> (String, String) {
    let user = rustix::process::getuid().as_raw().to_string();
    (user, rustix::system::uname().nodename().to_string_lossy().into_owned())
}

#[cfg(not(unix))]
fn user_and_host() -> (String, String) {
    let variable = |name| std::env::var(name).unwrap_or_default();
    (variable("USERNAME"), variable("COMPUTERNAME"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_of_one_machine_is_always_the_same_requester() {
        assert_eq!(this_user(), this_user());
        // Written out: whoever has leases under this id must find them after an update of this program.
        assert_eq!(made_from("1000", "build-2").to_string(), "fc64fac6-91e3-5425-86ac-2f90d21a07a7");
        assert_ne!(made_from("1000", "build-2"), made_from("1001", "build-2"));
        assert_ne!(made_from("1000", "build-2"), made_from("1000", "build-3"));
    }

    #[test]
    fn a_given_id_is_taken_as_it_is() {
        let id = Uuid::from_u128(7);
        assert_eq!(RequesterArgs { requester: Some(id) }.id(), id);
        assert_eq!(RequesterArgs { requester: None }.id(), this_user());
    }
}
