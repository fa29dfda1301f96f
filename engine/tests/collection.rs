//! Collections against an oracle: random plans of inserts, upserts, deletes, flushes and restarts, with every read
//! compared to a plain map. And the single rules that users rely on.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod model;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use elanus_engine::row::{KeySource, Keys};
use elanus_engine::{
    Collection, Definition, Durability, Engine, EngineError, EngineOptions, ErrorClass, Filter, Metric,
    QueryRequest, SearchRequest, check,
};
use model::{all, batch, check_search, create, request, schema};
use proptest::prelude::*;

fn open(dir: &Path) -> Arc<Engine> {
    let data = elanus_storage::data_dir::open(dir).unwrap();
    // Small enough that plans seal by size now and then.
    Engine::open(data, EngineOptions { seal_bytes: 4 << 10, search_threads: 2, ..EngineOptions::default() })
        .unwrap()
}

#[derive(Debug, Clone)]
enum Step {
    Insert(Vec<(i64, i64)>),
    Delete(Vec<i64>),
    DeleteWhere(i64),
    Flush,
    Compact,
    Restart,
    Search { seed: i64, limit: usize, tag: Option<i64> },
}

fn step() -> impl Strategy<Value = Step> {
    let rows = prop::collection::vec((0i64..40, 0i64..1000), 1..25);
    prop_oneof![
        4 => rows.prop_map(Step::Insert),
        2 => prop::collection::vec(0i64..50, 1..10).prop_map(Step::Delete),
        1 => (0i64..10).prop_map(Step::DeleteWhere),
        1 => Just(Step::Flush),
        1 => Just(Step::Compact),
        1 => Just(Step::Restart),
        2 => (0i64..1000, 1usize..60, prop::option::of(0i64..10))
            .prop_map(|(seed, limit, tag)| Step::Search { seed, limit, tag }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn every_plan_equals_a_map(
        steps in prop::collection::vec(step(), 1..25),
        metric in prop::sample::select(vec![Metric::L2, Metric::Ip, Metric::Cosine]),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut engine = open(dir.path());
        let mut c = create(&engine, false, metric);
        let mut oracle = BTreeMap::new();
        for step in steps {
            match step {
                Step::Insert(rows) => {
                    c.insert(batch(&c.schema(), KeySource::Given, &rows)).unwrap();
                    oracle.extend(rows);
                }
                Step::Delete(keys) => {
                    let died = c.delete_keys(Keys::Int(keys.clone())).unwrap();
                    let before = oracle.len();
                    oracle.retain(|key, _| !keys.contains(key));
                    prop_assert_eq!(died as usize, before - oracle.len());
                }
                Step::DeleteWhere(tag) => {
                    let filter = Filter::compile(&format!("tag == {tag}"), &c.schema()).unwrap();
                    c.delete_where(&filter).unwrap();
                    oracle.retain(|_, seed| *seed % 10 != tag);
                }
                Step::Flush => c.flush().unwrap(),
                Step::Compact => while c.compact().unwrap() {},
                Step::Restart => {
                    engine.close();
                    drop(c);
                    drop(engine);
                    engine = open(dir.path());
                    c = engine.collection("c").unwrap();
                }
                Step::Search { seed, limit, tag } => check_search(&c, &oracle, metric, seed, limit, tag),
            }
            prop_assert_eq!(c.count() as usize, oracle.len());
        }
        prop_assert_eq!(all(&c), oracle);
    }
}

#[test]
fn derived_files_are_rebuilt_and_left_overs_swept() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let c = create(&engine, false, Metric::L2);
    let rows: Vec<(i64, i64)> = (0..300).map(|i| ((i * 7919) % 300, i)).collect();
    c.insert(batch(&c.schema(), KeySource::Given, &rows)).unwrap();
    c.flush().unwrap();
    assert!(c.stats().sealed_segments >= 1 && c.stats().growing_rows == 0);
    let expected = all(&c);
    engine.close();
    drop((c, engine));
    let folder = dir.path().join("collections").join("00000001");
    for entry in std::fs::read_dir(folder.join("derived")).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let stray = folder.join("truth").join("00000000000000ff.vectors");
    std::fs::write(&stray, b"left over").unwrap();
    let engine = open(dir.path());
    let c = engine.collection("c").unwrap();
    assert_eq!(all(&c), expected);
    assert_eq!(c.delete_keys(Keys::Int(vec![5, 6, 7_000])).unwrap(), 2);
    assert!(!stray.exists());
}

#[test]
fn a_damaged_collection_fails_alone() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let c = create(&engine, false, Metric::L2);
    c.insert(batch(&c.schema(), KeySource::Given, &[(1, 1)])).unwrap();
    c.flush().unwrap();
    let other = engine.create(Definition::new("other", schema(true))).unwrap();
    other.insert(batch(&other.schema(), KeySource::Generated, &[(0, 5)])).unwrap();
    engine.close();
    drop((c, other, engine));
    let truth = dir.path().join("collections").join("00000001").join("truth");
    let vectors = std::fs::read_dir(&truth).unwrap().map(|e| e.unwrap().path());
    let vectors = vectors.into_iter().find(|p| p.extension().is_some_and(|e| e == "vectors")).unwrap();
    std::fs::write(&vectors, b"nonsense").unwrap();
    let engine = open(dir.path());
    assert_eq!(engine.collection("other").unwrap().count(), 1);
    assert!(matches!(engine.collection("c"), Err(EngineError::CollectionFailed { .. })));
    assert_eq!(engine.failed().len(), 1);
    assert!(engine.drop_collection("c").unwrap(), "a broken collection can be dropped");
    assert_eq!(engine.names(), ["other"]);
}

#[test]
fn generated_keys_never_repeat() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let c = create(&engine, true, Metric::Cosine);
    let insert =
        |c: &Collection| c.insert(batch(&c.schema(), KeySource::Generated, &[(0, 1), (0, 2)])).unwrap();
    assert_eq!(insert(&c), Keys::Int(vec![1, 2]));
    c.upsert(batch(&c.schema(), KeySource::Given, &[(10, 3)])).unwrap();
    assert_eq!(insert(&c), Keys::Int(vec![11, 12]));
    c.delete_keys(Keys::Int(vec![12])).unwrap();
    c.flush().unwrap();
    engine.close();
    drop((c, engine));
    let engine = open(dir.path());
    assert_eq!(insert(&engine.collection("c").unwrap()), Keys::Int(vec![13, 14]));
}

#[test]
fn the_last_of_equal_keys_in_a_batch_lives() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let c = create(&engine, false, Metric::L2);
    c.insert(batch(&c.schema(), KeySource::Given, &[(1, 10), (2, 20), (1, 30)])).unwrap();
    assert_eq!(all(&c), BTreeMap::from([(1, 30), (2, 20)]));
}

#[test]
fn windows_ranges_and_vectors_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let c = create(&engine, false, Metric::L2);
    c.insert(batch(&c.schema(), KeySource::Given, &(0..50).map(|i| (i, i)).collect::<Vec<_>>())).unwrap();
    let good = request(&c, 3, 10, None);
    let refused = |change: &dyn Fn(&mut SearchRequest)| {
        let mut r = good.clone();
        change(&mut r);
        c.search(&r).unwrap_err().to_string()
    };
    assert!(refused(&|r| r.limit = 0).contains("topk [0]"));
    assert!(refused(&|r| r.limit = 16_385).contains("topk [16385]"));
    assert!(refused(&|r| r.offset = 16_384).contains("offset+topk"));
    assert!(refused(&|r| r.queries = vec![0.0; 2].into()).contains("dimension"));
    assert!(refused(&|r| r.queries = vec![f32::NAN, 0.0, 0.0].into()).contains("finite"));
    assert!(refused(&|r| r.metric = Some(Metric::Ip.into())).contains("expected=L2"));
    assert!(refused(&|r| r.field = "tag".into()).contains("tag"));
    assert!(refused(&|r| (r.radius, r.range_filter) = (Some(0.1), Some(0.2))).contains("range_filter"));
    let mut ranged = good.clone();
    (ranged.radius, ranged.range_filter) = (Some(0.5), Some(0.01));
    let hits = c.search(&ranged).unwrap();
    assert!(!hits.scores.is_empty() && hits.scores.iter().all(|s| (0.01..0.5).contains(s)));
    let mut paged = good.clone();
    (paged.limit, paged.offset) = (3, 2);
    assert_eq!(c.search(&paged).unwrap().scores, c.search(&good).unwrap().scores[2..5]);
    // Protocols bound the windows of queries; the engine bounds the bytes of answers.
    let window = |limit, offset| QueryRequest {
        filter: None,
        projection: good.projection.clone(),
        limit,
        offset,
        order_by: Vec::new(),
    };
    assert_eq!(c.query(&window(usize::MAX, 1)).unwrap().len, 49);
    assert_eq!(c.query(&window(5, 16_380)).unwrap().len, 0);
    assert!(c.query(&window(0, 0)).unwrap_err().to_string().contains("no rows"));
}

#[test]
fn writers_and_readers_at_once_see_whole_batches() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let c = create(&engine, true, Metric::L2);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..40 {
                        let rows: Vec<(i64, i64)> = (0..7).map(|i| (0, i)).collect();
                        c.insert(batch(&c.schema(), KeySource::Generated, &rows)).unwrap();
                    }
                })
            })
            .collect();
        let c = &c;
        scope.spawn(move || {
            while writers.iter().any(|w| !w.is_finished()) {
                let snapshot = c.snapshot();
                assert_eq!(snapshot.live() % 7, 0, "half a batch is visible");
                c.search(&request(c, 1, 5, None)).unwrap();
            }
        });
    });
    assert_eq!(c.count(), 4 * 40 * 7);
    engine.close();
    assert!(matches!(c.delete_keys(Keys::Int(vec![1])), Err(EngineError::Closing)));
}

/// Writers, readers, sealing, compaction and a backup at once: everybody reads what they wrote, and nothing is lost.
#[test]
fn everything_at_once() {
    const WRITERS: i64 = 4;
    const KEYS: i64 = 200;
    let dir = tempfile::tempdir().unwrap();
    let backups = tempfile::tempdir().unwrap();
    let options = EngineOptions {
        seal_bytes: 16 << 10,
        segment_bytes: 64 << 10,
        compaction_rate: 0,
        search_threads: 2,
        ..EngineOptions::default()
    };
    let open = || Engine::open(elanus_storage::data_dir::open(dir.path()).unwrap(), options.clone()).unwrap();
    let engine = open();
    let c = create(&engine, false, Metric::L2);
    let expected: BTreeMap<i64, i64> = std::thread::scope(|scope| {
        let write = |writer: i64| {
            let mut mine = BTreeMap::new();
            for round in 0..60i64 {
                let keys = (0..KEYS).filter(|key| (key * 31 + round * 17) % 3 == 0);
                let rows: Vec<(i64, i64)> = keys.map(|key| (writer * KEYS + key, round * 13 + key)).collect();
                c.upsert(batch(&c.schema(), KeySource::Given, &rows)).unwrap();
                mine.extend(rows);
                let gone: Vec<i64> = mine.keys().copied().filter(|key| (key + round) % 5 == 0).collect();
                assert_eq!(c.delete_keys(Keys::Int(gone.clone())).unwrap() as usize, gone.len());
                mine.retain(|key, _| !gone.contains(key));
                let filter = format!("id >= {} and id < {}", writer * KEYS, (writer + 1) * KEYS);
                let count = c.count_where(&Filter::compile(&filter, &c.schema()).unwrap()).unwrap();
                assert_eq!(count as usize, mine.len(), "writer {writer}, round {round}");
            }
            mine
        };
        let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || write(writer))).collect();
        scope.spawn(|| {
            while c.compact().is_ok_and(|more| more) || c.count() < 100 {
                std::thread::yield_now();
            }
        });
        scope.spawn(|| {
            for number in 0..5 {
                let target = backups.path().join(number.to_string());
                let info = engine.backup(&target, &mut |_| Ok(BTreeMap::new())).unwrap();
                let data = elanus_storage::data_dir::open(&target).unwrap();
                let copy = Engine::open(data, EngineOptions::default()).unwrap();
                assert_eq!(copy.collection("c").unwrap().count(), info.collections[0].rows);
            }
        });
        writers.into_iter().flat_map(|w| w.join().unwrap()).collect()
    });
    assert_eq!(all(&c), expected);
    engine.close();
    drop((c, engine));
    let engine = open();
    assert_eq!(all(&engine.collection("c").unwrap()), expected);
}

/// A byte of the only `.vectors` file changes, as a failing disk would have it.
fn damage_vectors(dir: &Path) {
    let truth = dir.join("collections").join("00000001").join("truth");
    let files = std::fs::read_dir(truth).unwrap().map(|entry| entry.unwrap().path());
    let path = files.into_iter().find(|path| path.extension().is_some_and(|e| e == "vectors")).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 0x40;
    // Over the file that is mapped, not beside it.
    std::io::Write::write_all(&mut std::fs::OpenOptions::new().write(true).open(&path).unwrap(), &bytes)
        .unwrap();
}

#[test]
fn damage_is_not_copied_under_a_fresh_checksum() {
    let dir = tempfile::tempdir().unwrap();
    let options = EngineOptions { background: false, search_threads: 1, ..EngineOptions::default() };
    let data = elanus_storage::data_dir::open(dir.path()).unwrap();
    let engine = Engine::open(data, options).unwrap();
    let c = create(&engine, false, Metric::L2);
    c.insert(batch(&c.schema(), KeySource::Given, &(0..50).map(|i| (i, i)).collect::<Vec<_>>())).unwrap();
    c.flush().unwrap();
    c.delete_keys(Keys::Int((0..25).collect())).unwrap();
    damage_vectors(dir.path());
    let refused = c.compact().unwrap_err();
    assert_eq!(refused.class(), ErrorClass::Corrupt, "{refused}");
    assert_eq!(c.count(), 25);
}

#[test]
fn a_collection_whose_files_turn_out_damaged_is_taken_out_of_service() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let c = create(&engine, false, Metric::L2);
    let other = engine.create(Definition::new("other", schema(false))).unwrap();
    c.insert(batch(&c.schema(), KeySource::Given, &(0..50).map(|i| (i, i)).collect::<Vec<_>>())).unwrap();
    c.flush().unwrap();
    damage_vectors(dir.path());
    c.delete_keys(Keys::Int((0..25).collect())).unwrap();
    // The compactor comes by every second.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while engine.faults().is_empty() {
        assert!(std::time::Instant::now() < until, "nobody noticed");
        std::thread::yield_now();
    }
    assert!(matches!(engine.collection("c"), Err(EngineError::CollectionFailed { .. })));
    assert!(matches!(c.delete_keys(Keys::Int(vec![30])), Err(EngineError::Closing)));
    other.insert(batch(&other.schema(), KeySource::Given, &[(1, 1)])).unwrap();
}

#[test]
fn a_lost_catalog_is_damage_and_no_empty_database() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let c = create(&engine, false, Metric::L2);
    c.insert(batch(&c.schema(), KeySource::Given, &[(1, 1), (2, 2)])).unwrap();
    engine.close();
    drop((c, engine));
    std::fs::remove_file(dir.path().join("catalog")).unwrap();
    let data = elanus_storage::data_dir::open(dir.path()).unwrap();
    let refused = Engine::open(data, EngineOptions::default()).unwrap_err();
    assert_eq!(refused.class(), ErrorClass::Corrupt, "{refused}");
    let disk =
        || elanus_storage::data_dir::open_to_examine(Arc::new(elanus_storage::DiskVfs), dir.path()).unwrap();
    assert!(!check::check(&disk(), false, &mut |_| Ok(())).unwrap().is_sound());
    assert!(check::check(&disk(), true, &mut |_| Ok(())).unwrap().is_sound());
    assert_eq!(all(&open(dir.path()).collection("c").unwrap()), BTreeMap::from([(1, 1), (2, 2)]));
}

/// With an interval, a write is acknowledged before its log is synced, and the log is synced soon, whatever the interval.
#[test]
fn writes_of_an_interval_are_synced_in_the_background() {
    for millis in [20, 1000, 1500] {
        let vfs = elanus_storage::sim::SimVfs::new(millis);
        let data = elanus_storage::data_dir::open_on(Arc::new(vfs.clone()), Path::new("data")).unwrap();
        let durability = Durability::Interval(std::time::Duration::from_millis(millis));
        let engine =
            Engine::open(data, EngineOptions { durability, reserve_bytes: 0, ..EngineOptions::default() })
                .unwrap();
        let c = create(&engine, false, Metric::L2);
        let synced = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&synced);
        vfs.set_interlude(Some(Box::new(move |op, path| {
            if op == "sync" && path.to_string_lossy().contains("wal") {
                seen.store(true, Ordering::SeqCst);
            }
        })));
        c.insert(batch(&c.schema(), KeySource::Given, &[(1, 1)])).unwrap();
        let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !synced.load(Ordering::SeqCst) {
            assert!(std::time::Instant::now() < until, "never synced at {millis} ms");
            std::thread::yield_now();
        }
    }
}
