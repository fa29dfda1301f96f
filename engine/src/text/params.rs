//! Milvus's `analyzer_params`, read and checked. What is not known is refused by name: a filter that is silently left
//! out would show only as bad answers.

use rust_stemmers::Algorithm;
use serde_json::{Map, Value};

use super::filter::TokenFilter;
use super::tokenizer::Tokenizer;
use super::{Analyzer, stop};
use crate::error::{EngineError, Result};

/// Most filters of an analyzer (ours).
pub const MAX_FILTERS: usize = 32;
/// Most bytes of names, words and patterns in the parameters of an analyzer (ours).
pub const MAX_PARAMS_BYTES: usize = 1 << 20;

/// Filters that need no parameters.
const PLAIN: &str = "lowercase, asciifolding, alphanumonly, cnalphanumonly, cncharonly, removepunct";
/// Filters that do.
const FULL: &str = "length, stop, stemmer, decompounder, regex";
/// What Milvus has and this version of Elanus does not.
const MISSING: [&str; 7] =
    ["lindera", "language_identifier", "ngram", "char_group", "grpc", "synonym", "pinyin"];

/// Languages of the stemmer, by Milvus's names.
const STEMMERS: [(&str, Algorithm); 18] = [
    ("arabic", Algorithm::Arabic),
    ("danish", Algorithm::Danish),
    ("dutch", Algorithm::Dutch),
    ("english", Algorithm::English),
    ("finnish", Algorithm::Finnish),
    ("french", Algorithm::French),
    ("german", Algorithm::German),
    ("greek", Algorithm::Greek),
    ("hungarian", Algorithm::Hungarian),
    ("italian", Algorithm::Italian),
    ("norwegian", Algorithm::Norwegian),
    ("portuguese", Algorithm::Portuguese),
    ("romanian", Algorithm::Romanian),
    ("russian", Algorithm::Russian),
    ("spanish", Algorithm::Spanish),
    ("swedish", Algorithm::Swedish),
    ("tamil", Algorithm::Tamil),
    ("turkish", Algorithm::Turkish),
];

impl Analyzer {
    /// Reads `analyzer_params`; without any, or with `null` or `{}`, the analyzer is `standard`.
    ///
    /// Either `{"type": "standard" | "english", "stop_words": [..]}`, or `{"tokenizer": "standard" | "whitespace" |
    /// "icu" | "jieba", "filter": [..]}`, where jieba may be an object with `mode` (`search`, `exact`) and `hmm`. Filters by name: `lowercase`, `asciifolding`, `alphanumonly`, `cnalphanumonly`,
    /// `cncharonly`, `removepunct`. Filters as objects: `{"type": "length", "min": 1, "max": 40}` (bytes),
    /// `{"type": "stop", "stop_words": ["_english_", "of"]}`, `{"type": "stemmer", "language": "english"}`,
    /// `{"type": "decompounder", "word_list": [..]}`, `{"type": "regex", "expr": ".."}` (keeps what it is found in).
    ///
    /// # Errors
    /// `InvalidParameter` that names what is wrong: an unknown key, name or language, a value of the wrong kind, more
    /// than [`MAX_FILTERS`] filters or [`MAX_PARAMS_BYTES`] bytes, or what this version does not have.
    pub fn from_params(params: Option<&Value>) -> Result<Self> {
        let object = match params {
            None | Some(Value::Null) => return Ok(Self::default()),
            Some(Value::Object(object)) => object,
            Some(other) => return Err(wrong("analyzer_params", "an object", other)),
        };
        let bytes = bytes_of(object);
        if bytes > MAX_PARAMS_BYTES {
            return refuse(format!("analyzer_params has {bytes} bytes, the limit is {MAX_PARAMS_BYTES}"));
        }
        match object.get("type") {
            _ if object.is_empty() => Ok(Self::default()),
            Some(name) => built_in(text(name, "analyzer type")?, object),
            None => custom(object),
        }
    }

    /// Reads `analyzer_params` as they travel in a string; an empty one asks for the default.
    ///
    /// # Errors
    /// As [`Analyzer::from_params`], and `InvalidParameter` when it is not JSON.
    pub fn from_json(params: &str) -> Result<Self> {
        if params.trim().is_empty() {
            return Ok(Self::default());
        }
        let value: Value = serde_json::from_str(params)
            .map_err(|e| EngineError::invalid(format!("analyzer_params is not JSON: {e}")))?;
        Self::from_params(Some(&value))
    }
}

/// An analyzer that has a name.
fn built_in(name: &str, object: &Map<String, Value>) -> Result<Analyzer> {
    only(object, &["type", "stop_words"], "a built-in analyzer")?;
    let mut filters = vec![TokenFilter::Lowercase];
    match name {
        "standard" => {}
        "english" => {
            filters.push(TokenFilter::Stem(Algorithm::English));
            filters.push(stop_words(&Value::from("_english_"))?);
        }
        "chinese" => {
            let filters = vec![TokenFilter::pattern(r"^[\p{Han}A-Za-z0-9]+$", true)?];
            return Ok(Analyzer { tokenizer: JIEBA, filters });
        }
        other => return unknown("analyzer type", other, "standard, english, chinese"),
    }
    if let Some(words) = object.get("stop_words") {
        filters.push(stop_words(words)?);
    }
    Ok(Analyzer { tokenizer: Tokenizer::Standard, filters })
}

/// A tokenizer and a list of filters.
fn custom(object: &Map<String, Value>) -> Result<Analyzer> {
    only(object, &["tokenizer", "filter"], "a custom analyzer")?;
    let (name, params) = match object.get("tokenizer") {
        None => ("standard", None),
        Some(Value::Object(params)) => {
            (text(required(params, "type", "a tokenizer")?, "tokenizer type")?, Some(params))
        }
        Some(name) => (text(name, "tokenizer")?, None),
    };
    let tokenizer = match (name, params) {
        ("standard", _) => Tokenizer::Standard,
        ("whitespace", _) => Tokenizer::Whitespace,
        ("icu", _) => Tokenizer::Icu,
        ("jieba", None) => JIEBA,
        ("jieba", Some(params)) => jieba(params)?,
        (other, _) => return unknown("tokenizer", other, "standard, whitespace, icu, jieba"),
    };
    if let (Some(params), true) = (params, name != "jieba") {
        only(params, &["type"], &format!("tokenizer {name}"))?;
    }
    let filters = object.get("filter").map_or(Ok(&[][..]), |filters| list(filters, "filter"))?;
    if filters.len() > MAX_FILTERS {
        return refuse(format!("an analyzer has {} filters, the limit is {MAX_FILTERS}", filters.len()));
    }
    let filters = filters.iter().map(filter).collect::<Result<_>>()?;
    Ok(Analyzer { tokenizer, filters })
}

/// What jieba does without being told.
const JIEBA: Tokenizer = Tokenizer::Jieba { parts: true, guess: true };

/// `{"type": "jieba", "dict": ["_default_"], "mode": "search" | "exact", "hmm": true}`.
fn jieba(object: &Map<String, Value>) -> Result<Tokenizer> {
    only(object, &["type", "dict", "mode", "hmm"], "tokenizer jieba")?;
    if let Some(dict) = object.get("dict")
        && words(dict, "dict")? != ["_default_"]
    {
        return refuse("tokenizer jieba has no other dict than [\"_default_\"]");
    }
    let parts = match object.get("mode").map(|mode| text(mode, "mode")).transpose()? {
        None | Some("search") => true,
        Some("exact") => false,
        Some(other) => return unknown("mode of tokenizer jieba", other, "search, exact"),
    };
    let hmm = object
        .get("hmm")
        .map(|hmm| hmm.as_bool().ok_or_else(|| wrong("hmm of tokenizer jieba", "true or false", hmm)));
    Ok(Tokenizer::Jieba { parts, guess: hmm.transpose()?.unwrap_or(true) })
}

/// One filter: a name, or an object with a type.
fn filter(value: &Value) -> Result<TokenFilter> {
    let Value::Object(object) = value else { return plain_filter(text(value, "filter")?) };
    match text(required(object, "type", "a filter")?, "filter type")? {
        "length" => length(object),
        "stop" => {
            only(object, &["type", "stop_words"], "filter stop")?;
            stop_words(required(object, "stop_words", "filter stop")?)
        }
        "stemmer" => {
            only(object, &["type", "language"], "filter stemmer")?;
            stemmer(text(required(object, "language", "filter stemmer")?, "stemmer language")?)
        }
        "decompounder" => {
            only(object, &["type", "word_list"], "filter decompounder")?;
            let words = words(required(object, "word_list", "filter decompounder")?, "word_list")?;
            if words.is_empty() || words.iter().any(String::is_empty) {
                return refuse("word_list of filter decompounder and its words must not be empty");
            }
            TokenFilter::decompound(&words)
        }
        "regex" => {
            only(object, &["type", "expr"], "filter regex")?;
            TokenFilter::pattern(text(required(object, "expr", "filter regex")?, "expr")?, true)
        }
        name => {
            only(object, &["type"], "a filter without parameters")?;
            plain_filter(name)
        }
    }
}

fn plain_filter(name: &str) -> Result<TokenFilter> {
    match name {
        "lowercase" => Ok(TokenFilter::Lowercase),
        "asciifolding" => Ok(TokenFilter::AsciiFolding),
        "alphanumonly" => TokenFilter::pattern("^[A-Za-z0-9]+$", true),
        "cnalphanumonly" => TokenFilter::pattern(r"^[\p{Han}A-Za-z0-9]+$", true),
        "cncharonly" => TokenFilter::pattern(r"^\p{Han}+$", true),
        "removepunct" => TokenFilter::pattern(r"^\p{P}+$", false),
        other => unknown("filter", other, &format!("{PLAIN}; with parameters {FULL}")),
    }
}

fn length(object: &Map<String, Value>) -> Result<TokenFilter> {
    only(object, &["type", "min", "max"], "filter length")?;
    let read = |key: &str| match object.get(key) {
        None => Ok(None),
        Some(value) => match value.as_u64().and_then(|n| usize::try_from(n).ok()) {
            Some(n) => Ok(Some(n)),
            None => Err(wrong(&format!("{key} of filter length"), "a whole number", value)),
        },
    };
    match (read("min")?, read("max")?) {
        (None, None) => refuse("filter length needs max"),
        (min, max) => Ok(TokenFilter::Length { min: min.unwrap_or(0), max: max.unwrap_or(usize::MAX) }),
    }
}

fn stemmer(language: &str) -> Result<TokenFilter> {
    let lower = language.to_ascii_lowercase();
    match STEMMERS.iter().find(|(name, _)| *name == lower) {
        Some((_, algorithm)) => Ok(TokenFilter::Stem(*algorithm)),
        None => unknown("stemmer language", language, &STEMMERS.map(|(name, _)| name).join(", ")),
    }
}

/// Words to drop: each a word or the name of a list.
fn stop_words(value: &Value) -> Result<TokenFilter> {
    let mut all = std::collections::HashSet::new();
    for word in words(value, "stop_words")? {
        match stop::list(&word) {
            Some(list) => all.extend(list.iter().map(|word| (*word).to_owned())),
            None if word.len() > 2 && word.starts_with('_') && word.ends_with('_') => {
                return unknown("list of stop words", &word, &stop::names());
            }
            None => {
                all.insert(word);
            }
        }
    }
    Ok(TokenFilter::Stop(all))
}

/// A list of words; one word may stand without brackets.
fn words(value: &Value, name: &str) -> Result<Vec<String>> {
    match value {
        Value::String(word) => Ok(vec![word.clone()]),
        _ => list(value, name)?.iter().map(|word| text(word, name).map(str::to_owned)).collect(),
    }
}

fn list<'a>(value: &'a Value, name: &str) -> Result<&'a [Value]> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| wrong(name, "a list", value))
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value.as_str().ok_or_else(|| wrong(name, "a string", value))
}

fn required<'a>(object: &'a Map<String, Value>, key: &str, what: &str) -> Result<&'a Value> {
    object.get(key).ok_or_else(|| EngineError::invalid(format!("{what} needs {key}")))
}

fn only(object: &Map<String, Value>, keys: &[&str], what: &str) -> Result<()> {
    match object.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => refuse(format!("{what} has no parameter {key:?} (known: {})", keys.join(", "))),
        None => Ok(()),
    }
}

/// Bytes of all strings; what is nested deeper than any parameter is refused by its kind later.
fn bytes_of(object: &Map<String, Value>) -> usize {
    fn of(value: &Value) -> usize {
        match value {
            Value::String(text) => text.len() + 1,
            Value::Array(values) => values.iter().map(of).sum(),
            Value::Object(object) => object.iter().map(|(key, value)| key.len() + of(value)).sum(),
            _ => 1,
        }
    }
    object.iter().map(|(key, value)| key.len() + of(value)).sum()
}

fn unknown<T>(what: &str, name: &str, known: &str) -> Result<T> {
    if MISSING.contains(&name) {
        return refuse(format!(
            "{what} {name:?} is not supported in this version of Elanus (known: {known})"
        ));
    }
    refuse(format!("{what} {name:?} is unknown (known: {known})"))
}

fn wrong(name: &str, expected: &str, got: &Value) -> EngineError {
    let kind = match got {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    EngineError::invalid(format!("{name} must be {expected}, got {kind}"))
}

fn refuse<T>(message: impl Into<String>) -> Result<T> {
    Err(EngineError::invalid(message))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            (json!([]), "analyzer_params must be an object, got a list"),
            (
                json!({"type": "klingon"}),
                "analyzer type \"klingon\" is unknown (known: standard, english, chinese)",
            ),
            (json!({"type": 1}), "analyzer type must be a string, got a number"),
            (json!({"type": "standard", "filter": []}), "a built-in analyzer has no parameter \"filter\""),
            (json!({"tokenizer": "lindera"}), "tokenizer \"lindera\" is not supported in this version"),
            (json!({"tokenizer": {"dict": []}}), "a tokenizer needs type"),
            (json!({"tokenizer": {"type": "icu", "dict": []}}), "tokenizer icu has no parameter \"dict\""),
            (
                json!({"tokenizer": {"type": "lindera", "dict_kind": "ipadic"}}),
                "tokenizer \"lindera\" is not supported in this version",
            ),
            (json!({"tokenizer": {"type": "jieba", "dict": ["x"]}}), "no other dict than [\"_default_\"]"),
            (json!({"tokenizer": {"type": "jieba", "mode": "all"}}), "mode of tokenizer jieba \"all\""),
            (json!({"tokenizer": {"type": "jieba", "hmm": 1}}), "hmm of tokenizer jieba must be"),
            (json!({"tokenizer": {}}), "a tokenizer needs type"),
            (
                json!({"filters": []}),
                "a custom analyzer has no parameter \"filters\" (known: tokenizer, filter)",
            ),
            (json!({"filter": "lowercase"}), "filter must be a list, got a string"),
            (json!({"filter": ["uppercase"]}), "filter \"uppercase\" is unknown (known: lowercase,"),
            (json!({"filter": [{"type": "length"}]}), "filter length needs max"),
            (
                json!({"filter": [{"type": "length", "max": -1}]}),
                "max of filter length must be a whole number",
            ),
            (json!({"filter": [{"type": "stop"}]}), "filter stop needs stop_words"),
            (
                json!({"filter": [{"type": "stop", "stop_words": ["_klingon_"]}]}),
                "list of stop words \"_klingon_\"",
            ),
            (json!({"filter": [{"type": "stop", "stop_words": [1]}]}), "stop_words must be a string"),
            (json!({"filter": [{"type": "stemmer", "language": "klingon"}]}), "stemmer language \"klingon\""),
            (json!({"filter": [{"type": "decompounder", "word_list": [""]}]}), "must not be empty"),
            (json!({"filter": [{"type": "regex", "expr": "("}]}), "analyzer pattern \"(\""),
            (json!({"filter": [{"type": "regex", "expr": "(\\w{99}){99}"}]}), "size limit"),
            (json!({"filter": vec!["lowercase"; 33]}), "an analyzer has 33 filters, the limit is 32"),
            (json!({"type": "x".repeat(MAX_PARAMS_BYTES)}), "the limit is 1048576"),
        ];
        for (params, expected) in cases {
            let error = Analyzer::from_params(Some(&params)).unwrap_err();
            assert!(matches!(error, EngineError::InvalidParameter(_)), "{error}");
            assert!(error.to_string().contains(expected), "{error}\nexpected: {expected}");
        }
        assert!(Analyzer::from_json("{").unwrap_err().to_string().contains("is not JSON"));
    }

    #[test]
    fn defaults_and_strings() {
        for params in ["", " ", "null", "{}", r#"{"type": "standard"}"#, r#"{"filter": ["lowercase"]}"#] {
            assert_eq!(Analyzer::from_json(params).unwrap().analyze("A-b").len(), 2, "{params}");
        }
    }
}
