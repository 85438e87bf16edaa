//! Patterns over topics, as NATS has them: `*` is one segment, `>` at the end is one or more.

use super::{InvalidName, NAME_LEN_MAX, TopicName};

/// A pattern that topics match or not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPattern(Box<str>);

impl TopicPattern {
    /// Checks the text; the error reads on after the name of the field it came in.
    pub fn try_new(text: &str) -> Result<Self, InvalidName> {
        if text.trim().is_empty() {
            return Err(InvalidName::Empty);
        }
        let length = text.chars().count();
        if length > NAME_LEN_MAX {
            return Err(InvalidName::TooLong { length });
        }
        let allowed = "segments of printable ASCII, * for one segment, and > as the last";
        let mut segments = text.split('.').peekable();
        while let Some(segment) = segments.next() {
            match segment {
                "" => return Err(InvalidName::EmptySegment),
                "*" => {}
                ">" if segments.peek().is_none() => {}
                plain => {
                    if let Some(found) = plain.chars().find(|c| !c.is_ascii_graphic() || matches!(c, '*' | '>')) {
                        let position = text.chars().position(|c| c == found).map_or(1, |at| at + 1);
                        return Err(InvalidName::Character { found, position, allowed });
                    }
                }
            }
        }
        Ok(TopicPattern(text.into()))
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a topic matches.
    pub fn matches(&self, topic: &TopicName) -> bool {
        let mut segments = topic.as_str().split('.');
        for wanted in self.0.split('.') {
            match (wanted, segments.next()) {
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (plain, Some(segment)) if plain == segment => {}
                _ => return false,
            }
        }
        segments.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, topic: &str) -> bool {
        TopicPattern::try_new(pattern).unwrap().matches(&TopicName::try_new(topic).unwrap())
    }

    #[test]
    fn a_star_is_one_segment_and_an_arrow_is_the_rest() {
        assert!(matches("onex.evt.*.v1", "onex.evt.node.v1"));
        assert!(!matches("onex.evt.*.v1", "onex.evt.node.started.v1"));
        assert!(matches("onex.>", "onex.evt.node"));
        assert!(!matches("onex.>", "onex"));
        assert!(!matches("onex", "onex.evt"));
        assert!(TopicPattern::try_new("onex.>.v1").is_err());
        assert!(TopicPattern::try_new("on*.x").is_err());
    }
}
