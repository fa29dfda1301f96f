//! Ties a parsed expression to a schema: looks names up, puts template values in, folds constants, checks types in
//! Milvus's words, and turns comparisons into the ranges and sets of a [`Predicate`]. After this only damaged columns
//! can make evaluation fail.

mod arithmetic;
mod compare;
mod field;
mod list;
mod text;

use super::ast::{Argument, Expr, ExprKind, FieldRef, Function};
use super::constant::Constant;
use super::fault::{Fault, first_chars};
use super::operand::Operand;
use super::options::FilterOptions;
use super::predicate::Predicate;
use crate::row::moment::{self, Interval};
use crate::schema::Schema;

type Result<T> = std::result::Result<T, Fault>;

/// A bound expression.
pub(super) struct Root {
    pub(super) predicate: Predicate,
    /// Share of the matching rows to keep: `random_sample`.
    pub(super) sample: Option<f64>,
}

/// Binds an expression that was parsed from `source`.
pub(super) fn bind(expr: &Expr, source: &str, schema: &Schema, options: &FilterOptions) -> Result<Root> {
    let binder = Binder { source, schema, options };
    if let Some(share) = binder.sample(expr)? {
        return Ok(Root { predicate: Predicate::Constant(true), sample: Some(share) });
    }
    if let ExprKind::And(parts) = &expr.kind
        && let Some((last, others)) = parts.split_last()
        && let Some(share) = binder.sample(last)?
    {
        return Ok(Root { predicate: Predicate::all(binder.connected(others, "and")?), sample: Some(share) });
    }
    Ok(Root { predicate: binder.predicate(expr)?, sample: None })
}

/// Binds a name that stands alone.
pub(super) fn field(
    field: &FieldRef,
    source: &str,
    schema: &Schema,
    options: &FilterOptions,
) -> Result<Operand> {
    Binder { source, schema, options }.field(field, 0)
}

/// What a sub-expression is.
enum Bound {
    Constant(Constant),
    Operand(Operand),
    Predicate(Predicate),
}

impl Bound {
    /// The type in Milvus's words.
    fn type_name(&self) -> &'static str {
        match self {
            Self::Constant(constant) => constant.type_name(),
            Self::Operand(operand) => operand.data_type.name(),
            Self::Predicate(_) => "a boolean expression",
        }
    }
}

struct Binder<'a> {
    source: &'a str,
    schema: &'a Schema,
    options: &'a FilterOptions,
}

impl Binder<'_> {
    fn predicate(&self, expr: &Expr) -> Result<Predicate> {
        match self.bind(expr)? {
            Bound::Predicate(predicate) => Ok(predicate),
            Bound::Constant(Constant::Bool(value)) => Ok(Predicate::Constant(value)),
            other => {
                let message = format!(
                    "predicate is not a boolean expression: {}, data type: {}",
                    self.text(expr),
                    other.type_name()
                );
                Err(Fault::new(expr.start, message))
            }
        }
    }

    fn bind(&self, expr: &Expr) -> Result<Bound> {
        Ok(match &expr.kind {
            ExprKind::Field(field) => Bound::Operand(self.field(field, expr.start)?),
            ExprKind::Unary(op, operand) => self.unary(*op, operand, expr)?,
            ExprKind::Arithmetic(op, left, right) => {
                let operands = self.operands((left, right), op.symbol(), expr.start)?;
                self.arithmetic(*op, operands, expr.start)?
            }
            ExprKind::Compare(op, left, right) => self.compare(*op, left, right, expr.start)?,
            ExprKind::Range { low, low_op, field, high_op, high } => {
                Bound::Predicate(self.range((low, *low_op), field, (*high_op, high))?)
            }
            ExprKind::In { negated, item, list } => Bound::Predicate(self.membership(*negated, item, list)?),
            ExprKind::Like { item, pattern } => Bound::Predicate(self.like(item, pattern)?),
            ExprKind::Match { negated, item, pattern } => {
                Bound::Predicate(self.regex(*negated, item, pattern)?)
            }
            ExprKind::Exists(path) => Bound::Predicate(self.exists(path)?),
            ExprKind::IsNull { negated, field } => Bound::Predicate(self.is_null(*negated, field)?),
            ExprKind::And(parts) => Bound::Predicate(Predicate::all(self.connected(parts, "and")?)),
            ExprKind::Or(parts) => Bound::Predicate(Predicate::any(self.connected(parts, "or")?)),
            ExprKind::Call { function, arguments } => self.call(*function, arguments, expr.start)?,
            _ => Bound::Constant(self.literal(expr)?),
        })
    }

    fn literal(&self, expr: &Expr) -> Result<Constant> {
        let refuse = |message: String| Fault::new(expr.start, message);
        Ok(match &expr.kind {
            ExprKind::Int(magnitude) => Constant::Int(
                i64::try_from(*magnitude)
                    .map_err(|_| refuse(format!("integer {magnitude} is out of the int64 range")))?,
            ),
            ExprKind::Float(float) => Constant::Float(*float),
            ExprKind::Bool(boolean) => Constant::Bool(*boolean),
            ExprKind::Text(text) | ExprKind::Pattern(text) => Constant::Text(text.clone()),
            ExprKind::Moment(text) => Constant::Moment(self.moment(text, expr.start)?),
            ExprKind::Interval(text) => Constant::Interval(
                Interval::parse(text).ok_or_else(|| refuse(format!("invalid interval: '{text}'")))?,
            ),
            ExprKind::Template(name) => {
                let value = self.options.templates.get(name).ok_or_else(|| {
                    refuse(format!("the value of expression template variable name {{{name}}} is not found"))
                })?;
                Constant::of(value).ok_or_else(|| {
                    refuse(format!("the value of expression template variable {{{name}}} is not finite"))
                })?
            }
            ExprKind::List(items) => {
                Constant::List(items.iter().map(|item| self.constant(item)).collect::<Result<_>>()?)
            }
            _ => return Err(refuse(format!("a constant is needed, but got: {}", self.text(expr)))),
        })
    }

    /// A sub-expression that must be constant.
    fn constant(&self, expr: &Expr) -> Result<Constant> {
        match self.bind(expr)? {
            Bound::Constant(constant) => Ok(constant),
            _ => {
                let message = format!("a constant is needed, but got: {}", self.text(expr));
                Err(Fault::new(expr.start, message))
            }
        }
    }

    fn moment(&self, text: &str, at: usize) -> Result<i64> {
        moment::parse(text, &self.options.timezone)
            .ok_or_else(|| Fault::new(at, format!("invalid timestamptz string: '{}'", first_chars(text, 80))))
    }

    /// Both sides of an operator.
    fn operands(&self, sides: (&Expr, &Expr), symbol: &str, at: usize) -> Result<(Bound, Bound)> {
        let operands = (self.bind(sides.0)?, self.bind(sides.1)?);
        let any_template = [sides.0, sides.1].iter().any(|side| matches!(side.kind, ExprKind::Template(_)));
        if any_template && matches!(operands, (Bound::Constant(_), Bound::Constant(_))) {
            let message =
                format!("placeholder was not supported between two constants with operator: {symbol}");
            return Err(Fault::new(at, message));
        }
        Ok(operands)
    }

    /// The source of a node, cut for messages.
    fn text(&self, expr: &Expr) -> String {
        first_chars(self.source.get(expr.start..expr.end).unwrap_or_default(), 80)
    }

    fn connected(&self, parts: &[Expr], word: &str) -> Result<Vec<Predicate>> {
        let bind_part = |part: &Expr| match self.bind(part)? {
            Bound::Predicate(predicate) => Ok(predicate),
            Bound::Constant(Constant::Bool(value)) => Ok(Predicate::Constant(value)),
            _ => {
                Err(Fault::new(part.start, format!("'{word}' can only be used between boolean expressions")))
            }
        };
        parts.iter().map(bind_part).collect()
    }

    fn call(&self, function: Function, arguments: &[Argument], at: usize) -> Result<Bound> {
        Ok(match function {
            Function::Length => Bound::Operand(self.length(arguments, at)?),
            Function::Contains(quantity) => Bound::Predicate(self.contains(quantity, arguments, at)?),
            Function::TextMatch | Function::FuzzyMatch | Function::PhraseMatch => {
                Bound::Predicate(self.words(function, arguments, at)?)
            }
            Function::Sample => {
                let message =
                    "random_sample expression can only be the last expression in the logical and expression";
                return Err(Fault::new(at, message));
            }
        })
    }

    /// The share of a `random_sample`; `None` if it is something else.
    fn sample(&self, expr: &Expr) -> Result<Option<f64>> {
        let ExprKind::Call { function: Function::Sample, arguments } = &expr.kind else { return Ok(None) };
        let refuse = |message: &str| Err(Fault::new(expr.start, message));
        let [Argument { label: None, value }] = arguments.as_slice() else {
            return refuse("random_sample needs one argument, the sample factor");
        };
        match self.constant(value)? {
            Constant::Float(share) if share > 0.0 && share < 1.0 => Ok(Some(share)),
            Constant::Float(_) | Constant::Int(_) => {
                refuse("the sample factor should be between 0 and 1 and not too close to 0 or 1")
            }
            _ => refuse("the sample factor should be a float"),
        }
    }
}
