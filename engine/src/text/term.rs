//! Terms as numbers: a text becomes a sparse vector of term → how often, which is what BM25 searches.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::Analyzer;
use crate::error::Result;
use crate::index::sparse::SparseVector;

/// The number of a term: the CRC-32 (IEEE 802.3) of its UTF-8 bytes, which is what Milvus hashes tokens with; the one
/// value that no dimension may have, 2^32 − 1, becomes the one below. The same on every machine and for ever: it is
/// stored. Two of n terms share a number with a chance of about n²/2^33.
pub fn term_id(term: &str) -> u32 {
    crc32fast::hash(term.as_bytes()).min(u32::MAX - 1)
}

/// How often each term is in a text, as a sparse vector: dimension [`term_id`], value the count. A text without terms
/// has an empty vector.
///
/// # Errors
/// None that a text can cause.
pub fn term_counts(analyzer: &Analyzer, text: &str) -> Result<SparseVector> {
    let mut counts: HashMap<u32, f32> = HashMap::new();
    analyzer.visit(text, &mut |token| {
        *counts.entry(term_id(&token.text)).or_default() += 1.0;
        ControlFlow::Continue(())
    });
    SparseVector::from_pairs(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_fixed() {
        // The check value of the CRC catalogue.
        assert_eq!(term_id("123456789"), 0xcbf4_3926);
        assert_eq!(term_id(""), 0);
    }

    #[test]
    fn counts() {
        let counts = term_counts(&Analyzer::default(), "To be, or not to be").unwrap();
        let mut pairs: Vec<_> = counts.as_row().entries().collect();
        pairs.sort_by_key(|&(term, _)| term);
        let mut expected: Vec<_> =
            [("to", 2.0), ("be", 2.0), ("or", 1.0), ("not", 1.0)].map(|(t, n)| (term_id(t), n)).to_vec();
        expected.sort_by_key(|&(term, _)| term);
        assert_eq!(pairs, expected);
        assert_eq!(term_counts(&Analyzer::default(), "?!").unwrap().as_row().entries().count(), 0);
    }
}
