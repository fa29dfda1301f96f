//! `/v2/vectordb/privilege_groups`: privileges under a name, to be granted together.

use serde_json::json;

use super::call::{Call, done};
use super::spec;
use crate::error::ApiError;
use crate::reply::Envelope;

const NAME: &str = "privilegeGroupName";

/// The groups that users made.
pub(super) fn list(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    call.body(&spec::DATABASE)?;
    let groups = call.app.auth.list_groups().into_iter();
    // Milvus joins the names into one text.
    let groups = groups.map(|(name, held)| json!({ (NAME): name, "privileges": held.join(",") }));
    Envelope::new(groups.collect::<Vec<_>>()).into_bytes()
}

/// Adds a group.
pub(super) fn create(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    call.app.auth.create_group(&call.body(&spec::PRIVILEGE_GROUP)?.required_text(NAME)?)?;
    done()
}

/// Removes a group; removing an unknown one succeeds.
pub(super) fn drop(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    call.app.auth.drop_group(&call.body(&spec::PRIVILEGE_GROUP)?.required_text(NAME)?)?;
    done()
}

/// Adds privileges to a group.
pub(super) fn add(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let (name, privileges) = named(call)?;
    call.app.auth.add_to_group(&name, &privileges)?;
    done()
}

/// Takes privileges out of a group.
pub(super) fn remove(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let (name, privileges) = named(call)?;
    call.app.auth.remove_from_group(&name, &privileges)?;
    done()
}

fn named(call: &Call<'_>) -> Result<(String, Vec<String>), ApiError> {
    let body = call.body(&spec::PRIVILEGE_GROUP)?;
    Ok((body.required_text(NAME)?, body.get_or_default("privileges")?))
}
