//! Elanus.
