//! A reduction as the bytes of a file, and back: `storage/FORMAT.md` says what each of them is.

use sha2::{Digest, Sha256};

use super::Reduction;
use crate::error::ReductionError;
use crate::identity::ModelIdentity;

const MAGIC: &[u8; 8] = b"ELANREDU";
const VERSION: u32 = 1;
const CHECKSUM: usize = 32;

impl Reduction {
    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let identity = self.source.to_string();
        let mut bytes = MAGIC.to_vec();
        let numbers =
            [VERSION as usize, usize::from(self.whitened), self.mean.len(), self.dimension, identity.len()];
        // All far below 2^32: vectors have at most some thousand values, an identity some hundred bytes.
        numbers.iter().for_each(|number| bytes.extend((*number as u32).to_le_bytes()));
        bytes.extend(identity.as_bytes());
        self.mean.iter().chain(&self.projection).for_each(|value| bytes.extend(value.to_le_bytes()));
        let checksum = Sha256::digest(&bytes);
        bytes.extend(checksum);
        bytes
    }

    /// SHA-256 of the file, 64 lower-case hex digits.
    pub(super) fn sha256(&self) -> String {
        Sha256::digest(self.to_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`ReductionError::Damaged`] unless it is a whole, unchanged file of a version that this program knows.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReductionError> {
        let damaged = |reason: &str| ReductionError::Damaged { reason: reason.to_owned() };
        if !bytes.starts_with(MAGIC) {
            return Err(damaged("it does not begin like one"));
        }
        let cut = bytes.len().checked_sub(CHECKSUM).ok_or_else(|| damaged("it is cut off"))?;
        let (content, checksum) = bytes.split_at(cut);
        if Sha256::digest(content).as_slice() != checksum {
            return Err(damaged("its checksum is wrong"));
        }
        let mut rest = Rest(content.get(MAGIC.len()..).unwrap_or_default());
        let version = rest.number()?;
        if version != VERSION as usize {
            return Err(damaged(&format!("its version is {version}, and this program reads {VERSION}")));
        }
        let whitened = match rest.number()? {
            0 => false,
            1 => true,
            _ => return Err(damaged("it is neither with nor without whitening")),
        };
        let (inputs, dimension, length) = (rest.number()?, rest.number()?, rest.number()?);
        let text = std::str::from_utf8(rest.take(length)?).map_err(|_| damaged("its identity is no text"))?;
        let source: ModelIdentity = text.parse().map_err(|_| damaged("its identity can't be read"))?;
        if source.reduction.is_some() || source.dimension != inputs || !(1..=inputs).contains(&dimension) {
            return Err(damaged("its sizes contradict each other"));
        }
        let (mean, projection) = (rest.floats(inputs)?, rest.floats(inputs.saturating_mul(dimension))?);
        if !rest.0.is_empty() {
            return Err(damaged("it is too long"));
        }
        if !mean.iter().chain(&projection).all(|value| value.is_finite()) {
            return Err(damaged("it holds values that are no numbers"));
        }
        Ok(Self { source, dimension, whitened, mean, projection })
    }
}

/// What is left to read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], ReductionError> {
        let cut = self.0.split_at_checked(length);
        let (taken, rest) =
            cut.ok_or_else(|| ReductionError::Damaged { reason: "it is too short".to_owned() })?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<usize, ReductionError> {
        let bytes = self.take(4)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    fn floats(&mut self, count: usize) -> Result<Vec<f32>, ReductionError> {
        let values = self.take(count.saturating_mul(4))?.chunks_exact(4);
        Ok(values.map(|value| f32::from_le_bytes([value[0], value[1], value[2], value[3]])).collect())
    }
}
