//! Every format but JPEG, through the `image` crate, and the rules that bring any pixel to 8-bit RGB: 16 bits are
//! scaled (never clipped), grey becomes three equal channels, and transparency is blended on white, which is what
//! a person sees of such a picture on a page. Colour profiles are not applied, as in the reference features.
//! What a decoder will take is estimated from the header and checked before it allocates.

use std::io::{Cursor, ErrorKind};

use image::error::ImageError as DecoderError;
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageReader, Limits};

use super::{DecodeLimits, ImageFormat, Photo};
use crate::error::ImageError;

/// What a decoder needs whatever the picture's size: windows, code tables, rows.
const DECODER_TABLES: u64 = 1 << 20;

/// Decodes the first (or only) picture of a file that [`super::sniff`] took for `format`.
pub(super) fn decode(bytes: &[u8], format: ImageFormat, limits: &DecodeLimits) -> Result<Photo, ImageError> {
    if let (ImageFormat::Png, Some((width, height))) = (format, png_size(bytes)) {
        // The PNG decoder makes room for rows while it reads the header.
        limits.check_pixels(width, height)?;
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format.to_image());
    // Pixels and totals are checked below with better words; this bounds what the decoders add of their own.
    let mut inner = Limits::no_limits();
    inner.max_alloc = Some(limits.max_memory);
    reader.limits(inner);
    let mut decoder = reader.into_decoder().map_err(|error| from_decoder(error, format, limits))?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(ImageError::NoPixels);
    }
    limits.check_pixels(width, height)?;
    limits.check_memory(memory(format, decoder.color_type(), u64::from(width) * u64::from(height)))?;
    // A damaged orientation does not make a picture useless.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let image = DynamicImage::from_decoder(decoder).map_err(|error| from_decoder(error, format, limits))?;
    Photo::new(into_rgb(image), (width, height), orientation, format)
}

/// Width and height from a PNG's header chunk, which the format puts first.
fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let number = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    Some((number(16)?, number(20)?))
}

/// Bytes that decoding takes, from above: the decoder's own buffers, its output, and the RGB copy if one is needed.
fn memory(format: ImageFormat, color: ColorType, pixels: u64) -> u64 {
    let own = match format {
        // Row by row into the output.
        ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::Bmp => 0,
        // Lossless: one u32 per pixel; lossy: planes and an alpha plane; animated: the canvas.
        ImageFormat::WebP => 8,
        // The frame, when it does not fill the screen.
        ImageFormat::Gif => 4,
        // The whole image, before it is copied to the output, and a strip.
        ImageFormat::Tiff => 2 * u64::from(color.bytes_per_pixel()),
    };
    let copy = match color {
        ColorType::Rgb8 | ColorType::Rgba8 => 0,
        _ => 3,
    };
    pixels.saturating_mul(own + u64::from(color.bytes_per_pixel()) + copy).saturating_add(DECODER_TABLES)
}

/// Any decoded image to RGB bytes; 8-bit colour is converted in place.
fn into_rgb(image: DynamicImage) -> Vec<u8> {
    let pixels = image.width() as usize * image.height() as usize;
    match image {
        DynamicImage::ImageRgb8(image) => image.into_raw(),
        DynamicImage::ImageRgba8(image) => rgba_in_place(image.into_raw()),
        DynamicImage::ImageLuma8(image) => gather(pixels, image.pixels().map(|pixel| [pixel.0[0]; 3])),
        DynamicImage::ImageLumaA8(image) => {
            gather(pixels, image.pixels().map(|pixel| [on_white(pixel.0[0], pixel.0[1]); 3]))
        }
        DynamicImage::ImageLuma16(image) => {
            gather(pixels, image.pixels().map(|pixel| [to_8_bits(pixel.0[0]); 3]))
        }
        DynamicImage::ImageLumaA16(image) => {
            let grey = |[value, alpha]: [u8; 2]| [on_white(value, alpha); 3];
            gather(pixels, image.pixels().map(|pixel| grey(pixel.0.map(to_8_bits))))
        }
        DynamicImage::ImageRgb16(image) => gather(pixels, image.pixels().map(|pixel| pixel.0.map(to_8_bits))),
        DynamicImage::ImageRgba16(image) => {
            gather(pixels, image.pixels().map(|pixel| rgb_on_white(pixel.0.map(to_8_bits))))
        }
        DynamicImage::ImageRgb32F(image) => {
            gather(pixels, image.pixels().map(|pixel| pixel.0.map(unit_to_8_bits)))
        }
        DynamicImage::ImageRgba32F(image) => {
            gather(pixels, image.pixels().map(|pixel| rgb_on_white(pixel.0.map(unit_to_8_bits))))
        }
        other => other.into_rgb8().into_raw(),
    }
}

/// Collects pixels into memory of exactly their size, as [`memory`] promises.
fn gather(count: usize, pixels: impl Iterator<Item = [u8; 3]>) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(count * 3);
    pixels.for_each(|pixel| rgb.extend_from_slice(&pixel));
    rgb
}

/// Blends RGBA on white and closes the gaps, in the same memory.
fn rgba_in_place(mut pixels: Vec<u8>) -> Vec<u8> {
    let count = pixels.len() / 4;
    for pixel in 0..count {
        let blended = rgb_on_white(std::array::from_fn(|channel| pixels[pixel * 4 + channel]));
        pixels[pixel * 3..pixel * 3 + 3].copy_from_slice(&blended);
    }
    pixels.truncate(count * 3);
    pixels
}

fn rgb_on_white([r, g, b, alpha]: [u8; 4]) -> [u8; 3] {
    [r, g, b].map(|value| on_white(value, alpha))
}

/// `value` with this alpha in front of white, rounded to nearest.
fn on_white(value: u8, alpha: u8) -> u8 {
    let (value, alpha) = (u32::from(value), u32::from(alpha));
    ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

/// 65535 becomes 255, rounded to nearest.
fn to_8_bits(value: u16) -> u8 {
    ((u32::from(value) * 255 + 32_767) / 65_535) as u8
}

/// 1.0 becomes 255; anything outside 0..=1, and NaN, is clamped.
fn unit_to_8_bits(value: f32) -> u8 {
    (value * 255.0).round() as u8
}

fn from_decoder(error: DecoderError, format: ImageFormat, limits: &DecodeLimits) -> ImageError {
    match error {
        DecoderError::Limits(_) => ImageError::TooMuchMemory { limit: limits.max_memory },
        DecoderError::Unsupported(error) => ImageError::unsupported(format, &error.to_string()),
        DecoderError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => ImageError::Truncated,
        error if caused_by_eof(&error) => ImageError::Truncated,
        error => ImageError::Corrupt { reason: error.to_string() },
    }
}

/// The decoders wrap an early end of data in errors of their own.
fn caused_by_eof(error: &DecoderError) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|error| error.kind() == ErrorKind::UnexpectedEof) {
            return true;
        }
        source = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use image::{GrayAlphaImage, ImageBuffer, Luma, LumaA, Rgb, Rgba, RgbaImage};

    use super::*;

    #[test]
    fn transparency_is_blended_on_white() {
        let pixels = [[0, 0, 0, 0], [200, 100, 0, 255], [0, 100, 255, 128]].concat();
        let image = RgbaImage::from_raw(3, 1, pixels).unwrap();
        assert_eq!(into_rgb(image.into()), [255, 255, 255, 200, 100, 0, 127, 177, 255]);
        let grey = GrayAlphaImage::from_pixel(1, 1, LumaA([0, 255]));
        assert_eq!(into_rgb(grey.into()), [0, 0, 0]);
    }

    #[test]
    fn sixteen_bits_are_scaled() {
        for (wide, narrow) in
            [(0, 0), (128, 0), (129, 1), (257, 1), (32_768, 128), (65_406, 254), (65_535, 255)]
        {
            let grey = ImageBuffer::from_pixel(1, 1, Luma([wide]));
            assert_eq!(into_rgb(DynamicImage::ImageLuma16(grey)), [narrow; 3], "{wide}");
            let colour = ImageBuffer::from_pixel(1, 1, Rgb([wide, 0, 65_535u16]));
            assert_eq!(into_rgb(DynamicImage::ImageRgb16(colour)), [narrow, 0, 255], "{wide}");
            let alpha = ImageBuffer::from_pixel(1, 1, Rgba([wide, 0, 0, 65_535u16]));
            assert_eq!(into_rgb(DynamicImage::ImageRgba16(alpha)), [narrow, 0, 0], "{wide}");
        }
    }

    #[test]
    fn floats_are_clamped() {
        let image = ImageBuffer::from_pixel(1, 1, Rgb([-1.0, 0.5, f32::NAN]));
        assert_eq!(into_rgb(DynamicImage::ImageRgb32F(image)), [0, 128, 0]);
    }

    #[test]
    fn the_estimate_never_overflows() {
        assert_eq!(memory(ImageFormat::Tiff, ColorType::Rgba32F, u64::MAX), u64::MAX);
    }
}
