//! The engine: all collections of one data directory. The catalog file names them; it is replaced atomically, and that
//! is what creates or drops a collection. Collections are opened in the background; one that cannot be opened is
//! reported with its reason while the others serve ([`slots`](self)). Threads of the engine seal, compact, measure and
//! sync ([`background`](self)).

mod background;
mod backup;
mod file;
mod names;
mod options;
mod slots;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{Sender, bounded, unbounded};
use elanus_storage::Vfs;
use elanus_storage::data_dir::DataDir;
use elanus_storage::quota::{Quota, Usage};
use elanus_storage::{Reserve, Resource};
use parking_lot::{Mutex, RwLock};

pub use backup::{BACKUP_FILE, BackupInfo};
pub use names::{Database, qualified, split};
pub use options::{EngineOptions, MemoryProbe};
pub use slots::Loading;

pub(crate) use file::{CATALOG, CatalogFile, collection_folder};

use crate::collection::{Collection, Definition, Shared};
use crate::compact::Pace;
use crate::error::{EngineError, Result};
use crate::exec::SearchQueue;
use crate::limits;
use background::{Background, Dropped, Requests};
use slots::{Slot, Slots};

const RESERVE: &str = "RESERVE";

/// All collections of a data directory. Blocking; share it as an `Arc`.
pub struct Engine {
    root: PathBuf,
    shared: Shared,
    slots: Arc<Slots>,
    /// The catalog file as it is. Held while it changes: one creation or drop at a time.
    catalog: Mutex<(u64, CatalogFile)>,
    names: RwLock<file::Names>,
    background: Mutex<Option<Background>>,
    /// To the thread that removes what was dropped, where there is one.
    removals: Option<Sender<Dropped>>,
    /// Bytes of the data directory that are not of collections, by kind, as their owners say.
    other_bytes: Mutex<BTreeMap<&'static str, u64>>,
    // Last: the lock on the directory is given up after everything else.
    _data: DataDir,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens the catalog; the collections that it names are opened in the background, or before this returns when
    /// [`EngineOptions::background`] is off.
    ///
    /// # Errors
    /// Storage errors of the catalog itself. A collection that does not open is in [`Engine::failed`] instead.
    pub fn open(data: DataDir, options: EngineOptions) -> Result<Arc<Self>> {
        let vfs: Arc<dyn Vfs> = Arc::clone(data.vfs());
        let root = data.root().to_owned();
        let options = Arc::new(options.checked());
        let pool = thread_pool("search", options.search_threads)?;
        let index_pool = thread_pool("index", options.index_threads)?;
        let (seal_requests, seals) = unbounded();
        let (index_requests, indexes) = bounded(1);
        let (removals, dropped) = unbounded();
        let reserve = Reserve::new(Arc::clone(&vfs), root.join(RESERVE), options.reserve_bytes);
        let reserve = Arc::new(reserve);
        let shared = Shared {
            vfs,
            pool: Arc::new(pool),
            index_pool: Arc::new(index_pool),
            queue: Arc::new(SearchQueue::new(options.search_queue)),
            quota: Arc::new(Quota::new(options.quota)),
            reserve,
            pace: Arc::new(Pace::new(options.compaction_rate)),
            options,
            seal_requests,
            index_requests,
        };
        let (generation, file) = CatalogFile::adopt(shared.vfs.as_ref(), &root)?;
        file.sweep_folders(shared.vfs.as_ref(), &root)?;
        let slots = Arc::new(Slots::new(&file));
        let names = RwLock::new(file.names());
        let has_threads = shared.options.background;
        let engine = Arc::new(Self {
            root,
            shared,
            slots,
            catalog: Mutex::new((generation, file)),
            names,
            background: Mutex::new(None),
            removals: has_threads.then_some(removals),
            other_bytes: Mutex::default(),
            _data: data,
        });
        engine.measure();
        if has_threads {
            *engine.background.lock() =
                Some(Background::start(&engine, Requests { seals, indexes, dropped })?);
        } else {
            engine.slots.load(&engine.shared, &engine.root);
        }
        Ok(engine)
    }

    /// Runs a call that is above all a search on one of the threads that search: waking another thread for the search alone
    /// costs more than many a search. The call must not panic, and must not wait for anything but the disk.
    ///
    /// # Errors
    /// `Busy` when as many searches run and wait as may.
    pub fn run_search(&self, call: impl FnOnce() + Send + 'static) -> Result<()> {
        let place = self.shared.queue.enter()?;
        self.shared.pool.spawn(move || {
            let _place = place;
            call();
        });
        Ok(())
    }

    /// Makes a collection, or gives back the one that exists with the same definition.
    ///
    /// # Errors
    /// `CollectionExists` for another definition of the name; what [`crate::schema::Schema::new`] and names demand;
    /// `QuotaExceeded`; storage errors.
    pub fn create(&self, definition: Definition) -> Result<Arc<Collection>> {
        definition.check()?;
        let known = qualified(&definition.database, &definition.name);
        // Waiting for one that is being opened is done before others have to wait for this.
        self.slots.wait(&known, self.shared.options.load_wait);
        let mut catalog = self.catalog.lock();
        catalog.1.check_database(&definition.database)?;
        if catalog.1.aliases.contains_key(&known) {
            return Err(EngineError::AliasConflict(format!(
                "collection name [{0}] conflicts with an existing alias, please choose a unique name: alias and collection \
                 name conflict[database={1}][alias={0}]",
                definition.name, definition.database
            )));
        }
        if let Some(existing) = self.existing(&definition)? {
            return Ok(existing);
        }
        self.check_room_for_one_more()?;
        let (id, folder) = self.new_folder(&mut catalog)?;
        let collection = Arc::new(Collection::create(self.shared.clone(), &folder, id, definition)?);
        self.name(&mut catalog, &known, id)?;
        self.slots.put(&known, Slot::Open(Arc::clone(&collection)));
        Ok(collection)
    }

    fn check_room_for_one_more(&self) -> Result<()> {
        if self.slots.len() >= limits::MAX_COLLECTIONS {
            return Err(EngineError::TooManyCollections { limit: limits::MAX_COLLECTIONS });
        }
        Ok(self.shared.quota.admit(limits::EMPTY_COLLECTION_BYTES)?)
    }

    /// A number for a new collection, and its folder, which is not there. Whatever becomes of it, nobody else in this
    /// life of the engine gets the number: files of a failed attempt may lie there, and the catalog may name it.
    fn new_folder(&self, catalog: &mut (u64, CatalogFile)) -> Result<(u64, PathBuf)> {
        let id = catalog.1.next_id;
        catalog.1.next_id += 1;
        let folder = collection_folder(&self.root, id);
        self.shared.vfs.remove_dir_all(&folder)?;
        Ok((id, folder))
    }

    /// Adds a finished folder to the catalog: from now on it is a collection.
    fn name(&self, catalog: &mut (u64, CatalogFile), name: &str, id: u64) -> Result<()> {
        let mut next = catalog.1.clone();
        next.collections.insert(name.to_owned(), id);
        self.store(catalog, next)
    }

    /// A collection by its name inside of the engine ([`qualified`]). One that is still being opened is waited for, up to [`EngineOptions::load_wait`].
    ///
    /// # Errors
    /// `CollectionNotFound`; `CollectionLoading`; `CollectionFailed` when it could not be opened.
    pub fn collection(&self, name: &str) -> Result<Arc<Collection>> {
        self.slots.get(name, self.shared.options.load_wait)
    }

    /// The collections that are open now.
    pub fn open_collections(&self) -> Vec<Arc<Collection>> {
        self.slots.open()
    }

    /// Names of all collections inside of the engine, sorted, those not opened included.
    pub fn names(&self) -> Vec<String> {
        self.slots.names()
    }

    /// Numbers of all collections, by their names inside of the engine. A collection keeps its number for its life, whatever
    /// it is called, and nobody gets it after. Waits while one is made, renamed or dropped.
    pub fn numbers(&self) -> BTreeMap<String, u64> {
        self.catalog.lock().1.collections.clone()
    }

    /// Collections that could not be opened, with the reason.
    pub fn failed(&self) -> Vec<(String, String)> {
        self.slots.failed()
    }

    /// How far opening is; `None` when it is done.
    pub fn loading(&self) -> Option<Loading> {
        self.slots.loading()
    }

    /// Whether a collection is being opened, at the start or under another name: who asks for it waits.
    pub fn is_opening(&self) -> bool {
        self.slots.is_opening()
    }

    /// Everything that is wrong: collections out of service or read-only, with the reason.
    pub fn faults(&self) -> Vec<(String, String)> {
        let poisoned = self.slots.open().into_iter().filter_map(|c| {
            let reason = c.poisoned()?;
            Some((c.name().to_owned(), format!("read-only until a restart: {reason}")))
        });
        self.failed().into_iter().chain(poisoned).collect()
    }

    /// What there is too little of for the data to grow.
    pub fn exhausted(&self) -> Vec<Resource> {
        self.shared.quota.exceeded()
    }

    /// The guard that everything asks before data grows, for data beside collections.
    pub fn quota(&self) -> &Arc<Quota> {
        &self.shared.quota
    }

    /// Says how many bytes of a kind the data directory holds beside collections.
    pub fn set_other_bytes(&self, kind: &'static str, bytes: u64) {
        self.other_bytes.lock().insert(kind, bytes);
    }

    /// Bytes of all collections' files and of what is beside them.
    pub fn data_bytes(&self) -> u64 {
        let collections = self.slots.open().iter().map(|c| c.stats().disk_bytes).sum::<u64>();
        collections + self.other_bytes.lock().values().sum::<u64>() + self.shared.reserve.bytes()
    }

    /// Measures what is in use, for the quota. The background does it every second.
    pub fn measure(&self) {
        let data = self.data_bytes();
        match self.shared.vfs.space(&self.root) {
            Ok(space) => {
                self.shared.reserve.replenish();
                let memory = self.shared.options.memory.and_then(|measure| measure());
                self.shared.quota.measured(Usage { data, space, memory });
            }
            Err(error) => tracing::warn!(%error, "the disk can't be measured"),
        }
    }

    /// Drops a collection, by its name inside of the engine, with all its rows and files; false when there is none of that name.
    ///
    /// # Errors
    /// Storage errors before the catalog has changed; `CollectionLoading`. Its files are removed in the background; what
    /// cannot be removed is swept at the next start.
    pub fn drop_collection(&self, name: &str) -> Result<bool> {
        self.slots.wait(name, self.shared.options.load_wait);
        let mut catalog = self.catalog.lock();
        Self::check_droppable(&catalog.1, name)?;
        let mut next = catalog.1.clone();
        let Some(id) = next.collections.remove(name) else {
            return Ok(false);
        };
        if let Err(loading @ EngineError::CollectionLoading { .. }) = self.slots.get(name, Duration::ZERO) {
            return Err(loading);
        }
        let stored = match self.store(&mut catalog, next.clone()) {
            Err(EngineError::Storage(error)) if error.is_disk_full() && self.shared.reserve.release() => {
                self.store(&mut catalog, next)
            }
            other => other,
        };
        if let Err(error) = stored {
            // Whatever the collection takes from now on, a start could lose.
            if let (false, Ok(collection)) =
                (self.is_in_place(catalog.0), self.slots.get(name, Duration::ZERO))
            {
                self.take_out_of_service(&collection, &format!("dropping it has failed halfway: {error}"));
            }
            return Err(error);
        }
        let slot = self.slots.remove(name);
        drop(catalog);
        let collection = if let Some(Slot::Open(collection)) = slot { Some(collection) } else { None };
        if let Some(collection) = &collection {
            collection.begin_dropping();
        }
        let vfs = Arc::clone(&self.shared.vfs);
        let dropped =
            Dropped { name: name.to_owned(), folder: collection_folder(&self.root, id), collection, vfs };
        match &self.removals {
            // Removed here after all when the thread has ended.
            Some(removals) => {
                if let Err(unsent) = removals.send(dropped) {
                    unsent.into_inner().remove();
                }
            }
            None => dropped.remove(),
        }
        Ok(true)
    }

    /// Requests for the collection get the reason from now on; the others go on.
    fn take_out_of_service(&self, collection: &Collection, reason: &str) {
        self.slots.fail(collection, reason);
        collection.begin_closing();
    }

    fn is_closing(&self) -> bool {
        self.slots.is_stopped()
    }

    /// Ends background work and refuses further writes; returns when writes under way are done. Everything
    /// acknowledged is durable then.
    pub fn close(&self) {
        self.slots.stop_loading();
        let open = self.slots.open();
        // A compaction under way ends at its next piece.
        open.iter().for_each(|collection| collection.begin_closing());
        let background = self.background.lock().take();
        if let Some(background) = background {
            background.stop();
        }
        open.iter().for_each(|collection| collection.close());
    }

    fn existing(&self, definition: &Definition) -> Result<Option<Arc<Collection>>> {
        let existing =
            match self.slots.get(&qualified(&definition.database, &definition.name), Duration::ZERO) {
                Err(EngineError::CollectionNotFound { .. }) => return Ok(None),
                other => other?,
            };
        let mut known = Definition::clone(&existing.definition());
        // Properties change during a collection's life: they do not make another collection.
        known.properties.clone_from(&definition.properties);
        if known.same_as(definition) {
            Ok(Some(existing))
        } else {
            Err(EngineError::CollectionExists { name: definition.name.clone() })
        }
    }

    /// Stores the next catalog. If that fails halfway, nobody knows which of the two a start would find: the present one
    /// is put behind both, if that can be done.
    fn store(&self, catalog: &mut (u64, CatalogFile), next: CatalogFile) -> Result<()> {
        let (generation, present) = catalog;
        if let Err(error) = next.store(self.vfs(), &self.root, *generation + 1) {
            if !self.is_in_place(*generation) {
                *generation += 1;
                match present.store(self.vfs(), &self.root, *generation + 1) {
                    Ok(()) => *generation += 1,
                    Err(second) => {
                        tracing::error!(%error, %second, "a change of the catalog has failed halfway")
                    }
                }
            }
            return Err(error);
        }
        *self.names.write() = next.names();
        *catalog = (*generation + 1, next);
        Ok(())
    }

    /// Whether the file is the catalog of this generation, and not one that was stored halfway after it.
    fn is_in_place(&self, generation: u64) -> bool {
        CatalogFile::load(self.vfs(), &self.root).is_ok_and(|(found, _)| found == generation)
    }

    fn vfs(&self) -> &dyn Vfs {
        self.shared.vfs.as_ref()
    }
}

fn thread_pool(name: &'static str, threads: usize) -> Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(move |i| format!("{name}-{i}"))
        .build()
        .map_err(|e| EngineError::Internal(format!("{name} threads: {e}")))
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.slots.stop_loading();
        if let Some(background) = self.background.get_mut().take() {
            background.stop();
        }
    }
}
