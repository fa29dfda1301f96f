//! A search with vectors, or with the vectors of stored rows.

use std::time::Instant;

use elanus_engine::row::{Keys, OutputValue, Projection};
use elanus_engine::schema::{DataType, Field, Schema};
use elanus_engine::{Collection, QueryVectors, SearchHits, SearchRequest};

use super::search_params::SearchParams;
use super::window::check_number_of_queries;
use super::{Context, Narrowing};
use crate::body::bad_json;
use crate::error::ApiError;

/// A search as it is asked for, but for the vectors.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// Vector field; empty: the only one.
    pub(crate) field: String,
    pub(crate) limit: usize,
    pub(crate) offset: usize,
    pub(crate) narrowing: Narrowing,
    pub(crate) output_fields: Vec<String>,
    pub(crate) params: SearchParams,
}

impl Search {
    /// The nearest rows to each query. `queries` reads the vectors for the field.
    ///
    /// # Errors
    /// Whatever is wrong with the request, in Milvus's words.
    pub(crate) fn run(
        &self,
        context: &Context<'_>,
        collection: &Collection,
        queries: impl FnOnce(&Field) -> Result<QueryVectors, ApiError>,
    ) -> Result<SearchHits, ApiError> {
        let schema = collection.schema();
        let field = vector_field(&schema, &self.field)?;
        let projection = Projection::resolve(&schema, &self.output_fields)?;
        let request = self.request(context, collection, &schema, field, queries(field)?, projection)?;
        let started = Instant::now();
        let mut hits = collection.search(&request).map_err(in_milvus_words)?;
        context.searched(collection, &hits, started.elapsed());
        self.params.round(&mut hits.scores);
        Ok(hits)
    }

    /// The engine's request.
    ///
    /// # Errors
    /// 1100 for a filter that cannot be.
    pub(crate) fn request(
        &self,
        context: &Context<'_>,
        collection: &Collection,
        schema: &Schema,
        field: &Field,
        queries: QueryVectors,
        projection: Projection,
    ) -> Result<SearchRequest, ApiError> {
        Ok(SearchRequest {
            metric: self.params.metric,
            offset: self.offset,
            filter: self.narrowing.filter(&context.cancel, collection, schema, "query")?,
            radius: self.params.radius,
            range_filter: self.params.range_filter,
            effort: self.params.effort,
            drop_ratio: self.params.drop_ratio,
            group_by: self.params.group_by.clone(),
            cancel: Some(context.cancel.clone()),
            ..SearchRequest::new(field.name.clone(), queries, self.limit, projection)
        })
    }
}

/// The vector field that is named, or the only one.
///
/// # Errors
/// 1801.
pub(crate) fn vector_field<'s>(schema: &'s Schema, name: &str) -> Result<&'s Field, ApiError> {
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

/// Checks the length of one query vector.
///
/// # Errors
/// 1801 in Milvus's words.
pub(crate) fn check_dimension(field: &Field, length: usize, kind: &str) -> Result<(), ApiError> {
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
///
/// # Errors
/// 1100 for keys of no row, and for rows without a vector.
pub(crate) fn stored_vectors(
    collection: &Collection,
    field: &Field,
    keys: &Keys,
) -> Result<QueryVectors, ApiError> {
    check_number_of_queries(keys.len())?;
    let projection = Projection::resolve(&collection.schema(), &[field.name.as_str()])?;
    let rows = collection.get(keys, &projection)?;
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

/// Milvus's code for query vectors that do not fit.
pub(crate) fn in_milvus_words(error: elanus_engine::EngineError) -> ApiError {
    match error {
        elanus_engine::EngineError::InvalidQueryVector(_) => bad_json(error),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
