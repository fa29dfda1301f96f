//! What Milvus's REST API v2 takes and answers, as data: each request with its keys, each route with its answer. The
//! handlers read bodies through it (in debug builds [`crate::body::Object`] refuses to read a key that is not declared
//! here), and [`openapi`] and [`page`] tell clients the same.
//!
//! ```text
//!   routes.rs ── Route { path, action, need, spec } ──► Router
//!                                            │
//!                    Spec { about, request, data, answer, codes } ──► openapi.json, docs
//!                                  │
//!                    Request { name, keys, example } ──► Object::parse, 1802 "Key: 'CollectionReq.CollectionName'"
//! ```
//!
//! A new key is a line in its request's table; a new route is a [`Spec`] here and a line in the table of routes.

pub(crate) mod aliases;
pub(crate) mod analyzer;
pub(crate) mod collections;
pub(crate) mod databases;
pub(crate) mod entities;
mod errors;
pub(crate) mod fields;
pub(crate) mod indexes;
pub(crate) mod jobs;
mod keys;
mod openapi;
mod page;
pub(crate) mod partitions;
pub(crate) mod privileges;
mod publish;
pub(crate) mod roles;
mod schema;
mod search;
#[cfg(test)]
mod tests;
pub(crate) mod unimplemented;
pub(crate) mod users;

pub(crate) use aliases::{ALIAS, ALIAS_COLLECTION};
pub(crate) use analyzer::RUN_ANALYZER;
pub(crate) use collections::{
    COLLECTION_PROPERTIES, COMPACT, COMPACTION_STATE, DROP_COLLECTION_PROPERTIES, RENAME,
};
pub(crate) use databases::{DATABASE_NAME, DATABASE_PROPERTIES, DROP_DATABASE_PROPERTIES, EMPTY};
pub(crate) use entities::{COLLECTION_DATA, COLLECTION_FILTER, COLLECTION_ID, FIELD_OP, QUERY};
pub(crate) use fields::{FIELD, FIELD_WITH_PARAMS, FIELD_WITH_SCHEMA, FUNCTION};
pub(crate) use indexes::{DROP_INDEX_PROPERTIES, INDEX, INDEX_PARAM, INDEX_PARAMS, INDEX_PROPERTIES};
pub(crate) use jobs::{IMPORT, JOB_ID, LIST_IMPORT};
pub(crate) use keys::{COLLECTION_NAME, DATABASE, OPTIONAL_COLLECTION_NAME};
pub(crate) use partitions::{PARTITION, PARTITIONS};
pub(crate) use privileges::PRIVILEGE_GROUP;
pub(super) use publish::routes;
pub(crate) use roles::{GRANT, GRANT_V2, ROLE};
pub(crate) use schema::{COLLECTION, FIELD_SCHEMA, FUNCTION_SCHEMA};
pub(crate) use search::{HYBRID_SEARCH, SEARCH, SUB_SEARCH};
pub(crate) use users::{NEW_PASSWORD, PASSWORD, USER, USER_ROLE};

/// What a route does, takes and answers.
#[derive(Debug)]
pub(crate) struct Spec {
    /// What it does.
    pub(crate) about: &'static str,
    /// What it takes.
    pub(crate) request: &'static Request,
    /// What the `data` of its answer is.
    pub(crate) data: &'static str,
    /// A whole answer as JSON.
    pub(crate) answer: &'static str,
    /// Error codes of its own, beside those that every route has.
    pub(crate) codes: &'static [i32],
}

/// A JSON object of a request, at any level.
#[derive(Debug)]
pub(crate) struct Request {
    /// Milvus's name of it, which its messages about missing keys carry.
    pub(crate) name: &'static str,
    /// What it says.
    pub(crate) about: &'static str,
    /// Its keys, in groups, because several requests share some.
    pub(crate) keys: &'static [&'static [Key]],
    /// Whether other keys mean something, too.
    pub(crate) open: bool,
    /// One as JSON; empty for those that are only found within others.
    pub(crate) example: &'static str,
}

/// A key of an object.
#[derive(Debug)]
pub(crate) struct Key {
    /// Its name. Bodies may have it in any case.
    pub(crate) name: &'static str,
    /// What its value must be.
    pub(crate) kind: Kind,
    /// Whether it must be there.
    pub(crate) presence: Presence,
    /// What it says.
    pub(crate) about: &'static str,
}

/// Whether a key must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Always: 1802 without it.
    Required,
    /// It depends on other keys.
    Depends,
    /// Never.
    Optional,
}

/// What a value must be.
#[derive(Debug)]
pub(crate) enum Kind {
    /// A text.
    Text,
    /// One of some texts.
    Word(&'static [&'static str]),
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// An object with keys of its own.
    Object(&'static Request),
    /// An object with any keys.
    Map,
    /// An array of such values.
    Array(&'static Kind),
    /// One of several kinds.
    OneOf(&'static [Kind]),
    /// Any JSON at all.
    Any,
    /// A feature of Milvus that is not here: refused, unless it is empty.
    Unsupported,
}

impl Request {
    /// An object of which nothing is known: for those who look at any body, and for tests.
    pub(crate) const ANY: Self = Self { name: "", about: "", keys: &[], open: true, example: "" };

    /// One with these keys and no others.
    const fn new(name: &'static str, keys: &'static [&'static [Key]], example: &'static str) -> Self {
        Self { name, about: "", keys, open: false, example }
    }

    /// One that is only found within others.
    const fn within(name: &'static str, about: &'static str, keys: &'static [&'static [Key]]) -> Self {
        Self { name, about, keys, open: false, example: "" }
    }

    /// In which other keys mean something, too.
    const fn open(self) -> Self {
        Self { open: true, ..self }
    }

    /// All its keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'static Key> + use<> {
        self.keys.iter().copied().flatten()
    }

    /// The key of this name, in any case.
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys().find(|key| key.name.eq_ignore_ascii_case(name))
    }
}

/// A key that must be there.
const fn required(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, presence: Presence::Required, about }
}

/// A key that may be left out.
const fn optional(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, presence: Presence::Optional, about }
}

/// A key that must be there where others say so.
const fn depends(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, presence: Presence::Depends, about }
}

/// A key of Milvus whose feature is not here.
const fn unsupported(name: &'static str) -> Key {
    Key {
        name,
        kind: Kind::Unsupported,
        presence: Presence::Optional,
        about: "Not supported: must be empty.",
    }
}
