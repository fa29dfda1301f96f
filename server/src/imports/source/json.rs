//! Rows as JSON. The file is read in pieces; one row at a time is cut out of them, checked to be JSON, and read by the
//! rules of inserts.

use std::io::Read;

use serde_json::value::RawValue;

use super::scan::Scan;
use super::{Fault, Source};
use crate::rest::RowReader;

/// Bytes read at a time.
const PIECE: usize = 256 << 10;
/// Largest text of one row in bytes: ten vectors of 32,768 long numbers, and as much again.
const MAX_ROW: usize = 16 << 20;

/// How rows stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// `[row, row]`, or `{"rows": [row, row]}`.
    Array,
    /// `row row`, with blanks between them.
    Lines,
}

/// Where the reading stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Before everything.
    Start,
    /// Within the array, where the first row or its end must follow.
    First,
    /// Within the array, behind a row.
    Behind,
    /// Behind the last row.
    End,
}

/// The rows of one file.
pub(super) struct Rows<R> {
    input: R,
    layout: Layout,
    stage: Stage,
    /// Whether the array is a member of an object.
    wrapped: bool,
    buffer: Vec<u8>,
    /// Where in the buffer the reading stands.
    at: usize,
    /// Bytes read from the file.
    read: u64,
    exhausted: bool,
}

impl<R: Read> Rows<R> {
    pub(super) fn new(input: R, layout: Layout) -> Self {
        let (buffer, stage) = (Vec::new(), Stage::Start);
        Self { input, layout, stage, wrapped: false, buffer, at: 0, read: 0, exhausted: false }
    }

    /// Reads on; false at the end of the file. What lies before `at` is forgotten.
    fn fill(&mut self) -> Result<bool, Fault> {
        if self.exhausted {
            return Ok(false);
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        let mut piece = self.input.by_ref().take(PIECE as u64);
        let came = piece.read_to_end(&mut self.buffer).map_err(|error| Fault::io(&error))?;
        self.read += came as u64;
        self.exhausted = came == 0;
        Ok(came > 0)
    }

    /// The next byte that is no blank, without passing it.
    fn peek(&mut self) -> Result<Option<u8>, Fault> {
        loop {
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            if let Some(blanks) = rest.iter().position(|byte| !byte.is_ascii_whitespace()) {
                self.at += blanks;
                return Ok(rest.get(blanks).copied());
            }
            self.at = self.buffer.len();
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Passes a byte that must follow.
    fn expect(&mut self, wanted: u8) -> Result<(), Fault> {
        match self.peek()? {
            Some(byte) if byte == wanted => {
                self.at += 1;
                Ok(())
            }
            other => Err(unexpected(other, &format!("`{}`", char::from(wanted)))),
        }
    }

    /// Passes the name of the member that holds the rows.
    fn expect_name(&mut self) -> Result<(), Fault> {
        const NAME: &[u8] = b"\"rows\"";
        self.peek()?;
        while self.buffer.len() < self.at + NAME.len() && self.fill()? {}
        if !self.buffer.get(self.at..).unwrap_or_default().starts_with(NAME) {
            return Err(Fault::File(
                "expected an array of rows, or an object with the member \"rows\"".into(),
            ));
        }
        self.at += NAME.len();
        Ok(())
    }

    /// Passes all that stands before the first row.
    fn begin(&mut self) -> Result<(), Fault> {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        while self.buffer.len() < MARK.len() && self.fill()? {}
        if self.buffer.starts_with(MARK) {
            self.at = MARK.len();
        }
        self.stage = Stage::First;
        if self.layout == Layout::Lines {
            return Ok(());
        }
        if self.peek()? == Some(b'{') {
            self.expect(b'{')?;
            self.expect_name()?;
            self.expect(b':')?;
            self.wrapped = true;
        }
        self.expect(b'[')
    }

    /// Whether another row begins here.
    fn has_next(&mut self) -> Result<bool, Fault> {
        if self.stage == Stage::Start {
            self.begin()?;
        }
        if self.stage == Stage::End {
            return Ok(false);
        }
        if self.layout == Layout::Lines {
            return Ok(self.peek()?.is_some());
        }
        match (self.peek()?, self.stage) {
            (Some(b']'), _) => {
                self.at += 1;
                self.finish().map(|()| false)
            }
            (Some(b','), Stage::Behind) => {
                self.at += 1;
                Ok(true)
            }
            (Some(_), Stage::First) => Ok(true),
            (other, _) => Err(unexpected(other, "`,` or `]` behind a row")),
        }
    }

    /// Checks that nothing follows the rows.
    fn finish(&mut self) -> Result<(), Fault> {
        self.stage = Stage::End;
        if self.wrapped {
            self.expect(b'}')?;
        }
        match self.peek()? {
            None => Ok(()),
            other => Err(unexpected(other, "the end of the file")),
        }
    }

    /// Bytes of the row that begins here, all of them in the buffer.
    fn row_len(&mut self) -> Result<usize, Fault> {
        match self.peek()? {
            Some(b'{') => {}
            other => return Err(unexpected(other, "a row as an object")),
        }
        let mut scan = Scan::default();
        loop {
            if let Some(len) = scan.end(self.buffer.get(self.at..).unwrap_or_default()) {
                return Ok(len);
            }
            if scan.seen() > MAX_ROW {
                return Err(Fault::File(format!("a row is longer than {MAX_ROW} bytes")));
            }
            if !self.fill()? {
                return Err(Fault::File("the file ends within a row".into()));
            }
        }
    }
}

fn unexpected(found: Option<u8>, wanted: &str) -> Fault {
    let found = found.map_or("the end of the file".to_owned(), |byte| format!("`{}`", byte.escape_ascii()));
    Fault::File(format!("expected {wanted}, got {found}"))
}

impl<R: Read> Source for Rows<R> {
    fn next(&mut self, rows: &mut RowReader<'_>) -> Result<bool, Fault> {
        if !self.has_next()? {
            return Ok(false);
        }
        let len = self.row_len()?;
        let text = self.buffer.get(self.at..self.at + len).unwrap_or_default();
        let text = std::str::from_utf8(text).map_err(|_| Fault::File("a row is not UTF-8".into()))?;
        let row: &RawValue = serde_json::from_str(text).map_err(|error| Fault::File(error.to_string()))?;
        rows.row(row.get())?;
        self.at += len;
        self.stage = Stage::Behind;
        Ok(true)
    }

    fn position(&self) -> u64 {
        self.read
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_rows::{read_all, reader};
    use super::*;

    /// Gives a byte at a time.
    struct Dripping<'a>(&'a [u8]);

    impl Read for Dripping<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let most = into.len().min(1);
            self.0.read(into.get_mut(..most).unwrap_or_default())
        }
    }

    fn rows(text: &str, layout: Layout) -> Result<usize, String> {
        let whole = read_all(&mut Rows::new(text.as_bytes(), layout));
        assert_eq!(read_all(&mut Rows::new(Dripping(text.as_bytes()), layout)), whole, "{text}");
        whole
    }

    #[test]
    fn arrays_objects_and_lines_are_rows() {
        let row = r#"{"id":1,"v":[1,2],"x":"}]\"{"}"#;
        for (text, count) in [
            (format!("[{row}]"), 1),
            (format!("\u{feff} [ {row} ,\n{row} ] \n"), 2),
            (format!(r#" {{ "rows" : [{row},{row},{row}] }} "#), 3),
            ("[]".to_owned(), 0),
            (r#"{"rows":[]}"#.to_owned(), 0),
        ] {
            assert_eq!(rows(&text, Layout::Array), Ok(count), "{text}");
        }
        for (text, count) in [(format!("{row}\n{row}"), 2), (format!("\n{row}\r\n\n"), 1), (String::new(), 0)]
        {
            assert_eq!(rows(&text, Layout::Lines), Ok(count), "{text}");
        }
    }

    #[test]
    fn what_is_cut_off_or_no_json_is_refused() {
        let row = r#"{"id":1,"v":[1,2]}"#;
        for text in [
            String::new(),
            "[".to_owned(),
            format!("[{row}"),
            format!("[{row},"),
            format!("[{row},]"),
            format!("[{row} {row}]"),
            format!("[,{row}]"),
            format!("[{row}] x"),
            format!("[{row}}}"),
            format!(r#"{{"rows":[{row}]"#),
            format!(r#"{{"rows":[{row}],"more":1}}"#),
            format!(r#"{{"data":[{row}]}}"#),
            row.to_owned(),
            "[1]".to_owned(),
            "[[]]".to_owned(),
            r#"[{"id":1,"v":[1,2}]"#.to_owned(),
            r#"[{"id":1,"v":[1,2],}]"#.to_owned(),
            r#"[{"id":1,"v":[1,2]"#.to_owned(),
            "nonsense".to_owned(),
        ] {
            assert!(rows(&text, Layout::Array).is_err(), "{text}");
        }
        for text in ["[]", "{", "1", "{} x"] {
            assert!(rows(text, Layout::Lines).is_err(), "{text}");
        }
        let latin: &[u8] = b"[{\"id\":1,\"v\":[1,2],\"x\":\"\xe9\"}]";
        assert!(read_all(&mut Rows::new(latin, Layout::Array)).is_err());
    }

    #[test]
    fn a_row_without_end_does_not_fill_the_memory() {
        let mut rows = Rows::new(b"[{\"a\":\"".chain(std::io::repeat(b'x')), Layout::Array);
        let refused = rows.next(&mut reader()).unwrap_err();
        assert!(matches!(&refused, Fault::File(reason) if reason.contains("longer than")), "{refused:?}");
        assert!(rows.read < 2 * MAX_ROW as u64);
    }
}
