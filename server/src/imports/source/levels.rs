//! How many elements the rows of a Parquet file have. Repetition levels are stored as runs: a few bytes can stand for
//! thousands of millions of elements of one row, which the decoder would make all at once. They are counted here first.

use std::fs::File;
use std::sync::Arc;

use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

use super::Fault;

/// Most elements of one row: a sparse vector or a JSON text as bytes may have this many.
const MAX_ELEMENTS: u64 = 65_536;

/// The most elements that one row of a group has in a column of lists.
///
/// # Errors
/// A page that can't be read; a row with more elements than any field takes.
pub(super) fn longest(file: &Arc<File>, group: &RowGroupMetaData, column: usize) -> Result<u64, Fault> {
    let broken = |error: &dyn std::fmt::Display| Fault::File(format!("a column can't be read: {error}"));
    let rows = usize::try_from(group.num_rows()).map_err(|error| broken(&error))?;
    let chunk = group.column(column);
    let pages = SerializedPageReader::new(Arc::clone(file), chunk, rows, None);
    let mut pages = pages.map_err(|error| broken(&error))?;
    let mut count = Count::default();
    while let Some(page) = pages.get_next_page().map_err(|error| broken(&error))? {
        let counted = match &page {
            Page::DictionaryPage { .. } => Some(()),
            Page::DataPage { buf, num_values, rep_level_encoding: Encoding::RLE, .. } => {
                prefixed(buf).and_then(|levels| count.page(levels, (*num_values).into()))
            }
            Page::DataPage { .. } => None,
            Page::DataPageV2 { buf, num_values, rep_levels_byte_len, .. } => {
                let levels = buf.get(..*rep_levels_byte_len as usize);
                levels.and_then(|levels| count.page(levels, (*num_values).into()))
            }
        };
        counted.ok_or_else(|| broken(&"its levels are not whole"))?;
        if count.longest > MAX_ELEMENTS {
            return Err(Fault::File(format!(
                "a row has more than {MAX_ELEMENTS} elements in the column {}",
                chunk.column_path()
            )));
        }
    }
    Ok(count.longest)
}

/// Levels behind their length.
fn prefixed(page: &[u8]) -> Option<&[u8]> {
    let (len, rest) = page.split_first_chunk::<4>()?;
    rest.get(..u32::from_le_bytes(*len) as usize)
}

/// Elements of the row that is being read, and of the longest one. Level 0 begins a row, level 1 goes on with it.
#[derive(Debug, Default)]
struct Count {
    current: u64,
    longest: u64,
}

impl Count {
    /// Counts a page: runs of equal levels and packed bits in turns, as the format has them. `None` when they end early.
    fn page(&mut self, mut levels: &[u8], mut values: u64) -> Option<()> {
        while values > 0 {
            let header = varint(&mut levels)?;
            if header & 1 == 0 {
                let run = (header >> 1).min(values);
                let (&level, rest) = levels.split_first()?;
                levels = rest;
                if run == 0 {
                    return None;
                }
                self.run(level & 1 == 1, run);
                values -= run;
            } else {
                let bytes = usize::try_from(header >> 1).ok().filter(|&bytes| bytes > 0)?;
                // The last group may be cut off where no values are left.
                let packed = levels.get(..bytes.min(levels.len()))?;
                levels = levels.get(packed.len()..)?;
                for at in 0..(packed.len() as u64 * 8).min(values) {
                    let byte = packed.get((at / 8) as usize)?;
                    self.run(byte >> (at % 8) & 1 == 1, 1);
                    values -= 1;
                }
                if packed.len() < bytes && values > 0 {
                    return None;
                }
            }
        }
        Some(())
    }

    fn run(&mut self, goes_on: bool, len: u64) {
        self.current = if goes_on { self.current.saturating_add(len) } else { 1 };
        self.longest = self.longest.max(self.current);
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 127) << shift;
        if byte < 128 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn longest(pages: &[(&[u8], u64)]) -> Option<u64> {
        let mut count = Count::default();
        pages.iter().try_for_each(|(levels, values)| count.page(levels, *values))?;
        Some(count.longest)
    }

    #[test]
    fn runs_and_bits_are_counted() {
        // One run of row starts; then a row of 1 + 100.
        assert_eq!(longest(&[(&[10, 0], 5)]), Some(1));
        assert_eq!(longest(&[(&[2, 0, 200, 1, 1], 101)]), Some(101));
        // Bits 0,1,1,0,1,1,1,1 and the row goes on over the page's end.
        assert_eq!(longest(&[(&[3, 0b1111_0110], 8), (&[6, 1], 3)]), Some(8));
        assert_eq!(longest(&[(&[3, 0b1111_0110], 3)]), Some(3));
        assert_eq!(longest(&[(&[], 0)]), Some(0));
    }

    #[test]
    fn what_ends_early_is_refused() {
        for (levels, values) in [
            (&[][..], 1),
            (&[10], 5),
            (&[10, 0], 6),
            (&[3], 8),
            (&[3, 0xff], 9),
            (&[5, 0xff], 9),
            (&[0, 0], 1),
            (&[1], 1),
            (&[0xff; 12], 1),
        ] {
            assert_eq!(longest(&[(levels, values)]), None, "{levels:?}");
        }
    }
}
