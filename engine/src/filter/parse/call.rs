//! Calls: which functions there are, and their arguments, which may be labelled (`minimum_should_match=2`). What the
//! arguments must be is the binder's affair.

use super::super::ast::{Argument, Expr, ExprKind, Function, Quantity};
use super::super::fault::Fault;
use super::super::token::Kind;
use super::{OR, Parser, Result};

/// Functions of Milvus's language, on struct arrays and geometry, that this version refuses by name.
const REFUSED: [&str; 16] = [
    "element_filter",
    "match_all",
    "match_any",
    "match_least",
    "match_most",
    "match_exact",
    "st_equals",
    "st_touches",
    "st_overlaps",
    "st_crosses",
    "st_contains",
    "st_intersects",
    "st_within",
    "st_dwithin",
    "st_isvalid",
    "st_geogfromtext",
];

impl Parser<'_> {
    /// A call, the cursor being on the name.
    pub(super) fn call(&mut self) -> Result<Expr> {
        let name = self.advance();
        let text = name.text(self.source);
        let lower = text.to_ascii_lowercase();
        // Words count in all-lower or all-upper case only.
        let word = if text == lower || text == text.to_ascii_uppercase() { lower.as_str() } else { "" };
        let Some(function) = function(word) else {
            return Err(if REFUSED.contains(&word) {
                Fault::unsupported(name.start(), text)
            } else {
                Fault::new(name.start(), format!("function {text} not found"))
            });
        };
        self.advance();
        let mut arguments = Vec::new();
        let mut below = 0;
        while self.peek().kind != Kind::RightParen {
            let argument = self.argument()?;
            below = below.max(argument.value.height);
            arguments.push(argument);
            if self.peek().kind != Kind::Comma {
                break;
            }
            self.advance();
        }
        let end = self.expect(Kind::RightParen, "')' or ','")?.end();
        self.node(ExprKind::Call { function, arguments }, name.start(), end, below)
    }

    fn argument(&mut self) -> Result<Argument> {
        let label = (self.peek().kind == Kind::Name && self.peek_at(1).kind == Kind::Assign).then(|| {
            let label = self.advance().text(self.source).to_ascii_lowercase();
            self.advance();
            label
        });
        Ok(Argument { label, value: self.expression(OR)? })
    }
}

fn function(word: &str) -> Option<Function> {
    Some(match word {
        "array_contains" | "json_contains" => Function::Contains(Quantity::One),
        "array_contains_all" | "json_contains_all" => Function::Contains(Quantity::All),
        "array_contains_any" | "json_contains_any" => Function::Contains(Quantity::Any),
        "array_length" => Function::Length,
        "text_match" => Function::TextMatch,
        "text_match_fuzzy" => Function::FuzzyMatch,
        "phrase_match" => Function::PhraseMatch,
        "random_sample" => Function::Sample,
        _ => return None,
    })
}
