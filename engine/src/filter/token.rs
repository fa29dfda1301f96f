//! Cuts an expression into tokens, with winnow. A token is a kind and a byte range; literals are decoded by the
//! parser, so that a megabyte of text costs twelve bytes a token and no strings.

use winnow::Parser;
use winnow::ascii::{digit0, digit1, hex_digit1, multispace0};
use winnow::combinator::{alt, not, opt, repeat};
use winnow::error::EmptyError;
use winnow::token::{any, one_of, take_till, take_while};

use super::fault::Fault;

type Lexed<T> = winnow::Result<T, EmptyError>;

/// Sort of a token. Words of the language are apart from identifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Float,
    Text,
    RawText,
    Name,
    Meta,
    True,
    False,
    Null,
    IsNull,
    IsNotNull,
    And,
    Or,
    Not,
    In,
    Like,
    Exists,
    LeftParen,
    RightParen,
    LeftBracket,
    RightBracket,
    LeftBrace,
    RightBrace,
    Comma,
    Assign,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    RegexMatch,
    RegexNoMatch,
    Plus,
    Minus,
    Star,
    StarStar,
    Slash,
    Percent,
    Ampersand,
    Pipe,
    Caret,
    Tilde,
    ShiftLeft,
    ShiftRight,
    Dollar,
    End,
}

/// One token. Expressions are at most `MAX_FILTER_BYTES` long, so 32-bit positions suffice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) kind: Kind,
    start: u32,
    end: u32,
}

impl Token {
    /// The end of an empty text.
    pub(super) const END: Self = Self { kind: Kind::End, start: 0, end: 0 };

    fn new(kind: Kind, start: usize, end: usize) -> Self {
        Self { kind, start: start as u32, end: end as u32 }
    }

    /// First byte in the source.
    pub(super) fn start(self) -> usize {
        self.start as usize
    }

    /// Byte after the last.
    pub(super) fn end(self) -> usize {
        self.end as usize
    }

    /// The text it was cut from.
    pub(super) fn text(self, source: &str) -> &str {
        source.get(self.start()..self.end()).unwrap_or_default()
    }
}

/// Longer operators come before their own beginnings.
const OPERATORS: [(&str, Kind); 33] = [
    ("&&", Kind::And),
    ("||", Kind::Or),
    ("==", Kind::Equal),
    ("=~", Kind::RegexMatch),
    ("!~", Kind::RegexNoMatch),
    ("!=", Kind::NotEqual),
    ("<=", Kind::LessEqual),
    (">=", Kind::GreaterEqual),
    ("<<", Kind::ShiftLeft),
    (">>", Kind::ShiftRight),
    ("**", Kind::StarStar),
    ("$meta", Kind::Meta),
    ("(", Kind::LeftParen),
    (")", Kind::RightParen),
    ("[", Kind::LeftBracket),
    ("]", Kind::RightBracket),
    ("{", Kind::LeftBrace),
    ("}", Kind::RightBrace),
    (",", Kind::Comma),
    ("=", Kind::Assign),
    ("<", Kind::Less),
    (">", Kind::Greater),
    ("!", Kind::Not),
    ("+", Kind::Plus),
    ("-", Kind::Minus),
    ("*", Kind::Star),
    ("/", Kind::Slash),
    ("%", Kind::Percent),
    ("&", Kind::Ampersand),
    ("|", Kind::Pipe),
    ("^", Kind::Caret),
    ("~", Kind::Tilde),
    ("$", Kind::Dollar),
];

/// All tokens of `source`, with [`Kind::End`] last.
pub(super) fn tokenize(source: &str) -> Result<Vec<Token>, Fault> {
    let mut tokens = Vec::new();
    let mut rest = source;
    loop {
        // Whitespace may be empty, so this cannot fail.
        let _ = skip_space(&mut rest);
        let start = source.len() - rest.len();
        if rest.is_empty() {
            tokens.push(Token::new(Kind::End, start, start));
            return Ok(tokens);
        }
        match token(&mut rest) {
            Ok(kind) => tokens.push(Token::new(kind, start, source.len() - rest.len())),
            Err(_) => return Err(unreadable(rest, start)),
        }
    }
}

fn unreadable(rest: &str, at: usize) -> Fault {
    match rest.chars().next() {
        Some('"' | '\'') => Fault::syntax(at, "the string has no end"),
        other => Fault::syntax(at, format!("token recognition error at: '{}'", other.unwrap_or_default())),
    }
}

fn skip_space(input: &mut &str) -> Lexed<()> {
    multispace0.void().parse_next(input)
}

fn token(input: &mut &str) -> Lexed<Kind> {
    alt((text, number, null_test, word, operator)).parse_next(input)
}

fn text(input: &mut &str) -> Lexed<Kind> {
    alt((quoted('"').value(Kind::Text), quoted('\'').value(Kind::Text), raw('"'), raw('\'')))
        .parse_next(input)
}

/// A string in which a backslash always takes the next character with it.
fn quoted<'i>(quote: char) -> impl Parser<&'i str, (), EmptyError> {
    let plain = take_till(1.., [quote, '\\']).void();
    let content = repeat::<_, _, (), _, _>(0.., alt((plain, ('\\', any).void())));
    (quote, content, quote).void()
}

/// `r"..."`: backslashes mean themselves.
fn raw<'i>(quote: char) -> impl Parser<&'i str, Kind, EmptyError> {
    (one_of(['r', 'R']), quote, take_till(0.., quote), quote).value(Kind::RawText)
}

fn number(input: &mut &str) -> Lexed<Kind> {
    let exponent = || (one_of(['e', 'E']), opt(one_of(['+', '-'])), digit1);
    alt((
        ("0", one_of(['x', 'X']), hex_digit1).value(Kind::Int),
        ("0", one_of(['b', 'B']), take_while(1.., ['0', '1'])).value(Kind::Int),
        (digit1, '.', digit0, opt(exponent())).value(Kind::Float),
        ('.', digit1, opt(exponent())).value(Kind::Float),
        (digit1, exponent()).value(Kind::Float),
        digit1.value(Kind::Int),
    ))
    .parse_next(input)
}

/// `is null` and `is not null`: one token each, with single spaces.
fn null_test(input: &mut &str) -> Lexed<Kind> {
    let forms = alt((
        "is null".value(Kind::IsNull),
        "IS NULL".value(Kind::IsNull),
        "is not null".value(Kind::IsNotNull),
        "IS NOT NULL".value(Kind::IsNotNull),
    ));
    let end = not(one_of(is_word_char));
    (forms, end).map(|(kind, ())| kind).parse_next(input)
}

fn is_word_char(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric()
}

/// Identifiers and words; a word counts only in all-lower or all-upper case, the truth values also capitalised.
fn word(input: &mut &str) -> Lexed<Kind> {
    let start = one_of(|c: char| c == '_' || c.is_ascii_alphabetic());
    let text = (start, take_while(0.., is_word_char)).take().parse_next(input)?;
    Ok(match text {
        "and" | "AND" => Kind::And,
        "or" | "OR" => Kind::Or,
        "not" | "NOT" => Kind::Not,
        "in" | "IN" => Kind::In,
        "like" | "LIKE" => Kind::Like,
        "exists" | "EXISTS" => Kind::Exists,
        "true" | "True" | "TRUE" => Kind::True,
        "false" | "False" | "FALSE" => Kind::False,
        "null" | "NULL" => Kind::Null,
        _ => Kind::Name,
    })
}

fn operator(input: &mut &str) -> Lexed<Kind> {
    alt(OPERATORS.map(|(text, kind)| text.value(kind))).parse_next(input)
}
