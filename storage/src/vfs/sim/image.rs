//! The two images of the simulated disk. A file's content and its names are apart, as on a real disk: an inode holds
//! bytes, a path points to it, and each becomes durable on its own.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::super::parent;
use super::{DirEntry, Paths, Random};

/// The smallest piece that a disk writes whole.
const SECTOR: usize = 512;

#[derive(Debug, Clone, Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors that a failed sync left looking clean: the system will not write them.
    forgotten: BTreeSet<usize>,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Dir,
    File(u64),
}

/// A change of names that its folder has not been synced for.
#[derive(Debug, Clone)]
enum Change {
    Add(PathBuf, Node),
    Remove(PathBuf),
    /// Both names in one step.
    Rename(PathBuf, PathBuf, Node),
}

#[derive(Debug, Default)]
pub(super) struct Image {
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    live: Paths<Node>,
    durable: Paths<Node>,
    /// By folder, in order.
    pending: Paths<Vec<Change>>,
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Image {
    pub(super) fn create_dir_all(&mut self, path: &Path) -> io::Result<()> {
        // Durable, as the contract of the door says.
        let chain: Vec<&Path> = path.ancestors().filter(|p| !p.as_os_str().is_empty()).collect();
        for dir in chain.into_iter().rev() {
            if matches!(self.live.get(dir), Some(Node::File(_))) {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            if self.live.insert(dir.to_owned(), Node::Dir).is_none() {
                self.sync_dir_of(dir);
                self.durable.insert(dir.to_owned(), Node::Dir);
            }
        }
        Ok(())
    }

    pub(super) fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        self.require_dir(parent(path))?;
        match self.live.get(path) {
            Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
            Some(Node::Dir) => return Ok(()),
            None => {}
        }
        self.live.insert(path.to_owned(), Node::Dir);
        self.change(path, Change::Add(path.to_owned(), Node::Dir));
        Ok(())
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<u64> {
        match self.live.get(path) {
            Some(Node::File(inode)) => {
                let inode = *inode;
                self.truncate(inode, 0);
                Ok(inode)
            }
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => self.add(path),
        }
    }

    pub(super) fn open_or_create(&mut self, path: &Path) -> io::Result<u64> {
        match self.find(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.add(path),
            other => other,
        }
    }

    fn add(&mut self, path: &Path) -> io::Result<u64> {
        self.require_dir(parent(path))?;
        self.next_inode += 1;
        let inode = self.next_inode;
        self.inodes.insert(inode, Inode::default());
        self.live.insert(path.to_owned(), Node::File(inode));
        self.change(path, Change::Add(path.to_owned(), Node::File(inode)));
        Ok(inode)
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<u64> {
        match self.live.get(path) {
            Some(Node::File(inode)) => Ok(*inode),
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(missing()),
        }
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = *self.live.get(from).ok_or_else(missing)?;
        self.require_dir(parent(to))?;
        if node == Node::Dir {
            return self.rename_dir(from, to);
        }
        self.live.remove(from);
        self.live.insert(to.to_owned(), node);
        self.change(to, Change::Rename(from.to_owned(), to.to_owned(), node));
        Ok(())
    }

    /// Folders are renamed durably and whole: nothing here relies on less.
    fn rename_dir(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        if self.live.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let moved = |path: &Path| path.strip_prefix(from).ok().map(|rest| to.join(rest));
        for tree in [&mut self.live, &mut self.durable] {
            let old: Vec<(PathBuf, Node)> = tree
                .iter()
                .filter(|(path, _)| path.starts_with(from))
                .map(|(path, node)| (path.clone(), *node))
                .collect();
            for (path, node) in old {
                tree.remove(&path);
                // `join("")` would leave a slash behind.
                let target = if path == from { Some(to.to_owned()) } else { moved(&path) };
                if let Some(target) = target {
                    tree.insert(target, node);
                }
            }
        }
        self.pending.retain(|dir, _| !dir.starts_with(from));
        Ok(())
    }

    pub(super) fn link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = self.find(from)?;
        self.require_dir(parent(to))?;
        if self.live.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.live.insert(to.to_owned(), Node::File(inode));
        self.change(to, Change::Add(to.to_owned(), Node::File(inode)));
        Ok(())
    }

    pub(super) fn unlink(&mut self, path: &Path) -> io::Result<()> {
        if self.live.remove(path).is_some() {
            self.change(path, Change::Remove(path.to_owned()));
        }
        Ok(())
    }

    pub(super) fn remove_dir_all(&mut self, path: &Path) -> io::Result<()> {
        let inside: Vec<PathBuf> = self.live.keys().filter(|p| p.starts_with(path)).cloned().collect();
        for found in inside.into_iter().rev() {
            self.live.remove(&found);
            self.change(&found, Change::Remove(found.clone()));
        }
        Ok(())
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.require_dir(path)?;
        let entry = |(found, node): (&PathBuf, &Node)| {
            let name = found.file_name()?.to_str()?.to_owned();
            Some(match node {
                Node::Dir => DirEntry { name, is_dir: true, len: 0 },
                Node::File(inode) => DirEntry { name, is_dir: false, len: self.len(*inode) },
            })
        };
        let mut entries: Vec<DirEntry> = self
            .live
            .iter()
            .filter(|(found, _)| found.as_path() != path && parent(found) == path)
            .filter_map(entry)
            .collect();
        entries.sort();
        Ok(entries)
    }

    pub(super) fn exists(&self, path: &Path) -> bool {
        self.live.contains_key(path)
    }

    pub(super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        self.require_dir(path)?;
        for change in self.pending.remove(path).unwrap_or_default() {
            apply(&mut self.durable, &change);
        }
        Ok(())
    }

    pub(super) fn content(&self, inode: u64) -> &[u8] {
        self.inodes.get(&inode).map_or(&[], |file| &file.live)
    }

    pub(super) fn len(&self, inode: u64) -> u64 {
        self.content(inode).len() as u64
    }

    /// Bytes in all files that have a name.
    pub(super) fn bytes(&self) -> u64 {
        let named: BTreeSet<u64> = self.live.values().filter_map(|node| file_of(*node)).collect();
        named.into_iter().map(|inode| self.len(inode)).sum()
    }

    pub(super) fn write(&mut self, inode: u64, offset: u64, bytes: &[u8]) {
        let Some(file) = self.inodes.get_mut(&inode) else { return };
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        if file.live.len() < end {
            file.live.resize(end, 0);
        }
        file.live[start..end].copy_from_slice(bytes);
        for sector in start / SECTOR..end.div_ceil(SECTOR) {
            file.forgotten.remove(&sector);
        }
    }

    pub(super) fn truncate(&mut self, inode: u64, len: u64) {
        if let Some(file) = self.inodes.get_mut(&inode) {
            file.live.resize(len as usize, 0);
            // What lies beyond the end is not forgotten but gone.
            file.forgotten.split_off(&(len as usize).div_ceil(SECTOR));
        }
    }

    pub(super) fn sync(&mut self, inode: u64) {
        if let Some(file) = self.inodes.get_mut(&inode) {
            let kept: Vec<(usize, Vec<u8>)> = file
                .forgotten
                .iter()
                .map(|&sector| (sector, sector_of(&file.durable, sector).to_vec()))
                .collect();
            file.durable.clone_from(&file.live);
            for (sector, old) in kept {
                overwrite(&mut file.durable, sector, &old);
            }
        }
    }

    pub(super) fn fail_sync(&mut self, inode: u64) {
        if let Some(file) = self.inodes.get_mut(&inode) {
            let sectors = file.live.len().div_ceil(SECTOR);
            let dirty = (0..sectors).filter(|&s| sector_of(&file.live, s) != sector_of(&file.durable, s));
            file.forgotten.extend(dirty.collect::<Vec<_>>());
        }
    }

    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.live.iter().filter(|(_, node)| file_of(**node).is_some()).map(|(path, _)| path.clone()).collect()
    }

    pub(super) fn damage(&mut self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        if let Ok(inode) = self.find(path)
            && let Some(file) = self.inodes.get_mut(&inode)
        {
            change(&mut file.live);
            file.durable.clone_from(&file.live);
        }
    }

    /// Decides what survives of all that was not synced, and goes on from there.
    pub(super) fn lose_power(&mut self, random: &mut Random) {
        let fate = Fate::draw(random);
        for changes in std::mem::take(&mut self.pending).into_values() {
            for change in changes {
                if fate.keeps(random) {
                    apply(&mut self.durable, &change);
                }
            }
        }
        let dirs: BTreeSet<PathBuf> = self
            .durable
            .iter()
            .filter(|(_, node)| **node == Node::Dir)
            .map(|(path, _)| path.clone())
            .collect();
        // Without its folder nobody finds a file.
        self.durable.retain(|path, _| {
            path.ancestors().skip(1).all(|dir| dir.as_os_str().is_empty() || dirs.contains(dir))
        });
        let fate = Fate::draw(random);
        for file in self.inodes.values_mut() {
            file.durable = survivors(file, fate, random);
            file.live.clone_from(&file.durable);
            file.forgotten.clear();
        }
        self.live.clone_from(&self.durable);
        let named: BTreeSet<u64> = self.live.values().filter_map(|node| file_of(*node)).collect();
        self.inodes.retain(|inode, _| named.contains(inode));
    }

    fn require_dir(&self, path: &Path) -> io::Result<()> {
        match self.live.get(path) {
            Some(Node::Dir) => Ok(()),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None if path == Path::new(".") => Ok(()),
            None => Err(missing()),
        }
    }

    fn change(&mut self, path: &Path, change: Change) {
        self.pending.entry(parent(path).to_owned()).or_default().push(change);
    }

    /// A new folder is durable at once: what waited for its name alone must not undo that.
    fn sync_dir_of(&mut self, dir: &Path) {
        if let Some(changes) = self.pending.get_mut(parent(dir)) {
            changes.retain(|change| !matches!(change, Change::Remove(path) if path == dir));
        }
    }
}

/// How much of what was not synced survives.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Nothing,
    Everything,
    /// In 1/1000.
    Some(u32),
}

impl Fate {
    fn draw(random: &mut Random) -> Self {
        match random.below(4) {
            0 => Self::Nothing,
            1 => Self::Everything,
            _ => Self::Some(100 + random.below(800) as u32),
        }
    }

    fn keeps(self, random: &mut Random) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Some(share) => random.chance(share),
        }
    }
}

fn survivors(file: &Inode, fate: Fate, random: &mut Random) -> Vec<u8> {
    if file.live == file.durable {
        return file.durable.clone();
    }
    let (old, new) = (file.durable.len(), file.live.len());
    let len = match random.below(3) {
        _ if matches!(fate, Fate::Nothing) => old,
        _ if matches!(fate, Fate::Everything) => new,
        0 => old,
        1 => new,
        _ => old.min(new) + random.below(old.abs_diff(new) as u64 + 1) as usize,
    };
    let mut kept = file.durable.clone();
    kept.resize(len, 0);
    for sector in 0..len.div_ceil(SECTOR) {
        let new = sector_of(&file.live, sector);
        if new == sector_of(&file.durable, sector) || file.forgotten.contains(&sector) || !fate.keeps(random)
        {
            continue;
        }
        // Now and then power fails within a sector.
        let torn = matches!(fate, Fate::Some(_)) && random.chance(100);
        let part = if torn { random.below(new.len() as u64 + 1) as usize } else { new.len() };
        overwrite(&mut kept, sector, &new[..part]);
    }
    kept
}

fn sector_of(bytes: &[u8], sector: usize) -> &[u8] {
    let start = (sector * SECTOR).min(bytes.len());
    &bytes[start..(start + SECTOR).min(bytes.len())]
}

/// Puts bytes at the start of a sector, as far as the file reaches; what the sector has beyond them is zero if the file
/// never had anything there.
fn overwrite(bytes: &mut [u8], sector: usize, new: &[u8]) {
    let start = (sector * SECTOR).min(bytes.len());
    let end = (start + new.len()).min(bytes.len());
    bytes[start..end].copy_from_slice(&new[..end - start]);
}

fn apply(tree: &mut Paths<Node>, change: &Change) {
    match change {
        Change::Add(path, node) => {
            tree.insert(path.clone(), *node);
        }
        Change::Remove(path) => {
            tree.remove(path);
        }
        Change::Rename(from, to, node) => {
            tree.remove(from);
            tree.insert(to.clone(), *node);
        }
    }
}

fn file_of(node: Node) -> Option<u64> {
    match node {
        Node::File(inode) => Some(inode),
        Node::Dir => None,
    }
}
