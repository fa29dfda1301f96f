//! Which content a collection already holds: every SHA-256 with the key of its row. One row for one content: whoever
//! wants to store an image claims its hash first, and nobody else can claim it until the row is there or the attempt
//! has failed. Claims of a group are taken together or not at all, so that two groups never wait for each other.

use std::collections::{HashMap, HashSet};

use elanus_engine::row::Key;
use elanus_storage::Digest;
use parking_lot::{Condvar, Mutex};

/// The contents of one collection, as far as this server put them there.
#[derive(Debug, Default)]
pub(crate) struct KnownImages {
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stored: HashMap<Digest, Key>,
    claimed: HashSet<Digest>,
}

/// The answer to a claim: keys of what is stored already, and the exclusive right to store the rest. The right ends
/// when this is dropped.
pub(crate) struct Claim<'a> {
    known: &'a KnownImages,
    /// Contents that are stored, with their keys.
    pub(crate) stored: HashMap<Digest, Key>,
    mine: Vec<Digest>,
}

impl KnownImages {
    /// Starts from the rows of a collection.
    pub(crate) fn new(stored: HashMap<Digest, Key>) -> Self {
        Self { state: Mutex::new(State { stored, claimed: HashSet::new() }), released: Condvar::new() }
    }

    /// Key of the row with this content, without waiting. The row may have been deleted since.
    pub(crate) fn find(&self, content: &Digest) -> Option<Key> {
        self.state.lock().stored.get(content).cloned()
    }

    /// Claims what is not stored; waits while any of it is claimed by somebody else, which lasts as long as one commit.
    /// `alive` says whether the row of a stored content still exists; one that was deleted is claimed anew.
    ///
    /// # Errors
    /// What `alive` returns; nothing is claimed then.
    pub(crate) fn claim<E>(
        &self,
        contents: &[Digest],
        alive: impl Fn(&Digest, &Key) -> Result<bool, E>,
    ) -> Result<Claim<'_>, E> {
        let mut state = self.state.lock();
        while contents.iter().any(|content| state.claimed.contains(content)) {
            self.released.wait(&mut state);
        }
        let mut stored = HashMap::new();
        for content in contents {
            if let Some(key) = state.stored.get(content)
                && alive(content, key)?
            {
                stored.insert(*content, key.clone());
            }
        }
        let mut mine = Vec::new();
        for content in contents.iter().filter(|content| !stored.contains_key(content)) {
            state.stored.remove(content);
            if state.claimed.insert(*content) {
                mine.push(*content);
            }
        }
        Ok(Claim { known: self, stored, mine })
    }
}

impl Claim<'_> {
    /// Records that claimed contents are stored under these keys.
    pub(crate) fn fulfil(&mut self, rows: impl IntoIterator<Item = (Digest, Key)>) {
        let mut state = self.known.state.lock();
        for (content, key) in rows {
            debug_assert!(self.mine.contains(&content), "only what was claimed is fulfilled");
            state.stored.insert(content, key.clone());
            self.stored.insert(content, key);
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut state = self.known.state.lock();
        for content in &self.mine {
            state.claimed.remove(content);
        }
        drop(state);
        self.known.released.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    /// Claims where reading never fails.
    fn claim<'a>(known: &'a KnownImages, contents: &[Digest], alive: impl Fn(&Key) -> bool) -> Claim<'a> {
        known.claim::<Infallible>(contents, |_, key| Ok(alive(key))).unwrap()
    }

    fn content(n: u8) -> Digest {
        Digest::from([n; 32])
    }

    #[test]
    fn a_content_is_stored_once_whoever_comes_first() {
        let known = KnownImages::default();
        let next = AtomicI64::new(1);
        let inserted = AtomicI64::new(0);
        std::thread::scope(|scope| {
            for worker in 0..8u8 {
                let (known, next, inserted) = (&known, &next, &inserted);
                scope.spawn(move || {
                    for round in 0..50u8 {
                        // Overlapping groups in different orders: a deadlock if claims were taken one by one.
                        let mut group: Vec<Digest> = (0..4).map(|i| content((round + i) % 60)).collect();
                        if worker % 2 == 0 {
                            group.reverse();
                        }
                        let mut claim = claim(known, &group, |_| true);
                        let mine = claim.mine.clone();
                        inserted.fetch_add(mine.len() as i64, Ordering::SeqCst);
                        claim.fulfil(
                            mine.into_iter().map(|c| (c, Key::Int(next.fetch_add(1, Ordering::SeqCst)))),
                        );
                        assert_eq!(claim.stored.len(), 4);
                    }
                });
            }
        });
        assert_eq!(inserted.into_inner(), 53, "contents 0 to 52, once each");
    }

    #[test]
    fn an_attempt_that_failed_frees_the_content() {
        let known = KnownImages::default();
        drop(claim(&known, &[content(1)], |_| true));
        assert_eq!(known.find(&content(1)), None);
        let claim = claim(&known, &[content(1)], |_| true);
        assert_eq!(claim.mine, [content(1)]);
    }

    #[test]
    fn a_deleted_row_is_claimed_anew() {
        let known = KnownImages::new(HashMap::from([(content(1), Key::Int(7)), (content(2), Key::Int(8))]));
        let claim = claim(&known, &[content(1), content(2), content(1)], |key| *key != Key::Int(7));
        assert_eq!(claim.mine, [content(1)]);
        assert_eq!(claim.stored, HashMap::from([(content(2), Key::Int(8))]));
    }

    #[test]
    fn a_row_that_cannot_be_read_is_not_taken_for_a_deleted_one() {
        let known = KnownImages::new(HashMap::from([(content(2), Key::Int(8))]));
        let unread = known.claim(&[content(1), content(2)], |_, _| Err("the disk"));
        assert_eq!(unread.err(), Some("the disk"));
        assert_eq!(known.find(&content(2)), Some(Key::Int(8)));
        assert_eq!(
            claim(&known, &[content(1), content(2)], |_| true).mine,
            [content(1)],
            "nothing stayed claimed"
        );
    }
}
