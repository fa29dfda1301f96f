//! Searches: with vectors or the keys of stored rows, and page by page for an iterator.

use bytes::Bytes;
use elanus_engine::collection::DEFAULT_DATABASE;
use elanus_engine::row::moment::Zone;
use elanus_engine::row::{KeyRef, Keys};
use elanus_engine::schema::{DataType, Field, Schema};
use elanus_engine::{Collection, QueryVectors, SearchHits};
use prost::Message as _;

use super::call::Call;
use super::columns::{Shown, columns};
use super::common::{KeyValuePair, PlaceholderGroup, PlaceholderType};
use super::iterator::Iteration;
use super::messages::search_request::SearchInput;
use super::messages::{self, SearchResults};
use super::params::{find, json, merged};
use super::status::success;
use super::wire_schema::SearchResultData;
use super::{keys, templates, time};
use crate::app::App;
use crate::auth::Privilege as P;
use crate::body::{Object, bad_json};
use crate::error::ApiError;
use crate::rest::spec::Request;
use crate::service::index::NESTED;
use crate::service::search::{Search, check_dimension, stored_vectors, vector_field};
use crate::service::search_params::SearchParams;
use crate::service::window::{self, check_number_of_queries};
use crate::service::{Narrowing, zone};

/// What this version lacks: each would change the answer.
const UNSUPPORTED: [&str; 5] =
    ["order_by_fields", "rank_group_scorer", "json_path", "highlight", "time_fields"];

/// The nearest rows to each query.
pub(super) fn search(call: &Call<'_>, request: messages::SearchRequest) -> Result<SearchResults, ApiError> {
    let collection = call.readable(P::Search, &request.db_name, &request.collection_name)?;
    // Some clients say all of it within the JSON `params`.
    let params = merged(&request.search_params);
    check_same_collection(&collection, &params)?;
    let mut iteration = Iteration::read(&call.app().iterators, &params)?;
    let output_fields = request.output_fields.clone();
    let (mut search, input) = read(request)?;
    search.output_fields.clone_from(&output_fields);
    if let Some(iteration) = &mut iteration {
        iteration.prepare(&collection, &mut search)?;
    }
    let shown_in = search.narrowing.zone.clone();
    // The values of the groups are answered, whether they were asked for or not.
    let group = search.params.group_by.as_ref().map(|group| group.field.clone());
    search.output_fields.extend(group.clone());
    let hits = search.run(&call.context, &collection, |field| match input {
        Some(SearchInput::PlaceholderGroup(bytes)) => read_vectors(field, &bytes),
        Some(SearchInput::Ids(ids)) => {
            stored_vectors(&collection, field, &keys::read(collection.schema().primary(), ids)?)
        }
        None => Err(ApiError::invalid("there is nothing to search for: invalid parameter")),
    })?;
    if iteration.is_some() && hits.topks.len() != 1 {
        return Err(ApiError::invalid("an iterator goes through the hits of one query: invalid parameter"));
    }
    let page = iteration.map(|iteration| iteration.page(&hits));
    let mut results = answer(&collection, hits, &output_fields, group.as_deref(), shown_in)?;
    if let Some(data) = &mut results.results {
        data.search_iterator_v2_results = page;
    }
    Ok(results)
}

/// Whether a search in a message is so small that to wake a thread for it would take longer. Who asks does not matter yet.
pub(super) fn is_small(app: &App, database: &str, body: &Bytes) -> bool {
    let decoded = messages::SearchRequest::decode(body.clone()).ok();
    decoded.and_then(|request| sized(app, database, request)).unwrap_or(false)
}

/// None for what cannot be answered anyway.
fn sized(app: &App, database: &str, request: messages::SearchRequest) -> Option<bool> {
    let named = [request.db_name.as_str(), database].into_iter().find(|name| !name.is_empty());
    let collection =
        app.engine.collection_in(named.unwrap_or(DEFAULT_DATABASE), &request.collection_name).ok()?;
    let (search, input) = read(request).ok()?;
    let Some(SearchInput::PlaceholderGroup(bytes)) = input else { return Some(false) };
    let queries = PlaceholderGroup::decode(bytes.as_slice()).ok()?.placeholders.first()?.values.len();
    let schema = collection.schema();
    let field = vector_field(&schema, &search.field).ok()?;
    let wanted = search.limit.saturating_add(search.offset);
    let small = || collection.is_small_search(&field.name, queries, wanted, search.params.effort);
    Some(search.narrowing.is_empty() && search.params.group_by.is_none() && small())
}

/// Refuses a page of an iterator over another collection of the same name.
pub(super) fn check_same_collection(
    collection: &Collection,
    params: &[KeyValuePair],
) -> Result<(), ApiError> {
    let begun = find(params, "collection_id").and_then(|id| id.trim().parse::<u64>().ok()).unwrap_or(0);
    if begun == 0 || begun == collection.id() {
        return Ok(());
    }
    Err(ApiError::invalid(
        "alter alias during search or query iteration, or the collection was made anew: invalid parameter",
    ))
}

/// A search as it is asked for, and what with.
///
/// # Errors
/// 1100.
pub(super) fn read(request: messages::SearchRequest) -> Result<(Search, Option<SearchInput>), ApiError> {
    if request.function_score.is_some() || !request.function_chains.is_empty() {
        return Err(ApiError::unsupported("function_score"));
    }
    if request.search_aggregation.is_some() {
        return Err(ApiError::unsupported("search_aggregation"));
    }
    if request.highlighter.is_some() {
        return Err(ApiError::unsupported("highlighter"));
    }
    let params = &merged(&request.search_params);
    if let Some(name) = UNSUPPORTED.iter().find(|name| find(params, name).is_some_and(|v| !v.is_empty())) {
        return Err(ApiError::unsupported(name));
    }
    let limit = find(params, "topk").or_else(|| find(params, "limit"));
    let limit = limit.map(|text| whole("topk", text)).transpose()?.unwrap_or(0);
    let offset = find(params, "offset").map(|text| whole("offset", text)).transpose()?.unwrap_or(0);
    let (limit, offset) = window::of_search(limit, offset)?;
    let narrowing = Narrowing {
        expression: request.dsl,
        templates: templates::read(request.expr_template_values)?,
        partitions: request.partition_names,
        zone: asked_zone(params)?,
    };
    let field = find(params, "anns_field").unwrap_or_default().to_owned();
    let params = read_params(&request.search_params)?;
    let search = Search { field, limit, offset, narrowing, output_fields: Vec::new(), params };
    Ok((search, request.search_input))
}

/// The zone that moments are to be read and shown in, if one is named.
///
/// # Errors
/// 1100 when there is no such zone.
pub(super) fn asked_zone(params: &[KeyValuePair]) -> Result<Option<Zone>, ApiError> {
    let name = find(params, "timezone").map(str::trim).filter(|name| !name.is_empty());
    let unknown =
        |name| ApiError::invalid(format!("unknown or invalid IANA Time Zone ID: {name}: invalid parameter"));
    name.map(|name| Zone::named(name).ok_or_else(|| unknown(name))).transpose()
}

/// A whole number of the parameters.
///
/// # Errors
/// 1100.
pub(super) fn whole(name: &str, text: &str) -> Result<i64, ApiError> {
    text.trim()
        .parse()
        .map_err(|_| ApiError::invalid(format!("{name} [{text}] is invalid: invalid parameter")))
}

/// The parameters of a search, at either level.
fn read_params(pairs: &[KeyValuePair]) -> Result<SearchParams, ApiError> {
    let mut all = json(pairs);
    // Those that are read elsewhere, or mean nothing here.
    const OTHERS: [&str; 16] = [
        "topk",
        "limit",
        "offset",
        "anns_field",
        "ignore_growing",
        "collection_id",
        "iterator",
        "search_iter_v2",
        "search_iter_batch_size",
        "search_iter_last_bound",
        "search_iter_id",
        "strict_cast",
        "hints",
        "timezone",
        "time_fields",
        "cluster_id",
    ];
    let inner = all.get_mut(NESTED).and_then(serde_json::Value::as_object_mut);
    inner.into_iter().for_each(|inner| inner.retain(|key, _| !OTHERS.contains(&key.as_str())));
    all.retain(|key, _| !OTHERS.contains(&key.as_str()));
    let text = serde_json::Value::Object(all).to_string();
    SearchParams::read_object(&Object::parse(&Request::ANY, text.as_bytes())?)
}

/// Query vectors of the field's kind.
///
/// # Errors
/// 1801 as over REST, which is 1100 here.
pub(super) fn read_vectors(field: &Field, bytes: &[u8]) -> Result<QueryVectors, ApiError> {
    let group = PlaceholderGroup::decode(bytes).map_err(|e| bad_json(format!("placeholder group: {e}")))?;
    let Some(given) = group.placeholders.into_iter().next() else {
        return Err(ApiError::invalid("there is nothing to search for: invalid parameter"));
    };
    check_number_of_queries(given.values.len())?;
    let kind = PlaceholderType::try_from(given.r#type).unwrap_or(PlaceholderType::None);
    let mismatch = || {
        bad_json(format!(
            "vector type must be the same, field {} - type {}, search info type {}: invalid parameter",
            field.name,
            field.data_type,
            kind.as_str_name()
        ))
    };
    match (field.data_type, kind) {
        (DataType::SparseFloatVector, PlaceholderType::VarChar) => {
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| bad_json("a query is no text"));
            Ok(QueryVectors::Text(given.values.into_iter().map(text).collect::<Result<_, _>>()?))
        }
        (DataType::SparseFloatVector, PlaceholderType::SparseFloatVector) => {
            let sorted = |bytes: Vec<u8>| {
                let mut pairs: Vec<(u32, f32)> = elanus_engine::row::sparse::pairs(&bytes).collect();
                if pairs.len() * 8 != bytes.len() {
                    return Err(bad_json("a sparse vector is no list of pairs"));
                }
                pairs.sort_by_key(|pair| pair.0);
                elanus_engine::row::sparse::encode(pairs).map_err(bad_json)
            };
            Ok(QueryVectors::Sparse(given.values.into_iter().map(sorted).collect::<Result<_, _>>()?))
        }
        (DataType::BinaryVector, PlaceholderType::BinaryVector) => {
            given.values.iter().try_for_each(|value| check_dimension(field, value.len() * 8, "[]byte"))?;
            Ok(QueryVectors::Binary(given.values.concat()))
        }
        (data_type, kind) if data_type.is_dense() => {
            let sent = match kind {
                // Plain floats may search vectors of any floating type.
                PlaceholderType::FloatVector if data_type != DataType::Int8Vector => DataType::FloatVector,
                PlaceholderType::Float16Vector => DataType::Float16Vector,
                PlaceholderType::BFloat16Vector => DataType::BFloat16Vector,
                PlaceholderType::Int8Vector => DataType::Int8Vector,
                _ => return Err(mismatch()),
            };
            if sent != DataType::FloatVector && sent != data_type {
                return Err(mismatch());
            }
            let mut matrix = Vec::new();
            for value in &given.values {
                let start = matrix.len();
                if !elanus_engine::row::packed::unpack(sent, value, &mut matrix) {
                    return Err(bad_json("a query vector is no whole number of values"));
                }
                check_dimension(field, matrix.len() - start, "[]float")?;
            }
            Ok(QueryVectors::Dense(matrix))
        }
        _ => Err(mismatch()),
    }
}

/// Hits as clients get them.
///
/// # Errors
/// 65535 when rows have no key, which cannot be.
pub(super) fn answer(
    collection: &Collection,
    hits: SearchHits,
    asked: &[String],
    group: Option<&str>,
    shown_in: Option<Zone>,
) -> Result<SearchResults, ApiError> {
    let schema = collection.schema();
    let mut ids = Keys::empty(schema.primary().data_type);
    for row in 0..hits.rows.len {
        let key: KeyRef<'_> =
            hits.rows.key(row).ok_or_else(|| ApiError::internal("a row was found that has no key"))?;
        ids.push(key);
    }
    let zone = shown_in.unwrap_or_else(|| zone(collection));
    let topks: Vec<i64> = hits.topks.iter().map(|k| i64::try_from(*k).unwrap_or(i64::MAX)).collect();
    let mut fields = columns(&Shown { schema: &schema, zone: &zone, key: true }, hits.rows);
    let grouped = group.and_then(|name| fields.iter().find(|field| field.field_name == name).cloned());
    let names = expanded(&schema, asked);
    let shown = |field: &super::wire_schema::FieldData| field.is_dynamic || names.contains(&field.field_name);
    fields.retain(shown);
    let data = SearchResultData {
        num_queries: i64::try_from(topks.len()).unwrap_or(i64::MAX),
        top_k: topks.iter().copied().max().unwrap_or(0),
        fields_data: fields,
        scores: hits.scores,
        ids: Some(keys::write(ids)),
        topks,
        output_fields: names,
        group_by_field_value: grouped.clone(),
        group_by_field_values: grouped.into_iter().collect(),
        primary_field_name: schema.primary().name.clone(),
        ..SearchResultData::default()
    };
    let collection_name = collection.definition().name.clone();
    Ok(SearchResults {
        status: Some(success()),
        results: Some(data),
        collection_name,
        session_ts: time::now(),
    })
}

/// The names of fields that were asked for, with `*` as what it stands for.
pub(super) fn expanded(schema: &Schema, asked: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in asked {
        match name.as_str() {
            "*" => {
                let shown = schema.fields().iter().filter(|field| !field.function_output);
                names.extend(shown.map(|field| field.name.clone()));
                names.extend(schema.dynamic().then(|| elanus_engine::schema::DYNAMIC_FIELD.to_owned()));
            }
            name => names.push(name.to_owned()),
        }
    }
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}
