//! `hybrid_search`, also called `advanced_search`: several searches whose hits are fused.

use std::time::Instant;

use elanus_engine::exec::{Fusion, HybridRequest};
use elanus_engine::row::Projection;
use elanus_engine::schema::Schema;
use elanus_engine::{Collection, MetricType, SearchRequest};
use serde_json::value::RawValue;

use super::read;
use super::search::{answer, in_milvus_words, read_group, read_vectors, vector_field, window};
use super::search_params::SearchParams;
use super::{Narrowing, check_read};
use crate::body::Object;
use crate::error::ApiError;
use crate::rest::call::{Call, partitions};
use crate::rest::number::float_parameter;
use crate::rest::spec;

/// Hits of a search that does not say how many.
const DEFAULT_LIMIT: i64 = 100;
/// Milvus's default for reciprocal rank fusion.
const DEFAULT_K: f64 = 60.0;

/// The rows that several searches find best together.
pub(crate) fn hybrid_search(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::HYBRID_SEARCH)?;
    let searches = body.array("search")?.unwrap_or_default();
    if searches.is_empty() {
        return Err(body.missing("search"));
    }
    body.refuse(&["functionScore"])?;
    let limit = body.get("limit")?.unwrap_or(DEFAULT_LIMIT);
    let (limit, offset) = read::window(limit, body.get_or_default("offset")?)?;
    let fusion = fusion(&body.object("rerank")?)?;
    let output_fields: Vec<String> = body.get_or_default("outputFields")?;
    let group_by = read_group(&body)?;
    let explain: bool = body.get_or_default("explain")?;
    check_read(&body)?;
    let collection = call.readable_collection(&body)?;
    let schema = collection.schema();
    let named = partitions(&body)?;
    let searches: Result<Vec<SearchRequest>, ApiError> =
        searches.into_iter().map(|raw| one(call, &collection, &schema, &named, raw)).collect();
    let request = HybridRequest {
        searches: searches?,
        fusion,
        limit,
        offset,
        group_by,
        projection: Projection::resolve(&schema, &output_fields)?,
    };
    let started = Instant::now();
    let hits = collection.hybrid_search(&request).map_err(in_milvus_words)?;
    call.searched(&collection, &hits, started.elapsed());
    answer(call, &collection, &hits, explain)
}

/// One of the searches. Its parameters are under `params`.
fn one(
    call: &Call<'_>,
    collection: &Collection,
    schema: &Schema,
    partitions: &[String],
    raw: &RawValue,
) -> Result<SearchRequest, ApiError> {
    let object = Object::within(&spec::SUB_SEARCH, raw)?;
    object.refuse(&["ids"])?;
    let name: String = object.get_or_default("annsField")?;
    let field = vector_field(schema, &name)?;
    let (limit, offset) =
        window(object.get("limit")?.unwrap_or(DEFAULT_LIMIT), object.get_or_default("offset")?)?;
    let params = SearchParams::read_object(&object.object("params")?)?;
    let metric: String = object.get_or_default("metricType")?;
    let named: Option<MetricType> = match metric.as_str() {
        "" => None,
        name => Some(name.parse().map_err(|error| ApiError::invalid(format!("{error}: invalid parameter")))?),
    };
    let data = object.required("data")?;
    let mut narrowing = Narrowing::read(&object)?;
    narrowing.partitions.extend_from_slice(partitions);
    let projection = Projection::resolve::<&str>(schema, &[])?;
    Ok(SearchRequest {
        metric: params.metric.or(named),
        offset,
        filter: narrowing.filter_of(collection, schema, "query")?,
        radius: params.radius,
        range_filter: params.range_filter,
        effort: params.effort,
        drop_ratio: params.drop_ratio,
        cancel: Some(call.cancel.clone()),
        ..SearchRequest::new(field.name.clone(), read_vectors(field, data)?, limit, projection)
    })
}

/// The `rerank` of a request; reciprocal rank fusion when there is none.
fn fusion(rerank: &Object<'_>) -> Result<Fusion, ApiError> {
    let strategy: String = rerank.get_or_default("strategy")?;
    let params = rerank.object("params")?;
    match strategy.as_str() {
        "" | "rrf" => {
            let k = params.raw("k").map(|raw| float_parameter("k", raw)).transpose()?;
            Ok(Fusion::Rrf { k: k.unwrap_or(DEFAULT_K) as f32 })
        }
        "weighted" => {
            let weights: Option<Vec<f32>> = params.get("weights")?;
            let weights = weights.ok_or_else(|| ApiError::invalid("weights not found in rank_params"))?;
            let normalized = params.get_or_default("norm_score")?;
            Ok(Fusion::Weighted { weights, normalized })
        }
        other => Err(ApiError::invalid(format!("unsupported rank type {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::spec::Request;

    fn read(text: &str) -> Result<Fusion, ApiError> {
        fusion(&Object::parse(&Request::ANY, text.as_bytes()).unwrap())
    }

    #[test]
    fn strategies_are_read() {
        assert_eq!(read("{}").unwrap(), Fusion::Rrf { k: 60.0 });
        assert_eq!(read(r#"{"strategy":"rrf","params":{"k":7}}"#).unwrap(), Fusion::Rrf { k: 7.0 });
        assert_eq!(
            read(r#"{"strategy":"weighted","params":{"weights":[0.5,1],"norm_score":true}}"#).unwrap(),
            Fusion::Weighted { weights: vec![0.5, 1.0], normalized: true }
        );
        for (text, words) in [
            (r#"{"strategy":"max"}"#, "unsupported rank type max"),
            (r#"{"strategy":"weighted"}"#, "weights not found"),
            (r#"{"params":{"k":"x"}}"#, "k must be a number"),
        ] {
            assert!(read(text).unwrap_err().message.contains(words), "{text}");
        }
    }
}
