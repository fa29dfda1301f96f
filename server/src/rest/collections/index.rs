//! The `indexParams` of a request. Names, types and parameters are kept and echoed; the engine says what they stand
//! for.

use std::collections::BTreeMap;

use elanus_engine::Metric;
use elanus_engine::collection::IndexDefinition;
use elanus_engine::index::INDEX_TYPES;
use elanus_engine::schema::Schema;
use serde_json::value::RawValue;

use crate::body::Object;
use crate::error::ApiError;

/// Index types of other vectors.
const OTHER_TYPES: [&str; 5] =
    ["BIN_FLAT", "BIN_IVF_FLAT", "SPARSE_INVERTED_INDEX", "SPARSE_WAND", "MINHASH_LSH"];

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
    let object = Object::within("IndexParam", raw)?;
    let field: String = object.get_or_default("fieldName")?;
    let name: String = object.get_or_default("indexName")?;
    let metric: String = object.get_or_default("metricType")?;
    let index_type: String = object.get_or_default("indexType")?;
    let mut params = texts(&object.object("params")?);
    let inner_type = params.remove("index_type").unwrap_or_default();
    let inner_metric = params.remove("metric_type").unwrap_or_default();
    let Some((_, definition)) = schema.field(&field) else { return Err(unknown(&field)) };
    if !definition.data_type.is_vector() {
        return Err(ApiError::unsupported(format!("an index on the scalar field {field}")));
    }
    let index_type =
        [index_type, inner_type].into_iter().find(|t| !t.is_empty()).unwrap_or("AUTOINDEX".into());
    check_type(&index_type)?;
    let metric = [metric, inner_metric].into_iter().find(|m| !m.is_empty()).unwrap_or_default();
    Ok(IndexDefinition {
        name: if name.is_empty() { field.clone() } else { name },
        field,
        index_type,
        metric: metric_of(&metric)?.unwrap_or(Metric::Cosine),
        params,
    })
}

/// All stored parameters are text: strings as they are, everything else as its JSON.
fn texts(object: &Object<'_>) -> BTreeMap<String, String> {
    let text = |raw: &RawValue| serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().to_owned());
    object.members().iter().map(|(key, raw)| (key.to_string(), text(raw))).collect()
}

fn check_type(index_type: &str) -> Result<(), ApiError> {
    let upper = index_type.to_ascii_uppercase();
    if INDEX_TYPES.contains(&upper.as_str()) || upper.starts_with("GPU_") {
        return Ok(());
    }
    if OTHER_TYPES.contains(&upper.as_str()) {
        return Err(ApiError::invalid(format!(
            "data type FloatVector can't build with this index {index_type}: invalid parameter"
        )));
    }
    Err(ApiError::invalid(format!(
        "invalid parameter[expected=valid index][actual=invalid index type: {index_type}]"
    )))
}

/// A metric of float vectors; none for an empty name.
///
/// # Errors
/// 1100 in Milvus's words.
pub(super) fn metric_of(name: &str) -> Result<Option<Metric>, ApiError> {
    if name.is_empty() {
        return Ok(None);
    }
    name.parse().map(Some).map_err(|_| {
        ApiError::invalid(format!(
            "float vector index does not support metric type: {name}: invalid parameter[expected=valid index \
             params][actual=invalid index params]"
        ))
    })
}
