//! Tokens to tree: a precedence-climbing parser for Milvus's grammar, with its precedence table as constants. Neither
//! nesting nor long chains can exhaust the stack: recursion and tree height stop at `MAX_FILTER_DEPTH`.

use super::ast::{ArithmeticOp, CompareOp, Expr, ExprKind, UnaryOp};
use super::fault::{Fault, first_chars};
use super::token::{Kind, Token, tokenize};
use crate::limits;

mod call;
mod primary;

type Result<T> = std::result::Result<T, Fault>;

// Precedence, loosest first. Milvus binds unary `not` tighter than comparison: `not a > 1` is `(not a) > 1`.
const OR: u8 = 1;
const AND: u8 = 2;
const BIT_OR: u8 = 3;
const BIT_XOR: u8 = 4;
const BIT_AND: u8 = 5;
const EQUALITY: u8 = 6;
const RELATIONAL: u8 = 7;
const RANGE: u8 = 8;
const MEMBERSHIP: u8 = 9;
const SHIFT: u8 = 10;
const ADDITIVE: u8 = 11;
const MULTIPLICATIVE: u8 = 12;
const UNARY: u8 = 13;
const POWER: u8 = 14;
const NO_MATCH: u8 = 15;
const MATCH: u8 = 16;
const LIKE: u8 = 17;
const PRIMARY: u8 = 18;

/// An operator between two operands, or the token that starts one.
#[derive(Debug, Clone, Copy)]
enum Infix {
    Or,
    And,
    Arithmetic(ArithmeticOp),
    Compare(CompareOp),
    Range(CompareOp),
    In { negated: bool },
    Like,
    Match { negated: bool },
}

/// Parses a whole expression that is not blank.
pub(super) fn parse(source: &str) -> Result<Expr> {
    let mut parser = Parser { source, tokens: tokenize(source)?, next: 0, depth: 0 };
    let expr = parser.expression(OR)?;
    let rest = parser.peek();
    match rest.kind {
        Kind::End => Ok(expr),
        Kind::Assign => Err(Fault::syntax(rest.start(), "mismatched input '=' expecting '=='")),
        _ => Err(Fault::new(rest.start(), format!("invalid expression: {}", first_chars(source, 200)))),
    }
}

struct Parser<'a> {
    source: &'a str,
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

impl Parser<'_> {
    /// The token `ahead` places on; beyond the end it is the end.
    fn peek_at(&self, ahead: usize) -> Token {
        self.tokens.get(self.next + ahead).or(self.tokens.last()).copied().unwrap_or(Token::END)
    }

    fn peek(&self) -> Token {
        self.peek_at(0)
    }

    fn advance(&mut self) -> Token {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn expect(&mut self, kind: Kind, what: &str) -> Result<Token> {
        if self.peek().kind == kind { Ok(self.advance()) } else { Err(self.mismatched(what)) }
    }

    fn mismatched(&self, expecting: &str) -> Fault {
        let token = self.peek();
        let text = if token.kind == Kind::End { "<EOF>" } else { token.text(self.source) };
        Fault::syntax(
            token.start(),
            format!("mismatched input '{}' expecting {expecting}", first_chars(text, 40)),
        )
    }

    fn node(&self, kind: ExprKind, start: usize, end: usize, below: usize) -> Result<Expr> {
        if below >= limits::MAX_FILTER_DEPTH {
            return Err(too_deep(start));
        }
        Ok(Expr { kind, start, end, height: below + 1 })
    }

    /// An expression whose operators bind at least as tight as `floor`.
    fn expression(&mut self, floor: u8) -> Result<Expr> {
        if self.depth >= limits::MAX_FILTER_DEPTH {
            return Err(too_deep(self.peek().start()));
        }
        self.depth += 1;
        let mut left = self.prefix()?;
        while let Some((level, infix, tokens)) = self.peek_infix() {
            if level < floor {
                break;
            }
            self.next += tokens;
            left = self.infix(left, level, infix)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    /// The operator at the cursor: precedence, meaning, number of tokens.
    fn peek_infix(&self) -> Option<(u8, Infix, usize)> {
        use ArithmeticOp as A;
        use CompareOp as C;
        let token = self.peek();
        let (level, infix) = match token.kind {
            Kind::Or => (OR, Infix::Or),
            Kind::And => (AND, Infix::And),
            Kind::Pipe => (BIT_OR, Infix::Arithmetic(A::BitOr)),
            Kind::Caret => (BIT_XOR, Infix::Arithmetic(A::BitXor)),
            Kind::Ampersand => (BIT_AND, Infix::Arithmetic(A::BitAnd)),
            Kind::Equal => (EQUALITY, Infix::Compare(C::Equal)),
            Kind::NotEqual => (EQUALITY, Infix::Compare(C::NotEqual)),
            Kind::Less => self.relation(C::Less),
            Kind::LessEqual => self.relation(C::LessEqual),
            Kind::Greater => self.relation(C::Greater),
            Kind::GreaterEqual => self.relation(C::GreaterEqual),
            Kind::In => (MEMBERSHIP, Infix::In { negated: false }),
            Kind::Not if self.peek_at(1).kind == Kind::In => {
                return Some((MEMBERSHIP, Infix::In { negated: true }, 2));
            }
            Kind::ShiftLeft => (SHIFT, Infix::Arithmetic(A::ShiftLeft)),
            Kind::ShiftRight => (SHIFT, Infix::Arithmetic(A::ShiftRight)),
            Kind::Plus => (ADDITIVE, Infix::Arithmetic(A::Add)),
            Kind::Minus => (ADDITIVE, Infix::Arithmetic(A::Subtract)),
            Kind::Star => (MULTIPLICATIVE, Infix::Arithmetic(A::Multiply)),
            Kind::Slash => (MULTIPLICATIVE, Infix::Arithmetic(A::Divide)),
            Kind::Percent => (MULTIPLICATIVE, Infix::Arithmetic(A::Modulo)),
            Kind::StarStar => (POWER, Infix::Arithmetic(A::Power)),
            Kind::Like => (LIKE, Infix::Like),
            Kind::RegexMatch => (MATCH, Infix::Match { negated: false }),
            Kind::RegexNoMatch => (NO_MATCH, Infix::Match { negated: true }),
            _ => return None,
        };
        Some((level, infix, 1))
    }

    /// `<` and its kin start a range if a field and a second operator of the same direction follow.
    fn relation(&self, op: CompareOp) -> (u8, Infix) {
        let mut ahead = 1;
        let mut range = matches!(self.peek_at(ahead).kind, Kind::Name | Kind::Meta);
        ahead += 1;
        while range && self.peek_at(ahead).kind == Kind::LeftBracket {
            range = self.peek_at(ahead + 2).kind == Kind::RightBracket;
            ahead += 3;
        }
        let same_direction = match self.peek_at(ahead).kind {
            Kind::Less | Kind::LessEqual => matches!(op, CompareOp::Less | CompareOp::LessEqual),
            Kind::Greater | Kind::GreaterEqual => matches!(op, CompareOp::Greater | CompareOp::GreaterEqual),
            _ => false,
        };
        if range && same_direction { (RANGE, Infix::Range(op)) } else { (RELATIONAL, Infix::Compare(op)) }
    }

    /// Completes an operator, the cursor being behind it. All operators of one level associate left.
    fn infix(&mut self, left: Expr, level: u8, infix: Infix) -> Result<Expr> {
        if let Infix::Range(op) = infix {
            return self.range(left, op);
        }
        let right = match (infix, self.peek().kind) {
            (Infix::Match { .. }, Kind::Text | Kind::RawText) => self.pattern()?,
            _ => self.expression(level + 1)?,
        };
        let (start, end) = (left.start, right.end);
        let below = left.height.max(right.height);
        let kind = match infix {
            Infix::And => return self.chain(left, right, ExprKind::And),
            Infix::Or => return self.chain(left, right, ExprKind::Or),
            Infix::Arithmetic(op) => ExprKind::Arithmetic(op, left.into(), right.into()),
            Infix::Compare(op) | Infix::Range(op) => ExprKind::Compare(op, left.into(), right.into()),
            Infix::In { negated } => ExprKind::In { negated, item: left.into(), list: right.into() },
            Infix::Like => ExprKind::Like { item: left.into(), pattern: right.into() },
            Infix::Match { negated } => ExprKind::Match { negated, item: left.into(), pattern: right.into() },
        };
        self.node(kind, start, end, below)
    }

    /// Joins operands of `and` or `or`; a chain grows wide, not high.
    fn chain(&self, left: Expr, right: Expr, make: fn(Vec<Expr>) -> ExprKind) -> Result<Expr> {
        let (start, end) = (left.start, right.end);
        let (mut operands, mut below) = match (left.kind, make(Vec::new())) {
            (ExprKind::And(operands), ExprKind::And(_)) | (ExprKind::Or(operands), ExprKind::Or(_)) => {
                (operands, left.height - 1)
            }
            (kind, _) => (vec![Expr { kind, ..left }], left.height),
        };
        below = below.max(right.height);
        operands.push(right);
        self.node(make(operands), start, end, below)
    }

    fn range(&mut self, left: Expr, left_op: CompareOp) -> Result<Expr> {
        let field = self.field()?;
        let right_op = match self.advance().kind {
            Kind::Less => CompareOp::Less,
            Kind::LessEqual => CompareOp::LessEqual,
            Kind::Greater => CompareOp::Greater,
            _ => CompareOp::GreaterEqual,
        };
        let right = self.expression(RANGE + 1)?;
        let (start, end) = (left.start, right.end);
        let below = left.height.max(right.height).max(field.height);
        let rising = matches!(left_op, CompareOp::Less | CompareOp::LessEqual);
        // `9 > a > 1` says the same as `1 < a < 9`.
        let (low, low_op, high_op, high) = if rising {
            (left, left_op, right_op, right)
        } else {
            (right, right_op.flipped(), left_op.flipped(), left)
        };
        let kind =
            ExprKind::Range { low: low.into(), low_op, field: field.into(), high_op, high: high.into() };
        self.node(kind, start, end, below)
    }

    fn prefix(&mut self) -> Result<Expr> {
        let token = self.peek();
        let op = match token.kind {
            Kind::Plus => UnaryOp::Plus,
            Kind::Minus => UnaryOp::Minus,
            Kind::Tilde => UnaryOp::BitNot,
            Kind::Not => UnaryOp::Not,
            Kind::Exists => {
                self.advance();
                let operand = self.expression(PRIMARY)?;
                let (end, below) = (operand.end, operand.height);
                return self.node(ExprKind::Exists(operand.into()), token.start(), end, below);
            }
            _ => return self.primary(),
        };
        self.advance();
        let operand = self.expression(UNARY)?;
        let (end, below) = (operand.end, operand.height);
        self.node(ExprKind::Unary(op, operand.into()), token.start(), end, below)
    }
}

fn too_deep(at: usize) -> Fault {
    Fault::new(at, format!("the expression is nested deeper than {} levels", limits::MAX_FILTER_DEPTH))
}
