//! Searching: query vectors, or the keys of stored rows whose vectors are the queries.

use elanus_engine::exec::GroupBy;
use elanus_engine::schema::{DataType, Field};
use elanus_engine::{Collection, QueryVectors, SearchHits};
use serde_json::value::RawValue;

use super::vector;
use super::{check_read, keys, narrowing};
use crate::body::{Object, bad_json};
use crate::error::{ApiError, code};
use crate::reply::{Envelope, RowsJson};
use crate::rest::call::Call;
use crate::rest::spec;
use crate::service::search::{Search, check_dimension, stored_vectors};
use crate::service::search_params::{SearchParams, group};
use crate::service::window::{self, check_number_of_queries};

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
    search: Search,
}

/// The nearest rows to each query: one flat list, and how many belong to each.
pub(crate) fn search(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::SEARCH)?;
    let Asked { queries, search } = Asked::read(&body)?;
    let collection = call.readable_collection(&body)?;
    let hits = search.run(&call.context, &collection, |field| match queries {
        Queries::Vectors(raw) => read_vectors(field, raw),
        Queries::Ids(raw) => {
            stored_vectors(&collection, field, &keys::read(collection.schema().primary(), raw)?)
        }
    })?;
    answer(call, &collection, &hits, search.params.explain)
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
        let narrowing = narrowing(body)?;
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
        let (limit, offset) = window::of_search(limit, offset)?;
        let search = Search { field, limit, offset, narrowing, output_fields, params };
        Ok(Self { queries, search })
    }
}

/// The grouping that the body itself names.
pub(super) fn read_group(body: &Object<'_>) -> Result<Option<GroupBy>, ApiError> {
    let field: String = body.get_or_default("groupingField")?;
    let size = body.get("groupSize")?.unwrap_or(1);
    Ok(group(field, size, body.get_or_default("strictGroupSize")?))
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
}
