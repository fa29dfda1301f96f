//! The table keeps what it promises: examples are what the requests say, and both documents are whole.

use std::collections::BTreeSet;

use serde_json::Value;

use super::errors::{ERRORS, meaning};
use super::openapi::{GROUPS, document, requests};
use super::page::{escape, html, policy};
use super::{Kind, Presence, Request};
use crate::error::code;
use crate::rest::routes::ROUTES;

/// Whether a value is of a kind, all the way down.
fn check(kind: &Kind, value: &Value, place: &str) {
    let fits = match kind {
        Kind::Text => value.is_string(),
        Kind::Word(words) => value.as_str().is_some_and(|word| words.contains(&word)),
        Kind::Integer => value.is_i64(),
        Kind::Number => value.is_number(),
        Kind::Boolean => value.is_boolean(),
        Kind::Map => value.is_object(),
        Kind::Object(request) => {
            check_object(request, value, place);
            true
        }
        Kind::Array(item) => {
            let items = value.as_array().unwrap_or_else(|| panic!("{place} is no array"));
            items.iter().for_each(|value| check(item, value, place));
            true
        }
        Kind::OneOf(_) | Kind::Any => true,
        Kind::Unsupported => false,
    };
    assert!(fits, "{place}: {value} is no {kind:?}");
}

fn check_object(request: &Request, value: &Value, place: &str) {
    let members = value.as_object().unwrap_or_else(|| panic!("{place} is no object"));
    for (name, value) in members {
        match request.keys().find(|key| key.name == name) {
            Some(key) => check(&key.kind, value, &format!("{place}.{name}")),
            None => assert!(request.open, "{place} has no key {name}"),
        }
    }
    for key in request.keys().filter(|key| key.presence == Presence::Required) {
        assert!(members.contains_key(key.name), "{place} lacks {}", key.name);
    }
}

#[test]
fn requests_are_named_once_and_their_examples_are_right() {
    for (name, request) in requests(ROUTES) {
        assert!(!name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric()), "{name}");
        let names: Vec<String> = request.keys().map(|key| key.name.to_ascii_lowercase()).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{name} has a key twice");
        assert!(request.keys().all(|key| key.about.ends_with(['.', ':'])), "{name}");
    }
    for route in ROUTES {
        let request = route.spec.request;
        assert!(std::ptr::eq(requests(ROUTES)[request.name], request), "two requests are {}", request.name);
        let example = serde_json::from_str(request.example).unwrap();
        check_object(request, &example, request.name);
        assert!(!request.example.contains('\''), "{} does not stand in quotes for a shell", request.name);
    }
}

#[test]
fn what_a_privilege_is_for_can_be_said() {
    for route in ROUTES.iter().filter(|route| !route.spec.request.open) {
        // Where no collection is named, the right to all of the database is asked for.
        let named = route.need.key().is_none_or(|key| route.spec.request.key(key).is_some());
        assert!(named, "{} takes {}, but names none", route.path, route.need);
    }
}

#[test]
fn answers_are_envelopes_and_codes_are_known() {
    for route in ROUTES {
        let (path, spec) = (route.path, route.spec);
        let answer: Value = serde_json::from_str(spec.answer).unwrap_or_else(|e| panic!("{path}: {e}"));
        let refused = [code::INVALID, code::UNIMPLEMENTED].map(Value::from).contains(&answer["code"]);
        assert!(
            answer["code"] == 0 && !answer["data"].is_null() || refused && answer["message"].is_string(),
            "{path}"
        );
        assert!(spec.about.ends_with('.') && spec.data.ends_with('.'), "{path}");
        assert!(spec.codes.iter().all(|&code| !meaning(code).is_empty()), "{path}");
        assert!(GROUPS.iter().any(|(name, _)| *name == route.group()), "{path} is in no group");
    }
    let codes: BTreeSet<i32> = ERRORS.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes.len(), ERRORS.len());
}

/// Every reference of a document.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn the_document_has_every_route_and_hangs_together() {
    for authorization in [false, true] {
        let text = document(ROUTES, authorization).to_string();
        let document: Value = serde_json::from_str(&text).unwrap();
        let mut ids = BTreeSet::new();
        for route in ROUTES {
            let operation = &document["paths"][format!("/v2/vectordb/{}", route.path)]["post"];
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{}", route.path);
            assert_eq!(operation["x-elanus-privilege"], route.need.to_string());
            assert_eq!(operation["responses"]["503"]["$ref"], "#/components/responses/busy");
        }
        assert_eq!(document["paths"].as_object().unwrap().len(), ROUTES.len());
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > ROUTES.len());
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
        }
        assert_eq!(document.get("security").is_some(), authorization);
        let required = &document["components"]["schemas"]["CollectionDataReq"]["required"];
        assert_eq!(required, &serde_json::json!(["collectionName", "data"]));
    }
}

#[test]
fn the_page_has_every_route_escapes_and_loads_nothing() {
    assert_eq!(escape("a<b & \"c\" 'd'>"), "a&lt;b &amp; &quot;c&quot; &#39;d&#39;&gt;");
    let page = html(ROUTES, true);
    let mut ids = BTreeSet::new();
    for id in page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(ids.insert(id), "two elements are {id}");
    }
    for link in page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(ids.contains(link), "#{link} leads nowhere");
    }
    assert!(ROUTES.iter().all(|route| ids.contains(route.id().as_str())));
    assert!(page.contains("-d &#39;{&quot;collectionName&quot;") && !page.contains("-d '"));
    for never in ["<script", "src=", "@import", "url(", "https://", "style=\""] {
        assert!(!page.contains(never), "{never}");
    }
    assert!(policy().contains("'sha256-"));
}
