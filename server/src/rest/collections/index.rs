//! The `indexParams` of a request. Names, types and parameters are kept and echoed; the engine says what they stand
//! for.

use std::collections::BTreeMap;

use elanus_engine::MetricType;
use elanus_engine::collection::IndexDefinition;
use elanus_engine::schema::{DataType, Field, Schema};
use serde_json::value::RawValue;

use super::field::text_of_param;
use crate::body::Object;
use crate::error::ApiError;
use crate::rest::spec;

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
    let inner_type = params.remove("index_type").unwrap_or_default();
    let inner_metric = params.remove("metric_type").unwrap_or_default();
    let Some((_, definition)) = schema.field(&field) else { return Err(unknown(&field)) };
    let index_type =
        [index_type, inner_type].into_iter().find(|t| !t.is_empty()).unwrap_or("AUTOINDEX".into());
    let metric = [metric, inner_metric].into_iter().find(|m| !m.is_empty()).unwrap_or_default();
    let metric = match definition.data_type.is_vector() {
        true if metric.is_empty() && !index_type.eq_ignore_ascii_case("AUTOINDEX") => {
            return Err(ApiError::invalid(
                "metric type not set for vector index: invalid parameter[expected=valid index params][actual=invalid index \
                 params]",
            ));
        }
        true => Some(metric_of(definition, &metric)?),
        false => None,
    };
    Ok(IndexDefinition {
        name: if name.is_empty() { field.clone() } else { name },
        field,
        index_type,
        metric,
        params,
    })
}

/// All stored parameters are text: strings as they are, everything else as its JSON.
pub(in crate::rest) fn texts(object: &Object<'_>) -> BTreeMap<String, String> {
    object.members().iter().map(|(key, raw)| (key.to_string(), text_of_param(raw))).collect()
}

/// The metric of this name, or the one that the type of the field has without saying.
///
/// # Errors
/// 1100 in Milvus's words.
pub(super) fn metric_of(field: &Field, name: &str) -> Result<MetricType, ApiError> {
    if name.is_empty() {
        let words = field.function_output && field.data_type == DataType::SparseFloatVector;
        return Ok(if words { MetricType::Bm25 } else { MetricType::default_of(field.data_type) });
    }
    let known = name.parse::<MetricType>().ok().filter(|metric| metric.fits(field.data_type));
    known.ok_or_else(|| {
        const TAIL: &str = "invalid parameter[expected=valid index params][actual=invalid index params]";
        ApiError::invalid(match field.data_type {
            DataType::BinaryVector => {
                format!("binary vector index does not support metric type: {name}: {TAIL}")
            }
            DataType::SparseFloatVector => {
                format!("only IP&BM25 is the supported metric type for sparse index: {TAIL}")
            }
            _ => format!("float vector index does not support metric type: {name}: {TAIL}"),
        })
    })
}
