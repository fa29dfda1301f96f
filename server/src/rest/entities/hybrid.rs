//! `hybrid_search`, also called `advanced_search`: several searches whose hits are fused.

use elanus_engine::row::Projection;
use elanus_engine::schema::Schema;
use elanus_engine::{Collection, MetricType, SearchRequest};
use serde_json::value::RawValue;

use super::search::{answer, read_group, read_vectors};
use super::{check_read, narrowing};
use crate::body::Object;
use crate::error::ApiError;
use crate::rest::call::{Call, partitions};
use crate::rest::spec;
use crate::service::hybrid::{Hybrid, fusion};
use crate::service::search::{Search, vector_field};
use crate::service::search_params::SearchParams;
use crate::service::window;

/// Hits of a search that does not say how many.
const DEFAULT_LIMIT: i64 = 100;

/// The rows that several searches find best together.
pub(crate) fn hybrid_search(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::HYBRID_SEARCH)?;
    let searches = body.array("search")?.unwrap_or_default();
    if searches.is_empty() {
        return Err(body.missing("search"));
    }
    body.refuse(&["functionScore"])?;
    let limit = body.get("limit")?.unwrap_or(DEFAULT_LIMIT);
    let (limit, offset) = window::of_query(limit, body.get_or_default("offset")?)?;
    let rerank = body.object("rerank")?;
    let strategy: String = rerank.get_or_default("strategy")?;
    let fusion = fusion(&strategy, &rerank.object("params")?)?;
    let output_fields: Vec<String> = body.get_or_default("outputFields")?;
    let group_by = read_group(&body)?;
    let explain: bool = body.get_or_default("explain")?;
    check_read(&body)?;
    let collection = call.readable_collection(&body)?;
    let schema = collection.schema();
    let named = partitions(&body)?;
    let searches: Result<Vec<SearchRequest>, ApiError> =
        searches.into_iter().map(|raw| one(call, &collection, &schema, &named, raw)).collect();
    let hybrid = Hybrid { fusion, limit, offset, group_by, output_fields };
    let hits = hybrid.run(&call.context, &collection, &schema, searches?)?;
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
        window::of_search(object.get("limit")?.unwrap_or(DEFAULT_LIMIT), object.get_or_default("offset")?)?;
    let mut params = SearchParams::read_object(&object.object("params")?)?;
    let metric: String = object.get_or_default("metricType")?;
    let named: Option<MetricType> = match metric.as_str() {
        "" => None,
        name => Some(name.parse().map_err(|error| ApiError::invalid(format!("{error}: invalid parameter")))?),
    };
    params.metric = params.metric.or(named);
    params.group_by = None;
    let data = object.required("data")?;
    let mut narrowing = narrowing(&object)?;
    narrowing.partitions.extend_from_slice(partitions);
    let search = Search { field: name, limit, offset, narrowing, output_fields: Vec::new(), params };
    let nothing = Projection::resolve::<&str>(schema, &[])?;
    search.request(&call.context, collection, schema, field, read_vectors(field, data)?, nothing)
}
