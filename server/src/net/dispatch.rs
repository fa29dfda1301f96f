//! Which protocol a request belongs to. gRPC shares the port with everything else and is told apart by its content
//! type, as in Milvus.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use tonic::Status;
use tower::Service;

/// What answers on a port.
#[derive(Debug, Clone)]
pub struct Routers {
    /// Everything but gRPC.
    pub http: Router,
    /// gRPC; none where there is none.
    pub grpc: Option<Router>,
}

/// The service behind every connection.
#[derive(Debug, Clone)]
pub(super) struct Dispatch {
    routers: Routers,
}

impl Dispatch {
    pub(super) fn new(routers: Routers) -> Self {
        Self { routers }
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
        match (is_grpc(&request), &mut self.routers.grpc) {
            (false, _) => Box::pin(self.routers.http.call(request)),
            (true, Some(grpc)) => Box::pin(grpc.call(request)),
            (true, None) => {
                let status = Status::unimplemented("there is no gRPC service on this port");
                Box::pin(async move { Ok(status.into_http::<Body>()) })
            }
        }
    }
}

fn is_grpc(request: &Request) -> bool {
    request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("application/grpc"))
}
