//! JPEG. The file's own structure is walked first, because the decoder alone would turn a truncated file into a
//! half-grey picture: without a scan and an end marker after it the file counts as cut off. The walk also tells
//! whether the decoder will have to keep every coefficient of the picture in memory. Then zune-jpeg decodes in its
//! strict mode, in which damaged data is an error and not a guess. (A file that was cut and closed again with an end
//! marker of its own is not recognised: to a decoder it is a valid picture with a grey part.)

use image::metadata::Orientation;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::{DecodeLimits, ImageFormat, Photo};
use crate::error::ImageError;

/// Decodes a whole JPEG file. Bytes after the end marker are ignored.
pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Photo, ImageError> {
    let frame = Structure::walk(bytes)?;
    limits.check_pixels(frame.width.into(), frame.height.into())?;
    limits.check_memory(frame.memory())?;

    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(frame.width.into())
        .set_max_height(frame.height.into())
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let rgb = decoder.decode().map_err(from_zune)?;
    let orientation = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
    Photo::new(
        rgb,
        (frame.width.into(), frame.height.into()),
        orientation.unwrap_or(Orientation::NoTransforms),
        ImageFormat::Jpeg,
    )
}

fn from_zune(error: DecodeErrors) -> ImageError {
    match error {
        DecodeErrors::Unsupported(feature) => {
            ImageError::unsupported(ImageFormat::Jpeg, &format!("{feature:?}"))
        }
        DecodeErrors::ExhaustedData => ImageError::Truncated,
        error => ImageError::Corrupt { reason: error.to_string() },
    }
}

/// What the markers of a JPEG file say about it.
#[derive(Debug, PartialEq, Eq)]
struct Structure {
    width: u16,
    height: u16,
    components: u8,
    /// Progressive, or several scans: no row can be finished before the last scan has been read.
    buffered: bool,
}

impl Structure {
    /// Walks the markers up to the end of the image; reads no pixel and allocates nothing.
    fn walk(bytes: &[u8]) -> Result<Self, ImageError> {
        let mut frame: Option<Self> = None;
        let mut scans = 0;
        // After the start marker, which `sniff` has seen.
        let mut at = 2;
        loop {
            let marker = next_marker(bytes, &mut at)?;
            match marker {
                // End of image.
                0xd9 if scans > 0 => break,
                0xd9 => return Err(corrupt("it ends before its first scan")),
                // Markers without a length: TEM, restarts, a second start.
                0x01 | 0xd0..=0xd8 => continue,
                _ => {}
            }
            let segment = segment(bytes, &mut at)?;
            match marker {
                // Start of frame: all of C0 to CF but DHT, JPG and DAC.
                0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                    if frame.is_some() {
                        return Err(corrupt("it has two frame headers"));
                    }
                    frame = Some(Self::frame(marker, segment)?);
                }
                // Start of scan: entropy-coded bytes follow, which `next_marker` skips.
                0xda => {
                    let frame =
                        frame.as_mut().ok_or_else(|| corrupt("a scan comes before the frame header"))?;
                    scans += 1;
                    frame.buffered |= segment.first() != Some(&frame.components);
                }
                _ => {}
            }
        }
        frame.ok_or_else(|| corrupt("it has no frame header"))
    }

    fn frame(marker: u8, segment: &[u8]) -> Result<Self, ImageError> {
        let [precision, h1, h0, w1, w0, components, ..] = *segment else {
            return Err(corrupt("the frame header is too short"));
        };
        if marker > 0xc2 {
            return Err(ImageError::unsupported(ImageFormat::Jpeg, "lossless or arithmetic coding"));
        }
        if precision != 8 {
            return Err(ImageError::unsupported(ImageFormat::Jpeg, "more than 8 bits"));
        }
        let (width, height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
        if width == 0 || height == 0 {
            return Err(ImageError::NoPixels);
        }
        if !matches!(components, 1 | 3 | 4) {
            return Err(ImageError::unsupported(
                ImageFormat::Jpeg,
                &format!("{components} colour components"),
            ));
        }
        Ok(Self { width, height, components, buffered: marker == 0xc2 })
    }

    /// Bytes that decoding takes: the picture, the rows in work, and for a buffered file an i16 per coefficient.
    fn memory(&self) -> u64 {
        // Both sides rounded up to whole blocks of the coarsest subsampling (32 pixels).
        let (width, height) =
            (u64::from(self.width).next_multiple_of(32), u64::from(self.height).next_multiple_of(32));
        let components = u64::from(self.components);
        let picture = u64::from(self.width) * u64::from(self.height) * 3;
        let rows = width * 32 * components * 2 * 4;
        let coefficients = if self.buffered { width * height * components * 2 } else { 0 };
        // The decoder's code tables and the metadata it copies do not grow with the picture.
        picture + rows + coefficients + (256 << 10)
    }
}

/// Moves `at` behind the next marker and gives its code; skips entropy-coded data, stuffed zeros and fill bytes.
fn next_marker(bytes: &[u8], at: &mut usize) -> Result<u8, ImageError> {
    loop {
        let rest = bytes.get(*at..).unwrap_or_default();
        let start = rest.iter().position(|&byte| byte == 0xff).ok_or(ImageError::Truncated)?;
        let code = rest.get(start + 1).ok_or(ImageError::Truncated)?;
        match code {
            0xff => *at += start + 1,
            0x00 => *at += start + 2,
            &code => {
                *at += start + 2;
                return Ok(code);
            }
        }
    }
}

/// The segment's content without its length; moves `at` behind it.
fn segment<'a>(bytes: &'a [u8], at: &mut usize) -> Result<&'a [u8], ImageError> {
    let length = match bytes.get(*at..*at + 2) {
        Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
        _ => return Err(ImageError::Truncated),
    };
    if length < 2 {
        return Err(corrupt("a segment has an impossible length"));
    }
    let content = bytes.get(*at + 2..*at + length).ok_or(ImageError::Truncated)?;
    *at += length;
    Ok(content)
}

fn corrupt(reason: &str) -> ImageError {
    ImageError::Corrupt { reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jpeg() -> Vec<u8> {
        let image = image::RgbImage::from_fn(40, 24, |x, y| image::Rgb([(x * 6) as u8, (y * 10) as u8, 128]));
        let mut bytes = std::io::Cursor::new(Vec::new());
        image.write_to(&mut bytes, image::ImageFormat::Jpeg).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn the_walk_finds_the_frame() {
        let expected = Structure { width: 40, height: 24, components: 3, buffered: false };
        assert_eq!(Structure::walk(&jpeg()).unwrap(), expected);
    }

    #[test]
    fn every_cut_is_noticed() {
        let bytes = jpeg();
        for length in 3..bytes.len() {
            let error = decode(&bytes[..length], &DecodeLimits::default()).unwrap_err();
            assert_eq!(error, ImageError::Truncated, "cut at {length} of {}", bytes.len());
        }
        let photo = decode(&bytes, &DecodeLimits::default()).unwrap();
        assert_eq!((photo.width(), photo.height()), (40, 24));
    }

    #[test]
    fn bytes_after_the_end_are_ignored() {
        let mut bytes = jpeg();
        let photo = decode(&bytes, &DecodeLimits::default()).unwrap();
        bytes.extend_from_slice(b"\xff\xd8 and more");
        assert_eq!(decode(&bytes, &DecodeLimits::default()).unwrap().rgb(), photo.rgb());
    }

    #[test]
    fn sizes_are_refused_before_decoding() {
        let mut bytes = jpeg();
        let sof = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        bytes[sof + 5..sof + 9].copy_from_slice(&[0xff, 0xdc, 0xff, 0xdc]);
        let error = decode(&bytes, &DecodeLimits::default()).unwrap_err();
        assert_eq!(error.code(), "too-many-pixels");
        bytes[sof + 1] = 0xc2; // progressive: 6,000 x 6,000 keeps 216 MB of coefficients
        bytes[sof + 5..sof + 9].copy_from_slice(&[0x17, 0x70, 0x17, 0x70]);
        assert_eq!(decode(&bytes, &DecodeLimits::default()).unwrap_err().code(), "too-much-memory");
        bytes[sof + 5..sof + 9].copy_from_slice(&[0, 0, 0, 40]);
        assert_eq!(decode(&bytes, &DecodeLimits::default()).unwrap_err(), ImageError::NoPixels);
    }
}
