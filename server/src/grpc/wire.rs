//! From HTTP/2 to a message and back: frames and sizes are tonic's, the deadline and the end of a request whose client has
//! gone are looked after here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::{Buf, BufMut, Bytes};
use elanus_engine::exec::Cancel;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Status};

use super::call::Call;
use super::rpc::{self, Place, Rpc};
use crate::app::{App, blocking, blocking_write, holding, searching};
use crate::auth::Asker;
use crate::error::ApiError;
use crate::net::Held;
use crate::service::{CancelOnDrop, Context};
use crate::telemetry::{Counted, Protocol};

/// Where the service lives.
const SERVICE: &str = "/milvus.proto.milvus.MilvusService/";
/// The header with the time that the client gives a request.
const TIMEOUT: &str = "grpc-timeout";
/// The header with the database of a client's connection.
const DATABASE: &str = "dbname";
/// Characters of a refusal at most.
const LONGEST_REFUSAL: usize = 1024;
/// The status of a message that is too large, as tonic gives it.
const OUT_OF_RANGE: &str = "11";
/// Bytes of a message that may be decoded on a thread that serves connections.
const SMALL: usize = 16 << 10;
/// Bytes of a message beyond those of a body over REST: names and lengths.
const SLACK: usize = 1 << 20;

/// The service.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route(&format!("{SERVICE}{{method}}"), axum::routing::post(unary))
        .fallback(async || response(&Status::unimplemented("this server has Milvus's gRPC service only")))
}

/// What a client is told when its request is refused before it was looked at.
pub(crate) fn refusal(error: &ApiError) -> Response {
    response(&status_of(error))
}

/// The gRPC status of what cannot be told inside of a message.
fn status_of(error: &ApiError) -> Status {
    let code = match error.status {
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::PAYLOAD_TOO_LARGE => Code::ResourceExhausted,
        StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        StatusCode::BAD_REQUEST => Code::InvalidArgument,
        StatusCode::REQUEST_TIMEOUT => Code::DeadlineExceeded,
        _ => Code::Unknown,
    };
    // It travels in a header, which may only be so long.
    let shown = error.message.char_indices().nth(LONGEST_REFUSAL).map_or(error.message.len(), |(end, _)| end);
    Status::new(code, error.message.get(..shown).unwrap_or_default())
}

fn response(status: &Status) -> Response {
    status.clone().into_http::<Body>()
}

async fn unary(State(app): State<Arc<App>>, Path(method): Path<String>, request: Request) -> Response {
    let Some(rpc) = rpc::find(&method) else {
        return response(&Status::unimplemented(format!(
            "{method} is not supported in this version of Elanus"
        )));
    };
    let Some(asker) = request.extensions().get::<Asker>().cloned() else {
        return response(&Status::internal("nobody has looked who asks"));
    };
    let largest = app.config.limits.max_body_bytes.saturating_add(SLACK);
    let service = tower::service_fn(move |request| run(Arc::clone(&app), asker.clone(), rpc, request));
    let mut grpc = tonic::server::Grpc::new(Plain).max_decoding_message_size(largest);
    let answer = grpc.unary(service, request).await.map(Body::new);
    // Clients try again what is out of range, and not what is too much.
    match answer.headers().get("grpc-status").is_some_and(|status| status == OUT_OF_RANGE) {
        true => response(&Status::resource_exhausted(format!("a message may have {largest} bytes at most"))),
        false => answer,
    }
}

async fn run(
    app: Arc<App>,
    asker: Asker,
    rpc: &'static Rpc,
    mut request: tonic::Request<Bytes>,
) -> Result<tonic::Response<Bytes>, Status> {
    let started = Instant::now();
    let room = request.extensions_mut().remove::<Arc<Held>>();
    let headers = std::mem::take(request.metadata_mut()).into_headers();
    let limit = timeout(&headers).map_err(|error| status_of(&error))?;
    let body = request.into_inner();
    let body = match room {
        Some(room) => room.kept_with(body),
        None => body,
    };
    let received = body.len();
    let (metrics, engine) = (Arc::clone(&app.metrics), Arc::clone(&app.engine));
    let cancel = Cancel::default();
    let _waited_for = CancelOnDrop(cancel.clone());
    let answered = async {
        let turn = match rpc.place {
            Place::Hashing => Some(app.auth.turn(&asker).await?),
            _ => None,
        };
        let here = runs_here(&app, rpc, &headers, &body);
        let call = move || {
            let context = Context { app: &app, asker: &asker, cancel };
            (rpc.run)(&Call::new(context, database(&headers)), body)
        };
        match (&rpc.place, turn) {
            (_, Some(turn)) => holding(turn, call).await,
            _ if here => call(),
            (Place::Searching(_), _) => searching(&engine, call).await,
            (Place::Writing, _) => blocking_write(call).await,
            _ => blocking(call).await,
        }
    };
    let answered = match limit {
        Some(limit) => tokio::time::timeout(limit, answered).await.map_err(|_| too_late())?,
        None => answered.await,
    };
    let answer = answered.map_err(|error| status_of(&error));
    let sent = answer.as_ref().map_or(0, |answer| answer.bytes.len());
    let succeeded = answer.as_ref().is_ok_and(|answer| answer.succeeded);
    let (protocol, took) = (Protocol::Grpc, started.elapsed());
    metrics.called(Counted { protocol, path: rpc.path, succeeded, took, received, sent });
    answer.map(|answer| tonic::Response::new(answer.bytes))
}

/// Whether a request is answered on the thread that received it.
fn runs_here(app: &App, rpc: &Rpc, headers: &HeaderMap, body: &Bytes) -> bool {
    // A collection that is still being opened is waited for.
    if body.len() > SMALL || app.engine.is_opening() {
        return false;
    }
    match rpc.place {
        Place::Here => true,
        Place::Searching(is_small) => is_small(app, &database(headers), body),
        _ => false,
    }
}

fn too_late() -> Status {
    Status::deadline_exceeded("the time that the client gave is over")
}

/// The database that the connection is for; none: the default one.
fn database(headers: &HeaderMap) -> String {
    headers
        .get(DATABASE)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .unwrap_or_default()
}

/// The time that the client gives: up to eight digits and a unit.
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, ApiError> {
    let Some(value) = headers.get(TIMEOUT) else { return Ok(None) };
    let parsed = value.to_str().ok().and_then(|text| {
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let count: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
        match unit {
            "H" => Some(Duration::from_secs(count * 3600)),
            "M" => Some(Duration::from_secs(count * 60)),
            "S" => Some(Duration::from_secs(count)),
            "m" => Some(Duration::from_millis(count)),
            "u" => Some(Duration::from_micros(count)),
            "n" => Some(Duration::from_nanos(count)),
            _ => None,
        }
    });
    parsed.map(Some).ok_or_else(|| ApiError::invalid("the header grpc-timeout cannot be read"))
}

/// Messages as they are on the wire.
#[derive(Debug, Clone, Copy)]
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_timeout_is_up_to_eight_digits_and_a_unit() {
        let read = |text: &'static str| {
            timeout(&HeaderMap::from_iter([(TIMEOUT.parse().unwrap(), HeaderValue::from_static(text))]))
        };
        assert_eq!(timeout(&HeaderMap::new()).unwrap(), None);
        assert_eq!(read("7S").unwrap(), Some(Duration::from_secs(7)));
        assert_eq!(read("99999999H").unwrap(), Some(Duration::from_secs(99_999_999 * 3600)));
        assert_eq!(read("20u").unwrap(), Some(Duration::from_micros(20)));
        for wrong in ["", "S", "7", "7x", "-1S", "123456789S", "ü"] {
            assert_eq!(read_text(wrong).unwrap_err().code, 1100, "{wrong}");
        }
    }

    fn read_text(text: &str) -> Result<Option<Duration>, ApiError> {
        timeout(&HeaderMap::from_iter([(TIMEOUT.parse().unwrap(), HeaderValue::from_str(text).unwrap())]))
    }
}
