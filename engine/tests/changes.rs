//! Changes of what a collection is, with the power failing at each of their calls to the disk, and with storing that
//! fails halfway: afterwards all of a change is there or none of it, and no acknowledged row is lost. And changes beside
//! writes of others.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod model;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use elanus_engine::collection::TTL_PROPERTY;
use elanus_engine::row::{BatchBuilder, KeySource, Keys, OutputValue, Projection, Value};
use elanus_engine::schema::{DataType, Field};
use elanus_engine::{Collection, Definition, Engine, EngineError, EngineOptions, Metric};
use elanus_storage::data_dir;
use elanus_storage::sim::{Faults, SimVfs};
use model::{all, batch, schema};
use proptest::prelude::*;

fn options() -> EngineOptions {
    EngineOptions { background: false, search_threads: 1, reserve_bytes: 0, ..EngineOptions::default() }
}

fn open(vfs: &SimVfs) -> Arc<Engine> {
    Engine::open(data_dir::open_on(Arc::new(vfs.clone()), Path::new("data")).unwrap(), options()).unwrap()
}

fn definition() -> Definition {
    Definition::new("c", schema(false)).index("vector", Metric::L2)
}

fn put(c: &Collection, partition: &str, rows: &[(i64, i64)]) -> Result<Keys, EngineError> {
    c.insert_into(batch(&c.schema(), KeySource::Given, rows), partition)
}

fn extra() -> Field {
    Field::new("extra", DataType::VarChar).max_length(9).nullable()
}

/// Rows in two partitions, some in files, some in the log; a field more than the schema has.
fn prepared(vfs: &SimVfs) -> (Arc<Engine>, Arc<Collection>) {
    let engine = open(vfs);
    let c = engine.create(definition()).unwrap();
    c.set_loaded(&[], false).unwrap();
    c.create_partition("one").unwrap();
    c.add_field(extra()).unwrap();
    put(&c, "", &[(1, 1), (2, 2), (3, 3)]).unwrap();
    put(&c, "one", &[(4, 4), (5, 5)]).unwrap();
    c.flush().unwrap();
    put(&c, "one", &[(2, 22), (6, 6)]).unwrap();
    put(&c, "", &[(5, 55)]).unwrap();
    (engine, c)
}

/// What can be told of a collection from outside.
#[derive(Debug, PartialEq)]
struct Seen {
    rows: BTreeMap<i64, i64>,
    partitions: Vec<String>,
    fields: Vec<String>,
    name: String,
}

fn look(engine: &Engine) -> Seen {
    let names = engine.names();
    let name = names.first().expect("the collection is there under some name");
    assert_eq!(names.len(), 1, "{names:?}");
    let c = engine.collection(name).unwrap();
    Seen {
        rows: all(&c),
        partitions: c.definition().partitions().into_iter().map(|partition| partition.name).collect(),
        fields: c.schema().fields().iter().map(|field| field.name.clone()).collect(),
        name: name.clone(),
    }
}

type Change = fn(&Engine, &Collection) -> Result<(), EngineError>;

const CHANGES: [(&str, Change); 6] = [
    ("drop a partition", |_, c| c.drop_partition("one")),
    ("create a partition", |_, c| c.create_partition("two")),
    ("add a field", |_, c| c.add_field(Field::new("more", DataType::Int64).nullable())),
    ("drop a field", |_, c| c.drop_field("extra")),
    ("truncate", |_, c| c.truncate().map(drop)),
    ("rename", |engine, _| engine.rename(("default", "c"), ("default", "d"))),
];

#[test]
fn a_change_is_there_whole_or_not_at_all_wherever_the_power_fails() {
    for (name, change) in CHANGES {
        for killed in [false, true] {
            let mut crashes = 0;
            for call in 1.. {
                let vfs = SimVfs::new(call);
                let (engine, c) = prepared(&vfs);
                let before = look(&engine);
                vfs.set_faults(Faults { crash_at: Some(vfs.calls() + call), ..Faults::default() });
                let done = change(&engine, &c);
                let crashed = vfs.is_down();
                vfs.set_faults(Faults::default());
                drop((engine, c));
                match killed {
                    true => vfs.restart_after_kill(),
                    false => vfs.restart_after_power_loss(),
                }
                let engine = open(&vfs);
                let found = look(&engine);
                let whole = {
                    let vfs = SimVfs::new(0);
                    let (engine, c) = prepared(&vfs);
                    change(&engine, &c).unwrap();
                    look(&engine)
                };
                let place = format!("{name}, call {call}, killed {killed}");
                assert!(found == whole || done.is_err() && found == before, "{place}: {found:?}");
                // And it goes on from there: a sealing, and another start.
                let c = engine.collection(&found.name).unwrap();
                c.flush().unwrap();
                engine.close();
                drop((engine, c));
                assert_eq!(look(&open(&vfs)), found, "{place}: after sealing");
                if !crashed {
                    break;
                }
                crashes += 1;
            }
            assert!(crashes >= 2, "{name}: only {crashes} places to crash at");
        }
    }
}

/// The next sync of a folder fails after the renaming has gone through; with `for_good` everything after it as well.
fn fail_halfway(vfs: &SimVfs, for_good: bool) {
    let disk = vfs.clone();
    let mut failed = false;
    vfs.set_interlude(Some(Box::new(move |call, _| {
        let fails = call == "sync folder" && !failed || failed && for_good;
        failed |= fails;
        disk.set_faults(Faults { failing_names: if fails { 1000 } else { 0 }, ..Faults::default() });
    })));
}

#[test]
fn storing_that_fails_halfway_loses_nothing_acknowledged_later() {
    for (name, change) in CHANGES {
        if name == "truncate" {
            // It is in the log, not in the manifest.
            continue;
        }
        for for_good in [false, true] {
            let vfs = SimVfs::new(7);
            let (engine, c) = prepared(&vfs);
            let before = look(&engine);
            fail_halfway(&vfs, for_good);
            let done = change(&engine, &c);
            vfs.set_interlude(None);
            vfs.set_faults(Faults::default());
            assert!(done.is_err(), "{name}: nothing failed");
            assert_eq!(look(&engine), before, "{name}");
            let written = put(&c, "one", &[(7, 7)]);
            drop((engine, c));
            vfs.restart_after_kill();
            let found = look(&open(&vfs));
            if written.is_ok() {
                let mut expected = before;
                expected.rows.insert(7, 7);
                expected.name.clone_from(&found.name);
                assert_eq!(found, expected, "{name}, for good {for_good}");
            } else {
                assert!(for_good, "{name}: one failure that was made good stops no writes: {written:?}");
            }
        }
    }
}

#[test]
fn rows_of_a_new_collection_live_as_long_as_its_definition_says() {
    let dir = tempfile::tempdir().unwrap();
    let start = || Engine::open(data_dir::open(dir.path()).unwrap(), options()).unwrap();
    let mut mortal = definition();
    mortal.properties.insert(TTL_PROPERTY.into(), "1".into());
    let engine = start();
    let c = engine.create(mortal.clone()).unwrap();
    put(&c, "", &[(1, 1), (2, 2)]).unwrap();
    wait_for_none(&c);
    assert!(Arc::ptr_eq(&c, &engine.create(mortal).unwrap()), "the same again is the same");
    put(&c, "", &[(1, 3)]).unwrap();
    c.set_property(TTL_PROPERTY, "1000").unwrap();
    c.flush().unwrap();
    drop(c);
    engine.close();
    drop(engine);
    let engine = start();
    assert_eq!(engine.collection("c").unwrap().count(), 2, "the time counts from when a row was stored");
}

#[test]
fn making_a_collection_again_asks_for_what_it_was_made_as() {
    let vfs = SimVfs::new(7);
    let engine = open(&vfs);
    let bare = || Definition::new("c", schema(false));
    let c = engine.create(bare()).unwrap();
    let index = definition().indexes.remove(0);
    c.create_index(index).unwrap();
    c.set_loaded(&[], true).unwrap();
    // As a notebook does that is run again: without indexes, and with those that there are.
    for again in [bare(), definition()] {
        assert!(Arc::ptr_eq(&c, &engine.create(again).unwrap()));
    }
    let other_metric = bare().index("vector", Metric::Ip);
    assert!(matches!(engine.create(other_metric), Err(EngineError::CollectionExists { .. })));
}

fn wait_for_none(c: &Collection) {
    while c.count() > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn rows_from_before_a_life_time_was_set_live_as_long_from_then() {
    let vfs = SimVfs::new(1);
    let engine = open(&vfs);
    let c = engine.create(definition()).unwrap();
    put(&c, "", &[(1, 1)]).unwrap();
    c.flush().unwrap();
    put(&c, "", &[(2, 2)]).unwrap();
    c.set_property(TTL_PROPERTY, "1000").unwrap();
    assert_eq!(c.count(), 2);
    drop((engine, c));
    vfs.restart_after_kill();
    let engine = open(&vfs);
    let c = engine.collection("c").unwrap();
    assert_eq!(c.count(), 2);
    c.set_property(TTL_PROPERTY, "1").unwrap();
    wait_for_none(&c);
}

/// A row that counts up in one field by plain upserts, while upserts that read it first change another one: the count
/// never falls back.
#[test]
fn an_upsert_that_depends_on_what_is_stored_loses_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(data_dir::open(dir.path()).unwrap(), options()).unwrap();
    let c = engine.create(definition()).unwrap();
    let row = |tag: i64, count: i64| {
        let mut b = BatchBuilder::new(&c.schema(), KeySource::Given);
        b.set(0, Value::Int(1)).unwrap();
        b.set_vector(1, |m| {
            m.extend([0.0; model::DIM]);
            Ok(())
        })
        .unwrap();
        b.set(2, Value::Int(tag)).unwrap();
        b.set_dynamic("count", &count.to_string()).unwrap();
        b.end_row().unwrap();
        b.finish().unwrap()
    };
    let count = || {
        let projection = Projection::resolve(&c.schema(), &["*"]).unwrap();
        let rows = c.get(&Keys::Int(vec![1]), &projection).unwrap();
        let json: serde_json::Value = serde_json::from_str(rows.dynamic_json(0).unwrap()).unwrap();
        let OutputValue::Int(tag) = rows.column("tag").unwrap().value(0) else { panic!("no tag") };
        (tag, json["count"].as_i64().unwrap())
    };
    c.upsert(row(0, 0)).unwrap();
    let (over, least) = (AtomicBool::new(false), AtomicI64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..=2000 {
                c.upsert(row(0, number)).unwrap();
                least.store(number, Ordering::SeqCst);
            }
            over.store(true, Ordering::SeqCst);
        });
        for tag in 1..3 {
            let (over, least, c) = (&over, &least, &c);
            let (row, count) = (&row, &count);
            scope.spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    let turn = c.update_turn();
                    let (_, stored) = count();
                    turn.upsert_into(row(tag, stored), "").unwrap();
                    let acknowledged = least.load(Ordering::SeqCst);
                    assert!(count().1 >= acknowledged, "an acknowledged upsert is gone");
                }
            });
        }
    });
    assert_eq!(count().1, 2000);
}

/// A collection is always under one of its names, also while it is opened under the new one, and keeps its number.
#[test]
fn a_collection_that_is_renamed_is_never_without_a_name() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(data_dir::open(dir.path()).unwrap(), options()).unwrap();
    let c = engine.create(definition()).unwrap();
    put(&c, "", &(0..5000).map(|key| (key, key)).collect::<Vec<_>>()).unwrap();
    let (id, over) = (c.id(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..50 {
                engine.rename(("default", "c"), ("default", "d")).unwrap();
                engine.rename(("default", "d"), ("default", "c")).unwrap();
            }
            over.store(true, Ordering::SeqCst);
        });
        while !over.load(Ordering::SeqCst) {
            let names = engine.names();
            assert!(names == ["c"] || names == ["d"], "{names:?}");
            assert_eq!(engine.numbers().into_values().collect::<Vec<_>>(), [id]);
        }
    });
    assert_eq!((engine.collection("c").unwrap().count(), engine.is_opening()), (5000, false));
}

/// A filter deletes rows of the value 0, while others give rows the value 1: none of those dies.
#[test]
fn a_deletion_by_filter_spares_what_does_not_match_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let options = EngineOptions {
        durability: elanus_engine::Durability::Interval(std::time::Duration::from_secs(60)),
        ..options()
    };
    let engine = Engine::open(data_dir::open(dir.path()).unwrap(), options).unwrap();
    let c = engine.create(definition()).unwrap();
    const ROWS: i64 = 100_000;
    let zeros: Vec<(i64, i64)> = (0..ROWS).map(|key| (key, 0)).collect();
    for _ in 0..3 {
        put(&c, "", &zeros).unwrap();
        let over = AtomicBool::new(false);
        let written = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..3)
                .map(|writer| {
                    let (c, over) = (&c, &over);
                    scope.spawn(move || {
                        let mut written = Vec::new();
                        let mut key = writer;
                        while !over.load(Ordering::SeqCst) && key < ROWS {
                            put(c, "", &[(key, 1)]).unwrap();
                            written.push(key);
                            key += 97;
                        }
                        written
                    })
                })
                .collect();
            let filter = elanus_engine::Filter::compile("tag == 0", &c.schema()).unwrap();
            c.delete_where(&filter).unwrap();
            over.store(true, Ordering::SeqCst);
            writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect::<Vec<i64>>()
        });
        let left = all(&c);
        let lost: Vec<&i64> = written.iter().filter(|key| left.get(key) != Some(&1)).collect();
        assert!(lost.is_empty(), "{} of {} acknowledged rows are gone", lost.len(), written.len());
        assert!(left.values().all(|seed| *seed == 1));
        c.truncate().unwrap();
    }
}

#[test]
fn no_collection_is_made_in_a_database_that_is_dropped_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(data_dir::open(dir.path()).unwrap(), options()).unwrap();
    for _ in 0..60 {
        engine.create_database("db", BTreeMap::new()).unwrap();
        let (made, dropped) = std::thread::scope(|scope| {
            let made = scope.spawn(|| {
                let mut inside = definition();
                inside.database = "db".into();
                engine.create(inside).map(drop)
            });
            let dropped = scope.spawn(|| engine.drop_database("db"));
            (made.join().unwrap(), dropped.join().unwrap())
        });
        match (made, dropped) {
            (Ok(()), Err(EngineError::InvalidParameter(_))) => {
                engine.drop_collection("db/c").unwrap();
                engine.drop_database("db").unwrap();
            }
            (Err(EngineError::DatabaseNotFound { .. }), Ok(())) => assert!(engine.names().is_empty()),
            other => panic!("{other:?}: {:?}", engine.names()),
        }
    }
}

/// Segments that are alike become one, which has its index at once; what dies meanwhile stays dead.
#[test]
fn a_collection_at_rest_is_merged_with_its_index() {
    const ROWS: i64 = 4500;
    let vfs = SimVfs::new(3);
    let engine = open(&vfs);
    let c = engine.create(definition()).unwrap();
    for part in 0..3 {
        put(&c, "", &(part * ROWS..(part + 1) * ROWS).map(|key| (key, key)).collect::<Vec<_>>()).unwrap();
        c.flush().unwrap();
    }
    while c.build_index().unwrap() {}
    assert!(!c.compact().unwrap(), "three are too few for a compaction beside writes");
    assert_eq!(c.stats().sealed_segments, 3);
    let (writer, mut key) = (Arc::clone(&c), 0);
    vfs.set_interlude(Some(Box::new(move |call, path| {
        if call == "write" && path.to_string_lossy().contains("derived") && key < 3 * ROWS {
            writer.delete_keys(Keys::Int(vec![key])).unwrap();
            key += ROWS;
        }
    })));
    assert!(c.settle().unwrap());
    vfs.set_interlude(None);
    let state = c.index_state("vector").unwrap();
    assert_eq!((c.stats().sealed_segments, state.indexed_rows), (1, state.total_rows));
    assert!(state.bytes > 0, "the merged segment came with its index");
    assert!(!c.settle().unwrap());
    let left = all(&c);
    assert!(left.len() < 3 * ROWS as usize && !left.contains_key(&0), "rows died meanwhile");
    drop((engine, c));
    vfs.restart_after_kill();
    let engine = open(&vfs);
    assert_eq!(all(&engine.collection("c").unwrap()), left);
    let c = engine.collection("c").unwrap();
    while c.build_index().unwrap() {}
    assert_eq!(c.stats().indexing.indexed_rows, left.len() as u64, "the index is opened again");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    /// Any order of writes, sealings and the drop of a partition, then a kill: the same rows as without the kill.
    #[test]
    fn a_dropped_partition_stays_dropped(steps in prop::collection::vec((0..6u8, 0i64..30), 1..25)) {
        let vfs = SimVfs::new(1);
        let engine = open(&vfs);
        let c = engine.create(definition()).unwrap();
        c.set_loaded(&[], false).unwrap();
        let mut expected: BTreeMap<i64, (bool, i64)> = BTreeMap::new();
        for (step, key) in steps {
            match step {
                0 | 1 => {
                    c.create_partition("one").unwrap();
                    put(&c, "one", &[(key, 1), (key + 1, 2)]).unwrap();
                    expected.extend([(key, (true, 1)), (key + 1, (true, 2))]);
                }
                2 => {
                    put(&c, "", &[(key, 3)]).unwrap();
                    expected.insert(key, (false, 3));
                }
                3 => c.flush().unwrap(),
                4 => while c.compact().unwrap() {},
                _ => {
                    c.drop_partition("one").unwrap();
                    expected.retain(|_, (inside, _)| !*inside);
                }
            }
        }
        drop((engine, c));
        vfs.restart_after_kill();
        let rows = look(&open(&vfs)).rows;
        prop_assert_eq!(rows, expected.into_iter().map(|(key, (_, seed))| (key, seed)).collect());
    }
}
