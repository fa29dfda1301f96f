//! Making, changing, describing and dropping collections.

use std::sync::Arc;

use elanus_engine::catalog::qualified;
use elanus_engine::schema::check_collection_name;
use elanus_engine::{Collection, Definition, EngineError};
use prost::Message;

use super::call::Call;
use super::common::{ConsistencyLevel, Status};
use super::messages::alter_collection_schema_request::FieldInfo;
use super::messages::alter_collection_schema_request::action::Op;
use super::messages::alter_collection_schema_request::drop_request::Identifier;
use super::messages::{self, BoolResponse, DescribeCollectionResponse, ShowCollectionsResponse};
use super::params::{pair, texts};
use super::schema;
use super::status::{failure, success};
use super::time;
use super::wire_schema::{CollectionSchema, FieldSchema};
use crate::auth::Privilege as P;
use crate::error::ApiError;
use crate::service::properties;

/// Collections that are described at once (ours).
const MOST_DESCRIBED: usize = 1024;

/// Creates a collection; creating the same one again succeeds.
pub(super) fn create(
    call: &Call<'_>,
    request: messages::CreateCollectionRequest,
) -> Result<Status, ApiError> {
    let database = call.on_database(P::CreateCollection, &request.db_name)?;
    let level = ConsistencyLevel::try_from(request.consistency_level).unwrap_or(ConsistencyLevel::Bounded);
    let given: CollectionSchema = decoded(request.schema.as_slice())?;
    let mut all = texts(request.properties);
    all.extend(texts(given.properties.clone()));
    let partitions = match request.num_partitions {
        0 => None,
        // A negative number is out of range like one that is too large.
        n => Some(usize::try_from(n).unwrap_or(usize::MAX)),
    };
    let mut definition = Definition::new(request.collection_name, schema::read(given)?);
    definition.database = database.to_owned();
    definition.consistency = level.as_str_name().to_owned();
    definition.shards = properties::shards(i64::from(request.shards_num.max(1)))?;
    definition.properties = properties::at_creation(all)?;
    definition.partitions_num = partitions;
    definition.loaded = false;
    call.app().engine.create(definition)?;
    Ok(success())
}

/// A message within a message.
fn decoded<M: Message + Default>(bytes: &[u8]) -> Result<M, ApiError> {
    M::decode(bytes)
        .map_err(|error| ApiError::invalid(format!("the schema cannot be read: {error}: invalid parameter")))
}

/// Drops a collection; dropping an unknown one succeeds.
pub(super) fn drop(call: &Call<'_>, request: messages::DropCollectionRequest) -> Result<Status, ApiError> {
    let name = &request.collection_name;
    let database = call.on_collection(P::DropCollection, &request.db_name, name)?;
    if !name.contains('/') {
        call.app().engine.drop_collection(&qualified(database, name))?;
        call.app().metrics.forget_dropped(&call.app().engine);
    }
    Ok(success())
}

/// Whether there is a collection; one that is out of service is there, and so is one under an alias.
pub(super) fn has(
    call: &Call<'_>,
    request: messages::HasCollectionRequest,
) -> Result<BoolResponse, ApiError> {
    let name = &request.collection_name;
    let database = call.on_collection(P::DescribeCollection, &request.db_name, name)?;
    let found = call.app().engine.collection_in(database, name);
    let value = !matches!(found, Err(EngineError::CollectionNotFound { .. }));
    Ok(BoolResponse { status: Some(success()), value })
}

/// Describes a collection, by name, alias or number.
pub(super) fn describe(
    call: &Call<'_>,
    request: messages::DescribeCollectionRequest,
) -> Result<DescribeCollectionResponse, ApiError> {
    let messages::DescribeCollectionRequest { db_name, collection_name, collection_id, .. } = request;
    let collection =
        call.collection_or_number(P::DescribeCollection, &db_name, &collection_name, collection_id)?;
    description(call, &collection)
}

/// Describes several, each with a status of its own.
pub(super) fn describe_several(
    call: &Call<'_>,
    request: messages::BatchDescribeCollectionRequest,
) -> Result<messages::BatchDescribeCollectionResponse, ApiError> {
    let asked = request.collection_name.len().max(request.collection_id.len());
    if asked > MOST_DESCRIBED {
        return Err(ApiError::invalid(format!(
            "{asked} collections are named, at most {MOST_DESCRIBED} can be: invalid parameter"
        )));
    }
    let of = |name: &str, number: i64| {
        let found = call.collection_or_number(P::DescribeCollection, &request.db_name, name, number);
        match found.and_then(|collection| description(call, &collection)) {
            Err(error) if error.status == axum::http::StatusCode::FORBIDDEN => Err(error),
            Err(error) => Ok(DescribeCollectionResponse {
                status: Some(failure(&error)),
                collection_name: name.to_owned(),
                ..DescribeCollectionResponse::default()
            }),
            described => described,
        }
    };
    let responses = match request.collection_name.is_empty() {
        true => request.collection_id.iter().map(|number| of("", *number)).collect::<Result<_, _>>()?,
        false => request.collection_name.iter().map(|name| of(name, 0)).collect::<Result<_, _>>()?,
    };
    Ok(messages::BatchDescribeCollectionResponse { status: Some(success()), responses })
}

fn description(
    call: &Call<'_>,
    collection: &Arc<Collection>,
) -> Result<DescribeCollectionResponse, ApiError> {
    let definition = collection.definition();
    let aliases = call.app().engine.aliases(&definition.database, Some(&definition.name))?;
    let database_id = call.app().engine.databases().get(&definition.database).map_or(1, |db| db.id);
    let id = i64::try_from(collection.id()).unwrap_or(i64::MAX);
    let version = schema::version(&definition.schema);
    let mut properties: Vec<_> = definition.properties.iter().map(|(key, value)| pair(key, value)).collect();
    if !definition.properties.contains_key("timezone") {
        properties.push(pair("timezone", "UTC"));
    }
    let shards = i32::try_from(definition.shards).unwrap_or(1);
    let channel = |kind: &str| {
        (0..shards).map(|shard| format!("by-dev-rootcoord-dml_{shard}{kind}")).collect::<Vec<_>>()
    };
    Ok(DescribeCollectionResponse {
        status: Some(success()),
        schema: Some(schema::write(&definition.name, &definition.schema, &definition.properties)),
        collection_id: id,
        // Nothing flows through channels here; the names are those that clients expect to be there.
        virtual_channel_names: channel(&format!("_{id}v0")),
        physical_channel_names: channel(""),
        shards_num: shards,
        aliases: aliases.into_keys().collect(),
        consistency_level: level(&definition.consistency).into(),
        num_partitions: i64::try_from(definition.partitions().len()).unwrap_or(i64::MAX),
        collection_name: definition.name.clone(),
        properties,
        db_name: definition.database.clone(),
        db_id: i64::try_from(database_id).unwrap_or(i64::MAX),
        created_timestamp: time::of_ms(definition.created_ms),
        created_utc_timestamp: definition.created_ms,
        update_timestamp: version,
        update_timestamp_str: version.to_string(),
        ..DescribeCollectionResponse::default()
    })
}

fn level(name: &str) -> ConsistencyLevel {
    ConsistencyLevel::from_str_name(name).unwrap_or(ConsistencyLevel::Bounded)
}

/// The collections of a database, or those of some names.
#[expect(deprecated, reason = "clients show it")]
pub(super) fn show(
    call: &Call<'_>,
    request: messages::ShowCollectionsRequest,
) -> Result<ShowCollectionsResponse, ApiError> {
    let database = call.on_database(P::ShowCollections, &request.db_name)?;
    let only_loaded = request.r#type == messages::ShowType::InMemory as i32;
    let mut shown = ShowCollectionsResponse { status: Some(success()), ..ShowCollectionsResponse::default() };
    for name in call.app().engine.names_in(database)? {
        if !request.collection_names.is_empty() && !request.collection_names.contains(&name) {
            continue;
        }
        // One that was dropped meanwhile is not there; one that is out of service is, without more.
        let Ok(collection) = call.app().engine.collection_in(database, &name) else { continue };
        let definition = collection.definition();
        let loaded = definition.is_loaded(&[]).unwrap_or(false);
        if only_loaded && !loaded {
            continue;
        }
        shown.collection_names.push(name);
        shown.collection_ids.push(i64::try_from(collection.id()).unwrap_or(i64::MAX));
        shown.created_timestamps.push(time::of_ms(definition.created_ms));
        shown.created_utc_timestamps.push(definition.created_ms);
        shown.in_memory_percentages.push(if loaded { 100 } else { 0 });
        shown.query_service_available.push(loaded);
        shown.shards_num.push(i32::try_from(definition.shards).unwrap_or(1));
    }
    Ok(shown)
}

/// Gives a collection another name, and another database if one is named.
pub(super) fn rename(
    call: &Call<'_>,
    request: messages::RenameCollectionRequest,
) -> Result<Status, ApiError> {
    call.on_cluster(P::RenameCollection)?;
    let database = call.database(&request.db_name);
    call.app().engine.check_database(database)?;
    let target = match request.new_db_name.as_str() {
        "" => database,
        name => name,
    };
    check_collection_name(&request.new_name)?;
    call.app().engine.rename((database, &request.old_name), (target, &request.new_name))?;
    Ok(success())
}

/// Deletes all rows.
pub(super) fn truncate(
    call: &Call<'_>,
    request: messages::TruncateCollectionRequest,
) -> Result<messages::TruncateCollectionResponse, ApiError> {
    call.collection(P::DropCollection, &request.db_name, &request.collection_name)?.truncate()?;
    Ok(messages::TruncateCollectionResponse { status: Some(success()) })
}

/// Sets properties, or removes some.
pub(super) fn alter(call: &Call<'_>, request: messages::AlterCollectionRequest) -> Result<Status, ApiError> {
    let messages::AlterCollectionRequest { db_name, collection_name, collection_id, .. } = request;
    let collection =
        call.collection_or_number(P::AddCollectionField, &db_name, &collection_name, collection_id)?;
    if request.properties.is_empty() && request.delete_keys.is_empty() {
        return Err(ApiError::invalid(
            "The collection properties to alter and keys to delete must not be empty at the same time: invalid parameter",
        ));
    }
    if !request.properties.is_empty() {
        collection.set_properties(properties::to_alter(texts(request.properties))?)?;
    }
    if !request.delete_keys.is_empty() {
        collection.drop_properties(&request.delete_keys)?;
    }
    Ok(success())
}

/// Changes sizes and further parameters of a field.
pub(super) fn alter_field(
    call: &Call<'_>,
    request: messages::AlterCollectionFieldRequest,
) -> Result<Status, ApiError> {
    let collection = call.collection(P::AddCollectionField, &request.db_name, &request.collection_name)?;
    if !request.delete_keys.is_empty() {
        return Err(ApiError::unsupported("removing parameters of a field"));
    }
    collection.alter_field(&request.field_name, &texts(request.properties))?;
    Ok(success())
}

/// Adds a field that may be null.
pub(super) fn add_field(
    call: &Call<'_>,
    request: messages::AddCollectionFieldRequest,
) -> Result<Status, ApiError> {
    let messages::AddCollectionFieldRequest { db_name, collection_name, collection_id, schema, .. } = request;
    let collection =
        call.collection_or_number(P::AddCollectionField, &db_name, &collection_name, collection_id)?;
    collection.add_field(schema::read_field(decoded::<FieldSchema>(schema.as_slice())?)?)?;
    Ok(success())
}

/// Adds fields, or removes one.
pub(super) fn alter_schema(
    call: &Call<'_>,
    request: messages::AlterCollectionSchemaRequest,
) -> Result<messages::AlterCollectionSchemaResponse, ApiError> {
    let messages::AlterCollectionSchemaRequest { db_name, collection_name, collection_id, action, .. } =
        request;
    let collection =
        call.collection_or_number(P::AddCollectionField, &db_name, &collection_name, collection_id)?;
    match action.and_then(|action| action.op) {
        Some(Op::AddRequest(add)) if add.func_schema.is_empty() => {
            add_field_of(&collection, add.field_infos)?
        }
        Some(Op::DropRequest(drop)) => match drop.identifier {
            Some(Identifier::FieldName(name)) => collection.drop_field(&name)?,
            Some(Identifier::FieldId(id)) => {
                let schema = collection.schema();
                let field = schema.fields().iter().find(|field| field.id == id);
                let unknown =
                    || ApiError::invalid(format!("field not found[fieldId={id}]: invalid parameter"));
                collection.drop_field(&field.ok_or_else(unknown)?.name)?;
            }
            Some(Identifier::FunctionName(_)) => return Err(no_functions()),
            None => return Err(ApiError::invalid("no field is named: invalid parameter")),
        },
        Some(Op::AddRequest(_)) => return Err(no_functions()),
        None => return Err(ApiError::invalid("no change is asked for: invalid parameter")),
    }
    Ok(messages::AlterCollectionSchemaResponse { alter_status: Some(success()) })
}

fn no_functions() -> ApiError {
    ApiError::unsupported("changing the functions of a collection that is there")
}

/// Adds a field. Several would have to come all or none.
fn add_field_of(collection: &Collection, mut infos: Vec<FieldInfo>) -> Result<(), ApiError> {
    if infos.iter().any(|info| !info.extra_params.is_empty()) {
        return Err(ApiError::unsupported("an index in the request that adds its field"));
    }
    match (infos.pop().and_then(|info| info.field_schema), infos.is_empty()) {
        (Some(field), true) => Ok(collection.add_field(schema::read_field(field)?)?),
        (None, true) => Err(ApiError::invalid("no field is given: invalid parameter")),
        (_, false) => Err(ApiError::unsupported("adding several fields in one request")),
    }
}
