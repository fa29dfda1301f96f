//! Finding images that look alike: the query is a new image or the id of a stored one, the answer is rows of the
//! collection with their distances.

use std::sync::Arc;

use bytes::Bytes;
use elanus_engine::row::{ColumnData, Projection, Rows};
use elanus_engine::schema::{DYNAMIC_FIELD, Schema};
use elanus_engine::{Filter, MetricType, SearchRequest};

use super::layout::{HEIGHT, NAME, SHA256, WIDTH};
use super::{ImageCollection, ImageService, Purpose};
use crate::app::blocking;
use crate::error::ApiError;

/// What results should look like.
#[derive(Debug, Clone)]
pub(crate) enum Query {
    /// A file that is not stored.
    File(Bytes),
    /// A stored image, which is found too, as the nearest to itself.
    Id(String),
}

/// One search.
#[derive(Debug, Clone)]
pub(crate) struct SimilarRequest {
    /// The example.
    pub(crate) query: Query,
    /// Most results.
    pub(crate) limit: usize,
    /// Nearest results to skip.
    pub(crate) offset: usize,
    /// Which rows may be results, in Milvus's filter language.
    pub(crate) filter: Option<String>,
    /// Fields of the results; none: every scalar field.
    pub(crate) output_fields: Option<Vec<String>>,
}

/// Results of one search, nearest first.
#[derive(Debug)]
pub(crate) struct Similar {
    /// Where they are.
    pub(crate) collection: Arc<ImageCollection>,
    /// Their fields; always with the content hash.
    pub(crate) rows: Rows,
    /// Their distances, as Milvus gives them.
    pub(crate) distances: Vec<f32>,
    /// What the distances are: cosines, products, or squared lengths.
    pub(crate) metric: MetricType,
}

impl ImageService {
    /// Searches a collection.
    ///
    /// # Errors
    /// 404 for an unknown collection or id, 409 for another model's vectors, 400 for a bad filter, field or window, 503 for
    /// a file when the collection's reduction is lost, and why a file gives no image.
    pub(crate) async fn similar(
        self: &Arc<Self>,
        name: &str,
        request: SimilarRequest,
    ) -> Result<Similar, ApiError> {
        let (service, name) = (Arc::clone(self), name.to_owned());
        let by_file = matches!(request.query, Query::File(_));
        let open = move || {
            let collection = service.open(&name, Purpose::Embed)?;
            // Stored vectors need none.
            let reduction = if by_file { service.reduction(&collection)? } else { None };
            Ok((collection, reduction))
        };
        // Whatever is wrong with the collection is said before the work of embedding.
        let (collection, reduction) = blocking(open).await?;
        let vector = match &request.query {
            Query::File(bytes) => Some(self.vector(bytes.clone(), collection.descriptor()?).await?),
            Query::Id(_) => None,
        };
        let vector = match (reduction, vector) {
            (Some(reduction), Some(vector)) => Some(reduction.apply(&vector)?),
            (_, vector) => vector,
        };
        blocking(move || search(collection, request, vector)).await
    }
}

fn search(
    collection: Arc<ImageCollection>,
    request: SimilarRequest,
    vector: Option<Vec<f32>>,
) -> Result<Similar, ApiError> {
    let schema = collection.rows.schema();
    let queries = match (&request.query, vector) {
        (Query::Id(id), _) => stored_vector(&collection, id)?,
        (Query::File(_), vector) => vector.ok_or_else(|| ApiError::internal("a search without a vector"))?,
    };
    let filter = request.filter.filter(|filter| !filter.trim().is_empty());
    let filter = filter.map(|expression| Filter::compile(&expression, &schema)).transpose()?;
    let projection = projection(&schema, request.output_fields.as_deref())?;
    let hits = collection.rows.search(&SearchRequest {
        offset: request.offset,
        filter,
        ..SearchRequest::new(collection.layout.vector_name(), queries, request.limit, projection)
    })?;
    let metric =
        collection.rows.definition().metric(collection.layout.vector_name()).unwrap_or(MetricType::Cosine);
    Ok(Similar { rows: hits.rows, distances: hits.scores, metric, collection })
}

/// The fields of an answer: those asked for, or every scalar one; and what links and lists need.
///
/// # Errors
/// For a name that is no field.
pub(crate) fn projection(schema: &Schema, asked: Option<&[String]>) -> Result<Projection, ApiError> {
    let mut names: Vec<&str> = vec![NAME, SHA256, WIDTH, HEIGHT];
    match asked {
        Some(asked) => names.extend(asked.iter().map(String::as_str)),
        None => {
            names
                .extend(schema.fields().iter().filter(|f| !f.data_type.is_vector()).map(|f| f.name.as_str()));
            if schema.dynamic() {
                names.push(DYNAMIC_FIELD);
            }
        }
    }
    Ok(Projection::resolve(schema, &names)?)
}

fn stored_vector(collection: &ImageCollection, id: &str) -> Result<Vec<f32>, ApiError> {
    let key = collection.parse_key(id)?;
    let name = collection.layout.vector_name();
    let rows = collection.row(&key, &[name])?.ok_or_else(|| collection.no_such_image(&key))?;
    match rows.column(name).map(|column| &column.data) {
        Some(ColumnData::Vector { values, .. }) => Ok(values.clone()),
        _ => Err(ApiError::internal("an image without a vector")),
    }
}
