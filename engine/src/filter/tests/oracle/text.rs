//! Writes expressions down, with literals or with templates.

use serde_json::Value;

use super::{Expr, OPS, PATHS, PATTERNS, Quantity, Subject};
use crate::filter::{TemplateValue, Templates};
use crate::row::moment::{self, Zone};

/// The expression's text, and what its templates stand for; without templates all constants are literals.
pub(super) fn write(expr: &Expr, templated: bool) -> (String, Templates) {
    let mut writer = Writer { templated, templates: Templates::new(), count: 0 };
    (writer.text(expr), writer.templates)
}

struct Writer {
    templated: bool,
    templates: Templates,
    count: usize,
}

fn subject_text(subject: &Subject) -> String {
    match subject {
        Subject::Column(name) => (*name).to_owned(),
        Subject::Path(index) => PATHS[*index].0.to_owned(),
        Subject::Element(name, index) => format!("{name}[{index}]"),
        Subject::Length(array) => format!("array_length({})", subject_text(array)),
    }
}

impl Writer {
    fn constant(&mut self, value: &Value) -> String {
        if !self.templated {
            return value.to_string();
        }
        self.count += 1;
        let name = format!("t{}", self.count);
        self.templates.insert(name.clone(), TemplateValue::from_json(&value.to_string()).unwrap());
        format!("{{{name}}}")
    }

    fn text(&mut self, expr: &Expr) -> String {
        match expr {
            Expr::Compare { subject, steps, op, constant, flipped } => {
                let mut left = subject_text(subject);
                for (symbol, constant, reversed) in steps {
                    let constant = self.constant(constant);
                    left = if *reversed {
                        format!("({constant} {symbol} {left})")
                    } else {
                        format!("({left} {symbol} {constant})")
                    };
                }
                let constant = self.constant(constant);
                let flip = [0, 1, 4, 5, 2, 3];
                if *flipped {
                    format!("{constant} {} {left}", OPS[flip[*op]])
                } else {
                    format!("{left} {} {constant}", OPS[*op])
                }
            }
            Expr::Range { subject, low, low_op, high_op, high, falling } => {
                let (field, low, high) = (subject_text(subject), self.constant(low), self.constant(high));
                if *falling {
                    format!("{high} {} {field} {} {low}", OPS[4 + high_op], OPS[4 + low_op])
                } else {
                    format!("{low} {} {field} {} {high}", OPS[2 + low_op], OPS[2 + high_op])
                }
            }
            Expr::In { subject, list, negated } => {
                let list = self.constant(&list.clone().into());
                format!("{} {} {list}", subject_text(subject), if *negated { "not in" } else { "in" })
            }
            Expr::Like { subject, pattern } => {
                format!("{} like {}", subject_text(subject), self.constant(&pattern.as_str().into()))
            }
            Expr::Match { subject, pattern, negated } => {
                let operator = if *negated { "!~" } else { "=~" };
                format!("{} {operator} '{}'", subject_text(subject), PATTERNS[*pattern].0)
            }
            Expr::Contains { subject, quantity, values } => {
                let (name, values) = match quantity {
                    Quantity::One => ("array_contains", self.constant(&values[0])),
                    Quantity::All => ("json_contains_all", self.constant(&values.clone().into())),
                    Quantity::Any => ("array_contains_any", self.constant(&values.clone().into())),
                };
                format!("{name}({}, {values})", subject_text(subject))
            }
            Expr::Same { subject, list, negated } => {
                let list = self.constant(list);
                format!("{} {} {list}", subject_text(subject), OPS[usize::from(*negated)])
            }
            Expr::Moved { days, op, moment } => {
                let moment = moment::format(moment * 1_000_000, &Zone::named("Asia/Shanghai").unwrap());
                let sign = if *days < 0 { '-' } else { '+' };
                format!("at {sign} INTERVAL 'P{}D' {} ISO '{moment}'", days.abs(), OPS[*op])
            }
            Expr::Pair(left, op, right) => format!("{left} {} {right}", OPS[*op]),
            Expr::Null { subject, negated } => {
                format!("{} is {}null", subject_text(subject), if *negated { "not " } else { "" })
            }
            Expr::Exists(path) => format!("exists {}", PATHS[*path].0),
            Expr::Not(inner) => format!("not ({})", self.text(inner)),
            // `and` binds tighter than `or`: only an `or` inside an `and` needs parentheses.
            Expr::And(parts) => {
                let mut part = |p: &Expr| {
                    if matches!(p, Expr::Or(_)) { format!("({})", self.text(p)) } else { self.text(p) }
                };
                parts.iter().map(&mut part).collect::<Vec<_>>().join(" and ")
            }
            Expr::Or(parts) => parts.iter().map(|p| self.text(p)).collect::<Vec<_>>().join(" or "),
        }
    }
}
