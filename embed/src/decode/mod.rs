//! From the bytes of a file to an RGB photo. The content decides what it is, limits are checked against the header
//! before anything large is allocated, and what cannot be decoded completely is refused with a typed reason: a
//! photo is never half a photo. Pure functions without state; any thread may call them.

mod format;
mod jpeg;
mod raster;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use format::{ImageFormat, sniff};
pub use image::metadata::Orientation;

use crate::error::ImageError;

/// What a file may cost. The defaults suit photos of up to 50 megapixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Largest file in bytes (64 MiB).
    pub max_bytes: usize,
    /// Largest width times height (50,000,000).
    pub max_pixels: u64,
    /// Most memory that decoding may take on top of the file itself, in bytes (256 MiB), estimated from the header.
    pub max_memory: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { max_bytes: 64 << 20, max_pixels: 50_000_000, max_memory: 256 << 20 }
    }
}

/// Longest side in pixels: that of JPEG. To resize takes memory by the side, however narrow the photo is.
const MAX_SIDE: u32 = 65_535;

impl DecodeLimits {
    fn check_pixels(&self, width: u32, height: u32) -> Result<(), ImageError> {
        // Two u32 always fit a u64 when multiplied.
        if u64::from(width) * u64::from(height) > self.max_pixels {
            return Err(ImageError::TooManyPixels { width, height, limit: self.max_pixels });
        }
        if width.max(height) > MAX_SIDE {
            return Err(ImageError::SideTooLong { width, height, limit: MAX_SIDE });
        }
        Ok(())
    }

    fn check_memory(&self, needed: u64) -> Result<(), ImageError> {
        if needed > self.max_memory {
            return Err(ImageError::TooMuchMemory { limit: self.max_memory });
        }
        Ok(())
    }
}

/// A decoded photo: 8-bit RGB as stored in the file, with the orientation in which it wants to be seen.
#[derive(Clone)]
pub struct Photo {
    /// Row-major, exactly `width * height * 3` bytes.
    rgb: Vec<u8>,
    width: u32,
    height: u32,
    orientation: Orientation,
    format: ImageFormat,
}

impl Photo {
    /// Checks what the rest of the crate relies on: the pixels fill a size that is not zero.
    pub(crate) fn new(
        rgb: Vec<u8>,
        (width, height): (u32, u32),
        orientation: Orientation,
        format: ImageFormat,
    ) -> Result<Self, ImageError> {
        let pixels = u64::from(width) * u64::from(height);
        if pixels == 0 {
            return Err(ImageError::NoPixels);
        }
        if rgb.len() as u64 != pixels * 3 {
            let reason = format!("it gave {} bytes for {width} x {height} pixels", rgb.len());
            return Err(ImageError::Corrupt { reason });
        }
        Ok(Self { rgb, width, height, orientation, format })
    }

    /// The pixels as stored, row-major, three bytes each.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// Width in pixels as stored, before the orientation is applied.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels as stored, before the orientation is applied.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// How to turn the stored pixels for viewing (EXIF).
    pub fn orientation(&self) -> Orientation {
        self.orientation
    }

    /// The file's format.
    pub fn format(&self) -> ImageFormat {
        self.format
    }

    /// Width and height as a viewer shows the photo.
    pub fn oriented_size(&self) -> (u32, u32) {
        use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
        match self.orientation {
            Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH => (self.height, self.width),
            _ => (self.width, self.height),
        }
    }
}

impl std::fmt::Debug for Photo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { width, height, orientation, format, .. } = self;
        write!(f, "Photo({format} {width}x{height} {orientation:?})")
    }
}

/// Decodes a file held in memory.
///
/// # Errors
/// An [`ImageError`] for anything that is not completely decodable within `limits`. A panic inside a decoder is
/// caught and becomes [`ImageError::Internal`].
pub fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Photo, ImageError> {
    if bytes.is_empty() {
        return Err(ImageError::Empty);
    }
    if bytes.len() > limits.max_bytes {
        return Err(ImageError::TooManyBytes { bytes: bytes.len(), limit: limits.max_bytes });
    }
    let Some(format) = sniff(bytes) else {
        return Err(match format::known_but_unsupported(bytes) {
            Some(name) => ImageError::Unsupported { format: name.to_string() },
            None => ImageError::NotAnImage,
        });
    };
    // Only local values are touched, so nothing can be left half-changed.
    catch_unwind(AssertUnwindSafe(|| match format {
        ImageFormat::Jpeg => jpeg::decode(bytes, limits),
        _ => raster::decode(bytes, format, limits),
    }))
    .unwrap_or(Err(ImageError::Internal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_that_need_no_decoder() {
        let limits = DecodeLimits { max_bytes: 4, ..DecodeLimits::default() };
        assert_eq!(decode(b"", &limits).unwrap_err(), ImageError::Empty);
        assert_eq!(decode(b"12345", &limits).unwrap_err().code(), "too-many-bytes");
        assert_eq!(decode(b"1234", &limits).unwrap_err(), ImageError::NotAnImage);
        assert_eq!(decode(b"8BPS", &limits).unwrap_err().code(), "unsupported-format");
    }

    #[test]
    fn sides_are_limited_however_few_the_pixels() {
        let strip = |side: u32| {
            let mut bytes = std::io::Cursor::new(Vec::new());
            image::GrayImage::new(side, 1).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
            decode(bytes.get_ref(), &DecodeLimits::default())
        };
        assert_eq!(strip(MAX_SIDE).unwrap().width(), MAX_SIDE);
        let refused = strip(MAX_SIDE + 1).unwrap_err();
        assert_eq!(refused.code(), "side-too-long");
        assert_eq!(refused, ImageError::SideTooLong { width: 65_536, height: 1, limit: 65_535 });
    }

    #[test]
    fn a_photo_always_has_its_pixels() {
        let photo = |len, size| Photo::new(vec![0; len], size, Orientation::NoTransforms, ImageFormat::Png);
        assert!(photo(18, (3, 2)).is_ok());
        assert_eq!(photo(0, (0, 2)).unwrap_err(), ImageError::NoPixels);
        assert_eq!(photo(17, (3, 2)).unwrap_err().code(), "corrupt");
    }

    #[test]
    fn the_viewers_size_follows_the_orientation() {
        for (orientation, size) in [
            (Orientation::NoTransforms, (3, 2)),
            (Orientation::Rotate180, (3, 2)),
            (Orientation::Rotate90, (2, 3)),
            (Orientation::Rotate270FlipH, (2, 3)),
        ] {
            let photo = Photo::new(vec![0; 18], (3, 2), orientation, ImageFormat::Png).unwrap();
            assert_eq!(photo.oriented_size(), size, "{orientation:?}");
        }
    }
}
