//! Containers and originals on a disk that fails: nothing half-made stays, and what counts as stored is durable.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod faulty;

use std::path::Path;
use std::sync::Arc;

use elanus_storage::{BlobStore, ContainerWriter, Digest, DiskVfs, FileKind, Result, Vfs, data_dir};
use faulty::FaultyVfs;

const KIND: FileKind = FileKind { tag: *b"TEST", version: 1 };

fn write(vfs: &dyn Vfs, path: &Path) -> Result<u64> {
    let mut writer = ContainerWriter::create(vfs, path, KIND)?;
    writer.block(*b"some", &[5; 5000])?;
    writer.finish()
}

#[test]
fn a_container_that_can_not_be_finished_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let vfs = FaultyVfs::default();
    let path = dir.path().join("c");
    vfs.fail_syncs(true);
    write(&vfs, &path).unwrap_err();
    assert_eq!(DiskVfs.list(dir.path()).unwrap(), [], "after a failed sync");
    vfs.fail_syncs(false);
    vfs.leave_room(100);
    assert!(write(&vfs, &path).unwrap_err().is_disk_full());
    assert_eq!(DiskVfs.list(dir.path()).unwrap(), [], "on a full disk");
    vfs.leave_room(u64::MAX);
    let before = vfs.folder_syncs();
    write(&vfs, &path).unwrap();
    assert_eq!(vfs.folder_syncs(), before + 1);
}

#[test]
fn a_folder_of_originals_is_durable_whoever_made_it() {
    let dir = tempfile::tempdir().unwrap();
    let digest = Digest::of(b"one");
    // Made by another writer, or before a kill, and perhaps never synced.
    std::fs::create_dir(dir.path().join(&digest.to_string()[..2])).unwrap();
    let vfs = Arc::new(FaultyVfs::default());
    let store = BlobStore::open(vfs.clone(), dir.path()).unwrap();
    let before = vfs.folder_syncs();
    store.put(b"one").unwrap();
    assert_eq!(vfs.folder_syncs(), before + 2, "the root and the folder");
    store.put(b"one").unwrap();
    assert_eq!(vfs.folder_syncs(), before + 3, "the root only once");
}

#[test]
fn the_stamp_of_version_1_stays_readable() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1/FORMAT");
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(&fixture, dir.path().join("FORMAT")).unwrap();
    drop(data_dir::open(dir.path()).unwrap());
    assert_eq!(std::fs::read(dir.path().join("FORMAT")).unwrap(), std::fs::read(&fixture).unwrap());
}
