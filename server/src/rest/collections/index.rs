//! The `indexParams` of a request. Names, types and parameters are kept and echoed; the engine says what they stand
//! for.

use std::collections::BTreeMap;

use elanus_engine::collection::IndexDefinition;
use elanus_engine::schema::Schema;
use serde_json::value::RawValue;

use super::field::text_of_param;
use crate::body::Object;
use crate::error::ApiError;
use crate::rest::spec;
use crate::service::index::{definition, field_of};

/// The indexes that a request asks for, one a field. `unknown` says that there is no such field.
pub(in crate::rest) fn read_indexes(
    body: &Object<'_>,
    schema: &Schema,
    unknown: fn(&str) -> ApiError,
) -> Result<Vec<IndexDefinition>, ApiError> {
    let raws = body.array("indexParams")?.unwrap_or_default();
    raws.into_iter().map(|raw| read_index(raw, schema, unknown)).collect()
}

fn read_index(
    raw: &RawValue,
    schema: &Schema,
    unknown: fn(&str) -> ApiError,
) -> Result<IndexDefinition, ApiError> {
    let object = Object::within(&spec::INDEX_PARAM, raw)?;
    let field: String = object.get_or_default("fieldName")?;
    let name: String = object.get_or_default("indexName")?;
    let metric: String = object.get_or_default("metricType")?;
    let index_type: String = object.get_or_default("indexType")?;
    let mut params = texts(&object.object("params")?);
    let Some(field) = field_of(schema, &field, &mut params) else { return Err(unknown(&field)) };
    definition(&field, name, index_type, metric, params)
}

/// All stored parameters are text: strings as they are, everything else as its JSON.
pub(in crate::rest) fn texts(object: &Object<'_>) -> BTreeMap<String, String> {
    object.members().iter().map(|(key, raw)| (key.to_string(), text_of_param(raw))).collect()
}
