//! Storing images that were decoded and embedded. The order is fixed: the original is durable first, then the row is
//! durable, then the caller is told. A content that the collection has already is not stored again; its row keeps its
//! key and takes the fields that come with the new request.

use std::collections::HashSet;

use bytes::Bytes;
use elanus_embed::Reduction;
use elanus_engine::EngineError;
use elanus_engine::row::{BatchBuilder, Key, KeySource};
use elanus_engine::schema::DYNAMIC_FIELD;
use elanus_storage::Digest;

use super::ImageService;
use super::collection::{ImageCollection, owned_keys};
use super::fields::Fields;
use super::layout::ImageValues;
use super::name;
use crate::error::ApiError;

/// An image on its way into a collection.
#[derive(Debug, Clone)]
pub(crate) struct EmbeddedImage {
    /// What the client calls it; cleaned when it is stored.
    pub(crate) name: String,
    /// The original file.
    pub(crate) bytes: Bytes,
    /// Its hash.
    pub(crate) content: Digest,
    /// Width in pixels, upright.
    pub(crate) width: u32,
    /// Height in pixels, upright.
    pub(crate) height: u32,
    /// Its vector, as the network made it.
    pub(crate) vector: Vec<f32>,
    /// JPEG for lists.
    pub(crate) thumbnail: Vec<u8>,
}

/// Where an image ended up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredImage {
    /// Key of its row.
    pub(crate) id: Key,
    /// Whether the collection had the content before this call, or another image of the call has it.
    pub(crate) already: bool,
}

impl ImageService {
    /// Stores a group of images; durable when it returns. Blocking. Either all of the new ones are stored or none.
    ///
    /// # Errors
    /// Fields that do not fit a row; 503 when the collection's reduction is lost; engine and storage errors.
    pub(crate) fn store(
        &self,
        collection: &ImageCollection,
        images: &[EmbeddedImage],
        fields: &Fields,
    ) -> Result<Vec<StoredImage>, ApiError> {
        let reduction = self.reduction(collection)?;
        let known = collection.known()?;
        let contents: Vec<Digest> = images.iter().map(|image| image.content).collect();
        // Until the rows are there nothing refers to the originals: no sweep may take them.
        let _kept = self.sweep_gate.store(&contents);
        let mut claim = known.claim(&contents, |content, key| collection.holds(content, key));
        let before = claim.stored.clone();
        let mut seen = HashSet::new();
        let mut is_new =
            |image: &EmbeddedImage| !before.contains_key(&image.content) && seen.insert(image.content);
        let fresh: Vec<&EmbeddedImage> = images.iter().filter(|image| is_new(image)).collect();
        let batch = new_rows(collection, reduction.as_deref(), &fresh, fields)?;
        self.put_originals(images)?;
        if let Some(batch) = batch {
            let keys = owned_keys(&collection.rows.insert(batch.finish()?)?);
            claim.fulfil(fresh.iter().map(|image| image.content).zip(keys));
            self.metrics.images_stored(fresh.len() as u64);
        }
        if !fields.is_empty() {
            let repeated: Vec<&Key> = contents.iter().filter_map(|content| before.get(content)).collect();
            merge(collection, &repeated, fields)?;
        }
        let place = |image: &EmbeddedImage| {
            let id = claim.stored.get(&image.content).cloned();
            let already = !fresh.iter().any(|new| std::ptr::eq(*new, image));
            id.map(|id| StoredImage { id, already })
                .ok_or_else(|| ApiError::internal("an image was stored without a key"))
        };
        images.iter().map(place).collect()
    }

    /// Makes the originals durable, and the thumbnails likely.
    fn put_originals(&self, images: &[EmbeddedImage]) -> Result<(), ApiError> {
        let contents: Vec<(Digest, &[u8])> =
            images.iter().map(|image| (image.content, image.bytes.as_ref())).collect();
        self.admit(contents.iter().map(|(_, bytes)| bytes.len() as u64).sum())?;
        self.originals.put_named(&contents).map_err(EngineError::from)?;
        for image in images.iter().filter(|image| !self.thumbs.contains(&image.content)) {
            self.thumbs.write(&image.content, &image.thumbnail);
        }
        Ok(())
    }
}

/// Rows for new images; `None` when there is none.
fn new_rows(
    collection: &ImageCollection,
    reduction: Option<&Reduction>,
    images: &[&EmbeddedImage],
    fields: &Fields,
) -> Result<Option<BatchBuilder>, ApiError> {
    if images.is_empty() {
        return Ok(None);
    }
    let layout = &collection.layout;
    let mut batch = BatchBuilder::new(&collection.rows.schema(), KeySource::Generated);
    for image in images {
        let reduced = reduction.map(|reduction| reduction.apply(&image.vector)).transpose()?;
        let values = ImageValues {
            name: &name::clean(&image.name, layout.name_bytes()),
            sha256: &image.content.to_string(),
            width: image.width,
            height: image.height,
            vector: reduced.as_ref().unwrap_or(&image.vector),
        };
        layout.fill(&mut batch, values)?;
        fields.fill(&mut batch)?;
        batch.end_row()?;
    }
    Ok(Some(batch))
}

/// Puts the fields into rows that are there already.
fn merge(collection: &ImageCollection, keys: &[&Key], fields: &Fields) -> Result<(), ApiError> {
    let schema = collection.rows.schema();
    let mut all: Vec<&str> = schema.fields().iter().map(|field| field.name.as_str()).collect();
    if schema.dynamic() {
        all.push(DYNAMIC_FIELD);
    }
    for key in keys {
        if let Some(row) = collection.row(key, &all)? {
            collection.rows.upsert(fields.merged(&schema, &row, 0)?.finish()?)?;
        }
    }
    Ok(())
}
