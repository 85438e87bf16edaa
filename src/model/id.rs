//! Ids and places as types, so that two of them cannot be swapped by mistake.

use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    )*};
}

uuid_ids! {
    /// One node, for as long as it is registered, whatever its name.
    NodeId;
    /// One registry: drawn when its log is made, kept for the log's whole life.
    RegistryId;
    /// One port lease.
    LeaseId;
    /// Whoever asks for port leases.
    RequesterId;
    /// Whoever attests to nodes.
    ValidatorId;
    /// A tool's name and version as one id: the same everywhere.
    ToolId;
    /// One change, as watchers see it: the same at every reading.
    EventId;
    /// One call of a tool.
    InvocationId;
    /// One token.
    TokenId;
    /// One bus.
    BusId;
    /// One that listens on a bus.
    SubscriberId;
    /// One event that travels.
    OnexEventId;
}

impl BusId {
    /// The bus that carries the registry's own changes: the same in every registry.
    pub const REGISTRY: BusId = BusId(Uuid::from_u128(0x9b87_ac0c_d4a2_5593_8069_eac8_a679_44a5));
}

impl InvocationId {
    /// What the provider of an attempt calls the call: the call's own id for the first, so that the answer to an earlier
    /// attempt is never taken for that to a later one.
    pub fn of_attempt(self, number: u32) -> Self {
        match number {
            1 => self,
            number => InvocationId(Uuid::new_v5(&self.0, &number.to_be_bytes())),
        }
    }
}

impl ToolId {
    /// The name space of tool ids (a version 5 UUID of its own, so that ids of other kinds never meet these).
    const SPACE: Uuid = Uuid::from_u128(0x6f6e_6578_746f_5f6c_8a5c_1c1f_0e71_5d01);

    /// The id of the tool with this name and version.
    pub fn of(name: &str, version: &str) -> Self {
        ToolId(Uuid::new_v5(&Self::SPACE, format!("{name}@{version}").as_bytes()))
    }
}

impl EventId {
    /// The id of the change at this place in this registry's log.
    pub fn of(registry: RegistryId, sequence: Sequence) -> Self {
        EventId(Uuid::new_v5(&registry.0, &sequence.0.to_be_bytes()))
    }
}

/// A place in the registry's log: the first change is 1, 0 is before any. Below 2^53, so that JSON
/// numbers carry it everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

impl Sequence {
    /// Before the first change.
    pub const ZERO: Sequence = Sequence(0);
    /// The largest place: 2^53 - 1.
    pub const MAX: Sequence = Sequence((1 << 53) - 1);

    /// The place after this one.
    pub fn next(self) -> Self {
        Sequence(self.0 + 1)
    }

    /// The place before this one; the first has [`Sequence::ZERO`] before it.
    pub fn previous(self) -> Self {
        Sequence(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! hashes {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = &'static str;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                hash_from_hex(text).map(Self)
            }
        }
    )*};
}

hashes! {
    /// SHA-256 of a contract's canonical JSON (RFC 8785): the same content always has the same hash.
    ContractHash;
    /// SHA-256 of a tool definition's canonical JSON (RFC 8785).
    DefinitionHash;
}

fn hash_from_hex(text: &str) -> Result<[u8; 32], &'static str> {
    const WRONG: &str = "a hash is 64 hexadecimal digits";
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(WRONG);
    }
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| WRONG)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_reads_back_what_it_prints_and_nothing_else() {
        let hash = ContractHash([0xa7; 32]);
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert!("a7".parse::<ContractHash>().is_err());
        assert!("é".repeat(32).parse::<ContractHash>().is_err());
        assert!("+7".repeat(32).parse::<ContractHash>().is_err());
    }

    #[test]
    fn one_name_and_version_is_one_tool_id() {
        assert_eq!(ToolId::of("hash", "1.0.0"), ToolId::of("hash", "1.0.0"));
        assert_ne!(ToolId::of("hash", "1.0.0"), ToolId::of("hash", "1.0.1"));
    }
}
