//! Why an expression is refused, and at which byte. Parsing and binding raise a [`Fault`]; `Filter::compile` turns it
//! into the engine's error once, with line, column and a caret, so that no other module formats positions.

use crate::error::EngineError;

/// Characters shown on either side of the caret.
const EXCERPT_CHARS: usize = 40;
/// Characters of the expression that an error repeats.
const ECHO_CHARS: usize = 1000;

/// A refusal with its place.
#[derive(Debug)]
pub(super) struct Fault {
    message: String,
    at: usize,
    syntax: bool,
}

impl Fault {
    /// The expression is well formed but cannot mean anything here.
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { message: message.into(), at, syntax: false }
    }

    /// The expression breaks the grammar.
    pub(super) fn syntax(at: usize, message: impl Into<String>) -> Self {
        Self { message: message.into(), at, syntax: true }
    }

    /// Part of Milvus's language that this version lacks.
    pub(super) fn unsupported(at: usize, what: impl std::fmt::Display) -> Self {
        Self::new(at, format!("{what} is not supported in this version of Elanus"))
    }

    /// The engine's error. Lines count from 1 and columns from 0, in characters, as in Milvus's (ANTLR's) messages.
    pub(super) fn into_error(self, expression: &str) -> EngineError {
        let (before, after) = expression.split_at(expression.floor_char_boundary(self.at));
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let line = before.matches('\n').count() + 1;
        let before = before.get(line_start..).unwrap_or_default();
        let column = before.chars().count();
        let excerpt = format!(
            "{}^{}",
            last_chars(before),
            first_chars(after.lines().next().unwrap_or_default(), EXCERPT_CHARS)
        );
        let message = self.message;
        let reason = if self.syntax {
            format!("line {line}:{column} {message}: {excerpt}")
        } else {
            format!("{message}, at line {line}:{column}: {excerpt}")
        };
        EngineError::InvalidFilter { expression: first_chars(expression, ECHO_CHARS), reason }
    }
}

/// The first `count` characters, with `...` if that is not all.
pub(super) fn first_chars(text: &str, count: usize) -> String {
    match text.char_indices().nth(count) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn last_chars(text: &str) -> String {
    match text.char_indices().rev().nth(EXCERPT_CHARS) {
        Some((start, cut)) => format!("...{}", &text[start + cut.len_utf8()..]),
        None => text.to_owned(),
    }
}
