//! A declared value, or a value inside a JSON column, with the arithmetic done on it: the non-constant side of a
//! comparison. Turns comparisons with constants into terms of a [`Predicate`], converted to the value's own type.

use std::ops::Bound;

use super::ast::{ArithmeticOp, CompareOp, Step, UnaryOp};
use super::condition::{Arithmetic, ArithmeticStep, BoolTest, ColumnTest, NumberTest, TextTest, ValueTest};
use super::constant::{Constant, check_operand, check_right, check_type, not_numeric};
use super::membership::{column_set, fitted, json_set};
use super::number::{Number, NumberRange};
use super::predicate::{Predicate, Source};
use crate::row::moment::Interval;
use crate::schema::DataType;

/// A field reference that is resolved against the schema.
#[derive(Debug)]
pub(super) struct Operand {
    pub(super) place: Place,
    /// Type of the value. Of a whole array: `Array`.
    pub(super) data_type: DataType,
    /// Type of an array's elements.
    pub(super) element_type: Option<DataType>,
    steps: Vec<ArithmeticStep>,
    /// Whether a float constant took part in the arithmetic.
    float_constant: bool,
    /// What a moment is moved by.
    intervals: Vec<Interval>,
}

/// Where the value is.
#[derive(Debug)]
pub(super) enum Place {
    Declared(Source),
    /// In a JSON column. `counted`: the number of an array's items is meant.
    Json {
        column: usize,
        path: Vec<Step>,
        counted: bool,
    },
}

impl Operand {
    /// A declared value without arithmetic.
    pub(super) fn declared(source: Source, data_type: DataType, element_type: Option<DataType>) -> Self {
        Self::new(Place::Declared(source), data_type, element_type)
    }

    /// A value in a JSON column.
    pub(super) fn json(column: usize, path: Vec<Step>) -> Self {
        Self::new(Place::Json { column, path, counted: false }, DataType::Json, None)
    }

    fn new(place: Place, data_type: DataType, element_type: Option<DataType>) -> Self {
        Self {
            place,
            data_type,
            element_type,
            steps: Vec::new(),
            float_constant: false,
            intervals: Vec::new(),
        }
    }

    /// Whether nothing is computed on it: a field, an element, a path.
    pub(super) fn is_plain(&self) -> bool {
        let counted =
            matches!(self.place, Place::Json { counted: true, .. } | Place::Declared(Source::Length(_)));
        self.steps.is_empty() && self.intervals.is_empty() && !counted
    }

    /// The length of the array that it is; `None` if it is none.
    pub(super) fn length(self) -> Option<Self> {
        if !self.is_plain() {
            return None;
        }
        let place = match (self.place, self.data_type) {
            (Place::Declared(Source::Column(column)), DataType::Array) => {
                Place::Declared(Source::Length(column))
            }
            (Place::Json { column, path, .. }, _) => Place::Json { column, path, counted: true },
            _ => return None,
        };
        Some(Self::new(place, DataType::Int64, None))
    }

    /// Adds `self + interval`; `None` unless it is a moment.
    pub(super) fn moved(mut self, interval: Interval) -> Option<Self> {
        self.intervals.push(interval);
        (self.data_type == DataType::Timestamptz).then_some(self)
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
            Constant::Moment(moment) => {
                self.moment_range(NumberRange::of(op, Number::Int((*moment).into())))?
            }
            Constant::List(_) | Constant::Interval(_) => return None,
            Constant::Int(_) | Constant::Float(_) => {
                let float = matches!(constant, Constant::Float(_));
                let range = NumberRange::of(op, self.fitted(constant.number()?));
                self.number_range(range, float)?
            }
        };
        // A range says `==` for both; what is UNKNOWN stays so under the negation.
        Some(if op == CompareOp::NotEqual { term.negated() } else { term })
    }

    /// The term `low < self < high`, for two numbers, strings or moments; `None` if the types do not compare.
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
            (Constant::Moment(from), Constant::Moment(to)) => {
                let from = NumberRange::of(low.1.flipped(), Number::Int((*from).into()));
                let to = NumberRange::of(high.0, Number::Int((*to).into()));
                self.moment_range(NumberRange { low: from.low, high: to.high })
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
        let source = match self.place {
            Place::Declared(source) => source,
            Place::Json { column, path, counted } => {
                let test = json_set(constants);
                return Predicate::Json { column, path, counted, arithmetic: None, test };
            }
        };
        Predicate::Column { source, test: column_set(self.data_type, constants) }
    }

    /// A term on strings; `None` unless the values are, or may be, strings.
    pub(super) fn text(self, test: TextTest) -> Option<Predicate> {
        if !self.is_plain() {
            return None;
        }
        match (self.place, self.data_type) {
            (Place::Declared(source), DataType::VarChar) => {
                Some(Predicate::Column { source, test: ColumnTest::Text(test) })
            }
            (Place::Json { column, path, counted }, _) => {
                let test = ValueTest { text: Some(test), ..ValueTest::default() };
                Some(Predicate::Json { column, path, counted, arithmetic: None, test })
            }
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
        let (Place::Declared(Source::Column(left_column)), Place::Declared(Source::Column(right_column))) =
            (&self.place, &other.place)
        else {
            return Err("two column comparison with Array type is not supported".to_owned());
        };
        if left == DataType::Array || right == DataType::Array {
            return Err("two column comparison with Array type is not supported".to_owned());
        }
        let same = left == right && !left.is_vector();
        if !(same || left.is_numeric() && right.is_numeric()) {
            return Err(format!("comparisons between {left} and {right} are not supported"));
        }
        Ok(Predicate::Pair { left: *left_column, op, right: *right_column })
    }

    fn boolean(self, test: BoolTest) -> Option<Predicate> {
        if !self.is_plain() {
            return None;
        }
        match (self.place, self.data_type) {
            (Place::Declared(source), DataType::Bool) => {
                Some(Predicate::Column { source, test: ColumnTest::Bool(test) })
            }
            (Place::Json { column, path, counted }, _) => {
                let test = ValueTest { boolean: Some(test), ..ValueTest::default() };
                Some(Predicate::Json { column, path, counted, arithmetic: None, test })
            }
            _ => None,
        }
    }

    fn moment_range(self, range: NumberRange) -> Option<Predicate> {
        let Place::Declared(source) = self.place else { return None };
        if self.data_type != DataType::Timestamptz {
            return None;
        }
        let range = range.integers();
        Some(if self.intervals.is_empty() {
            Predicate::Column { source, test: ColumnTest::IntRange(range) }
        } else {
            Predicate::Moved { source, intervals: self.intervals, range }
        })
    }

    /// `float`: whether a constant of the range is one.
    fn number_range(mut self, range: NumberRange, float: bool) -> Option<Predicate> {
        self.float_constant |= float;
        if !self.data_type.is_numeric() && self.data_type != DataType::Json {
            return None;
        }
        let data_type = self.data_type;
        let arithmetic = self.arithmetic();
        let source = match self.place {
            Place::Declared(source) => source,
            Place::Json { column, path, counted } => {
                let test = ValueTest { number: Some(NumberTest::Range(range)), ..ValueTest::default() };
                return Some(Predicate::Json { column, path, counted, arithmetic, test });
            }
        };
        if let Some(arithmetic) = arithmetic {
            return Some(Predicate::Computed { source, arithmetic, range });
        }
        let test = match data_type {
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
        Some(Predicate::Column { source, test })
    }

    fn arithmetic(&mut self) -> Option<Arithmetic> {
        let single = self.data_type == DataType::Float;
        (!self.steps.is_empty()).then(|| Arithmetic {
            steps: std::mem::take(&mut self.steps),
            fractional: self.float_constant,
            single,
        })
    }

    /// The constant as a field of this type sees it: a Float field holds 32 bits, so `f == 0.1` means its 0.1.
    fn fitted(&self, number: Number) -> Number {
        fitted(self.data_type, number)
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
