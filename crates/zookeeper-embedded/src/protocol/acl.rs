//! Access control entries and the identities they name.

use crate::jute::{Decoder, Encoder, Garbled};

/// One entry of an access control list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Acl {
    pub(crate) permissions: i32,
    pub(crate) identity: Identity,
}

/// Who somebody is, according to one authentication scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) scheme: String,
    pub(crate) id: String,
}

/// Read, write, create, delete and administer.
const ALL_PERMISSIONS: i32 = 31;

impl Acl {
    pub(crate) fn anyone() -> Self {
        Self {
            permissions: ALL_PERMISSIONS,
            identity: Identity::new("world", "anyone"),
        }
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Result<Self, Garbled> {
        let permissions = decoder.int()?;
        let identity = Identity::new(decoder.string()?, decoder.string()?);
        Ok(Self {
            permissions,
            identity,
        })
    }

    pub(crate) fn encode(&self, encoder: &mut Encoder<'_>) {
        encoder.int(self.permissions);
        self.identity.encode(encoder);
    }
}

impl Identity {
    pub(crate) fn new(scheme: &str, id: &str) -> Self {
        Self {
            scheme: scheme.to_owned(),
            id: id.to_owned(),
        }
    }

    /// The name without its secret part: a digest identity is `user:hash`.
    pub(crate) fn user(&self) -> &str {
        match (self.scheme.as_str(), self.id.split_once(':')) {
            ("digest", Some((user, _))) => user,
            _ => &self.id,
        }
    }

    /// The identity as those may see it who must not learn its secret part.
    pub(crate) fn masked(&self) -> Self {
        match self.scheme.as_str() {
            "digest" => Self::new("digest", &format!("{}:x", self.user())),
            _ => self.clone(),
        }
    }

    fn encode(&self, encoder: &mut Encoder<'_>) {
        encoder.string(&self.scheme);
        encoder.string(&self.id);
    }
}
