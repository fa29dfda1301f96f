//! Where words begin and end in a text.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use unicode_segmentation::UnicodeSegmentation;

/// What is told of a word: its first byte, and itself. Words are told in order and never overlap.
pub(super) type Found<'a> = dyn FnMut(usize, &str) -> ControlFlow<()> + 'a;

/// A way of cutting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tokenizer {
    /// Runs of letters and digits of any script (tantivy's `SimpleTokenizer`).
    Standard,
    /// Runs of anything but ASCII white space (tantivy's `WhitespaceTokenizer`).
    Whitespace,
    /// Word boundaries of Unicode (UAX #29) without white space. Punctuation is a token of its own. The rules know no
    /// dictionaries: of a script that has no spaces, each ideograph is a word.
    Icu,
    /// Chinese words by jieba's dictionary.
    Jieba {
        /// Longer words are also told in their parts (its mode for search engines).
        parts: bool,
        /// Words that the dictionary lacks are guessed (by a hidden Markov model).
        guess: bool,
    },
}

impl Tokenizer {
    /// Tells the words of `text` until told to break.
    pub(super) fn words(self, text: &str, found: &mut Found<'_>) -> ControlFlow<()> {
        match self {
            Self::Standard => runs(text, char::is_alphanumeric, found),
            Self::Whitespace => runs(text, |c| !c.is_ascii_whitespace(), found),
            Self::Jieba { parts, guess } => jieba_words(text, parts, guess, found),
            Self::Icu => text
                .split_word_bound_indices()
                .filter(|(_, word)| !word.chars().all(char::is_whitespace))
                .try_for_each(|(start, word)| found(start, word)),
        }
    }
}

/// Words that overlap are told in the order of their beginnings.
fn jieba_words(text: &str, parts: bool, guess: bool, found: &mut Found<'_>) -> ControlFlow<()> {
    static JIEBA: LazyLock<jieba_rs::Jieba> = LazyLock::new(jieba_rs::Jieba::new);
    // Places are told in characters.
    let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let mode = if parts { jieba_rs::TokenizeMode::Search } else { jieba_rs::TokenizeMode::Default };
    let mut tokens = JIEBA.tokenize(text, mode, guess);
    tokens.sort_by_key(|token| (token.start, token.end));
    tokens
        .into_iter()
        .filter(|token| !token.word.trim().is_empty())
        .try_for_each(|token| found(starts.get(token.start).copied().unwrap_or_default(), token.word))
}

/// The longest runs of characters that belong to a word.
fn runs(text: &str, belongs: impl Fn(char) -> bool, found: &mut Found<'_>) -> ControlFlow<()> {
    let mut start = None;
    for (at, c) in text.char_indices() {
        if belongs(c) {
            start.get_or_insert(at);
        } else if let Some(start) = start.take() {
            found(start, &text[start..at])?;
        }
    }
    match start {
        Some(start) => found(start, &text[start..]),
        None => ControlFlow::Continue(()),
    }
}
