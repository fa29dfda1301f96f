//! What it takes to use the routes beside Milvus's API: coarse, from the method and the template of the route alone.
//! Whatever only looks needs Search, whatever changes something Insert, removing needs Delete or DropCollection. A route
//! that is not listed here is no exception: it is judged by its method, for all collections.

use std::borrow::Cow;

use axum::http::Method;
use percent_encoding::percent_decode_str;

use super::gate::DEFAULT_DATABASE;
use super::privilege::Privilege;

/// What a request needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Need<'a> {
    /// To be somebody.
    Login,
    /// A privilege on a collection, `*` when the route does not name it.
    On(Privilege, Cow<'a, str>),
    /// A privilege on the default database.
    OnDatabase(Privilege),
}

/// The parameter that names a collection.
const COLLECTION: &str = "{collection}";
/// Routes that show nothing of the data: the page, what the server is and embeds with, what an image's vector is, what calls there are.
const OPEN: [&str; 9] = [
    "/",
    "/favicon.ico",
    "/favicon.svg",
    "/ui/{name}",
    "/v1/status",
    "/v1/embed",
    "/v1/models",
    "/v2/openapi.json",
    "/v2/docs",
];
/// Routes that only look, though they are asked with POST.
const LOOKS: [&str; 7] = [
    "/v1/images/{collection}/search",
    // What it makes is another collection, for which it asks itself.
    "/v1/images/{collection}/reduce",
    "/api/v1/process",
    "/api/v1/count",
    "/api/v1/search",
    "/img/search",
    "/img/count",
];
/// Routes that drop a whole collection.
const DROPS: [&str; 2] = ["/api/v1/delete", "/img/drop"];

/// What a request to `path` needs, whose route is `template`.
pub(super) fn need<'a>(method: &Method, template: &str, path: &'a str) -> Need<'a> {
    let looks = matches!(*method, Method::GET | Method::HEAD) || LOOKS.contains(&template);
    if OPEN.contains(&template) {
        return Need::Login;
    }
    if template == "/v1/images" && looks {
        return Need::OnDatabase(Privilege::ShowCollections);
    }
    let privilege = if looks {
        Privilege::Search
    } else if DROPS.contains(&template) {
        Privilege::DropCollection
    } else if method == Method::DELETE {
        Privilege::Delete
    } else {
        Privilege::Insert
    };
    Need::On(privilege, collection(template, path))
}

/// The database of all these routes.
pub(super) const DATABASE: &str = DEFAULT_DATABASE;

/// The collection that a path names where its template says so.
fn collection<'a>(template: &str, path: &'a str) -> Cow<'a, str> {
    let named = template.split('/').zip(path.split('/')).find(|(part, _)| *part == COLLECTION);
    let named = named.and_then(|(_, value)| percent_decode_str(value).decode_utf8().ok());
    named.unwrap_or(Cow::Borrowed("*"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_writing_and_dropping_are_three_things() {
        use Privilege as P;
        let on = |privilege, name: &str| Need::On(privilege, Cow::Owned(name.to_owned()));
        let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
        let image = "/v1/images/{collection}/{id}";
        for (method, template, path, expected) in [
            (&get, "/", "/", Need::Login),
            (&post, "/v1/embed", "/v1/embed", Need::Login),
            (&get, "/v1/images", "/v1/images", Need::OnDatabase(P::ShowCollections)),
            (&get, "/v1/images/{collection}", "/v1/images/a", on(P::Search, "a")),
            (&post, "/v1/images/{collection}", "/v1/images/a", on(P::Insert, "a")),
            (&post, "/v1/images/{collection}/search", "/v1/images/a%5Fb/search", on(P::Search, "a_b")),
            (&post, "/v1/images/{collection}/reduce", "/v1/images/a/reduce", on(P::Search, "a")),
            (&Method::HEAD, image, "/v1/images/a/7", on(P::Search, "a")),
            (&delete, image, "/v1/images/a/7", on(P::Delete, "a")),
            (&get, "/data/{collection}/{id}", "/data/a/7", on(P::Search, "a")),
            (&get, "/data", "/data", on(P::Search, "*")),
            (&post, "/api/v1/search", "/api/v1/search", on(P::Search, "*")),
            (&post, "/api/v1/train", "/api/v1/train", on(P::Insert, "*")),
            (&post, "/img/drop", "/img/drop", on(P::DropCollection, "*")),
            (&post, "/v1/jobs", "/v1/jobs", on(P::Insert, "*")),
            (&get, "/v1/jobs/{id}", "/v1/jobs/3", on(P::Search, "*")),
            (&post, "", "/not/known", on(P::Insert, "*")),
        ] {
            assert_eq!(need(method, template, path), expected, "{method} {path}");
        }
    }
}
