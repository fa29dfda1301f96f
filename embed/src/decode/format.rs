//! Which kind of image a file is, told from its first bytes and never from its name. The server asks [`sniff`] when
//! it picks files from a folder and when it names a content type; [`super::decode`] asks it before anything else.

use std::fmt;

/// The formats that are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImageFormat {
    /// JPEG, baseline or progressive; grey, colour, CMYK.
    Jpeg,
    /// PNG, 1 to 16 bits.
    Png,
    /// WebP, lossy or lossless; of an animation the first frame.
    WebP,
    /// GIF; of an animation the first frame.
    Gif,
    /// Windows bitmap.
    Bmp,
    /// TIFF; of several pages the first.
    Tiff,
}

impl ImageFormat {
    /// The content type, for example `image/jpeg`.
    pub fn mime(&self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
            Self::Bmp => "image/bmp",
            Self::Tiff => "image/tiff",
        }
    }

    /// The name as people write it, for example `JPEG`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
            Self::Tiff => "TIFF",
        }
    }

    pub(super) fn to_image(self) -> image::ImageFormat {
        match self {
            Self::Jpeg => image::ImageFormat::Jpeg,
            Self::Png => image::ImageFormat::Png,
            Self::WebP => image::ImageFormat::WebP,
            Self::Gif => image::ImageFormat::Gif,
            Self::Bmp => image::ImageFormat::Bmp,
            Self::Tiff => image::ImageFormat::Tiff,
        }
    }
}

impl fmt::Display for ImageFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Tells the format from the first bytes (16 are enough); `None` for anything that is not decoded here.
pub fn sniff(bytes: &[u8]) -> Option<ImageFormat> {
    match bytes {
        [0xff, 0xd8, 0xff, ..] => Some(ImageFormat::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(ImageFormat::Png),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(ImageFormat::WebP),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(ImageFormat::Gif),
        // "BM" alone begins too many texts: the two reserved words must be zero as well.
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Some(ImageFormat::Bmp),
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Some(ImageFormat::Tiff),
        _ => None,
    }
}

/// Names an image format that is known but not decoded, for a better message than "not an image".
pub(super) fn known_but_unsupported(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => match brand {
            [b'a', b'v', b'i', b'f' | b's', ..] => Some("AVIF"),
            [b'h', b'e', b'i' | b'v', ..] | [b'm', b'i', b'f', b'1', ..] => Some("HEIC"),
            _ => None,
        },
        [0, 0, 0, 12, b'J', b'X', b'L', b' ', ..] | [0xff, 0x0a, ..] => Some("JPEG XL"),
        [0, 0, 0, 12, b'j', b'P', b' ', b' ', ..] | [0xff, 0x4f, 0xff, 0x51, ..] => Some("JPEG 2000"),
        [b'8', b'B', b'P', b'S', ..] => Some("PSD"),
        [0, 0, 1, 0, ..] => Some("ICO"),
        [b'I', b'I', 43, 0, ..] | [b'M', b'M', 0, 43, ..] => Some("BigTIFF"),
        _ if looks_like_svg(bytes) => Some("SVG"),
        _ => None,
    }
}

/// An `<svg` tag within the first bytes of something that starts like a markup text.
fn looks_like_svg(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(1024)];
    let text = head.trim_ascii_start().strip_prefix(b"\xef\xbb\xbf").unwrap_or(head.trim_ascii_start());
    text.starts_with(b"<") && head.windows(4).any(|window| window == b"<svg")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides() {
        assert_eq!(sniff(b"\xff\xd8\xff\xe0"), Some(ImageFormat::Jpeg));
        assert_eq!(sniff(b"\x89PNG\r\n\x1a\n"), Some(ImageFormat::Png));
        assert_eq!(sniff(b"RIFF\x10\0\0\0WEBPVP8 "), Some(ImageFormat::WebP));
        assert_eq!(sniff(b"GIF89a"), Some(ImageFormat::Gif));
        assert_eq!(sniff(b"BM\x46\0\0\0\0\0\0\0\x36"), Some(ImageFormat::Bmp));
        assert_eq!(sniff(b"II*\0"), Some(ImageFormat::Tiff));
        assert_eq!(sniff(b"MM\0*"), Some(ImageFormat::Tiff));
    }

    #[test]
    fn other_bytes_are_no_image() {
        for bytes in [&b""[..], b"\xff\xd8", b"BMW drives", b"RIFF\x10\0\0\0WAVEfmt ", b"GIF90a", b"<html>"] {
            assert_eq!(sniff(bytes), None, "{bytes:?}");
            assert_eq!(known_but_unsupported(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn unsupported_formats_are_named() {
        assert_eq!(known_but_unsupported(b"\0\0\0\x1cftypavif"), Some("AVIF"));
        assert_eq!(known_but_unsupported(b"\0\0\0\x1cftypheic"), Some("HEIC"));
        assert_eq!(known_but_unsupported(b"\0\0\0\x1cftypisom"), None);
        assert_eq!(known_but_unsupported(b"<?xml version='1.0'?>\n<svg/>"), Some("SVG"));
        assert_eq!(known_but_unsupported(b"\xef\xbb\xbf<svg xmlns='x'/>"), Some("SVG"));
        assert_eq!(known_but_unsupported(b"an <svg> in a text"), None);
    }
}
