//! A request body that cannot be dripped: it fails when the next piece is too late, or the whole takes too long.
//! Size is limited elsewhere (the guard, and axum's extractors).

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// A whole body may take this many times the longest pause.
const WHOLE: u32 = 20;
/// The same for one that goes to the disk, however large it is.
const WHOLE_LONG: u32 = 1000;

/// The client stopped sending.
#[derive(Debug, thiserror::Error)]
#[error("the request body did not arrive in time")]
pub(super) struct BodyTimeout;

/// The body with its clock.
pub(super) struct TimedBody {
    body: Body,
    pause: Duration,
    end: Instant,
    sleep: Pin<Box<Sleep>>,
    /// Whether `sleep` runs for the piece that is awaited now.
    waiting: bool,
}

impl TimedBody {
    pub(super) fn new(body: Body, pause: Duration) -> Self {
        Self::within(body, pause, WHOLE)
    }

    /// A body that may be very large.
    pub(super) fn long(body: Body, pause: Duration) -> Self {
        Self::within(body, pause, WHOLE_LONG)
    }

    fn within(body: Body, pause: Duration, pauses: u32) -> Self {
        let end = Instant::now() + pause * pauses;
        Self { body, pause, end, sleep: Box::pin(tokio::time::sleep(pause)), waiting: false }
    }
}

impl HttpBody for TimedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.waiting = false;
            return Poll::Ready(frame.map(|f| f.map_err(Into::into)));
        }
        if !self.waiting {
            // The clock runs only while somebody wants the next piece and the client does not send it.
            let deadline = (Instant::now() + self.pause).min(self.end);
            self.sleep.as_mut().reset(deadline);
            self.waiting = true;
        }
        ready!(self.sleep.as_mut().poll(cx));
        Poll::Ready(Some(Err(BodyTimeout.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, stream};
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_is_too_long_is_an_error_and_a_short_one_is_not() {
        let pieces =
            stream::iter([Ok::<_, BoxError>(Bytes::from_static(b"a")), Ok(Bytes::from_static(b"b"))]);
        let slow = pieces.then(|piece| async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            piece
        });
        let whole = TimedBody::new(Body::from_stream(slow), Duration::from_secs(3)).collect().await.unwrap();
        assert_eq!(whole.to_bytes(), "ab");
        let never = Body::from_stream(stream::pending::<Result<Bytes, BoxError>>());
        let error = TimedBody::new(never, Duration::from_secs(3)).collect().await.unwrap_err();
        assert!(error.is::<BodyTimeout>());
    }

    #[tokio::test(start_paused = true)]
    async fn dripping_ends_too() {
        let drip = stream::repeat(()).then(|()| async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            Ok::<_, BoxError>(Bytes::from_static(b"."))
        });
        let error =
            TimedBody::new(Body::from_stream(drip), Duration::from_secs(3)).collect().await.unwrap_err();
        assert!(error.is::<BodyTimeout>());
    }
}
