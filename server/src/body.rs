//! Request bodies of Milvus's REST API: a JSON object whose keys match in any case and whose values are decoded
//! strictly, each with the code and the words that Milvus has for it. Values stay borrowed raw text until a handler
//! asks for them with a type, so a body of vectors is read once and straight into place.
//!
//! Beyond Milvus, a key that appears twice is refused: which of the two was meant cannot be known.
//!
//! Which keys there are is [declared](crate::rest::spec). In debug builds, tests above all, reading another one panics:
//! what the server tells clients of its requests is then what it reads.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use axum::http::StatusCode;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{ApiError, code};
use crate::rest::spec::{Kind, Presence, Request};

/// The members of a JSON object in their order, names unescaped, values raw.
pub(crate) type Members<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// Most members of an object of a request. Each costs many times its bytes; no request has reason for so many.
const MAX_MEMBERS: usize = 1 << 16;

/// Splits the text of a JSON object into its members.
///
/// # Errors
/// The parser's, also when the text is another JSON value.
pub(crate) fn members(text: &str) -> serde_json::Result<Members<'_>> {
    at_most(usize::MAX, text)
}

fn at_most(most: usize, text: &str) -> serde_json::Result<Members<'_>> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let members = deserializer.deserialize_map(MembersVisitor { most })?;
    deserializer.end()?;
    Ok(members)
}

struct MembersVisitor {
    most: usize,
}

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Members::new();
        while let Some(Name(name)) = map.next_key()? {
            if members.len() == self.most {
                let message = format!("an object with more than {} keys", self.most);
                return Err(serde::de::Error::custom(message));
            }
            members.push((name, map.next_value()?));
        }
        Ok(members)
    }
}

/// A key, borrowed where it holds no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// A JSON object of a request, at any level.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    /// What it may hold.
    request: &'static Request,
    members: Members<'a>,
}

impl<'a> Object<'a> {
    /// Reads a whole body.
    ///
    /// # Errors
    /// 1801 when it is empty, no JSON, no object, or has a key twice or too many keys.
    pub(crate) fn parse(request: &'static Request, body: &'a [u8]) -> Result<Self, ApiError> {
        if body.is_empty() {
            let message =
                "can only accept json format request, the request body should be nil, however {} is valid";
            return Err(ApiError::new(code::BAD_JSON, StatusCode::BAD_REQUEST, message));
        }
        let text = std::str::from_utf8(body).map_err(bad_json)?;
        Self::from_text(request, text)
    }

    /// Reads an object within a body.
    ///
    /// # Errors
    /// As [`Object::parse`].
    pub(crate) fn within(request: &'static Request, raw: &'a RawValue) -> Result<Self, ApiError> {
        Self::from_text(request, raw.get())
    }

    fn from_text(request: &'static Request, text: &'a str) -> Result<Self, ApiError> {
        let members = at_most(MAX_MEMBERS, text).map_err(bad_json)?;
        let mut seen = HashSet::with_capacity(members.len());
        if let Some((name, _)) = members.iter().find(|(name, _)| !seen.insert(name.to_ascii_lowercase())) {
            return Err(bad_json(format!("the key \"{name}\" appears twice")));
        }
        Ok(Self { request, members })
    }

    /// Panics in debug builds when a key is not declared, or not as what it is read as. A wrong name would be a key that
    /// clients are not told of, and that tests with the declared one would never reach.
    fn declared(&self, key: &str, fits: fn(&Kind, Presence) -> bool) {
        if cfg!(debug_assertions) && !self.request.open {
            let name = self.request.name;
            let found = self.request.key(key);
            assert!(found.is_some(), "{name} has no key {key}: declare it in server/src/rest/spec");
            let fits = found.is_some_and(|found| fits(&found.kind, found.presence));
            assert!(fits, "{name}.{key} is read as something else than declared in server/src/rest/spec");
        }
    }

    /// The raw value of a key; none when it is absent or null.
    pub(crate) fn raw(&self, key: &str) -> Option<&'a RawValue> {
        self.declared(key, |kind, _| !matches!(kind, Kind::Unsupported));
        self.found(key)
    }

    fn found(&self, key: &str) -> Option<&'a RawValue> {
        let found = self.members.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
        found.map(|(_, raw)| *raw).filter(|raw| raw.get() != "null")
    }

    /// All members, of an object in which any key means something.
    pub(crate) fn members(&self) -> &Members<'a> {
        debug_assert!(self.request.open, "{} has declared keys only", self.request.name);
        &self.members
    }

    /// A value of a type; none when it is absent or null.
    ///
    /// # Errors
    /// 1801 naming the key when the value has another type.
    pub(crate) fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, ApiError> {
        self.raw(key).map(|raw| typed(key, raw)).transpose()
    }

    /// A value of a type, or its zero value.
    ///
    /// # Errors
    /// As [`Object::get`].
    pub(crate) fn get_or_default<T: DeserializeOwned + Default>(&self, key: &str) -> Result<T, ApiError> {
        Ok(self.get(key)?.unwrap_or_default())
    }

    /// An object within this one; an empty one when absent.
    ///
    /// # Errors
    /// 1801 when it is no object.
    pub(crate) fn object(&self, key: &str) -> Result<Object<'a>, ApiError> {
        self.declared(key, |kind, _| matches!(kind, Kind::Object(_) | Kind::Map));
        let request = match self.request.key(key).map(|found| &found.kind) {
            Some(Kind::Object(request)) => request,
            _ => &Request::ANY,
        };
        match self.raw(key) {
            None => Ok(Object { request, members: Members::new() }),
            Some(raw) => Object::within(request, raw).map_err(|e| e.within_field(key)),
        }
    }

    /// An array within this object, its items raw; none when absent.
    ///
    /// # Errors
    /// 1801 when it is no array.
    pub(crate) fn array(&self, key: &str) -> Result<Option<Vec<&'a RawValue>>, ApiError> {
        self.declared(key, |kind, _| matches!(kind, Kind::Array(_)));
        self.raw(key).map(|raw| serde_json::from_str(raw.get()).map_err(|e| wrong_type(key, &e))).transpose()
    }

    /// A text that must be there and not be empty.
    ///
    /// # Errors
    /// 1801 for another type, 1802 when it is missing.
    pub(crate) fn required_text(&self, key: &str) -> Result<String, ApiError> {
        self.declared(key, |kind, presence| {
            presence != Presence::Optional && matches!(kind, Kind::Text | Kind::Word(_))
        });
        match self.get::<String>(key)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(self.missing(key)),
        }
    }

    /// A value that must be there.
    ///
    /// # Errors
    /// 1802 when it is missing or null.
    pub(crate) fn required(&self, key: &str) -> Result<&'a RawValue, ApiError> {
        self.declared(key, |_, presence| presence != Presence::Optional);
        self.raw(key).ok_or_else(|| self.missing(key))
    }

    /// 1802 for a key, in Milvus's words: names are those of its Go structs.
    pub(crate) fn missing(&self, key: &str) -> ApiError {
        let mut name = key.to_owned();
        if let Some(first) = name.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        if name == "Id" {
            name.make_ascii_uppercase();
        }
        let message = format!(
            "missing required parameters, error: Key: '{}.{name}' Error:Field validation for '{name}' failed on the \
             'required' tag",
            self.request.name
        );
        ApiError::new(code::MISSING_FIELD, StatusCode::BAD_REQUEST, message)
    }

    /// Refuses features that this version lacks: a key that is there with more than an empty value.
    ///
    /// # Errors
    /// 1100 naming the key.
    pub(crate) fn refuse(&self, keys: &[&str]) -> Result<(), ApiError> {
        keys.iter().for_each(|key| self.declared(key, |kind, _| matches!(kind, Kind::Unsupported)));
        match keys.iter().find(|key| self.found(key).is_some_and(|raw| !is_blank(raw.get()))) {
            Some(key) => Err(ApiError::unsupported(key)),
            None => Ok(()),
        }
    }
}

impl ApiError {
    /// Names the field of the body in a message about its JSON.
    fn within_field(mut self, key: &str) -> Self {
        self.message = self.message.replacen("error: ", &format!("error: {key}: "), 1);
        self
    }
}

/// Decodes one raw value.
///
/// # Errors
/// 1801 naming the key.
pub(crate) fn typed<T: DeserializeOwned>(key: &str, raw: &RawValue) -> Result<T, ApiError> {
    serde_json::from_str(raw.get()).map_err(|error| wrong_type(key, &error))
}

/// 1801 with the reason.
pub(crate) fn bad_json(reason: impl fmt::Display) -> ApiError {
    let message = format!("can only accept json format request, error: {reason}");
    ApiError::new(code::BAD_JSON, StatusCode::BAD_REQUEST, message)
}

fn wrong_type(key: &str, error: &serde_json::Error) -> ApiError {
    bad_json(format!("{key}: {error}"))
}

/// Whether a value says nothing: zero, false, or empty.
fn is_blank(json: &str) -> bool {
    let compact: String = json.split_ascii_whitespace().collect();
    matches!(compact.as_str(), "null" | "false" | "0" | "\"\"" | "[]" | "{}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rest::spec;

    /// Any keys, under a name.
    static REQUEST: Request = Request { name: "CollectionReq", ..Request::ANY };

    fn object(text: &str) -> Object<'_> {
        Object::parse(&REQUEST, text.as_bytes()).unwrap()
    }

    fn refused(text: &str) -> (i32, String) {
        let error = Object::parse(&REQUEST, text.as_bytes()).unwrap_err();
        (error.code, error.message)
    }

    #[test]
    fn keys_match_in_any_case_and_unknown_ones_are_ignored() {
        let body = object(r#"{"COLLECTIONname":"c","autoID":true,"nonsense":[1,2],"dimension":null}"#);
        assert_eq!(body.required_text("collectionName").unwrap(), "c");
        assert!(body.get_or_default::<bool>("autoId").unwrap());
        assert_eq!(body.get::<i64>("dimension").unwrap(), None);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        assert_eq!(refused("").0, 1801);
        assert!(refused("").1.contains("however {} is valid"));
        for text in ["{", "[]", "nonsense", "3", "{\"a\":}", "{} {}", "{\"a\":1,\"A\":2}", "\u{0}"] {
            let (code, message) = refused(text);
            assert_eq!(code, 1801, "{text}");
            assert!(message.starts_with("can only accept json format request, error: "), "{message}");
        }
        assert_eq!(Object::parse(&REQUEST, b"{\"a\":\"\xff\"}").unwrap_err().code, 1801);
        assert_eq!(refused(&"{\"a\":".repeat(100_000)).0, 1801);
    }

    #[test]
    fn an_object_has_a_bounded_number_of_keys() {
        let with = |keys: usize| {
            let keys: Vec<String> = (0..keys).map(|n| format!("\"k{n}\":0")).collect();
            format!("{{{}}}", keys.join(","))
        };
        assert_eq!(object(&with(MAX_MEMBERS)).members().len(), MAX_MEMBERS);
        let (code, message) = refused(&with(MAX_MEMBERS + 1));
        assert!(code == 1801 && message.contains("more than 65536 keys"), "{message}");
        // Nothing after the last one that may be there is read.
        assert!(refused(&with(MAX_MEMBERS + 1).replace('}', ",")).1.contains("more than 65536 keys"));
        assert_eq!(
            members(&with(MAX_MEMBERS + 1)).unwrap().len(),
            MAX_MEMBERS + 1,
            "what is stored has no such limit"
        );
    }

    #[test]
    fn types_are_strict_and_the_key_is_named() {
        let body = object(r#"{"dimension":"many","enableDynamicField":1,"schema":[],"fields":{}}"#);
        for error in [
            body.get::<i64>("dimension").unwrap_err(),
            body.get::<bool>("enableDynamicField").unwrap_err(),
            body.object("schema").unwrap_err(),
            body.array("fields").unwrap_err(),
        ] {
            assert_eq!(error.code, 1801);
        }
        assert!(body.get::<i64>("dimension").unwrap_err().message.contains("dimension"));
    }

    #[test]
    fn missing_is_1802_in_milvus_words() {
        let body = object(r#"{"collectionName":""}"#);
        let error = body.required_text("collectionName").unwrap_err();
        assert_eq!(error.code, 1802);
        assert_eq!(
            error.message,
            "missing required parameters, error: Key: 'CollectionReq.CollectionName' Error:Field validation for \
             'CollectionName' failed on the 'required' tag"
        );
        assert!(body.required("id").unwrap_err().message.contains("'CollectionReq.ID'"));
    }

    #[test]
    fn unsupported_features_are_refused_unless_empty() {
        let body = object(r#"{"a":[ ],"b":{},"c":"","d":0,"e":null,"f":false,"g":"x"}"#);
        body.refuse(&["a", "b", "c", "d", "e", "f", "absent"]).unwrap();
        let error = body.refuse(&["a", "G"]).unwrap_err();
        assert_eq!(error.message, "G is not supported in this version of Elanus");
    }

    fn panics<R>(read: impl FnOnce(&Object<'static>) -> R) -> bool {
        let body = Object::parse(&spec::SEARCH, b"{}").unwrap();
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| read(&body))).is_err()
    }

    #[test]
    #[cfg(debug_assertions)]
    fn keys_are_read_as_they_are_declared() {
        assert!(!panics(|body| body.required_text("collectionName")));
        assert!(!panics(|body| body.object("searchParams").unwrap().object("params").unwrap().raw("ef")));
        assert!(!panics(|body| body.refuse(&["functionScore"])));
        assert!(!panics(|body| body.object("exprParams").unwrap().raw("anything")));
        assert!(panics(|body| body.raw("colectionName")));
        assert!(panics(|body| body.required_text("filter")), "it is optional");
        assert!(panics(|body| body.object("limit")), "it is a number");
        assert!(panics(|body| body.object("searchParams").unwrap().raw("limit")), "it is outside");
        assert!(panics(|body| body.refuse(&["filter"])), "it is supported");
        assert!(panics(|body| body.raw("functionScore")), "it is not supported");
    }

    #[test]
    fn every_required_key_is_1802_under_its_name() {
        for request in [&spec::COLLECTION_DATA, &spec::GRANT, &spec::PARTITION, &spec::SUB_SEARCH] {
            let body = Object::parse(request, b"{}").unwrap();
            for key in request.keys().filter(|key| key.presence == Presence::Required) {
                let error = match key.kind {
                    Kind::Text | Kind::Word(_) => body.required_text(key.name).unwrap_err(),
                    _ => body.required(key.name).unwrap_err(),
                };
                let words = format!("Key: '{}.{}", request.name, key.name[..1].to_ascii_uppercase());
                assert!(error.code == 1802 && error.message.contains(&words), "{}", error.message);
            }
        }
    }

    proptest! {
        /// Members are what serde_json's own tree says they are, for any keys and values.
        #[test]
        fn members_equal_the_tree(pairs in prop::collection::btree_map(".*", any::<(i64, String)>(), 0..6)) {
            let tree = serde_json::json!(pairs);
            let text = tree.to_string();
            let split = members(&text).unwrap();
            prop_assert_eq!(split.len(), pairs.len());
            for (name, raw) in split {
                let value: serde_json::Value = serde_json::from_str(raw.get()).unwrap();
                prop_assert_eq!(&tree[name.as_ref()], &value);
            }
        }

        /// Any bytes at all are an object or an error, never a panic.
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Object::parse(&REQUEST, &bytes);
        }
    }
}
