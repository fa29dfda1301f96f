//! Weights files: safetensors, and the state dicts that PyTorch saves, in both of its containers. A file is read in two
//! steps: first where each tensor lies ([`Entry`]), then the values of those that a network asks for. What must stay
//! true: nothing of a file is executed; no memory is taken for what a file only claims to hold; a tensor comes out
//! complete and finite, or there is an error that names it.
//!
//! burn-store's reader of PyTorch files was looked at first. It gives zeros for values that a file lacks, ignores
//! strides, and copies what a pickle refers to again and again, so that a file of a few hundred bytes can ask for any
//! amount of memory.

mod pickle;
mod pytorch;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};

use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use sha2::{Digest as _, Sha256 as Hasher};

use crate::digest::Sha256;
use crate::error::WeightsError;

/// Largest file: VGG19 with its classifier has 575 MB.
pub const MAX_FILE_BYTES: u64 = 1 << 30;
/// Bytes of a safetensors header, or of the pickles of a state dict. ResNet-50's have 50 kB.
const MAX_HEADER_BYTES: u64 = 1 << 20;
/// What PyTorch's `DataParallel` puts before each name.
const PARALLEL: &str = "module.";
/// Bytes that are hashed at once.
const HASH_BYTES: usize = 1 << 20;

/// The kinds of numbers that weights are stored as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    F32,
    F16,
    Bf16,
}

impl Kind {
    fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }
}

/// Where a tensor lies in its file.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    /// Or why its values can't be read.
    kind: Result<Kind, String>,
    shape: Vec<usize>,
    /// Of its first value, in bytes from the beginning of the file. The others follow, row-major.
    start: u64,
}

type Entries = BTreeMap<String, Entry>;

/// An opened weights file.
pub(crate) struct WeightsFile<R> {
    reader: R,
    length: u64,
    entries: Entries,
}

impl<R: Read + Seek> WeightsFile<R> {
    /// Reads where the tensors are.
    pub(crate) fn open(mut reader: R) -> Result<Self, WeightsError> {
        let length = length(&mut reader)?;
        let mut head = Vec::new();
        reader.rewind()?;
        reader.by_ref().take(MAX_HEADER_BYTES + 8).read_to_end(&mut head)?;
        let entries = if head.starts_with(b"PK\x03\x04") {
            pytorch::zipped(&mut reader)?
        } else if pytorch::is_legacy(&head) {
            pytorch::legacy(&head, &mut reader, length)?
        } else {
            safetensors(&head)?
        };
        Ok(Self { reader, length, entries })
    }

    /// Whether there is a tensor of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.entry(name).is_some()
    }

    /// A model that was trained on several devices has names of its own.
    fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name).or_else(|| self.entries.get(&format!("{PARALLEL}{name}")))
    }

    /// The values of a tensor, row-major, widened to f32.
    ///
    /// # Errors
    /// When it is missing, has another shape, is of no kind that is understood, reaches beyond the file, or has a value
    /// that is not finite.
    pub(crate) fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let tensor = || name.to_string();
        let entry = self.entry(name).ok_or_else(|| WeightsError::Missing { tensor: tensor() })?;
        if entry.shape != shape {
            let (found, expected) = (entry.shape.clone(), shape.to_vec());
            return Err(WeightsError::Shape { tensor: tensor(), found, expected });
        }
        let unusable = |reason| WeightsError::Tensor { tensor: tensor(), reason };
        let kind = entry.kind.clone().map_err(unusable)?;
        let bytes = bytes_of(shape, kind)
            .filter(|bytes| entry.start.checked_add(*bytes as u64).is_some_and(|end| end <= self.length));
        let bytes = bytes.ok_or_else(|| unusable("it reaches beyond the end of the file".to_string()))?;
        self.reader.seek(SeekFrom::Start(entry.start))?;
        let mut stored = vec![0; bytes];
        self.reader.read_exact(&mut stored)?;
        let values = widened(&stored, kind);
        if values.iter().all(|value| value.is_finite()) {
            Ok(values)
        } else {
            Err(WeightsError::NotFinite { tensor: tensor() })
        }
    }
}

/// The hash of a whole file.
///
/// # Errors
/// When it is too large or can't be read.
pub fn file_sha256(reader: &mut (impl Read + Seek)) -> Result<Sha256, WeightsError> {
    length(reader)?;
    reader.rewind()?;
    let (mut hasher, mut piece) = (Hasher::new(), vec![0; HASH_BYTES]);
    loop {
        match reader.read(&mut piece)? {
            0 => return Ok(Sha256::new(hasher.finalize().into())),
            count => hasher.update(&piece[..count]),
        }
    }
}

fn length(reader: &mut impl Seek) -> Result<u64, WeightsError> {
    let bytes = reader.seek(SeekFrom::End(0))?;
    if bytes > MAX_FILE_BYTES {
        return Err(WeightsError::TooLarge { bytes, limit: MAX_FILE_BYTES });
    }
    Ok(bytes)
}

fn not_weights(reason: impl Into<String>) -> WeightsError {
    WeightsError::NotWeights { reason: reason.into() }
}

/// The table of a safetensors file, from its first bytes: the length of the header, then the header as JSON.
fn safetensors(head: &[u8]) -> Result<Entries, WeightsError> {
    let unknown = || not_weights("it is neither safetensors nor a state dict of PyTorch");
    let length = head.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)).ok_or_else(unknown)?;
    if head.get(8) != Some(&b'{') {
        return Err(unknown());
    }
    if length > MAX_HEADER_BYTES {
        return Err(not_weights(format!("its header would have {length} bytes")));
    }
    let header = head.get(8..8 + length as usize).ok_or_else(|| not_weights("its header is cut off"))?;
    let metadata: Metadata =
        serde_json::from_slice(header).map_err(|error| not_weights(format!("its header: {error}")))?;
    let entry = |(name, info): (String, &TensorInfo)| {
        let (start, end) = info.data_offsets;
        let kind = match info.dtype {
            Dtype::F32 => Ok(Kind::F32),
            Dtype::F16 => Ok(Kind::F16),
            Dtype::BF16 => Ok(Kind::Bf16),
            other => Err(format!("its values are {other:?}, not f32, f16 or bf16")),
        };
        let kind = kind.and_then(|kind| match bytes_of(&info.shape, kind) {
            Some(bytes) if start.checked_add(bytes) == Some(end) => Ok(kind),
            _ => Err("its bytes do not fit its shape".to_string()),
        });
        (name, Entry { kind, shape: info.shape.clone(), start: (8 + length).saturating_add(start as u64) })
    };
    Ok(metadata.tensors().into_iter().map(entry).collect())
}

/// Bytes of the values of a tensor; `None` if no memory could hold them.
fn bytes_of(shape: &[usize], kind: Kind) -> Option<usize> {
    shape.iter().try_fold(kind.bytes(), |product, &side| product.checked_mul(side))
}

fn widened(bytes: &[u8], kind: Kind) -> Vec<f32> {
    fn each<const N: usize>(bytes: &[u8], widen: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes.as_chunks().0.iter().map(|value| widen(*value)).collect()
    }
    match kind {
        Kind::F32 => each(bytes, f32::from_le_bytes),
        Kind::F16 => each(bytes, |value| f16::from_le_bytes(value).to_f32()),
        Kind::Bf16 => each(bytes, |value| bf16::from_le_bytes(value).to_f32()),
    }
}
