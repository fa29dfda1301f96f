//! Ties a parsed expression to a schema: looks names up, puts template values in, folds constants, checks types in
//! Milvus's words, and turns comparisons into the ranges and sets of a [`Predicate`]. After this only damaged columns
//! can make evaluation fail.

mod compare;
mod list;
mod text;

use super::ast::{Argument, ArithmeticOp, Expr, ExprKind, FieldRef, Function, Step, UnaryOp};
use super::constant::{Constant, not_numeric};
use super::fault::{Fault, first_chars};
use super::operand::{Operand, Place};
use super::options::FilterOptions;
use super::predicate::{Predicate, Source};
use crate::row::moment::{self, Interval};
use crate::schema::{DYNAMIC_FIELD, DataType, Schema};

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

    fn field(&self, field: &FieldRef, at: usize) -> Result<Operand> {
        // Behind the last declared column.
        let dynamic_column = self.schema.column_fields().count();
        if field.name == DYNAMIC_FIELD && self.schema.dynamic() {
            return Ok(Operand::json(dynamic_column, field.path.clone()));
        }
        let Some((_, declared)) = self.schema.field(&field.name) else {
            if !self.schema.dynamic() {
                return Err(Fault::new(at, format!("field {} not exist", field.name)));
            }
            let key = std::iter::once(Step::Key(field.name.clone()));
            return Ok(Operand::json(dynamic_column, key.chain(field.path.iter().cloned()).collect()));
        };
        // A dense vector has no column; every use of one is refused by its type before the position is read.
        let column = self.schema.column_of(&declared.name).unwrap_or(usize::MAX);
        match (declared.data_type, field.path.as_slice()) {
            (DataType::Json, path) => Ok(Operand::json(column, path.to_vec())),
            (data_type, []) => {
                Ok(Operand::declared(Source::Column(column), data_type, declared.element_type))
            }
            (DataType::Array, [Step::Index(index)]) => {
                let element_type = declared.element_type.unwrap_or(DataType::Bool);
                Ok(Operand::declared(Source::Element(column, *index), element_type, None))
            }
            (DataType::Array, _) => Err(Fault::new(at, "can only access array field with integer index")),
            (data_type, _) => {
                Err(Fault::new(at, format!("{data_type} data type not supported accessed with []")))
            }
        }
    }

    fn unary(&self, op: UnaryOp, inner: &Expr, expr: &Expr) -> Result<Bound> {
        // The one integer whose magnitude is no int64.
        if op == UnaryOp::Minus
            && matches!(inner.kind, ExprKind::Int(magnitude) if magnitude == i64::MIN.unsigned_abs())
        {
            return Ok(Bound::Constant(Constant::Int(i64::MIN)));
        }
        match (op, self.bind(inner)?) {
            (UnaryOp::Not, Bound::Predicate(predicate)) => Ok(Bound::Predicate(predicate.negated())),
            (UnaryOp::Not, Bound::Constant(Constant::Bool(value))) => {
                Ok(Bound::Constant(Constant::Bool(!value)))
            }
            (UnaryOp::Not, _) => {
                let message = "not op can only be applied on boolean expression; \
                               it binds tighter than a comparison: write not (...)";
                Err(Fault::new(expr.start, message))
            }
            (_, Bound::Constant(constant)) => {
                constant.unary(op).map(Bound::Constant).map_err(|m| Fault::new(expr.start, m))
            }
            (_, Bound::Operand(operand)) => {
                operand.unary(op).map(Bound::Operand).map_err(|m| Fault::new(expr.start, m))
            }
            (_, Bound::Predicate(_)) => {
                Err(Fault::new(expr.start, "unary operators can't be applied on a boolean expression"))
            }
        }
    }

    fn arithmetic(&self, op: ArithmeticOp, operands: (Bound, Bound), at: usize) -> Result<Bound> {
        let result = match operands {
            (Bound::Constant(left), Bound::Constant(right)) => {
                Constant::fold(op, &left, &right).map(Bound::Constant)
            }
            (Bound::Operand(left), Bound::Constant(Constant::Interval(interval))) => {
                let interval = match op {
                    ArithmeticOp::Add => Some(interval),
                    ArithmeticOp::Subtract => interval.negated(),
                    _ => None,
                };
                interval.and_then(|i| left.moved(i)).map(Bound::Operand).ok_or_else(|| not_moments(op))
            }
            (Bound::Constant(Constant::Interval(interval)), Bound::Operand(right))
                if op == ArithmeticOp::Add =>
            {
                right.moved(interval).map(Bound::Operand).ok_or_else(|| not_moments(op))
            }
            (Bound::Operand(left), Bound::Constant(right)) => {
                left.step(op, &right, false).map(Bound::Operand)
            }
            (Bound::Constant(left), Bound::Operand(right)) => right.step(op, &left, true).map(Bound::Operand),
            (Bound::Operand(_), Bound::Operand(_)) => {
                Err("not supported to do arithmetic operations between multiple fields".to_owned())
            }
            _ => Err(not_numeric(op)),
        };
        result.map_err(|message| Fault::new(at, message))
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

    fn exists(&self, path: &Expr) -> Result<Predicate> {
        match self.bind(path)? {
            Bound::Operand(operand) if operand.data_type != DataType::Json => {
                let message =
                    format!("exists operations are only supportted on json field, got:{}", operand.data_type);
                Err(Fault::new(path.start, message))
            }
            Bound::Operand(Operand { place: Place::Json { column, path: steps, .. }, .. })
                if !steps.is_empty() =>
            {
                Ok(Predicate::Exists { column, path: steps })
            }
            _ => Err(Fault::new(path.start, "exists operations are only supportted on json key")),
        }
    }

    fn is_null(&self, negated: bool, field: &Expr) -> Result<Predicate> {
        let Bound::Operand(operand) = self.bind(field)? else {
            return Err(Fault::new(field.start, "IsNull/IsNotNull operations need a field"));
        };
        if operand.data_type.is_vector() {
            return Err(Fault::new(
                field.start,
                "IsNull/IsNotNull operations are not supported on vector fields",
            ));
        }
        let is_null = match operand.place {
            Place::Declared(source) => Predicate::IsNull { source },
            Place::Json { column, path, .. } if path.is_empty() => {
                Predicate::IsNull { source: Source::Column(column) }
            }
            Place::Json { column, path, .. } => Predicate::Exists { column, path }.negated(),
        };
        Ok(if negated { is_null.negated() } else { is_null })
    }
}

fn not_moments(op: ArithmeticOp) -> String {
    format!("'{}' with an interval can only be used on timestamptz fields, as + or -", op.symbol())
}
