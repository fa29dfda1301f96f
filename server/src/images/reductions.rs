//! The files of reductions: `reductions/<aa>/<sha256>` in the data directory, named by content as originals are. A
//! collection whose vectors were reduced names its file in the model identity that it is stamped with. Without the file
//! its vectors can still be searched with vectors, and no photo can become one.

use std::path::Path;
use std::sync::Arc;

use elanus_embed::{ModelIdentity, Reduction};
use elanus_engine::EngineError;
use elanus_storage::Digest;

use super::layout::MODEL_PROPERTY;
use super::{ImageCollection, ImageService, descriptor};
use crate::error::ApiError;

/// Name of the folder in the data directory.
pub(crate) const FOLDER: &str = "reductions";

impl ImageService {
    /// What reduces the vectors of a collection, if anything does; read when first asked for. Blocking.
    ///
    /// # Errors
    /// 503 when its file is missing or damaged; storage errors.
    pub(crate) fn reduction(&self, collection: &ImageCollection) -> Result<Option<Arc<Reduction>>, ApiError> {
        let Some(identity) = &collection.reduced else { return Ok(None) };
        let mut read = collection.reduction.lock();
        if let Some(reduction) = &*read {
            return Ok(Some(Arc::clone(reduction)));
        }
        let lost = |reason: String| {
            ApiError::unavailable(format!(
                "no photo can be compared with those of the collection {}, whose vectors were reduced: {reason}. Take the \
                 file from a backup; searches with vectors go on",
                collection.rows.name()
            ))
        };
        let digest = digest(identity).ok_or_else(|| lost("its model identity names no file".to_owned()))?;
        let path = Path::new(FOLDER).join(&digest.to_string()[..2]).join(digest.to_string());
        let bytes = self.reductions.get(&digest).map_err(EngineError::from)?;
        let bytes = bytes.ok_or_else(|| lost(format!("the file {} is missing", path.display())))?;
        let reduction = checked(&bytes, identity)
            .map_err(|reason| lost(format!("the file {} is damaged: {reason}", path.display())))?;
        let reduction = Arc::new(reduction);
        *read = Some(Arc::clone(&reduction));
        Ok(Some(reduction))
    }
}

/// The identity that a collection with these properties is stamped with, if its vectors were reduced.
pub(crate) fn of_properties(
    properties: &std::collections::BTreeMap<String, String>,
) -> Option<ModelIdentity> {
    descriptor::reduced(properties.get(MODEL_PROPERTY)?)
}

/// Name of the file of a reduced identity.
pub(crate) fn digest(identity: &ModelIdentity) -> Option<Digest> {
    identity.reduction.as_ref()?.sha256.parse().ok()
}

/// Reads a file that must be the reduction of this identity.
///
/// # Errors
/// What is wrong, in words.
fn checked(bytes: &[u8], identity: &ModelIdentity) -> Result<Reduction, String> {
    let reduction = Reduction::from_bytes(bytes).map_err(|error| error.to_string())?;
    match reduction.identity() == *identity {
        true => Ok(reduction),
        false => Err("it is that of other vectors".to_owned()),
    }
}
