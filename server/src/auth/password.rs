//! Passwords: how they are stored (argon2id, each with a salt of its own), and how a request's is checked. A check takes
//! some 20 ms and 19 MiB on purpose, so requests take [turns](super::turns), and the last password that was right is
//! remembered for each user: as a keyed digest, never as text, and bound to the stored hash, so that it is forgotten with
//! it.

use std::collections::HashMap;
use std::fmt;

use argon2::password_hash::rand_core::{OsRng, RngCore};
use argon2::password_hash::{Error, Output, ParamsString, PasswordHash, SaltString};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};
use hmac::{Hmac, Mac};
use parking_lot::{Mutex, RwLock};
use serde::Deserialize;
use sha2::Sha256;

use super::error::{AuthError, Result};

/// The password that root has in every new Milvus.
pub(crate) const DEFAULT_ROOT_PASSWORD: &str = "Milvus";
/// Fewest bytes of a password.
pub(crate) const MIN_PASSWORD_BYTES: usize = 6;
/// Most bytes of a password.
pub(crate) const MAX_PASSWORD_BYTES: usize = 72;
/// What an unknown user's password is compared with, so that it takes as long as a known one's: made with the same
/// parameters, and of no password.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A word of the configuration that no log may show.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Keeps a word.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The word itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Checks the length of a new password.
///
/// # Errors
/// `Invalid`, in Milvus's words.
pub(super) fn check(password: &str) -> Result<()> {
    let (actual, least, most) = (password.len(), MIN_PASSWORD_BYTES, MAX_PASSWORD_BYTES);
    if (least..=most).contains(&actual) {
        return Ok(());
    }
    Err(AuthError::Invalid(format!(
        "invalid password length: invalid parameter[{actual} out of range {least} <= value <= {most}]"
    )))
}

/// The text to store for a password. Takes some 20 ms.
///
/// # Errors
/// `Internal` when the machine has no random numbers.
pub(super) fn hash(password: &str) -> Result<String> {
    let make = |salt: &[u8]| {
        let (params, salt) = (Params::default(), SaltString::encode_b64(salt)?);
        let output = compute(&params, &salt, password)?;
        let hash = PasswordHash {
            algorithm: ARGON2ID_IDENT,
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&params)?,
            salt: Some(salt.as_salt()),
            hash: Some(output),
        };
        Ok(hash.to_string())
    };
    make(&random::<16>()?).map_err(|error: Error| AuthError::Internal(error.to_string()))
}

/// Whether a password is the one of a stored text; `None` for a user who is not there. Always takes some 20 ms.
pub(super) fn verify(stored: Option<&str>, password: &str) -> bool {
    let matches = |text: &str| -> std::result::Result<bool, Error> {
        let hash = PasswordHash::new(text)?;
        let salt = SaltString::from_b64(hash.salt.ok_or(Error::Password)?.as_str())?;
        let output = compute(&Params::try_from(&hash)?, &salt, password)?;
        // Outputs are compared in constant time.
        Ok(hash.algorithm == ARGON2ID_IDENT && hash.hash == Some(output))
    };
    matches(stored.unwrap_or(NOBODYS)).unwrap_or(false) && stored.is_some()
}

/// What argon2id works in. It is kept: an allocator would keep it for each thread that ever hashed.
static MEMORY: Mutex<Vec<Block>> = Mutex::new(Vec::new());

fn compute(params: &Params, salt: &SaltString, password: &str) -> std::result::Result<Output, Error> {
    let mut bytes = [0; Params::DEFAULT_OUTPUT_LEN];
    let mut decoded = [0; 64];
    let salt = salt.decode_b64(&mut decoded)?;
    let mut memory = MEMORY.lock();
    let blocks = memory.len().max(params.block_count());
    memory.resize(blocks, Block::new());
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    argon2.hash_password_into_with_memory(password.as_bytes(), salt, &mut bytes, memory.as_mut_slice())?;
    Output::new(&bytes)
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    OsRng.try_fill_bytes(&mut bytes).map_err(|e| AuthError::Internal(e.to_string()))?;
    Ok(bytes)
}

/// The last right password of each user, as a digest under a key that only this process has.
pub(super) struct Remembered {
    key: Hmac<Sha256>,
    digests: RwLock<HashMap<String, Vec<u8>>>,
}

impl Remembered {
    /// Remembers nothing yet.
    ///
    /// # Errors
    /// `Internal` when the machine has no random numbers.
    pub(super) fn new() -> Result<Self> {
        let key = Hmac::new_from_slice(&random::<32>()?).map_err(|e| AuthError::Internal(e.to_string()))?;
        Ok(Self { key, digests: RwLock::default() })
    }

    /// Whether this password was right for this user while `stored` was what is stored of it. Takes microseconds.
    pub(super) fn knows(&self, user: &str, stored: &str, password: &str) -> bool {
        let digests = self.digests.read();
        digests.get(user).is_some_and(|digest| self.digest(stored, password).verify_slice(digest).is_ok())
    }

    /// Remembers that it is right.
    pub(super) fn remember(&self, user: &str, stored: &str, password: &str) {
        let digest = self.digest(stored, password).finalize().into_bytes().to_vec();
        self.digests.write().insert(user.to_owned(), digest);
    }

    /// Forgets a user, so that those who are gone take no room.
    pub(super) fn forget(&self, user: &str) {
        self.digests.write().remove(user);
    }

    fn digest(&self, stored: &str, password: &str) -> Hmac<Sha256> {
        let mut mac = self.key.clone();
        // No stored text holds a zero byte, so the two cannot be shifted against each other.
        for part in [stored.as_bytes(), &[0], password.as_bytes()] {
            mac.update(part);
        }
        mac
    }
}

impl fmt::Debug for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remembered").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_fits_its_password_only_and_shows_nothing_of_it() {
        let (one, other) = (hash("secret-1").unwrap(), hash("secret-1").unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && !one.contains("secret"));
        assert_ne!(one, other, "the salt is new each time");
        assert!(verify(Some(&one), "secret-1") && verify(Some(&other), "secret-1"));
        for wrong in ["secret-2", "", "secret-1 "] {
            assert!(!verify(Some(&one), wrong));
        }
        assert!(!verify(Some("no hash at all"), "secret-1") && !verify(None, "secret-1"));
    }

    #[test]
    fn nobodys_hash_costs_as_much_as_a_real_one() {
        let (nobody, real) = (PasswordHash::new(NOBODYS).unwrap(), hash("secret-1").unwrap());
        let real = PasswordHash::new(&real).unwrap();
        assert_eq!((nobody.algorithm, nobody.version), (real.algorithm, real.version));
        assert_eq!(nobody.params, real.params);
        assert_eq!(nobody.hash.unwrap().len(), real.hash.unwrap().len());
    }

    #[test]
    fn what_is_remembered_ends_with_the_stored_hash() {
        let remembered = Remembered::new().unwrap();
        assert!(!remembered.knows("u", "h", "p"));
        remembered.remember("u", "h", "p");
        assert!(remembered.knows("u", "h", "p"));
        for (user, stored, password) in [("v", "h", "p"), ("u", "h2", "p"), ("u", "h", "q")] {
            assert!(!remembered.knows(user, stored, password));
        }
        remembered.forget("u");
        assert!(!remembered.knows("u", "h", "p"));
    }

    #[test]
    fn lengths_are_6_to_72_and_secrets_are_not_shown() {
        assert!(check("123456").is_ok() && check(&"x".repeat(72)).is_ok());
        assert!(check(&"x".repeat(73)).is_err());
        let message = check("12345").unwrap_err().to_string();
        assert_eq!(message, "invalid password length: invalid parameter[5 out of range 6 <= value <= 72]");
        assert_eq!(format!("{:?}", Secret::new("hush")), "(secret)");
    }
}
