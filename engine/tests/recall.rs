//! What an index finds, against what is there: index × metric × share of rows that a filter leaves × how the filter
//! lies to the queries × dead rows. Recall must not fall below what was asked for by more than 0.02, every score must
//! be the true one, and as many rows come back as there are.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use elanus_engine::collection::IndexDefinition;
use elanus_engine::exec::GroupBy;
use elanus_engine::row::{BatchBuilder, KeySource, Keys, OutputValue, Projection, Value};
use elanus_engine::schema::{DataType, Field, Schema};
use elanus_engine::{
    Collection, Definition, Effort, Engine, EngineOptions, Filter, Metric, SearchHits, SearchRequest, kernel,
};
use elanus_storage::data_dir;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const ROWS: usize = 12_000;
const DIM: usize = 24;
const QUERIES: usize = 40;
const K: usize = 10;
const TARGET: f32 = 0.95;
const SLACK: f32 = 0.02;
/// Shares of rows in thousandths.
const SHARES: [i64; 5] = [1, 10, 100, 500, 990];

struct World {
    _folder: tempfile::TempDir,
    _engine: Arc<Engine>,
    collection: Arc<Collection>,
    rows: Vec<Vec<f32>>,
    /// The share of rows, in thousandths, whose first value is smaller.
    place: Vec<i64>,
    metric: Metric,
}

fn options() -> EngineOptions {
    EngineOptions { background: false, index_threads: 2, search_threads: 2, ..EngineOptions::default() }
}

fn definition(index_type: &str, params: &[(&str, &str)], metric: Metric, dim: usize) -> Definition {
    let fields = vec![
        Field::new("id", DataType::Int64).primary(false),
        Field::new("place", DataType::Int64),
        Field::new("random", DataType::Int64),
        Field::new("v", DataType::FloatVector).dim(dim),
    ];
    let mut definition = Definition::new("c", Schema::new(fields, false, "").unwrap());
    definition.indexes.push(IndexDefinition {
        field: "v".into(),
        name: "v".into(),
        index_type: index_type.into(),
        metric: Some(metric.into()),
        params: params.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
    });
    definition
}

/// Clusters of uneven size and width, of uneven length under IP.
fn clustered(rows: usize, metric: Metric) -> Vec<Vec<f32>> {
    let mut rng = StdRng::seed_from_u64(7);
    let centres: Vec<Vec<f32>> =
        (0..60).map(|_| (0..DIM).map(|_| rng.random_range(-1.0..1.0f32)).collect()).collect();
    (0..rows)
        .map(|_| {
            let centre = &centres[(rng.random::<f32>().powi(2) * 60.0) as usize % 60];
            let length = if metric == Metric::L2 { 1.0 } else { rng.random_range(0.5..1.5f32) };
            centre.iter().map(|c| (c + rng.random_range(-0.6..0.6f32)) * length).collect()
        })
        .collect()
}

fn insert(collection: &Collection, rows: &[Vec<f32>], place: &[i64]) {
    for (part, chunk) in rows.chunks(4000).enumerate() {
        let mut batch = BatchBuilder::new(&collection.schema(), KeySource::Given);
        for (i, row) in chunk.iter().enumerate() {
            let id = part * 4000 + i;
            batch.set(0, Value::Int(id as i64)).unwrap();
            batch.set(1, Value::Int(place[id])).unwrap();
            batch.set(2, Value::Int((id as i64 * 7919) % 1000)).unwrap();
            batch
                .set_vector(3, |matrix| {
                    matrix.extend_from_slice(row);
                    Ok(())
                })
                .unwrap();
            batch.end_row().unwrap();
        }
        collection.insert(batch.finish().unwrap()).unwrap();
    }
    collection.flush().unwrap();
    while collection.compact().unwrap() {}
    while collection.build_index().unwrap() {}
}

fn world(index_type: &str, params: &[(&str, &str)], metric: Metric) -> World {
    let rows = clustered(ROWS, metric);
    let mut order: Vec<usize> = (0..ROWS).collect();
    order.sort_by(|&a, &b| rows[a][0].total_cmp(&rows[b][0]));
    let mut place = vec![0; ROWS];
    order.iter().enumerate().for_each(|(rank, &row)| place[row] = (rank * 1000 / ROWS) as i64);
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(data_dir::open(folder.path()).unwrap(), options()).unwrap();
    let collection = engine.create(definition(index_type, params, metric, DIM)).unwrap();
    insert(&collection, &rows, &place);
    World { _folder: folder, _engine: engine, collection, rows, place, metric }
}

fn exact(metric: Metric, query: &[f32], row: &[f32]) -> f32 {
    let kernel = kernel::active();
    match metric {
        Metric::L2 => kernel.l2(query, row),
        Metric::Ip => kernel.dot(query, row),
        Metric::Cosine => kernel.cosine(&kernel.unit(query), row, kernel.inverse_norm(row)),
    }
}

fn keys(hits: &SearchHits) -> Vec<i64> {
    let column = hits.rows.columns.iter().find(|c| c.primary).unwrap();
    (0..hits.rows.len)
        .map(|row| match column.value(row) {
            OutputValue::Int64(key) => key,
            other => panic!("{other:?}"),
        })
        .collect()
}

fn request(collection: &Collection, query: &[f32], filter: Option<&str>) -> SearchRequest {
    let projection = Projection::resolve::<&str>(&collection.schema(), &[]).unwrap();
    SearchRequest {
        effort: Effort::Recall(TARGET),
        filter: filter.map(|f| Filter::compile(f, &collection.schema()).unwrap()),
        ..SearchRequest::new("v", query.to_vec(), K, projection)
    }
}

impl World {
    /// Queries near rows of the upper or lower end of `place`, or of anywhere.
    fn queries(&self, range: std::ops::Range<i64>) -> Vec<Vec<f32>> {
        let mut rng = StdRng::seed_from_u64(11);
        let candidates: Vec<usize> = (0..ROWS).filter(|&row| range.contains(&self.place[row])).collect();
        (0..QUERIES)
            .map(|_| {
                let row = &self.rows[candidates[rng.random_range(0..candidates.len())]];
                row.iter().map(|x| x + rng.random_range(-0.2..0.2f32)).collect()
            })
            .collect()
    }

    /// Mean recall over the queries; checks numbers of rows, scores and order on the way.
    fn recall(&self, queries: &[Vec<f32>], filter: Option<&str>, matching: &dyn Fn(usize) -> bool) -> f32 {
        let (mut found, mut wanted) = (0, 0);
        for query in queries {
            let hits = self.collection.search(&request(&self.collection, query, filter)).unwrap();
            let keys = keys(&hits);
            let mut truth: Vec<f32> = (0..ROWS)
                .filter(|&r| matching(r))
                .map(|r| exact(self.metric, query, &self.rows[r]))
                .collect();
            truth.sort_by(|a, b| if self.metric == Metric::L2 { a.total_cmp(b) } else { b.total_cmp(a) });
            truth.truncate(K);
            assert_eq!(keys.len(), truth.len(), "{:?}: as many rows as there are", hits.explained);
            for (key, score) in keys.iter().zip(&hits.scores) {
                assert!(matching(*key as usize), "row {key} does not match");
                assert_eq!(*score, exact(self.metric, query, &self.rows[*key as usize]), "score of {key}");
            }
            let ordered = |w: &[f32]| !self.metric.better(w[1], w[0]);
            assert!(hits.scores.windows(2).all(ordered), "best first");
            let Some(worst) = truth.last() else { continue };
            wanted += truth.len();
            found += hits.scores.iter().filter(|score| !self.metric.better(*worst, **score)).count();
        }
        if wanted == 0 { 1.0 } else { found as f32 / wanted as f32 }
    }

    /// The whole grid of filters.
    fn grid(&self, name: &str, dead: &dyn Fn(usize) -> bool) {
        let ends = [("low", 0..300), ("high", 700..1000), ("any", 0..1000)];
        for (end, range) in ends {
            let queries = self.queries(range);
            let plain = self.recall(&queries, None, &|row| !dead(row));
            assert!(plain >= TARGET - SLACK, "{name} {end}: {plain}");
            for share in SHARES {
                let by_place = format!("place < {share}");
                let correlated =
                    self.recall(&queries, Some(&by_place), &|r| !dead(r) && self.place[r] < share);
                let by_chance = format!("random < {share}");
                let random = |r: usize| !dead(r) && ((r as i64 * 7919) % 1000) < share;
                let uncorrelated = self.recall(&queries, Some(&by_chance), &random);
                for (kind, recall) in [("correlated", correlated), ("random", uncorrelated)] {
                    assert!(recall >= TARGET - SLACK, "{name}, {end}, {share} of 1000 {kind}: {recall}");
                }
            }
        }
    }

    fn check(&self, name: &str) {
        self.grid(name, &|_| false);
        let dead = |row: usize| row.is_multiple_of(6);
        let keys = Keys::Int((0..ROWS).filter(|&row| dead(row)).map(|row| row as i64).collect());
        self.collection.delete_keys(keys).unwrap();
        self.grid(&format!("{name} with dead rows"), &dead);
    }
}

const METRICS: [Metric; 3] = [Metric::L2, Metric::Ip, Metric::Cosine];

#[test]
fn hnsw_keeps_its_promise() {
    for metric in METRICS {
        let world = world("HNSW", &[("M", "12"), ("efConstruction", "100")], metric);
        let hits = world.collection.search(&request(&world.collection, &world.rows[5], None)).unwrap();
        assert_eq!(hits.stats.indexed_segments, 1, "the index is used: {:?}", hits.explained);
        let mut all = request(&world.collection, &world.rows[5], None);
        all.effort = Effort::Recall(1.0);
        assert_eq!(world.collection.search(&all).unwrap().stats.hops, 0, "a recall of 1 is an exact search");
        world.check(&format!("HNSW {metric}"));
    }
}

#[test]
fn hnsw_sq_keeps_its_promise() {
    world("HNSW_SQ", &[("M", "12"), ("efConstruction", "100")], Metric::L2).check("HNSW_SQ");
}

#[test]
fn ivf_keeps_its_promise() {
    for metric in METRICS {
        let world = world("IVF_FLAT", &[("nlist", "64")], metric);
        let hits = world.collection.search(&request(&world.collection, &world.rows[5], None)).unwrap();
        assert!(hits.stats.lists > 0, "the index is used: {:?}", hits.explained);
        world.check(&format!("IVF_FLAT {metric}"));
    }
}

#[test]
fn ivf_sq8_keeps_its_promise() {
    world("IVF_SQ8", &[("nlist", "64")], Metric::Cosine).check("IVF_SQ8");
}

/// With all lists scanned, IVF_FLAT is exact to the row: passing over a row is proven to be right.
#[test]
fn all_lists_are_an_exact_search() {
    for metric in METRICS {
        let world = world("IVF_FLAT", &[("nlist", "32")], metric);
        for query in world.queries(0..1000) {
            let mut asked = request(&world.collection, &query, None);
            asked.effort = Effort::Asked { ef: None, probes: Some(32) };
            let by_index = world.collection.search(&asked).unwrap();
            let mut truth: Vec<(f32, i64)> =
                (0..ROWS).map(|r| (exact(metric, &query, &world.rows[r]), r as i64)).collect();
            truth.sort_by(|a, b| {
                let order = if metric == Metric::L2 { a.0.total_cmp(&b.0) } else { b.0.total_cmp(&a.0) };
                order.then(a.1.cmp(&b.1))
            });
            let truth: Vec<i64> = truth.into_iter().take(K).map(|(_, key)| key).collect();
            assert_eq!(keys(&by_index), truth);
        }
    }
}

/// Many queries at once give, bit for bit, what each gives alone: with an index, and row by row.
#[test]
fn batches_answer_like_single_queries() {
    for (index_type, metric) in [
        ("FLAT", Metric::L2),
        ("FLAT", Metric::Ip),
        ("FLAT", Metric::Cosine),
        ("IVF_FLAT", Metric::L2),
        ("HNSW", Metric::Cosine),
    ] {
        let world = world(index_type, &[], metric);
        let queries = world.queries(0..1000);
        for filter in [None, Some("random < 400"), Some("random < 20")] {
            let batch =
                world.collection.search(&request(&world.collection, &queries.concat(), filter)).unwrap();
            let (mut all_keys, mut all_scores) = (Vec::new(), Vec::new());
            for query in &queries {
                let alone = world.collection.search(&request(&world.collection, query, filter)).unwrap();
                all_keys.extend(keys(&alone));
                all_scores.extend(alone.scores);
            }
            assert_eq!(batch.topks, vec![K; QUERIES]);
            assert_eq!(batch.scores, all_scores, "{index_type} {metric} {filter:?}");
            assert_eq!(keys(&batch), all_keys, "{index_type} {metric} {filter:?}");
        }
    }
}

fn small(
    index_type: &str,
    metric: Metric,
    rows: &[Vec<f32>],
) -> (tempfile::TempDir, Arc<Engine>, Arc<Collection>) {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(data_dir::open(folder.path()).unwrap(), options()).unwrap();
    let dim = rows.first().map_or(2, Vec::len);
    let collection = engine.create(definition(index_type, &[], metric, dim)).unwrap();
    insert(&collection, rows, &vec![0; rows.len()]);
    (folder, engine, collection)
}

#[test]
fn copies_ties_and_few_rows_are_answered_right() {
    let mut rng = StdRng::seed_from_u64(3);
    let mut copies: Vec<Vec<f32>> = (0..9_000).map(|_| vec![0.5, 0.25, -1.0]).collect();
    copies.extend((0..500).map(|_| (0..3).map(|_| rng.random_range(2.0..3.0f32)).collect()));
    for index_type in ["HNSW", "IVF_FLAT", "FLAT", "HNSW_SQ"] {
        for metric in METRICS {
            let (_folder, _engine, collection) = small(index_type, metric, &copies);
            let hits = collection.search(&request(&collection, &copies[0], None)).unwrap();
            assert_eq!(hits.scores.len(), K);
            if metric == Metric::L2 {
                assert_eq!(keys(&hits), (0..K as i64).collect::<Vec<_>>(), "{index_type}: the smallest keys");
                assert!(hits.scores.iter().all(|&score| score == 0.0));
            }
            let mut all = request(&collection, &copies[0], None);
            all.limit = 16_384;
            assert_eq!(collection.search(&all).unwrap().scores.len(), 9_500, "{index_type} {metric}");
            let far = collection.search(&request(&collection, &copies[9_100], None)).unwrap();
            let away = keys(&far).iter().filter(|&&key| key >= 9_000).count();
            assert!(metric != Metric::L2 || away >= 9, "{index_type}: copies cut nothing off ({away})");
        }
    }
    for count in [0usize, 1, 7] {
        let rows: Vec<Vec<f32>> = (0..count).map(|i| vec![i as f32, 1.0]).collect();
        let (_folder, _engine, collection) = small("HNSW", Metric::L2, &rows);
        assert_eq!(
            collection.search(&request(&collection, &[0.0, 0.0], None)).unwrap().scores.len(),
            count.min(K)
        );
    }
}

/// Data that one byte a dimension cannot tell apart, and values at the ends of f32.
#[test]
fn hostile_values_are_searched_right() {
    let mut rng = StdRng::seed_from_u64(5);
    let mut row = |scale: f32, offset: f32| -> Vec<f32> {
        (0..4).map(|_| offset + scale * rng.random_range(-1.0..1.0f32)).collect()
    };
    let mut sets: BTreeMap<&str, Vec<Vec<f32>>> = BTreeMap::new();
    sets.insert("one dimension is a million times wider", {
        (0..6000).map(|i| [vec![(i % 7) as f32 * 1e6], row(1.0, 0.0)].concat()).collect()
    });
    sets.insert("one row is far away", {
        (0..6000).map(|i| if i == 77 { row(1.0, 1e9) } else { row(1.0, 0.0) }).collect()
    });
    sets.insert("huge", (0..6000).map(|_| row(3e38, 0.0)).collect());
    sets.insert("tiny", (0..6000).map(|_| row(1e-40, 0.0)).collect());
    sets.insert("all zeros but some", {
        (0..6000).map(|i| if i % 100 == 0 { row(1.0, 0.0) } else { vec![0.0; 4] }).collect()
    });
    for (name, rows) in &sets {
        for index_type in ["HNSW", "IVF_FLAT"] {
            for metric in METRICS {
                let (_folder, _engine, collection) = small(index_type, metric, rows);
                let mut found = 0;
                for query in rows.iter().skip(70).take(20) {
                    let hits = collection.search(&request(&collection, query, None)).unwrap();
                    assert_eq!(hits.scores.len(), K, "{name} {index_type} {metric}");
                    assert!(
                        hits.scores.iter().all(|score| score.is_finite()),
                        "{name} {index_type} {metric}"
                    );
                    let best = rows
                        .iter()
                        .map(|r| exact(metric, query, r))
                        .reduce(|a, b| if metric.better(b, a) { b } else { a });
                    found += usize::from(!metric.better(best.unwrap(), hits.scores[0]));
                }
                assert!(found >= 18, "{name} {index_type} {metric}: the best row of {found} of 20");
            }
        }
    }
}

#[test]
fn groups_hold_their_best_rows() {
    let world = world("HNSW", &[], Metric::L2);
    for (query, (size, strict)) in world.queries(0..1000).iter().zip([(1, false), (3, true), (10, true)]) {
        let mut asked = request(&world.collection, query, None);
        asked.effort = Effort::Recall(1.0);
        asked.group_by = Some(GroupBy { field: "random".into(), size, strict });
        let hits = world.collection.search(&asked).unwrap();
        let mut ranked: Vec<usize> = (0..ROWS).collect();
        ranked.sort_by(|&a, &b| {
            exact(world.metric, query, &world.rows[a])
                .total_cmp(&exact(world.metric, query, &world.rows[b]))
                .then(a.cmp(&b))
        });
        let mut groups: Vec<(usize, Vec<i64>)> = Vec::new();
        for row in ranked {
            let value = (row * 7919) % 1000;
            match groups.iter_mut().find(|(v, _)| *v == value) {
                Some((_, rows)) if rows.len() < size => rows.push(row as i64),
                Some(_) => {}
                None => groups.push((value, vec![row as i64])),
            }
        }
        let expected: Vec<i64> = groups.into_iter().take(K).flat_map(|(_, rows)| rows).collect();
        assert_eq!(keys(&hits), expected, "size {size}");
    }
}

#[test]
fn a_damaged_or_foreign_index_is_built_again() {
    let folder = tempfile::tempdir().unwrap();
    let rows = clustered(6000, Metric::L2);
    let find =
        |collection: &Collection| keys(&collection.search(&request(collection, &rows[9], None)).unwrap());
    let expected = {
        let engine = Engine::open(data_dir::open(folder.path()).unwrap(), options()).unwrap();
        let collection = engine.create(definition("HNSW", &[], Metric::L2, DIM)).unwrap();
        insert(&collection, &rows, &vec![0; rows.len()]);
        find(&collection)
    };
    let derived: Vec<_> =
        walk(folder.path()).into_iter().filter(|p| p.extension().is_some_and(|e| e == "index")).collect();
    assert_eq!(derived.len(), 1);
    let sound = std::fs::read(&derived[0]).unwrap();
    let damages: [fn(&mut Vec<u8>); 4] = [
        |bytes| bytes.truncate(bytes.len() / 2),
        |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x40;
        },
        |bytes| bytes.clear(),
        |_| {},
    ];
    for damage in damages {
        let mut bytes = sound.clone();
        damage(&mut bytes);
        std::fs::write(&derived[0], &bytes).unwrap();
        let engine = Engine::open(data_dir::open(folder.path()).unwrap(), options()).unwrap();
        let collection = engine.collection("c").unwrap();
        assert_eq!(find(&collection).len(), K, "rows are searched before there is an index");
        while collection.build_index().unwrap() {}
        assert_eq!(collection.index_state("v").unwrap().indexed_rows, 6000);
        assert_eq!(find(&collection), expected);
    }
    // Another type: the file is not what is wanted any more.
    let engine = Engine::open(data_dir::open(folder.path()).unwrap(), options()).unwrap();
    let collection = engine.collection("c").unwrap();
    assert!(collection.drop_index("v").unwrap() && !derived[0].exists());
    assert_eq!(find(&collection).len(), K);
    let ivf = definition("IVF_FLAT", &[("nlist", "32")], Metric::L2, DIM).indexes.remove(0);
    collection.create_index(ivf.clone()).unwrap();
    collection.create_index(ivf).unwrap();
    while collection.build_index().unwrap() {}
    assert!(collection.search(&request(&collection, &rows[9], None)).unwrap().stats.lists > 0);
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        if entry.is_dir() { files.extend(walk(&entry)) } else { files.push(entry) }
    }
    files
}
