//! What operators stand between: literals, templates, lists, fields with their steps, parentheses.

use super::super::ast::{Expr, ExprKind, FieldRef, Step};
use super::super::fault::Fault;
use super::super::literal;
use super::super::token::{Kind, Token};
use super::{OR, Parser, Result};

const NO_NULL: &str =
    "NULL literal is not supported in expressions; use '<field> is null' or '<field> is not null' instead";

impl Parser<'_> {
    pub(super) fn primary(&mut self) -> Result<Expr> {
        let token = self.peek();
        let text = token.text(self.source);
        let refuse = |message| Fault::new(token.start(), message);
        let kind = match token.kind {
            Kind::Int => ExprKind::Int(literal::integer(text).map_err(refuse)?),
            Kind::Float => ExprKind::Float(literal::float(text).map_err(refuse)?),
            Kind::Text | Kind::RawText => ExprKind::Text(self.string(token)?),
            Kind::True => ExprKind::Bool(true),
            Kind::False => ExprKind::Bool(false),
            Kind::Name if self.peek_at(1).kind == Kind::LeftParen => return self.call(),
            Kind::Name if matches!(self.peek_at(1).kind, Kind::Text | Kind::RawText) => return self.time(),
            Kind::Name | Kind::Meta => return self.name(),
            Kind::LeftParen => {
                self.advance();
                let inner = self.expression(OR)?;
                self.expect(Kind::RightParen, "')'")?;
                return Ok(inner);
            }
            Kind::LeftBracket => return self.list(),
            Kind::LeftBrace => return self.template(),
            Kind::Dollar => return Err(Fault::unsupported(token.start(), "element access with $[name]")),
            Kind::Null => return Err(refuse(NO_NULL.to_owned())),
            _ => return Err(self.mismatched("an expression")),
        };
        self.advance();
        self.node(kind, token.start(), token.end(), 0)
    }

    /// The text that a string token stands for.
    fn string(&self, token: Token) -> Result<String> {
        let text = token.text(self.source);
        if token.kind == Kind::RawText {
            return Ok(literal::raw_string(text));
        }
        literal::string(text).map_err(|message| Fault::new(token.start(), message))
    }

    /// The string behind `=~`.
    pub(super) fn pattern(&mut self) -> Result<Expr> {
        let token = self.advance();
        let text = token.text(self.source);
        let body = if token.kind == Kind::RawText {
            literal::raw_string(text)
        } else {
            text.get(1..text.len().saturating_sub(1)).unwrap_or_default().to_owned()
        };
        self.node(ExprKind::Pattern(body), token.start(), token.end(), 0)
    }

    /// `ISO '...'` or `INTERVAL '...'`.
    fn time(&mut self) -> Result<Expr> {
        let word = self.peek();
        let make = match word.text(self.source) {
            "iso" | "ISO" => ExprKind::Moment,
            "interval" | "INTERVAL" => ExprKind::Interval,
            _ => return self.name(),
        };
        self.advance();
        let text = self.advance();
        self.node(make(self.string(text)?), word.start(), text.end(), 0)
    }

    /// `{name}`
    fn template(&mut self) -> Result<Expr> {
        let start = self.advance().start();
        let name = self.expect(Kind::Name, "the name of a template variable")?.text(self.source).to_owned();
        let end = self.expect(Kind::RightBrace, "'}'")?.end();
        self.node(ExprKind::Template(name), start, end, 0)
    }

    fn list(&mut self) -> Result<Expr> {
        let start = self.advance().start();
        let mut items = Vec::new();
        let mut below = 0;
        while self.peek().kind != Kind::RightBracket {
            let item = self.expression(OR)?;
            below = below.max(item.height);
            items.push(item);
            if self.peek().kind != Kind::Comma {
                break;
            }
            self.advance();
        }
        let end = self.expect(Kind::RightBracket, "']' or ','")?.end();
        self.node(ExprKind::List(items), start, end, below)
    }

    /// A field, perhaps with `is null`.
    fn name(&mut self) -> Result<Expr> {
        let field = self.field()?;
        let negated = match self.peek().kind {
            Kind::IsNull => false,
            Kind::IsNotNull => true,
            _ => return Ok(field),
        };
        let (start, below) = (field.start, field.height);
        let end = self.advance().end();
        self.node(ExprKind::IsNull { negated, field: field.into() }, start, end, below)
    }

    /// A name and its `["key"]` and `[0]` steps.
    pub(super) fn field(&mut self) -> Result<Expr> {
        let token = self.advance();
        let name = token.text(self.source).to_owned();
        let mut path = Vec::new();
        let mut end = token.end();
        while self.peek().kind == Kind::LeftBracket {
            self.advance();
            path.push(self.step()?);
            end = self.expect(Kind::RightBracket, "']'")?.end();
        }
        self.node(ExprKind::Field(FieldRef { name, path }), token.start(), end, 0)
    }

    fn step(&mut self) -> Result<Step> {
        let token = self.peek();
        let text = token.text(self.source);
        let step = match token.kind {
            Kind::Text | Kind::RawText => Step::Key(self.string(token)?),
            Kind::Int if text == "0" || !text.starts_with('0') => Step::Index(
                text.parse().map_err(|_| Fault::new(token.start(), format!("index {text} is too large")))?,
            ),
            _ => return Err(self.mismatched("a quoted key or a decimal index")),
        };
        self.advance();
        Ok(step)
    }
}
