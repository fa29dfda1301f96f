//! Against oracles that know nothing of bytes, windows or bounds.

use std::collections::BTreeMap;

use arrow_array::BinaryArray;
use arrow_buffer::BooleanBuffer;
use proptest::prelude::*;

use super::*;
use crate::index::{Collector, SearchStats};
use crate::kernel::{Metric, TopK};

type Vector = BTreeMap<u32, f32>;

/// Keeps the best, ties by row.
struct Best(TopK<u32>);

impl Collector for Best {
    fn offer(&mut self, row: u32, score: f32) {
        self.0.push(score, || row);
    }

    fn threshold(&self) -> Option<f32> {
        self.0.threshold()
    }
}

fn pack(vector: &Vector) -> SparseVector {
    SparseVector::from_pairs(vector.iter().map(|(&d, &v)| (d, v))).unwrap()
}

fn by_index(
    index: &SparseIndex,
    query: &SparseQuery,
    scoring: &impl Scoring,
    findable: Findable<'_>,
    k: usize,
) -> Vec<(f32, u32)> {
    let mut best = Best(TopK::new(k, Metric::Ip));
    search(index, query, scoring, findable, &mut best, &mut SearchStats::default());
    best.0.into_sorted()
}

fn by_hand(
    rows: &[SparseVector],
    query: &SparseQuery,
    scoring: &impl Scoring,
    findable: Findable<'_>,
    k: usize,
) -> Vec<(f32, u32)> {
    let mut best = Best(TopK::new(k, Metric::Ip));
    brute_force(rows, query, scoring, findable, &mut best, &mut SearchStats::default());
    best.0.into_sorted()
}

/// Scores of all rows, from maps.
fn oracle(
    rows: &[Vector],
    allowed: impl Fn(usize) -> bool,
    part: impl Fn(&Vector, u32) -> f64,
) -> Vec<(f32, u32)> {
    let mut scores: Vec<(f32, u32)> = rows
        .iter()
        .enumerate()
        .filter(|&(row, _)| allowed(row))
        .map(|(row, vector)| {
            let sum: f64 = vector.keys().map(|&d| part(vector, d)).sum();
            ((sum as f32).min(f32::MAX), row as u32)
        })
        .filter(|&(score, _)| score > 0.0)
        .collect();
    scores.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    scores
}

/// Few dimensions and few values, so that rows share them and tie, and the extremes among them.
fn vector(most: usize) -> impl Strategy<Value = Vector> {
    let value = prop_oneof![
        8 => (0u8..5).prop_map(f32::from),
        2 => 0f32..10.0,
        1 => prop::sample::select(vec![f32::MAX, f32::MIN_POSITIVE, 1e-45, 1e30, 1e-30]),
    ];
    let dimension = prop_oneof![8 => 0u32..12, 1 => Just(u32::MAX - 1), 1 => any::<u32>().prop_map(|d| d.min(u32::MAX - 1))];
    prop::collection::btree_map(dimension, value, 0..most)
}

/// Rows in several windows: the given ones, repeated with gaps between.
fn spread(few: &[Vector], rows: usize) -> Vec<Vector> {
    (0..rows).map(|row| few.get(row * 7 % (few.len() * 3 + 1)).cloned().unwrap_or_default()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn an_index_finds_what_comparing_all_rows_finds(
        few in prop::collection::vec(vector(8), 1..40),
        many in prop::sample::select(vec![1usize, 50, 4096, 4097, 9000]),
        query in vector(8),
        step in 1usize..2000,
        hidden in prop::option::of(0u32..60),
        k in prop::sample::select(vec![0usize, 1, 3, 10, 20_000]),
    ) {
        let rows = spread(&few, many);
        let packed: Vec<SparseVector> = rows.iter().map(pack).collect();
        let index = SparseIndex::build(&packed[..]).unwrap();
        prop_assert_eq!(index.postings(), rows.iter().flat_map(|r| r.values()).filter(|v| **v > 0.0).count());
        let bits = BooleanBuffer::collect_bool(rows.len(), |row| row % step == 0);
        let set = RowSet::new(bits.clone());
        let findable = Findable { rows: &set, hidden };
        let allowed = |row: usize| bits.value(row) && hidden != Some(row as u32);

        let packed_query = pack(&query);
        let exact = SparseQuery::new(packed_query.as_row(), 0.0).unwrap();
        let product = |vector: &Vector, d: u32| {
            query.get(&d).map_or(0.0, |&w| f64::from(w) * f64::from(vector[&d]))
        };
        let mut expected = oracle(&rows, allowed, product);
        let found = expected.len();
        expected.truncate(k);
        prop_assert_eq!(by_hand(&packed, &exact, &InnerProduct, findable, k), expected.clone());
        prop_assert_eq!(by_index(&index, &exact, &InnerProduct, findable, k), expected.clone());

        // With half of the query dropped there are as many, and no score is made up.
        let dropped = SparseQuery::new(packed_query.as_row(), 0.5).unwrap();
        let got = by_index(&index, &dropped, &InnerProduct, findable, k);
        prop_assert_eq!(got.len(), found.min(k));
        for (score, row) in got {
            let sum: f64 = rows[row as usize].keys().map(|&d| product(&rows[row as usize], d)).sum();
            prop_assert_eq!(score, (sum as f32).min(f32::MAX));
        }
    }

    #[test]
    fn bm25_is_its_formula(
        few in prop::collection::vec(vector(8), 1..30),
        many in prop::sample::select(vec![1usize, 60, 5000]),
        query in vector(6),
        cut in 0usize..60,
        k1 in 0f64..3.0,
        b in prop::sample::select(vec![0.0f64, 0.75, 1.0]),
    ) {
        let rows = spread(&few, many);
        let packed: Vec<SparseVector> = rows.iter().map(pack).collect();
        let packed_query = pack(&query);
        // The corpus in two parts, one with an index.
        let (left, right) = packed.split_at(cut.min(packed.len()));
        let mut corpus = Corpus::of_query(packed_query.as_row());
        corpus.add_index(&SparseIndex::build(left).unwrap());
        corpus.add_rows(right);

        let length = |row: &Vector| row.values().map(|&v| f64::from(v)).sum::<f64>().min(f64::from(f32::MAX));
        let n = rows.len() as f64;
        let mean = rows.iter().map(length).sum::<f64>() / n;
        let part = |vector: &Vector, d: u32| {
            let (Some(&count), tf) = (query.get(&d), f64::from(vector[&d])) else { return 0.0 };
            if tf == 0.0 {
                return 0.0;
            }
            let df = rows.iter().filter(|r| r.get(&d).is_some_and(|v| *v > 0.0)).count() as f64;
            let idf = (1.0 + (n - df + 0.5) / (df + 0.5)).ln();
            f64::from(count) * idf * tf * (k1 + 1.0) / (tf + k1 * (1.0 - b + b * length(vector) / mean))
        };
        let expected = oracle(&rows, |_| true, part);
        let all = RowSet::All(rows.len());
        let findable = Findable { rows: &all, hidden: None };
        let params = Bm25Params::new(k1, b).unwrap();
        let (scoring, terms) = Bm25::new(params, &corpus, packed_query.as_row(), 0.0).unwrap();
        let index = SparseIndex::build(&packed[..]).unwrap();
        let got = by_hand(&packed, &terms, &scoring, findable, rows.len());
        let near = |a: f32, b: f32| a == b || (a - b).abs() <= 1e-5 * a.abs().max(b.abs()).max(1e-38);
        prop_assert_eq!(got.len(), expected.len());
        for (got, expected) in got.iter().zip(&expected) {
            prop_assert!(near(got.0, expected.0), "{:?} {:?}", got, expected);
        }
        for k in [1, 5, rows.len()] {
            let mut best = got.clone();
            best.truncate(k);
            prop_assert_eq!(by_index(&index, &terms, &scoring, findable, k), best);
        }
    }

    #[test]
    fn hostile_bytes_are_refused_or_read_and_never_panic(
        bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(0xff), Just(0x7f), Just(0x80), any::<u8>()], 0..64),
    ) {
        if let Ok(row) = SparseRow::parse(&bytes) {
            let pairs: Vec<_> = row.entries().collect();
            prop_assert!(pairs.len() <= bytes.len() / 8);
            prop_assert_eq!(SparseVector::from_pairs(row.entries()).unwrap().as_row().entries().collect::<Vec<_>>(), pairs);
        }
        // Damage below the door: read as far as it makes sense.
        let row = SparseRow::stored(&bytes);
        let pairs: Vec<_> = row.entries().collect();
        prop_assert!(pairs.windows(2).all(|pair| pair[0].0 < pair[1].0));
        prop_assert!(pairs.iter().all(|&(d, v)| d < u32::MAX && v > 0.0 && v.is_finite()) && row.length().is_finite());
        let array = BinaryArray::from_opt_vec(vec![Some(&bytes[..]), None, Some(&bytes[1.min(bytes.len())..])]);
        let index = SparseIndex::build(&array).unwrap();
        let all = RowSet::All(3);
        let query = SparseQuery::new(row, 0.3).unwrap();
        let _ = by_index(&index, &query, &InnerProduct, Findable { rows: &all, hidden: None }, 2);
    }
}

#[test]
fn what_is_wrong_with_a_row_is_said() {
    let bytes = |pairs: &[(u32, f32)]| -> Vec<u8> {
        pairs.iter().flat_map(|(d, v)| [d.to_le_bytes(), v.to_le_bytes()].concat()).collect()
    };
    for (bytes, expected) in [
        (vec![0; 7], "has 7 bytes, which is no multiple of 8"),
        (bytes(&[(2, 1.0), (1, 1.0)]), "index 1 is not larger than the one before"),
        (bytes(&[(2, 1.0), (2, 1.0)]), "index 2 is not larger than the one before"),
        (bytes(&[(u32::MAX, 1.0)]), "index 4294967295 must be less than 2^32-1"),
        (bytes(&[(1, f32::NAN)]), "value NaN at index 1 is not finite"),
        (bytes(&[(1, f32::INFINITY)]), "value inf at index 1 is not finite"),
        (bytes(&[(1, -0.5)]), "value -0.5 at index 1 is negative"),
    ] {
        let error = SparseRow::parse(&bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let twice = SparseVector::from_pairs([(3, 1.0), (1, 1.0), (3, 2.0)]).unwrap_err().to_string();
    assert!(twice.contains("index 3 is given twice"), "{twice}");
    let vector = SparseVector::from_pairs([(3, 1.5), (1, 0.0)]).unwrap();
    assert_eq!(vector.as_row().as_bytes(), bytes(&[(1, 0.0), (3, 1.5)]));
    assert_eq!(vector.as_row().entries().collect::<Vec<_>>(), [(3, 1.5)]);
    assert_eq!((vector.as_row().dim(), SparseRow::parse(&[]).unwrap().dim()), (4, 0));
}

#[test]
fn parameters_out_of_range() {
    let row = SparseVector::default();
    for ratio in [-0.1, 1.0, f32::NAN] {
        assert!(SparseQuery::new(row.as_row(), ratio).is_err());
    }
    assert!(Bm25Params::new(f64::NAN, 0.5).is_err() && Bm25Params::new(3.1, 0.5).is_err());
    assert!(Bm25Params::new(1.2, -0.1).is_err() && Bm25Params::new(0.0, 1.0).is_ok());
}

#[test]
fn a_set_shorter_than_the_index_hides_the_rest() {
    let rows = vec![SparseVector::from_pairs([(1, 1.0)]).unwrap(); 5000];
    let index = SparseIndex::build(&rows[..]).unwrap();
    let query = SparseQuery::new(rows[0].as_row(), 0.0).unwrap();
    for set in [RowSet::All(10), RowSet::All(0), RowSet::new(BooleanBuffer::collect_bool(10, |_| true))] {
        let findable = Findable { rows: &set, hidden: Some(3) };
        assert_eq!(
            by_index(&index, &query, &InnerProduct, findable, 100).len(),
            set.rows().saturating_sub(1)
        );
    }
}
