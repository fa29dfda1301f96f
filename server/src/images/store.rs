//! Storing images that were decoded and embedded. The order is fixed: the original is durable first, then the row is
//! durable, then the caller is told. A content that the collection has already is not stored again; its row keeps its
//! key and takes the fields that come with the new request.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use elanus_engine::row::{BatchBuilder, Key, KeySource};
use elanus_engine::{Collection, EngineError};
use elanus_storage::Digest;

use super::ImageService;
use super::collection::{ImageCollection, keys_of, owned_keys};
use super::fields::{Fields, whole};
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
    /// Its vector, as the collection stores it.
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
    /// Fields that do not fit a row; 409 when the collection got images that were embedded otherwise meanwhile; engine and
    /// storage errors.
    pub(crate) fn store(
        &self,
        collection: &Arc<ImageCollection>,
        images: &[EmbeddedImage],
        fields: &Fields,
    ) -> Result<Vec<StoredImage>, ApiError> {
        let known = collection.known()?;
        let contents: Vec<Digest> = images.iter().map(|image| image.content).collect();
        // Until the rows are there nothing refers to the originals: no sweep may take them.
        let _kept = self.sweep_gate.store(&contents);
        let mut claim = known.claim(&contents, |content, key| collection.holds(content, key))?;
        let before = claim.stored.clone();
        let mut seen = HashSet::new();
        let mut is_new =
            |image: &EmbeddedImage| !before.contains_key(&image.content) && seen.insert(image.content);
        let fresh: Vec<&EmbeddedImage> = images.iter().filter(|image| is_new(image)).collect();
        let mut batch = self.new_rows(collection, &fresh, fields)?;
        self.put_originals(images)?;
        if !fresh.is_empty() {
            self.collections.stamp(collection)?;
            let keys = loop {
                match collection.rows.insert(batch.finish()?) {
                    // A field came or went since the rows were made.
                    Err(EngineError::SchemaChanged) => batch = self.new_rows(collection, &fresh, fields)?,
                    stored => break owned_keys(&stored?),
                }
            };
            claim.fulfil(fresh.iter().map(|image| image.content).zip(keys));
            self.metrics.images_stored(fresh.len() as u64);
        }
        if !fields.is_empty() {
            let repeated: Vec<&Key> = contents.iter().filter_map(|content| before.get(content)).collect();
            merge(&collection.rows, &repeated, fields)?;
        }
        let place = |image: &EmbeddedImage| {
            let id = claim.stored.get(&image.content).cloned();
            let already = !fresh.iter().any(|new| std::ptr::eq(*new, image));
            id.map(|id| StoredImage { id, already })
                .ok_or_else(|| ApiError::internal("an image was stored without a key"))
        };
        images.iter().map(place).collect()
    }

    /// Rows for new images, under the fields that the collection has now.
    fn new_rows(
        &self,
        collection: &Arc<ImageCollection>,
        images: &[&EmbeddedImage],
        fields: &Fields,
    ) -> Result<BatchBuilder, ApiError> {
        let collection = self.collections.current(collection)?;
        let layout = &collection.layout;
        let mut batch = BatchBuilder::new(&collection.schema, KeySource::Generated);
        for image in images {
            let values = ImageValues {
                name: &name::clean(&image.name, layout.name_bytes()),
                sha256: &image.content.to_string(),
                width: image.width,
                height: image.height,
                vector: &image.vector,
            };
            layout.fill(&mut batch, values)?;
            fields.fill(&mut batch)?;
            batch.end_row()?;
        }
        Ok(batch)
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

/// Puts the fields into rows that are there already. Those that were deleted meanwhile stay so.
fn merge(collection: &Collection, keys: &[&Key], fields: &Fields) -> Result<(), ApiError> {
    for key in keys {
        loop {
            match merge_row(collection, key, fields) {
                // A field came or went since the row was read.
                Err(EngineError::SchemaChanged) => {}
                merged => break merged?,
            }
        }
    }
    Ok(())
}

fn merge_row(collection: &Collection, key: &Key, fields: &Fields) -> Result<(), EngineError> {
    // From reading the row to writing it nobody else writes: neither his fields nor his deletion would last.
    let turn = collection.update_turn();
    let schema = collection.schema();
    let rows = collection.get(&keys_of(std::slice::from_ref(key)), &whole(&schema)?)?;
    if !rows.is_empty() {
        let batch = fields.merged(&schema, &rows, 0)?.finish()?;
        turn.upsert_into(batch.in_partitions(vec![rows.partition(0)])?, "")?;
    }
    Ok(())
}
