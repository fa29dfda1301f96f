//! Which protocol a request belongs to. gRPC shares the port with everything else and is told apart by its content
//! type, as in Milvus; until there is a gRPC service, such requests are told so in gRPC's own way. A service for them
//! goes where [`no_grpc`] is called.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::Response;
use tower::Service;

/// gRPC's status UNIMPLEMENTED.
const GRPC_UNIMPLEMENTED: &str = "12";

/// The service behind every connection.
#[derive(Debug, Clone)]
pub(super) struct Dispatch {
    router: Router,
}

impl Dispatch {
    pub(super) fn new(router: Router) -> Self {
        Self { router }
    }
}

impl Service<Request> for Dispatch {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A router is always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if is_grpc(&request) {
            return Box::pin(async { Ok(no_grpc()) });
        }
        Box::pin(self.router.call(request))
    }
}

fn is_grpc(request: &Request) -> bool {
    request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("application/grpc"))
}

fn no_grpc() -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from_static(GRPC_UNIMPLEMENTED));
    headers.insert(
        "grpc-message",
        HeaderValue::from_static(
            "gRPC is not supported in this version of Elanus; use the REST API on this port",
        ),
    );
    response
}
