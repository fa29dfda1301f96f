//! Data directories of every format ever released stay readable. Each lies in `tests/fixtures/` as the program of its
//! time wrote it, and is never written again; `ELANUS_WRITE_FIXTURES=1` makes those that are missing.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod model;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use elanus_engine::row::{KeySource, Keys};
use elanus_engine::{Definition, Engine, EngineOptions, Metric, check};
use elanus_storage::data_dir;
use model::{all, batch, check_search, schema};

fn fixture(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(version)
}

fn open(dir: &Path) -> Arc<Engine> {
    let options =
        EngineOptions { background: false, search_threads: 1, reserve_bytes: 0, ..EngineOptions::default() };
    Engine::open(data_dir::open(dir).unwrap(), options).unwrap()
}

/// Key and seed of every row that the fixtures hold.
fn rows() -> BTreeMap<i64, i64> {
    (0..30).map(|i| (i * 7 % 31, i)).filter(|(key, _)| *key != 7 && *key != 14).collect()
}

/// Two segments, one with dead rows, an unsorted key order, and records in the log.
fn write(dir: &Path) {
    let engine = open(dir);
    let c = engine.create(Definition::new("c", schema(false)).index("vector", Metric::L2)).unwrap();
    let put = |range: std::ops::Range<i64>| {
        let rows: Vec<(i64, i64)> = range.map(|i| (i * 7 % 31, i)).collect();
        c.insert(batch(&c.schema(), KeySource::Given, &rows)).unwrap();
    };
    put(0..10);
    c.flush().unwrap();
    put(10..20);
    c.delete_keys(Keys::Int(vec![7])).unwrap();
    c.flush().unwrap();
    put(20..30);
    c.delete_keys(Keys::Int(vec![14])).unwrap();
    engine.close();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn directories_of_all_versions_stay_readable() {
    for version in ["1"] {
        let fixture = fixture(version);
        if std::env::var_os("ELANUS_WRITE_FIXTURES").is_some() && !fixture.exists() {
            write(&fixture);
            std::fs::remove_file(fixture.join("LOCK")).unwrap();
        }
        let dir = tempfile::tempdir().unwrap();
        copy(&fixture, dir.path());
        let report = {
            let data = data_dir::open_to_examine(Arc::new(elanus_storage::DiskVfs), dir.path()).unwrap();
            check::check(&data, false, &mut |_| Ok(())).unwrap()
        };
        assert_eq!(report.findings, [], "{version}");
        let engine = open(dir.path());
        let c = engine.collection("c").unwrap();
        assert_eq!(all(&c), rows(), "{version}");
        check_search(&c, &rows(), Metric::L2, 5, 10, None);
        c.flush().unwrap();
        while c.compact().unwrap() {}
        assert_eq!(all(&c), rows(), "{version}");
    }
}
