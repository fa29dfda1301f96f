//! How analyzers cut texts into words, for people who want to see it.

use std::sync::Arc;

use elanus_engine::Collection;
use elanus_engine::text::{Analyzer, Token, term};

use crate::error::ApiError;

/// Texts of one call at most, and their bytes.
const MOST_TEXTS: usize = 1024;
const MOST_BYTES: usize = 512 << 10;

/// Refuses more text than a person looks at: the answer is many times as long.
///
/// # Errors
/// 1100.
pub(crate) fn check_size(texts: &[String]) -> Result<(), ApiError> {
    let bytes: usize = texts.iter().map(String::len).sum();
    if texts.len() <= MOST_TEXTS && bytes <= MOST_BYTES {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "{} texts of {bytes} bytes are given, at most {MOST_TEXTS} of {MOST_BYTES} can be: invalid parameter",
        texts.len()
    )))
}

/// The analyzer of a field.
///
/// # Errors
/// 1100 when it has none.
pub(crate) fn of_field(collection: &Collection, name: &str) -> Result<Arc<Analyzer>, ApiError> {
    let schema = collection.schema();
    let found = schema.field(name).filter(|(_, field)| field.has_analyzer());
    let (_, field) =
        found.ok_or_else(|| ApiError::invalid(format!("field {name} has no analyzer: invalid parameter")))?;
    Ok(schema.analyzer(field)?)
}

/// The number that full-text search knows a word by.
pub(crate) fn hash(token: &Token) -> u32 {
    term::term_id(&token.text)
}
