//! The tree of an expression as written: no types and no fields looked up yet. Its height is bounded by
//! `MAX_FILTER_DEPTH`, so that recursion over it (binding, dropping) is safe whatever a client sends.

/// A node with its place in the source and the height of the tree below it.
#[derive(Debug)]
pub(super) struct Expr {
    pub(super) kind: ExprKind,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) height: usize,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum ExprKind {
    /// Magnitude of an integer literal; the sign is a unary operator.
    Int(u64),
    Float(f64),
    Bool(bool),
    Text(String),
    List(Vec<Expr>),
    Field(FieldRef),
    /// `{name}`, whose value comes with the request.
    Template(String),
    /// The string behind `=~` as written: its backslashes are the regex engine's.
    Pattern(String),
    /// `ISO '...'`
    Moment(String),
    /// `INTERVAL '...'`
    Interval(String),
    Call {
        function: Function,
        arguments: Vec<Argument>,
    },
    Unary(UnaryOp, Box<Expr>),
    Arithmetic(ArithmeticOp, Box<Expr>, Box<Expr>),
    Compare(CompareOp, Box<Expr>, Box<Expr>),
    /// `low < field < high` and the like; a falling range is turned around by the parser.
    Range {
        low: Box<Expr>,
        low_op: CompareOp,
        field: Box<Expr>,
        high_op: CompareOp,
        high: Box<Expr>,
    },
    In {
        negated: bool,
        item: Box<Expr>,
        list: Box<Expr>,
    },
    Like {
        item: Box<Expr>,
        pattern: Box<Expr>,
    },
    /// `=~` and `!~`.
    Match {
        negated: bool,
        item: Box<Expr>,
        pattern: Box<Expr>,
    },
    Exists(Box<Expr>),
    IsNull {
        negated: bool,
        field: Box<Expr>,
    },
    /// Two or more operands: a chain of `and` is one node, however long.
    And(Vec<Expr>),
    /// As [`ExprKind::And`].
    Or(Vec<Expr>),
}

/// Functions of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    /// `array_contains` and `json_contains`, and their `_all` and `_any`.
    Contains(Quantity),
    Length,
    TextMatch,
    FuzzyMatch,
    PhraseMatch,
    Sample,
}

/// How many of the values must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantity {
    /// There is one value, and it must be.
    One,
    All,
    Any,
}

/// One argument of a call, perhaps `label=value`.
#[derive(Debug)]
pub(super) struct Argument {
    pub(super) label: Option<String>,
    pub(super) value: Expr,
}

/// A name with the steps into its JSON value.
#[derive(Debug)]
pub(super) struct FieldRef {
    pub(super) name: String,
    pub(super) path: Vec<Step>,
}

/// One step into a JSON value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// Member of an object.
    Key(String),
    /// Element of an array, from 0.
    Index(usize),
}

/// Prefix operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnaryOp {
    Plus,
    Minus,
    BitNot,
    Not,
}

/// Operators from numbers to a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ArithmeticOp {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    BitAnd,
    BitOr,
    BitXor,
    ShiftLeft,
    ShiftRight,
}

impl ArithmeticOp {
    /// As written.
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Power => "**",
            Self::BitAnd => "&",
            Self::BitOr => "|",
            Self::BitXor => "^",
            Self::ShiftLeft => "<<",
            Self::ShiftRight => ">>",
        }
    }

    /// Whether it is defined on integers only.
    pub(super) fn integers_only(self) -> bool {
        !matches!(self, Self::Add | Self::Subtract | Self::Multiply | Self::Divide | Self::Power)
    }
}

/// Comparison operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CompareOp {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl CompareOp {
    /// As written.
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
        }
    }

    /// Whether the relation holds between two values in this order.
    pub(super) fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterEqual => order.is_ge(),
        }
    }

    /// The operator after exchanging the two sides.
    pub(super) fn flipped(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessEqual => Self::GreaterEqual,
            Self::Greater => Self::Less,
            Self::GreaterEqual => Self::LessEqual,
            same => same,
        }
    }
}
