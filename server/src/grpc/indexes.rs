//! What indexes a collection has. They are built in the background, and searches need not wait for them. A request names
//! an index by its name or by its field, which has one at most unless it holds JSON: then one for each path.

use axum::http::StatusCode;
use elanus_engine::Collection;
use elanus_engine::collection::IndexDefinition;

use super::call::Call;
use super::common::{IndexState, Status};
use super::messages;
use super::params::{flat, pair, texts};
use super::status::success;
use crate::auth::Privilege as P;
use crate::error::{ApiError, code};
use crate::service::index::{Progress, definition, field_of, shown};

/// Numbers of fields are below this, so that no two indexes have one number.
const NUMBERS_OF_FIELDS: i64 = 100_000;

/// Adds an index.
pub(super) fn create(call: &Call<'_>, request: messages::CreateIndexRequest) -> Result<Status, ApiError> {
    let collection = call.collection(P::CreateIndex, &request.db_name, &request.collection_name)?;
    // Type and metric are among the parameters.
    let mut params = flat(request.extra_params);
    let Some(field) = field_of(&collection.schema(), &request.field_name, &mut params) else {
        let message = format!("cannot create index on non-exist field: {}", request.field_name);
        return Err(ApiError::invalid(message));
    };
    collection.create_index(definition(&field, request.index_name, String::new(), String::new(), params)?)?;
    Ok(success())
}

/// Sets and removes properties of an index: how it is held in memory, which has no effect here.
pub(super) fn alter(call: &Call<'_>, request: messages::AlterIndexRequest) -> Result<Status, ApiError> {
    let collection = call.collection(P::CreateIndex, &request.db_name, &request.collection_name)?;
    collection.alter_index(&request.index_name, &texts(request.extra_params), &request.delete_keys)?;
    Ok(success())
}

/// Removes an index; removing an unknown one succeeds.
pub(super) fn drop(call: &Call<'_>, request: messages::DropIndexRequest) -> Result<Status, ApiError> {
    let collection = call.collection(P::DropIndex, &request.db_name, &request.collection_name)?;
    if request.index_name.is_empty() && request.field_name.is_empty() {
        return Err(ApiError::invalid("neither an index nor a field is named: invalid parameter"));
    }
    for index in named(&collection, &request.index_name, &request.field_name) {
        collection.drop_index(&index.name)?;
    }
    Ok(success())
}

/// Indexes in full.
pub(super) fn describe(
    call: &Call<'_>,
    request: messages::DescribeIndexRequest,
) -> Result<messages::DescribeIndexResponse, ApiError> {
    let collection = call.collection(P::IndexDetail, &request.db_name, &request.collection_name)?;
    let indexes = present(&collection, &request.collection_name, &request.index_name, &request.field_name)?;
    Ok(messages::DescribeIndexResponse {
        status: Some(success()),
        index_descriptions: indexes.into_iter().map(|index| description(&collection, index)).collect(),
    })
}

/// The same, for clients that want to know of the rows.
pub(super) fn get_statistics(
    call: &Call<'_>,
    request: messages::GetIndexStatisticsRequest,
) -> Result<messages::GetIndexStatisticsResponse, ApiError> {
    let collection = call.collection(P::IndexDetail, &request.db_name, &request.collection_name)?;
    let indexes = present(&collection, &request.collection_name, &request.index_name, "")?;
    Ok(messages::GetIndexStatisticsResponse {
        status: Some(success()),
        index_descriptions: indexes.into_iter().map(|index| description(&collection, index)).collect(),
    })
}

/// In words how far an index is; of several, the one that is least far.
pub(super) fn get_state(
    call: &Call<'_>,
    request: messages::GetIndexStateRequest,
) -> Result<messages::GetIndexStateResponse, ApiError> {
    let collection = call.collection(P::IndexDetail, &request.db_name, &request.collection_name)?;
    let indexes = present(&collection, &request.collection_name, &request.index_name, &request.field_name)?;
    let (state, fail_reason) = match least(&collection, &indexes) {
        Some(progress) => (state(&progress), progress.failure.unwrap_or_default()),
        None => (IndexState::Finished, String::new()),
    };
    Ok(messages::GetIndexStateResponse { status: Some(success()), state: state.into(), fail_reason })
}

/// In rows how far an index is; of several, the one that is least far.
pub(super) fn get_build_progress(
    call: &Call<'_>,
    request: messages::GetIndexBuildProgressRequest,
) -> Result<messages::GetIndexBuildProgressResponse, ApiError> {
    let collection = call.collection(P::IndexDetail, &request.db_name, &request.collection_name)?;
    let indexes = present(&collection, &request.collection_name, &request.index_name, &request.field_name)?;
    let (indexed, rows) =
        least(&collection, &indexes).map_or((0, 0), |progress| (progress.indexed, progress.rows));
    Ok(messages::GetIndexBuildProgressResponse {
        status: Some(success()),
        indexed_rows: indexed as i64,
        total_rows: rows as i64,
    })
}

/// The indexes that a request means: the one of a name, else the one on a field, else all.
fn named(collection: &Collection, index: &str, field: &str) -> Vec<IndexDefinition> {
    let mut indexes = collection.definition().indexes.clone();
    indexes.retain(|found| match (index, field) {
        ("", "") => true,
        ("", field) => found.field == field,
        (index, _) => found.name == index,
    });
    indexes
}

/// The same where there must be one. `name` is the collection's in the request.
///
/// # Errors
/// 700.
fn present(
    collection: &Collection,
    name: &str,
    index: &str,
    field: &str,
) -> Result<Vec<IndexDefinition>, ApiError> {
    let indexes = named(collection, index, field);
    if indexes.is_empty() {
        let message = format!("index not found[collection={name}]");
        return Err(ApiError::new(code::INDEX_NOT_FOUND, StatusCode::NOT_FOUND, message));
    }
    Ok(indexes)
}

/// How far the index is that is least far; one that cannot be built is not far.
fn least(collection: &Collection, indexes: &[IndexDefinition]) -> Option<Progress> {
    let all = indexes.iter().map(|index| Progress::of(collection, &index.field));
    all.min_by_key(|progress| (progress.failure.is_none(), progress.indexed))
}

fn state(progress: &Progress) -> IndexState {
    match progress.failure {
        Some(_) => IndexState::Failed,
        None if progress.indexed < progress.rows => IndexState::InProgress,
        None => IndexState::Finished,
    }
}

/// The number of an index: that of its collection, followed by that of its field, or of one on a path by its place.
pub(super) fn number(collection: &Collection, index: &IndexDefinition) -> i64 {
    let field = match index.json_path() {
        None => collection.schema().field(&index.field).map_or(0, |(_, field)| field.id),
        Some(_) => {
            let place = collection.definition().indexes.iter().position(|other| other == index);
            NUMBERS_OF_FIELDS / 2 + place.unwrap_or(0) as i64
        }
    };
    (collection.id() as i64).saturating_mul(NUMBERS_OF_FIELDS).saturating_add(field)
}

fn description(collection: &Collection, index: IndexDefinition) -> messages::IndexDescription {
    let progress = Progress::of(collection, &index.field);
    let index_id = number(collection, &index);
    let mut params = vec![pair("index_type", index.index_type)];
    params.extend(index.metric.map(|metric| pair("metric_type", metric.name())));
    params.extend(shown(index.params).map(|(key, value)| pair(key, value)));
    messages::IndexDescription {
        index_name: index.name,
        index_id,
        params,
        field_name: index.field,
        indexed_rows: progress.indexed as i64,
        total_rows: progress.rows as i64,
        state: state(&progress).into(),
        pending_index_rows: (progress.rows - progress.indexed) as i64,
        index_state_fail_reason: progress.failure.unwrap_or_default(),
        min_index_version: 0,
        max_index_version: 0,
    }
}
