//! Turns at hashing a password. That takes some 20 ms and 19 MiB on purpose, and strangers can ask for it: so one is hashed
//! at a time, few wait, and more are told to come again. Who waits waits in a line of a few users, and the lines take
//! turns, so that somebody who asks for much keeps out hardly anybody else. Which line a user is in follows from the name
//! alone, whether there is such a user or not, and from a key that only this process has: no answer, and no waiting,
//! tells which users there are.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use axum::http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{ApiError, code};

/// Lines of waiting users.
const LINES: usize = 64;
/// Places in a line, that of whoever has the turn included.
const PLACES: usize = 16;

/// Who is hashing, and who waits.
#[derive(Debug)]
pub(super) struct Turns {
    key: RandomState,
    lines: Vec<Line>,
    /// Those who are first in their lines come here, and so the lines take turns.
    hashing: Arc<Semaphore>,
}

#[derive(Debug)]
struct Line {
    places: Arc<Semaphore>,
    first: Arc<Semaphore>,
}

/// The turn to hash. To be held until that is done, also when nobody waits for the outcome any more.
#[derive(Debug)]
pub(crate) struct Turn {
    _place: OwnedSemaphorePermit,
    _first: OwnedSemaphorePermit,
    _hashing: OwnedSemaphorePermit,
}

impl Turns {
    pub(super) fn new() -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        let line = || Line { places: semaphore(PLACES), first: semaphore(1) };
        Self {
            key: RandomState::new(),
            lines: std::iter::repeat_with(line).take(LINES).collect(),
            hashing: semaphore(1),
        }
    }

    /// The turn of who gives this name as theirs, once it comes.
    ///
    /// # Errors
    /// 503 when the line is full.
    pub(super) async fn of(&self, user: &str) -> Result<Turn, ApiError> {
        let stopping = || ApiError::unavailable("the server is stopping");
        let line = self.lines.get(self.line(user)).ok_or_else(stopping)?;
        let place = Arc::clone(&line.places).try_acquire_owned().map_err(|_| busy())?;
        let first = Arc::clone(&line.first).acquire_owned().await.map_err(|_| stopping())?;
        let hashing = Arc::clone(&self.hashing).acquire_owned().await.map_err(|_| stopping())?;
        Ok(Turn { _place: place, _first: first, _hashing: hashing })
    }

    fn line(&self, user: &str) -> usize {
        (self.key.hash_one(user) % LINES as u64) as usize
    }
}

fn busy() -> ApiError {
    let message = "too many passwords are being checked; try again in a moment";
    ApiError::new(code::RATE_LIMIT, StatusCode::SERVICE_UNAVAILABLE, message)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// A name of another line than that of `user`.
    fn of_another_line(turns: &Turns, user: &str) -> String {
        let mut names = (0..).map(|n| format!("user{n}"));
        names.find(|name| turns.line(name) != turns.line(user)).unwrap()
    }

    #[tokio::test]
    async fn a_full_line_refuses_and_keeps_nobody_else_out() {
        let turns = Turns::new();
        let other = of_another_line(&turns, "u");
        let held = turns.of("u").await.unwrap();
        let mut waiting: Vec<_> = (1..PLACES).map(|_| Box::pin(turns.of("u"))).collect();
        assert!(waiting.iter_mut().all(|turn| turn.as_mut().now_or_never().is_none()));
        let refused = turns.of("u").await.unwrap_err();
        assert_eq!((refused.code, refused.status.as_u16()), (8, 503));
        // All of those came before, and are in one line.
        let mut next = Box::pin(turns.of(&other));
        assert!(next.as_mut().now_or_never().is_none());
        drop(held);
        let turn = next.now_or_never().unwrap();
        assert!(waiting.iter_mut().all(|turn| turn.as_mut().now_or_never().is_none()));
        drop(turn);
        assert!(waiting.remove(0).now_or_never().is_some());
        drop(waiting);
        assert!(turns.of("u").await.is_ok(), "who went away waits no more");
    }
}
