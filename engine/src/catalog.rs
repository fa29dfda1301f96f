//! The engine: all collections of one data directory. The catalog file names them; it is replaced atomically, and that
//! is what creates or drops a collection. One that cannot be opened is reported with its reason while the others
//! serve. A background thread seals growing rows.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crossbeam::channel::{Receiver, Sender, unbounded};
use elanus_storage::data_dir::DataDir;
use elanus_storage::{StorageError, Vfs, manifest};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

use crate::collection::{Collection, Definition, Shared};
use crate::error::{EngineError, Result};
use crate::limits;

const CATALOG: &str = "catalog";
const COLLECTIONS: &str = "collections";

/// Settings of an engine.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Rows in memory are sealed into files beyond this many bytes a collection.
    pub seal_bytes: usize,
    /// Threads that search; 0: one a core.
    pub search_threads: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { seal_bytes: 64 << 20, search_threads: 0 }
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct CatalogFile {
    next_id: u64,
    collections: BTreeMap<String, u64>,
}

#[derive(Debug)]
enum Slot {
    Open(Arc<Collection>),
    Failed { id: u64, reason: String },
}

impl Slot {
    fn id(&self) -> u64 {
        match self {
            Slot::Open(collection) => collection.id(),
            Slot::Failed { id, .. } => *id,
        }
    }
}

/// All collections of a data directory. Blocking; share it as an `Arc`.
pub struct Engine {
    root: PathBuf,
    shared: Shared,
    slots: RwLock<BTreeMap<String, Slot>>,
    /// Held while the catalog file changes: one creation or drop at a time.
    catalog: Mutex<(u64, u64)>,
    sealer: Mutex<Option<Sealer>>,
    // Last: the lock on the directory is given up after everything else.
    _data: DataDir,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("root", &self.root)
            .field("slots", &self.slots.read())
            .finish_non_exhaustive()
    }
}

struct Sealer {
    stop: Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl Engine {
    /// Opens every collection that the catalog names.
    ///
    /// # Errors
    /// Storage errors of the catalog itself. A collection that does not open is in [`Engine::failed`] instead.
    pub fn open(data: DataDir, options: EngineOptions) -> Result<Arc<Self>> {
        let vfs: Arc<dyn Vfs> = Arc::clone(data.vfs());
        let root = data.root().to_owned();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(options.search_threads)
            .thread_name(|i| format!("search-{i}"))
            .build()
            .map_err(|e| EngineError::Internal(format!("search pool: {e}")))?;
        let (seal_requests, requests) = unbounded();
        let shared =
            Shared { vfs, pool: Arc::new(pool), seal_bytes: options.seal_bytes.max(1), seal_requests };
        let (generation, file) = load_catalog(shared.vfs.as_ref(), &root)?;
        sweep_folders(shared.vfs.as_ref(), &root, &file)?;
        let mut slots = BTreeMap::new();
        for (name, &id) in &file.collections {
            slots.insert(name.clone(), open_slot(&shared, &root, name, id));
        }
        let engine = Arc::new(Self {
            root,
            shared,
            slots: RwLock::new(slots),
            catalog: Mutex::new((generation, file.next_id)),
            sealer: Mutex::new(None),
            _data: data,
        });
        engine.start_sealer(requests)?;
        Ok(engine)
    }

    /// Makes a collection, or gives back the one that exists with the same definition.
    ///
    /// # Errors
    /// `CollectionExists` for another definition of the name; what [`crate::schema::Schema::new`] and names demand; storage errors.
    pub fn create(&self, definition: Definition) -> Result<Arc<Collection>> {
        definition.check()?;
        let mut catalog = self.catalog.lock();
        if let Some(existing) = self.existing(&definition)? {
            return Ok(existing);
        }
        if self.slots.read().len() >= limits::MAX_COLLECTIONS {
            return Err(EngineError::TooManyCollections { limit: limits::MAX_COLLECTIONS });
        }
        let id = catalog.1;
        let name = definition.name.clone();
        let created = Collection::create(self.shared.clone(), &folder(&self.root, id), id, definition)?;
        let collection = Arc::new(created);
        let mut names = self.ids();
        names.insert(name.clone(), id);
        self.store(&mut catalog, id + 1, names)?;
        self.slots.write().insert(name, Slot::Open(Arc::clone(&collection)));
        Ok(collection)
    }

    /// A collection by name.
    ///
    /// # Errors
    /// `CollectionNotFound`; `CollectionFailed` when it could not be opened.
    pub fn collection(&self, name: &str) -> Result<Arc<Collection>> {
        match self.slots.read().get(name) {
            Some(Slot::Open(collection)) => Ok(Arc::clone(collection)),
            Some(Slot::Failed { reason, .. }) => {
                Err(EngineError::CollectionFailed { name: name.to_owned(), reason: reason.clone() })
            }
            None => Err(EngineError::CollectionNotFound { name: name.to_owned() }),
        }
    }

    /// Names of all collections, sorted, failed ones included.
    pub fn names(&self) -> Vec<String> {
        self.slots.read().keys().cloned().collect()
    }

    /// Collections that could not be opened, with the reason.
    pub fn failed(&self) -> Vec<(String, String)> {
        let slots = self.slots.read();
        let reason = |slot: &Slot| match slot {
            Slot::Failed { reason, .. } => Some(reason.clone()),
            Slot::Open(_) => None,
        };
        slots.iter().filter_map(|(name, slot)| Some((name.clone(), reason(slot)?))).collect()
    }

    /// Drops a collection with all its rows and files; false when there is none of that name.
    ///
    /// # Errors
    /// Storage errors before the catalog has changed. Files that cannot be removed afterwards are swept at the next start.
    pub fn drop_collection(&self, name: &str) -> Result<bool> {
        let mut catalog = self.catalog.lock();
        let mut names = self.ids();
        if names.remove(name).is_none() {
            return Ok(false);
        }
        let next_id = catalog.1;
        self.store(&mut catalog, next_id, names)?;
        let slot = self.slots.write().remove(name);
        drop(catalog);
        if let Some(slot) = slot {
            if let Slot::Open(collection) = &slot {
                collection.close();
            }
            if let Err(error) = self.shared.vfs.remove_dir_all(&folder(&self.root, slot.id())) {
                tracing::warn!(collection = name, %error, "files of a dropped collection are left for the next start");
            }
        }
        Ok(true)
    }

    /// Ends background work and refuses further writes; returns when writes under way are done. Everything
    /// acknowledged is durable already.
    pub fn close(&self) {
        if let Some(sealer) = self.sealer.lock().take() {
            drop(sealer.stop);
            if sealer.thread.join().is_err() {
                tracing::error!("the sealing thread had panicked");
            }
        }
        let open: Vec<_> = self.open_collections();
        open.iter().for_each(|collection| collection.close());
    }

    fn open_collections(&self) -> Vec<Arc<Collection>> {
        let slots = self.slots.read();
        slots
            .values()
            .filter_map(|s| if let Slot::Open(c) = s { Some(Arc::clone(c)) } else { None })
            .collect()
    }

    fn ids(&self) -> BTreeMap<String, u64> {
        self.slots.read().iter().map(|(name, slot)| (name.clone(), slot.id())).collect()
    }

    fn existing(&self, definition: &Definition) -> Result<Option<Arc<Collection>>> {
        let existing = match self.collection(&definition.name) {
            Err(EngineError::CollectionNotFound { .. }) => return Ok(None),
            other => other?,
        };
        let mut known = existing.definition();
        // Properties change during a collection's life: they do not make another collection.
        known.properties.clone_from(&definition.properties);
        if known == *definition {
            Ok(Some(existing))
        } else {
            Err(EngineError::CollectionExists { name: definition.name.clone() })
        }
    }

    fn store(
        &self,
        catalog: &mut (u64, u64),
        next_id: u64,
        collections: BTreeMap<String, u64>,
    ) -> Result<()> {
        let file = CatalogFile { next_id, collections };
        let payload =
            serde_json::to_vec(&file).map_err(|e| EngineError::Internal(format!("catalog: {e}")))?;
        manifest::store(self.shared.vfs.as_ref(), &self.root.join(CATALOG), catalog.0 + 1, &payload)?;
        *catalog = (catalog.0 + 1, next_id);
        Ok(())
    }

    fn start_sealer(self: &Arc<Self>, requests: Receiver<u64>) -> Result<()> {
        let (stop, stopped) = crossbeam::channel::bounded(0);
        let engine = Arc::downgrade(self);
        let run = move || {
            loop {
                let id = crossbeam::channel::select_biased! {
                    recv(stopped) -> _ => return,
                    recv(requests) -> id => id,
                };
                let (Ok(id), Some(engine)) = (id, engine.upgrade()) else { return };
                let Some(collection) = engine.open_collections().into_iter().find(|c| c.id() == id) else {
                    continue;
                };
                if let Err(error) = collection.seal() {
                    tracing::error!(collection = collection.name(), %error, "sealing failed; rows stay in the log");
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("sealer".into())
            .spawn(run)
            .map_err(|e| EngineError::Internal(format!("sealing thread: {e}")))?;
        *self.sealer.lock() = Some(Sealer { stop, thread });
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // The sealer may hold the last reference and run this itself: it must not wait for itself.
        if let Some(sealer) = self.sealer.lock().take()
            && sealer.thread.thread().id() != std::thread::current().id()
        {
            drop(sealer.stop);
            let _ = sealer.thread.join();
        }
    }
}

fn folder(root: &std::path::Path, id: u64) -> PathBuf {
    root.join(COLLECTIONS).join(format!("{id:08}"))
}

fn load_catalog(vfs: &dyn Vfs, root: &std::path::Path) -> Result<(u64, CatalogFile)> {
    let path = root.join(CATALOG);
    let Some(stored) = manifest::load(vfs, &path)? else {
        return Ok((0, CatalogFile { next_id: 1, ..CatalogFile::default() }));
    };
    let file = serde_json::from_slice(&stored.payload).map_err(|e| StorageError::Corrupt {
        path,
        offset: 0,
        reason: format!("payload: {e}"),
    })?;
    Ok((stored.generation, file))
}

fn open_slot(shared: &Shared, root: &std::path::Path, name: &str, id: u64) -> Slot {
    match Collection::open(shared.clone(), &folder(root, id), id, name.to_owned()) {
        Ok(collection) => Slot::Open(Arc::new(collection)),
        Err(error) => {
            tracing::error!(collection = name, %error, "collection is out of service; the others go on");
            Slot::Failed { id, reason: error.to_string() }
        }
    }
}

/// Removes folders of collections whose creation or drop did not finish.
fn sweep_folders(vfs: &dyn Vfs, root: &std::path::Path, file: &CatalogFile) -> Result<()> {
    let collections = root.join(COLLECTIONS);
    vfs.create_dir_all(&collections)?;
    for entry in vfs.list(&collections)? {
        let alive = file.collections.values().any(|&id| folder(root, id).ends_with(&entry.name));
        if entry.is_dir && !alive {
            vfs.remove_dir_all(&collections.join(&entry.name))?;
        }
    }
    Ok(())
}
