//! A column, or a value inside a JSON column, with the arithmetic done on it: the non-constant side of a comparison.
//! Turns comparisons with constants into terms of a [`Predicate`], converted to the column's own type.

use std::ops::Bound;

use super::ast::{ArithmeticOp, CompareOp, Step, UnaryOp};
use super::constant::{Constant, check_operand, check_right, check_type, not_numeric};
use super::number::{Number, NumberRange};
use super::predicate::{
    Arithmetic, ArithmeticStep, BoolTest, ColumnTest, NumberTest, Predicate, TextTest, ValueTest,
};
use crate::schema::DataType;

/// A field reference that is resolved against the schema.
#[derive(Debug)]
pub(super) struct Operand {
    /// Position in `Schema::arrow`.
    pub(super) column: usize,
    pub(super) data_type: DataType,
    /// Empty unless the type is JSON.
    pub(super) path: Vec<Step>,
    steps: Vec<ArithmeticStep>,
    /// Whether a float constant took part in the arithmetic.
    float_constant: bool,
}

impl Operand {
    /// A reference without arithmetic.
    pub(super) fn new(column: usize, data_type: DataType, path: Vec<Step>) -> Self {
        Self { column, data_type, path, steps: Vec::new(), float_constant: false }
    }

    /// Whether nothing is computed on it.
    pub(super) fn is_plain(&self) -> bool {
        self.steps.is_empty()
    }

    /// Adds `self op constant`, or `constant op self` if `reversed`.
    pub(super) fn step(
        mut self,
        op: ArithmeticOp,
        constant: &Constant,
        reversed: bool,
    ) -> Result<Self, String> {
        let number =
            constant.number().filter(|_| self.data_type.is_numeric() || self.data_type == DataType::Json);
        let Some(number) = number else { return Err(not_numeric(op)) };
        if op == ArithmeticOp::Power {
            return Err("'**' can only be used between constants".to_owned());
        }
        check_type(
            op,
            !self.float_constant && !matches!(self.data_type, DataType::Float | DataType::Double),
        )?;
        check_operand(op, number)?;
        if !reversed {
            check_right(op, number)?;
        }
        self.float_constant |= matches!(number, Number::Float(_));
        self.steps.push(ArithmeticStep { op, constant: self.fitted(number), reversed });
        Ok(self)
    }

    /// `+`, `-` and `~` as steps with a constant.
    pub(super) fn unary(self, op: UnaryOp) -> Result<Self, String> {
        match op {
            UnaryOp::Minus => self.step(ArithmeticOp::Subtract, &Constant::Int(0), true),
            UnaryOp::BitNot => self.step(ArithmeticOp::BitXor, &Constant::Int(-1), false),
            // Adding nothing checks the type.
            UnaryOp::Plus | UnaryOp::Not => self.step(ArithmeticOp::Add, &Constant::Int(0), false),
        }
    }

    /// The term `self op constant`; `None` if the types do not compare.
    pub(super) fn compare(self, op: CompareOp, constant: &Constant) -> Option<Predicate> {
        let term = match constant {
            Constant::Bool(value) => return self.boolean(BoolTest::of(op, *value)),
            Constant::Text(value) => self.text(text_range(op, value))?,
            Constant::Int(_) | Constant::Float(_) => {
                let float = matches!(constant, Constant::Float(_));
                let range = NumberRange::of(op, self.fitted(constant.number()?));
                self.number_range(range, float)?
            }
        };
        // A range says `==` for both; what is UNKNOWN stays so under the negation.
        Some(if op == CompareOp::NotEqual { term.negated() } else { term })
    }

    /// The term `low < self < high`, for two numbers or two strings; `None` if the types do not compare.
    pub(super) fn range(
        self,
        low: (&Constant, CompareOp),
        high: (CompareOp, &Constant),
    ) -> Option<Predicate> {
        match (low.0, high.1) {
            (Constant::Text(from), Constant::Text(to)) => {
                let (TextTest::Range(from, _), TextTest::Range(_, to)) =
                    (text_range(low.1.flipped(), from), text_range(high.0, to))
                else {
                    return None;
                };
                self.text(TextTest::Range(from, to))
            }
            (from, to) => {
                let float = [from, to].iter().any(|c| matches!(c, Constant::Float(_)));
                let from = NumberRange::of(low.1.flipped(), self.fitted(from.number()?));
                let to = NumberRange::of(high.0, self.fitted(to.number()?));
                self.number_range(NumberRange { low: from.low, high: to.high }, float)
            }
        }
    }

    /// The term `self in constants`; each constant has passed [`Constant::casts_to`] and nothing is computed.
    pub(super) fn among(self, constants: Vec<Constant>) -> Predicate {
        // With no constants a JSON value of any type is known not to be among them.
        let none = constants.is_empty();
        let mut numbers: Vec<Number> =
            constants.iter().filter_map(Constant::number).map(|n| self.fitted(n)).collect();
        numbers.sort_by(|a, b| a.compare(*b));
        numbers.dedup_by(|a, b| a.compare(*b).is_eq());
        let holds = |boolean| constants.contains(&Constant::Bool(boolean));
        let boolean = BoolTest { on_true: holds(true), on_false: holds(false) };
        let any_bool = constants.iter().any(Constant::is_bool);
        let mut texts: Vec<String> = constants
            .into_iter()
            .filter_map(|c| if let Constant::Text(text) = c { Some(text) } else { None })
            .collect();
        texts.sort_unstable();
        texts.dedup();
        let column = self.column;
        let test = match self.data_type {
            DataType::Json => {
                let test = ValueTest {
                    number: (none || !numbers.is_empty()).then_some(NumberTest::Set(numbers)),
                    text: (none || !texts.is_empty()).then_some(TextTest::Set(texts)),
                    boolean: (none || any_bool).then_some(boolean),
                };
                return self.json(test);
            }
            DataType::Bool => ColumnTest::Bool(boolean),
            DataType::Float => ColumnTest::SingleSet(numbers.iter().map(|n| n.to_f64() as f32).collect()),
            // An integer between two floats equals neither.
            DataType::Double => {
                let exact = |n: &Number| Some(n.to_f64()).filter(|f| Number::Float(*f).compare(*n).is_eq());
                ColumnTest::DoubleSet(numbers.iter().filter_map(exact).collect())
            }
            DataType::VarChar => ColumnTest::Text(TextTest::Set(texts)),
            _ => {
                let int = |n: &Number| if let Number::Int(i) = n { i64::try_from(*i).ok() } else { None };
                ColumnTest::IntSet(numbers.iter().filter_map(int).collect())
            }
        };
        Predicate::Column { column, test }
    }

    /// A term on strings; `None` unless the values are, or may be, strings.
    pub(super) fn text(self, test: TextTest) -> Option<Predicate> {
        match self.data_type {
            _ if !self.is_plain() => None,
            DataType::VarChar => {
                Some(Predicate::Column { column: self.column, test: ColumnTest::Text(test) })
            }
            DataType::Json => Some(self.json(ValueTest { text: Some(test), ..ValueTest::default() })),
            _ => None,
        }
    }

    /// The term `self op other` on two declared columns.
    pub(super) fn pair(&self, op: CompareOp, other: &Self) -> Result<Predicate, String> {
        if !self.is_plain() || !other.is_plain() {
            return Err("not supported to do arithmetic operations between multiple fields".to_owned());
        }
        let (left, right) = (self.data_type, other.data_type);
        if left == DataType::Json || right == DataType::Json {
            return Err("two column comparison with JSON type is not supported".to_owned());
        }
        let same = left == right && !left.is_vector();
        if !(same || left.is_numeric() && right.is_numeric()) {
            return Err(format!("comparisons between {left} and {right} are not supported"));
        }
        Ok(Predicate::Pair { left: self.column, op, right: other.column })
    }

    fn boolean(self, test: BoolTest) -> Option<Predicate> {
        match self.data_type {
            _ if !self.is_plain() => None,
            DataType::Bool => Some(Predicate::Column { column: self.column, test: ColumnTest::Bool(test) }),
            DataType::Json => Some(self.json(ValueTest { boolean: Some(test), ..ValueTest::default() })),
            _ => None,
        }
    }

    /// `float`: whether a constant of the range is one.
    fn number_range(mut self, range: NumberRange, float: bool) -> Option<Predicate> {
        self.float_constant |= float;
        if self.data_type == DataType::Json {
            return Some(
                self.json(ValueTest { number: Some(NumberTest::Range(range)), ..ValueTest::default() }),
            );
        }
        if !self.data_type.is_numeric() {
            return None;
        }
        let column = self.column;
        if !self.is_plain() {
            return self.arithmetic().map(|arithmetic| Predicate::Computed { column, arithmetic, range });
        }
        let test = match self.data_type {
            DataType::Float => {
                let (low, high) = range.singles();
                ColumnTest::SingleRange(low, high)
            }
            DataType::Double => {
                let (low, high) = range.doubles();
                ColumnTest::DoubleRange(low, high)
            }
            _ => ColumnTest::IntRange(range.integers()),
        };
        Some(Predicate::Column { column, test })
    }

    fn json(mut self, test: ValueTest) -> Predicate {
        let path = std::mem::take(&mut self.path);
        Predicate::Json { column: self.column, path, arithmetic: self.arithmetic(), test }
    }

    fn arithmetic(self) -> Option<Arithmetic> {
        let single = self.data_type == DataType::Float;
        (!self.steps.is_empty()).then_some(Arithmetic {
            steps: self.steps,
            fractional: self.float_constant,
            single,
        })
    }

    /// The constant as a field of this type sees it: a Float field holds 32 bits, so `f == 0.1` means its 0.1.
    fn fitted(&self, number: Number) -> Number {
        if self.data_type == DataType::Float { number.to_single() } else { number }
    }
}

fn text_range(op: CompareOp, constant: &str) -> TextTest {
    let included = || Bound::Included(constant.to_owned());
    let excluded = || Bound::Excluded(constant.to_owned());
    let (low, high) = match op {
        CompareOp::Equal | CompareOp::NotEqual => (included(), included()),
        CompareOp::Less => (Bound::Unbounded, excluded()),
        CompareOp::LessEqual => (Bound::Unbounded, included()),
        CompareOp::Greater => (excluded(), Bound::Unbounded),
        CompareOp::GreaterEqual => (included(), Bound::Unbounded),
    };
    TextTest::Range(low, high)
}
