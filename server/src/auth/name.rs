//! Rules for the names of users, roles and groups, and for descriptions.

use super::error::{AuthError, Result};

/// Bytes of a user's name.
const USER_BYTES: usize = 32;
/// Bytes of the name of a role or a group.
const NAME_BYTES: usize = 255;
/// Bytes of a description.
const DESCRIPTION_BYTES: usize = 4096;

/// Checks the name of a new user: a letter, then letters, digits, `_`, `.`, `-`.
///
/// # Errors
/// `Invalid`.
pub(super) fn check_user(name: &str) -> Result<()> {
    let invalid = |reason: String| Err(AuthError::Invalid(reason));
    let Some(first) = name.chars().next() else {
        return invalid("username must be not empty".into());
    };
    if name.len() > USER_BYTES {
        return invalid(format!(
            "the length of username must be not greater than {USER_BYTES}: invalid parameter[{} out of range 0 <= \
             value <= {USER_BYTES}]",
            name.len()
        ));
    }
    if !first.is_ascii_alphabetic() {
        return invalid(format!(
            "invalid user name {name}, the first character must be a letter, but got {first}"
        ));
    }
    let wrong = name.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.' | '-'));
    match wrong {
        Some(c) => invalid(format!(
            "invalid user name {name}, username must contain only numbers, letters, underscores, dots, and hyphens, \
             but got {c}"
        )),
        None => Ok(()),
    }
}

/// Checks the name of a new role or group; `what` says which.
///
/// # Errors
/// `Invalid`.
pub(super) fn check_name(name: &str, what: &str) -> Result<()> {
    let invalid = |reason: String| Err(AuthError::Invalid(reason));
    let Some(first) = name.chars().next() else {
        return invalid(format!("{what} should be not empty"));
    };
    if name.len() > NAME_BYTES {
        return invalid(format!("the length of {what} must be not greater than {NAME_BYTES}"));
    }
    if first != '_' && !first.is_ascii_alphabetic() {
        return invalid(format!("the first character of {what} must be an underscore or letter"));
    }
    let wrong = name.char_indices().find(|(_, c)| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '$'));
    match wrong {
        Some((at, c)) => invalid(format!(
            "{what} can only contain numbers, letters, dollars and underscores, found {c} at {at}"
        )),
        None => Ok(()),
    }
}

/// Checks a name that a grant refers to: of a collection, a database, a user.
///
/// # Errors
/// `Invalid`.
pub(super) fn check_object(name: &str, what: &str) -> Result<()> {
    match name.len() {
        0 => Err(AuthError::Invalid(format!("{what} must be a name, or * for all"))),
        1..=NAME_BYTES => Ok(()),
        _ => Err(AuthError::Invalid(format!("the length of {what} must be not greater than {NAME_BYTES}"))),
    }
}

/// Checks a description.
///
/// # Errors
/// `Invalid`.
pub(super) fn check_description(text: &str) -> Result<()> {
    if text.len() <= DESCRIPTION_BYTES {
        return Ok(());
    }
    Err(AuthError::Invalid(format!("the length of description must be not greater than {DESCRIPTION_BYTES}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names_begin_with_a_letter_and_have_few_signs() {
        for good in ["a", "A.b-c_9", &"x".repeat(32)] {
            check_user(good).unwrap();
        }
        for wrong in ["", "1a", "_a", "a b", "a:b", "é", "aé", "a\0", &"x".repeat(33)] {
            assert!(check_user(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn other_names_may_begin_with_an_underscore() {
        for good in ["r", "_r", "r$1", &"x".repeat(255)] {
            check_name(good, "role name").unwrap();
        }
        for wrong in ["", "1r", "$r", "r-1", "r.1", "é", &"x".repeat(256)] {
            assert!(check_name(wrong, "role name").is_err(), "{wrong}");
        }
        assert!(check_object("*", "objectName").is_ok() && check_object("", "objectName").is_err());
        assert!(check_description(&"x".repeat(4097)).is_err());
    }
}
