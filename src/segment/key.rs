//! Interned keys: the few names that fields have, stored once per process.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock, RwLock};

/// Names beyond this many, or longer than this many bytes, are not interned: data whose keys come
/// from outside must not fill the memory with names that are never freed.
const INTERNED_KEYS_MAX: usize = 16_384;
const INTERNED_KEY_BYTES_MAX: usize = 128;

/// The name of a field. Cloning and comparing interned ones costs a pointer.
#[derive(Clone)]
pub struct Key(Repr);

#[derive(Clone)]
enum Repr {
    Interned(&'static str),
    Owned(Arc<str>),
}

impl Key {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Interned(text) => text,
            Repr::Owned(text) => text,
        }
    }
}

fn table() -> &'static RwLock<BTreeSet<&'static str>> {
    static TABLE: OnceLock<RwLock<BTreeSet<&'static str>>> = OnceLock::new();
    TABLE.get_or_init(RwLock::default)
}

fn intern(text: &str) -> Repr {
    // A poisoned lock means that another thread panicked between two set operations, which leave
    // the set whole; carrying on is right.
    let read = table()
        .read()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(known) = read.get(text) {
        return Repr::Interned(known);
    }
    drop(read);
    let mut write = table()
        .write()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(known) = write.get(text) {
        return Repr::Interned(known);
    }
    if write.len() >= INTERNED_KEYS_MAX || text.len() > INTERNED_KEY_BYTES_MAX {
        return Repr::Owned(text.into());
    }
    let leaked: &'static str = Box::leak(text.into());
    write.insert(leaked);
    Repr::Interned(leaked)
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Key(intern(text))
    }
}

impl From<String> for Key {
    fn from(text: String) -> Self {
        Key(intern(&text))
    }
}

impl From<&Key> for Key {
    fn from(key: &Key) -> Self {
        key.clone()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        *self == *other.as_str()
    }
}

impl Eq for Key {}

impl PartialEq<str> for Key {
    fn eq(&self, other: &str) -> bool {
        let own = self.as_str();
        own.len() == other.len() && (std::ptr::eq(own, other) || own == other)
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_is_stored_once() {
        let (one, two) = (Key::from("delay"), Key::from(String::from("delay")));
        assert!(std::ptr::eq(one.as_str(), two.as_str()));
        assert_eq!(one, two);
    }

    #[test]
    fn a_long_name_is_a_key_but_not_interned() {
        let name = "x".repeat(INTERNED_KEY_BYTES_MAX + 1);
        let (one, two) = (Key::from(name.as_str()), Key::from(name.as_str()));
        assert_eq!(one, two);
        assert!(!std::ptr::eq(one.as_str(), two.as_str()));
    }
}
