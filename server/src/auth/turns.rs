//! Turns at hashing a password. That takes some 20 ms and 19 MiB on purpose, and strangers can ask for it: so one is hashed
//! at a time. Who waits waits in a line of a few, and the lines take turns, so that somebody who asks for much keeps out
//! hardly anybody else. Which line strangers are in follows from the name that they give and the address they come from,
//! whether there is such a user or not, and from a key that only this process has: no answer, and no waiting, tells which
//! users there are. Only so many strangers wait in a line; more are told to come again. Those who are known have lines of
//! their own, and wait for as long as their requests may take.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;

use axum::http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{ApiError, code};

/// Lines of each kind.
const LINES: usize = 64;
/// Places in a line of strangers, that of whoever has the turn included: the last of them waits for some five seconds.
const PLACES: usize = 256;

/// Who is hashing, and who waits.
#[derive(Debug)]
pub(super) struct Turns {
    key: RandomState,
    strangers: Vec<Line>,
    known: Vec<Line>,
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
    /// Of a stranger.
    _place: Option<OwnedSemaphorePermit>,
    _first: OwnedSemaphorePermit,
    _hashing: OwnedSemaphorePermit,
}

impl Turns {
    pub(super) fn new() -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        let line = || Line { places: semaphore(PLACES), first: semaphore(1) };
        let lines = || std::iter::repeat_with(line).take(LINES).collect();
        Self { key: RandomState::new(), strangers: lines(), known: lines(), hashing: semaphore(1) }
    }

    /// The turn of somebody who gives this name as theirs and comes from there.
    ///
    /// # Errors
    /// 503 when the line is full.
    pub(super) async fn of_stranger(&self, user: &str, peer: Option<IpAddr>) -> Result<Turn, ApiError> {
        let line = self.line(&self.strangers, (user, peer.map(network)))?;
        let place = Arc::clone(&line.places).try_acquire_owned().map_err(|_| busy())?;
        self.wait(line, Some(place)).await
    }

    /// The turn of somebody who is known by this name.
    ///
    /// # Errors
    /// 503 when the server is stopping.
    pub(super) async fn of_known(&self, user: &str) -> Result<Turn, ApiError> {
        self.wait(self.line(&self.known, (user, None))?, None).await
    }

    async fn wait(&self, line: &Line, place: Option<OwnedSemaphorePermit>) -> Result<Turn, ApiError> {
        let first = Arc::clone(&line.first).acquire_owned().await.map_err(|_| stopping())?;
        let hashing = Arc::clone(&self.hashing).acquire_owned().await.map_err(|_| stopping())?;
        Ok(Turn { _place: place, _first: first, _hashing: hashing })
    }

    fn line<'l>(&self, lines: &'l [Line], who: (&str, Option<u64>)) -> Result<&'l Line, ApiError> {
        lines.get((self.key.hash_one(who) % LINES as u64) as usize).ok_or_else(stopping)
    }
}

/// What one customer of a provider has: an address of version 4, a network of 2^64 of version 6.
fn network(peer: IpAddr) -> u64 {
    match peer.to_canonical() {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
    }
}

fn stopping() -> ApiError {
    ApiError::unavailable("the server is stopping")
}

fn busy() -> ApiError {
    let message = "too many passwords are being checked; try again in a moment";
    ApiError::new(code::RATE_LIMIT, StatusCode::SERVICE_UNAVAILABLE, message)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn home() -> Option<IpAddr> {
        Some(IpAddr::from([10, 0, 0, 1]))
    }

    /// An address from which `user` is in another line than from [`home`].
    fn elsewhere(turns: &Turns, user: &str) -> Option<IpAddr> {
        let line = |peer: Option<IpAddr>| {
            turns.line(&turns.strangers, (user, peer.map(network))).unwrap() as *const Line
        };
        (2..255)
            .map(|last| Some(IpAddr::from([10, 0, 0, last])))
            .find(|peer| line(*peer) != line(home()))
            .unwrap()
    }

    #[tokio::test]
    async fn a_full_line_refuses_and_keeps_nobody_else_out() {
        let turns = Turns::new();
        let held = turns.of_stranger("u", home()).await.unwrap();
        let mut waiting: Vec<_> = (1..PLACES).map(|_| Box::pin(turns.of_stranger("u", home()))).collect();
        assert!(waiting.iter_mut().all(|turn| turn.as_mut().now_or_never().is_none()));
        let refused = turns.of_stranger("u", home()).await.unwrap_err();
        assert_eq!((refused.code, refused.status.as_u16()), (8, 503));
        // All of those came before, and are in one line.
        let mut next = Box::pin(turns.of_stranger("u", elsewhere(&turns, "u")));
        assert!(next.as_mut().now_or_never().is_none());
        drop(held);
        let turn = next.now_or_never().unwrap();
        assert!(waiting.iter_mut().all(|turn| turn.as_mut().now_or_never().is_none()));
        drop(turn);
        assert!(waiting.remove(0).now_or_never().is_some());
        drop(waiting);
        assert!(turns.of_stranger("u", home()).await.is_ok(), "who went away waits no more");
    }

    #[tokio::test]
    async fn who_is_known_waits_beside_strangers_and_is_never_refused() {
        let turns = Turns::new();
        let mut held = Some(turns.of_stranger("root", home()).await.unwrap());
        let mut strangers: Vec<_> =
            (1..PLACES).map(|_| Box::pin(turns.of_stranger("root", home()))).collect();
        assert!(strangers.iter_mut().all(|turn| turn.as_mut().now_or_never().is_none()));
        let mut known: Vec<_> = (0..2 * PLACES).map(|_| Box::pin(turns.of_known("root"))).collect();
        assert!(known.iter_mut().all(|turn| turn.as_mut().now_or_never().is_none()));
        held.take();
        assert!(known.remove(0).now_or_never().unwrap().is_ok());
    }

    #[test]
    fn networks_of_version_6_are_taken_together() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }
}
