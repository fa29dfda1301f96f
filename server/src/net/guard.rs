//! What is around every route: outermost panics caught, headers added, time taken ([`guarded`]); innermost limits on
//! bodies ([`admitted`]). Both are applied after routing, so that the route's template is known for the metrics.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use hyper::body::Body as HttpBody;

use super::body::TimedBody;
use super::headers;
use super::room::{Held, Room};
use super::unread::Unread;
use crate::config::Limits;
use crate::error::ApiError;
use crate::reply;
use crate::telemetry::Metrics;

/// What the bodies of all requests share, whatever their protocol.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    max_body: usize,
    body_pause: Duration,
    room: Room,
}

impl Admission {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            max_body: limits.max_body_bytes,
            body_pause: limits.body_idle_timeout,
            room: Room::new(limits.max_bodies_bytes, limits.max_body_bytes),
        }
    }
}

/// How a protocol tells a client that its request is refused before it was looked at.
pub(crate) type Refusal = fn(ApiError) -> Response;

/// Limits bodies of one protocol.
struct Door {
    admission: Admission,
    /// Routes whose bodies are never held in memory: their handlers say how large they may be.
    streamed: &'static [&'static str],
    refuse: Refusal,
}

/// Puts the guard around all routes of `router`, its fallback included.
pub(crate) fn guarded(router: Router, metrics: &Arc<Metrics>, refuse: Refusal) -> Router {
    router.layer(from_fn_with_state((Arc::clone(metrics), refuse), through))
}

/// Limits the bodies of requests to all routes of `router`, its fallback included. Bodies of the routes `streamed` are
/// bounded by their handlers.
pub(crate) fn admitted(
    router: Router,
    admission: &Admission,
    streamed: &'static [&'static str],
    refuse: Refusal,
) -> Router {
    let door = Door { admission: admission.clone(), streamed, refuse };
    router.layer(DefaultBodyLimit::max(admission.max_body)).layer(from_fn_with_state(Arc::new(door), admit))
}

async fn through(
    State((metrics, refuse)): State<(Arc<Metrics>, Refusal)>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().map(|p| p.as_str().to_owned());
    let _in_flight = metrics.request_begins();
    let (request, unread) = Unread::watch(request);
    let mut response = if method == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        caught(request, next, &path, refuse).await
    };
    headers::add(response.headers_mut(), &path);
    unread.tell(response.headers_mut());
    let route = route.as_deref().unwrap_or("other");
    metrics.request_ends(&method, route, response.status(), started.elapsed());
    response
}

/// The handler's answer, or 500 when it panicked.
async fn caught(request: Request, next: Next, path: &str, refuse: Refusal) -> Response {
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            // The panic hook has printed message and place already.
            tracing::error!(path, "a handler panicked");
            refuse(ApiError::internal("internal error; the server's log has the details"))
        }
    }
}

/// Lets the request through once there is room for its body.
async fn admit(State(door): State<Arc<Door>>, mut request: Request, next: Next) -> Response {
    let (admission, refuse) = (&door.admission, door.refuse);
    let pause = admission.body_pause;
    let route = request.extensions().get::<MatchedPath>();
    if route.is_some_and(|route| door.streamed.contains(&route.as_str())) {
        return next.run(request.map(|body| Body::new(TimedBody::long(body, pause)))).await;
    }
    if let Err(error) = check_size(request.body(), admission.max_body) {
        return reply::own_error(error);
    }
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let held = Arc::new(Held::default());
    request.extensions_mut().insert(Arc::clone(&held));
    let bounded = |body| Body::new(admission.room.admit(TimedBody::new(body, pause), &held));
    let response = next.run(request.map(bounded)).await;
    match held.refused() {
        Some(why) => refuse(ApiError::unavailable(why.to_string())),
        None => response,
    }
}

/// Refuses a body that says that it is larger than is allowed.
fn check_size(body: &Body, max: usize) -> Result<(), ApiError> {
    let announced = body.size_hint().lower();
    if announced <= max as u64 {
        return Ok(());
    }
    Err(ApiError::too_large(format!("the request body has {announced} bytes, more than the {max} allowed")))
}

#[cfg(test)]
mod tests {
    use axum::Extension;
    use axum::body::Bytes;
    use axum::routing::post;
    use parking_lot::Mutex;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn room_is_held_as_long_as_a_part_of_the_body_is() {
        let limits = Limits { max_body_bytes: 1 << 20, max_bodies_bytes: 1 << 20, ..Limits::default() };
        let kept = Arc::new(Mutex::new(Vec::new()));
        let keeping = Arc::clone(&kept);
        // As a call that goes on after its client was told that it took too long.
        let keep = async move |Extension(room): Extension<Arc<Held>>, body: Bytes| {
            keeping.lock().push(room.kept_with(body).slice(..2));
        };
        let admission = Admission::new(&limits);
        let router = admitted(Router::new().route("/", post(keep)), &admission, &[], reply::own_error);
        let status = async || {
            let request = Request::post("/").body(Body::from(vec![0; 1 << 20])).unwrap();
            router.clone().oneshot(request).await.unwrap().status()
        };
        assert_eq!(status().await, StatusCode::OK);
        assert_eq!(status().await, StatusCode::SERVICE_UNAVAILABLE);
        kept.lock().clear();
        assert_eq!(status().await, StatusCode::OK);
    }
}
