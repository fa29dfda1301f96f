//! Searching: query vectors, or the keys of stored rows whose vectors are the queries.

use std::time::Instant;

use elanus_engine::exec::GroupBy;
use elanus_engine::limits::MAX_RESULT_WINDOW;
use elanus_engine::row::{OutputValue, Projection};
use elanus_engine::schema::{DataType, Field, Schema};
use elanus_engine::{Collection, QueryVectors, SearchHits, SearchRequest};
use serde_json::value::RawValue;

use super::search_params::{SearchParams, group};
use super::vector;
use super::{Narrowing, check_read, keys};
use crate::body::{Object, bad_json};
use crate::error::{ApiError, code};
use crate::reply::{Envelope, RowsJson};
use crate::rest::call::Call;
use crate::rest::spec;

/// Hits of a search that does not say how many.
const DEFAULT_LIMIT: i64 = 100;

/// Features of Milvus's search that this version lacks: each would change the answer.
const UNSUPPORTED: [&str; 4] = ["functionScore", "orderByFields", "searchAggregation", "functionChains"];

/// What to search with.
enum Queries<'a> {
    Vectors(&'a RawValue),
    Ids(&'a RawValue),
}

/// A search as its body says, before the collection is known.
struct Asked<'a> {
    queries: Queries<'a>,
    field: String,
    limit: usize,
    offset: usize,
    narrowing: Narrowing,
    output_fields: Vec<String>,
    params: SearchParams,
}

/// The nearest rows to each query: one flat list, and how many belong to each.
pub(crate) fn search(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::SEARCH)?;
    let asked = Asked::read(&body)?;
    let collection = call.readable_collection(&body)?;
    let schema = collection.schema();
    let field = vector_field(&schema, &asked.field)?;
    let queries = match asked.queries {
        Queries::Vectors(raw) => read_vectors(field, raw)?,
        Queries::Ids(raw) => stored_vectors(&collection, field, raw)?,
    };
    let projection = Projection::resolve(&schema, &asked.output_fields)?;
    let request = SearchRequest {
        metric: asked.params.metric,
        offset: asked.offset,
        filter: asked.narrowing.filter_of(&collection, &schema, "query")?,
        radius: asked.params.radius,
        range_filter: asked.params.range_filter,
        effort: asked.params.effort,
        drop_ratio: asked.params.drop_ratio,
        group_by: asked.params.group_by.clone(),
        cancel: Some(call.cancel.clone()),
        ..SearchRequest::new(field.name.clone(), queries, asked.limit, projection)
    };
    let started = Instant::now();
    let mut hits = collection.search(&request).map_err(in_milvus_words)?;
    call.searched(&collection, &hits, started.elapsed());
    asked.params.round(&mut hits.scores);
    answer(call, &collection, &hits, asked.params.explain)
}

/// Rows with their scores, and how they were found if that was asked for.
pub(super) fn answer(
    call: &Call<'_>,
    collection: &Collection,
    hits: &SearchHits,
    explain: bool,
) -> Result<Vec<u8>, ApiError> {
    let json = RowsJson { rows: &hits.rows, distances: Some(&hits.scores), form: call.form(collection) };
    let explained = explain.then(|| serde_json::json!({ "searches": hits.explained, "stats": hits.stats }));
    Envelope::new(json).cost().topks(hits.topks.clone()).explain(explained).into_bytes()
}

impl<'a> Asked<'a> {
    fn read(body: &Object<'a>) -> Result<Self, ApiError> {
        let field: String = body.get_or_default("annsField")?;
        let limit = body.get("limit")?.unwrap_or(DEFAULT_LIMIT);
        let offset: i64 = body.get_or_default("offset")?;
        let narrowing = Narrowing::read(body)?;
        let output_fields: Vec<String> = body.get_or_default("outputFields")?;
        let queries = match (body.raw("data"), body.raw("ids")) {
            (Some(data), None) => Queries::Vectors(data),
            (None, Some(ids)) => Queries::Ids(ids),
            (Some(_), Some(_)) => {
                return Err(ApiError::invalid(
                    "primary keys (ids) and query vectors (data) are mutually exclusive: invalid parameter",
                ));
            }
            (None, None) => {
                let message =
                    "either 'ids' (for primary key search) or 'data' (for vector search) must be provided";
                return Err(ApiError { code: code::MISSING_FIELD, ..ApiError::invalid(message) });
            }
        };
        body.refuse(&UNSUPPORTED)?;
        let mut params = SearchParams::read(body)?;
        if let Some(group) = read_group(body)? {
            params.group_by = Some(group);
        }
        check_read(body)?;
        let (limit, offset) = window(limit, offset)?;
        Ok(Self { queries, field, limit, offset, narrowing, output_fields, params })
    }
}

/// The grouping that the body itself names.
pub(super) fn read_group(body: &Object<'_>) -> Result<Option<GroupBy>, ApiError> {
    let field: String = body.get_or_default("groupingField")?;
    let size = body.get("groupSize")?.unwrap_or(1);
    Ok(group(field, size, body.get_or_default("strictGroupSize")?))
}

/// Checks limit and offset in Milvus's words.
pub(super) fn window(limit: i64, offset: i64) -> Result<(usize, usize), ApiError> {
    let max = MAX_RESULT_WINDOW;
    let within = |value: i64, least: usize| usize::try_from(value).ok().filter(|v| (least..=max).contains(v));
    let refusal = |what: &str, least: usize, value: i64| {
        ApiError::invalid(format!(
            "{what} [{value}] is invalid, it should be in range [{least}, {max}], but got {value}: invalid parameter"
        ))
    };
    let size = within(limit, 1).ok_or_else(|| refusal("topk", 1, limit))?;
    let skip = within(offset, 0).ok_or_else(|| refusal("offset", 0, offset))?;
    within(limit.saturating_add(offset), 1)
        .ok_or_else(|| refusal("offset+topk", 1, limit.saturating_add(offset)))?;
    Ok((size, skip))
}

/// The vector field that is named, or the only one.
pub(super) fn vector_field<'s>(schema: &'s Schema, name: &str) -> Result<&'s Field, ApiError> {
    let fields: Vec<&Field> = schema.vector_fields().collect();
    match fields.as_slice() {
        [only] if name.is_empty() => Ok(only),
        several if name.is_empty() => {
            let names: Vec<&str> = several.iter().map(|f| f.name.as_str()).collect();
            Err(bad_json(format!(
                "search without annsField, but already found multiple vector fields: [{},,,]: invalid parameter",
                names.join(", ")
            )))
        }
        all => all
            .iter()
            .copied()
            .find(|field| field.name == name)
            .ok_or_else(|| bad_json(format!("cannot find a vector field: field not found[field={name}]"))),
    }
}

/// Query vectors of the field's kind.
pub(super) fn read_vectors(field: &Field, data: &RawValue) -> Result<QueryVectors, ApiError> {
    let queries: Vec<&RawValue> =
        serde_json::from_str(data.get()).map_err(|e| bad_json(format!("data: {e}")))?;
    check_number_of_queries(queries.len())?;
    let in_words = |reason: String| bad_json(format!("data: {reason}"));
    match field.data_type {
        DataType::SparseFloatVector if queries.iter().all(|query| query.get().starts_with('"')) => {
            let texts = queries.iter().map(|query| crate::body::typed("data", query));
            Ok(QueryVectors::Text(texts.collect::<Result<_, _>>()?))
        }
        DataType::SparseFloatVector => {
            let vectors = queries.iter().map(|query| vector::sparse_bytes(query.get()).map_err(in_words));
            Ok(QueryVectors::Sparse(vectors.collect::<Result<_, _>>()?))
        }
        DataType::BinaryVector => {
            let mut matrix = Vec::new();
            for query in queries {
                let bytes = vector::bits(query.get()).map_err(in_words)?;
                check_dimension(field, bytes.len() * 8, "[]byte")?;
                matrix.extend(bytes);
            }
            Ok(QueryVectors::Binary(matrix))
        }
        data_type => {
            let mut matrix = Vec::with_capacity(queries.len() * field.dim.unwrap_or_default());
            for query in queries {
                let start = matrix.len();
                vector::append_dense(data_type, &mut matrix, query.get()).map_err(in_words)?;
                check_dimension(field, matrix.len() - start, "[]float")?;
            }
            Ok(QueryVectors::Dense(matrix))
        }
    }
}

fn check_dimension(field: &Field, length: usize, kind: &str) -> Result<(), ApiError> {
    let dim = field.dim.unwrap_or_default();
    if length == dim {
        return Ok(());
    }
    Err(bad_json(format!(
        "dimension: {dim}, but length of {kind}: {length}: invalid parameter[expected={}][actual=array of {length} \
         numbers]",
        field.data_type
    )))
}

/// The vectors of stored rows, in the order of their keys.
fn stored_vectors(collection: &Collection, field: &Field, ids: &RawValue) -> Result<QueryVectors, ApiError> {
    let schema = collection.schema();
    let keys = keys::read(schema.primary(), ids)?;
    check_number_of_queries(keys.len())?;
    let projection = Projection::resolve(&schema, &[field.name.as_str()])?;
    let rows = collection.get(&keys, &projection)?;
    if rows.len != keys.len() {
        return Err(ApiError::invalid(format!(
            "{} of the {} ids are of no row: invalid parameter",
            keys.len() - rows.len,
            keys.len()
        )));
    }
    let column = rows.column(&field.name);
    let column =
        column.ok_or_else(|| ApiError::internal("a get without the vectors that it was asked for"))?;
    let (mut dense, mut bits, mut sparse) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..rows.len {
        match column.value(row) {
            OutputValue::Vector(values) | OutputValue::Packed(_, values) => dense.extend_from_slice(values),
            OutputValue::Bits(bytes) => bits.extend_from_slice(bytes),
            OutputValue::Sparse(bytes) => sparse.push(bytes.to_vec()),
            _ => {
                return Err(ApiError::invalid(format!(
                    "a row of the given ids has no vector in field {}: invalid parameter",
                    field.name
                )));
            }
        }
    }
    Ok(match field.data_type {
        DataType::BinaryVector => QueryVectors::Binary(bits),
        DataType::SparseFloatVector => QueryVectors::Sparse(sparse),
        _ => QueryVectors::Dense(dense),
    })
}

fn check_number_of_queries(count: usize) -> Result<(), ApiError> {
    if (1..=MAX_RESULT_WINDOW).contains(&count) {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "nq [{count}] is invalid, nq (number of search vector per search request) should be in range [1, \
         {MAX_RESULT_WINDOW}], but got {count}: invalid parameter"
    )))
}

pub(super) fn in_milvus_words(error: elanus_engine::EngineError) -> ApiError {
    match error {
        elanus_engine::EngineError::InvalidQueryVector(_) => bad_json(error),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use elanus_engine::schema::DataType;

    use super::*;

    fn asked(text: &str) -> Result<(), ApiError> {
        Asked::read(&Object::parse(&spec::SEARCH, text.as_bytes()).unwrap()).map(|_| ())
    }

    #[test]
    fn requests_are_checked_before_the_collection_is_touched() {
        asked(r#"{"data":[[1]],"limit":16384,"outputFields":[],"groupingField":""}"#).unwrap();
        for (text, code, words) in [
            (r#"{}"#, 1802, "either 'ids'"),
            (r#"{"data":[],"ids":[]}"#, 1100, "mutually exclusive"),
            (r#"{"data":[],"limit":0}"#, 1100, "topk [0] is invalid"),
            (r#"{"data":[],"limit":16385}"#, 1100, "topk [16385]"),
            (r#"{"data":[],"offset":-1}"#, 1100, "offset [-1] is invalid"),
            (r#"{"data":[],"offset":16384,"limit":1}"#, 1100, "offset+topk [16385]"),
            (r#"{"data":[],"limit":"5"}"#, 1801, "limit"),
            (r#"{"data":[],"orderByFields":["a"]}"#, 1100, "orderByFields is not supported"),
            (r#"{"data":[],"consistencyLevel":"x"}"#, 1100, "consistencyLevel"),
        ] {
            let error = asked(text).unwrap_err();
            assert!(
                error.code == code && error.message.contains(words),
                "{text}: {} {}",
                error.code,
                error.message
            );
        }
    }

    #[test]
    fn vectors_have_the_dimension_of_the_field() {
        let field = Field::new("v", DataType::FloatVector).dim(2);
        let read = |text: &str| read_vectors(&field, serde_json::from_str(text).unwrap());
        assert_eq!(read("[[1,2],[3,4]]").unwrap(), QueryVectors::Dense(vec![1.0, 2.0, 3.0, 4.0]));
        let error = read("[[1,2],[3]]").unwrap_err();
        assert!(error.code == 1801 && error.message.contains("dimension: 2, but length of []float: 1"));
        for (wrong, code) in
            [("[1,2]", 1801), ("[\"a\"]", 1801), ("{}", 1801), ("[[1,null]]", 1801), ("[]", 1100)]
        {
            assert_eq!(read(wrong).unwrap_err().code, code, "{wrong}");
        }
    }

    #[test]
    fn the_field_may_be_left_out_when_there_is_one() {
        let vector = |name: &str| Field::new(name, DataType::FloatVector).dim(2);
        let key = || Field::new("id", DataType::Int64).primary(true);
        let one = Schema::new(vec![key(), vector("a")], false, "").unwrap();
        let two = Schema::new(vec![key(), vector("a"), vector("b")], false, "").unwrap();
        assert_eq!(vector_field(&one, "").unwrap().name, "a");
        assert_eq!(vector_field(&two, "b").unwrap().name, "b");
        for (schema, name, words) in
            [(&two, "", "multiple vector fields: [a, b,,,]"), (&one, "id", "field not found[field=id]")]
        {
            let error = vector_field(schema, name).unwrap_err();
            assert!(error.code == 1801 && error.message.contains(words), "{}", error.message);
        }
    }
}
