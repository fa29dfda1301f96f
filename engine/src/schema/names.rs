//! The naming rule that collections, fields, partitions, aliases and databases share, and the words that no field may be called.

use crate::error::{EngineError, Result};
use crate::limits;

/// Checks a collection name by Milvus's rule: 1 to 255 bytes, a letter or `_` first, then letters, digits, `_`.
///
/// # Errors
/// `InvalidParameter` in Milvus's words.
pub fn check_collection_name(name: &str) -> Result<()> {
    name_fault(name, "collection").map_or(Ok(()), |fault| {
        Err(EngineError::InvalidParameter(format!("Invalid collection name: {name}. {fault}")))
    })
}

/// Checks an alias by the same rule.
///
/// # Errors
/// As [`check_collection_name`].
pub fn check_alias_name(name: &str) -> Result<()> {
    name_fault(name, "collection alias").map_or(Ok(()), |fault| {
        Err(EngineError::InvalidParameter(format!("Invalid collection alias: {name}. {fault}")))
    })
}

/// Checks a database name by the same rule.
///
/// # Errors
/// `InvalidDatabaseName`.
pub fn check_database_name(name: &str) -> Result<()> {
    name_fault(name, "database").map_or(Ok(()), |fault| {
        Err(EngineError::InvalidDatabaseName { name: name.to_owned(), reason: fault })
    })
}

/// Checks a partition name: 1 to 255 bytes, letters, digits, `_` and `-`.
///
/// # Errors
/// `InvalidParameter` in Milvus's words.
pub fn check_partition_name(name: &str) -> Result<()> {
    let fault = if name.is_empty() {
        "the partition name should not be empty"
    } else if name.len() > limits::MAX_NAME_BYTES {
        "the length of a partition name must be less than 255 characters"
    } else if !name.chars().all(|c| c == '_' || c == '-' || c.is_ascii_alphanumeric()) {
        "partition name can only contain numbers, letters and underscores"
    } else {
        return Ok(());
    };
    Err(EngineError::InvalidParameter(format!("Invalid partition name: {name}. {fault}")))
}

/// Checks a field name: the rule of collections, and no word of the filter language.
pub(super) fn check_field_name(name: &str) -> Result<()> {
    let fault = name_fault(name, "field").or_else(|| {
        KEYWORDS
            .contains(&name.to_ascii_lowercase().as_str())
            .then(|| format!("{name} is keyword in milvus."))
    });
    let Some(fault) = fault else { return Ok(()) };
    let reason = format!("Invalid field name: {name}. {fault}");
    Err(EngineError::InvalidFieldName { name: name.to_owned(), reason })
}

fn name_fault(name: &str, what: &str) -> Option<String> {
    let mut chars = name.chars();
    match chars.next() {
        None => return Some(format!("the {what} name should not be empty")),
        Some(c) if !(c == '_' || c.is_ascii_alphabetic()) => {
            return Some(format!("the first character of a {what} name must be an underscore or letter"));
        }
        Some(_) => {}
    }
    if name.len() > limits::MAX_NAME_BYTES {
        return Some(format!("the length of a {what} name must be less than 255 characters"));
    }
    chars
        .any(|c| !(c == '_' || c.is_ascii_alphanumeric()))
        .then(|| format!("{what} name can only contain numbers, letters and underscores"))
}

/// Words of the filter language, which no field may be called (Milvus's list).
const KEYWORDS: [&str; 21] = [
    "$meta",
    "like",
    "exists",
    "and",
    "or",
    "not",
    "in",
    "json_contains",
    "json_contains_all",
    "json_contains_any",
    "array_contains",
    "array_contains_all",
    "array_contains_any",
    "array_length",
    "true",
    "false",
    "text_match",
    "phrase_match",
    "random_sample",
    "null",
    "is",
];
