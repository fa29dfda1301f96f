//! Indexes of collections: what a request asks for, and how far one is.

use std::collections::BTreeMap;

use elanus_engine::collection::{IndexDefinition, IndexState};
use elanus_engine::schema::{DYNAMIC_FIELD, DataType, Field, Schema};
use elanus_engine::{Collection, MetricType};
use serde_json::{Map, Value};

use crate::error::ApiError;

/// The field that an index is asked for on. A key that is not declared is a path in the field that holds such keys, where
/// the parameters say that JSON is meant; none where there is no such field.
pub(crate) fn field_of(schema: &Schema, name: &str, params: &mut BTreeMap<String, String>) -> Option<Field> {
    if let Some((_, field)) = schema.field(name) {
        return Some(field.clone());
    }
    let of_json = params.contains_key("json_path") || params.contains_key("json_cast_type");
    (schema.dynamic() && of_json).then(|| {
        params.entry("json_path".to_owned()).or_insert_with(|| name.to_owned());
        Field::new(DYNAMIC_FIELD, DataType::Json)
    })
}

/// An index on a field as a request asks for it. Type and metric may also be among the parameters; an index without a
/// name is named like the field, or the path in it.
///
/// # Errors
/// 1100 for a metric that is missing or does not fit.
pub(crate) fn definition(
    field: &Field,
    name: String,
    index_type: String,
    metric: String,
    mut params: BTreeMap<String, String>,
) -> Result<IndexDefinition, ApiError> {
    let inner_type = params.remove("index_type").unwrap_or_default();
    let inner_metric = params.remove("metric_type").unwrap_or_default();
    let index_type =
        [index_type, inner_type].into_iter().find(|t| !t.is_empty()).unwrap_or("AUTOINDEX".into());
    let metric = [metric, inner_metric].into_iter().find(|m| !m.is_empty()).unwrap_or_default();
    let metric = match field.data_type.is_vector() {
        true if metric.is_empty() && !index_type.eq_ignore_ascii_case("AUTOINDEX") => {
            return Err(ApiError::invalid(
                "metric type not set for vector index: invalid parameter[expected=valid index params][actual=invalid index \
                 params]",
            ));
        }
        true => Some(metric_of(field, &metric)?),
        false => None,
    };
    let name = match name.is_empty() {
        true => params.get("json_path").unwrap_or(&field.name).clone(),
        false => name,
    };
    Ok(IndexDefinition { name, field: field.name.clone(), index_type, metric, params })
}

/// The metric of this name, or the one that the type of the field has without saying.
///
/// # Errors
/// 1100 in Milvus's words.
pub(crate) fn metric_of(field: &Field, name: &str) -> Result<MetricType, ApiError> {
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

/// The parameter in which some clients send all others as one JSON object, and in which they look for them.
pub(crate) const NESTED: &str = "params";

/// The parameters of an index as they were sent: those within [`NESTED`] are not shown beside it.
pub(crate) fn shown(params: BTreeMap<String, String>) -> impl Iterator<Item = (String, String)> {
    let nested = params.get(NESTED).and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
    let nested = nested.unwrap_or_default();
    params.into_iter().filter(move |(key, _)| !nested.contains_key(key))
}

/// How far an index is.
pub(crate) struct Progress {
    pub(crate) rows: u64,
    pub(crate) indexed: u64,
    /// Why it is not built further, if so.
    pub(crate) failure: Option<String>,
    /// What the index type stands for here.
    pub(crate) built_as: &'static str,
}

impl Progress {
    /// Of the index on a field.
    pub(crate) fn of(collection: &Collection, field: &str) -> Self {
        let state: Option<IndexState> = collection.index_state(field);
        let rows = collection.count();
        let indexed = state.as_ref().map_or(rows, |state| state.indexed_rows).min(rows);
        let failure = state.as_ref().and_then(|state| state.failure.clone()).filter(|_| indexed < rows);
        Self { rows, indexed, failure, built_as: state.map_or("FLAT", |state| state.kind) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_parameters_are_shown_as_they_were_sent() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let nested = BTreeMap::from([pair("params", r#"{"M":16}"#), pair("M", "16"), pair("x", "y")]);
        let names = |params| shown(params).map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!(names(nested), ["params", "x"]);
        assert_eq!(names(BTreeMap::from([pair("M", "16")])), ["M"]);
    }
}
