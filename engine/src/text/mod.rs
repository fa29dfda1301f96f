//! Texts cut into terms: what `text_match`, `phrase_match`, `run_analyzer` and BM25 see of a VarChar.
//!
//! ```text
//!   analyzer_params ── params ──► Analyzer = tokenizer + filters
//!   text ──► tokenizer: where words begin and end ──► filters: change, drop or split each ──► tokens
//!                                                         ├─► matching   does a text hold these terms, this phrase?
//!                                                         └─► term       term hash → count: a sparse vector for BM25
//! ```
//!
//! Names, defaults and the order of steps are Milvus's, whose analyzers are tantivy's. Everything here is a pure
//! function of an [`Analyzer`] and texts; time and memory are in proportion to the text, whatever is in it.

mod filter;
pub mod matching;
mod params;
mod stop;
pub mod term;
mod tokenizer;

use std::ops::ControlFlow;

use filter::{TokenFilter, Verdict};
use tokenizer::Tokenizer;

pub use params::{MAX_FILTERS, MAX_PARAMS_BYTES};

/// One term of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The term, as the filters left it. Never empty.
    pub text: String,
    /// Where the word begins in the text, in bytes.
    pub start_offset: usize,
    /// Where it ends, in bytes.
    pub end_offset: usize,
    /// Number of the word in the text, from 0. A word that a filter drops leaves a gap.
    pub position: usize,
    /// Positions that the term takes: 1.
    pub position_length: usize,
}

/// Cuts texts into terms.
///
/// Built from Milvus's `analyzer_params` ([`Analyzer::from_params`]) once per field; then shared and never changed.
#[derive(Debug)]
pub struct Analyzer {
    tokenizer: Tokenizer,
    filters: Vec<TokenFilter>,
}

impl Default for Analyzer {
    /// Milvus's `standard`: runs of letters and digits, in lower case.
    fn default() -> Self {
        Self { tokenizer: Tokenizer::Standard, filters: vec![TokenFilter::Lowercase] }
    }
}

impl Analyzer {
    /// All terms of `text`, in order. Fewer than its bytes, unless folding writes a letter with several.
    pub fn analyze(&self, text: &str) -> Vec<Token> {
        let mut tokens = Vec::new();
        self.visit(text, &mut |token| {
            tokens.push(token.clone());
            ControlFlow::Continue(())
        });
        tokens
    }

    /// Shows the terms of `text` to `visitor` one after another until it breaks. One token is held at a time.
    pub fn visit(&self, text: &str, visitor: &mut dyn FnMut(&Token) -> ControlFlow<()>) {
        let mut token =
            Token { text: String::new(), start_offset: 0, end_offset: 0, position: 0, position_length: 1 };
        let mut position = 0;
        // A visitor that breaks has seen enough: nothing else is to be said.
        let _ = self.tokenizer.words(text, &mut |start, word| {
            token.text.clear();
            token.text.push_str(word);
            (token.start_offset, token.end_offset, token.position) = (start, start + word.len(), position);
            position += 1;
            pass(&self.filters, &mut token, visitor)
        });
    }
}

/// Sends a token through the filters. It goes only as deep as there are filters that split.
fn pass(
    filters: &[TokenFilter],
    token: &mut Token,
    visitor: &mut dyn FnMut(&Token) -> ControlFlow<()>,
) -> ControlFlow<()> {
    for (at, filter) in filters.iter().enumerate() {
        match filter.apply(&mut token.text) {
            Verdict::Keep if token.text.is_empty() => return ControlFlow::Continue(()),
            Verdict::Keep => {}
            Verdict::Drop => return ControlFlow::Continue(()),
            Verdict::Split(parts) => {
                for text in parts {
                    pass(&filters[at + 1..], &mut Token { text, ..*token }, visitor)?;
                }
                return ControlFlow::Continue(());
            }
        }
    }
    visitor(token)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn analyzer(params: serde_json::Value) -> Analyzer {
        Analyzer::from_params(Some(&params)).unwrap()
    }

    fn terms(params: serde_json::Value, text: &str) -> Vec<String> {
        analyzer(params).analyze(text).into_iter().map(|t| t.text).collect()
    }

    #[test]
    fn standard_is_the_default_and_keeps_offsets() {
        let text = "Größe, ist—nicht  alles! x2";
        let tokens = Analyzer::default().analyze(text);
        let words: Vec<&str> = tokens.iter().map(|t| t.text.as_str()).collect();
        assert_eq!(words, ["größe", "ist", "nicht", "alles", "x2"]);
        assert_eq!(&text[tokens[2].start_offset..tokens[2].end_offset], "nicht");
        assert!(tokens.iter().enumerate().all(|(i, t)| t.position == i && t.position_length == 1));
        assert_eq!(Analyzer::from_params(None).unwrap().analyze(text), tokens);
        assert_eq!(terms(json!({}), text), words);
        assert_eq!(terms(json!({"type": "standard"}), text), words);
    }

    #[test]
    fn english_stems_and_drops_stop_words_and_keeps_their_places() {
        let tokens = analyzer(json!({"type": "english", "stop_words": ["vector"]}))
            .analyze("Milvus is a vector database built for scale!");
        let seen: Vec<_> = tokens.iter().map(|t| (t.text.as_str(), t.position)).collect();
        assert_eq!(seen, [("milvus", 0), ("databas", 4), ("built", 5), ("scale", 7)]);
    }

    #[test]
    fn tokenizers() {
        assert_eq!(terms(json!({"tokenizer": "whitespace"}), " A-b  c,\td "), ["A-b", "c,", "d"]);
        assert_eq!(terms(json!({"tokenizer": {"type": "standard"}}), "A-b c"), ["A", "b", "c"]);
        assert_eq!(
            terms(json!({"tokenizer": "icu"}), "Привет! can't 3.5 世界"),
            ["Привет", "!", "can't", "3.5", "世", "界"]
        );
        assert_eq!(
            terms(json!({"tokenizer": "icu", "filter": ["removepunct"]}), "Привет, мир!?"),
            ["Привет", "мир"]
        );
    }

    #[test]
    fn filters_in_their_order() {
        let with = |filter: serde_json::Value| json!({"tokenizer": "whitespace", "filter": [filter]});
        assert_eq!(terms(with(json!("lowercase")), "ÉA İ"), ["éa", "i\u{307}"]);
        assert_eq!(
            terms(with(json!("asciifolding")), "Ærøskøbing ﬁn ｆｕｌｌ 北京"),
            ["AEroskobing", "fin", "full", "北京"]
        );
        assert_eq!(terms(with(json!("alphanumonly")), "ab1 é a-b"), ["ab1"]);
        assert_eq!(terms(with(json!("cnalphanumonly")), "ab1 北京1 é か"), ["ab1", "北京1"]);
        assert_eq!(terms(with(json!("cncharonly")), "ab1 北京1 北京"), ["北京"]);
        assert_eq!(terms(with(json!({"type": "length", "max": 3})), "abc abcd"), ["abc"]);
        assert_eq!(terms(with(json!({"type": "length", "min": 2, "max": 3})), "a ab abcd"), ["ab"]);
        assert_eq!(terms(with(json!({"type": "stop", "stop_words": ["_english_", "x"]})), "of x y"), ["y"]);
        assert_eq!(terms(with(json!({"type": "stop", "stop_words": "_german_"})), "der Hund"), ["Hund"]);
        assert_eq!(terms(with(json!({"type": "stemmer", "language": "German"})), "häuser"), ["haus"]);
        assert_eq!(terms(with(json!({"type": "regex", "expr": "^[a-z]+$"})), "ab a1"), ["ab"]);
        let words = json!({"type": "decompounder", "word_list": ["dampf", "schiff", "fahrt"]});
        assert_eq!(
            terms(with(words), "dampfschifffahrt dampfx schiff"),
            ["dampf", "schiff", "fahrt", "dampfx", "schiff"]
        );
        // A stop word in capitals is one only after it was made small.
        let both = |a, b| json!({"tokenizer": "standard", "filter": [a, b]});
        let stop = || json!({"type": "stop", "stop_words": ["of"]});
        assert_eq!(terms(both(json!("lowercase"), stop()), "OF x"), ["x"]);
        assert_eq!(terms(both(stop(), json!("lowercase")), "OF x"), ["of", "x"]);
    }

    #[test]
    fn a_visitor_that_breaks_is_not_called_again() {
        let mut seen = 0;
        Analyzer::default().visit("a b c", &mut |_| {
            seen += 1;
            if seen == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(seen, 2);
    }

    proptest! {
        #[test]
        fn any_text_is_cut_into_places_that_lie_in_it(text in "\\PC{0,80}|[a-zA-Zéß'’ .\\n]{0,80}") {
            let languages = ["arabic", "danish", "dutch", "english", "finnish", "french", "german", "greek",
                "hungarian", "italian", "norwegian", "portuguese", "romanian", "russian", "spanish", "swedish",
                "tamil", "turkish"];
            for tokenizer in ["standard", "whitespace", "icu"] {
                for language in languages {
                    let tokens = analyzer(json!({"tokenizer": tokenizer, "filter": [
                        "lowercase", {"type": "stemmer", "language": language}, "asciifolding", "removepunct",
                        {"type": "decompounder", "word_list": ["a", "b"]},
                    ]})).analyze(&text);
                    prop_assert!(tokens.len() <= text.len());
                    for pair in tokens.windows(2) {
                        prop_assert!(pair[0].position <= pair[1].position);
                        prop_assert!(pair[0].start_offset <= pair[1].start_offset);
                    }
                    for token in tokens {
                        prop_assert!(!token.text.is_empty());
                        prop_assert!(text.get(token.start_offset..token.end_offset).is_some());
                    }
                }
            }
        }
    }
}
