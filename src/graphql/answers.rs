//! Answers, kept as text for as long as the version that they reflect is the current one.
//!
//! An answer is a function of its document, operation, variables, the caller's rights and the version, as long as it
//! looked at nothing else (`reach`). Each question has one place here, which the answer of a later version takes over;
//! what is asked least goes first when there is no more room.

use super::answer::Answer;
use super::{Given, Rights};
use crate::model::Sequence;
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};
use serde_json::value::RawValue;

/// How many bytes of kept answers there are at most, about: 23,000 pages of 20 nodes.
const KEPT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How many bytes an answer takes besides its own and its question's, about.
const OVERHEAD: u64 = 200;
/// How many answers are expected, for the size of the table alone.
const KEPT_ANSWERS: usize = 10_000;

/// What is asked: with the caller's rights and the version, all that an answer depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Question {
    /// The number of a kept document.
    document: u64,
    operation: Option<Box<str>>,
    /// As they were written.
    variables: Box<str>,
}

impl Question {
    /// What is asked with a kept document.
    pub(super) fn new(document: u64, given: &Given<'_>) -> Self {
        let variables = given.variables.map_or("", RawValue::get).into();
        Question { document, operation: given.operation_name.map(Into::into), variables }
    }
}

/// A question with the caller's rights, without a copy, for looking up. Hashes like the pair of them.
#[derive(Hash)]
struct Asked<'a> {
    document: u64,
    operation: Option<&'a str>,
    variables: &'a str,
    rights: Rights,
}

impl<'a> Asked<'a> {
    fn new(document: u64, given: &Given<'a>, rights: Rights) -> Self {
        let variables = given.variables.map_or("", RawValue::get);
        Asked { document, operation: given.operation_name, variables, rights }
    }
}

impl Equivalent<(Question, Rights)> for Asked<'_> {
    fn equivalent(&self, (question, rights): &(Question, Rights)) -> bool {
        self.document == question.document
            && self.operation == question.operation.as_deref()
            && *self.variables == *question.variables
            && self.rights == *rights
    }
}

#[derive(Clone)]
struct Weight;

impl Weighter<(Question, Rights), (Sequence, Answer)> for Weight {
    fn weight(&self, (question, _): &(Question, Rights), (_, answer): &(Sequence, Answer)) -> u64 {
        (answer.text.len() + question.variables.len()) as u64 + OVERHEAD
    }
}

/// The answers that are kept.
pub(super) struct KeptAnswers(Cache<(Question, Rights), (Sequence, Answer), Weight>);

impl KeptAnswers {
    pub(super) fn new() -> Self {
        KeptAnswers(Cache::with_weighter(KEPT_ANSWERS, KEPT_BYTES_MAX, Weight))
    }

    /// The answer to a question asked with a kept document, if it is kept and reflects this version.
    pub(super) fn find(&self, document: u64, given: &Given<'_>, rights: Rights, current: Sequence) -> Option<Answer> {
        let (reflects, answer) = self.0.get(&Asked::new(document, given, rights))?;
        (reflects == current).then_some(answer)
    }

    /// Keeps an answer that came from this version alone.
    pub(super) fn keep(&self, question: Question, rights: Rights, reflects: Sequence, answer: Answer) {
        self.0.insert((question, rights), (reflects, answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(bytes: usize) -> Answer {
        Answer::of_text(vec![b' '; bytes])
    }

    fn keep(kept: &KeptAnswers, given: &Given<'_>, place: u64, bytes: usize) {
        kept.keep(Question::new(1, given), Rights(0), Sequence(place), answer(bytes));
    }

    #[test]
    fn an_answer_is_found_by_all_that_it_depends_on() {
        let kept = KeptAnswers::new();
        let variables: &RawValue = serde_json::from_str("{\"first\": 1}").unwrap();
        let given = Given { operation_name: Some("A"), variables: Some(variables), ..Given::default() };
        keep(&kept, &given, 5, 3);
        let find = |document, given: &Given<'_>, rights, place| {
            kept.find(document, given, Rights(rights), Sequence(place)).is_some()
        };
        assert!(find(1, &given, 0, 5));
        assert!(!find(1, &given, 0, 6), "a later version");
        assert!(!find(1, &given, 1, 5), "other rights");
        assert!(!find(2, &given, 0, 5), "another document");
        assert!(!find(1, &Given { operation_name: None, ..given }, 0, 5), "no operation named");
        assert!(!find(1, &Given { variables: None, ..given }, 0, 5), "no variables");
    }

    #[test]
    fn a_later_version_takes_the_place_of_an_earlier_one() {
        let kept = KeptAnswers::new();
        let given = Given::default();
        keep(&kept, &given, 5, 3);
        keep(&kept, &given, 6, 4);
        assert_eq!(kept.0.len(), 1);
        assert_eq!(kept.find(1, &given, Rights(0), Sequence(6)).unwrap().text.len(), 4);
    }

    #[test]
    fn kept_answers_stay_within_their_bytes() {
        let kept = KeptAnswers::new();
        for number in 0..1_000 {
            let text = format!("{{\"a\": {number}}}");
            let given = Given { variables: Some(serde_json::from_str(&text).unwrap()), ..Given::default() };
            keep(&kept, &given, 5, 1_000_000);
        }
        assert!(kept.0.weight() <= KEPT_BYTES_MAX, "{} bytes", kept.0.weight());
        assert!(kept.0.len() > 10, "{} answers", kept.0.len());
    }
}
