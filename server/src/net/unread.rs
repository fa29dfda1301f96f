//! Requests that are answered before their body was read. On HTTP/1.1 such a connection cannot go on: what is still on its
//! way would be taken for the next request. The client is told so, and does not send another one into it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{CONNECTION, HeaderValue};
use axum::http::{HeaderMap, Version};
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// Whether the body of a request was read to its end.
#[derive(Debug, Clone)]
pub(super) struct Unread(Arc<AtomicBool>);

/// A body that notes its end.
struct Noting {
    body: Body,
    unread: Unread,
}

impl Unread {
    /// Watches the body of a request.
    pub(super) fn watch(request: Request) -> (Request, Self) {
        let unread = Self(Arc::new(AtomicBool::new(!request.body().is_end_stream())));
        if !unread.is_left() || request.version() >= Version::HTTP_2 {
            unread.read();
            return (request, unread);
        }
        let note = unread.clone();
        (request.map(|body| Body::new(Noting { body, unread: note })), unread)
    }

    /// Says that the connection ends, if it has to.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        if self.is_left() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }

    fn read(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    fn is_left(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl HttpBody for Noting {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.unread.read();
        }
        Poll::Ready(frame)
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
    use http_body_util::BodyExt;

    use super::*;

    fn told(unread: &Unread) -> bool {
        let mut headers = HeaderMap::new();
        unread.tell(&mut headers);
        headers.contains_key(CONNECTION)
    }

    #[tokio::test]
    async fn a_connection_ends_when_a_body_is_left_in_it() {
        let (request, unread) = Unread::watch(Request::new(Body::from("abc")));
        assert!(told(&unread));
        request.into_body().collect().await.unwrap();
        assert!(!told(&unread));
        let (_, unread) = Unread::watch(Request::new(Body::empty()));
        assert!(!told(&unread));
    }
}
