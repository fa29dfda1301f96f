use super::*;
use crate::descriptor::Descriptor;

fn source(dimension: usize) -> ModelIdentity {
    ModelIdentity { dimension, ..ModelIdentity::of(Descriptor::default()) }
}

fn learned(rows: &[Vec<f32>]) -> PrincipalComponents {
    let mut covariance = Covariance::new(rows[0].len());
    rows.iter().for_each(|row| covariance.add(row).unwrap());
    covariance.principal_components().unwrap()
}

/// Numbers of a linear congruential generator (Knuth's MMIX), from -1 to 1.
fn noise(count: usize) -> Vec<f32> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Rows with a different variance in each value.
fn rows(count: usize, dimension: usize) -> Vec<Vec<f32>> {
    let scaled = |row: &[f32]| row.iter().enumerate().map(|(at, v)| 0.5 + v / (at + 1) as f32).collect();
    noise(count * dimension).chunks_exact(dimension).map(scaled).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `tests/golden_pca.py` computes with numpy's singular values.
#[test]
fn numpy_finds_the_same() {
    let text = include_str!("../../tests/data/pca.json");
    let golden: std::collections::HashMap<String, serde_json::Value> = serde_json::from_str(text).unwrap();
    let matrix = |name: &str| serde_json::from_value::<Vec<Vec<f32>>>(golden[name].clone()).unwrap();
    let variances: Vec<f64> = serde_json::from_value(golden["variances"].clone()).unwrap();
    let components = learned(&matrix("rows"));
    for (ours, theirs) in components.variances().iter().zip(&variances) {
        assert!((ours / theirs - 1.0).abs() < 1e-9, "{ours} {theirs}");
    }
    for (name, whitened) in [("reduced", false), ("whitened", true)] {
        let reduction = components.reduction(source(6), 4, whitened).unwrap();
        for (vector, expected) in matrix("others").iter().zip(matrix(name)) {
            for (ours, theirs) in reduction.apply(vector).unwrap().iter().zip(expected) {
                assert!((ours - theirs).abs() < 1e-6, "{name}: {ours} {theirs}");
            }
        }
    }
}

#[test]
fn components_are_orthonormal_and_sorted_by_the_variance_of_the_rows_along_them() {
    let rows = rows(200, 9);
    let PrincipalComponents { mean, components, variances, .. } = learned(&rows);
    assert!(variances.is_sorted_by(|a, b| a >= b));
    for (place, component) in components.iter().enumerate() {
        for (other, against) in components.iter().enumerate() {
            let expected = f64::from(u8::from(place == other));
            assert!((dot(component, against) - expected).abs() < 1e-12);
        }
        let along = |row: &Vec<f32>| {
            row.iter().zip(&mean).zip(component).map(|((v, m), c)| (f64::from(*v) - m) * c).sum::<f64>()
        };
        let variance = rows.iter().map(|row| along(row).powi(2)).sum::<f64>() / 199.0;
        assert!((variance / variances[place] - 1.0).abs() < 1e-9);
        let largest = component.iter().copied().fold(0f64, |a, b| if b.abs() > a.abs() { b } else { a });
        assert!(largest > 0.0);
    }
}

#[test]
fn whitening_gives_unit_variance() {
    let rows = rows(500, 8);
    let components = learned(&rows);
    let Reduction { mean, projection, .. } = components.reduction(source(8), 5, true).unwrap();
    for output in 0..5 {
        let along = |row: &Vec<f32>| -> f64 {
            (0..8).map(|input| f64::from((row[input] - mean[input]) * projection[input * 5 + output])).sum()
        };
        let variance = rows.iter().map(|row| along(row).powi(2)).sum::<f64>() / 499.0;
        assert!((variance - 1.0).abs() < 1e-4, "{variance}");
    }
}

/// Rows that lie in three of ten directions keep all angles around their mean when they are reduced to three values.
#[test]
fn what_has_a_low_rank_is_kept() {
    let (basis, weights) = (noise(30), noise(60 * 3));
    let mix = |w: &[f32]| -> Vec<f32> {
        (0..10).map(|at| 0.3 + (0..3).map(|k| w[k] * basis[k * 10 + at]).sum::<f32>()).collect()
    };
    let rows: Vec<Vec<f32>> = weights.chunks_exact(3).map(mix).collect();
    let components = learned(&rows);
    assert!(components.variances()[3] < 1e-9 * components.variances()[0]);
    let reduction = components.reduction(source(10), 3, false).unwrap();
    let centred = |row: &Vec<f32>| -> Vec<f64> {
        let c: Vec<f64> = row.iter().zip(&components.mean).map(|(v, m)| f64::from(*v) - m).collect();
        let length = dot(&c, &c).sqrt();
        c.into_iter().map(|v| v / length).collect()
    };
    for pair in rows.windows(2) {
        let [a, b] = [&pair[0], &pair[1]].map(|row| reduction.apply(row).unwrap());
        let cosine: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(a * b)).sum();
        assert!((cosine - dot(&centred(&pair[0]), &centred(&pair[1]))).abs() < 1e-5);
        assert!((a.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-5);
    }
}

#[test]
fn the_same_rows_give_the_same_bytes_whatever_the_threads() {
    let rows = rows(300, 20);
    let bytes = || learned(&rows).reduction(source(20), 8, true).unwrap().to_bytes();
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(bytes(), one.install(bytes));
}

#[test]
fn directions_without_variance_do_not_drown_the_others() {
    let flat: Vec<Vec<f32>> = rows(50, 4).into_iter().map(|row| [&row[..], &[0.5; 2]].concat()).collect();
    let reduction = learned(&flat).reduction(source(6), 6, true).unwrap();
    assert!(flat.iter().all(|row| reduction.apply(row).unwrap().iter().all(|value| value.is_finite())));
}

#[test]
fn what_can_not_be_learned_or_applied_is_refused_in_words() {
    let rows = rows(5, 8);
    let components = learned(&rows);
    for dimension in [0, 5, 8, 9] {
        let error = components.reduction(source(8), dimension, false).unwrap_err();
        assert_eq!(error, ReductionError::Dimension { dimension, most: 4, rows: 5 });
        assert_eq!(
            error.to_string(),
            format!("5 vectors can be reduced to 1 to 4 dimensions, not to {dimension}")
        );
    }
    let reduction = components.reduction(source(8), 4, false).unwrap();
    assert!(matches!(components.reduction(source(7), 4, false), Err(ReductionError::Source { .. })));
    assert!(matches!(
        components.reduction(reduction.identity(), 4, false),
        Err(ReductionError::Source { .. })
    ));
    assert_eq!(reduction.apply(&[0.0; 7]), Err(ReductionError::Length { expected: 8, got: 7 }));
    assert_eq!(reduction.apply(&reduction.mean.clone()), Err(ReductionError::NoDirection));
    assert_eq!(reduction.apply(&[f32::NAN; 8]), Err(ReductionError::NoDirection));

    let mut covariance = Covariance::new(2);
    assert_eq!(covariance.add(&[0.0; 3]), Err(ReductionError::Length { expected: 2, got: 3 }));
    assert_eq!(covariance.add(&[0.0, f32::INFINITY]), Err(ReductionError::NotFinite));
    assert_eq!(covariance.rows(), 0);
    covariance.add(&[0.25; 2]).unwrap();
    assert_eq!(covariance.clone().principal_components().unwrap_err(), ReductionError::NothingToLearn);
    covariance.add(&[0.25; 2]).unwrap();
    assert_eq!(covariance.principal_components().unwrap_err(), ReductionError::NothingToLearn);
    // Of values whose sums are rounded.
    let mut covariance = Covariance::new(3);
    (0..1000).for_each(|_| covariance.add(&[0.1, -0.7, 0.3]).unwrap());
    assert_eq!(covariance.principal_components().unwrap_err(), ReductionError::NothingToLearn);
}

#[test]
fn a_file_gives_the_same_reduction_and_its_name() {
    let reduction = learned(&rows(30, 6)).reduction(source(6), 3, true).unwrap();
    let bytes = reduction.to_bytes();
    assert_eq!(Reduction::from_bytes(&bytes).unwrap(), reduction);
    let identity = reduction.identity();
    let part = identity.reduction.clone().unwrap();
    assert_eq!((part.dimension, part.whitened, part.sha256.len()), (3, true, 64));
    assert_eq!(identity.unreduced(), *reduction.source());
    let plain = learned(&rows(30, 6)).reduction(source(6), 3, false).unwrap();
    assert_ne!(plain.identity(), identity);
}

/// Every byte that is changed, cut off or added is noticed; and sizes that lie under a right checksum too.
#[test]
fn damaged_files_are_refused() {
    use sha2::{Digest, Sha256};
    let good = learned(&rows(30, 6)).reduction(source(6), 3, true).unwrap().to_bytes();
    let refused = |bytes: &[u8]| match Reduction::from_bytes(bytes) {
        Err(ReductionError::Damaged { reason }) => reason,
        other => panic!("{other:?}"),
    };
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        refused(&bytes);
        refused(&good[..at]);
    }
    refused(&[&good[..], &[0]].concat());
    let lying = |at: usize, number: u32| {
        let mut bytes = good[..good.len() - 32].to_vec();
        bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        let checksum = Sha256::digest(&bytes);
        refused(&[&bytes[..], &checksum[..]].concat())
    };
    assert!(lying(8, 2).contains("version is 2"));
    assert!(lying(12, 2).contains("whitening"));
    for (at, number) in [(16, 5), (16, u32::MAX), (20, 0), (20, 7), (20, 2), (24, 0), (24, u32::MAX)] {
        lying(at, number);
    }
    assert!(lying(good.len() - 36, f32::NAN.to_bits()).contains("no numbers"));
}
