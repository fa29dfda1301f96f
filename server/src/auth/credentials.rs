//! User and password of a request: `Authorization: Bearer user:password`, or HTTP Basic.

use std::fmt;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Who a request says it comes from, unchecked.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub(super) user: String,
    pub(super) password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Splits `user:password` at the first colon; gRPC has it in Base64, see [`Credentials::of_base64`].
    pub fn of_text(text: &str) -> Option<Self> {
        let (user, password) = text.split_once(':')?;
        Some(Self { user: user.to_owned(), password: password.to_owned() })
    }

    /// The same from Base64.
    pub fn of_base64(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.trim()).ok()?;
        Self::of_text(std::str::from_utf8(&bytes).ok()?)
    }

    /// What the header says; none when it is absent, twice there, or says something else.
    pub fn of_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (value, None) = (values.next()?, values.next()) else { return None };
        let (scheme, rest) = std::str::from_utf8(value.as_bytes()).ok()?.split_once(' ')?;
        match scheme {
            "Bearer" => Self::of_text(rest),
            basic if basic.eq_ignore_ascii_case("Basic") => Self::of_base64(rest),
            _ => None,
        }
    }
}

impl Credentials {
    /// What the metadata of a gRPC request say: Base64 without a word before it. Some clients send two, and mean the last.
    pub(crate) fn of_metadata(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get_all(AUTHORIZATION).iter().next_back()?;
        let text = value.to_str().ok()?;
        Self::of_base64(text.strip_prefix("Basic ").unwrap_or(text))
    }
}

/// Whether a browser sent the credentials by itself: it does so with Basic, once somebody has logged in.
pub(super) fn are_a_browsers(headers: &HeaderMap) -> bool {
    let value = headers.get(AUTHORIZATION).map(|value| value.as_bytes());
    value.and_then(|value| value.get(..6)).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"Basic "))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn of(value: &str) -> Option<(String, String)> {
        let headers =
            HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap())]);
        Credentials::of_headers(&headers).map(|c| (c.user, c.password))
    }

    #[test]
    fn both_forms_are_read_and_no_others() {
        let root = Some(("root".to_owned(), "Mil:vus".to_owned()));
        assert_eq!(of("Bearer root:Mil:vus"), root);
        assert_eq!(of("Basic cm9vdDpNaWw6dnVz"), root);
        assert_eq!(of("basic cm9vdDpNaWw6dnVz"), root);
        assert_eq!(of("Bearer u:pässwörd").unwrap().1, "pässwörd");
        for wrong in
            ["", "Bearer", "Bearer key", "Basic root:Milvus", "Basic cm9vdA==", "root:Milvus", "Digest x"]
        {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        let mut twice = HeaderMap::new();
        for value in ["Bearer a:b", "Bearer c:d"] {
            twice.append(AUTHORIZATION, HeaderValue::from_static(value));
        }
        assert_eq!(Credentials::of_headers(&twice), None);
    }

    #[test]
    fn a_password_is_not_shown() {
        let shown = format!("{:?}", Credentials::of_text("root:hush"));
        assert!(shown.contains("root") && !shown.contains("hush"));
    }
}
