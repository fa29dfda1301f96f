//! The log under everything that can happen to its files: cuts at every byte, flipped bits, failing writes and syncs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod faulty;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use elanus_storage::{DiskVfs, Recovery, StorageError, Vfs, Wal, WalOptions};
use faulty::FaultyVfs;
use proptest::prelude::*;

type Records = Vec<(u64, Vec<u8>)>;

fn open_with(
    vfs: Arc<dyn Vfs>,
    dir: &Path,
    after: u64,
    file_bytes: u64,
) -> Result<(Wal, Recovery, Records), StorageError> {
    let mut records = Vec::new();
    let mut replay = |sequence: u64, bytes: &[u8]| {
        records.push((sequence, bytes.to_vec()));
        Ok(())
    };
    let (wal, recovery) = Wal::open(vfs, dir, WalOptions { file_bytes }, after, &mut replay)?;
    Ok((wal, recovery, records))
}

fn open(dir: &Path, after: u64) -> Result<(Wal, Recovery, Records), StorageError> {
    open_with(Arc::new(DiskVfs), dir, after, 1 << 20)
}

fn payload(sequence: u64) -> Vec<u8> {
    (0..sequence * 7 % 50).map(|i| (i * sequence) as u8).collect()
}

/// Appends records 1 to `count`, each synced alone.
fn fill(wal: &mut Wal, count: u64) {
    for sequence in wal.last_sequence() + 1..=count {
        assert_eq!(wal.append(&[&payload(sequence)[..]]).unwrap(), sequence..sequence + 1);
        wal.sync().unwrap();
    }
}

fn log_files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

fn is_prefix(records: &Records) -> bool {
    records
        .iter()
        .zip(1..)
        .all(|((sequence, bytes), expected)| *sequence == expected && *bytes == payload(expected))
}

#[test]
fn a_cut_at_any_byte_gives_a_prefix() {
    let dir = tempfile::tempdir().unwrap();
    fill(&mut open(dir.path(), 0).unwrap().0, 8);
    let path = log_files(dir.path()).remove(0);
    let whole = std::fs::read(&path).unwrap();
    let mut before = 0;
    for end in 0..=whole.len() {
        std::fs::write(&path, &whole[..end]).unwrap();
        let (mut wal, recovery, records) = open(dir.path(), 0).unwrap();
        assert!(is_prefix(&records) && records.len() >= before, "cut at {end}");
        assert_eq!(recovery.last_sequence, records.len() as u64);
        before = records.len();
        // The log goes on after the cut, and what follows is found again.
        fill(&mut wal, records.len() as u64 + 2);
        drop(wal);
        assert_eq!(open(dir.path(), 0).unwrap().2.len(), records.len() + 2);
        log_files(dir.path()).iter().for_each(|file| std::fs::remove_file(file).unwrap());
    }
    assert_eq!(before, 8);
}

#[test]
fn a_flipped_bit_is_an_error_or_costs_the_last_record_only() {
    let dir = tempfile::tempdir().unwrap();
    fill(&mut open(dir.path(), 0).unwrap().0, 8);
    let path = log_files(dir.path()).remove(0);
    let whole = std::fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(&path, &bytes).unwrap();
        match open(dir.path(), 0) {
            Ok((_, recovery, records)) => {
                // Only the very last record can't be told from one that was never acknowledged.
                assert!(is_prefix(&records) && records.len() >= 7, "flip at {at}: {} records", records.len());
                assert!(records.len() == 8 || recovery.cut_bytes > 0);
            }
            Err(StorageError::Corrupt { .. } | StorageError::UnsupportedVersion { .. }) => {}
            Err(other) => panic!("flip at {at}: {other}"),
        }
    }
}

#[test]
fn records_that_were_never_acknowledged_may_be_torn_in_any_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = open(dir.path(), 0).unwrap().0;
    fill(&mut wal, 3);
    let synced = wal.bytes() as usize;
    let payloads: Vec<Vec<u8>> = (4..8).map(payload).collect();
    wal.append(&payloads.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
    drop(wal);
    // The first of the unsynced records reached the disk as zeros, the later ones whole: a reordering disk.
    let path = log_files(dir.path()).remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[synced..synced + 30].fill(0);
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(open(dir.path(), 0).unwrap().2.len(), 3);
}

#[test]
fn files_rotate_are_dropped_and_a_missing_one_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let small = |after| open_with(Arc::new(DiskVfs), dir.path(), after, 200);
    let mut wal = small(0).unwrap().0;
    fill(&mut wal, 60);
    let files = log_files(dir.path());
    assert!(files.len() > 5);
    wal.truncate_before(30).unwrap();
    drop(wal);
    let (mut wal, _, records) = small(29).unwrap();
    assert_eq!(records.iter().map(|r| r.0).collect::<Vec<_>>(), (30..=60).collect::<Vec<_>>());
    assert!(matches!(small(2), Err(StorageError::Corrupt { .. })), "records 3 to 29 are needed and gone");
    wal.rotate().unwrap();
    wal.truncate_before(61).unwrap();
    assert_eq!(log_files(dir.path()).len(), 1);
    fill(&mut wal, 62);
    drop(wal);
    assert_eq!(small(60).unwrap().2.len(), 2);
    let dir = tempfile::tempdir().unwrap();
    fill(&mut open_with(Arc::new(DiskVfs), dir.path(), 0, 200).unwrap().0, 60);
    std::fs::remove_file(&log_files(dir.path())[2]).unwrap();
    let error = open_with(Arc::new(DiskVfs), dir.path(), 0, 200).unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
}

#[test]
fn after_a_failed_sync_nothing_is_taken_until_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let vfs = Arc::new(FaultyVfs::default());
    let mut wal = open_with(vfs.clone(), dir.path(), 0, 1 << 20).unwrap().0;
    fill(&mut wal, 2);
    vfs.fail_syncs(true);
    wal.append(&[&b"three"[..]]).unwrap();
    assert!(matches!(wal.sync(), Err(StorageError::Io { .. })));
    vfs.fail_syncs(false);
    assert!(matches!(wal.append(&[&b"four"[..]]), Err(StorageError::Poisoned { .. })));
    assert!(matches!(wal.sync(), Err(StorageError::Poisoned { .. })));
    assert!(wal.poisoned().is_some());
    drop(wal);
    let (mut wal, ..) = open(dir.path(), 0).unwrap();
    wal.append(&[&b"again"[..]]).unwrap();
    wal.sync().unwrap();
}

#[test]
fn a_full_disk_is_undone_and_passes() {
    let dir = tempfile::tempdir().unwrap();
    let vfs = Arc::new(FaultyVfs::default());
    let mut wal = open_with(vfs.clone(), dir.path(), 0, 1 << 20).unwrap().0;
    fill(&mut wal, 2);
    for room in [0, 1, 10, 30] {
        vfs.leave_room(room);
        let error = wal.append(&[&[7; 100][..]]).unwrap_err();
        assert!(error.is_disk_full(), "{error}");
    }
    vfs.leave_room(u64::MAX);
    fill(&mut wal, 5);
    drop(wal);
    let (_, recovery, records) = open(dir.path(), 0).unwrap();
    assert!(is_prefix(&records) && records.len() == 5);
    assert_eq!(recovery.cut_bytes, 0);
}

#[test]
fn records_left_unsynced_by_a_killed_process_are_made_durable_before_they_count() {
    let dir = tempfile::tempdir().unwrap();
    let vfs = Arc::new(FaultyVfs::default());
    let mut wal = open_with(vfs.clone(), dir.path(), 0, 1 << 20).unwrap().0;
    fill(&mut wal, 2);
    wal.append(&[&payload(3)[..]]).unwrap();
    drop(wal);
    // The page cache still has record 3. Frames written behind it would call it synced: it must be, or opening fails.
    vfs.fail_syncs(true);
    assert!(matches!(open_with(vfs.clone(), dir.path(), 0, 1 << 20), Err(StorageError::Io { .. })));
    vfs.fail_syncs(false);
    assert_eq!(open_with(vfs, dir.path(), 0, 1 << 20).unwrap().2.len(), 3);
}

#[test]
fn a_file_that_could_not_be_started_is_durably_gone() {
    let dir = tempfile::tempdir().unwrap();
    let vfs = Arc::new(FaultyVfs::default());
    let mut wal = open_with(vfs.clone(), dir.path(), 0, 1 << 20).unwrap().0;
    fill(&mut wal, 2);
    let before = vfs.folder_syncs();
    vfs.leave_room(3);
    assert!(wal.rotate().unwrap_err().is_disk_full());
    assert_eq!(vfs.folder_syncs(), before + 1, "came back after a crash, the file would contradict record 3");
    vfs.leave_room(u64::MAX);
    fill(&mut wal, 4);
    drop(wal);
    assert_eq!(open(dir.path(), 0).unwrap().2.len(), 4);
}

#[test]
fn a_large_torn_record_of_arbitrary_bytes_is_cut_without_reading_it_again_and_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = open(dir.path(), 0).unwrap().0;
    fill(&mut wal, 2);
    let synced = wal.bytes();
    let mut state = 1u64;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    });
    // One place in a hundred looks like a frame but for the checksum, over half of what follows: trying each takes an hour.
    wal.append(&[&noise.take(96 << 20).collect::<Vec<u8>>()[..]]).unwrap();
    drop(wal);
    let path = log_files(dir.path()).remove(0);
    let len = std::fs::metadata(&path).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(len - 1).unwrap();
    let (wal, recovery, records) = open(dir.path(), 0).unwrap();
    assert_eq!((records.len(), recovery.cut_bytes, wal.bytes()), (2, len - 1 - synced, synced));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn any_records_come_back(
        groups in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..5), 0..20),
        file_bytes in 100u64..2000,
        after in 0u64..10,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut wal = open_with(Arc::new(DiskVfs), dir.path(), 0, file_bytes).unwrap().0;
        for group in &groups {
            wal.append(&group.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
            wal.sync().unwrap();
        }
        drop(wal);
        let all: Vec<Vec<u8>> = groups.into_iter().flatten().collect();
        let after = after.min(all.len() as u64);
        let (_, recovery, records) = open_with(Arc::new(DiskVfs), dir.path(), after, file_bytes).unwrap();
        prop_assert_eq!(recovery.last_sequence, all.len() as u64);
        prop_assert_eq!(records.into_iter().map(|r| r.1).collect::<Vec<_>>(), &all[after as usize..]);
    }
}
