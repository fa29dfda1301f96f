//! Names of images: text that a client chose. A name is stored, shown and sent back, but it never becomes a path and
//! never breaks a header. Uploads and imports clean names here; the download route writes them into headers here.

use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Name of an image that came without one.
pub(crate) const UNNAMED: &str = "unnamed";

/// What RFC 5987 allows unescaped in an extended value: letters, digits and a few marks.
const ATTR_CHAR: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// The name as it is stored: what the client sent, without control characters and cut to `max_bytes` at a character.
pub(crate) fn clean(raw: &str, max_bytes: usize) -> String {
    let mut name = String::with_capacity(raw.len().min(max_bytes));
    for c in raw.chars().filter(|c| !c.is_control()) {
        if name.len() + c.len_utf8() > max_bytes {
            break;
        }
        name.push(c);
    }
    if name.trim().is_empty() { UNNAMED.to_owned() } else { name }
}

/// The `filename` of a multipart header as a browser writes it: HTML escapes the double quote and line ends, nothing
/// else, so that `100%25.jpg` stays what it is.
pub(crate) fn from_form(filename: &str) -> String {
    filename.replace("%22", "\"").replace("%0D", "").replace("%0A", "")
}

/// The value of `filename*` (RFC 5987) in a `Content-Disposition` header, which some clients send instead of
/// `filename` for names that are not ASCII.
pub(crate) fn extended_filename(header: &[u8]) -> Option<String> {
    let header = std::str::from_utf8(header).ok()?;
    header.split(';').find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        if !key.trim().eq_ignore_ascii_case("filename*") {
            return None;
        }
        let mut parts = value.trim().splitn(3, '\'');
        let (charset, _language, text) = (parts.next()?, parts.next()?, parts.next()?);
        charset
            .eq_ignore_ascii_case("utf-8")
            .then(|| percent_decode_str(text).decode_utf8_lossy().into_owned())
    })
}

/// `inline` with the last part of the name, readable by every client: plain ASCII first, then RFC 5987.
pub(crate) fn content_disposition(name: &str) -> HeaderValue {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let ascii: String = file
        .chars()
        .map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') || c == ' ' { c } else { '_' })
        .collect();
    let extended = utf8_percent_encode(file, ATTR_CHAR);
    HeaderValue::from_str(&format!("inline; filename=\"{ascii}\"; filename*=UTF-8''{extended}"))
        .unwrap_or_else(|_| HeaderValue::from_static("inline"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_names_and_drops_what_could_do_harm() {
        assert_eq!(clean("图片 1.jpg", 1024), "图片 1.jpg");
        assert_eq!(
            clean("it's a 'quoted' & ünïcode – name.JPEG", 1024),
            "it's a 'quoted' & ünïcode – name.JPEG"
        );
        assert_eq!(clean("a\0b\r\nc\u{7f}\u{85}.jpg", 1024), "abc.jpg");
        assert_eq!(clean("../../etc/passwd", 1024), "../../etc/passwd", "harmless: it never becomes a path");
        assert_eq!(clean("  ", 10), UNNAMED);
        assert_eq!(clean("\n", 10), UNNAMED);
    }

    #[test]
    fn cuts_between_characters() {
        assert_eq!(clean("ab图片", 4), "ab");
        assert_eq!(clean("ab图片", 5), "ab图");
        for max in 0..40 {
            assert!(clean("é图a😀".repeat(4).as_str(), max).len() <= max.max(UNNAMED.len()));
        }
    }

    #[test]
    fn reads_the_names_of_multipart_headers() {
        assert_eq!(from_form("a%22b%0D%0A.jpg"), "a\"b.jpg");
        assert_eq!(from_form("100%25.jpg"), "100%25.jpg");
        let header = b"form-data; name=\"file\"; filename*=utf-8''%E5%9B%BE%201.jpg";
        assert_eq!(extended_filename(header).unwrap(), "图 1.jpg");
        assert_eq!(extended_filename(b"form-data; name=\"file\"; filename=\"a.jpg\""), None);
        assert_eq!(extended_filename(b"form-data; filename*=utf-8"), None);
        assert_eq!(extended_filename(b"form-data; filename*=latin1''a"), None);
    }

    #[test]
    fn headers_carry_any_name() {
        let header = content_disposition("2012/图片 \"1\"%\r\n.jpg");
        let text = header.to_str().unwrap();
        assert!(text.starts_with("inline; filename=\"__ _1___"), "{text}");
        assert!(text.ends_with("filename*=UTF-8''%E5%9B%BE%E7%89%87%20%221%22%25%0D%0A.jpg"), "{text}");
        assert_eq!(content_disposition("C:\\photos\\a.jpg").to_str().unwrap().matches("a.jpg").count(), 2);
        assert!(
            !content_disposition("it's").to_str().unwrap().contains("''it's"),
            "the quote delimits the charset"
        );
    }
}
