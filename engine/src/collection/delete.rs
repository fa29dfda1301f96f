//! Deletion of what matches. Rows are found in a snapshot, beside everything else that goes on, and looked at again when
//! the deletion is committed: a row that somebody has replaced meanwhile dies only if it matches as well. So a deletion
//! has happened at one moment, its commit, and no write acknowledged before or after it is lost. One of more rows than a
//! log record takes happens in parts.

use std::sync::Arc;

use super::commit::Change;
use super::{Collection, Snapshot};
use crate::error::{EngineError, Result};
use crate::exec::{self, check_rows};
use crate::filter::Filter;
use crate::limits;
use crate::row::{KeyRef, Keys};
use crate::schema::Schema;

/// Text keys of one log record, in bytes.
const MOST_KEY_BYTES: usize = 64 << 20;

/// Rows that matched a filter in a snapshot.
#[derive(Debug)]
pub(crate) struct Doomed {
    filter: Filter,
    schema: Arc<Schema>,
    /// Numbers of the snapshot's segments.
    segments: Arc<[u64]>,
    keys: Keys,
    /// Position in `segments` and row of each key.
    places: Vec<(u32, u32)>,
}

impl Doomed {
    /// Rows of `snapshot` that match, in parts that fit a log record each.
    fn find(snapshot: &Snapshot, filter: &Filter, take: &mut dyn FnMut(Self) -> Result<()>) -> Result<()> {
        // Which rows a random sample is of has been decided here.
        let again = filter.unsampled();
        let segments: Arc<[u64]> = snapshot.views().iter().map(|view| view.segment.id()).collect();
        let part = || Self {
            filter: again.clone(),
            schema: Arc::clone(snapshot.schema()),
            segments: Arc::clone(&segments),
            keys: Keys::empty(snapshot.schema().primary().data_type),
            places: Vec::new(),
        };
        let (mut current, mut bytes) = (part(), 0);
        for ((view, matching), at) in
            snapshot.views().iter().zip(exec::matches(snapshot, Some(filter))?).zip(0..)
        {
            for row in matching.iter() {
                let key = view.segment.key(row);
                if current.places.len() == limits::MAX_BATCH_ROWS || bytes > MOST_KEY_BYTES {
                    take(std::mem::replace(&mut current, part()))?;
                    bytes = 0;
                }
                bytes += if let KeyRef::Text(text) = key { text.len() } else { size_of::<i64>() };
                current.keys.push(key);
                current.places.push((at, row as u32));
            }
        }
        if current.places.is_empty() { Ok(()) } else { take(current) }
    }

    /// Rows found.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Keys of those that are to die now: of rows that are as they were found, and of rows in their place that match.
    ///
    /// # Errors
    /// `SchemaChanged` when rows have become something else meanwhile; filter errors.
    pub(super) fn keys_now(&self, now: &Snapshot) -> Result<Keys> {
        if now.schema() != &self.schema {
            return Err(EngineError::SchemaChanged);
        }
        let position = |id: &u64| now.views().iter().position(|view| view.segment.id() == *id);
        let positions: Vec<Option<usize>> = self.segments.iter().map(position).collect();
        let mut keys = Keys::empty(self.schema.primary().data_type);
        let mut moved = vec![Vec::new(); now.views().len()];
        for (key, &(segment, row)) in self.keys.iter().zip(&self.places) {
            let there = positions.get(segment as usize).copied().flatten();
            if there.is_some_and(|view| !now.views()[view].deleted.contains(row)) {
                keys.push(key);
            } else if let Some((view, row)) = now.find(key) {
                moved[view].push(row as usize);
            }
        }
        for (view, rows) in now.views().iter().zip(moved).filter(|(_, rows)| !rows.is_empty()) {
            check_rows(view, rows, &self.filter)?.iter().for_each(|row| keys.push(view.segment.key(row)));
        }
        Ok(keys)
    }
}

impl Collection {
    /// Deletes the rows that match; returns how many died. A row written meanwhile dies only if it was written before and
    /// matches.
    ///
    /// # Errors
    /// Filter errors; `SchemaChanged`; storage errors.
    pub fn delete_where(&self, filter: &Filter) -> Result<u64> {
        let snapshot = self.snapshot();
        match self.visible(&snapshot, Some(filter.clone()))? {
            Some(visible) => self.delete_matching(&snapshot, &visible),
            None => self.delete_matching(&snapshot, filter),
        }
    }

    /// Deletes the rows that have lived as long as the collection's rows may.
    ///
    /// # Errors
    /// Storage errors.
    pub(crate) fn expire(&self) -> Result<u64> {
        let snapshot = self.snapshot();
        match self.expired(&snapshot)? {
            Some(expired) => self.delete_matching(&snapshot, &expired),
            None => Ok(0),
        }
    }

    fn delete_matching(&self, snapshot: &Snapshot, filter: &Filter) -> Result<u64> {
        let mut died = 0;
        Doomed::find(snapshot, filter, &mut |part| {
            died += self.submit(Change::DeleteMatching(part))?.died;
            Ok(())
        })?;
        Ok(died)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{BatchBuilder, KeySource, Value};
    use crate::schema::{DataType, Field};
    use crate::{Definition, Engine, EngineOptions};

    fn put(c: &Collection, rows: &[(i64, i64)]) {
        let mut b = BatchBuilder::new(&c.schema(), KeySource::Given);
        for &(key, n) in rows {
            b.set(0, Value::Int(key)).unwrap();
            b.set_vector(1, |m| {
                m.extend([1.0, 2.0]);
                Ok(())
            })
            .unwrap();
            b.set(2, Value::Int(n)).unwrap();
            b.end_row().unwrap();
        }
        c.insert(b.finish().unwrap()).unwrap();
    }

    fn with_rows(test: impl FnOnce(&Collection)) {
        let dir = tempfile::tempdir().unwrap();
        let options = EngineOptions { background: false, reserve_bytes: 0, ..EngineOptions::default() };
        let engine = Engine::open(elanus_storage::data_dir::open(dir.path()).unwrap(), options).unwrap();
        let fields = vec![
            Field::new("id", DataType::Int64).primary(false),
            Field::new("vector", DataType::FloatVector).dim(2),
            Field::new("n", DataType::Int64),
        ];
        let c = engine.create(Definition::new("c", Schema::new(fields, false, "").unwrap())).unwrap();
        put(&c, &(0..100).map(|key| (key, key % 2)).collect::<Vec<_>>());
        c.flush().unwrap();
        put(&c, &(100..200).map(|key| (key, key % 2)).collect::<Vec<_>>());
        test(&c);
    }

    fn found(c: &Collection, expression: &str) -> Doomed {
        let filter = Filter::compile(expression, &c.schema()).unwrap();
        let mut found = None;
        let mut take = |part| {
            assert!(found.replace(part).is_none(), "one part is enough");
            Ok(())
        };
        Doomed::find(&c.snapshot(), &filter, &mut take).unwrap();
        found.unwrap()
    }

    #[test]
    fn rows_replaced_meanwhile_die_only_if_they_match() {
        with_rows(|c| {
            let doomed = found(c, "n == 0");
            assert_eq!(doomed.len(), 100);
            put(c, &[(0, 1), (2, 0), (100, 1), (102, 0), (1, 0)]);
            c.delete_keys(Keys::Int(vec![4])).unwrap();
            assert_eq!(c.submit(Change::DeleteMatching(doomed)).unwrap().died, 97);
            let snapshot = c.snapshot();
            for (key, lives) in
                [(0, true), (100, true), (1, true), (2, false), (102, false), (4, false), (3, true)]
            {
                assert_eq!(snapshot.find(KeyRef::Int(key)).is_some(), lives, "{key}");
            }
        });
    }

    #[test]
    fn rows_that_moved_meanwhile_die() {
        with_rows(|c| {
            let doomed = found(c, "n == 0");
            c.flush().unwrap();
            while c.compact().unwrap() {}
            put(c, &[(0, 1)]);
            assert_eq!(c.submit(Change::DeleteMatching(doomed)).unwrap().died, 99);
            assert_eq!(c.count(), 101);
        });
    }

    #[test]
    fn a_random_sample_is_drawn_once() {
        with_rows(|c| {
            let doomed = found(c, "random_sample(0.5)");
            let sampled = doomed.len() as u64;
            c.flush().unwrap();
            while c.compact().unwrap() {}
            assert_eq!(c.submit(Change::DeleteMatching(doomed)).unwrap().died, sampled);
        });
    }

    #[test]
    fn a_changed_schema_is_told() {
        with_rows(|c| {
            let doomed = found(c, "n == 0");
            c.add_field(Field::new("more", DataType::Int64).nullable()).unwrap();
            let refused = c.submit(Change::DeleteMatching(doomed));
            assert!(matches!(refused, Err(EngineError::SchemaChanged)), "{refused:?}");
        });
    }
}
