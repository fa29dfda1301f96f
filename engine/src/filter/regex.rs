//! Patterns of `=~`, in RE2's language, which Milvus speaks: matching takes linear time whatever the pattern, and a
//! compiled pattern has a bounded size. The engine beneath reads a few things otherwise than RE2; those are respelt.

use ::regex::{Regex, RegexBuilder};

/// Longest pattern in bytes.
const MAX_PATTERN_BYTES: usize = 16 << 10;
/// Largest compiled pattern, and largest cache of a match, in bytes.
const MAX_COMPILED_BYTES: usize = 1 << 20;
/// Deepest nesting of groups.
const MAX_NESTING: u32 = 100;

/// Compiles a pattern that may match anywhere in a value.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(format!("invalid regex pattern: longer than {MAX_PATTERN_BYTES} bytes"));
    }
    RegexBuilder::new(&respelt(pattern))
        .size_limit(MAX_COMPILED_BYTES)
        .dfa_size_limit(MAX_COMPILED_BYTES)
        .nest_limit(MAX_NESTING)
        .build()
        .map_err(|error| match error {
            ::regex::Error::CompiledTooBig(_) => "invalid regex pattern: it is too large".to_owned(),
            other => {
                // The last line says what; those before show where, in a drawing.
                let text = other.to_string();
                let what = text.lines().last().unwrap_or_default().trim();
                format!("invalid regex pattern: {what}")
            }
        })
}

/// The pattern with RE2's meaning: `\d`, `\w`, `\s` and `\b` know ASCII only, `\Q..\E` quotes, and inside brackets
/// there are no further brackets and no set operators.
fn respelt(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match c {
            '\\' => escape(after, in_class, &mut out),
            '[' if !in_class => {
                in_class = true;
                open_class(after, &mut out)
            }
            '[' => match after.find(":]").filter(|_| after.starts_with(':')) {
                Some(end) => {
                    let (name, behind) = after.split_at(end + 2);
                    out.push('[');
                    out.push_str(name);
                    behind
                }
                None => {
                    out.push_str(r"\[");
                    after
                }
            },
            '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
                after
            }
            '-' if in_class && out.ends_with('-') => {
                out.push_str(r"\-");
                after
            }
            _ => {
                in_class &= c != ']';
                out.push(c);
                after
            }
        };
    }
    out
}

/// The start of a bracket: a `]` right behind it is a member.
fn open_class<'a>(after: &'a str, out: &mut String) -> &'a str {
    out.push('[');
    let mut rest = after;
    if let Some(behind) = rest.strip_prefix('^') {
        out.push('^');
        rest = behind;
    }
    match rest.strip_prefix(']') {
        Some(behind) => {
            out.push_str(r"\]");
            behind
        }
        None => rest,
    }
}

/// What follows a backslash.
fn escape<'a>(after: &'a str, in_class: bool, out: &mut String) -> &'a str {
    let Some(name) = after.chars().next() else {
        out.push('\\');
        return after;
    };
    let rest = &after[name.len_utf8()..];
    let class = match name {
        'd' | 'D' => "0-9",
        'w' | 'W' => "0-9A-Za-z_",
        's' | 'S' => r"\t\n\f\r\x20",
        _ => "",
    };
    match name {
        'Q' => {
            let (quoted, behind) = rest.split_once(r"\E").unwrap_or((rest, ""));
            out.push_str(&::regex::escape(quoted));
            return behind;
        }
        'b' if !in_class => out.push_str(r"(?-u:\b)"),
        'd' | 'w' | 's' => {
            out.push('[');
            out.push_str(class);
            out.push(']');
        }
        'D' | 'W' | 'S' => {
            out.push_str("[^");
            out.push_str(class);
            out.push(']');
        }
        _ => {
            out.push('\\');
            out.push(name);
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_patterns_as_re2_does() {
        let yes = [
            ("b", "abc"),
            ("^a.c$", "aéc"),
            (r"\d+", "a1"),
            (r"^[\d_]+$", "1_2"),
            (r"^[^\d]$", "é"),
            (r"^\D$", "٣"),
            (r"^\W$", "é"),
            (r"\bx\b", "éxé"),
            (r"\Qa.b\E.", "a.bc"),
            (r"\Qa.b", "a.b"),
            ("^[]a]$", "]"),
            ("^[^]a]$", "b"),
            ("^[a[b]$", "["),
            ("^[a&&b]+$", "a&b"),
            ("^[a~~b]+$", "~"),
            ("^[[:alpha:]]$", "a"),
            ("^[+--]$", ","),
            ("(?i)STRASSE", "strasse"),
            (r"\pL", "é"),
            ("a|b", "xb"),
            ("", "anything"),
            (r"(?P<n>a)\.", "a."),
        ];
        for (pattern, text) in yes {
            assert!(compile(pattern).unwrap().is_match(text), "{pattern} {text}");
        }
        for (pattern, text) in [(r"\d", "٣"), (r"^\w$", "é"), (r"\s", "\u{a0}"), ("a.b", "a\nb"), ("A", "a")]
        {
            assert!(!compile(pattern).unwrap().is_match(text), "{pattern} {text}");
        }
        for bad in ["(", "[", "*", r"(a)\1", "a{2,1}", r"\", "(?=a)", "(?<!a)b", "[b-a]", r"\q"] {
            assert!(compile(bad).unwrap_err().starts_with("invalid regex pattern: "), "{bad}");
        }
    }

    #[test]
    fn hostile_patterns_are_refused() {
        for bad in ["(((((a{1000}){1000}){1000}", "((a{100}){100}){100}", r"(\pL{100}){100}"] {
            compile(bad).unwrap_err();
        }
        compile(&"(".repeat(1_000_000)).unwrap_err();
        compile(&format!("{}a{}", "(".repeat(5000), ")".repeat(5000))).unwrap_err();
        let slow = compile("(a*)*(a|aa)+$").unwrap();
        assert!(!slow.is_match(&format!("{}b", "a".repeat(65_000))));
    }

    proptest! {
        #[test]
        fn never_panics(pattern in r"[a\\\[\]^\-&~:dwsbQE(){}|*+?.é]{0,24}") {
            if let Ok(regex) = compile(&pattern) {
                regex.is_match("aé");
            }
        }
    }
}
