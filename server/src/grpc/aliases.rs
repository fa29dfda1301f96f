//! Further names of collections. A right to one name must not open another's collection through an alias: whoever moves
//! an alias needs the right to the collection that it leaves as well.

use super::call::Call;
use super::common::Status;
use super::messages;
use super::status::success;
use crate::auth::Privilege as P;
use crate::error::ApiError;

/// Gives a collection an alias.
pub(super) fn create(call: &Call<'_>, request: messages::CreateAliasRequest) -> Result<Status, ApiError> {
    let database = call.on_collection(P::CreateAlias, &request.db_name, &request.collection_name)?;
    call.app().engine.set_alias(database, &request.collection_name, &request.alias, false)?;
    Ok(success())
}

/// Moves an alias to another collection.
pub(super) fn alter(call: &Call<'_>, request: messages::AlterAliasRequest) -> Result<Status, ApiError> {
    let database = call.on_collection(P::CreateAlias, &request.db_name, &request.collection_name)?;
    call.on_collection(P::CreateAlias, &request.db_name, &request.alias)?;
    call.app().engine.set_alias(database, &request.collection_name, &request.alias, true)?;
    Ok(success())
}

/// Takes an alias away; an unknown one is none already.
pub(super) fn drop(call: &Call<'_>, request: messages::DropAliasRequest) -> Result<Status, ApiError> {
    let database = call.on_database(P::DropAlias, &request.db_name)?;
    call.app().engine.drop_alias(database, &request.alias)?;
    Ok(success())
}

/// What an alias names.
pub(super) fn describe(
    call: &Call<'_>,
    request: messages::DescribeAliasRequest,
) -> Result<messages::DescribeAliasResponse, ApiError> {
    let database = call.on_database(P::DescribeAlias, &request.db_name)?;
    let collection = call.app().engine.alias(database, &request.alias)?;
    let db_name = database.to_owned();
    Ok(messages::DescribeAliasResponse { status: Some(success()), db_name, alias: request.alias, collection })
}

/// Aliases of a database, or of one of its collections.
pub(super) fn list(
    call: &Call<'_>,
    request: messages::ListAliasesRequest,
) -> Result<messages::ListAliasesResponse, ApiError> {
    let database = call.on_collection(P::ListAliases, &request.db_name, &request.collection_name)?;
    let collection = Some(request.collection_name.as_str()).filter(|name| !name.is_empty());
    let aliases = call.app().engine.aliases(database, collection)?;
    let db_name = database.to_owned();
    Ok(messages::ListAliasesResponse {
        status: Some(success()),
        db_name,
        collection_name: request.collection_name,
        aliases: aliases.into_keys().collect(),
    })
}
