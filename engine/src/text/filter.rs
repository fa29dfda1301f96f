//! What happens to a word once it is cut out: it is changed, dropped, or split into the words that it is made of.

use std::collections::HashSet;

use aho_corasick::{AhoCorasick, MatchKind};
use regex::{Regex, RegexBuilder};
use rust_stemmers::{Algorithm, Stemmer};

use crate::error::{EngineError, Result};

/// Longer tokens are no words of a language: they are left as they are (bounds the time of a stemmer).
const LONGEST_STEMMED: usize = 255;
/// Memory that one pattern may take when compiled, in bytes.
const PATTERN_BYTES: usize = 1 << 20;

/// One step. All but `Split` take a token and leave at most one.
pub(super) enum TokenFilter {
    /// Each character on its own, so that a word has one form wherever it stands.
    Lowercase,
    /// Latin letters, digits and punctuation to their nearest ASCII form; other scripts stay.
    AsciiFolding,
    /// Keeps tokens of so many bytes.
    Length { min: usize, max: usize },
    /// Drops these tokens.
    Stop(HashSet<String>),
    /// To the stem, by Snowball's rules for a language.
    Stem(Algorithm),
    /// Keeps tokens in which the pattern is found, or drops them.
    Pattern { pattern: Regex, keep: bool },
    /// Splits tokens that consist of words of a list, the longest first. They keep the place of the whole.
    Decompound(AhoCorasick),
}

/// What became of a token.
pub(super) enum Verdict {
    Keep,
    Drop,
    Split(Vec<String>),
}

impl std::fmt::Debug for TokenFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self {
            Self::Lowercase => "lowercase",
            Self::AsciiFolding => "asciifolding",
            Self::Length { .. } => "length",
            Self::Stop(_) => "stop",
            Self::Stem(_) => "stemmer",
            Self::Pattern { .. } => "pattern",
            Self::Decompound(_) => "decompounder",
        };
        f.write_str(name)
    }
}

impl TokenFilter {
    /// A filter by pattern (RE2's syntax, matched in linear time).
    ///
    /// # Errors
    /// `InvalidParameter` when it does not parse or is too large.
    pub(super) fn pattern(pattern: &str, keep: bool) -> Result<Self> {
        let built =
            RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES).build();
        let pattern =
            built.map_err(|e| EngineError::invalid(format!("analyzer pattern {pattern:?}: {e}")))?;
        Ok(Self::Pattern { pattern, keep })
    }

    /// A filter that splits by a list of words.
    ///
    /// # Errors
    /// `InvalidParameter` when the list is too long.
    pub(super) fn decompound(words: &[String]) -> Result<Self> {
        let built = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(words);
        built.map(Self::Decompound).map_err(|e| EngineError::invalid(format!("analyzer word_list: {e}")))
    }

    /// Does what it does to a token.
    pub(super) fn apply(&self, text: &mut String) -> Verdict {
        let keep = match self {
            Self::Lowercase => {
                lowercase(text);
                true
            }
            Self::AsciiFolding => {
                fold(text);
                true
            }
            Self::Length { min, max } => (*min..=*max).contains(&text.len()),
            Self::Stop(words) => !words.contains(text.as_str()),
            Self::Stem(language) => {
                stem(*language, text);
                true
            }
            Self::Pattern { pattern, keep } => pattern.is_match(text) == *keep,
            Self::Decompound(words) => match split(words, text) {
                Some(parts) => return Verdict::Split(parts),
                None => true,
            },
        };
        if keep { Verdict::Keep } else { Verdict::Drop }
    }
}

fn lowercase(text: &mut String) {
    if text.is_ascii() {
        text.make_ascii_lowercase();
    } else {
        *text = text.chars().flat_map(char::to_lowercase).collect();
    }
}

fn stem(language: Algorithm, text: &mut String) {
    if text.len() > LONGEST_STEMMED {
        return;
    }
    let stemmed = Stemmer::create(language).stem(text).into_owned();
    *text = stemmed;
}

fn fold(text: &mut String) {
    if text.is_ascii() {
        return;
    }
    let mut folded = String::with_capacity(text.len());
    for c in text.chars() {
        match deunicode::deunicode_char(c).filter(|_| is_folded(c)) {
            Some(ascii) => folded.push_str(ascii.trim()),
            None => folded.push(c),
        }
    }
    *text = folded;
}

/// Whether ASCII folding touches a character: the blocks of Lucene's `ASCIIFoldingFilter`. (Transliteration of all of
/// Unicode would turn 北京 into "BeiJing".)
fn is_folded(c: char) -> bool {
    match u32::from(c) {
        0x2000..=0x206f | 0xff01..=0xff5e => true,
        0x80..=0x2af | 0x1d00..=0x1dbf | 0x1e00..=0x1eff | 0x2070..=0x209f | 0x2460..=0x24ff => {
            c.is_alphanumeric()
        }
        0x2c60..=0x2c7f | 0xa720..=0xa7ff | 0xfb00..=0xfb06 => c.is_alphanumeric(),
        _ => false,
    }
}

/// The words of the list that `text` consists of, or none when something is left over.
fn split(words: &AhoCorasick, text: &str) -> Option<Vec<String>> {
    let (mut parts, mut end) = (Vec::new(), 0);
    for found in words.find_iter(text) {
        if found.start() != end || found.is_empty() {
            return None;
        }
        end = found.end();
        parts.push(text.get(found.range())?.to_owned());
    }
    (end == text.len() && !parts.is_empty()).then_some(parts)
}
