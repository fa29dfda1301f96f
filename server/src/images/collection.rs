//! A collection as a home of images: its rows, the layout of its fields, how its images become vectors, and the
//! contents it already has. One [`ImageCollection`] exists for each collection in use; uploads, imports, searches and
//! downloads share it, so that a content is claimed by one of them only.

use std::collections::HashMap;
use std::sync::Arc;

use elanus_embed::{Descriptor, ModelIdentity, Reduction};
use elanus_engine::collection::{Collection, DEFAULT_DATABASE, Definition};
use elanus_engine::row::{Key, Keys, Projection, Rows};
use elanus_engine::schema::{DataType, Schema, check_collection_name};
use elanus_engine::{Engine, EngineError};
use elanus_storage::Digest;
use parking_lot::Mutex;

use super::descriptor::{self, AskedDescriptor};
use super::known::KnownImages;
use super::layout::{self, Layout, MODEL_PROPERTY};
use super::models::Models;
use super::references;
use crate::error::ApiError;

/// What a caller is going to do with a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Look at rows and originals; any model will do.
    Read,
    /// Compare or add vectors: our network must have made those that are there.
    Embed,
}

/// Whether whoever adds images may make the collection for them; if not, the refusal.
pub(crate) type Permission = Result<(), ApiError>;

/// A collection that holds images.
#[derive(Debug)]
pub(crate) struct ImageCollection {
    /// Its rows.
    pub(crate) rows: Arc<Collection>,
    /// Its fields when it was looked at.
    pub(super) schema: Arc<Schema>,
    /// Where the values of an image are.
    pub(crate) layout: Layout,
    /// How its images become vectors; `None` where another model made them.
    descriptor: Option<Descriptor>,
    /// Their identity if they were reduced.
    pub(super) reduced: Option<ModelIdentity>,
    /// What reduces them, once it was read.
    pub(super) reduction: Mutex<Option<Arc<Reduction>>>,
    /// The same for as long as the collection is, whatever becomes of its name and fields.
    known: Arc<Mutex<Option<Arc<KnownImages>>>>,
}

/// The collections in use, by their number: one that was dropped and made again is another one.
#[derive(Debug)]
pub(crate) struct ImageCollections {
    engine: Arc<Engine>,
    models: Arc<Models>,
    /// Of collections that are made, unless a request says otherwise.
    default: Descriptor,
    /// Held while a collection is stamped with a model: the first stamp counts.
    stamping: Mutex<()>,
    open: Mutex<HashMap<u64, Arc<ImageCollection>>>,
}

impl ImageCollections {
    /// `default` is the descriptor of new collections.
    pub(crate) fn new(engine: Arc<Engine>, models: Arc<Models>, default: Descriptor) -> Self {
        Self { engine, models, default, stamping: Mutex::default(), open: Mutex::default() }
    }

    /// The engine below.
    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// The descriptor of new collections.
    pub(crate) fn default_descriptor(&self) -> Descriptor {
        self.default
    }

    /// Opens a collection for a purpose. Blocking.
    ///
    /// # Errors
    /// 404 when it is not there, 400 when it can't hold images, 409 when another model made its vectors.
    pub(crate) fn open(&self, name: &str, purpose: Purpose) -> Result<Arc<ImageCollection>, ApiError> {
        let rows = self.engine.collection_in(DEFAULT_DATABASE, name)?;
        self.prepare(rows, name, purpose, AskedDescriptor::default())
    }

    /// Opens a collection to add images to it; one that is not there is made, if that is permitted, as it was asked for.
    /// Blocking.
    ///
    /// # Errors
    /// As [`ImageCollections::open`], and the refusal; 409 when its images are embedded otherwise than was asked for.
    pub(crate) fn open_or_create(
        &self,
        name: &str,
        asked: AskedDescriptor,
        may_create: &Permission,
    ) -> Result<Arc<ImageCollection>, ApiError> {
        let rows = match self.engine.collection_in(DEFAULT_DATABASE, name) {
            Err(EngineError::CollectionNotFound { .. }) => {
                may_create.clone()?;
                self.create(name, self.planned(asked)?)?
            }
            found => found?,
        };
        self.prepare(rows, name, Purpose::Embed, asked)
    }

    /// A collection with the fields that it has now.
    ///
    /// # Errors
    /// 400 when it can't hold images any more.
    pub(super) fn current(
        &self,
        collection: &Arc<ImageCollection>,
    ) -> Result<Arc<ImageCollection>, ApiError> {
        let rows = &collection.rows;
        if Arc::ptr_eq(&collection.schema, &rows.schema()) {
            return Ok(Arc::clone(collection));
        }
        let asked = collection.descriptor()?.into();
        self.prepare(Arc::clone(rows), rows.name(), Purpose::Embed, asked)
    }

    /// Notes in a collection, before its first images are stored, how they become vectors. Durable when it returns.
    ///
    /// # Errors
    /// 409 when vectors that were made otherwise have come since the collection was opened; engine errors.
    pub(super) fn stamp(&self, collection: &ImageCollection) -> Result<(), ApiError> {
        let _one_at_a_time = self.stamping.lock();
        let descriptor = self.descriptor(&collection.rows, collection.descriptor()?.into())?;
        if !collection.rows.properties().contains_key(MODEL_PROPERTY) {
            collection.rows.set_property(MODEL_PROPERTY, &descriptor::identity(descriptor))?;
        }
        Ok(())
    }

    fn prepare(
        &self,
        rows: Arc<Collection>,
        name: &str,
        purpose: Purpose,
        asked: AskedDescriptor,
    ) -> Result<Arc<ImageCollection>, ApiError> {
        let descriptor = self.descriptor(&rows, asked);
        let reduced = reduced(&rows);
        // What the vectors are decides which field is theirs, also where something else was asked for.
        let stamp = rows.properties().get(MODEL_PROPERTY).and_then(|stamp| descriptor::of_stamp(stamp));
        let expected = stamp.or(descriptor.as_ref().ok().copied()).unwrap_or(self.default);
        let dimension = (purpose != Purpose::Read).then(|| dimension(expected, reduced.as_ref()));
        let schema = rows.schema();
        let layout = Layout::of(&schema, dimension).map_err(|reason| {
            ApiError::invalid(format!("the collection {name} can't hold images: {reason}"))
        })?;
        let descriptor = match purpose {
            Purpose::Read => descriptor.ok(),
            Purpose::Embed => Some(descriptor?),
        };
        let mut open = self.open.lock();
        if !open.contains_key(&rows.id()) {
            // A new one comes rarely: a good moment to forget those that were dropped.
            open.retain(|id, other| {
                self.engine.collection(other.rows.name()).is_ok_and(|now| now.id() == *id)
            });
        }
        // A collection that was renamed, or whose fields have changed, is looked at afresh.
        let current = |known: &Arc<ImageCollection>| {
            Arc::ptr_eq(&known.rows, &rows)
                && Arc::ptr_eq(&known.schema, &schema)
                && known.descriptor == descriptor
                && known.reduced == reduced
        };
        if let Some(known) = open.get(&rows.id()).filter(|known| current(known)) {
            return Ok(Arc::clone(known));
        }
        let id = rows.id();
        let known = open.get(&id).map(|before| Arc::clone(&before.known)).unwrap_or_default();
        let reduction = Mutex::default();
        let collection =
            Arc::new(ImageCollection { rows, schema, layout, descriptor, reduced, reduction, known });
        open.insert(id, Arc::clone(&collection));
        Ok(collection)
    }

    /// Layout, schema and descriptor that images of this collection will have: those it has, or those it would be made
    /// with.
    ///
    /// # Errors
    /// As [`ImageCollections::open_or_create`]; 400 for a name that can't be one.
    pub(crate) fn target(
        &self,
        name: &str,
        asked: AskedDescriptor,
        may_create: &Permission,
    ) -> Result<(Layout, Arc<Schema>, Descriptor), ApiError> {
        check_collection_name(name)?;
        match self.engine.collection_in(DEFAULT_DATABASE, name) {
            Ok(rows) => {
                let existing = self.prepare(rows, name, Purpose::Embed, asked)?;
                Ok((existing.layout.clone(), Arc::clone(&existing.schema), existing.descriptor()?))
            }
            Err(EngineError::CollectionNotFound { .. }) => {
                may_create.clone()?;
                let descriptor = self.planned(asked)?;
                let schema = definition(name, descriptor)?.schema;
                let dimension = descriptor.model.network.dimension();
                let layout = Layout::of(&schema, Some(dimension)).map_err(ApiError::internal)?;
                Ok((layout, Arc::new(schema), descriptor))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a model of this server can search the collection.
    pub(crate) fn is_searchable(&self, rows: &Collection) -> bool {
        self.descriptor(rows, AskedDescriptor::default()).is_ok_and(|descriptor| {
            let dimension = dimension(descriptor, reduced(rows).as_ref());
            Layout::of(&rows.schema(), Some(dimension)).is_ok() && self.models.has(descriptor.model)
        })
    }

    /// The descriptor of a collection that is to be made.
    fn planned(&self, asked: AskedDescriptor) -> Result<Descriptor, ApiError> {
        asked.or(self.default, self.models.folder())
    }

    fn create(&self, name: &str, descriptor: Descriptor) -> Result<Arc<Collection>, ApiError> {
        match self.engine.create(definition(name, descriptor)?) {
            // Somebody was faster, with another definition: take theirs and judge it.
            Err(EngineError::CollectionExists { .. }) => Ok(self.engine.collection(name)?),
            created => Ok(created?),
        }
    }

    /// How the images of a collection become vectors. One that is empty and was never stamped can have any descriptor: it
    /// is searched with the one that was asked for.
    ///
    /// # Errors
    /// 409 for vectors that our network has not made, or otherwise than was asked for.
    fn descriptor(&self, rows: &Collection, asked: AskedDescriptor) -> Result<Descriptor, ApiError> {
        let name = rows.name();
        let Some(stamp) = rows.properties().remove(MODEL_PROPERTY) else {
            return match rows.count() {
                0 => self.planned(asked),
                _ => Err(ApiError::conflict(format!(
                    "the collection {name} holds vectors of unknown origin: they can't be compared with those of this \
                     server's model. Use another collection for images"
                ))),
            };
        };
        let Some(descriptor) = descriptor::of_stamp(&stamp) else {
            return Err(ApiError::conflict(format!(
                "the vectors of the collection {name} were made by the model {stamp}, and this server embeds with {}: \
                 they can't be compared. Use another collection",
                descriptor::identity(self.default)
            )));
        };
        if !asked.fits(descriptor) {
            return Err(ApiError::conflict(format!(
                "the images of the collection {name} are embedded with {descriptor}, not with {asked}: their vectors \
                 can't be compared. Use another collection"
            )));
        }
        Ok(descriptor)
    }
}

impl ImageCollection {
    /// How its images become vectors.
    ///
    /// # Errors
    /// 409 where another model made them.
    pub(crate) fn descriptor(&self) -> Result<Descriptor, ApiError> {
        let foreign = || {
            ApiError::conflict(format!(
                "another model made the vectors of the collection {}",
                self.rows.name()
            ))
        };
        self.descriptor.ok_or_else(foreign)
    }

    /// Values of its vectors.
    pub(crate) fn dimension(&self) -> usize {
        self.schema.field(self.layout.vector_name()).and_then(|(_, field)| field.dim).unwrap_or(0)
    }

    /// The contents it has; read from its rows when first asked for.
    ///
    /// # Errors
    /// Engine errors.
    pub(crate) fn known(&self) -> Result<Arc<KnownImages>, ApiError> {
        let mut known = self.known.lock();
        if let Some(known) = &*known {
            return Ok(Arc::clone(known));
        }
        let mut stored: HashMap<Digest, Key> = HashMap::new();
        self.each_content(|content, key| match stored.get(&content) {
            // Two rows of one content can only come through the Milvus API: the first stands for both.
            Some(other) if *other <= key => {}
            _ => drop(stored.insert(content, key)),
        })?;
        let loaded = Arc::new(KnownImages::new(stored));
        *known = Some(Arc::clone(&loaded));
        Ok(loaded)
    }

    /// Visits the content and the key of every row that has one.
    fn each_content(&self, mut visit: impl FnMut(Digest, Key)) -> Result<(), ApiError> {
        let Some(projection) = references::projection(&self.rows.schema()) else { return Ok(()) };
        self.rows.scan(&projection, &mut |rows| {
            for row in 0..rows.len {
                if let (Some(content), Some(key)) = (references::contents(&rows, row).next(), rows.key(row)) {
                    visit(content, key.to_key());
                }
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Whether the row with this key is there and has this content.
    ///
    /// # Errors
    /// Engine errors.
    pub(crate) fn holds(&self, content: &Digest, key: &Key) -> Result<bool, ApiError> {
        let Some(projection) = references::projection(&self.rows.schema()) else { return Ok(false) };
        let rows = self.rows.get(&keys_of(std::slice::from_ref(key)), &projection)?;
        Ok((0..rows.len).any(|row| references::contents(&rows, row).next().as_ref() == Some(content)))
    }

    /// Some fields of one row; `None` when there is no such row.
    ///
    /// # Errors
    /// Engine errors; 400 for an unknown field.
    pub(crate) fn row(&self, key: &Key, fields: &[&str]) -> Result<Option<Rows>, ApiError> {
        let projection = Projection::resolve(&self.rows.schema(), fields)?;
        let rows = self.rows.get(&keys_of(std::slice::from_ref(key)), &projection)?;
        Ok((!rows.is_empty()).then_some(rows))
    }

    /// Reads a key as it stands in a URL or a form.
    ///
    /// # Errors
    /// 400 when the collection's keys are numbers and this is none.
    pub(crate) fn parse_key(&self, text: &str) -> Result<Key, ApiError> {
        match self.rows.schema().primary().data_type {
            DataType::Int64 => text.parse().map(Key::Int).map_err(|_| {
                ApiError::invalid(format!("the id of an image is a whole number, not {text:?}"))
            }),
            _ => Ok(Key::Text(text.to_owned())),
        }
    }

    /// The error for a key that names no row.
    pub(crate) fn no_such_image(&self, key: &Key) -> ApiError {
        ApiError::not_found(format!("there is no image {key} in the collection {}", self.rows.name()))
    }
}

/// The identity of a collection's vectors if they were reduced.
fn reduced(rows: &Collection) -> Option<ModelIdentity> {
    descriptor::reduced(rows.properties().get(MODEL_PROPERTY)?)
}

/// Values of a vector: of the network's, unless they were reduced.
fn dimension(descriptor: Descriptor, reduced: Option<&ModelIdentity>) -> usize {
    reduced.map_or(descriptor.model.network.dimension(), ModelIdentity::vector_dimension)
}

/// The definition of a collection for the vectors of a descriptor.
fn definition(name: &str, descriptor: Descriptor) -> Result<Definition, ApiError> {
    let dimension = descriptor.model.network.dimension();
    Ok(layout::definition(name, dimension, &descriptor::identity(descriptor))?)
}

/// Keys of one kind as the engine takes them.
pub(crate) fn keys_of(keys: &[Key]) -> Keys {
    let kind = match keys.first() {
        Some(Key::Text(_)) => DataType::VarChar,
        _ => DataType::Int64,
    };
    let mut list = Keys::empty(kind);
    keys.iter().for_each(|key| list.push(key.as_ref()));
    list
}

/// The keys of a list, owned.
pub(crate) fn owned_keys(keys: &Keys) -> Vec<Key> {
    keys.iter().map(elanus_engine::row::KeyRef::to_key).collect()
}
