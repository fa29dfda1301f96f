//! Tests on columns of text. All texts of a column lie in one buffer, so that equality looks at lengths first, and
//! `%abc%` searches the buffer as one.

use std::ops::{Bound, Range};

use arrow_array::{Array, StringArray};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use memchr::memmem::Finder;

use super::super::condition::TextTest;
use super::super::like::Shape;
use super::super::verdict::{Rows, Verdict};
use crate::error::Result;

/// The answers for a column of text.
pub(super) fn test(texts: &StringArray, test: &TextTest, rows: Rows<'_>) -> Result<Verdict> {
    // Words and patterns take so long that a row less is always worth the trouble.
    if rows.are_few() || rows.wanted.is_some() && test.cost() > 4 {
        let accepts = |row| (!texts.is_null(row)).then(|| test.accepts(texts.value(row)));
        return Ok(Verdict::from_rows(rows, accepts));
    }
    let bytes = Texts { offsets: texts.value_offsets(), bytes: texts.value_data() };
    let bits = match test {
        TextTest::Range(Bound::Included(low), Bound::Included(high)) if low == high => {
            bytes.each(|text| text == low.as_bytes())
        }
        TextTest::Set(set) => match set.as_slice() {
            [] => BooleanBuffer::new_unset(texts.len()),
            [one] => bytes.each(|text| text == one.as_bytes()),
            _ => bytes.each(|text| set.binary_search_by(|member| member.as_bytes().cmp(text)).is_ok()),
        },
        TextTest::Like(pattern) => match pattern.shape() {
            Shape::Equal(whole) => bytes.each(|text| text == whole.as_bytes()),
            Shape::Start(start) => bytes.each(|text| text.starts_with(start.as_bytes())),
            Shape::End(end) => bytes.each(|text| text.ends_with(end.as_bytes())),
            Shape::Inside(finder) => bytes.containing(finder),
            Shape::Other => BooleanBuffer::collect_bool(texts.len(), |row| pattern.matches(texts.value(row))),
        },
        // Null rows have some text too (the empty one): they are masked below.
        _ => BooleanBuffer::collect_bool(texts.len(), |row| test.accepts(texts.value(row))),
    };
    Ok(Verdict::new(bits, texts.nulls()))
}

/// Texts that lie one behind the other.
struct Texts<'a> {
    offsets: &'a [i32],
    bytes: &'a [u8],
}

impl Texts<'_> {
    fn range(&self, row: usize) -> Option<Range<usize>> {
        Some(*self.offsets.get(row)? as usize..*self.offsets.get(row + 1)? as usize)
    }

    fn each(&self, test: impl Fn(&[u8]) -> bool) -> BooleanBuffer {
        let text = |row| self.range(row).and_then(|range| self.bytes.get(range)).unwrap_or_default();
        BooleanBuffer::collect_bool(self.offsets.len().saturating_sub(1), |row| test(text(row)))
    }

    /// Rows with the needle, which is not empty, found by one search through all of them.
    fn containing(&self, finder: &Finder<'_>) -> BooleanBuffer {
        let rows = self.offsets.len().saturating_sub(1);
        let mut found = BooleanBufferBuilder::new(rows);
        found.append_n(rows, false);
        let (mut row, mut at) = (0, self.offsets.first().map_or(0, |&start| start as usize));
        let end = self.offsets.last().map_or(0, |&end| end as usize);
        while let Some(start) = self.bytes.get(at..end).and_then(|rest| finder.find(rest)) {
            let start = at + start;
            // Empty rows end where they start and hold nothing.
            while self.range(row).is_some_and(|range| range.end <= start) {
                row += 1;
            }
            let Some(range) = self.range(row) else { break };
            if start + finder.needle().len() <= range.end {
                found.set_bit(row, true);
                at = range.end;
            } else {
                // It reaches into the next row: that one may still have it by itself.
                at = start + 1;
            }
        }
        found.finish()
    }
}
