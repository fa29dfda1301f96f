//! Lists of stop words by Milvus's names, such as `_english_`. The English list is Lucene's (the one that tantivy and
//! so Milvus use), the others are NLTK's, which come from Snowball as tantivy's do.

/// Lucene's English stop words.
const ENGLISH: [&str; 33] = [
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no",
    "not", "of", "on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to",
    "was", "will", "with",
];

/// Lists by name, with the code of the language.
const LISTS: [(&str, &str); 13] = [
    ("_english_", "en"),
    ("_danish_", "da"),
    ("_dutch_", "nl"),
    ("_finnish_", "fi"),
    ("_french_", "fr"),
    ("_german_", "de"),
    ("_hungarian_", "hu"),
    ("_italian_", "it"),
    ("_norwegian_", "no"),
    ("_portuguese_", "pt"),
    ("_russian_", "ru"),
    ("_spanish_", "es"),
    ("_swedish_", "sv"),
];

/// The list of that name.
pub(super) fn list(name: &str) -> Option<&'static [&'static str]> {
    match LISTS.iter().find(|(known, _)| *known == name)? {
        (_, "en") => Some(&ENGLISH),
        (_, code) => stop_words::lookup(code),
    }
}

/// Names of all lists, for messages.
pub(super) fn names() -> String {
    LISTS.map(|(name, _)| name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_list() {
        for (name, _) in LISTS {
            assert!(list(name).is_some_and(|words| words.len() > 30), "{name}");
        }
        assert!(list("_klingon_").is_none() && list("of").is_none());
    }
}
