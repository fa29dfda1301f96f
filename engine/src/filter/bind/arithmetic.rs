//! Operators that compute: on constants at once, on one field as steps of its operand.

use super::super::ast::{ArithmeticOp, Expr, ExprKind, UnaryOp};
use super::super::constant::{Constant, not_numeric};
use super::super::fault::Fault;
use super::{Binder, Bound, Result};

impl Binder<'_> {
    pub(super) fn unary(&self, op: UnaryOp, inner: &Expr, expr: &Expr) -> Result<Bound> {
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

    pub(super) fn arithmetic(&self, op: ArithmeticOp, operands: (Bound, Bound), at: usize) -> Result<Bound> {
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
}

fn not_moments(op: ArithmeticOp) -> String {
    format!("'{}' with an interval can only be used on timestamptz fields, as + or -", op.symbol())
}
