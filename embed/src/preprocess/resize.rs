//! Resizing, cropping and turning, on the photo as it is stored: what EXIF says about its orientation is applied to the
//! small result. That is the same only if a crop heeds the axes that turning reverses, see [`centre`].

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};

use crate::decode::Photo;

/// Resizes the photo as stored, without regard to its orientation. `width` and `height` must not be 0.
pub(crate) fn resize(photo: &Photo, width: u32, height: u32) -> RgbImage {
    let size = |length: u32| (0.0, f64::from(length));
    resize_part(photo, [size(photo.width()), size(photo.height())], width, height)
}

/// The `side` x `side` pixels in the middle of the photo resized so that its short side has `short` pixels, more than
/// `side`; not turned, but those that are in the middle of the photo when it is.
///
/// Only the pixels that are kept are computed: a photo of 1 x 65,535 pixels, resized so that its short side has 256, would
/// have 4 · 10⁹ of them.
pub(super) fn centre(photo: &Photo, short: u32, side: u32) -> RgbImage {
    let stored_short = u64::from(photo.width().min(photo.height()));
    let window = |(stored, reversed): (u32, bool)| {
        let resized = u64::from(short) * u64::from(stored) / stored_short;
        let margin = resized - u64::from(side);
        // Half of it, half a pixel going to the even number; seen from the other end where the axis is reversed.
        let upright = margin / 2 + margin % 2 * (margin / 2 % 2);
        let before = if reversed { margin - upright } else { upright };
        let scale = f64::from(stored) / resized as f64;
        (before as f64 * scale, f64::from(side) * scale)
    };
    let (x_reversed, y_reversed) = reversed(photo.orientation());
    let part = [(photo.width(), x_reversed), (photo.height(), y_reversed)].map(window);
    resize_part(photo, part, side, side)
}

/// Resizes the part of the photo that begins at, and is as large as, `[(left, width), (top, height)]` says, in pixels and
/// fractions of them. The filter reaches beyond the part where there are pixels, so that the result is the same as that
/// part of the whole photo resized.
#[expect(clippy::expect_used, reason = "a Photo always holds width x height RGB pixels and is never empty")]
fn resize_part(photo: &Photo, [x, y]: [(f64, f64); 2], width: u32, height: u32) -> RgbImage {
    let source = ImageRef::new(photo.width(), photo.height(), photo.rgb(), PixelType::U8x3)
        .expect("a photo's pixels fill its width and height");
    let mut target = Image::new(width, height, PixelType::U8x3);
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
        .use_alpha(false)
        .crop(x.0, y.0, x.1, y.1);
    // A new `Resizer` takes the best instruction set that this processor has.
    Resizer::new()
        .resize(&source, &mut target, &options)
        .expect("both images have pixels of the same type, and the part lies within the photo");
    RgbImage::from_raw(width, height, target.into_vec()).expect("the target has width x height pixels")
}

/// Turns and flips an image so that it is seen as its EXIF orientation says.
pub(crate) fn orient(image: RgbImage, orientation: Orientation) -> RgbImage {
    let mut image = DynamicImage::ImageRgb8(image);
    image.apply_orientation(orientation);
    image.into_rgb8()
}

/// Whether turning a photo upright reverses the order of its stored columns, and of its stored rows.
fn reversed(orientation: Orientation) -> (bool, bool) {
    match orientation {
        // The last one swaps the axes and reverses neither.
        Orientation::NoTransforms | Orientation::Rotate90FlipH => (false, false),
        Orientation::FlipHorizontal | Orientation::Rotate270 => (true, false),
        Orientation::FlipVertical | Orientation::Rotate90 => (false, true),
        Orientation::Rotate180 | Orientation::Rotate270FlipH => (true, true),
    }
}
