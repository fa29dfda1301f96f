//! Comparisons, chained ranges and `in`.

use super::super::ast::{CompareOp, Expr, ExprKind};
use super::super::constant::Constant;
use super::super::fault::Fault;
use super::super::operand::Operand;
use super::super::predicate::Predicate;
use super::{Binder, Bound, Result};
use crate::schema::DataType;

const NO_ARRAYS: &str = "can not comparisons array fields directly";

impl Binder<'_> {
    pub(super) fn compare(&self, op: CompareOp, left: &Expr, right: &Expr, at: usize) -> Result<Bound> {
        let (left, right) = self.operands((left, right), op.symbol(), at)?;
        let (left_type, right_type) = (left.type_name(), right.type_name());
        let refuse =
            || Fault::new(at, format!("comparisons between {left_type} and {right_type} are not supported"));
        let (operand, op, constant) = match (left, right) {
            (Bound::Constant(left), Bound::Constant(right)) => {
                let order = left.compare(&right).ok_or_else(refuse)?;
                return Ok(Bound::Constant(Constant::Bool(op.holds(order))));
            }
            (Bound::Operand(left), Bound::Operand(right)) => {
                let term = left.pair(op, &right).map_err(|message| Fault::new(at, message))?;
                return Ok(Bound::Predicate(term));
            }
            (Bound::Operand(operand), Bound::Constant(constant)) => (operand, op, constant),
            (Bound::Constant(constant), Bound::Operand(operand)) => (operand, op.flipped(), constant),
            _ => return Err(refuse()),
        };
        let ordered = !matches!(op, CompareOp::Equal | CompareOp::NotEqual);
        if ordered && (operand.data_type == DataType::Array || matches!(constant, Constant::List(_))) {
            return Err(Fault::new(at, NO_ARRAYS));
        }
        if let Constant::List(items) = constant {
            let term = Self::same_list(operand, items, at)?.ok_or_else(refuse)?;
            return Ok(Bound::Predicate(if op == CompareOp::NotEqual { term.negated() } else { term }));
        }
        let constant = self.fit(&operand, constant, at)?;
        operand.compare(op, &constant).map(Bound::Predicate).ok_or_else(refuse)
    }

    /// Strings that are compared to moments are moments.
    fn fit(&self, operand: &Operand, constant: Constant, at: usize) -> Result<Constant> {
        match constant {
            Constant::Text(text) if operand.data_type == DataType::Timestamptz => {
                self.moment(&text, at).map(Constant::Moment)
            }
            other => Ok(other),
        }
    }

    pub(super) fn range(
        &self,
        low: (&Expr, CompareOp),
        field: &Expr,
        high: (CompareOp, &Expr),
    ) -> Result<Predicate> {
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
        if operand.data_type == DataType::Array {
            return Err(Fault::new(field.start, NO_ARRAYS));
        }
        if operand.data_type == DataType::Bool || [&low_constant, &high_constant].iter().any(|c| c.is_bool())
        {
            return Err(Fault::new(field.start, "invalid range operations on boolean expr"));
        }
        let low_constant = self.fit(&operand, low_constant, low_expr.start)?;
        let high_constant = self.fit(&operand, high_constant, high_expr.start)?;
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

    pub(super) fn membership(&self, negated: bool, item: &Expr, list: &Expr) -> Result<Predicate> {
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
        if operand.data_type == DataType::Array {
            return Err(Fault::new(item.start, NO_ARRAYS));
        }
        let constants = match &list.kind {
            ExprKind::List(items) => items
                .iter()
                .map(|item| self.member(&operand, self.bind(item)?, &self.text(item), item.start))
                .collect::<Result<_>>()?,
            ExprKind::Template(name) => {
                let Constant::List(values) = self.literal(list)? else {
                    let message =
                        format!("the value of term expression template variable {{{name}}} is not array");
                    return Err(Fault::new(list.start, message));
                };
                let name = format!("{{{name}}}");
                let member = |value| self.member(&operand, Bound::Constant(value), &name, list.start);
                values.into_iter().map(member).collect::<Result<_>>()?
            }
            _ => {
                let message =
                    format!("the right-hand side of 'in' must be a list, but got: {}", self.text(list));
                return Err(Fault::new(list.start, message));
            }
        };
        let term = operand.among(constants);
        Ok(if negated { term.negated() } else { term })
    }

    fn member(&self, operand: &Operand, value: Bound, text: &str, at: usize) -> Result<Constant> {
        if let Bound::Constant(constant) = value {
            let constant = self.fit(operand, constant, at)?;
            if constant.casts_to(operand.data_type) {
                return Ok(constant);
            }
        }
        let message = format!("value '{text}' in list cannot be casted to {}", operand.data_type);
        Err(Fault::new(at, message))
    }
}
