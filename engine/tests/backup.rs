//! Backups taken, examined and restored through the engine.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod model;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use elanus_engine::row::KeySource;
use elanus_engine::{Collection, Definition, Engine, EngineError, EngineOptions, Metric, check};
use elanus_storage::DiskVfs;
use model::{all, batch, schema};

fn open(dir: &Path) -> Arc<Engine> {
    let data = elanus_storage::data_dir::open(dir).unwrap();
    let options =
        EngineOptions { background: false, search_threads: 1, reserve_bytes: 0, ..EngineOptions::default() };
    Engine::open(data, options).unwrap()
}

fn create(engine: &Engine, database: &str, name: &str, rows: i64) -> Arc<Collection> {
    let mut definition = Definition::new(name, schema(false)).index("vector", Metric::L2);
    definition.database = database.into();
    let c = engine.create(definition).unwrap();
    let rows: Vec<(i64, i64)> = (0..rows).map(|key| (key, key)).collect();
    c.insert(batch(&c.schema(), KeySource::Given, &rows)).unwrap();
    c
}

#[test]
fn collections_of_all_databases_are_counted_by_their_full_names() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("backup");
    let engine = open(&dir.path().join("data"));
    engine.create_database("db", BTreeMap::new()).unwrap();
    create(&engine, "default", "c", 3);
    create(&engine, "db", "c", 5);
    create(&engine, "db", "other", 7);
    let info = engine.backup(&target, &mut |_| Ok(BTreeMap::new())).unwrap();
    let described: BTreeMap<String, u64> = info.collections.into_iter().map(|c| (c.name, c.rows)).collect();
    let report = check::check(&elanus_storage::data_dir::open(&target).unwrap(), false, &mut |_| Ok(()));
    assert_eq!(report.unwrap().rows_of, described);
    assert_eq!(described.keys().collect::<Vec<_>>(), ["c", "db/c", "db/other"]);
}

#[test]
fn rows_that_expired_since_are_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("backup");
    let engine = open(&dir.path().join("data"));
    let c = create(&engine, "default", "c", 0);
    c.set_property("collection.ttl.seconds", "1").unwrap();
    c.insert(batch(&c.schema(), KeySource::Given, &[(1, 1), (2, 2)])).unwrap();
    let info = engine.backup(&target, &mut |_| Ok(BTreeMap::new())).unwrap();
    assert_eq!(info.collections[0].rows, 2);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while c.count() > 0 {
        assert!(std::time::Instant::now() < until, "the rows did not expire");
        std::thread::yield_now();
    }
    let restored = engine.restore(&DiskVfs, &target, "c", "again").unwrap();
    assert_eq!(restored.count(), 0);
    restored.drop_properties(&["collection.ttl.seconds".into()]).unwrap();
    assert_eq!(all(&restored), BTreeMap::from([(1, 1), (2, 2)]));
}

#[test]
fn a_restored_collection_takes_no_alias_away() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("backup");
    let engine = open(&dir.path().join("data"));
    create(&engine, "default", "c", 2);
    create(&engine, "default", "other", 1);
    engine.backup(&target, &mut |_| Ok(BTreeMap::new())).unwrap();
    engine.set_alias("default", "other", "taken", false).unwrap();
    let refused = engine.restore(&DiskVfs, &target, "c", "taken");
    assert!(matches!(refused, Err(EngineError::AliasConflict(_))), "{refused:?}");
    assert_eq!(engine.collection_in("default", "taken").unwrap().count(), 1);
    assert_eq!(engine.restore(&DiskVfs, &target, "c", "free").unwrap().count(), 2);
}
