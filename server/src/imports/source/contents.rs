//! What is inside the pages of a Parquet file, as far as the decoder would make room for it: how many elements a row has,
//! how long a value is, how many lengths stand before values. A few bytes can stand for thousands of millions of each,
//! and the decoder makes them all at once; so they are counted here first. Headers have been checked by then.

use std::fs::File;
use std::sync::Arc;

use parquet::basic::{Encoding, Type};
use parquet::column::page::{Page, PageReader};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::ColumnDescriptor;

use super::thrift::varint;
use super::{Fault, Stopped};

/// Most elements of one row: a sparse vector or a JSON text as bytes may have this many.
const MAX_ELEMENTS: u64 = 65_536;
/// Bytes that the decoder takes for each length before values, where every value has a beginning of its own as well.
const LENGTH_BYTES: u64 = 8;

/// What the decoder may make of a column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// Most elements of a row.
    pub(super) elements: u64,
    /// Bytes of the longest value; only of those that have no fixed length.
    pub(super) value: u64,
    /// Bytes of the lengths that stand before the values of a page.
    pub(super) lengths: u64,
}

impl Sizes {
    /// A column without lists and texts.
    pub(super) const PLAIN: Self = Self { elements: 1, value: 0, lengths: 0 };

    /// Whether there is more to say of a column.
    pub(super) fn matter(column: &ColumnDescriptor) -> bool {
        let bytes = matches!(column.physical_type(), Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY);
        column.max_rep_level() > 0 || bytes
    }

    /// Looks into the pages of a column in one more group of rows.
    ///
    /// # Errors
    /// A page that can't be read; a row with more elements than any field takes.
    pub(super) fn grow(
        &mut self,
        file: &Arc<File>,
        group: &RowGroupMetaData,
        at: usize,
        stopped: Stopped<'_>,
    ) -> Result<(), Fault> {
        let broken = |error: &dyn std::fmt::Display| Fault::File(format!("a column can't be read: {error}"));
        let rows = usize::try_from(group.num_rows()).map_err(|error| broken(&error))?;
        let chunk = group.column(at);
        let pages = SerializedPageReader::new(Arc::clone(file), chunk, rows, None);
        let mut pages = pages.map_err(|error| broken(&error))?;
        let mut count = Count::default();
        while let Some(page) = pages.get_next_page().map_err(|error| broken(&error))? {
            Fault::unless(stopped)?;
            self.page(&page, chunk, &mut count).ok_or_else(|| broken(&"a page is not whole"))?;
            self.elements = self.elements.max(count.longest);
            if count.longest > MAX_ELEMENTS {
                return Err(Fault::File(format!(
                    "a row has more than {MAX_ELEMENTS} elements in the column {}",
                    chunk.column_path()
                )));
            }
        }
        Ok(())
    }

    fn page(&mut self, page: &Page, chunk: &ColumnChunkMetaData, count: &mut Count) -> Option<()> {
        let (encoding, values) = match page {
            Page::DictionaryPage { buf, .. } => (Encoding::PLAIN, &buf[..]),
            Page::DataPage { .. } | Page::DataPageV2 { .. } => {
                let (levels, values) = split(page, chunk.column_descr())?;
                if chunk.column_descr().max_rep_level() > 0 {
                    count.page(levels, page.num_values().into())?;
                }
                (page.encoding(), values)
            }
        };
        match encoding {
            Encoding::PLAIN if chunk.column_type() == Type::BYTE_ARRAY => {
                // What is not whole is refused by whoever gets there; until then no value is longer than all of them.
                self.value = self.value.max(longest_plain(values).unwrap_or(values.len() as u64));
            }
            Encoding::DELTA_LENGTH_BYTE_ARRAY => {
                delta(values, page, &mut self.lengths)?;
                self.value = self.value.max(values.len() as u64);
            }
            Encoding::DELTA_BYTE_ARRAY => {
                let suffixes = delta(values, page, &mut self.lengths)?;
                delta(suffixes, page, &mut self.lengths)?;
                self.value = self.value.max(values.len() as u64);
            }
            _ => {}
        }
        Some(())
    }
}

/// The levels of repetition of a page of data, and its values.
fn split<'a>(page: &'a Page, column: &ColumnDescriptor) -> Option<(&'a [u8], &'a [u8])> {
    match page {
        Page::DataPage { buf, rep_level_encoding, def_level_encoding, .. } => {
            let (mut repetition, mut rest) = (&[][..], &buf[..]);
            if column.max_rep_level() > 0 {
                (repetition, rest) = prefixed(rest, *rep_level_encoding)?;
            }
            if column.max_def_level() > 0 {
                rest = prefixed(rest, *def_level_encoding)?.1;
            }
            Some((repetition, rest))
        }
        Page::DataPageV2 { buf, rep_levels_byte_len, def_levels_byte_len, .. } => {
            let (repetition, rest) = buf.split_at_checked(*rep_levels_byte_len as usize)?;
            Some((repetition, rest.get(*def_levels_byte_len as usize..)?))
        }
        Page::DictionaryPage { .. } => None,
    }
}

/// Levels behind their length, and the rest.
fn prefixed(page: &[u8], encoding: Encoding) -> Option<(&[u8], &[u8])> {
    let (len, rest) = page.split_first_chunk::<4>().filter(|_| encoding == Encoding::RLE)?;
    rest.split_at_checked(u32::from_le_bytes(*len) as usize)
}

/// The longest of values that have their lengths in front; `None` when the last one is not whole.
fn longest_plain(mut values: &[u8]) -> Option<u64> {
    let mut longest = 0;
    while !values.is_empty() {
        let (len, rest) = values.split_first_chunk::<4>()?;
        let len = u32::from_le_bytes(*len);
        values = rest.get(len as usize..)?;
        longest = longest.max(len.into());
    }
    Some(longest)
}

/// Passes over lengths in the encoding DELTA_BINARY_PACKED; what is behind them. Their bytes in memory are noted. `None`
/// when they end early, or are more than the page has values.
fn delta<'a>(mut input: &'a [u8], page: &Page, bytes: &mut u64) -> Option<&'a [u8]> {
    let (block, parts) = (varint(&mut input)?, varint(&mut input)?);
    let count = varint(&mut input).filter(|&count| count <= page.num_values().into())?;
    varint(&mut input)?;
    *bytes = (*bytes).max(count * LENGTH_BYTES);
    let part = block
        .checked_div(parts)
        .filter(|part| *part > 0 && part.is_multiple_of(32) && part * parts == block)?;
    // The first value stands in the header.
    let mut left = count.saturating_sub(1);
    while left > 0 {
        varint(&mut input)?;
        let (widths, mut rest) = input.split_at_checked(usize::try_from(parts).ok()?)?;
        for &width in widths {
            // Parts behind the last value have a width, but no bytes.
            if left > 0 {
                let packed = part.checked_mul(width.into()).filter(|_| width <= 32)? / 8;
                rest = rest.get(usize::try_from(packed).ok()?..)?;
            }
            left = left.saturating_sub(part);
        }
        input = rest;
    }
    Some(input)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(pages: &[(&[u8], u64)]) -> Option<u64> {
        let mut count = Count::default();
        pages.iter().try_for_each(|(levels, values)| count.page(levels, *values))?;
        Some(count.longest)
    }

    #[test]
    fn runs_and_bits_are_counted() {
        // One run of row starts; then a row of 1 + 100.
        assert_eq!(elements(&[(&[10, 0], 5)]), Some(1));
        assert_eq!(elements(&[(&[2, 0, 200, 1, 1], 101)]), Some(101));
        // Bits 0,1,1,0,1,1,1,1 and the row goes on over the page's end.
        assert_eq!(elements(&[(&[3, 0b1111_0110], 8), (&[6, 1], 3)]), Some(8));
        assert_eq!(elements(&[(&[3, 0b1111_0110], 3)]), Some(3));
        assert_eq!(elements(&[(&[], 0)]), Some(0));
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
            assert_eq!(elements(&[(levels, values)]), None, "{levels:?}");
        }
    }
}
