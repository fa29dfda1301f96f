//! What is asked of every index, and the right answers: searches with photos of the set, alone and for rows that show one
//! class.

use crate::photos::Rows;
use elanus_benches::folder::Labels;

/// Recall is measured on so many nearest rows.
pub(crate) const DEPTHS: [usize; 2] = [10, 100];
/// Most photos that are searched with for each class.
const MOST_OF_A_CLASS: usize = 100;

/// Photos to search with.
pub(crate) struct Questions {
    /// Their places in the list.
    pub(crate) photos: Vec<usize>,
    /// Scores of the best rows of each, best first.
    pub(crate) best: Vec<Vec<f32>>,
    /// The same among the rows that show a class.
    pub(crate) classes: Vec<OfClass>,
}

/// Searches for rows of one class.
pub(crate) struct OfClass {
    pub(crate) name: String,
    /// Rows that show it.
    pub(crate) rows: usize,
    /// Photos to search with, whatever they show.
    pub(crate) photos: Vec<usize>,
    /// Scores of the best rows of each.
    pub(crate) best: Vec<Vec<f32>>,
}

impl Questions {
    /// At most `most` photos, evenly spread over the list.
    pub(crate) fn new(rows: &Rows<'_>, labels: &Labels, most: usize) -> Self {
        let photos = spread(rows.photos.len(), most);
        let [_, deepest] = DEPTHS;
        let best = photos.iter().map(|photo| rows.best(*photo, deepest, |_| true)).collect();
        let few: Vec<usize> = spread(photos.len(), MOST_OF_A_CLASS).into_iter().map(|i| photos[i]).collect();
        let list = &rows.photos.list;
        let of_class = |name: &&str| {
            let shows: Vec<bool> = list.iter().map(|photo| labels.shows(&photo.id, name)).collect();
            // Blends show nothing.
            let among = |row: usize| shows.get(row) == Some(&true);
            let best = few.iter().map(|photo| rows.best(*photo, DEPTHS[0], among)).collect();
            let count = shows.iter().filter(|shows| **shows).count();
            OfClass { name: (*name).to_owned(), rows: count, photos: few.clone(), best }
        };
        let mut classes: Vec<OfClass> = labels.names().iter().map(of_class).collect();
        // The labels may speak of photos that are not there.
        classes.retain(|class| class.rows > 0);
        Self { photos, best, classes }
    }
}

/// At most `most` of `count` places, evenly spread.
pub(crate) fn spread(count: usize, most: usize) -> Vec<usize> {
    (0..count).step_by(count.div_ceil(most.max(1)).max(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_spread_and_never_too_many() {
        assert_eq!(spread(10, 4), [0, 3, 6, 9]);
        assert_eq!(spread(3, 100), [0, 1, 2]);
        assert_eq!((spread(0, 5), spread(5, 0)), (vec![], vec![0]));
        assert!((1..50).all(|most| spread(17, most).len() <= most));
    }
}
