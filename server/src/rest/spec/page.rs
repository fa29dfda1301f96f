//! The page for people: the same as the OpenAPI document, in one file of HTML that loads nothing and runs nothing.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

use super::errors::{ERRORS, meaning};
use super::openapi::{ABOUT, GROUPS, HEADERS, PREFIX, parsed, requests};
use super::{Key, Kind, Presence, Request};
use crate::rest::routes::Route;
use crate::version::VERSION;

/// The colours of the product's page, and the shape of this one.
const STYLE: &str = concat!(include_str!("../../ui/assets/tokens.css"), include_str!("page.css"));

/// Lets the page's own style in, and nothing else.
pub(super) fn policy() -> String {
    let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

/// The whole page. `authorization`: whether callers must say who they are.
pub(super) fn html(routes: &'static [Route], authorization: bool) -> String {
    let groups: Vec<(&str, &str, Vec<&Route>)> = GROUPS
        .iter()
        .map(|&(name, about)| (name, about, routes.iter().filter(|route| route.group() == name).collect()))
        .collect();
    let contents: String = groups.iter().map(|(name, _, routes)| contents_of(name, routes)).collect();
    let sections: String = groups
        .iter()
        .map(|(name, about, routes)| {
            let calls: String = routes.iter().map(|route| call(route, authorization)).collect();
            format!("<section><h2 id=\"{name}\">{name}</h2><p>{}</p>{calls}</section>", prose(about))
        })
        .collect();
    let objects: String = requests(routes)
        .into_values()
        .filter(|request| request.example.is_empty())
        .map(|request| {
            let about = prose(request.about);
            format!(
                "<section class=\"call\"><h3 id=\"{0}\">{0}</h3><p>{about}</p>{1}</section>",
                request.name,
                keys(request)
            )
        })
        .collect();
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Elanus: the API</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" \
         content=\"light dark\"><link rel=\"icon\" type=\"image/svg+xml\" href=\"/favicon.svg\">\
         <style>{STYLE}</style></head><body><a class=\"skip\" href=\"#main\">Skip to the calls</a>\
         <header><p><a href=\"/\">elanus</a> {version}</p><h1>The API</h1></header>\
         <nav aria-label=\"Contents\">{contents}<ul><li><a href=\"#objects\">Objects within requests</a></li>\
         <li><a href=\"#errors\">Error codes</a></li></ul></nav>\
         <main id=\"main\">{head}{sections}<section><h2 id=\"objects\">Objects within requests</h2>{objects}</section>\
         <section><h2 id=\"errors\">Error codes</h2>{errors}</section></main></body></html>\n",
        version = escape(VERSION),
        head = head(authorization),
        errors = codes(ERRORS.iter().map(|(code, _)| *code)),
    )
}

fn contents_of(name: &str, routes: &[&Route]) -> String {
    let links: String = routes
        .iter()
        .map(|route| {
            let rest = route.path.split_once('/').map_or(route.path, |(_, rest)| rest);
            format!("<li><a href=\"#{}\">{}</a></li>", route.id(), escape(rest))
        })
        .collect();
    format!("<details><summary><a href=\"#{name}\">{name}</a></summary><ul>{links}</ul></details>")
}

fn head(authorization: bool) -> String {
    let who = match authorization {
        true => {
            "Authorization is on: every call needs <code>Authorization: Bearer user:password</code>, or Basic."
        }
        false => {
            "Authorization is off: everybody may do everything, and <code>Authorization</code> is ignored."
        }
    };
    let headers: String = HEADERS
        .iter()
        .map(|(name, about, _)| format!("<dt><code>{name}</code></dt><dd>{}</dd>", prose(about)))
        .collect();
    format!(
        "<p>{}</p><p>{who}</p><p>For programs: <a href=\"/v2/openapi.json\">/v2/openapi.json</a> (OpenAPI 3.1).</p>\
         <h2>Headers</h2><dl>{headers}</dl>",
        prose(ABOUT)
    )
}

fn call(route: &Route, authorization: bool) -> String {
    let spec = route.spec;
    let own_codes = match spec.codes.is_empty() {
        true => String::new(),
        false => format!("<h4>Errors of its own</h4>{}", codes(spec.codes.iter().copied())),
    };
    let privilege = match authorization {
        true => format!("<p class=\"quiet\">Needs {}.</p>", escape(&route.need.to_string())),
        false => String::new(),
    };
    let answer = serde_json::to_string_pretty(&parsed(spec.answer)).unwrap_or_default();
    format!(
        "<section class=\"call\"><h3 id=\"{id}\"><span class=\"verb\">POST</span> {path}</h3><p>{about}</p>{privilege}\
         {keys}<h4>Example</h4><pre tabindex=\"0\"><code>{curl}</code></pre><h4>Answer</h4><p>{data}</p>\
         <pre tabindex=\"0\"><code>{answer}</code></pre>{own_codes}</section>",
        id = route.id(),
        path = escape(&format!("{PREFIX}{}", route.path)),
        about = prose(spec.about),
        keys = keys(spec.request),
        curl = escape(&curl(route, authorization)),
        data = prose(spec.data),
        answer = escape(&answer),
    )
}

fn curl(route: &Route, authorization: bool) -> String {
    let user = if authorization { " -u user:password" } else { "" };
    let body = route.spec.request.example;
    format!("curl -s{user} http://localhost:19530{PREFIX}{} -d '{body}'", route.path)
}

/// The table of an object's keys.
fn keys(request: &Request) -> String {
    let rows: String = request.keys().filter(|key| !matches!(key.kind, Kind::Unsupported)).map(row).collect();
    let unsupported: Vec<String> = request
        .keys()
        .filter(|key| matches!(key.kind, Kind::Unsupported))
        .map(|key| format!("<code>{}</code>", escape(key.name)))
        .collect();
    let table = match rows.is_empty() {
        true => "<p class=\"quiet\">It takes no keys.</p>".to_owned(),
        false => format!(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Keys\"><table><thead><tr><th scope=\"col\">Key</th>\
             <th scope=\"col\">Type</th><th scope=\"col\">What it says</th></tr></thead><tbody>{rows}</tbody></table></div>"
        ),
    };
    match unsupported.is_empty() {
        true => table,
        false => format!("{table}<p class=\"quiet\">Not supported: {}.</p>", unsupported.join(", ")),
    }
}

fn row(key: &'static Key) -> String {
    let presence = match key.presence {
        Presence::Required => " <strong>required</strong>",
        Presence::Depends | Presence::Optional => "",
    };
    let words = match key.kind {
        Kind::Word(words) => format!(" One of {}.", words.join(", ")),
        _ => String::new(),
    };
    format!(
        "<tr><th scope=\"row\"><code>{}</code>{presence}</th><td>{}</td><td>{}{}</td></tr>",
        escape(key.name),
        kind(&key.kind),
        prose(key.about),
        escape(&words),
    )
}

fn kind(kind_of: &'static Kind) -> String {
    match kind_of {
        Kind::Text | Kind::Word(_) => "text".to_owned(),
        Kind::Integer => "integer".to_owned(),
        Kind::Number => "number".to_owned(),
        Kind::Boolean => "boolean".to_owned(),
        Kind::Object(request) => format!("<a href=\"#{0}\">{0}</a>", escape(request.name)),
        Kind::Map => "object".to_owned(),
        Kind::Array(item) => format!("array of {}", kind(item)),
        Kind::OneOf(kinds) => kinds.iter().map(kind).collect::<Vec<_>>().join(" or "),
        Kind::Any | Kind::Unsupported => "any".to_owned(),
    }
}

fn codes(codes: impl Iterator<Item = i32>) -> String {
    let items = codes.map(|code| format!("<dt><code>{code}</code></dt><dd>{}</dd>", prose(meaning(code))));
    format!("<dl>{}</dl>", items.collect::<String>())
}

/// A sentence of the table: what is between backticks is code.
fn prose(text: &str) -> String {
    let parts = text.split('`').enumerate().map(|(i, part)| match i % 2 {
        0 => escape(part),
        _ => Cow::Owned(format!("<code>{}</code>", escape(part))),
    });
    parts.collect()
}

/// Text as HTML, also within an attribute.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Cow::Owned(escaped.replace('"', "&quot;").replace('\'', "&#39;"))
}
