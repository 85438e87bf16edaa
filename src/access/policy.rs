//! Policies in Cedar (<https://docs.cedarpolicy.com/>): read, checked against the schema, asked, and explained.
//!
//! Most answers follow from the scope of the policies alone: `permit (principal in Role::"admin", action, resource)`
//! says the same of every resource. These are read once into [`Rule`]s, so that callers who may do a thing with
//! everything of a kind are let through without evaluating anything; the rest is Cedar's.

use super::principal::{Principal, parents};
use super::resource::{Action, Kind, REGISTRY_ID, Resource};
use crate::model::{NodeId, Time};
use cedar_policy::{
    ActionConstraint, Authorizer, Context, Decision, Effect, Entities, Entity, EntityId, EntityTypeName, EntityUid,
    PolicyId, PolicySet, PrincipalConstraint, Request, ResourceConstraint, RestrictedExpression, Schema,
    ValidationMode, Validator,
};
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::str::FromStr;

/// What policies may speak of.
pub const SCHEMA: &str = include_str!("schema.cedarschema");

/// The policy that counts where no other is named.
pub const DEFAULT: &str = include_str!("default.cedar");

/// Why a policy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// The text is no policy.
    #[error("it cannot be read:\n{0}")]
    Syntax(String),
    /// It says what cannot be.
    #[error("it does not fit what policies may speak of (onex policy schema):\n{0}")]
    Schema(String),
    /// Two policies have one name.
    #[error("two policies have the @id {0:?}: each has its own, so that a denial can name it")]
    NamedTwice(String),
}

/// Where and when somebody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Circumstances {
    /// Where the request came from.
    pub address: IpAddr,
    /// When.
    pub now: Time,
}

/// Whether something is allowed, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is.
    pub allowed: bool,
    /// The policies that say so, by name; none where nothing permits it.
    pub policies: Vec<String>,
    /// Policies that would permit it to somebody else or otherwise, by name, with the role that they ask for.
    pub needed: Vec<String>,
}

/// Whose asking a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Who {
    Anybody,
    Named(String),
    Role(String),
    /// Of another type than principals are: nobody.
    Nobody,
}

/// With what.
#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Anything,
    /// Everything of this kind; of all kinds in the registry without one.
    All(Option<Kind>),
    /// Something of this kind.
    Some(Kind),
    Nothing,
}

/// A policy's scope.
#[derive(Clone, Debug)]
struct Rule {
    name: String,
    permits: bool,
    /// Whether more than the scope decides.
    is_conditional: bool,
    who: Who,
    /// All actions where absent.
    actions: Option<Vec<Action>>,
    what: What,
}

/// A set of policies that is in force.
#[derive(Debug)]
pub struct Policy {
    set: PolicySet,
    rules: Vec<Rule>,
    version: u64,
    asks_circumstances: bool,
}

impl Policy {
    /// Reads policies, and holds them against the schema.
    pub fn try_new(text: &str) -> Result<Self, Invalid> {
        let read = PolicySet::from_str(text).map_err(|errors| {
            let lines: Vec<String> = errors.iter().map(|error| described(text, error)).collect();
            Invalid::Syntax(lines.join("\n"))
        })?;
        let mut set = PolicySet::new();
        for (at, policy) in in_order(&read).into_iter().enumerate() {
            let name = policy.annotation("id").map_or_else(|| format!("policy {}", at + 1), str::to_owned);
            let named = policy.new_id(PolicyId::new(&name));
            set.add(named).map_err(|_| Invalid::NamedTwice(name))?;
        }
        let schema = schema()?;
        let checked = Validator::new(schema).validate(&set, ValidationMode::Strict);
        let errors: Vec<String> = checked.validation_errors().map(|error| described(text, error)).collect();
        if !errors.is_empty() {
            return Err(Invalid::Schema(errors.join("\n")));
        }
        let rules = set.policies().map(Rule::of).collect();
        let version = Sha256::digest(text.as_bytes()).iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let without_comments = text.lines().map(|line| line.split("//").next().unwrap_or_default());
        let asks_circumstances =
            without_comments.into_iter().any(|line| line.contains("context.address") || line.contains("context.now"));
        Ok(Policy { set, rules, version, asks_circumstances })
    }

    /// How many policies there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is none: then nothing is allowed to anybody.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The same for the same text.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether where and when somebody asks matters: then no answer may be kept.
    pub fn asks_circumstances(&self) -> bool {
        self.asks_circumstances
    }

    /// Whether the principal may do this with everything of a kind, or with nothing of it; `None` where that depends on
    /// the thing or the circumstances.
    pub fn generally(&self, principal: &Principal, action: Action, kind: Kind) -> Option<bool> {
        let applying = self.rules.iter().filter(|rule| rule.may_apply(principal, action, kind));
        let mut answer = Some(false);
        for rule in applying {
            match rule.permits && !rule.is_conditional && rule.what.is_all_of(kind) {
                true => answer = Some(true),
                // What forbids wins, and is looked at for each thing.
                false if !rule.permits => return None,
                false => answer = answer.filter(|everything| *everything),
            }
        }
        answer
    }

    /// Whether anybody is let in who shows nothing.
    pub fn admits_anonymous(&self) -> bool {
        let nobody = Principal::anonymous();
        self.rules.iter().any(|rule| rule.permits && rule.who.is(&nobody))
    }

    /// Asks all policies.
    pub fn ask(
        &self,
        principal: &Principal,
        action: Action,
        resource: &Resource,
        circumstances: Circumstances,
    ) -> Verdict {
        let Some((request, entities)) = asked(principal, action, resource, circumstances) else {
            // What cannot be put to the policies is not allowed by any.
            return self.denied(principal, action, resource.kind(), Vec::new());
        };
        let response = Authorizer::new().is_authorized(&request, &self.set, &entities);
        let mut policies: Vec<String> = response.diagnostics().reason().map(PolicyId::to_string).collect();
        policies.sort();
        match response.decision() {
            Decision::Allow => Verdict { allowed: true, policies, needed: Vec::new() },
            Decision::Deny => self.denied(principal, action, resource.kind(), policies),
        }
    }

    fn denied(&self, principal: &Principal, action: Action, kind: Kind, policies: Vec<String>) -> Verdict {
        let would = self.rules.iter().filter(|rule| rule.permits && rule.is_about(action, kind));
        let needed = would
            .map(|rule| match &rule.who {
                Who::Role(role) if principal.has_role(role) => format!("{} (its condition does not hold)", rule.name),
                Who::Role(role) => format!("{} (role {role})", rule.name),
                Who::Named(name) => format!("{} (principal {name})", rule.name),
                Who::Anybody | Who::Nobody => format!("{} (its condition does not hold)", rule.name),
            })
            .collect();
        Verdict { allowed: false, policies, needed }
    }
}

impl Who {
    fn is(&self, principal: &Principal) -> bool {
        match self {
            Who::Anybody => true,
            Who::Named(name) => principal.name == *name,
            Who::Role(role) => principal.has_role(role),
            Who::Nobody => false,
        }
    }

    fn of(uid: &EntityUid) -> Self {
        match uid.type_name().to_string().as_str() {
            "Principal" => Who::Named(uid.id().unescaped().to_owned()),
            "Role" => Who::Role(uid.id().unescaped().to_owned()),
            _ => Who::Nobody,
        }
    }
}

impl What {
    fn is_all_of(&self, kind: Kind) -> bool {
        match self {
            What::Anything => true,
            What::All(None) => kind.is_in_registry(),
            What::All(Some(of)) => *of == kind,
            What::Some(_) | What::Nothing => false,
        }
    }

    fn may_be(&self, kind: Kind) -> bool {
        self.is_all_of(kind) || *self == What::Some(kind)
    }

    fn of(constraint: &ResourceConstraint) -> Self {
        let kind = |name: &EntityTypeName| Kind::of_name(&name.to_string());
        let is_registry =
            |uid: &EntityUid| kind(uid.type_name()) == Some(Kind::Registry) && uid.id().unescaped() == REGISTRY_ID;
        match constraint {
            ResourceConstraint::Any => What::Anything,
            ResourceConstraint::In(uid) if is_registry(uid) => What::All(None),
            ResourceConstraint::In(uid) | ResourceConstraint::Eq(uid) => {
                kind(uid.type_name()).map_or(What::Nothing, What::Some)
            }
            ResourceConstraint::Is(name) => kind(name).map_or(What::Nothing, |kind| What::All(Some(kind))),
            ResourceConstraint::IsIn(name, uid) => match kind(name) {
                Some(kind) if is_registry(uid) && kind.is_in_registry() => What::All(Some(kind)),
                Some(kind) => What::Some(kind),
                None => What::Nothing,
            },
        }
    }
}

impl Rule {
    fn of(policy: &cedar_policy::Policy) -> Self {
        let who = match policy.principal_constraint() {
            PrincipalConstraint::Any => Who::Anybody,
            PrincipalConstraint::In(uid) | PrincipalConstraint::Eq(uid) | PrincipalConstraint::IsIn(_, uid) => {
                Who::of(&uid)
            }
            PrincipalConstraint::Is(name) if name.to_string() == "Principal" => Who::Anybody,
            PrincipalConstraint::Is(_) => Who::Nobody,
        };
        let named = |uid: &EntityUid| Action::of_name(uid.id().unescaped());
        let actions = match policy.action_constraint() {
            ActionConstraint::Any => None,
            ActionConstraint::In(uids) => Some(uids.iter().filter_map(named).collect()),
            ActionConstraint::Eq(uid) => Some(named(&uid).into_iter().collect()),
        };
        Rule {
            name: policy.id().to_string(),
            permits: policy.effect() == Effect::Permit,
            is_conditional: policy.has_non_scope_constraint(),
            who,
            actions,
            what: What::of(&policy.resource_constraint()),
        }
    }

    fn is_about(&self, action: Action, kind: Kind) -> bool {
        self.actions.as_ref().is_none_or(|actions| actions.contains(&action)) && self.what.may_be(kind)
    }

    fn may_apply(&self, principal: &Principal, action: Action, kind: Kind) -> bool {
        self.is_about(action, kind) && self.who.is(principal)
    }
}

/// The policies in the order in which they were written.
fn in_order(set: &PolicySet) -> Vec<&cedar_policy::Policy> {
    let mut policies: Vec<_> = set.policies().collect();
    // The reader calls them policy0, policy1 and so on.
    policies.sort_by_key(|policy| {
        let number = policy.id().to_string();
        number.trim_start_matches("policy").parse::<usize>().unwrap_or(usize::MAX)
    });
    policies
}

fn schema() -> Result<Schema, Invalid> {
    let (schema, _) = Schema::from_cedarschema_str(SCHEMA).map_err(|error| Invalid::Schema(error.to_string()))?;
    Ok(schema)
}

/// An error with the line that it is about.
fn described(text: &str, error: &(impl std::fmt::Display + miette::Diagnostic)) -> String {
    let label = error.labels().and_then(|mut labels| labels.next());
    let line = label.map(|label| text[..label.offset().min(text.len())].matches('\n').count() + 1);
    let help = error.help().map(|help| format!(" ({help})")).unwrap_or_default();
    match line {
        Some(line) => format!("  line {line}: {error}{help}"),
        None => format!("  {error}{help}"),
    }
}

fn uid(kind: &str, id: &str) -> Option<EntityUid> {
    Some(EntityUid::from_type_name_and_id(EntityTypeName::from_str(kind).ok()?, EntityId::new(id)))
}

fn node_uid(node: NodeId) -> Option<EntityUid> {
    uid(Kind::Node.as_str(), &node.to_string())
}

fn text(value: impl Into<String>) -> RestrictedExpression {
    RestrictedExpression::new_string(value.into())
}

fn texts(values: &BTreeSet<String>) -> RestrictedExpression {
    RestrictedExpression::new_set(values.iter().map(text))
}

fn nodes(ids: &BTreeSet<NodeId>) -> RestrictedExpression {
    RestrictedExpression::new_set(ids.iter().filter_map(|id| node_uid(*id)).map(RestrictedExpression::new_entity_uid))
}

/// A request as Cedar takes it, with all that its policies may look at.
fn asked(
    principal: &Principal,
    action: Action,
    resource: &Resource,
    circumstances: Circumstances,
) -> Option<(Request, Entities)> {
    let who = uid("Principal", &principal.name)?;
    let what = uid(resource.kind().as_str(), &resource.id())?;
    let mut entities = vec![of_principal(&who, principal)?, of_resource(&what, resource)?];
    let mut roles: BTreeSet<&str> = principal.roles.iter().map(String::as_str).collect();
    roles.extend(principal.roles.iter().flat_map(|role| parents(role)));
    for role in roles {
        let within = parents(role).iter().filter_map(|parent| uid("Role", parent)).collect();
        entities.push(Entity::new_no_attrs(uid("Role", role)?, within));
    }
    if resource.kind() != Kind::Registry {
        entities.push(Entity::new_no_attrs(uid(Kind::Registry.as_str(), REGISTRY_ID)?, HashSet::new()));
    }
    let entities = Entities::from_entities(entities, None).ok()?;
    let mut context = vec![
        ("address".to_owned(), RestrictedExpression::new_ip(circumstances.address.to_string())),
        ("now".to_owned(), RestrictedExpression::new_long(circumstances.now.as_micros() / 1_000_000)),
    ];
    if let Resource::PortPool { requester, node, .. } = resource {
        context.push(("requester".to_owned(), text(requester.to_string())));
        let node = node.and_then(node_uid).map(RestrictedExpression::new_entity_uid);
        context.extend(node.map(|node| ("node".to_owned(), node)));
    }
    let context = Context::from_pairs(context).ok()?;
    let request = Request::new(who, uid("Action", action.as_str())?, what, context, None).ok()?;
    Some((request, entities))
}

fn of_principal(uid_: &EntityUid, principal: &Principal) -> Option<Entity> {
    let mut attributes = HashMap::from([
        ("name".to_owned(), text(&principal.name)),
        ("authenticated".to_owned(), text(principal.proof.as_str())),
    ]);
    if let Some(node) = principal.node {
        attributes.insert("node".to_owned(), RestrictedExpression::new_entity_uid(node_uid(node)?));
        attributes.insert("nodeId".to_owned(), text(node.to_string()));
    }
    let roles = principal.roles.iter().filter_map(|role| uid("Role", role)).collect();
    Entity::new(uid_.clone(), attributes, roles).ok()
}

fn of_resource(uid_: &EntityUid, resource: &Resource) -> Option<Entity> {
    let attributes: Vec<(&str, RestrictedExpression)> = match resource {
        Resource::Registry => Vec::new(),
        Resource::Node(facts) => vec![
            ("id", text(facts.id.to_string())),
            ("name", text(&facts.name)),
            ("namespace", text(&facts.namespace)),
            ("kind", text(&facts.kind)),
            ("tags", texts(&facts.tags)),
            ("trust", text(facts.trust)),
            ("owner", text(&facts.owner)),
            ("registered", RestrictedExpression::new_bool(facts.registered)),
        ],
        Resource::Tool { name, version, tags, providers } => vec![
            ("name", text(name)),
            ("version", text(version)),
            ("tags", texts(tags)),
            ("providers", nodes(providers)),
        ],
        Resource::Contract { name, version, .. } => vec![("name", text(name)), ("version", text(version))],
        Resource::Topic(name) => vec![("name", text(name))],
        Resource::Bus(name) => vec![("name", text(name)), ("kind", text(""))],
        Resource::PortPool { host, .. } => vec![("host", text(host))],
        Resource::Lease { holder, requester, node, host, port, .. } => {
            let node = node.and_then(node_uid).map(RestrictedExpression::new_entity_uid);
            let mut attributes = vec![
                ("holder", text(holder)),
                ("requester", text(requester.to_string())),
                ("host", text(host)),
                ("port", RestrictedExpression::new_long(i64::from(*port))),
            ];
            attributes.extend(node.map(|node| ("node", node)));
            attributes
        }
        Resource::Invocation { tool, caller, providers, .. } => {
            vec![("tool", text(tool)), ("caller", text(caller)), ("providers", nodes(providers))]
        }
    };
    let within = match resource.kind() {
        Kind::Registry | Kind::Invocation => HashSet::new(),
        _ => uid(Kind::Registry.as_str(), REGISTRY_ID).into_iter().collect(),
    };
    let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Entity::new(uid_.clone(), attributes, within).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::principal::Proof;
    use uuid::Uuid;

    fn circumstances() -> Circumstances {
        Circumstances { address: IpAddr::from([127, 0, 0, 1]), now: Time::default() }
    }

    fn principal(roles: &[&str], node: Option<u128>) -> Principal {
        Principal {
            name: "ada".to_owned(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            node: node.map(|node| NodeId(Uuid::from_u128(node))),
            proof: Proof::Jwt,
            until: None,
        }
    }

    fn node(id: u128) -> Resource {
        Resource::of_unknown_node(NodeId(Uuid::from_u128(id)), None)
    }

    fn call(caller: &str, provider: u128) -> Resource {
        Resource::Invocation {
            id: "i".to_owned(),
            tool: "t".to_owned(),
            caller: caller.to_owned(),
            providers: BTreeSet::from([NodeId(Uuid::from_u128(provider))]),
        }
    }

    #[test]
    fn what_follows_from_scopes_is_what_cedar_says() {
        let more = [
            "",
            "permit (principal in Role::\"anonymous\", action == Action::\"read\", resource is Tool);",
            "forbid (principal == Principal::\"ada\", action == Action::\"read\", resource is Node) when { resource.name like \"x*\" };",
            "forbid (principal, action == Action::\"invoke\", resource is Tool);",
        ];
        let resources = [Resource::Registry, node(1), call("bob", 2), Resource::Topic("t".to_owned())];
        for more in more {
            let policy = Policy::try_new(&format!("{DEFAULT}\n{more}")).unwrap();
            for roles in [&["admin"][..], &["node"], &["agent"], &["viewer"], &["anonymous"], &[], &["other", "viewer"]]
            {
                let principal = principal(roles, Some(1));
                for (action, resource) in Action::ALL.iter().flat_map(|a| resources.iter().map(move |r| (*a, r))) {
                    let Some(generally) = policy.generally(&principal, action, resource.kind()) else { continue };
                    let asked = policy.ask(&principal, action, resource, circumstances()).allowed;
                    assert_eq!(generally, asked, "{roles:?} {action:?} {resource} {more}");
                }
            }
        }
    }

    #[test]
    fn the_usual_roles_read_without_a_look_at_each_thing() {
        let policy = Policy::try_new(DEFAULT).unwrap();
        for role in ["admin", "node", "agent", "viewer"] {
            for kind in Kind::ALL.iter().filter(|kind| kind.is_in_registry()) {
                assert_eq!(
                    policy.generally(&principal(&[role], None), Action::Read, *kind),
                    Some(true),
                    "{role} {kind:?}"
                );
            }
        }
        assert_eq!(policy.generally(&principal(&["agent"], None), Action::Invoke, Kind::Tool), Some(true));
        assert_eq!(policy.generally(&principal(&["viewer"], None), Action::Invoke, Kind::Tool), Some(false));
        assert_eq!(policy.generally(&principal(&["node"], Some(1)), Action::Register, Kind::Node), None);
        assert!(!policy.admits_anonymous() && !policy.asks_circumstances());
    }

    #[test]
    fn a_node_acts_for_itself_and_sees_its_calls() {
        let policy = Policy::try_new(DEFAULT).unwrap();
        let one = principal(&["node"], Some(1));
        let may = |action, resource: &Resource| policy.ask(&one, action, resource, circumstances()).allowed;
        assert!(may(Action::Register, &node(1)) && !may(Action::Register, &node(2)));
        assert!(
            may(Action::Read, &call("bob", 1))
                && may(Action::Read, &call("ada", 2))
                && !may(Action::Read, &call("bob", 2))
        );
        assert!(!may(Action::Attest, &node(1)) && !may(Action::Administer, &Resource::Registry));
    }

    #[test]
    fn a_denial_says_who_could() {
        let policy = Policy::try_new(DEFAULT).unwrap();
        let denied = policy.ask(
            &principal(&["viewer"], None),
            Action::Invoke,
            &Resource::of_unknown_tool(&tool()),
            circumstances(),
        );
        assert_eq!(denied.policies, Vec::<String>::new());
        assert_eq!(
            denied.needed,
            ["admin-may-everything (role admin)", "agent-calls (role agent)", "node-calls (role node)"]
        );
        let text = format!("{DEFAULT}\n@id(\"no-calls\") forbid (principal, action == Action::\"invoke\", resource);");
        let denied = Policy::try_new(&text).unwrap();
        let denied = denied.ask(
            &principal(&["admin"], None),
            Action::Invoke,
            &Resource::of_unknown_tool(&tool()),
            circumstances(),
        );
        assert_eq!(denied.policies, ["no-calls"]);
    }

    fn tool() -> crate::model::ToolName {
        crate::model::ToolName::try_new("add").unwrap()
    }

    #[test]
    fn what_a_policy_cannot_mean_is_refused_with_its_line() {
        for (text, says) in [
            ("permit (principal, action, resource)", "line 1"),
            ("\n\npermit (principal, action == Action::\"fly\", resource);", "fly"),
            (
                "permit (principal, action == Action::\"register\", resource is Node)\nwhen { resource.colour == \"red\" };",
                "colour",
            ),
            (
                "@id(\"a\") permit (principal, action, resource);\n@id(\"a\") permit (principal, action, resource);",
                "\"a\"",
            ),
        ] {
            let said = Policy::try_new(text).unwrap_err().to_string();
            assert!(said.contains(says), "{text}: {said}");
        }
    }
}
