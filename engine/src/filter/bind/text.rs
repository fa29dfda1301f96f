//! Questions about text: `like`, regular expressions, words.

use std::sync::Arc;

use super::super::ast::{Argument, Expr, ExprKind, Function};
use super::super::condition::TextTest;
use super::super::constant::Constant;
use super::super::fault::Fault;
use super::super::like::Pattern;
use super::super::predicate::Predicate;
use super::super::regex;
use super::super::text_match::WordTest;
use super::{Binder, Bound, Result};
use crate::schema::DataType;

/// Largest `minimum_should_match` (as in Milvus).
const MOST_WORDS: i64 = 1000;
/// Largest `max_edit_distance`.
const MOST_EDITS: i64 = 2;

impl Binder<'_> {
    pub(super) fn like(&self, item: &Expr, pattern: &Expr) -> Result<Predicate> {
        let Some(text) = self.string(pattern)? else {
            let message = format!(
                "like pattern should be a string literal or template variable, got: {}",
                self.text(pattern)
            );
            return Err(Fault::new(pattern.start, message));
        };
        let test = TextTest::Like(Pattern::new(&text).map_err(|message| Fault::new(pattern.start, message))?);
        self.text_term(item, test, "like operation on non-string or no-json field is unsupported")
    }

    pub(super) fn regex(&self, negated: bool, item: &Expr, pattern: &Expr) -> Result<Predicate> {
        let Some(text) = self.string(pattern)? else {
            let message = format!(
                "regex pattern should be a string literal or template variable, got: {}",
                self.text(pattern)
            );
            return Err(Fault::new(pattern.start, message));
        };
        let regex = regex::compile(&text).map_err(|message| Fault::new(pattern.start, message))?;
        let unfit = "regex match on non-string or non-json field is unsupported";
        let term = self.text_term(item, TextTest::Regex(regex), unfit)?;
        Ok(if negated { term.negated() } else { term })
    }

    /// The value of a string literal or a template; `None` for anything else.
    fn string(&self, expr: &Expr) -> Result<Option<String>> {
        match &expr.kind {
            ExprKind::Text(_) | ExprKind::Pattern(_) | ExprKind::Template(_) => {
                Ok(if let Constant::Text(text) = self.literal(expr)? { Some(text) } else { None })
            }
            _ => Ok(None),
        }
    }

    fn text_term(&self, item: &Expr, test: TextTest, unfit: &str) -> Result<Predicate> {
        match self.bind(item)? {
            Bound::Operand(operand) => operand.text(test),
            _ => None,
        }
        .ok_or_else(|| Fault::new(item.start, unfit))
    }

    /// `text_match(f, 'a b', minimum_should_match=2)` and its kin.
    pub(super) fn words(&self, function: Function, arguments: &[Argument], at: usize) -> Result<Predicate> {
        let (name, label, range, default) = match function {
            Function::PhraseMatch => ("phrase_match", "slop", 0..=i64::from(u32::MAX), 0),
            Function::FuzzyMatch => ("text_match_fuzzy", "max_edit_distance", 0..=MOST_EDITS, 1),
            _ => ("text_match", "minimum_should_match", 1..=MOST_WORDS, 1),
        };
        let refuse = |at: usize, message: String| Err(Fault::new(at, message));
        let (item, query, option) = match arguments {
            [item, query] => (item, query, None),
            [item, query, option] => (item, query, Some(option)),
            _ => return refuse(at, format!("{name} needs a field and a string")),
        };
        let ExprKind::Field(reference) = &item.value.kind else {
            return refuse(
                item.value.start,
                format!("{name} needs a field, but got: {}", self.text(&item.value)),
            );
        };
        let operand = self.field(reference, item.value.start)?;
        let declared = self.schema.field(&reference.name).map(|(_, field)| field);
        let Some(field) = declared.filter(|f| f.data_type == DataType::VarChar) else {
            let message =
                format!("text match operation on non-string is unsupported, got: {}", operand.data_type);
            return refuse(item.value.start, message);
        };
        if !field.has_match() {
            return refuse(item.value.start, format!("field \"{}\" does not enable match", field.name));
        }
        let Some(text) = self.string(&query.value)?.filter(|_| query.label.is_none()) else {
            let message = format!("{name} query should be a string literal or template variable");
            return refuse(query.value.start, message);
        };
        let number = match option {
            None => default,
            // The slop alone may go without its name.
            Some(Argument { label: given, value })
                if given.as_deref() == Some(label)
                    || given.is_none() && function == Function::PhraseMatch =>
            {
                match self.constant(value)? {
                    Constant::Int(number) if range.contains(&number) => number,
                    _ => {
                        let (least, most) = range.into_inner();
                        let message = format!("{label} should be an integer in range [{least}, {most}]");
                        return refuse(value.start, message);
                    }
                }
            }
            Some(other) => return refuse(other.value.start, format!("{name} knows only {label}=N")),
        };
        let analyzer =
            self.schema.analyzer(field).map_err(|error| Fault::new(item.value.start, error.to_string()))?;
        let test = match function {
            // The ranges above keep the numbers small.
            Function::PhraseMatch => WordTest::phrase(analyzer, &text, number as u32),
            Function::FuzzyMatch => Ok(WordTest::fuzzy(analyzer, &text, number as usize)),
            _ => WordTest::some(analyzer, &text, number as usize),
        };
        let test = test.map_err(|error| Fault::new(query.value.start, error.to_string()))?;
        let unfit = || Fault::new(item.value.start, "text match operation on non-string is unsupported");
        operand.text(TextTest::Words(Arc::new(test))).ok_or_else(unfit)
    }
}
