//! From a decoded photo to the network's input, exactly as the golden features define it ("keras-bilinear-224-v1"):
//! resized straight to 224x224 whatever the aspect ratio, with a triangle filter whose support grows with the
//! reduction (Pillow's `BILINEAR`), kept as 8-bit integers, upright; as floats in B, G, R order minus the ImageNet
//! means. Any change here changes every vector and needs a new [`PREPROCESSING`] name.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};

use crate::decode::Photo;

/// The name of this recipe in [`crate::ModelIdentity`].
pub const PREPROCESSING: &str = "keras-bilinear-224-v1";

/// Width and height of the network's input in pixels.
pub const SIDE: usize = 224;

/// What Keras subtracts from B, G and R (on a scale of 0 to 255): the means of ImageNet.
const MEAN_BGR: [f32; 3] = [103.939, 116.779, 123.68];

/// One preprocessed image: 224x224 RGB bytes. It becomes floats only inside a batch, so that a waiting image costs
/// 150 kB and not 600.
#[derive(Clone, PartialEq, Eq)]
pub struct Input(Box<[u8]>);

impl Input {
    /// The 224x224 RGB pixels, row-major: what the network sees before the means are subtracted.
    pub fn rgb(&self) -> &[u8] {
        &self.0
    }

    /// An input from 224x224 RGB pixels that somebody else has prepared; `None` if there are not 150,528 bytes.
    pub fn from_rgb(pixels: Vec<u8>) -> Option<Self> {
        (pixels.len() == SIDE * SIDE * 3).then(|| Self(pixels.into_boxed_slice()))
    }

    /// Writes the pixels as B, G, R minus their means with a border of one pixel of zeros: `[226, 226, 3]` row-major.
    pub(crate) fn write_padded(&self, pixels: &mut Vec<f32>) {
        const ROW: usize = (SIDE + 2) * 3;
        pixels.clear();
        pixels.resize((SIDE + 2) * ROW, 0.0);
        let rows = pixels.chunks_exact_mut(ROW).skip(1);
        for (row, from) in rows.zip(self.0.chunks_exact(SIDE * 3)) {
            for (to, from) in row[3..].chunks_exact_mut(3).zip(from.chunks_exact(3)) {
                for ((to, channel), mean) in to.iter_mut().zip([2, 1, 0]).zip(MEAN_BGR) {
                    *to = f32::from(from[channel]) - mean;
                }
            }
        }
    }

    /// Appends the `[3, 224, 224]` planes B, G, R minus their means.
    #[cfg(any(test, feature = "cuda"))]
    pub(crate) fn write_planes(&self, planes: &mut Vec<f32>) {
        for (channel, mean) in [2, 1, 0].into_iter().zip(MEAN_BGR) {
            planes.extend(self.0.iter().skip(channel).step_by(3).map(|&value| f32::from(value) - mean));
        }
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Input(224x224 RGB)")
    }
}

/// Makes the network's input of a photo of any size and orientation.
pub fn preprocess(photo: &Photo) -> Input {
    let side = SIDE as u32;
    // Resizing first and turning the small result keeps memory flat; for a square the two commute.
    let small = resize(photo, side, side);
    Input(orient(small, photo.orientation()).into_raw().into_boxed_slice())
}

/// Resizes the photo as stored, without regard to its orientation. `width` and `height` must not be 0.
#[expect(clippy::expect_used, reason = "a Photo always holds width x height RGB pixels and is never empty")]
pub(crate) fn resize(photo: &Photo, width: u32, height: u32) -> RgbImage {
    let source = ImageRef::new(photo.width(), photo.height(), photo.rgb(), PixelType::U8x3)
        .expect("a photo's pixels fill its width and height");
    let mut target = Image::new(width, height, PixelType::U8x3);
    let options =
        ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).use_alpha(false);
    // A new `Resizer` takes the best instruction set that this processor has.
    Resizer::new().resize(&source, &mut target, &options).expect("both images have pixels of the same type");
    RgbImage::from_raw(width, height, target.into_vec()).expect("the target has width x height pixels")
}

/// Turns and flips an image so that it is seen as its EXIF orientation says.
pub(crate) fn orient(image: RgbImage, orientation: Orientation) -> RgbImage {
    let mut image = DynamicImage::ImageRgb8(image);
    image.apply_orientation(orientation);
    image.into_rgb8()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{DecodeLimits, decode};

    fn photo(image: &RgbImage) -> Photo {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        decode(bytes.get_ref(), &DecodeLimits::default()).unwrap()
    }

    #[test]
    fn a_photo_of_the_right_size_is_not_touched() {
        let image = RgbImage::from_fn(224, 224, |x, y| image::Rgb([x as u8, y as u8, (x ^ y) as u8]));
        assert_eq!(preprocess(&photo(&image)).rgb(), image.as_raw().as_slice());
    }

    #[test]
    fn planes_are_blue_green_red_minus_their_means() {
        let image = RgbImage::from_pixel(1, 1, image::Rgb([10, 20, 30]));
        let mut planes = vec![7.0];
        preprocess(&photo(&image)).write_planes(&mut planes);
        assert_eq!(planes.len(), 1 + 3 * SIDE * SIDE);
        assert_eq!(planes[1], 30.0 - 103.939);
        assert_eq!(planes[1 + SIDE * SIDE], 20.0 - 116.779);
        assert_eq!(planes[3 * SIDE * SIDE], 10.0 - 123.68);
    }

    #[test]
    fn padded_pixels_are_the_planes_within_zeros() {
        let image = RgbImage::from_fn(224, 224, |x, y| image::Rgb([x as u8, y as u8, (x + y) as u8]));
        let input = preprocess(&photo(&image));
        let (mut planes, mut padded) = (Vec::new(), vec![7.0]);
        input.write_planes(&mut planes);
        input.write_padded(&mut padded);
        assert_eq!(padded.len(), 226 * 226 * 3);
        for (at, &value) in padded.iter().enumerate() {
            let (y, x, channel) = (at / 3 / 226, at / 3 % 226, at % 3);
            let inside = (1..=SIDE).contains(&y) && (1..=SIDE).contains(&x);
            let expected = if inside { planes[(channel * SIDE + y - 1) * SIDE + x - 1] } else { 0.0 };
            assert_eq!(value, expected, "{y} {x} {channel}");
        }
    }

    #[test]
    fn a_thin_line_is_averaged_not_skipped() {
        // One white column in eight: without antialiasing most outputs would be black or white.
        let image = RgbImage::from_fn(1792, 8, |x, _| image::Rgb([if x % 8 == 4 { 255 } else { 0 }; 3]));
        let input = preprocess(&photo(&image));
        assert!(input.rgb().iter().all(|&value| (25..=40).contains(&value)), "{:?}", &input.rgb()[..30]);
    }
}
