//! From bytes to the floats that a network was trained with.

/// How the three channels of a pixel become floats. It belongs to a network's weights, not to a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Normalisation {
    /// B, G, R on a scale of 0 to 255 minus the means of ImageNet, as Caffe had it and Keras has it for VGG.
    Caffe,
    /// R, G, B on a scale of 0 to 1, minus the means of ImageNet, divided by its standard deviations.
    Torchvision,
}

impl Normalisation {
    /// For each of the network's three inputs the place of its byte in an RGB pixel and the float of each byte.
    pub(super) fn channels(self) -> [(usize, [f32; 256]); 3] {
        let table = |of: &dyn Fn(f32) -> f32| std::array::from_fn(|byte| of(byte as f32));
        match self {
            Self::Caffe => {
                [(2, 103.939), (1, 116.779), (0, 123.68)].map(|(at, mean)| (at, table(&|byte| byte - mean)))
            }
            Self::Torchvision => [(0, 0.485, 0.229), (1, 0.456, 0.224), (2, 0.406, 0.225)]
                .map(|(at, mean, deviation)| (at, table(&|byte| (byte / 255.0 - mean) / deviation))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_become_zero_in_each_order() {
        let [(b, blue), (_, green), (r, red)] = Normalisation::Caffe.channels();
        assert_eq!((b, r, blue[104], green[0], red[255]), (2, 0, 104.0 - 103.939, -116.779, 255.0 - 123.68));
        let [(r, red), (_, green), (b, blue)] = Normalisation::Torchvision.channels();
        assert_eq!((r, b), (0, 2));
        assert!((red[255] - (1.0 - 0.485) / 0.229).abs() < 1e-6);
        assert!((green[0] + 0.456 / 0.224).abs() < 1e-6 && (blue[51] - (0.2 - 0.406) / 0.225).abs() < 1e-6);
    }
}
