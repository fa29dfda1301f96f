//! Room for request bodies: as many bytes as the server may hold over all requests. A body takes room as its bytes arrive,
//! so that a client that announces much and sends little keeps nobody else out. All of it is given back when nobody holds
//! the body any more: when its request was answered, and the work on it has ended.
//!
//! ```text
//!   up to 64 KiB ─► small     a share that large bodies never touch; taken whole, with the first bytes
//!   larger ───────► shared    taken piece by piece
//!                 └ passes    for when that is full: whoever has a pass takes what it still needs
//! ```
//!
//! Bodies that each hold a part and wait for more could wait for each other for ever. The passes are what keeps that from
//! happening: they are given in turn, and room for the rest of a body of any size is set aside behind each. So there is
//! always one that comes to its end and gives back what it held.
//!
//! While others wait, a body has to move: one that would take more than a minute loses its room.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::BoxError;
use axum::body::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

/// Room is counted in units of this many bytes.
const UNIT: usize = 1 << 10;
/// Largest body that takes from the share of small ones.
const SMALL: usize = 64 << 10;
/// Parts of the room that small bodies have for themselves, and that are behind passes: one in so many.
const SMALL_PART: usize = 8;
const PASSES_PART: usize = 4;
/// How long a body waits for room.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked at whether a body moves.
const WINDOW: Duration = Duration::from_secs(5);
/// In how many windows a body has to arrive while others wait.
const WINDOWS: usize = 12;

/// The room of one server. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Room {
    small: Arc<Small>,
    large: Arc<Large>,
}

#[derive(Debug)]
struct Small {
    units: Arc<Semaphore>,
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct Large {
    shared: Arc<Semaphore>,
    passes: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// What one request holds; given back when this is dropped. Handlers get it as an extension of the request, because their
/// work on the body may go on when nobody waits for it any more: see [`Held::kept_with`].
#[derive(Debug, Default)]
pub(crate) struct Held {
    permits: Mutex<Permits>,
    refused: Mutex<Option<Refused>>,
}

#[derive(Debug, Default)]
struct Permits {
    /// Of the share of small bodies, or a pass.
    one: Option<OwnedSemaphorePermit>,
    /// Of the shared room.
    shared: Option<OwnedSemaphorePermit>,
}

/// Why a body was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// Others gave nothing back in time.
    #[error("too many large requests at one time; try again in a moment")]
    NoRoom,
    /// It kept others waiting.
    #[error("the request body came too slowly while other requests waited for room; try again in a moment")]
    TooSlow,
}

enum Granted {
    Small(OwnedSemaphorePermit),
    Shared(OwnedSemaphorePermit),
    Pass(OwnedSemaphorePermit),
}

type Acquiring = Pin<Box<dyn Future<Output = Option<Granted>> + Send>>;

/// Counts somebody who waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn semaphore(units: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS)))
}

/// The units of so many bytes, as a semaphore counts them.
fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT)
}

fn permits(units: usize) -> u32 {
    u32::try_from(units).unwrap_or(u32::MAX)
}

impl Room {
    /// Room for `bytes`, and at any rate for one body of the largest size and some small ones.
    pub(super) fn new(bytes: usize, largest: usize) -> Self {
        let largest = largest.max(SMALL);
        let small = (bytes / SMALL_PART).max(SMALL);
        let passes = (bytes / PASSES_PART / largest).max(1);
        let shared = bytes.saturating_sub(small).saturating_sub(passes.saturating_mul(largest));
        Self {
            small: Arc::new(Small { units: semaphore(units(small)), waiting: AtomicUsize::new(0) }),
            large: Arc::new(Large {
                shared: semaphore(units(shared)),
                passes: semaphore(passes),
                waiting: AtomicUsize::new(0),
            }),
        }
    }

    /// The body, which takes its room into `held`.
    pub(super) fn admit<B: HttpBody>(&self, body: B, held: &Arc<Held>) -> RoomyBody<B> {
        let announced = body.size_hint().exact().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        RoomyBody {
            announced,
            body,
            room: self.clone(),
            held: Arc::clone(held),
            arrived: 0,
            has: Has::Nothing,
            pace: None,
            waiting: None,
        }
    }

    /// Room for a small body.
    async fn acquire_small(self, bytes: usize) -> Option<Granted> {
        let _waiting = Waiting::begin(&self.small.waiting);
        let acquired = Arc::clone(&self.small.units).acquire_many_owned(permits(units(bytes)));
        tokio::time::timeout(PATIENCE, acquired).await.ok()?.ok().map(Granted::Small)
    }

    /// Room for the next piece of a large body, or a pass for all the rest of it.
    async fn acquire_large(self, more: usize) -> Option<Granted> {
        let _waiting = Waiting::begin(&self.large.waiting);
        let acquired = async {
            tokio::select! {
                biased;
                piece = Arc::clone(&self.large.shared).acquire_many_owned(permits(more)) => {
                    piece.ok().map(Granted::Shared)
                }
                pass = Arc::clone(&self.large.passes).acquire_owned() => pass.ok().map(Granted::Pass),
            }
        };
        tokio::time::timeout(PATIENCE, acquired).await.ok()?
    }
}

impl Held {
    /// Why the body was cut off, if it was.
    pub(super) fn refused(&self) -> Option<Refused> {
        *self.refused.lock()
    }

    /// The same bytes, which hold the room as long as they, or parts of them, are there.
    pub(crate) fn kept_with(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Kept { bytes, _room: Arc::clone(self) })
    }

    fn take(&self, granted: Granted) -> Has {
        let mut permits = self.permits.lock();
        match granted {
            Granted::Small(permit) => {
                permits.one = Some(permit);
                Has::Small
            }
            Granted::Pass(permit) => {
                permits.one = Some(permit);
                Has::Pass
            }
            Granted::Shared(more) => {
                let units = more.num_permits();
                match permits.shared.as_mut() {
                    Some(permit) => permit.merge(more),
                    None => permits.shared = Some(more),
                }
                Has::Units(units)
            }
        }
    }

    fn give_back(&self) {
        *self.permits.lock() = Permits::default();
    }

    fn refuse(&self, why: Refused) -> BoxError {
        *self.refused.lock() = Some(why);
        self.give_back();
        why.into()
    }
}

/// Bytes with the room that they take.
struct Kept {
    bytes: Bytes,
    _room: Arc<Held>,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// What a body has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Has {
    Nothing,
    /// All of a small body.
    Small,
    /// So much of a large one.
    Units(usize),
    /// All of a large one.
    Pass,
}

/// Whether a body moves.
struct Pace {
    window: Pin<Box<Sleep>>,
    /// Bytes that came in this window.
    moved: usize,
    /// Bytes that have to come in a window while others wait.
    least: usize,
}

impl Pace {
    fn begin() -> Self {
        Self { window: Box::pin(tokio::time::sleep(WINDOW)), moved: 0, least: 0 }
    }

    /// Begins a window of a body of this size.
    fn restart(&mut self, size: usize) {
        self.moved = 0;
        self.least = size.div_ceil(WINDOWS);
        self.window.as_mut().reset(Instant::now() + WINDOW);
    }

    /// Ready when the body has been too slow for those who wait.
    fn poll_too_slow(&mut self, cx: &mut Context<'_>, size: usize, is_wanted: impl Fn() -> bool) -> Poll<()> {
        loop {
            ready!(self.window.as_mut().poll(cx));
            if self.moved < self.least && is_wanted() {
                return Poll::Ready(());
            }
            self.restart(size);
        }
    }
}

/// A body that takes room as it arrives.
pub(super) struct RoomyBody<B> {
    body: B,
    /// Bytes that the client says it sends; none when it does not say.
    announced: Option<usize>,
    room: Room,
    held: Arc<Held>,
    arrived: usize,
    has: Has,
    /// From the moment on when it holds room.
    pace: Option<Pace>,
    /// A frame that has arrived and waits for room.
    waiting: Option<(Frame<Bytes>, Acquiring)>,
}

impl<B> RoomyBody<B> {
    fn is_small(&self) -> bool {
        self.arrived <= SMALL && self.announced.is_none_or(|bytes| bytes <= SMALL)
    }

    /// Counts a frame; begins to wait if there is no room for it yet.
    fn acquire(&mut self, frame: &Frame<Bytes>) -> Option<Acquiring> {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        self.arrived += bytes;
        if let Some(pace) = &mut self.pace {
            pace.moved += bytes;
        }
        let (room, small) = (self.room.clone(), self.is_small());
        match self.has {
            _ if bytes == 0 => None,
            Has::Small if small => None,
            Has::Pass => None,
            Has::Nothing if small => Some(Box::pin(room.acquire_small(self.announced.unwrap_or(SMALL)))),
            Has::Nothing => Some(Box::pin(room.acquire_large(units(self.arrived)))),
            Has::Small => {
                // Larger than a client without a length had been taken for: it may not wait in the way of small ones.
                self.held.give_back();
                Some(Box::pin(room.acquire_large(units(self.arrived))))
            }
            Has::Units(has) => {
                let more = units(self.arrived).saturating_sub(has);
                (more > 0).then(|| Box::pin(room.acquire_large(more)) as Acquiring)
            }
        }
    }

    fn grant(&mut self, granted: Granted) {
        self.has = match (self.has, self.held.take(granted)) {
            (Has::Units(before), Has::Units(more)) => Has::Units(before + more),
            (_, has) => has,
        };
        // The time that it had to wait itself does not count.
        let size = self.size();
        self.pace.get_or_insert_with(Pace::begin).restart(size);
    }

    /// Its bytes; of a client that does not say how many there are, it is assumed that as many as there are now follow.
    fn size(&self) -> usize {
        self.announced.unwrap_or(2 * self.arrived)
    }

    /// Whether others wait for room of the kind that it has.
    fn is_wanted(&self) -> bool {
        let waiting = match self.has {
            Has::Nothing => return false,
            Has::Small => &self.room.small.waiting,
            Has::Units(_) | Has::Pass => &self.room.large.waiting,
        };
        waiting.load(Ordering::Relaxed) > 0
    }

    /// Ready when it keeps others waiting.
    fn poll_too_slow(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(mut pace) = self.pace.take() else { return Poll::Pending };
        let slow = pace.poll_too_slow(cx, self.size(), || self.is_wanted());
        self.pace = Some(pace);
        slow
    }
}

impl<B> HttpBody for RoomyBody<B>
where
    B: HttpBody<Data = Bytes, Error = BoxError> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.waiting.is_none() {
            let frame = match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(other) => return Poll::Ready(other),
                Poll::Pending => {
                    ready!(self.poll_too_slow(cx));
                    return Poll::Ready(Some(Err(self.held.refuse(Refused::TooSlow))));
                }
            };
            match self.acquire(&frame) {
                None => return Poll::Ready(Some(Ok(frame))),
                Some(acquiring) => self.waiting = Some((frame, acquiring)),
            }
        }
        let Some((_, acquiring)) = self.waiting.as_mut() else { return Poll::Ready(None) };
        let granted = ready!(acquiring.as_mut().poll(cx));
        let frame = self.waiting.take().map(|(frame, _)| frame);
        match (granted, frame) {
            (Some(granted), Some(frame)) => {
                self.grant(granted);
                Poll::Ready(Some(Ok(frame)))
            }
            _ => Poll::Ready(Some(Err(self.held.refuse(Refused::NoRoom)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // What waits here is still to come.
        if self.waiting.is_some() { SizeHint::default() } else { self.body.size_hint() }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use futures_util::{StreamExt, stream};
    use http_body_util::BodyExt;

    use super::super::body::TimedBody;
    use super::*;

    const PIECE: usize = 64 << 10;
    /// Of the largest body of these tests.
    const LARGEST: usize = 16 * PIECE;

    /// Says how long it is, as a request with `Content-Length` does.
    struct Announced(TimedBody, usize);

    impl HttpBody for Announced {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            Pin::new(&mut self.0).poll_frame(cx)
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.1 as u64)
        }
    }

    /// A body of so many bytes; `sent` of them come at once, the others never.
    fn stalled(bytes: usize, sent: usize) -> Announced {
        let pieces = (0..sent).step_by(PIECE).map(|at| vec![0; PIECE.min(sent - at)]);
        let pieces: Vec<_> = pieces.map(|piece| Ok::<_, BoxError>(Bytes::from(piece))).collect();
        let sent_all = stream::iter(pieces);
        let body = if sent < bytes {
            Body::from_stream(sent_all.chain(stream::pending()))
        } else {
            Body::from_stream(sent_all)
        };
        Announced(TimedBody::new(body, Duration::from_secs(3600)), bytes)
    }

    fn whole(bytes: usize) -> Announced {
        stalled(bytes, bytes)
    }

    /// Reads a body as a handler does, and gives its room back.
    async fn read(room: Room, body: Announced) -> Result<usize, Option<Refused>> {
        let held = Arc::new(Held::default());
        let read = room.admit(body, &held).collect().await;
        read.map(|body| body.to_bytes().len()).map_err(|_| held.refused())
    }

    fn free(room: &Room) -> (usize, usize, usize) {
        let large = &room.large;
        let small = room.small.units.available_permits();
        (small, large.shared.available_permits(), large.passes.available_permits())
    }

    #[tokio::test(start_paused = true)]
    async fn room_is_taken_as_bytes_arrive_and_given_back() {
        let room = Room::new(64 * PIECE, LARGEST);
        let before = free(&room);
        assert_eq!(before, (8 * 64, 40 * 64, 1));
        let (small, large) = (Arc::new(Held::default()), Arc::new(Held::default()));
        room.admit(whole(700), &small).collect().await.unwrap();
        room.admit(whole(3 * PIECE), &large).collect().await.unwrap();
        assert_eq!(free(&room), (8 * 64 - 1, 37 * 64, 1));
        drop((small, large));
        assert_eq!(free(&room), before);
    }

    #[tokio::test(start_paused = true)]
    async fn many_large_bodies_in_little_room_all_arrive() {
        // Half of them fill it with their beginnings.
        let room = Room::new(24 * PIECE, LARGEST);
        let readers: Vec<_> =
            (0..40).map(|_| tokio::spawn(read(room.clone(), whole(LARGEST - 100)))).collect();
        for reader in readers {
            assert_eq!(reader.await.unwrap(), Ok(LARGEST - 100));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_without_a_length_is_small_until_it_is_not() {
        let room = Room::new(64 * PIECE, LARGEST);
        let before = free(&room);
        let unannounced = |bytes: usize| {
            let pieces = (0..bytes / 1000).map(|_| Ok::<_, BoxError>(Bytes::from(vec![0; 1000])));
            let body = Body::from_stream(stream::iter(pieces.collect::<Vec<_>>()));
            TimedBody::new(body, Duration::from_secs(9))
        };
        let (small, large) = (Arc::new(Held::default()), Arc::new(Held::default()));
        room.admit(unannounced(60_000), &small).collect().await.unwrap();
        assert_eq!(free(&room), (before.0 - 64, before.1, before.2));
        room.admit(unannounced(100_000), &large).collect().await.unwrap();
        assert_eq!(free(&room), (before.0 - 64, before.1 - 98, before.2));
    }

    #[tokio::test(start_paused = true)]
    async fn stalled_bodies_keep_out_neither_small_ones_nor_for_long_large_ones() {
        let room = Room::new(24 * PIECE, LARGEST);
        let stall = || stalled(LARGEST, LARGEST - 100);
        let stallers: Vec<_> = (0..8).map(|_| tokio::spawn(read(room.clone(), stall()))).collect();
        tokio::task::yield_now().await;
        for _ in 0..100 {
            assert_eq!(read(room.clone(), whole(SMALL)).await, Ok(SMALL));
        }
        assert_eq!(read(room.clone(), whole(LARGEST)).await, Ok(LARGEST));
        for staller in stallers {
            assert!(staller.await.unwrap().is_err());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_that_nobody_waits_for_takes_its_time() {
        let room = Room::new(24 * PIECE, LARGEST);
        let slow = tokio::spawn(read(room.clone(), stalled(LARGEST, LARGEST - 100)));
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(read(room, whole(PIECE)).await, Ok(PIECE));
        assert!(!slow.is_finished());
    }

    #[tokio::test(start_paused = true)]
    async fn stalled_small_bodies_make_way_too() {
        let room = Room::new(16 * PIECE, LARGEST);
        let stallers: Vec<_> =
            (0..2).map(|_| tokio::spawn(read(room.clone(), stalled(SMALL, SMALL - 1)))).collect();
        tokio::task::yield_now().await;
        assert_eq!(free(&room).0, 0);
        assert_eq!(read(room.clone(), whole(2)).await, Ok(2));
        for staller in stallers {
            assert!(staller.await.unwrap().is_err());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_work_that_does_not_end_ends() {
        let room = Room::new(LARGEST, LARGEST);
        let worked_on = Arc::new(Held::default());
        room.admit(whole(LARGEST), &worked_on).collect().await.unwrap();
        assert_eq!(read(room.clone(), whole(LARGEST)).await, Err(Some(Refused::NoRoom)));
        drop(worked_on);
        assert_eq!(read(room, whole(LARGEST)).await, Ok(LARGEST));
    }
}
