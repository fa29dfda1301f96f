//! Adding files that came with a request: every file is decoded and embedded, those that can't be are refused one by
//! one with a reason, the others are stored together. Nothing is stored, and no collection made, for files that were
//! refused.

use std::sync::Arc;

use elanus_embed::Descriptor;
use elanus_engine::row::Key;
use elanus_storage::Digest;
use futures_util::StreamExt as _;
use serde_json::Value as Json;

use super::intake::FilePart;
use super::name;
use super::{AskedDescriptor, EmbeddedImage, Fields, ImageService, Model, Permission};
use crate::app::{blocking, blocking_write};
use crate::error::ApiError;

/// Files of one request that are under way at one time: one decoded while another is embedded.
const AT_ONCE: usize = 4;
/// Longest name in the report of refused files, in bytes.
const REPORTED_NAME_BYTES: usize = 1024;

/// What became of the files of one request.
#[derive(Debug)]
pub(crate) struct Added {
    /// Keys of the stored files, in their order; a content that was there already has the key it had.
    pub(crate) ids: Vec<Key>,
    /// Files that were refused, in their order.
    pub(crate) refused: Vec<Refused>,
}

/// A file that was refused.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The client's name.
    pub(crate) name: String,
    /// Why.
    pub(crate) error: ApiError,
}

impl ImageService {
    /// Adds files to a collection, which is made as it was asked for if it is not there and that is permitted. `fields` go
    /// into the row of every file.
    ///
    /// # Errors
    /// What concerns the whole request: no file, fields that do not fit, a collection that can't take images or be made,
    /// no model, a full disk. Files that are no images are in [`Added::refused`].
    pub(crate) async fn add(
        self: &Arc<Self>,
        collection: &str,
        files: Vec<FilePart>,
        fields: Vec<(String, Json)>,
        asked: AskedDescriptor,
        may_create: Permission,
    ) -> Result<Added, ApiError> {
        if files.is_empty() {
            return Err(ApiError::invalid("no image: send it as the body, or as files in a form"));
        }
        let (service, target) = (Arc::clone(self), collection.to_owned());
        let (given, may) = (fields.clone(), may_create.clone());
        let descriptor = blocking(move || service.check(&target, given, asked, &may)).await?;
        let model = self.wait_model(descriptor.model).await?;
        let (mut images, mut refused) = (Vec::new(), Vec::new());
        let mut answers =
            futures_util::stream::iter(files.into_iter().map(|file| self.embedded(&model, descriptor, file)))
                .buffered(AT_ONCE);
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(image) => images.push(image),
                Err(one) => refused.push(one),
            }
        }
        let ids = match images.is_empty() {
            true => Vec::new(),
            false => self.store_all(collection, images, fields, descriptor, may_create).await?,
        };
        Ok(Added { ids, refused })
    }

    /// Refuses what the collection can't take, before any work is done; says how its images become vectors.
    fn check(
        &self,
        collection: &str,
        fields: Vec<(String, Json)>,
        asked: AskedDescriptor,
        may_create: &Permission,
    ) -> Result<Descriptor, ApiError> {
        let (layout, schema, descriptor) = self.collections.target(collection, asked, may_create)?;
        Fields::new(&layout, &schema, fields).map_err(ApiError::invalid)?;
        Ok(descriptor)
    }

    async fn store_all(
        self: &Arc<Self>,
        collection: &str,
        mut images: Vec<EmbeddedImage>,
        fields: Vec<(String, Json)>,
        descriptor: Descriptor,
        may_create: Permission,
    ) -> Result<Vec<Key>, ApiError> {
        let (service, name) = (Arc::clone(self), collection.to_owned());
        blocking_write(move || {
            // Somebody else may have made it meanwhile, for other vectors.
            let collection = service.open_or_create(&name, descriptor.into(), &may_create)?;
            let fields =
                Fields::new(&collection.layout, &collection.schema, fields).map_err(ApiError::invalid)?;
            if let Some(reduction) = service.reduction(&collection)? {
                for image in &mut images {
                    image.vector = reduction.apply(&image.vector)?;
                }
            }
            let stored = service.store(&collection, &images, &fields)?;
            Ok(stored.into_iter().map(|image| image.id).collect())
        })
        .await
    }

    async fn embedded(
        self: &Arc<Self>,
        model: &Model,
        descriptor: Descriptor,
        file: FilePart,
    ) -> Result<EmbeddedImage, Refused> {
        let FilePart { name, bytes } = file;
        let refused = |error| Refused { name: name::clean(&name, REPORTED_NAME_BYTES), error };
        let decoded = self.decoded(bytes.clone(), descriptor.recipe, true).await.map_err(refused)?;
        let vector = model.embed(decoded.input, descriptor.pooling).await.map_err(refused)?;
        let hashed = bytes.clone();
        let content = blocking(move || Ok(Digest::of(&hashed))).await.map_err(refused)?;
        let (width, height, thumbnail) = (decoded.width, decoded.height, decoded.thumbnail);
        Ok(EmbeddedImage { name, bytes, content, width, height, vector, thumbnail })
    }
}
