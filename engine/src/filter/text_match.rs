//! `text_match`, `phrase_match` and `text_match_fuzzy`: what is asked of the words of a text.

use std::sync::Arc;

use crate::error::Result;
use crate::text::Analyzer;
use crate::text::matching::{PhraseMatch, TextMatch};

/// A question about the words of one field.
#[derive(Debug)]
pub(super) struct WordTest {
    analyzer: Arc<Analyzer>,
    question: Question,
}

#[derive(Debug)]
enum Question {
    /// At least so many of some words.
    Some(TextMatch),
    /// All of some words, each near its place.
    Phrase(PhraseMatch),
    /// A word that differs from one of these by so many edits at most.
    Fuzzy { words: Vec<Vec<char>>, edits: usize },
}

impl WordTest {
    /// At least `least` of the different words of `query`.
    pub(super) fn some(analyzer: Arc<Analyzer>, query: &str, least: usize) -> Result<Self> {
        let question = Question::Some(TextMatch::new(&analyzer, query, least)?);
        Ok(Self { analyzer, question })
    }

    /// The words of `query` in their order. `slop`: how far they may be from their places, all distances added.
    pub(super) fn phrase(analyzer: Arc<Analyzer>, query: &str, slop: u32) -> Result<Self> {
        let question = Question::Phrase(PhraseMatch::new(&analyzer, query, slop)?);
        Ok(Self { analyzer, question })
    }

    /// A word of `query` with at most `edits` letters inserted, left out, replaced or exchanged with their neighbours.
    pub(super) fn fuzzy(analyzer: Arc<Analyzer>, query: &str, edits: usize) -> Self {
        let words = analyzer.analyze(query).iter().map(|token| token.text.chars().collect()).collect();
        Self { analyzer, question: Question::Fuzzy { words, edits } }
    }

    /// Whether a text passes.
    pub(super) fn accepts(&self, text: &str) -> bool {
        match &self.question {
            Question::Some(words) => words.matches(&self.analyzer, text),
            Question::Phrase(words) => words.matches(&self.analyzer, text),
            Question::Fuzzy { words, edits } => self.analyzer.analyze(text).iter().any(|token| {
                let found: Vec<char> = token.text.chars().collect();
                words.iter().any(|word| is_near(word, &found, *edits))
            }),
        }
    }
}

/// Whether at most `edits` edits make one word of the other.
fn is_near(a: &[char], b: &[char], edits: usize) -> bool {
    if a.len().abs_diff(b.len()) > edits {
        return false;
    }
    let far = edits + 1;
    // Rows of the table of distances: the last two and the present one.
    let mut older: Vec<usize> = Vec::new();
    let mut old: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![far; b.len() + 1];
        row[0] = i + 1;
        // Outside of this band every distance is too large.
        for j in i.saturating_sub(edits)..b.len().min(i + edits + 1) {
            let y = b[j];
            let mut least = (old[j] + usize::from(*x != y)).min(old[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == y && *x == b[j - 1] {
                least = least.min(older[j - 1] + 1);
            }
            row[j + 1] = least.min(far);
        }
        older = std::mem::replace(&mut old, row);
    }
    old.last().is_some_and(|&distance| distance <= edits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits() {
        let near = |a: &str, b: &str, edits| {
            is_near(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>(), edits)
        };
        assert!(near("", "", 0) && near("abc", "abc", 0) && near("abc", "abd", 1) && near("abc", "ac", 1));
        assert!(near("abc", "xabc", 1) && near("abc", "acb", 1) && near("", "a", 1));
        assert!(!near("abc", "abd", 0) && !near("abc", "cba", 1) && !near("abc", "abcde", 1));
        assert!(near("abc", "cba", 2) && near("kitten", "sitten", 1) && !near("kitten", "sitting", 2));
    }
}
