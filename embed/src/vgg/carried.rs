//! The weights file carried inside the program. Its bytes must never change under the same name: their SHA-256 is part of
//! every collection's model identity.

use crate::digest::Sha256;

/// SHA-256 of the weights file; a test computes it again.
pub(crate) const WEIGHTS_SHA256: Sha256 = Sha256::new([
    0x79, 0x75, 0x19, 0x7d, 0xd9, 0x6a, 0x69, 0xfd, 0x8e, 0xc1, 0xca, 0x58, 0x78, 0x34, 0x23, 0x54, 0xf3,
    0x0a, 0x1c, 0xfd, 0xeb, 0x87, 0x6a, 0x71, 0x4c, 0xa3, 0xd6, 0x69, 0x8f, 0x89, 0x70, 0x8b,
]);

/// The file itself, see `embed/models/README.md` for its origin and licence.
pub(crate) static WEIGHTS: &[u8] = include_bytes!("../../models/vgg16-imagenet-notop.f16.safetensors");

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::weights::{self, WeightsFile};

    #[test]
    fn the_carried_file_is_the_one_named_in_the_identity() {
        assert_eq!(weights::file_sha256(&mut Cursor::new(WEIGHTS)).unwrap(), WEIGHTS_SHA256);
        assert_eq!(
            WEIGHTS_SHA256.to_string(),
            "7975197dd96a69fd8ec1ca5878342354f30a1cfdeb876a714ca3d6698f89708b"
        );
    }

    #[test]
    fn reads_the_first_convolution() {
        let mut file = WeightsFile::open(Cursor::new(WEIGHTS)).unwrap();
        let kernel = file.tensor("features.0.weight", &[64, 3, 3, 3]).unwrap();
        assert!(kernel.len() == 64 * 3 * 9 && kernel.iter().all(|value| value.abs() < 10.0));
        assert!(file.tensor("features.1.weight", &[64, 3, 3, 3]).is_err());
    }
}
