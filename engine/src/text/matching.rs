//! What a filter asks of a text: whether it holds these terms ([`TextMatch`]), or this phrase ([`PhraseMatch`]). The
//! query is analyzed once, then each text, by the same analyzer. Called for every row: no text is kept.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use super::Analyzer;
use crate::error::{EngineError, Result};

/// Largest `minimum_should_match` (Milvus: 1,000).
pub const MAX_SHOULD_MATCH: usize = 1000;
/// Most terms of a phrase (ours: bounds the time for each text).
pub const MAX_PHRASE_TERMS: usize = 256;

/// `text_match(field, 'a b', minimum_should_match=n)`: at least `n` different terms of the query are in the text.
#[derive(Debug)]
pub struct TextMatch {
    terms: HashSet<String>,
    least: usize,
}

impl TextMatch {
    /// Analyzes a query; `least` is 1 where the filter does not say. A query without terms matches nothing, and so does
    /// one with fewer different terms than `least`.
    ///
    /// # Errors
    /// `InvalidParameter` unless `least` is 1 to [`MAX_SHOULD_MATCH`].
    pub fn new(analyzer: &Analyzer, query: &str, least: usize) -> Result<Self> {
        if !(1..=MAX_SHOULD_MATCH).contains(&least) {
            return Err(EngineError::invalid(format!(
                "minimum_should_match should be in range 1 ~ {MAX_SHOULD_MATCH}, got {least}"
            )));
        }
        let mut terms = HashSet::new();
        analyzer.visit(query, &mut |token| {
            if !terms.contains(&token.text) {
                terms.insert(token.text.clone());
            }
            ControlFlow::Continue(())
        });
        Ok(Self { terms, least })
    }

    /// Whether the text holds enough of the terms. Stops reading once it does.
    pub fn matches(&self, analyzer: &Analyzer, document: &str) -> bool {
        if self.terms.len() < self.least {
            return false;
        }
        let mut seen = HashSet::new();
        let mut enough = false;
        analyzer.visit(document, &mut |token| {
            if let Some(term) = self.terms.get(&token.text) {
                enough = self.least == 1 || {
                    seen.insert(term.as_str());
                    seen.len() >= self.least
                };
            }
            if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        enough
    }
}

/// `phrase_match(field, 'a b', slop)`: the terms stand in the text as they do in the query, but for `slop` moves.
///
/// A move shifts a term by one position, and all terms share them: `slop` 0 is the exact phrase, 1 lets one word stand
/// between, 2 lets two neighbours swap. This is Lucene's and tantivy's sloppy phrase: with `d = position in text −
/// position in query`, a choice of positions matches when the largest `d` less the smallest is at most `slop`. A term
/// that is in the query twice must be in the text at two positions.
#[derive(Debug)]
pub struct PhraseMatch {
    /// The number of each term.
    terms: HashMap<String, usize>,
    /// Terms and their positions in the query, ascending and different.
    slots: Vec<(usize, i64)>,
    slop: i64,
}

impl PhraseMatch {
    /// Analyzes a phrase. One without terms matches nothing.
    ///
    /// # Errors
    /// `InvalidParameter` when it has more than [`MAX_PHRASE_TERMS`] terms.
    pub fn new(analyzer: &Analyzer, query: &str, slop: u32) -> Result<Self> {
        let (mut terms, mut slots) = (HashMap::new(), Vec::new());
        analyzer.visit(query, &mut |token| {
            let next = terms.len();
            slots.push((*terms.entry(token.text.clone()).or_insert(next), whole(token.position)));
            if slots.len() > MAX_PHRASE_TERMS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if slots.len() > MAX_PHRASE_TERMS {
            return Err(EngineError::invalid(format!("a phrase has at most {MAX_PHRASE_TERMS} terms")));
        }
        slots.sort_unstable();
        slots.dedup();
        Ok(Self { terms, slots, slop: i64::from(slop) })
    }

    /// Whether the text holds the phrase.
    pub fn matches(&self, analyzer: &Analyzer, document: &str) -> bool {
        let mut positions: Vec<Vec<i64>> = vec![Vec::new(); self.terms.len()];
        analyzer.visit(document, &mut |token| {
            if let Some(&term) = self.terms.get(&token.text)
                && positions[term].last() != Some(&whole(token.position))
            {
                positions[term].push(whole(token.position));
            }
            ControlFlow::Continue(())
        });
        !self.slots.is_empty() && positions.iter().all(|list| !list.is_empty()) && self.fits(&positions)
    }

    /// Looks for the smallest `low` such that every slot finds a position with `low <= d <= low + slop`. Within one
    /// term the slots ascend and their windows are equally long, so to take the first free position each is as good as
    /// any. Where a slot's first position lies beyond its window, no smaller `low` than the one that reaches it will
    /// do: positions found only grow with `low`.
    fn fits(&self, positions: &[Vec<i64>]) -> bool {
        let mut low = self.slots.iter().map(|&(_, offset)| -offset).min().unwrap_or(0);
        'window: loop {
            let (mut current, mut taken) = (usize::MAX, -1);
            for &(term, offset) in &self.slots {
                if term != current {
                    (current, taken) = (term, -1);
                }
                let first = (low + offset).max(taken + 1);
                let list = &positions[term];
                let Some(&position) = list.get(list.partition_point(|&p| p < first)) else { return false };
                if position > low + offset + self.slop {
                    low = position - offset - self.slop;
                    continue 'window;
                }
                taken = position;
            }
            return true;
        }
    }
}

/// A position as a signed number; texts are far shorter than its range.
fn whole(position: usize) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(query: &str, document: &str, least: usize) -> bool {
        let analyzer = Analyzer::default();
        TextMatch::new(&analyzer, query, least).unwrap().matches(&analyzer, document)
    }

    fn phrase(query: &str, document: &str, slop: u32) -> bool {
        let analyzer = Analyzer::default();
        PhraseMatch::new(&analyzer, query, slop).unwrap().matches(&analyzer, document)
    }

    #[test]
    fn terms() {
        assert!(text("Red bird", "a blue BIRD.", 1));
        assert!(!text("red bird", "birds", 1));
        assert!(text("red bird", "bird, red", 2));
        assert!(!text("red red", "red red", 2), "different terms count");
        assert!(!text("", "red", 1) && !text("...", "...", 1));
        assert!(TextMatch::new(&Analyzer::default(), "a", 0).is_err());
        assert!(TextMatch::new(&Analyzer::default(), "a", 1001).is_err());
    }

    #[test]
    fn phrases() {
        assert!(phrase("machine learning", "on Machine, learning!", 0));
        assert!(!phrase("machine learning", "learning machine", 1));
        assert!(phrase("machine learning", "learning machine", 2));
        assert!(phrase("a b c", "a x b c", 1) && phrase("a b c", "a b x c", 1));
        assert!(!phrase("a b c", "a x b x c", 1));
        assert!(phrase("a", "b a", 0));
        assert!(!phrase("a a", "a", 9), "one position is not two");
        assert!(phrase("a a", "a a", 0));
        assert!(!phrase("", "a", 9) && !phrase("a", "", 9));
        assert!(phrase("a b", "b a", u32::MAX));
        let long = "a ".repeat(MAX_PHRASE_TERMS + 1);
        assert!(PhraseMatch::new(&Analyzer::default(), &long, 0).is_err());
    }

    #[test]
    fn a_long_text_of_one_word_takes_no_time() {
        let document = "a ".repeat(32_000);
        let query = format!("{}b", "a ".repeat(MAX_PHRASE_TERMS - 1));
        assert!(!phrase(&query, &format!("b {document}"), 3));
        assert!(phrase(&query, &format!("{document} b"), 0));
    }

    /// Every choice of positions.
    fn oracle(query: &[char], document: &[char], slop: i64) -> bool {
        fn go(query: &[char], document: &[char], at: usize, chosen: &mut Vec<usize>, slop: i64) -> bool {
            if at == query.len() {
                let moves: Vec<i64> = chosen.iter().enumerate().map(|(i, &p)| p as i64 - i as i64).collect();
                return moves.iter().max().unwrap() - moves.iter().min().unwrap() <= slop;
            }
            (0..document.len()).any(|p| {
                document[p] == query[at] && !chosen.contains(&p) && {
                    chosen.push(p);
                    let found = go(query, document, at + 1, chosen, slop);
                    chosen.pop();
                    found
                }
            })
        }
        !query.is_empty() && go(query, document, 0, &mut Vec::new(), slop)
    }

    proptest! {
        #[test]
        fn phrases_are_found_as_by_trying_all_positions(
            query in prop::collection::vec(prop::char::range('a', 'c'), 0..5),
            document in prop::collection::vec(prop::char::range('a', 'd'), 0..10),
            slop in 0u32..6,
        ) {
            let join = |letters: &[char]| letters.iter().map(char::to_string).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(
                phrase(&join(&query), &join(&document), slop),
                oracle(&query, &document, i64::from(slop))
            );
        }

        #[test]
        fn terms_are_counted(query in "[a-e ]{0,12}", document in "[a-f ]{0,12}", least in 1usize..4) {
            let set = |s: &str| s.split_whitespace().map(str::to_owned).collect::<HashSet<_>>();
            let shared = set(&query).intersection(&set(&document)).count();
            prop_assert_eq!(text(&query, &document, least), shared >= least);
        }
    }
}
