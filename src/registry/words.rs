//! Words to things: the index behind search.
//!
//! Persistent like the rest of the state, so that a search answers from one version.

use imbl::OrdMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// A word in a name, a tag, a description: how much each counts. The sum fits a byte.
const IN_NAME: u8 = 8;
const IN_TAGS: u8 = 4;
const IN_DESCRIPTION: u8 = 1;
/// What matches as a whole counts this many times what matches by its beginning.
const WHOLE_WORD: u32 = 3;
/// Shorter beginnings match too much to mean anything: they match whole words only.
const PREFIX_LEN_MIN: usize = 2;
/// The most characters of a word that count.
const WORD_LEN_MAX: usize = 64;
/// The most words of a query that count.
pub const QUERY_WORDS_MAX: usize = 16;

/// The texts of one thing that it can be found by.
#[derive(Clone, Copy)]
pub(super) struct Texts<'a> {
    pub name: &'a str,
    pub tags: &'a [String],
    pub description: Option<&'a str>,
}

/// From each word to the things that have it, and where.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Words(OrdMap<Arc<str>, OrdMap<Uuid, u8>>);

impl Words {
    pub(super) fn insert(&mut self, id: Uuid, texts: Texts<'_>) {
        for (word, places) in words_of(texts) {
            match self.0.get_mut(word.as_str()) {
                Some(postings) => {
                    postings.insert(id, places);
                }
                None => {
                    self.0.insert(word.into(), OrdMap::unit(id, places));
                }
            }
        }
    }

    /// Takes out what [`Words::insert`] put in for the same texts.
    pub(super) fn remove(&mut self, id: Uuid, texts: Texts<'_>) {
        for word in words_of(texts).into_keys() {
            if let Some(postings) = self.0.get_mut(word.as_str()) {
                postings.remove(&id);
                if postings.is_empty() {
                    self.0.remove(word.as_str());
                }
            }
        }
    }

    /// Everything that has every word of the query, whole or by its beginning, with how well it fits:
    /// more is better. A query without words finds nothing.
    pub fn search(&self, query: &str) -> BTreeMap<Uuid, u32> {
        let mut asked: Vec<Matching<'_>> =
            split(query).take(QUERY_WORDS_MAX).map(|word| self.matching(&word)).collect();
        // The rarest word first: what does not have it need not be looked at.
        asked.sort_by_key(Matching::len);
        let mut asked = asked.into_iter();
        let mut found = asked.next().map(Matching::scores).unwrap_or_default();
        for matching in asked {
            found.retain(|id, score| match matching.score(id) {
                Some(more) => {
                    *score += more;
                    true
                }
                None => false,
            });
        }
        found
    }

    fn matching(&self, asked: &str) -> Matching<'_> {
        let by_beginning = asked.chars().count() >= PREFIX_LEN_MIN;
        let candidates = self.0.range(Arc::<str>::from(asked)..).take_while(|(word, _)| word.starts_with(asked));
        let words = candidates.map(|(word, postings)| (word.len() == asked.len(), postings));
        Matching(words.filter(|(whole, _)| *whole || by_beginning).collect())
    }
}

/// The words that match one word of a query, each with whether it matches as a whole.
struct Matching<'a>(Vec<(bool, &'a OrdMap<Uuid, u8>)>);

impl Matching<'_> {
    fn len(&self) -> usize {
        self.0.iter().map(|(_, postings)| postings.len()).sum()
    }

    /// How well a thing fits: by the word of it that fits best.
    fn score(&self, id: &Uuid) -> Option<u32> {
        let fits = self.0.iter().filter_map(|(whole, postings)| Some(worth(*whole, *postings.get(id)?)));
        fits.max()
    }

    fn scores(self) -> BTreeMap<Uuid, u32> {
        let mut found: BTreeMap<Uuid, u32> = BTreeMap::new();
        for (whole, postings) in self.0 {
            for (id, places) in postings {
                let score = found.entry(*id).or_default();
                *score = (*score).max(worth(whole, *places));
            }
        }
        found
    }
}

fn worth(whole: bool, places: u8) -> u32 {
    u32::from(places) * if whole { WHOLE_WORD } else { 1 }
}

/// Each word of the texts with the sum of the places it stands in.
fn words_of(texts: Texts<'_>) -> BTreeMap<String, u8> {
    let mut words = BTreeMap::new();
    let mut note = |text: &str, place: u8| {
        for word in split(text) {
            *words.entry(word).or_default() |= place;
        }
    };
    note(texts.name, IN_NAME);
    texts.tags.iter().for_each(|tag| note(tag, IN_TAGS));
    note(texts.description.unwrap_or_default(), IN_DESCRIPTION);
    words
}

/// The words of a text, in lower case.
pub fn split(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().take(WORD_LEN_MAX).flat_map(char::to_lowercase).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts<'a>(name: &'a str, tags: &'a [String], description: &'a str) -> Texts<'a> {
        Texts { name, tags, description: Some(description) }
    }

    fn ranked(words: &Words, query: &str) -> Vec<u128> {
        let mut found: Vec<(u32, u128)> =
            words.search(query).into_iter().map(|(id, score)| (score, id.as_u128())).collect();
        found.sort_by_key(|&(score, id)| (std::cmp::Reverse(score), id));
        found.into_iter().map(|(_, id)| id).collect()
    }

    #[test]
    fn names_rank_before_tags_before_descriptions_and_whole_words_before_beginnings() {
        let mut words = Words::default();
        let tags = ["ledger".to_owned()];
        words.insert(Uuid::from_u128(1), texts("writes", &[], "appends to the ledger"));
        words.insert(Uuid::from_u128(2), texts("reads", &tags, ""));
        words.insert(Uuid::from_u128(3), texts("node_ledger_write", &[], ""));
        words.insert(Uuid::from_u128(4), texts("ledgers", &[], ""));
        assert_eq!(ranked(&words, "Ledger"), [3, 2, 4, 1]);
        assert_eq!(ranked(&words, "ledger appe"), [1]);
        assert_eq!(ranked(&words, "  "), []);
    }

    #[test]
    fn what_was_put_in_comes_out_without_a_trace() {
        let mut words = Words::default();
        let tags = ["x".to_owned()];
        words.insert(Uuid::from_u128(1), texts("alpha beta", &tags, "x alpha"));
        words.remove(Uuid::from_u128(1), texts("alpha beta", &tags, "x alpha"));
        assert_eq!(words, Words::default());
    }
}
