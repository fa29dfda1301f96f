//! A simulated disk that is stricter than a real one, for crash tests (feature `sim`). It keeps two images: what the
//! system would show now, and what would survive a loss of power. Bytes become durable with [`VfsFile::sync`], names
//! with [`Vfs::sync_dir`]; at a crash any mixture of what was not synced survives, sector by sector and name by name.
//! Everything that happens is drawn from one seed and folded into [`SimVfs::trace`]: equal seeds give equal runs.

mod image;
mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use image::Image;
pub use random::Random;

use super::{DirEntry, LockGuard, Space, Vfs, VfsFile, VfsRead};
use crate::error::{Result, StorageError};
use crate::mmap::Bytes;

/// What goes wrong. Shares are in 1/1000 of the calls of that kind.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Power fails at the call with this number (see [`SimVfs::calls`]); that call and all later ones fail.
    pub crash_at: Option<u64>,
    /// Writes that fail after a part of the bytes.
    pub failing_writes: u32,
    /// Syncs of files that fail; what they should have made durable never will be, unless it is written again.
    pub failing_syncs: u32,
    /// Reads that fail.
    pub failing_reads: u32,
    /// Reads that give fewer bytes than asked for.
    pub short_reads: u32,
    /// Creations, renames, links, removals and syncs of folders that fail.
    pub failing_names: u32,
    /// Bytes that fit on the disk.
    pub capacity: Option<u64>,
    /// Broken on purpose: syncs of files say yes and do nothing.
    pub lying_syncs: bool,
}

/// Something to do just before a call; see [`SimVfs::set_interlude`].
pub type Interlude = Box<dyn FnMut(&'static str, &Path) + Send>;

/// The disk. Clones are the same disk.
#[derive(Clone)]
pub struct SimVfs {
    state: Arc<Mutex<State>>,
    interlude: Arc<Mutex<Option<Interlude>>>,
}

struct State {
    random: Random,
    image: Image,
    faults: Faults,
    calls: u64,
    trace: u64,
    /// Rises with each restart; handles of an earlier life do nothing.
    life: u64,
    down: bool,
    locks: BTreeSet<PathBuf>,
    tells: bool,
}

impl std::fmt::Debug for SimVfs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimVfs").field("calls", &self.calls()).finish_non_exhaustive()
    }
}

/// Kinds of calls, by the share that makes them fail.
#[derive(Clone, Copy)]
enum Kind {
    Read,
    Write,
    Sync,
    Names,
}

impl State {
    /// Counts a call, adds it to the trace, and decides whether it fails.
    fn call(&mut self, op: &'static str, path: &Path, kind: Kind) -> Result<()> {
        self.calls += 1;
        if self.tells {
            eprintln!("    {} {op} {}", self.calls, path.display());
        }
        self.fold(op.as_bytes());
        self.fold(path.as_os_str().as_encoded_bytes());
        if !self.down && self.faults.crash_at.is_some_and(|at| self.calls >= at) {
            self.down = true;
        }
        if self.down {
            return Err(failure(op, path, io::Error::other("simulated: no power")));
        }
        let share = match kind {
            Kind::Read => self.faults.failing_reads,
            // Writes and syncs decide for themselves what a failure leaves behind.
            Kind::Write | Kind::Sync => 0,
            Kind::Names => self.faults.failing_names,
        };
        if self.random.chance(share) {
            return Err(failure(op, path, io::Error::other("simulated: input/output error")));
        }
        Ok(())
    }

    fn fold(&mut self, bytes: &[u8]) {
        // FNV-1a
        for byte in bytes {
            self.trace = (self.trace ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

fn failure(op: &'static str, path: &Path, source: io::Error) -> StorageError {
    StorageError::io(op, path, source)
}

impl SimVfs {
    /// An empty disk whose accidents are drawn from `seed`.
    pub fn new(seed: u64) -> Self {
        let state = State {
            random: Random::new(seed),
            image: Image::default(),
            faults: Faults::default(),
            calls: 0,
            trace: 0xcbf2_9ce4_8422_2325,
            life: 0,
            down: false,
            locks: BTreeSet::new(),
            tells: false,
        };
        Self { state: Arc::new(Mutex::new(state)), interlude: Arc::new(Mutex::new(None)) }
    }

    /// Writes every call to standard error, for whoever replays a seed.
    pub fn tell_calls(&self) {
        self.state.lock().tells = true;
    }

    /// What goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.state.lock().faults = faults;
    }

    /// The same, giving back what went wrong before.
    pub fn swap_faults(&self, faults: Faults) -> Faults {
        std::mem::replace(&mut self.state.lock().faults, faults)
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.state.lock().calls
    }

    /// A hash of every call so far, with its name and path.
    pub fn trace(&self) -> u64 {
        self.state.lock().trace
    }

    /// Whether the power has failed.
    pub fn is_down(&self) -> bool {
        self.state.lock().down
    }

    /// Something to do before each call, on the thread that makes it, as another thread would at that moment. Calls that
    /// it makes itself have no interlude.
    pub fn set_interlude(&self, interlude: Option<Interlude>) {
        *self.interlude.lock() = interlude;
    }

    /// The machine starts again after a loss of power: what was not synced survives in part.
    pub fn restart_after_power_loss(&self) {
        let mut state = self.state.lock();
        let state = &mut *state;
        state.image.lose_power(&mut state.random);
        state.begin_life();
    }

    /// The process starts again after it was killed: the system has everything that was written.
    pub fn restart_after_kill(&self) {
        self.state.lock().begin_life();
    }

    /// Paths of all files, as they would be found now.
    pub fn files(&self) -> Vec<PathBuf> {
        self.state.lock().image.files()
    }

    /// Changes stored bytes behind everybody's back, durably. Nothing happens where there is no such file.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        self.state.lock().image.damage(path, change);
    }

    /// Runs the interlude, if one is set and not running, then the call.
    fn with<T>(
        &self,
        op: &'static str,
        path: &Path,
        call: impl FnOnce(&mut State) -> Result<T>,
    ) -> Result<T> {
        let taken = self.interlude.lock().take();
        if let Some(mut interlude) = taken {
            interlude(op, path);
            self.interlude.lock().get_or_insert(interlude);
        }
        call(&mut self.state.lock())
    }
}

impl State {
    fn begin_life(&mut self) {
        self.life += 1;
        self.down = false;
        self.locks.clear();
        self.faults = Faults::default();
    }

    fn write(
        &mut self,
        op: &'static str,
        path: &Path,
        inode: u64,
        offset: Option<u64>,
        bytes: &[u8],
    ) -> Result<()> {
        self.call(op, path, Kind::Write)?;
        let at = offset.unwrap_or_else(|| self.image.len(inode));
        let grows = (at + bytes.len() as u64).saturating_sub(self.image.len(inode));
        let room = self.faults.capacity.map_or(u64::MAX, |most| most.saturating_sub(self.image.bytes()));
        if grows > room {
            let fit = (bytes.len() as u64 - (grows - room)) as usize;
            self.image.write(inode, at, &bytes[..fit]);
            return Err(failure(op, path, io::ErrorKind::StorageFull.into()));
        }
        if self.random.chance(self.faults.failing_writes) {
            let part = self.random.below(bytes.len() as u64 + 1) as usize;
            self.image.write(inode, at, &bytes[..part]);
            return Err(failure(op, path, io::Error::other("simulated: input/output error")));
        }
        self.image.write(inode, at, bytes);
        Ok(())
    }
}

struct SimFile {
    vfs: SimVfs,
    path: PathBuf,
    inode: u64,
    life: u64,
}

impl SimFile {
    fn with<T>(&self, op: &'static str, call: impl FnOnce(&mut State, u64) -> Result<T>) -> Result<T> {
        self.vfs.with(op, &self.path, |state| {
            if state.life != self.life {
                return Err(failure(
                    op,
                    &self.path,
                    io::Error::other("simulated: opened in an earlier life"),
                ));
            }
            call(state, self.inode)
        })
    }
}

impl VfsFile for SimFile {
    fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        self.with("write", |state, inode| state.write("write", &self.path, inode, None, bytes))
    }

    fn rewrite(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.with("rewrite", |state, inode| state.write("rewrite", &self.path, inode, Some(offset), bytes))
    }

    fn sync(&mut self) -> Result<()> {
        self.with("sync", |state, inode| {
            state.call("sync", &self.path, Kind::Sync)?;
            if state.random.chance(state.faults.failing_syncs) {
                state.image.fail_sync(inode);
                return Err(failure("sync", &self.path, io::Error::other("simulated: input/output error")));
            }
            if !state.faults.lying_syncs {
                state.image.sync(inode);
            }
            Ok(())
        })
    }

    fn truncate(&mut self, len: u64) -> Result<()> {
        self.with("truncate", |state, inode| {
            state.call("truncate", &self.path, Kind::Names)?;
            state.image.truncate(inode, len);
            Ok(())
        })
    }
}

impl VfsRead for SimFile {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        self.with("read", |state, inode| {
            state.call("read", &self.path, Kind::Read)?;
            let content = state.image.content(inode);
            let rest = content.get(offset as usize..).unwrap_or_default();
            let mut read = rest.len().min(into.len());
            into[..read].copy_from_slice(&rest[..read]);
            if read > 1 && state.random.chance(state.faults.short_reads) {
                read = 1 + state.random.below(read as u64 - 1) as usize;
            }
            Ok(read)
        })
    }

    fn len(&self) -> Result<u64> {
        self.with("look at", |state, inode| Ok(state.image.len(inode)))
    }
}

#[derive(Debug)]
struct SimLock {
    vfs: SimVfs,
    path: PathBuf,
    life: u64,
}

impl LockGuard for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.vfs.state.lock();
        if state.life == self.life {
            state.locks.remove(&self.path);
        }
    }
}

impl SimVfs {
    fn named<T>(
        &self,
        op: &'static str,
        path: &Path,
        kind: Kind,
        call: impl FnOnce(&mut Image) -> io::Result<T>,
    ) -> Result<T> {
        self.with(op, path, |state| {
            state.call(op, path, kind)?;
            call(&mut state.image).map_err(|error| failure(op, path, error))
        })
    }

    fn file(&self, path: &Path, inode: u64) -> Box<SimFile> {
        let life = self.state.lock().life;
        Box::new(SimFile { vfs: self.clone(), path: path.to_owned(), inode, life })
    }
}

impl Vfs for SimVfs {
    fn create_dir_all(&self, path: &Path) -> Result<()> {
        self.named("create folder", path, Kind::Names, |image| image.create_dir_all(path))
    }
    fn create_dir(&self, path: &Path) -> Result<()> {
        self.named("create folder", path, Kind::Names, |image| image.create_dir(path))
    }
    fn create(&self, path: &Path) -> Result<Box<dyn VfsFile>> {
        let inode = self.named("create", path, Kind::Names, |image| image.create(path))?;
        Ok(self.file(path, inode))
    }
    fn open_append(&self, path: &Path) -> Result<Box<dyn VfsFile>> {
        let inode = self.named("open", path, Kind::Names, |image| image.open_or_create(path))?;
        Ok(self.file(path, inode))
    }
    fn open_read(&self, path: &Path) -> Result<Box<dyn VfsRead>> {
        let inode = self.named("open", path, Kind::Read, |image| image.find(path))?;
        Ok(self.file(path, inode))
    }
    fn map(&self, path: &Path) -> Result<Bytes> {
        self.named("map", path, Kind::Read, |image| {
            let inode = image.find(path)?;
            Ok(Bytes::from_vec_aligned(image.content(inode).to_vec()))
        })
    }
    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.named("rename", from, Kind::Names, |image| image.rename(from, to))
    }
    fn hard_link(&self, from: &Path, to: &Path) -> Result<()> {
        self.named("link", from, Kind::Names, |image| image.link(from, to))
    }
    fn remove_file(&self, path: &Path) -> Result<()> {
        self.named("remove", path, Kind::Names, |image| image.unlink(path))
    }
    fn remove_dir_all(&self, path: &Path) -> Result<()> {
        self.named("remove folder", path, Kind::Names, |image| image.remove_dir_all(path))
    }
    fn list(&self, path: &Path) -> Result<Vec<DirEntry>> {
        self.named("list", path, Kind::Read, |image| image.list(path))
    }
    fn exists(&self, path: &Path) -> Result<bool> {
        self.named("look at", path, Kind::Read, |image| Ok(image.exists(path)))
    }
    fn len(&self, path: &Path) -> Result<u64> {
        self.named("look at", path, Kind::Read, |image| image.find(path).map(|inode| image.len(inode)))
    }
    fn sync_dir(&self, path: &Path) -> Result<()> {
        self.named("sync folder", path, Kind::Names, |image| image.sync_dir(path))
    }
    fn space(&self, path: &Path) -> Result<Space> {
        self.with("measure", path, |state| {
            state.call("measure", path, Kind::Read)?;
            let total = state.faults.capacity.unwrap_or(1 << 40);
            Ok(Space { free: total.saturating_sub(state.image.bytes()), total })
        })
    }
    fn random(&self) -> u64 {
        self.state.lock().random.next()
    }
    fn lock(&self, path: &Path) -> Result<Box<dyn LockGuard>> {
        self.with("lock", path, |state| {
            state.call("lock", path, Kind::Names)?;
            state.image.open_or_create(path).map_err(|error| failure("lock", path, error))?;
            if !state.locks.insert(path.to_owned()) {
                return Err(StorageError::Locked { path: path.to_owned(), owner: None });
            }
            Ok(state.life)
        })
        .map(|life| {
            Box::new(SimLock { vfs: self.clone(), path: path.to_owned(), life }) as Box<dyn LockGuard>
        })
    }
}

/// Files and folders of a disk by path; used where a map of everything is wanted.
type Paths<T> = BTreeMap<PathBuf, T>;
