//! Groups of collections with names of their own. When the default one was made is not kept.

use super::call::Call;
use super::common::Status;
use super::messages;
use super::params::{pair, texts};
use super::status::success;
use super::time;
use crate::auth::Privilege as P;
use crate::error::ApiError;

/// Adds a database.
pub(super) fn create(call: &Call<'_>, request: messages::CreateDatabaseRequest) -> Result<Status, ApiError> {
    call.on_cluster(P::CreateDatabase)?;
    call.app().engine.create_database(&request.db_name, texts(request.properties))?;
    Ok(success())
}

/// Removes an empty database; dropping an unknown one succeeds.
pub(super) fn drop(call: &Call<'_>, request: messages::DropDatabaseRequest) -> Result<Status, ApiError> {
    call.on_cluster(P::DropDatabase)?;
    call.app().engine.drop_database(&request.db_name)?;
    Ok(success())
}

/// Names and numbers of all databases.
pub(super) fn list(
    call: &Call<'_>,
    _: messages::ListDatabasesRequest,
) -> Result<messages::ListDatabasesResponse, ApiError> {
    call.on_cluster(P::ListDatabases)?;
    let databases = call.app().engine.databases();
    Ok(messages::ListDatabasesResponse {
        status: Some(success()),
        created_timestamp: databases.values().map(|database| time::of_ms(database.created_ms)).collect(),
        db_ids: databases.values().map(|database| database.id as i64).collect(),
        db_names: databases.into_keys().collect(),
    })
}

/// A database in full.
pub(super) fn describe(
    call: &Call<'_>,
    request: messages::DescribeDatabaseRequest,
) -> Result<messages::DescribeDatabaseResponse, ApiError> {
    let name = call.on_database(P::DescribeDatabase, &request.db_name)?;
    let engine = &call.app().engine;
    engine.check_database(name)?;
    let database = engine.databases().remove(name).unwrap_or_default();
    Ok(messages::DescribeDatabaseResponse {
        status: Some(success()),
        db_name: name.to_owned(),
        db_id: database.id as i64,
        created_timestamp: time::of_ms(database.created_ms),
        properties: database.properties.into_iter().map(|(key, value)| pair(key, value)).collect(),
    })
}

/// Sets and removes properties.
pub(super) fn alter(call: &Call<'_>, request: messages::AlterDatabaseRequest) -> Result<Status, ApiError> {
    let name = call.on_database(P::AlterDatabase, &request.db_name)?;
    call.app().engine.alter_database(name, texts(request.properties), &request.delete_keys)?;
    Ok(success())
}
