//! Containers and manifests: what is written comes back, every flipped bit and every cut is noticed, left-overs do no
//! harm, and files of format version 1 stay readable.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use elanus_storage::{
    ALIGNMENT, Container, ContainerWriter, DiskVfs, FileKind, StorageError, Vfs, manifest, write_atomic,
};
use proptest::prelude::*;

const KIND: FileKind = FileKind { tag: *b"TEST", version: 2 };

fn write(path: &Path, blocks: &[Vec<u8>]) -> u64 {
    let mut writer = ContainerWriter::create(&DiskVfs, path, KIND).unwrap();
    for (number, block) in blocks.iter().enumerate() {
        writer.begin_block([b'b', 0, 0, number as u8]).unwrap();
        block.chunks(7).for_each(|part| writer.write(part).unwrap());
    }
    writer.finish().unwrap()
}

fn whole(path: &Path) -> Result<(), StorageError> {
    Container::open(&DiskVfs, path, KIND)?.verify()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

proptest! {
    #[test]
    fn blocks_come_back_aligned(blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..6)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        let size = write(&path, &blocks);
        prop_assert_eq!(size, DiskVfs.len(&path).unwrap());
        let container = Container::open(&DiskVfs, &path, KIND).unwrap();
        container.verify().unwrap();
        for (number, block) in blocks.iter().enumerate() {
            let read = container.require([b'b', 0, 0, number as u8]).unwrap();
            prop_assert_eq!(&read[..], &block[..]);
            prop_assert_eq!(read.as_ptr() as usize % ALIGNMENT, 0);
        }
        prop_assert!(container.block(*b"none").is_none());
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    write(&path, &[vec![1; 100], vec![], vec![3; 64]]);
    let good = std::fs::read(&path).unwrap();
    whole(&path).unwrap();
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(&path, &bytes).unwrap();
        assert!(whole(&path).is_err(), "flip at {at}");
        std::fs::write(&path, &good[..at]).unwrap();
        assert!(whole(&path).is_err(), "cut at {at}");
    }
}

#[test]
fn kinds_and_versions_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    write(&path, &[]);
    let open = |kind| Container::open(&DiskVfs, &path, kind);
    assert_eq!(open(FileKind { version: 9, ..KIND }).unwrap().version(), 2);
    assert!(matches!(
        open(FileKind { version: 1, ..KIND }),
        Err(StorageError::UnsupportedVersion { found: 2, .. })
    ));
    assert!(matches!(open(FileKind { tag: *b"ELSE", ..KIND }), Err(StorageError::Corrupt { .. })));
}

#[test]
fn an_unfinished_container_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    let mut writer = ContainerWriter::create(&DiskVfs, &path, KIND).unwrap();
    writer.block(*b"some", &[0; 5000]).unwrap();
    drop(writer);
    assert_eq!(DiskVfs.list(dir.path()).unwrap(), []);
}

#[test]
fn manifests_are_replaced_whole_and_damage_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("MANIFEST");
    assert_eq!(manifest::load(&DiskVfs, &path).unwrap(), None);
    manifest::store(&DiskVfs, &path, 1, b"first").unwrap();
    manifest::store(&DiskVfs, &path, 2, b"second").unwrap();
    std::fs::write(dir.path().join("MANIFEST.tmp"), b"half of the third").unwrap();
    let read = manifest::load(&DiskVfs, &path).unwrap().unwrap();
    assert_eq!((read.generation, &read.payload[..]), (2, &b"second"[..]));
    let good = std::fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(&path, &bytes).unwrap();
        assert!(manifest::load(&DiskVfs, &path).is_err(), "flip at {at}");
        std::fs::write(&path, &good[..at]).unwrap();
        assert!(manifest::load(&DiskVfs, &path).is_err(), "cut at {at}");
    }
}

#[test]
fn an_atomic_write_shows_the_old_or_the_new() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    write_atomic(&DiskVfs, &path, b"old").unwrap();
    write_atomic(&DiskVfs, &path, b"new").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    assert!(write_atomic(&DiskVfs, &dir.path().join("no/such/folder"), b"x").is_err());
    assert_eq!(DiskVfs.list(dir.path()).unwrap().len(), 1);
}

/// The fixtures were written by the first release of each format. They are never written again: if this fails, stored
/// data of users can't be read any more. `ELANUS_WRITE_FIXTURES=1` makes those that are missing.
#[test]
fn files_of_version_1_stay_readable() {
    let container = fixture("v1/container");
    let kind = FileKind { tag: *b"FIXT", version: 1 };
    if std::env::var_os("ELANUS_WRITE_FIXTURES").is_some() && !container.exists() {
        let mut writer = ContainerWriter::create(&DiskVfs, &container, kind).unwrap();
        writer.block(*b"text", b"a block of text").unwrap();
        writer.block(*b"nums", &7u32.to_le_bytes()).unwrap();
        writer.finish().unwrap();
        manifest::store(&DiskVfs, &fixture("v1/manifest"), 41, b"what is alive").unwrap();
    }
    let read = Container::open(&DiskVfs, &container, kind).unwrap();
    read.verify().unwrap();
    assert_eq!(&read.require(*b"text").unwrap()[..], b"a block of text");
    assert_eq!(read.require(*b"nums").unwrap().typed::<u32>().unwrap(), [7]);
    let manifest = manifest::load(&DiskVfs, &fixture("v1/manifest")).unwrap().unwrap();
    assert_eq!((manifest.generation, &manifest.payload[..]), (41, &b"what is alive"[..]));
}

#[test]
fn logs_of_all_versions_stay_readable_and_go_on() {
    let open = |dir: &Path, records: &mut Vec<(u64, Vec<u8>)>| {
        let mut replay = |sequence, bytes: &[u8]| {
            records.push((sequence, bytes.to_vec()));
            Ok(())
        };
        let vfs = std::sync::Arc::new(DiskVfs);
        elanus_storage::Wal::open(vfs, dir, elanus_storage::WalOptions::default(), 0, &mut replay).unwrap().0
    };
    for version in ["v1", "v2"] {
        let folder = fixture(version).join("wal");
        if std::env::var_os("ELANUS_WRITE_FIXTURES").is_some() && !folder.exists() {
            std::fs::create_dir_all(&folder).unwrap();
            let mut wal = open(&folder, &mut Vec::new());
            wal.append(&[&b"one"[..], &b""[..], &b"three"[..]]).unwrap();
            wal.sync().unwrap();
        }
        // Opening a log may cut it: look at a copy.
        let dir = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
        }
        let mut records = Vec::new();
        let mut wal = open(dir.path(), &mut records);
        assert_eq!(records, [(1, b"one".to_vec()), (2, vec![]), (3, b"three".to_vec())], "{version}");
        wal.append(&[&b"four"[..]]).unwrap();
        wal.sync().unwrap();
        drop(wal);
        records.clear();
        drop(open(dir.path(), &mut records));
        assert_eq!(records.last(), Some(&(4, b"four".to_vec())), "{version}");
    }
}
