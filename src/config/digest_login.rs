//! `digest-user` and its password, of `[coordination]`.

use super::secret_file::read_secret;
use super::section::Section;
use std::fmt;
use std::path::PathBuf;

/// Who a node says it is to ZooKeeper, by the scheme `digest`. The password is not printed by
/// accident.
#[derive(Clone, PartialEq, Eq)]
pub struct DigestLogin {
    user: String,
    password: String,
}

impl DigestLogin {
    /// A user without a colon, and a password that is not empty.
    pub fn new(user: &str, password: &str) -> Option<Self> {
        let fits = !user.is_empty() && !user.contains(':') && !password.is_empty();
        fits.then(|| DigestLogin {
            user: user.into(),
            password: password.into(),
        })
    }

    /// The user, which is no secret.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The secret, as ZooKeeper takes it: `user:password`.
    pub fn expose(&self) -> String {
        format!("{}:{}", self.user, self.password)
    }
}

impl fmt::Debug for DigestLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DigestLogin({}, …)", self.user)
    }
}

/// The login of the options. None when there are none, or when they do not make one, which is noted.
pub(super) fn read_login(keys: &mut Section<'_>) -> Option<DigestLogin> {
    let user = keys.get("digest-user", String::new());
    match read_password(keys) {
        Ok(None) if user.is_empty() => None,
        Ok(None) => {
            let message = "there is no `digest-password` or `digest-password-file` to it";
            keys.refuse("digest-user", message);
            None
        }
        Ok(Some((key, password))) => {
            let login = DigestLogin::new(&user, &password);
            if user.is_empty() {
                keys.refuse(key, "there is no `digest-user` to it");
            } else if login.is_none() {
                keys.refuse("digest-user", "expected a name without a colon");
            }
            login
        }
        Err((key, message)) => {
            keys.refuse(key, &message);
            None
        }
    }
}

type Key = &'static str;

/// The password and the option that has it, or which option is wrong and why.
fn read_password(keys: &mut Section<'_>) -> Result<Option<(Key, String)>, (Key, String)> {
    const INLINE: Key = "digest-password";
    const FILE: Key = "digest-password-file";
    let inline = keys.get(INLINE, String::new());
    let file = keys.get(FILE, PathBuf::new());
    if file.as_os_str().is_empty() {
        return Ok((!inline.is_empty()).then_some((INLINE, inline)));
    }
    let told = |message: String| (FILE, message);
    if !inline.is_empty() {
        return Err(told(
            "there is a `digest-password` too; set one of the two".into(),
        ));
    }
    let path = file.display();
    match read_secret(&file) {
        Err(message) => Err(told(message)),
        Ok(text) if text.is_empty() => Err(told(format!("{path} is empty"))),
        Ok(text) => Ok(Some((FILE, text))),
    }
}
