//! Patterns of `like`: `%` stands for any run of characters, `_` for one, a backslash takes the next character
//! literally. A pattern is compiled once and must match the whole value.

use memchr::memmem::Finder;

/// Longest piece between two `%` with a `_` in it, in bytes (ours): such a piece is tried at every place of a value, which
/// takes the product of both lengths. Others are found in linear time whatever their length.
const MAX_PIECE_BYTES: usize = 256;

/// A compiled pattern: the pieces between the `%`s.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    /// At least one. With a single piece there was no `%`: it must match from start to end.
    pieces: Vec<Piece>,
    shape: Shape,
}

/// Patterns that need no more than one search.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    /// No wildcard.
    Equal(String),
    /// `abc%`
    Start(String),
    /// `%abc`
    End(String),
    /// `%abc%`
    Inside(Box<Finder<'static>>),
    Other,
}

impl Shape {
    fn of(pieces: &[Piece]) -> Self {
        let text = |piece: &Piece| match piece.0.as_slice() {
            [] => Some(String::new()),
            [Part::Text(text)] => Some(text.clone()),
            _ => None,
        };
        let Some(texts) = pieces.iter().map(text).collect::<Option<Vec<_>>>() else { return Self::Other };
        match texts.as_slice() {
            [whole] => Self::Equal(whole.clone()),
            [start, end] if end.is_empty() => Self::Start(start.clone()),
            [start, end] if start.is_empty() => Self::End(end.clone()),
            [start, inside, end] if start.is_empty() && end.is_empty() && !inside.is_empty() => {
                Self::Inside(Finder::new(inside).into_owned().into())
            }
            _ => Self::Other,
        }
    }
}

/// Text and single-character holes without any `%` between them.
#[derive(Debug, Clone, PartialEq, Default)]
struct Piece(Vec<Part>);

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    AnyChar,
}

impl Pattern {
    /// Compiles; fails on a backslash with nothing behind it, and on a piece that takes too long to find.
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        let mut pieces = vec![Piece::default()];
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            let literal = match c {
                '%' => {
                    pieces.push(Piece::default());
                    continue;
                }
                '_' => None,
                '\\' => Some(chars.next().ok_or("like pattern ends with a dangling backslash")?),
                other => Some(other),
            };
            if let Some(piece) = pieces.last_mut() {
                piece.push(literal);
            }
        }
        let floating = pieces.iter().skip(1).rev().skip(1);
        if floating.filter(|piece| piece.has_holes()).any(|piece| piece.bytes() > MAX_PIECE_BYTES) {
            return Err(format!(
                "like pattern has a part between two % that has _ and is longer than {MAX_PIECE_BYTES} bytes"
            ));
        }
        let shape = Shape::of(&pieces);
        Ok(Self { pieces, shape })
    }

    /// Its shape.
    pub(super) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Whether all of `value` matches.
    pub(super) fn matches(&self, value: &str) -> bool {
        match &self.shape {
            Shape::Equal(whole) => return value == whole,
            Shape::Start(start) => return value.starts_with(start.as_str()),
            Shape::End(end) => return value.ends_with(end.as_str()),
            Shape::Inside(finder) => return finder.find(value.as_bytes()).is_some(),
            Shape::Other => {}
        }
        let Some((first, others)) = self.pieces.split_first() else { return false };
        let Some(mut rest) = first.at_start(value) else { return false };
        let Some((last, middle)) = others.split_last() else { return rest.is_empty() };
        // The leftmost match of each middle piece leaves the most for the others.
        for piece in middle {
            match piece.leftmost(rest) {
                Some(after) => rest = after,
                None => return false,
            }
        }
        last.at_end(rest)
    }
}

impl Piece {
    fn has_holes(&self) -> bool {
        self.0.contains(&Part::AnyChar)
    }

    fn bytes(&self) -> usize {
        let bytes = |part: &Part| if let Part::Text(text) = part { text.len() } else { 1 };
        self.0.iter().map(bytes).sum()
    }

    fn push(&mut self, literal: Option<char>) {
        match (self.0.last_mut(), literal) {
            (Some(Part::Text(text)), Some(c)) => text.push(c),
            (_, Some(c)) => self.0.push(Part::Text(c.into())),
            (_, None) => self.0.push(Part::AnyChar),
        }
    }

    /// What is left of `value` behind a match at its start.
    fn at_start<'a>(&self, value: &'a str) -> Option<&'a str> {
        let mut rest = value;
        for part in &self.0 {
            rest = match part {
                Part::Text(text) => rest.strip_prefix(text.as_str())?,
                Part::AnyChar => {
                    let mut chars = rest.chars();
                    chars.next()?;
                    chars.as_str()
                }
            };
        }
        Some(rest)
    }

    fn at_end(&self, value: &str) -> bool {
        let mut rest = value;
        self.0.iter().rev().all(|part| {
            let before = match part {
                Part::Text(text) => rest.strip_suffix(text.as_str()),
                Part::AnyChar => {
                    let mut chars = rest.chars();
                    chars.next_back().map(|_| chars.as_str())
                }
            };
            before.map(|b| rest = b).is_some()
        })
    }

    /// What is left behind the leftmost match.
    fn leftmost<'a>(&self, value: &'a str) -> Option<&'a str> {
        if let [Part::Text(text)] = self.0.as_slice() {
            return value.split_once(text.as_str()).map(|(_, after)| after);
        }
        let starts = value.char_indices().map(|(start, _)| start).chain([value.len()]);
        starts.into_iter().find_map(|start| self.at_start(value.get(start..)?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, value: &str) -> bool {
        Pattern::new(pattern).unwrap().matches(value)
    }

    #[test]
    fn wildcards_and_escapes() {
        let yes = [
            ("", ""),
            ("%", ""),
            ("abc", "abc"),
            ("a%", "a"),
            ("%c", "abc"),
            ("%b%", "abc"),
            ("_é_", "aéc"),
            ("%_b_%", "xxabcc"),
            ("a%a", "aa"),
            ("%ab%ab", "abxab"),
            (r"100\%", "100%"),
            (r"\_\\%", r"_\tail"),
            ("%\n%", "a\nb"),
        ];
        for (pattern, value) in yes {
            assert!(matches(pattern, value), "{pattern} {value}");
        }
        let no = [
            ("abc", "abcd"),
            ("abc", "xabc"),
            ("_", ""),
            ("_", "ab"),
            ("a%a", "a"),
            (r"\%", "x"),
            ("A", "a"),
            ("%ab%ab", "xab"),
        ];
        for (pattern, value) in no {
            assert!(!matches(pattern, value), "{pattern} {value}");
        }
        assert!(Pattern::new("a\\").unwrap_err().contains("dangling"));
    }

    #[test]
    fn pieces_that_take_the_product_of_lengths_are_bounded() {
        let holes = "a_".repeat(200);
        assert!(Pattern::new(&format!("%{holes}b%")).unwrap_err().contains("256 bytes"));
        // At an end there is one place to try, and plain text is found in linear time.
        for pattern in [format!("{holes}b%"), format!("%{holes}b"), format!("%{}%", "a".repeat(5000))] {
            assert!(!Pattern::new(&pattern).unwrap().matches("b"));
        }
    }

    /// The definition, by exhaustion.
    fn naive(pattern: &[char], value: &[char]) -> bool {
        match pattern {
            [] => value.is_empty(),
            ['%', rest @ ..] => (0..=value.len()).any(|skip| naive(rest, &value[skip..])),
            ['_', rest @ ..] => !value.is_empty() && naive(rest, &value[1..]),
            ['\\', c, rest @ ..] | [c, rest @ ..] => value.first() == Some(c) && naive(rest, &value[1..]),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in r"([ab%_é]|\\[ab%_\\]){0,7}", value in r"[ab%_é\\]{0,8}") {
            let chars: Vec<char> = pattern.chars().collect();
            let expected = naive(&chars, &value.chars().collect::<Vec<_>>());
            prop_assert_eq!(matches(&pattern, &value), expected);
        }
    }
}
