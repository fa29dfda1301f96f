//! The OpenAPI 3.1 document, made from the table of routes and the requests that it names.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::errors::{ERRORS, meaning};
use super::{Key, Kind, Presence, Request};
use crate::rest::routes::Route;
use crate::version::VERSION;

/// Where all routes are.
pub(super) const PREFIX: &str = "/v2/vectordb/";

/// What this is about, for both documents.
pub(super) const ABOUT: &str = "\
    Milvus's REST API v2 as Elanus has it. Every call is a POST with a JSON object. Answers have status 200 \
    and a `code`: 0, or that of an error with a `message`. Keys of a body match in any case; unknown ones \
    are ignored, a key that appears twice is refused. Keys marked as not supported may be there if they are \
    empty. The calls for images (`/v1/images`, `/v1/embed`, `/v1/models`), folders (`/v1/jobs`), the older names \
    (`/api/v1`, `/img`) and `/v1/status` are not described here.";

/// What the routes are about, by the first part of their paths.
pub(super) const GROUPS: &[(&str, &str)] = &[
    ("collections", "Making, changing, describing and dropping collections."),
    ("entities", "Rows in, rows out, searches."),
    ("indexes", "What indexes a collection has."),
    ("partitions", "Named parts of a collection."),
    ("aliases", "Further names of collections."),
    ("databases", "Groups of collections with names of their own."),
    ("users", "Who there is, and which roles they have."),
    ("roles", "Which roles there are, and what they may do."),
    ("privilege_groups", "Privileges under a name, to be granted together."),
    ("jobs", "Imports of files with rows."),
    ("common", "What belongs to no collection."),
    ("resource_groups", "Of a cluster: not here."),
    ("segments", "Of a cluster: not here."),
    ("quotacenter", "Of a cluster: not here."),
    ("file_resources", "Of a cluster: not here."),
];

/// Headers that every call reads.
pub(super) const HEADERS: &[(&str, &str, Kind)] = &[
    ("DB-Name", "The database of a body that names none.", Kind::Text),
    ("Request-Timeout", "Seconds that the call may take; default: 30.", Kind::Integer),
    (
        "Accept-Type-Allow-Int64",
        "Whether 64-bit integers are numbers (`true`, the default) or texts (`false`).",
        Kind::Boolean,
    ),
];

/// The whole document. `authorization`: whether callers must say who they are.
pub(super) fn document(routes: &'static [Route], authorization: bool) -> Value {
    let paths: Map<String, Value> = routes
        .iter()
        .map(|route| (format!("{PREFIX}{}", route.path), json!({ "post": operation(route) })))
        .collect();
    let tags: Vec<Value> =
        GROUPS.iter().map(|(name, about)| json!({ "name": name, "description": about })).collect();
    let mut document = json!({
        "openapi": "3.1.0",
        "info": { "title": "Elanus", "version": VERSION, "description": ABOUT },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths,
        "components": components(routes),
    });
    if authorization {
        document["security"] = json!([{ "bearer": [] }, { "basic": [] }]);
        document["components"]["securitySchemes"] = json!({
            "bearer": { "type": "http", "scheme": "bearer", "description": "`user:password`" },
            "basic": { "type": "http", "scheme": "basic" },
        });
    }
    document
}

fn operation(route: &Route) -> Value {
    let spec = route.spec;
    let parameters: Vec<Value> =
        HEADERS.iter().map(|(name, ..)| reference("parameters", &name.to_ascii_lowercase())).collect();
    let mut description = format!("{}\n\nPrivilege: {}.", spec.about, route.need);
    if !spec.codes.is_empty() {
        let codes = spec.codes.iter().map(|&code| format!("- {code}: {}", meaning(code)));
        description.push_str("\n\nErrors of its own:\n\n");
        description.push_str(&codes.collect::<Vec<_>>().join("\n"));
    }
    json!({
        "operationId": route.id(),
        "tags": [route.group()],
        "summary": first_sentence(spec.about),
        "description": description,
        "x-elanus-privilege": route.need.to_string(),
        "parameters": parameters,
        "requestBody": {
            "required": true,
            "content": { "application/json": {
                "schema": reference("schemas", spec.request.name),
                "example": parsed(spec.request.example),
            } },
        },
        "responses": {
            "200": { "description": spec.data, "content": { "application/json": {
                "schema": { "oneOf": [success(route), reference("schemas", "Error")] },
                "example": parsed(spec.answer),
            } } },
            "401": reference("responses", "unauthenticated"),
            "403": reference("responses", "forbidden"),
            "408": reference("responses", "timeout"),
            "413": reference("responses", "too_large"),
            "500": reference("responses", "failure"),
            "503": reference("responses", "busy"),
        },
    })
}

/// The schema of a success: the envelope, and of which type its data is.
fn success(route: &Route) -> Value {
    let data = parsed(route.spec.answer).get("data").cloned().unwrap_or_default();
    let mut schema = match data {
        Value::Array(_) => json!({ "type": "array" }),
        Value::Object(_) => json!({ "type": "object" }),
        _ => json!({}),
    };
    schema["description"] = route.spec.data.into();
    json!({ "allOf": [reference("schemas", "Success"), { "properties": { "data": schema } }] })
}

fn components(routes: &[Route]) -> Value {
    let mut schemas: Map<String, Value> =
        requests(routes).into_values().map(|request| (request.name.to_owned(), object(request))).collect();
    schemas.extend(envelopes());
    let parameters: Map<String, Value> = HEADERS
        .iter()
        .map(|(name, about, kind)| {
            let header =
                json!({ "name": name, "in": "header", "description": about, "schema": schema(kind) });
            (name.to_ascii_lowercase(), header)
        })
        .collect();
    let failure = |about: &str| {
        json!({
            "description": about,
            "content": { "application/json": { "schema": reference("schemas", "Error") } },
        })
    };
    let mut busy =
        failure("Too many large bodies, or too many passwords to check, at one time: nothing was done.");
    busy["headers"] = json!({ "Retry-After": {
        "description": "Seconds after which it may be tried again.",
        "schema": { "type": "integer" },
    } });
    json!({
        "schemas": schemas,
        "parameters": parameters,
        "responses": {
            "unauthenticated": failure("Authorization is on, and nobody who is known asks."),
            "forbidden": failure("Who asks lacks the privilege."),
            "timeout": failure("The request took too long. Whether a write happened is then unknown."),
            "too_large": failure("The body is larger than this server accepts."),
            "failure": failure("A failure of the machine, or a bug."),
            "busy": busy,
        },
    })
}

fn envelopes() -> [(String, Value); 2] {
    let code = |about: String| json!({ "type": "integer", "description": about });
    let codes = ERRORS.iter().map(|(code, meaning)| format!("- {code}: {meaning}"));
    let success = json!({
        "type": "object",
        "description": "The envelope of a success.",
        "required": ["code", "data"],
        "properties": {
            "code": { "const": 0 },
            "data": {},
            "cost": { "type": "integer", "description": "Of calls on rows; always 0." },
            "topks": { "type": "array", "items": { "type": "integer" }, "description": "Of searches: hits of each query." },
            "message": { "type": "string", "description": "Of some calls; empty." },
            "description": { "type": "string", "description": "Of users and roles." },
            "explain": { "description": "Of searches that ask for it: how they were done." },
        },
    });
    let error = json!({
        "type": "object",
        "description": "The envelope of a failure.",
        "required": ["code", "message"],
        "properties": {
            "code": code(codes.collect::<Vec<_>>().join("\n")),
            "message": { "type": "string" },
        },
    });
    [("Success".to_owned(), success), ("Error".to_owned(), error)]
}

/// Every request that routes take, with the objects within them, by name.
pub(super) fn requests(routes: &[Route]) -> BTreeMap<&'static str, &'static Request> {
    let mut found = BTreeMap::new();
    for route in routes {
        collect(route.spec.request, &mut found);
    }
    found
}

fn collect(request: &'static Request, found: &mut BTreeMap<&'static str, &'static Request>) {
    if found.insert(request.name, request).is_none() {
        request.keys().filter_map(|key| key.kind.inner()).for_each(|inner| collect(inner, found));
    }
}

impl Kind {
    /// The object that it is, or that its elements are.
    pub(super) fn inner(&self) -> Option<&'static Request> {
        match self {
            Self::Object(request) => Some(request),
            Self::Array(item) => item.inner(),
            Self::OneOf(kinds) => kinds.iter().find_map(Self::inner),
            _ => None,
        }
    }
}

fn object(request: &Request) -> Value {
    let properties: Map<String, Value> =
        request.keys().map(|key| (key.name.to_owned(), property(key))).collect();
    let required: Vec<&str> =
        request.keys().filter(|key| key.presence == Presence::Required).map(|key| key.name).collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if !request.about.is_empty() {
        schema["description"] = request.about.into();
    }
    schema
}

fn property(key: &Key) -> Value {
    let mut schema = schema(&key.kind);
    // Beside a reference, OpenAPI 3.1 takes a description, too.
    schema["description"] = key.about.into();
    if matches!(key.kind, Kind::Unsupported) {
        schema["x-elanus-supported"] = false.into();
    }
    schema
}

fn schema(kind: &Kind) -> Value {
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Word(words) => json!({ "type": "string", "enum": words }),
        Kind::Integer => json!({ "type": "integer", "format": "int64" }),
        Kind::Number => json!({ "type": "number" }),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Object(request) => reference("schemas", request.name),
        Kind::Map => json!({ "type": "object", "additionalProperties": true }),
        Kind::Array(item) => json!({ "type": "array", "items": schema(item) }),
        Kind::OneOf(kinds) => json!({ "anyOf": kinds.iter().map(schema).collect::<Vec<_>>() }),
        Kind::Any | Kind::Unsupported => json!({}),
    }
}

fn reference(place: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{place}/{name}") })
}

/// An example of the table. A test reads them all, so none is wrong here.
pub(super) fn parsed(example: &str) -> Value {
    serde_json::from_str(example).unwrap_or_default()
}

fn first_sentence(text: &str) -> &str {
    text.split_once(". ").map_or(text, |(first, _)| first).trim_end_matches('.')
}
