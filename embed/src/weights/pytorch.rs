//! The two containers of PyTorch's state dicts. Since 1.6 a zip archive, nothing in it compressed: `data.pkl` describes
//! the tensors, `data/<key>` are their values. Before it, four pickles (a magic number, a version, the machine, the
//! tensors), one with the keys in order, and then for each key the number of its values and the values.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};
use std::rc::Rc;

use zip::{CompressionMethod, ZipArchive};

use super::pickle::{self, Pickle, Tensor};
use super::{Entries, Entry, MAX_HEADER_BYTES, bytes_of, not_weights};
use crate::error::WeightsError;

/// How a file before 1.6 begins: the pickle of PyTorch's magic number.
const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
/// Pickles before the one with the tensors, the magic number included.
const PREFACE: usize = 3;
const PICKLE: &str = "data.pkl";

/// Where the values of a storage are: the first byte and the number of bytes.
type Places = HashMap<Rc<str>, (u64, u64)>;

pub(super) fn is_legacy(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// The table of a zip archive.
pub(super) fn zipped(reader: &mut (impl Read + Seek)) -> Result<Entries, WeightsError> {
    let broken = |error: zip::result::ZipError| not_weights(format!("its zip archive: {error}"));
    let mut archive = ZipArchive::new(reader).map_err(broken)?;
    let pickle = archive.file_names().find(|name| name.rsplit('/').next() == Some(PICKLE));
    let pickle = pickle.ok_or_else(|| not_weights("a zip archive without data.pkl"))?.to_owned();
    let folder = pickle.trim_end_matches(PICKLE).to_owned();
    let mut text = Vec::new();
    let described = archive.by_name(&pickle).map_err(broken)?;
    described.take(MAX_HEADER_BYTES).read_to_end(&mut text)?;
    let (pickle, _) = pickle::read(&text)?;
    let mut places = Places::new();
    for (_, tensor) in pickle.tensors()? {
        let key = &tensor.storage.key;
        let Some(index) = archive.index_for_name(&format!("{folder}data/{key}")) else {
            return Err(not_weights(format!("its archive lacks the values data/{key}")));
        };
        let stored = archive.by_index_raw(index).map_err(broken)?;
        match stored.data_start() {
            Some(start) if stored.compression() == CompressionMethod::Stored && !stored.encrypted() => {
                places.insert(Rc::clone(key), (start, stored.size()));
            }
            _ => return Err(not_weights("its archive is compressed: store it as PyTorch does")),
        }
    }
    let mut order = Vec::new();
    if let Some(index) = archive.index_for_name(&format!("{folder}byteorder")) {
        archive.by_index(index).map_err(broken)?.take(16).read_to_end(&mut order)?;
    }
    if order == b"big" {
        return Err(not_weights("its numbers are big-endian"));
    }
    entries(&pickle, &places)
}

/// The table of a file before 1.6; `head` is its beginning.
pub(super) fn legacy(
    head: &[u8],
    reader: &mut (impl Read + Seek),
    length: u64,
) -> Result<Entries, WeightsError> {
    let mut at = 0;
    let mut next = || -> Result<(Pickle, u64), WeightsError> {
        let (pickle, used) = pickle::read(&head[at..])?;
        at += used;
        Ok((pickle, at as u64))
    };
    for _ in 0..PREFACE {
        next()?;
    }
    let (tensors, _) = next()?;
    let (keys, mut start) = next()?;
    let keys = keys.texts().ok_or_else(|| not_weights("it has no list of storages"))?;
    let widths: HashMap<&str, usize> =
        tensors.storages().map(|storage| (&*storage.key, storage.width)).collect();
    let mut places = Places::new();
    for key in keys {
        let mut count = [0; 8];
        reader.seek(SeekFrom::Start(start))?;
        reader.read_exact(&mut count)?;
        start += 8;
        let width =
            widths.get(key).ok_or_else(|| not_weights(format!("no tensor is in the storage {key}")))?;
        let bytes = u64::from_le_bytes(count).checked_mul(*width as u64).filter(|bytes| *bytes <= length);
        let bytes = bytes.ok_or_else(|| not_weights(format!("the storage {key} is larger than the file")))?;
        places.insert(key.into(), (start, bytes));
        start += bytes;
    }
    entries(&tensors, &places)
}

/// Brings together what the pickle says of the tensors and where their values are.
fn entries(pickle: &Pickle, places: &Places) -> Result<Entries, WeightsError> {
    let entry = |(name, tensor): (&str, &Tensor)| {
        let Tensor { storage, offset, shape, contiguous } = tensor;
        let placed = storage.kind.clone().and_then(|kind| {
            if !contiguous {
                return Err("its values do not lie row by row: save it contiguous()".to_string());
            }
            let first = offset.checked_mul(kind.bytes());
            let end = first.and_then(|first| first.checked_add(bytes_of(shape, kind)?));
            match (places.get(&storage.key), first, end) {
                (Some(&(start, bytes)), Some(first), Some(end)) if end as u64 <= bytes => {
                    Ok((kind, start + first as u64))
                }
                _ => Err("its storage is too small for it".to_string()),
            }
        });
        let start = placed.as_ref().map_or(0, |placed| placed.1);
        (name.to_string(), Entry { kind: placed.map(|placed| placed.0), shape: shape.clone(), start })
    };
    Ok(pickle.tensors()?.map(entry).collect())
}
