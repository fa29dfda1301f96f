//! What the engine must hold, as plain maps: what was acknowledged, and what may or may not have happened because its
//! request failed or its power did.

use std::collections::BTreeMap;

/// Rows by key, as the seed that each was made from.
pub(crate) type State = BTreeMap<i64, i64>;

/// A write.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Put(Vec<(i64, i64)>),
    Delete(Vec<i64>),
}

impl Change {
    pub(crate) fn apply(&self, state: &mut State) {
        match self {
            Self::Put(rows) => state.extend(rows.iter().copied()),
            Self::Delete(keys) => state.retain(|key, _| !keys.contains(key)),
        }
    }
}

/// One collection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    /// What must survive anything.
    durable: State,
    /// Acknowledged without a sync (interval mode): a loss of power may take any number from the end.
    unsynced: Vec<Change>,
    /// Failed: each alone may have happened after all that was acknowledged.
    pending: Vec<Change>,
    /// A drop has failed: the collection may be gone after a restart.
    pub(crate) may_be_gone: bool,
}

impl Model {
    /// What reads must show now.
    pub(crate) fn visible(&self) -> State {
        let mut state = self.durable.clone();
        self.unsynced.iter().for_each(|change| change.apply(&mut state));
        state
    }

    pub(crate) fn acknowledged(&mut self, change: Change, synced: bool) {
        self.pending.clear();
        // Whoever acknowledges a write keeps the collection.
        self.may_be_gone = false;
        self.unsynced.push(change);
        if synced {
            self.synced();
        }
    }

    pub(crate) fn failed(&mut self, change: Change) {
        self.pending.push(change);
    }

    /// All that was acknowledged is durable.
    pub(crate) fn synced(&mut self) {
        self.durable = self.visible();
        self.unsynced.clear();
    }

    /// After a restart: takes `found` for true if it is one of the states that may be.
    pub(crate) fn settle(&mut self, found: &State, power_lost: bool) -> Result<(), String> {
        let mut state = self.durable.clone();
        let mut possible = Vec::new();
        for change in &self.unsynced {
            if power_lost {
                possible.push(state.clone());
            }
            change.apply(&mut state);
        }
        for change in &self.pending {
            let mut with = state.clone();
            change.apply(&mut with);
            possible.push(with);
        }
        possible.push(state.clone());
        if !possible.contains(found) {
            return Err(difference(&state, found));
        }
        *self = Self { durable: found.clone(), ..Self::default() };
        Ok(())
    }
}

/// The first keys in which two states differ, in words.
pub(crate) fn difference(expected: &State, found: &State) -> String {
    let lost: Vec<_> = expected.iter().filter(|(key, _)| !found.contains_key(key)).take(5).collect();
    let extra: Vec<_> = found.iter().filter(|(key, _)| !expected.contains_key(key)).take(5).collect();
    let other: Vec<_> = expected
        .iter()
        .filter_map(|(key, seed)| {
            found.get(key).filter(|other| *other != seed).map(|other| (key, seed, other))
        })
        .take(5)
        .collect();
    format!(
        "{} rows expected, {} found; missing {lost:?}, extra {extra:?}, different (key, expected, found) {other:?}",
        expected.len(),
        found.len()
    )
}
