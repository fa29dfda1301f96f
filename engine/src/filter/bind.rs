//! Ties a parsed expression to a schema: looks names up, folds constants, checks types in Milvus's words, and turns
//! comparisons into the ranges and sets of a [`Predicate`]. After this only damaged columns can make evaluation fail.

use super::ast::{ArithmeticOp, CompareOp, Expr, ExprKind, FieldRef, Step, UnaryOp};
use super::constant::{Constant, not_numeric};
use super::fault::{Fault, first_chars};
use super::like::Pattern;
use super::operand::Operand;
use super::predicate::{Predicate, TextTest};
use crate::schema::{DYNAMIC_FIELD, DataType, Schema};

type Result<T> = std::result::Result<T, Fault>;

/// Binds an expression that was parsed from `source`.
pub(super) fn bind(expr: &Expr, source: &str, schema: &Schema) -> Result<Predicate> {
    Binder { source, schema }.predicate(expr)
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
            ExprKind::Int(magnitude) => {
                let int = i64::try_from(*magnitude).map_err(|_| {
                    Fault::new(expr.start, format!("integer {magnitude} is out of the int64 range"))
                })?;
                Bound::Constant(Constant::Int(int))
            }
            ExprKind::Float(float) => Bound::Constant(Constant::Float(*float)),
            ExprKind::Bool(boolean) => Bound::Constant(Constant::Bool(*boolean)),
            ExprKind::Text(text) => Bound::Constant(Constant::Text(text.clone())),
            ExprKind::List(_) => return Err(Fault::unsupported(expr.start, "a list outside of 'in'")),
            ExprKind::Field(field) => Bound::Operand(self.field(field, expr.start)?),
            ExprKind::Unary(op, operand) => self.unary(*op, operand, expr)?,
            ExprKind::Arithmetic(op, left, right) => {
                let operands = (self.bind(left)?, self.bind(right)?);
                self.arithmetic(*op, operands, expr.start)?
            }
            ExprKind::Compare(op, left, right) => self.compare(*op, left, right, expr.start)?,
            ExprKind::Range { low, low_op, field, high_op, high } => {
                Bound::Predicate(self.range((low, *low_op), field, (*high_op, high))?)
            }
            ExprKind::In { negated, item, list } => Bound::Predicate(self.membership(*negated, item, list)?),
            ExprKind::Like { item, pattern } => Bound::Predicate(self.like(item, pattern)?),
            ExprKind::Exists(path) => Bound::Predicate(self.exists(path)?),
            ExprKind::IsNull { negated, field } => Bound::Predicate(self.is_null(*negated, field)?),
            ExprKind::And(parts) => Bound::Predicate(Predicate::all(self.connected(parts, "and")?)),
            ExprKind::Or(parts) => Bound::Predicate(Predicate::any(self.connected(parts, "or")?)),
        })
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
        let dynamic_column = self.schema.column_fields().count();
        if field.name == DYNAMIC_FIELD && self.schema.dynamic() {
            return Ok(Operand::new(dynamic_column, DataType::Json, field.path.clone()));
        }
        if let Some((_, declared)) = self.schema.field(&field.name) {
            if !field.path.is_empty() && declared.data_type != DataType::Json {
                let message = format!("{} data type not supported accessed with []", declared.data_type);
                return Err(Fault::new(at, message));
            }
            // A vector has no column; every use of one is refused by its type before the position is read.
            let column = self.schema.column_of(&declared.name).unwrap_or(usize::MAX);
            return Ok(Operand::new(column, declared.data_type, field.path.clone()));
        }
        if !self.schema.dynamic() {
            return Err(Fault::new(at, format!("field {} not exist", field.name)));
        }
        let path = std::iter::once(Step::Key(field.name.clone())).chain(field.path.iter().cloned()).collect();
        Ok(Operand::new(dynamic_column, DataType::Json, path))
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

    fn compare(&self, op: CompareOp, left: &Expr, right: &Expr, at: usize) -> Result<Bound> {
        let (left, right) = (self.bind(left)?, self.bind(right)?);
        let refuse = |left: &str, right: &str| {
            Err(Fault::new(at, format!("comparisons between {left} and {right} are not supported")))
        };
        let (left_type, right_type) = (left.type_name(), right.type_name());
        let term = match (left, right) {
            (Bound::Constant(left), Bound::Constant(right)) => {
                return match left.compare(&right) {
                    Some(order) => Ok(Bound::Constant(Constant::Bool(op.holds(order)))),
                    None => refuse(left_type, right_type),
                };
            }
            (Bound::Operand(operand), Bound::Constant(constant)) => operand.compare(op, &constant),
            (Bound::Constant(constant), Bound::Operand(operand)) => operand.compare(op.flipped(), &constant),
            (Bound::Operand(left), Bound::Operand(right)) => {
                return left
                    .pair(op, &right)
                    .map(Bound::Predicate)
                    .map_err(|message| Fault::new(at, message));
            }
            _ => None,
        };
        match term {
            Some(predicate) => Ok(Bound::Predicate(predicate)),
            None => refuse(left_type, right_type),
        }
    }

    fn range(&self, low: (&Expr, CompareOp), field: &Expr, high: (CompareOp, &Expr)) -> Result<Predicate> {
        let (low_expr, high_expr) = (low.0, high.1);
        let Bound::Constant(low_constant) = self.bind(low_expr)? else {
            let message = format!("lowerbound cannot be a non-const expression: {}", self.text(low_expr));
            return Err(Fault::new(low_expr.start, message));
        };
        let Bound::Constant(high_constant) = self.bind(high_expr)? else {
            let message = format!("upperbound cannot be a non-const expression: {}", self.text(high_expr));
            return Err(Fault::new(high_expr.start, message));
        };
        let Bound::Operand(operand) = self.bind(field)? else {
            return Err(Fault::new(field.start, "a range needs a field between its bounds"));
        };
        if operand.data_type == DataType::Bool || [&low_constant, &high_constant].iter().any(|c| c.is_bool())
        {
            return Err(Fault::new(field.start, "invalid range operations on boolean expr"));
        }
        let data_type = operand.data_type.name();
        let comparable = low_constant.compare(&high_constant).is_some();
        let term = operand.range((&low_constant, low.1), (high.0, &high_constant)).filter(|_| comparable);
        term.ok_or_else(|| {
            let other = if comparable { data_type } else { high_constant.type_name() };
            let message =
                format!("comparisons between {} and {other} are not supported", low_constant.type_name());
            Fault::new(field.start, message)
        })
    }

    fn membership(&self, negated: bool, item: &Expr, list: &Expr) -> Result<Predicate> {
        let operand = match self.bind(item)? {
            Bound::Operand(operand) if operand.is_plain() => operand,
            _ => {
                let message =
                    format!("'term' can only be used on single field, but got: {}", self.text(item));
                return Err(Fault::new(item.start, message));
            }
        };
        if operand.data_type.is_vector() {
            return Err(Fault::new(item.start, format!("'in' is not supported on {}", operand.data_type)));
        }
        let ExprKind::List(items) = &list.kind else {
            let message = format!("the right-hand side of 'in' must be a list, but got: {}", self.text(list));
            return Err(Fault::new(list.start, message));
        };
        let mut constants = Vec::with_capacity(items.len());
        for item in items {
            if matches!(item.kind, ExprKind::List(_)) {
                return Err(Fault::unsupported(item.start, "a list inside the list of 'in'"));
            }
            match self.bind(item)? {
                Bound::Constant(constant) if constant.casts_to(operand.data_type) => constants.push(constant),
                _ => {
                    let message = format!(
                        "value '{}' in list cannot be casted to {}",
                        self.text(item),
                        operand.data_type
                    );
                    return Err(Fault::new(item.start, message));
                }
            }
        }
        let term = operand.among(constants);
        Ok(if negated { term.negated() } else { term })
    }

    fn like(&self, item: &Expr, pattern: &Expr) -> Result<Predicate> {
        let ExprKind::Text(text) = &pattern.kind else {
            let message = format!(
                "like pattern should be a string literal or template variable, got: {}",
                self.text(pattern)
            );
            return Err(Fault::new(pattern.start, message));
        };
        let test = TextTest::Like(Pattern::new(text).map_err(|message| Fault::new(pattern.start, message))?);
        let refuse =
            || Fault::new(item.start, "like operation on non-string or no-json field is unsupported");
        match self.bind(item)? {
            Bound::Operand(operand) => operand.text(test).ok_or_else(refuse),
            _ => Err(refuse()),
        }
    }

    fn exists(&self, path: &Expr) -> Result<Predicate> {
        match self.bind(path)? {
            Bound::Operand(operand) if operand.data_type != DataType::Json => {
                let message =
                    format!("exists operations are only supportted on json field, got:{}", operand.data_type);
                Err(Fault::new(path.start, message))
            }
            Bound::Operand(operand) if operand.is_plain() && !operand.path.is_empty() => {
                Ok(Predicate::Exists { column: operand.column, path: operand.path })
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
        let is_null = if operand.path.is_empty() {
            Predicate::IsNull { column: operand.column }
        } else {
            Predicate::Exists { column: operand.column, path: operand.path }.negated()
        };
        Ok(if negated { is_null.negated() } else { is_null })
    }
}
