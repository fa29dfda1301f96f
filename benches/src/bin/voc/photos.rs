//! The photos that were stored, in the order of their ids, with their vectors; and the exact answers to searches with
//! them, found by comparing every vector here, not by the server.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use elanus_benches::Result;
use elanus_engine::kernel;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// Scores this close to that of the last right row are right: sums may be rounded in another order.
const CLOSE: f32 = 1e-6;

/// A stored photo.
#[derive(Debug, Clone)]
pub(crate) struct Photo {
    /// Its key in the server's collection of images.
    pub(crate) key: i64,
    /// Its name below the folder of photos.
    pub(crate) file: String,
    /// VOC's id: the name of the file without its ending.
    pub(crate) id: String,
}

impl Photo {
    pub(crate) fn new(key: i64, file: String) -> Self {
        let id = Path::new(&file).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self { key, file, id }
    }
}

/// Photos and vectors; a photo's place in the list is its key in the collections that are measured.
#[derive(Debug)]
pub(crate) struct Photos {
    /// Ascending by id.
    pub(crate) list: Vec<Photo>,
    /// Row-major, of length 1.
    vectors: Vec<f32>,
    /// Floats of a vector.
    pub(crate) dim: usize,
}

impl Photos {
    /// Brings photos and vectors together.
    ///
    /// # Errors
    /// When a vector is missing, or of another length than the others.
    pub(crate) fn new(mut list: Vec<Photo>, rows: Vec<(i64, Vec<f32>)>) -> Result<Self> {
        list.sort_by(|a, b| a.id.cmp(&b.id).then(a.key.cmp(&b.key)));
        let dim = rows.first().map(|(_, vector)| vector.len()).ok_or("no photo was stored")?;
        let by_key: HashMap<i64, Vec<f32>> = rows.into_iter().collect();
        let mut vectors = Vec::with_capacity(list.len() * dim);
        for photo in &list {
            let vector = by_key.get(&photo.key).filter(|vector| vector.len() == dim);
            vectors.extend_from_slice(vector.ok_or_else(|| format!("{} has no vector", photo.file))?);
        }
        Ok(Self { list, vectors, dim })
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// The vector of a photo.
    pub(crate) fn vector(&self, photo: usize) -> &[f32] {
        &self.vectors[photo * self.dim..(photo + 1) * self.dim]
    }
}

/// Rows that searches find: the photos, and behind them, where a larger set was asked for, blends of their vectors.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    /// The photos.
    pub(crate) photos: &'a Photos,
    blends: Vec<f32>,
}

impl<'a> Rows<'a> {
    /// The photos, and blends up to `rows` rows in all: the same ones each time.
    pub(crate) fn new(photos: &'a Photos, rows: usize) -> Self {
        let blends = (photos.len()..rows).flat_map(|row| blend(photos, row as u64)).collect();
        Self { photos, blends }
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.photos.len() + self.blends.len() / self.photos.dim
    }

    /// A row's vector.
    pub(crate) fn vector(&self, row: usize) -> &[f32] {
        let dim = self.photos.dim;
        match row.checked_sub(self.photos.len()) {
            None => self.photos.vector(row),
            Some(blend) => &self.blends[blend * dim..(blend + 1) * dim],
        }
    }

    /// The cosine of a photo and a row.
    pub(crate) fn score(&self, photo: usize, row: usize) -> f32 {
        kernel::active().dot(self.photos.vector(photo), self.vector(row))
    }

    /// The scores of the best rows for a photo, best first, itself left out: all of them, or those that `among` allows.
    pub(crate) fn best(&self, photo: usize, most: usize, among: impl Fn(usize) -> bool) -> Vec<f32> {
        let mut scores = vec![0.0; self.len()];
        let (head, tail) = scores.split_at_mut(self.photos.len());
        let query = self.photos.vector(photo);
        kernel::active().dot_many(query, &self.photos.vectors, head);
        kernel::active().dot_many(query, &self.blends, tail);
        let others = scores.into_iter().enumerate().filter(|(row, _)| *row != photo && among(*row));
        let mut scores: Vec<f32> = others.map(|(_, score)| score).collect();
        scores.sort_unstable_by(|a, b| b.total_cmp(a));
        scores.truncate(most);
        scores
    }

    /// The share of the right rows among the first `k` of `found`, for a photo whose `best` scores are known; none when
    /// there is nothing to find. A row that is found twice is one.
    pub(crate) fn recall(&self, photo: usize, found: &[usize], best: &[f32], k: usize) -> Option<f64> {
        let right = best.len().min(k);
        let least = best.get(right.checked_sub(1)?)? - CLOSE;
        let found: BTreeSet<usize> = found.iter().take(k).copied().collect();
        let hits = found.into_iter().filter(|row| self.score(photo, *row) >= least).count();
        Some(hits.min(right) as f64 / right as f64)
    }
}

/// A vector between those of two photos, both drawn by `seed`, of length 1.
fn blend(photos: &Photos, seed: u64) -> Vec<f32> {
    let mut random = StdRng::seed_from_u64(seed);
    let (a, b) = (random.random_range(0..photos.len()), random.random_range(0..photos.len()));
    let share: f32 = random.random();
    let mixed = photos.vector(a).iter().zip(photos.vector(b)).map(|(a, b)| a * (1.0 - share) + b * share);
    let mixed: Vec<f32> = mixed.collect();
    let length = kernel::active().dot(&mixed, &mixed).sqrt().max(f32::MIN_POSITIVE);
    mixed.into_iter().map(|value| value / length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photos(vectors: &[[f32; 2]]) -> Photos {
        let list = (0..vectors.len()).map(|i| Photo::new(i as i64, format!("{i}.jpg"))).collect();
        let rows = vectors.iter().enumerate().map(|(i, vector)| (i as i64, vector.to_vec())).collect();
        Photos::new(list, rows).unwrap()
    }

    #[test]
    fn the_exact_answer_leaves_the_photo_itself_out() {
        let photos = photos(&[[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [0.6, 0.8]]);
        let rows = Rows::new(&photos, 0);
        let best = rows.best(0, 10, |_| true);
        assert_eq!(best, [0.8, 0.6, 0.0]);
        assert_eq!(rows.recall(0, &[1, 2], &best, 2), Some(0.5));
        assert_eq!(rows.recall(0, &[3, 1], &best, 2), Some(1.0), "in any order");
        assert_eq!(rows.recall(0, &[1, 1], &best, 2), Some(0.5), "the same one twice");
        assert_eq!(rows.recall(0, &[1], &rows.best(0, 10, |row| row == 1), 10), Some(1.0), "all there are");
        assert_eq!(rows.recall(0, &[], &rows.best(0, 10, |_| false), 10), None);
    }

    #[test]
    fn blends_come_behind_the_photos_and_have_length_one() {
        let photos = photos(&[[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]);
        let rows = Rows::new(&photos, 50);
        assert_eq!((rows.len(), rows.vector(2)), (50, photos.vector(2)));
        assert!(
            (3..50).all(|row| (kernel::active().dot(rows.vector(row), rows.vector(row)) - 1.0).abs() < 1e-5)
        );
        assert_eq!(rows.vector(49), Rows::new(&photos, 60).vector(49), "the same each time");
        assert_eq!(rows.best(0, 100, |_| true).len(), 49);
    }

    #[test]
    fn a_photo_without_a_vector_is_told() {
        let photo = || Photo::new(7, "below/7.jpg".into());
        assert_eq!(photo().id, "7");
        let error = Photos::new(vec![photo()], vec![(8, vec![1.0])]).unwrap_err();
        assert!(error.to_string().contains("below/7.jpg"));
        assert!(Photos::new(vec![], vec![]).unwrap_err().to_string().contains("no photo"));
    }
}
