//! Room for request bodies: as many bytes as the server may hold over all requests. A body takes room as its bytes arrive,
//! so that a client that announces much and sends little keeps nobody else out; it gives all of it back when its request
//! has been answered.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::BoxError;
use axum::body::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bodies are counted in pieces of this many bytes.
const PIECE: usize = 64 << 10;
/// How long a body waits for room for its next piece.
const PATIENCE: Duration = Duration::from_secs(5);

/// The room of one server. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Room(Arc<Semaphore>);

/// What one request holds; given back when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Held {
    permit: Mutex<Option<OwnedSemaphorePermit>>,
    refused: AtomicBool,
}

/// There is no room.
#[derive(Debug, thiserror::Error)]
#[error("too many large requests at one time")]
struct NoRoom;

type Acquiring = Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>;

impl Room {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.div_ceil(PIECE).min(Semaphore::MAX_PERMITS))))
    }

    /// The body, which takes its room into `held`.
    pub(super) fn admit<B>(&self, body: B, held: &Arc<Held>) -> RoomyBody<B> {
        let (room, held) = (self.clone(), Arc::clone(held));
        RoomyBody { body, room, held, arrived: 0, pieces: 0, waiting: None }
    }

    async fn acquire(self, pieces: u32) -> Option<OwnedSemaphorePermit> {
        tokio::time::timeout(PATIENCE, self.0.acquire_many_owned(pieces)).await.ok()?.ok()
    }
}

impl Held {
    /// Whether the body was cut off because there was no room.
    pub(super) fn was_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    fn take(&self, more: OwnedSemaphorePermit) {
        let mut held = self.permit.lock();
        match held.as_mut() {
            Some(permit) => permit.merge(more),
            None => *held = Some(more),
        }
    }
}

/// A body that takes room as it arrives.
pub(super) struct RoomyBody<B> {
    body: B,
    room: Room,
    held: Arc<Held>,
    arrived: usize,
    pieces: usize,
    /// A frame that has arrived and waits for room.
    waiting: Option<(Frame<Bytes>, Acquiring)>,
}

impl<B> RoomyBody<B> {
    /// The room that is missing for what has arrived.
    fn missing(&mut self, frame: &Frame<Bytes>) -> u32 {
        self.arrived += frame.data_ref().map_or(0, Bytes::len);
        let pieces = self.arrived.div_ceil(PIECE);
        let missing = pieces - self.pieces;
        self.pieces = pieces;
        u32::try_from(missing).unwrap_or(u32::MAX)
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
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                other => return Poll::Ready(other),
            };
            let missing = self.missing(&frame);
            if missing == 0 {
                return Poll::Ready(Some(Ok(frame)));
            }
            self.waiting = Some((frame, Box::pin(self.room.clone().acquire(missing))));
        }
        let Some((_, acquiring)) = self.waiting.as_mut() else { return Poll::Ready(None) };
        let permit = ready!(acquiring.as_mut().poll(cx));
        let frame = self.waiting.take().map(|(frame, _)| frame);
        match (permit, frame) {
            (Some(permit), Some(frame)) => {
                self.held.take(permit);
                Poll::Ready(Some(Ok(frame)))
            }
            _ => {
                self.held.refused.store(true, Ordering::Relaxed);
                Poll::Ready(Some(Err(NoRoom.into())))
            }
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
    use futures_util::stream;
    use http_body_util::BodyExt;

    use super::super::body::TimedBody;
    use super::*;

    fn body(pieces: usize) -> TimedBody {
        let piece = || Ok::<_, BoxError>(Bytes::from(vec![0; PIECE]));
        let pieces: Vec<_> = (0..pieces).map(|_| piece()).collect();
        TimedBody::new(Body::from_stream(stream::iter(pieces)), Duration::from_secs(9))
    }

    #[tokio::test(start_paused = true)]
    async fn room_is_taken_as_bytes_arrive_and_given_back() {
        let room = Room::new(4 * PIECE);
        let (one, two) = (Arc::new(Held::default()), Arc::new(Held::default()));
        room.admit(body(3), &one).collect().await.unwrap();
        assert_eq!(room.0.available_permits(), 1);
        assert!(room.admit(body(2), &two).collect().await.is_err(), "nobody gives room back in time");
        assert!(two.was_refused() && !one.was_refused());
        drop((one, two));
        assert_eq!(room.0.available_permits(), 4);
    }
}
