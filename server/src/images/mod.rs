//! Images: files in, vectors, rows and links out. This is where the two sides of the house meet: `elanus-embed` turns a
//! file into a vector, `elanus-engine` keeps the vector in a row, and the original stays in a store named by content.
//! The page, the image API, imports and the classic calls all go through one [`ImageService`].
//!
//! ```text
//!   file ─► decode (few at once) ─► Model (one queue) ─► store: original durable ─► row durable ─► answer
//!              └─ thumbnail                                │
//!                                            KnownImages: one row for one content
//! ```
//!
//! A collection can be made of another one with shorter vectors ([`reduce`]); from then on what the model makes for it is
//! reduced before it is stored or compared.

mod api;
mod collection;
mod descriptor;
mod fields;
pub(crate) mod intake;
mod known;
pub(crate) mod layout;
mod listing;
mod model;
mod models;
pub(crate) mod name;
mod originals;
mod reduce;
pub(crate) mod reductions;
pub(crate) mod references;
mod search;
mod store;
mod sweep;
mod thumbs;
mod upload;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use elanus_embed::{
    DecodeLimits, Descriptor, DeviceReport, ImageError, Input, ModelKey, Recipe, THUMBNAIL_SIDE,
};
use elanus_engine::{Engine, EngineError};
use elanus_storage::{BlobStore, Digest, DiskVfs, Vfs};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) use api::original_response;
pub use api::routes;
pub(crate) use collection::{ImageCollection, Permission, Purpose};
pub(crate) use descriptor::AskedDescriptor;
pub(crate) use fields::Fields;
pub use model::Model;
pub use models::ModelState;
pub(crate) use reduce::{ReduceJob, ReduceRequest};
pub(crate) use search::{Query, Similar, SimilarRequest};
pub(crate) use store::EmbeddedImage;
pub(crate) use upload::Added;

use crate::config::{Config, EmbedConfig};
use crate::error::ApiError;
use crate::models::ModelFolder;
use crate::telemetry::Metrics;
use collection::ImageCollections;
use models::Models;
use sweep::{SweepGate, Sweeper};
use thumbs::Thumbnails;

/// Originals that may be read at one time. Linux gives a process 65,530 maps, and segments need some of them.
const MAX_MAPPED: usize = 16_384;

/// Everything about images, shared by all handlers and imports.
pub struct ImageService {
    collections: ImageCollections,
    /// The files as they were sent, named by content.
    originals: BlobStore,
    thumbs: Thumbnails,
    /// What makes vectors shorter, named by content too.
    reductions: BlobStore,
    models: Arc<Models>,
    /// One permit for each image that is being decoded.
    decodes: Arc<Semaphore>,
    decode_limits: DecodeLimits,
    /// One permit for each original that is being read.
    mapped: Arc<Semaphore>,
    runtime: Handle,
    sweep_gate: SweepGate,
    /// What a repair took out of service; its rows refer to originals.
    quarantine: PathBuf,
    sweeper: Mutex<Option<Sweeper>>,
    metrics: Arc<Metrics>,
}

/// A decoded image, ready for the model.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// What the network takes.
    pub(crate) input: Input,
    /// Width in pixels, upright.
    pub(crate) width: u32,
    /// Height in pixels, upright.
    pub(crate) height: u32,
    /// JPEG for lists; empty when it was not asked for.
    pub(crate) thumbnail: Vec<u8>,
}

impl std::fmt::Debug for ImageService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImageService").field("models", &self.models).finish_non_exhaustive()
    }
}

/// An original that somebody reads.
struct Mapped {
    file: elanus_storage::Bytes,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.file
    }
}

impl ImageService {
    /// Starts the service: the model of new collections opens in the background, and originals that nothing refers to are removed there.
    /// Must be called within the async runtime.
    ///
    /// # Errors
    /// Storage errors of the folder of originals; when there is no weights file for the model of new collections.
    pub fn start(
        config: &Config,
        engine: &Arc<Engine>,
        metrics: &Arc<Metrics>,
    ) -> Result<Arc<Self>, ApiError> {
        let vfs: Arc<dyn Vfs> = Arc::new(DiskVfs);
        let blobs = |folder: &str| {
            BlobStore::open(Arc::clone(&vfs), &config.data.join(folder)).map_err(EngineError::from)
        };
        let (originals, reductions) = (blobs("images")?, blobs(reductions::FOLDER)?);
        let thumbs = Thumbnails::new(Arc::clone(&vfs), config.data.join("thumbs"));
        thumbs.tidy(&originals.list().map_err(EngineError::from)?);
        let EmbedConfig { model, recipe, pooling, .. } = config.embed;
        let asked = AskedDescriptor::of_settings(Some(model), recipe, pooling);
        let default = asked.or(Descriptor::default(), &ModelFolder::new(config.models()))?;
        let models = Arc::new(Models::start(config, Arc::clone(metrics), default.model)?);
        let service = Arc::new(Self {
            collections: ImageCollections::new(Arc::clone(engine), Arc::clone(&models), default),
            originals,
            reductions,
            thumbs,
            models,
            decodes: Arc::new(Semaphore::new(config.limits.max_decodes.max(1))),
            decode_limits: DecodeLimits {
                max_bytes: config.limits.max_body_bytes,
                ..DecodeLimits::default()
            },
            mapped: Arc::new(Semaphore::new(MAX_MAPPED)),
            runtime: Handle::current(),
            sweep_gate: SweepGate::default(),
            quarantine: config.data.join(elanus_engine::check::QUARANTINE),
            sweeper: Mutex::new(None),
            metrics: Arc::clone(metrics),
        });
        *service.sweeper.lock() = Sweeper::start(&service);
        service.request_sweep();
        Ok(service)
    }

    /// Ends background work; waits for what is under way.
    pub fn close(&self) {
        let sweeper = self.sweeper.lock().take();
        if let Some(sweeper) = sweeper {
            sweeper.stop();
        }
    }

    /// The models that new collections can have: the standard one, which is open even if its file has gone, and those that
    /// there are. Blocking.
    ///
    /// # Errors
    /// When the folder of weights files can't be read.
    pub(crate) fn available_models(&self) -> Result<Vec<ModelKey>, ApiError> {
        let standard = self.default_descriptor().model;
        let mut models = self.models.folder().all()?;
        if !models.contains(&standard) {
            models.push(standard);
        }
        Ok(models)
    }

    /// The models that are open, and where the opening of each stands.
    pub fn models(&self) -> Vec<(ModelKey, ModelState)> {
        self.models.all()
    }

    /// Where the model of new collections runs, and why there; `None` while it is not ready.
    pub fn device_report(&self) -> Option<DeviceReport> {
        match self.models.now(self.default_descriptor().model) {
            Some(ModelState::Ready(model)) => Some(DeviceReport::clone(&model.device())),
            _ => None,
        }
    }

    /// How the photos of new collections become vectors, unless a request says otherwise.
    pub(crate) fn default_descriptor(&self) -> Descriptor {
        self.collections.default_descriptor()
    }

    /// The canonical identity of the vectors of new collections, known before the model is ready.
    pub fn identity_text(&self) -> String {
        descriptor::identity(self.default_descriptor())
    }

    /// What a request asked for without naming a collection, completed by the settings. Blocking.
    ///
    /// # Errors
    /// 400 for what makes no sense together, 409 when the model is not there.
    pub(crate) fn complete(&self, asked: AskedDescriptor) -> Result<Descriptor, ApiError> {
        asked.or(self.default_descriptor(), self.models.folder())
    }

    /// A model, as soon as it is there.
    ///
    /// # Errors
    /// 409 with a way to get it when its weights file is not there, 503 with the reason when it can't be opened.
    pub async fn wait_model(&self, model: ModelKey) -> Result<Arc<Model>, ApiError> {
        self.models.wait(model).await
    }

    /// The same for a thread; `None` once `stop` is set.
    pub(crate) fn wait_model_blocking(
        &self,
        model: ModelKey,
        stop: &std::sync::atomic::AtomicBool,
    ) -> Option<Result<Arc<Model>, String>> {
        self.models.wait_blocking(model, stop)
    }

    /// Asks for originals that no row refers to any more to be removed, soon and in the background. To be called after
    /// rows or collections were removed.
    pub fn request_sweep(&self) {
        if let Some(sweeper) = &*self.sweeper.lock() {
            sweeper.request();
        }
    }

    /// Opens a collection for a purpose. Blocking.
    ///
    /// # Errors
    /// 404 when it is not there, 400 when it can't hold images, 409 when another model made its vectors.
    pub(crate) fn open(&self, name: &str, purpose: Purpose) -> Result<Arc<ImageCollection>, ApiError> {
        self.collections.open(name, purpose)
    }

    /// Opens a collection to add images to it; one that is not there is made, if that is permitted, as it was asked for.
    /// Blocking.
    ///
    /// # Errors
    /// As [`ImageService::open`], and the refusal; 409 when its images are embedded otherwise than was asked for.
    pub(crate) fn open_or_create(
        &self,
        name: &str,
        asked: AskedDescriptor,
        may_create: &Permission,
    ) -> Result<Arc<ImageCollection>, ApiError> {
        self.collections.open_or_create(name, asked, may_create)
    }

    /// Whether images can go into a collection of this name, be it there or still to be made, and how they become vectors
    /// then. Blocking.
    ///
    /// # Errors
    /// As [`ImageService::open_or_create`]; 400 for a name that can't be one.
    pub(crate) fn check_target(
        &self,
        name: &str,
        asked: AskedDescriptor,
        may_create: &Permission,
    ) -> Result<Descriptor, ApiError> {
        let (_, _, descriptor) = self.collections.target(name, asked, may_create)?;
        Ok(descriptor)
    }

    /// Whether the collection has this content already, with its original. Blocking.
    ///
    /// # Errors
    /// Engine errors.
    pub(crate) fn has(&self, collection: &ImageCollection, content: &Digest) -> Result<bool, ApiError> {
        let key = collection.known()?.find(content);
        match key {
            Some(key) => Ok(collection.holds(content, &key)? && self.has_original(content)?),
            None => Ok(false),
        }
    }

    /// The original of a content, mapped: a client may take as long as it wants to read it. Blocking.
    ///
    /// # Errors
    /// 404 when it is not there; 503 when too many are being read; storage errors.
    pub(crate) fn original(&self, content: &Digest) -> Result<Bytes, ApiError> {
        let permit = Arc::clone(&self.mapped).try_acquire_owned();
        let permit = permit
            .map_err(|_| ApiError::unavailable("too many originals are being sent; try again in a moment"))?;
        let file = self.originals.map(content).map_err(EngineError::from)?;
        let file = file.ok_or_else(|| ApiError::not_found("the original of this image is not stored"))?;
        Ok(Bytes::from_owner(Mapped { file, _permit: permit }))
    }

    fn has_original(&self, content: &Digest) -> Result<bool, ApiError> {
        Ok(self.originals.contains(content).map_err(EngineError::from)?)
    }

    /// Images that wait for a network.
    pub(crate) fn queue_depth(&self) -> usize {
        let depth = |(_, state)| match state {
            ModelState::Ready(model) => model.queue_depth(),
            ModelState::Opening | ModelState::Failed(_) => 0,
        };
        self.models().into_iter().map(depth).sum()
    }

    /// Largest file that is looked at, in bytes.
    pub(crate) fn max_file_bytes(&self) -> usize {
        self.decode_limits.max_bytes
    }

    /// Counts a file that was refused.
    pub(crate) fn count_refused(&self, error: &ImageError) {
        self.metrics.images_refused(error.code());
    }

    /// Decodes on the calling thread, one of few at a time.
    ///
    /// # Errors
    /// Why the file gives no image.
    pub(crate) fn decode_blocking(
        &self,
        bytes: &[u8],
        recipe: Recipe,
        thumbnail: bool,
    ) -> Result<Decoded, ImageError> {
        // The semaphore is never closed, so this is a permit.
        let _permit = self.runtime.block_on(self.decodes.acquire());
        self.decode(bytes, recipe, thumbnail)
    }

    /// Decodes on a thread made for that, one of few at a time.
    ///
    /// # Errors
    /// Why the file gives no image.
    pub(crate) async fn decoded(
        self: &Arc<Self>,
        bytes: Bytes,
        recipe: Recipe,
        thumbnail: bool,
    ) -> Result<Decoded, ApiError> {
        let permit = Arc::clone(&self.decodes).acquire_owned().await;
        let service = Arc::clone(self);
        let decode = move || {
            // Given back when the decoding ends, not when the client stops waiting.
            let _permit: Option<OwnedSemaphorePermit> = permit.ok();
            let decoded = service.decode(&bytes, recipe, thumbnail);
            decoded.inspect_err(|error| service.count_refused(error))
        };
        match tokio::task::spawn_blocking(decode).await {
            Ok(decoded) => Ok(decoded?),
            Err(_) => Err(ImageError::Internal.into()),
        }
    }

    /// Decodes and embeds one file.
    ///
    /// # Errors
    /// Why the file gives no image; busy; no model.
    pub(crate) async fn vector(
        self: &Arc<Self>,
        bytes: Bytes,
        descriptor: Descriptor,
    ) -> Result<Vec<f32>, ApiError> {
        let model = self.wait_model(descriptor.model).await?;
        let decoded = self.decoded(bytes, descriptor.recipe, false).await?;
        model.embed(decoded.input, descriptor.pooling).await
    }

    fn decode(&self, bytes: &[u8], recipe: Recipe, thumbnail: bool) -> Result<Decoded, ImageError> {
        let started = Instant::now();
        let photo = elanus_embed::decode(bytes, &self.decode_limits)?;
        let (width, height) = photo.oriented_size();
        let thumbnail = if thumbnail { elanus_embed::thumbnail(&photo, THUMBNAIL_SIDE)? } else { Vec::new() };
        let input = elanus_embed::preprocess(&photo, recipe);
        self.metrics.decode_seconds(started.elapsed().as_secs_f64());
        Ok(Decoded { input, width, height, thumbnail })
    }
}
