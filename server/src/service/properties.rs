//! Properties of collections: which of those that clients send are kept.

use std::collections::BTreeMap;

use elanus_engine::collection::TTL_PROPERTY;

use crate::error::ApiError;

/// Another name of [`TTL_PROPERTY`].
const TTL_OTHER_NAME: &str = "ttl.seconds";
/// What is kept of a request to create a collection beside the time to live.
const KEPT: [&str; 4] = ["timezone", "mmap.enabled", "partitionkey.isolation", "allow_insert_auto_id"];

/// Of a collection that is to be created.
///
/// # Errors
/// 1100 for a property that would change what reads give and is not there.
pub(crate) fn at_creation(mut given: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, ApiError> {
    if given.contains_key("ttl_field") {
        return Err(ApiError::unsupported("ttl_field"));
    }
    let ttl = [TTL_PROPERTY, TTL_OTHER_NAME].into_iter().find_map(|key| given.remove(key));
    let mut properties: BTreeMap<_, _> =
        given.into_iter().filter(|(key, _)| KEPT.contains(&key.as_str())).collect();
    properties.extend(ttl.map(|seconds| (TTL_PROPERTY.to_owned(), seconds)));
    Ok(properties)
}

/// Of a collection that is to be altered.
///
/// # Errors
/// 1100 when there is none.
pub(crate) fn to_alter(mut given: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, ApiError> {
    if given.is_empty() {
        return Err(ApiError::invalid("properties are empty: invalid parameter"));
    }
    if let Some(seconds) = given.remove(TTL_OTHER_NAME) {
        given.insert(TTL_PROPERTY.to_owned(), seconds);
    }
    Ok(given)
}

/// The number of shards of a collection, which is only told again.
///
/// # Errors
/// 1100 outside of 1 to 16.
pub(crate) fn shards(count: i64) -> Result<u32, ApiError> {
    const MOST: i64 = 16;
    match count {
        n @ 1..=MOST => Ok(u32::try_from(n).unwrap_or(1)),
        n => Err(ApiError::invalid(format!("maximum shards's number should be limited to {MOST}, got {n}"))),
    }
}
