//! The size of an attack: small for `./dev test`, full for `./dev attack`.

/// `small`, or `full` if the environment variable `ATTACK` is `full`.
#[allow(dead_code, reason = "attacks of one size only do not ask")]
pub(crate) fn scaled(small: usize, full: usize) -> usize {
    match std::env::var("ATTACK").as_deref() {
        Ok("full") => full,
        _ => small,
    }
}
