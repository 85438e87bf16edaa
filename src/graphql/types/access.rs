//! Who may ask, and who was refused: tokens, the caller itself, and the audit.

use super::super::error::{self, invalid};
use super::super::paging::{Connection, Page, PageArgs, Total};
use super::super::render::{Never, Render, rendered};
use super::super::scalars::{DateTime, Sequence};
use super::super::{Services, View};
use super::event::{EventType, metadata};
use super::history::blocking;
use crate::access::{Principal as Known, secret};
use crate::log::{Filter, Range, Record};
use crate::model::{self, Change, NodeId, Time, TokenId, check_principal};
use crate::registry::command::CreateToken;
use async_graphql::{Enum, InputObject, Object, Result, SimpleObject};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// The most roles of a token.
const ROLES_MAX: usize = 32;

/// What somebody shows to say who it is. Its secret is shown once, when it is made, and is in no answer after that.
pub struct Token(pub(in crate::graphql) Arc<model::Token>);

/// What somebody shows to say who it is. Its secret is shown once, when it is made, and is in no answer after that.
#[Object]
impl Token {
    /// Drawn when it was made.
    async fn id(&self) -> Uuid {
        self.0.id.0
    }
    /// The principal that it is of. Several may be of one, so that a new one can take over from an old one.
    async fn name(&self) -> &str {
        &self.0.name
    }
    /// The roles that it gives, in order.
    async fn roles(&self) -> &[String] {
        &self.0.roles
    }
    /// The only node that it may act for; null where it is bound to none.
    async fn node_id(&self) -> Option<Uuid> {
        self.0.node.map(|node| node.0)
    }
    /// From when on it counts no longer; null: never.
    async fn expires_at(&self) -> Option<DateTime> {
        self.0.expires_at.map(DateTime)
    }
    /// When it was made.
    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }
    /// Who made it: a principal; operator where it was made on the registry's own machine.
    async fn created_by(&self) -> &str {
        &self.0.created_by
    }
}

rendered!(Token { id, name, roles, node_id, expires_at, created_at, created_by });

/// A token that was made, with its secret.
#[derive(SimpleObject)]
pub struct CreatedToken {
    /// The token.
    pub(in crate::graphql) token: Token,
    /// What its holder sends as Authorization: Bearer. Shown this once: the registry keeps only its hash.
    pub(in crate::graphql) secret: String,
}

/// A token that is to be made.
#[derive(InputObject)]
pub struct CreateTokenInput {
    /// The principal that it is of: 1 to 128 letters, digits, dots, hyphens and underscores.
    name: String,
    /// Its roles, at most 32: admin, node, agent, viewer, or others that the policy speaks of.
    roles: Vec<String>,
    /// The only node that it may act for. A token of the role node that names none is bound to a new id, which the node
    /// gets when it registers with the token.
    node_id: Option<Uuid>,
    /// From when on it counts no longer; never when absent.
    expires_at: Option<DateTime>,
    /// What the caller calls the whole undertaking; travels with the change.
    pub(in crate::graphql) correlation_id: Option<String>,
}

impl CreateTokenInput {
    /// The command, and the secret.
    pub(in crate::graphql) fn read(mut self, created_by: &str) -> Result<(CreateToken, String)> {
        check_principal(&self.name).map_err(|error| invalid("name", error))?;
        if self.roles.is_empty() || self.roles.len() > ROLES_MAX {
            return Err(invalid(
                "roles",
                format!("has {} entries; a token has 1 to {ROLES_MAX} roles", self.roles.len()),
            ));
        }
        for (at, role) in self.roles.iter().enumerate() {
            check_principal(role).map_err(|error| invalid(&format!("roles[{at}]"), error))?;
        }
        self.roles.sort();
        self.roles.dedup();
        let secret = secret::draw().map_err(|error| error::internal(&error))?;
        #[expect(clippy::disallowed_methods, reason = "the one place where ids of tokens are drawn")]
        let (id, fresh_node) = (Uuid::new_v4(), Uuid::new_v4());
        let is_node = self.roles.iter().any(|role| role == "node");
        let create = CreateToken {
            id: TokenId(id),
            name: self.name,
            hash: secret::hash(&secret),
            node: self.node_id.or(is_node.then_some(fresh_node)).map(NodeId),
            roles: self.roles,
            expires_at: self.expires_at.map(|time| time.0),
            created_by: created_by.to_owned(),
        };
        Ok((create, secret))
    }
}

/// A token that is to count no longer.
#[derive(InputObject)]
pub struct RevokeTokenInput {
    /// The token.
    pub(in crate::graphql) id: Uuid,
    /// What the caller calls the whole undertaking; travels with the change.
    pub(in crate::graphql) correlation_id: Option<String>,
}

/// Whoever asks, as the registry knows it.
#[derive(SimpleObject)]
pub struct Principal {
    /// Its name, as changes record it; anonymous where nobody is asked who it is.
    name: String,
    /// Its roles, in order.
    roles: Vec<String>,
    /// The only node that it may act for; null where it is bound to none.
    node_id: Option<Uuid>,
    /// How it is known: token, jwt, certificate, or none.
    authenticated: &'static str,
    /// Until when; null where that has no end.
    expires_at: Option<DateTime>,
    /// Whether the registry asks anybody who it is: false where everything is allowed to everybody.
    access_controlled: bool,
}

impl Principal {
    pub(in crate::graphql) fn new(known: &Known, access_controlled: bool) -> Self {
        Principal {
            name: known.name.clone(),
            roles: if access_controlled { known.roles.clone() } else { Vec::new() },
            node_id: known.node.map(|node| node.0),
            authenticated: known.proof.as_str(),
            expires_at: known.until.map(DateTime),
            access_controlled,
        }
    }
}

/// What came of an attempt.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum AuditOutcome {
    /// It was made, and changed something.
    Allowed,
    /// It was refused.
    Refused,
}

/// One entry of the audit: a change, or attempts that were refused.
pub struct AuditEntry(Record);

/// One entry of the audit: a change and who made it, or attempts that were refused, equal ones of a minute as one.
#[Object]
impl AuditEntry {
    /// The place in the log.
    async fn sequence(&self) -> Sequence {
        Sequence(self.0.sequence)
    }
    /// When it was recorded.
    async fn time(&self) -> DateTime {
        DateTime(self.0.origin.time)
    }
    /// Who: a principal.
    async fn actor(&self) -> &str {
        &self.0.origin.actor.principal
    }
    /// From where; null for what the registry does by itself.
    async fn address(&self) -> Option<&str> {
        self.0.origin.actor.address.as_deref()
    }
    /// What the caller called the whole undertaking; null where it did not.
    async fn correlation_id(&self) -> Option<&str> {
        self.0.origin.correlation_id.as_deref()
    }
    /// What kind of change it is; ACCESS_DENIED where it was refused.
    #[graphql(name = "type")]
    async fn kind(&self) -> Option<EventType> {
        self.0.change.event_kind().map(EventType::from)
    }
    /// Whether it was allowed.
    async fn outcome(&self) -> AuditOutcome {
        match self.0.change {
            Change::AccessDenied { .. } => AuditOutcome::Refused,
            _ => AuditOutcome::Allowed,
        }
    }
    /// How many attempts it stands for.
    async fn count(&self) -> u32 {
        match &self.0.change {
            Change::AccessDenied { denial, .. } => denial.count,
            _ => 1,
        }
    }
    /// The node that it is about; null where it is about none.
    async fn node_id(&self) -> Option<Uuid> {
        self.0.change.node().map(|node| node.0)
    }
    /// The details, by name.
    async fn details(&self) -> Value {
        metadata::of(&self.0.change)
    }
}

/// Left to the library: nobody keeps it, and it is seldom long.
impl Render for AuditEntry {
    type Plan<'a> = Never;

    fn render(&self, plan: &Never, _: &mut Vec<u8>) -> Option<()> {
        match *plan {}
    }
}

/// Which entries. Absent fields let everything through; those that are given must all hold.
#[derive(InputObject, Default, Clone)]
pub struct AuditFilter {
    /// Of this principal.
    actor: Option<String>,
    /// Of one of these kinds.
    types: Option<Vec<EventType>>,
    /// With this outcome.
    outcome: Option<AuditOutcome>,
    /// About this node.
    node_id: Option<Uuid>,
    /// Of this undertaking.
    correlation_id: Option<String>,
    /// Made at this instant or later.
    since: Option<DateTime>,
    /// Made before this instant.
    until: Option<DateTime>,
}

impl AuditFilter {
    /// `None` where nothing can match.
    fn read(self) -> Option<Filter> {
        let named = self.types.map(|types| types.into_iter().map(model::EventKind::from).collect::<BTreeSet<_>>());
        let denied = model::EventKind::AccessDenied;
        let kinds: Option<BTreeSet<_>> = match self.outcome {
            None => named,
            Some(AuditOutcome::Refused) => {
                let is_wanted = named.is_none_or(|named| named.contains(&denied));
                Some(is_wanted.then_some(denied).into_iter().collect())
            }
            Some(AuditOutcome::Allowed) => {
                let mut kinds = named.unwrap_or_else(|| model::EventKind::ALL.iter().copied().collect());
                kinds.remove(&denied);
                Some(kinds)
            }
        };
        if kinds.as_ref().is_some_and(BTreeSet::is_empty) {
            return None;
        }
        Some(Filter {
            kinds: kinds.unwrap_or_else(|| model::EventKind::ALL.iter().copied().collect()).into_iter().collect(),
            node: self.node_id.map(NodeId),
            correlation_id: self.correlation_id,
            actor: self.actor,
            since: self.since.map(|time: DateTime| -> Time { time.0 }),
            until: self.until.map(|time| time.0),
            ..Filter::default()
        })
    }
}

/// A page of the audit, the oldest first.
pub(in crate::graphql) async fn audit(
    services: &Services,
    view: &View,
    filter: AuditFilter,
    args: &PageArgs,
) -> Result<Connection<AuditEntry>> {
    let page: Page<model::Sequence> = args.page()?;
    let Some(filter) = filter.read() else {
        let none: Total = super::super::paging::total(|| 0);
        return Ok(page.take(std::iter::empty(), none));
    };
    let (views, upto) = (services.views.clone(), view.sequence);
    let oldest = blocking(&views, |views| views.log().pruned_upto()).await?;
    let range = Range {
        after: page.after.unwrap_or(oldest),
        upto: page.before.map_or(upto, |before| before.previous().min(upto)),
        backward: page.backward,
        limit: page.limit + 1,
    };
    let of_find = filter.clone();
    let mut found = blocking(&views, move |views| views.log().find(&of_find, range)).await?;
    if page.backward {
        found.reverse();
    }
    let total: Total = Box::new(move || {
        let (views, filter) = (views.clone(), filter.clone());
        Box::pin(async move {
            let count = blocking(&views, move |views| views.log().count(&filter, upto)).await?;
            Ok(usize::try_from(count).unwrap_or(usize::MAX))
        })
    });
    Ok(page.take(found.into_iter().map(|record| (record.sequence, AuditEntry(record))), total))
}
