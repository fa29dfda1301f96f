//! Several searches whose hits are fused.

use elanus_engine::SearchRequest;
use elanus_engine::row::Projection;
use serde_json::Value;

use super::call::Call;
use super::messages::search_request::SearchInput;
use super::messages::{self, SearchResults};
use super::params::{find, is_true, json};
use super::search::{self, answer, asked_zone, read_vectors, whole};
use crate::auth::Privilege as P;
use crate::body::Object;
use crate::error::ApiError;
use crate::rest::spec::Request;
use crate::service::hybrid::{Hybrid, fusion};
use crate::service::search::vector_field;
use crate::service::search_params::group;
use crate::service::window;

/// The rows that several searches find best together.
pub(super) fn hybrid_search(
    call: &Call<'_>,
    mut request: messages::HybridSearchRequest,
) -> Result<SearchResults, ApiError> {
    let collection = call.readable(P::Search, &request.db_name, &request.collection_name)?;
    let searches = std::mem::take(&mut request.requests);
    let partitions = std::mem::take(&mut request.partition_names);
    let hybrid = read(&request)?;
    let group = hybrid.group_by.as_ref().map(|group| group.field.clone());
    let schema = collection.schema();
    let one = |request: messages::SearchRequest| -> Result<SearchRequest, ApiError> {
        let (mut search, input) = search::read(request)?;
        search.params.group_by = None;
        // Clients also send the offset of the whole with each search: hits are skipped after they were fused.
        search.offset = 0;
        search.narrowing.partitions.extend_from_slice(&partitions);
        let field = vector_field(&schema, &search.field)?;
        let Some(SearchInput::PlaceholderGroup(bytes)) = input else {
            return Err(ApiError::unsupported("ids in a hybrid search"));
        };
        let nothing = Projection::resolve::<&str>(&schema, &[])?;
        search.request(&call.context, &collection, &schema, field, read_vectors(field, &bytes)?, nothing)
    };
    let searches = searches.into_iter().map(one).collect::<Result<_, _>>()?;
    let hits = hybrid.run(&call.context, &collection, &schema, searches)?;
    answer(&collection, hits, &request.output_fields, group.as_deref(), asked_zone(&request.rank_params)?)
}

/// What is asked of all searches together.
fn read(request: &messages::HybridSearchRequest) -> Result<Hybrid, ApiError> {
    if !request.function_chains.is_empty() {
        return Err(ApiError::unsupported("function_chains"));
    }
    let params = &request.rank_params;
    let number = |name: &str| find(params, name).map(|text| whole(name, text)).transpose();
    let (limit, offset) = window::of_query(number("limit")?.unwrap_or(0), number("offset")?.unwrap_or(0))?;
    let group = group(
        find(params, "group_by_field").unwrap_or_default().to_owned(),
        number("group_size")?.unwrap_or(1),
        is_true(params, "strict_group_size"),
    );
    if find(params, "rank_group_scorer").is_some_and(|scorer| !scorer.is_empty() && scorer != "max") {
        return Err(ApiError::unsupported("a rank_group_scorer other than max"));
    }
    let (strategy, params) = strategy(request)?;
    let text = params.to_string();
    let fusion = fusion(&strategy, &Object::parse(&Request::ANY, text.as_bytes())?)?;
    let mut output_fields = request.output_fields.clone();
    output_fields.extend(group.as_ref().map(|group| group.field.clone()));
    Ok(Hybrid { fusion, limit, offset, group_by: group, output_fields })
}

/// The strategy of the ranker and its parameters: in the parameters, or as a function.
fn strategy(request: &messages::HybridSearchRequest) -> Result<(String, Value), ApiError> {
    let Some(score) = &request.function_score else {
        let strategy = find(&request.rank_params, "strategy").unwrap_or_default().to_owned();
        let all = json(&request.rank_params);
        let params = all.get("params").cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        return Ok((strategy, params));
    };
    let [function] = score.functions.as_slice() else {
        return Err(ApiError::unsupported("a function_score of several functions"));
    };
    let all = json(&function.params);
    let strategy = all.get("reranker").and_then(Value::as_str).unwrap_or_default().to_owned();
    // Flags come as text.
    let typed = |(key, value): (&String, &Value)| {
        let value = match value.as_str().map(str::to_ascii_lowercase).as_deref() {
            Some("true") => Value::Bool(true),
            Some("false") => Value::Bool(false),
            _ => value.clone(),
        };
        (key.clone(), value)
    };
    let params = all.iter().filter(|(key, _)| *key != "reranker").map(typed).collect();
    Ok((strategy, Value::Object(params)))
}
