//! Where a JSON object ends, in text that comes piece by piece. Whether it is JSON is looked at afterwards.

/// The search for the end of an object, over more and more of it.
#[derive(Debug, Default)]
pub(super) struct Scan {
    seen: usize,
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl Scan {
    /// Bytes looked at so far.
    pub(super) fn seen(&self) -> usize {
        self.seen
    }

    /// The length of the object that `text` begins with; none while its end is not there.
    pub(super) fn end(&mut self, text: &[u8]) -> Option<usize> {
        for &byte in text.get(self.seen..)? {
            self.seen += 1;
            if self.in_text {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_text = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_text = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(self.seen);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_however_the_text_is_cut() {
        let text = br#"{"a":"}\"}","b":[{"c":"\\"},1]} {"d":1}"#;
        let len = text.len() - r#" {"d":1}"#.len();
        for cut in 0..text.len() {
            let mut scan = Scan::default();
            let early = scan.end(&text[..cut]);
            assert_eq!(early.or_else(|| scan.end(text)), Some(len), "{cut}");
            assert_eq!(early.is_some(), cut >= len);
        }
    }
}
