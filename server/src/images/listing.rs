//! Lists: which collections hold images, and the images of one collection, newest first. Keys are given out in
//! ascending order, so the newest image has the largest one.

use std::cmp::Ordering;
use std::sync::Arc;

use elanus_engine::row::{Key, KeyRef, Projection, Rows};
use serde::Serialize;

use super::collection::keys_of;
use super::layout::MODEL_PROPERTY;
use super::search::projection;
use super::{ImageCollection, ImageService, Purpose};
use crate::error::ApiError;

/// One collection in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct CollectionSummary {
    /// Its name.
    pub(crate) collection: String,
    /// Live rows.
    pub(crate) count: u64,
    /// Identity of the model that made its vectors; none when no images were added yet.
    pub(crate) model: Option<String>,
    /// Whether this server can search it with images.
    pub(crate) searchable: bool,
    /// Why it is out of service, when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

impl ImageService {
    /// All collections, by name; those that can't hold images too, as not searchable. Blocking.
    pub(crate) fn summaries(&self) -> Vec<CollectionSummary> {
        let engine = self.collections.engine();
        let failed = engine.failed();
        let open = engine.open_collections();
        let summary = |name: String| {
            let Some(rows) = open.iter().find(|rows| rows.name() == name) else {
                let reason = failed.iter().find(|(other, _)| *other == name);
                let reason =
                    reason.map_or_else(|| "it is being loaded".to_owned(), |(_, reason)| reason.clone());
                let reason = Some(reason);
                return CollectionSummary {
                    collection: name,
                    count: 0,
                    model: None,
                    searchable: false,
                    reason,
                };
            };
            CollectionSummary {
                count: rows.count(),
                model: rows.properties().remove(MODEL_PROPERTY),
                searchable: self.collections.is_searchable(rows),
                collection: name,
                reason: rows.poisoned(),
            }
        };
        engine.names().into_iter().map(summary).collect()
    }

    /// One page of images, newest first. Blocking.
    ///
    /// # Errors
    /// 404 for an unknown collection, 400 for one that can't hold images.
    pub(crate) fn browse(
        &self,
        name: &str,
        limit: usize,
        offset: usize,
    ) -> Result<(Arc<ImageCollection>, Rows), ApiError> {
        let collection = self.open(name, Purpose::Read)?;
        let keys = newest(&collection, limit, offset)?;
        let projection = projection(&collection.rows.schema(), None)?;
        let rows = collection.rows.get(&keys_of(&keys), &projection);
        // An empty list of keys has no kind of its own.
        let rows = if keys.is_empty() { empty(&collection, &projection) } else { rows };
        Ok((Arc::clone(&collection), rows?))
    }
}

fn empty(collection: &ImageCollection, projection: &Projection) -> elanus_engine::error::Result<Rows> {
    let keys = elanus_engine::row::Keys::empty(collection.rows.schema().primary().data_type);
    collection.rows.get(&keys, projection)
}

/// The keys of a page.
fn newest(collection: &ImageCollection, limit: usize, offset: usize) -> Result<Vec<Key>, ApiError> {
    let projection = Projection::resolve::<&str>(&collection.rows.schema(), &[])?;
    let mut newest = Newest::new(offset.saturating_add(limit));
    collection.rows.scan(&projection, &mut |rows| {
        newest.add((0..rows.len).filter_map(|row| rows.key(row)).map(KeyRef::to_key));
        Ok(())
    })?;
    Ok(newest.from(offset))
}

/// The newest of many keys, of which never many more are held than are wanted.
struct Newest {
    wanted: usize,
    keys: Vec<Key>,
}

impl Newest {
    fn new(wanted: usize) -> Self {
        Self { wanted, keys: Vec::new() }
    }

    fn add(&mut self, keys: impl Iterator<Item = Key>) {
        self.keys.extend(keys);
        // Each time at least half of them go: the work for one key stays the same.
        if self.keys.len() >= self.wanted.saturating_mul(2) {
            self.forget_older();
        }
    }

    fn forget_older(&mut self) {
        if self.wanted < self.keys.len() {
            self.keys.select_nth_unstable_by(self.wanted, newest_first);
            self.keys.truncate(self.wanted);
        }
    }

    /// In descending order, without the first `offset`.
    fn from(mut self, offset: usize) -> Vec<Key> {
        self.forget_older();
        self.keys.sort_unstable_by(newest_first);
        self.keys.drain(..offset.min(self.keys.len()));
        self.keys
    }
}

/// Generated keys count up; as text, a longer number is a larger one.
fn newest_first(a: &Key, b: &Key) -> Ordering {
    match (a, b) {
        (Key::Text(a), Key::Text(b)) => (b.len(), b).cmp(&(a.len(), a)),
        _ => b.cmp(a),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of keys that come in pieces.
    fn page(keys: &[Key], limit: usize, offset: usize) -> Vec<Key> {
        let wanted = offset.saturating_add(limit);
        let mut newest = Newest::new(wanted);
        for piece in keys.chunks(8) {
            newest.add(piece.iter().cloned());
            assert!(newest.keys.len() < wanted.saturating_mul(2).max(wanted.saturating_add(8)));
        }
        newest.from(offset)
    }

    #[test]
    fn pages_are_the_sorted_list_cut_in_pieces() {
        let keys: Vec<Key> = (0..50).map(|i| Key::Int((i * 37) % 50 + 1)).collect();
        let mut sorted = keys.clone();
        sorted.sort_by(|a, b| b.cmp(a));
        for limit in [1, 7, 50, 60] {
            for offset in [0, 1, 49, 50, 99, usize::MAX] {
                let expected: Vec<Key> = sorted.iter().skip(offset).take(limit).cloned().collect();
                assert_eq!(page(&keys, limit, offset), expected, "{limit} from {offset}");
            }
        }
    }

    #[test]
    fn text_keys_count_as_numbers() {
        let keys = ["9", "10", "1", "100"].map(|k| Key::Text(k.to_owned()));
        let page = page(&keys, 3, 0);
        assert_eq!(page, ["100", "10", "9"].map(|k| Key::Text(k.to_owned())));
    }
}
