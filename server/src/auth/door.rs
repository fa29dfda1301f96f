//! The door of the main port: finds out who asks, once for every request of every route, and lets nobody else in. The
//! handlers of Milvus's API get an [`Asker`] and check the privilege themselves, because the body says what it is for;
//! all other routes are judged here (see [`super::routes`]).

use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{HOST, HeaderMap, HeaderValue, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use elanus_engine::Engine;

use super::routes::{self, DATABASE, Need};
use super::{Asker, Auth, Credentials, Target, credentials};
use crate::error::ApiError;
use crate::net::{Peer, Refusal};

/// Where Milvus's API lives.
const MILVUS_PREFIX: &str = "/v2/vectordb/";
/// Asks a browser to ask its user.
const ASK_BROWSER: HeaderValue = HeaderValue::from_static("Basic realm=\"Elanus\", charset=\"UTF-8\"");

/// Puts the door in front of all routes, their fallback included.
pub(crate) fn checked(router: Router, auth: Arc<Auth>, engine: Arc<Engine>) -> Router {
    router.layer(from_fn_with_state(Door { auth, engine }, enter))
}

/// The same for gRPC: whoever is known is let in, and each method checks the privilege itself.
pub(crate) fn known(router: Router, auth: Arc<Auth>, refuse: Refusal) -> Router {
    router.layer(from_fn_with_state((auth, refuse), recognize))
}

async fn recognize(
    State((auth, refuse)): State<(Arc<Auth>, Refusal)>,
    mut request: Request,
    next: Next,
) -> Response {
    let credentials = Credentials::of_metadata(request.headers());
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    match auth.authenticate(credentials, peer).await {
        Ok(asker) => {
            request.extensions_mut().insert(asker);
            next.run(request).await
        }
        Err(error) => refuse(error),
    }
}

#[derive(Clone)]
struct Door {
    auth: Arc<Auth>,
    /// Knows which names are aliases.
    engine: Arc<Engine>,
}

async fn enter(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let milvus = request.uri().path().starts_with(MILVUS_PREFIX);
    let credentials = Credentials::of_headers(request.headers());
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    let checked = match door.auth.authenticate(credentials, peer).await {
        Ok(asker) => allowed(&door, &asker, &request, milvus).map(|()| asker),
        Err(error) => Err(error),
    };
    match checked {
        Ok(asker) => {
            request.extensions_mut().insert(asker);
            next.run(request).await
        }
        Err(error) => {
            let ask = error.status == StatusCode::UNAUTHORIZED && !milvus;
            let mut response = error.into_response();
            if ask {
                response.headers_mut().insert(WWW_AUTHENTICATE, ASK_BROWSER);
            }
            response
        }
    }
}

fn allowed(door: &Door, asker: &Asker, request: &Request, milvus: bool) -> Result<(), ApiError> {
    let auth = &door.auth;
    if !auth.is_enabled() {
        return Ok(());
    }
    let looks = matches!(*request.method(), Method::GET | Method::HEAD);
    if !looks && is_from_another_site(request.headers(), request.uri()) {
        return Err(ApiError::forbidden("this request was sent by a page of another site"));
    }
    if milvus {
        return Ok(());
    }
    let template = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    match routes::need(request.method(), template, request.uri().path()) {
        Need::Login => Ok(()),
        Need::On(privilege, named) => {
            let name = door.engine.own_name(DATABASE, &named);
            let target = Target::Collection { db: DATABASE, name: &name };
            Ok(auth.authorize(asker, privilege, target)?)
        }
        Need::OnDatabase(privilege) => {
            Ok(auth.authorize(asker, privilege, Target::Database { db: DATABASE })?)
        }
    }
}

/// Whether a browser sent this with the credentials it keeps, but for a page of another site: such a page could
/// otherwise change things in the name of whoever has logged in here. Browsers say in `Origin` whose page it is.
fn is_from_another_site(headers: &HeaderMap, uri: &Uri) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_ascii_lowercase();
    let origin = text(origin);
    let site = origin.split_once("://").map_or("", |(_, site)| site);
    // HTTP/2 has no Host, but the whole address.
    let authority = || uri.authority().map(|authority| authority.as_str().to_ascii_lowercase());
    let host = headers.get(HOST).map(text).or_else(authority).unwrap_or_default();
    credentials::are_a_browsers(headers) && (site.is_empty() || site != host)
}

#[cfg(test)]
mod tests {
    use axum::http::header::AUTHORIZATION;

    use super::*;

    #[test]
    fn pages_of_other_sites_cannot_use_a_browsers_login() {
        let foreign = |authorization: &'static str, origin: &'static str| {
            let headers = HeaderMap::from_iter([
                (AUTHORIZATION, HeaderValue::from_static(authorization)),
                (ORIGIN, HeaderValue::from_static(origin)),
                (HOST, HeaderValue::from_static("db.example:19530")),
            ]);
            is_from_another_site(&headers, &Uri::from_static("/x"))
        };
        assert!(foreign("Basic x", "http://evil.example") && foreign("basic x", "null"));
        assert!(foreign("Basic x", "http://db.example"), "another port is another site");
        assert!(!foreign("Basic x", "http://db.example:19530"));
        assert!(!foreign("Basic x", "https://DB.example:19530"), "a proxy may speak TLS");
        assert!(!foreign("Bearer u:p", "http://evil.example"), "no browser sends this by itself");
        assert!(!is_from_another_site(&HeaderMap::new(), &Uri::from_static("/x")));
    }
}
