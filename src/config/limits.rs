use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a request may ask for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The most bytes of a GraphQL document: 1 or more.
    pub document_bytes_max: u64,
    /// The most tokens of a document: 1 or more.
    pub tokens_max: u64,
    /// How deep fields nest: 1 or more.
    pub depth_max: u64,
    /// The most fields and fragments that a document asks for, fragments spread out: 1 or more.
    pub selections_max: u64,
    /// The most fields at the root of an operation: 1 or more.
    pub root_fields_max: u64,
    /// The most aliases of a document, fragments spread out; 0 allows none.
    pub aliases_max: u64,
    /// The most directives of a document, fragments spread out; 0 allows none.
    pub directives_max: u64,
    /// The most entries of a page: 50, the size of a page that does not say, to 500.
    pub page_max: u64,
    /// The most that an answer may cost, pages taken as full: 1 or more.
    pub complexity_max: u64,
    /// The most values of an answer's lists: 1 or more.
    pub values_max: u64,
    /// How long the making of an answer may take, in milliseconds: 1 or more.
    pub execution_ms: u64,
    /// Whether questions about the schema are answered.
    pub introspection: bool,
}

impl Default for Limits {
    fn default() -> Self {
        let limits = crate::graphql::Limits::default();
        Limits {
            document_bytes_max: limits.document_bytes_max,
            tokens_max: limits.tokens_max,
            depth_max: limits.depth_max,
            selections_max: limits.selections_max,
            root_fields_max: limits.root_fields_max,
            aliases_max: limits.aliases_max,
            directives_max: limits.directives_max,
            page_max: limits.page_max,
            complexity_max: limits.complexity_max,
            values_max: limits.values_max,
            execution_ms: limits.execution_max.as_millis() as u64,
            introspection: limits.introspection,
        }
    }
}

impl Limits {
    /// What is wrong with these settings, with the setting's name.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let at_least_one = [
            ("limits.document_bytes_max", self.document_bytes_max),
            ("limits.tokens_max", self.tokens_max),
            ("limits.depth_max", self.depth_max),
            ("limits.selections_max", self.selections_max),
            ("limits.root_fields_max", self.root_fields_max),
            ("limits.complexity_max", self.complexity_max),
            ("limits.values_max", self.values_max),
            ("limits.execution_ms", self.execution_ms),
        ];
        if let Some((name, _)) = at_least_one.into_iter().find(|(_, value)| *value == 0) {
            return Err((name, "is 0; it is 1 or more".to_owned()));
        }
        let (least, most) = crate::graphql::PAGES;
        if !(least..=most).contains(&self.page_max) {
            return Err(("limits.page_max", format!("is {}; it is {least} to {most}", self.page_max)));
        }
        Ok(())
    }

    /// What requests may ask for.
    pub fn limits(&self) -> crate::graphql::Limits {
        crate::graphql::Limits {
            document_bytes_max: self.document_bytes_max,
            tokens_max: self.tokens_max,
            depth_max: self.depth_max,
            selections_max: self.selections_max,
            root_fields_max: self.root_fields_max,
            aliases_max: self.aliases_max,
            directives_max: self.directives_max,
            page_max: self.page_max,
            complexity_max: self.complexity_max,
            values_max: self.values_max,
            execution_max: Duration::from_millis(self.execution_ms),
            introspection: self.introspection,
        }
    }
}
