//! `matches()`: regular expressions, which take time that is linear in the text.

use super::failure::Failure;
use super::meter::Meter;
use super::operators::does_not_take;
use super::val::Val;
use regex::{Regex, RegexBuilder};

/// Bytes of a compiled pattern, beyond which it is refused: `a{1000}{1000}` is written quickly.
const PATTERN_BYTES_MAX: usize = 1024 * 1024;

/// What compiling a pattern costs at least, and for each of its bytes.
const STEPS_TO_COMPILE: u64 = 500;
const STEPS_PER_BYTE: u64 = 20;

/// Bytes of a text that are matched for one step.
const BYTES_PER_STEP: u64 = 8;

/// Compiles a pattern; the error says why it is none.
pub(super) fn pattern(text: &str) -> Result<Regex, String> {
    let compiled = RegexBuilder::new(text)
        .size_limit(PATTERN_BYTES_MAX)
        .build();
    compiled.map_err(|error| {
        let reason = match error {
            regex::Error::CompiledTooBig(_) => "it is too large when compiled".to_owned(),
            other => {
                let text = other.to_string();
                let last = text.lines().last().unwrap_or_default();
                last.strip_prefix("error: ").unwrap_or(last).to_owned()
            }
        };
        let quoted = super::cut(text);
        format!("the pattern `{quoted}` of `matches` is not a regular expression: {reason}")
    })
}

/// Whether a pattern is somewhere in a text.
pub(super) fn is_match<'s>(
    pattern: &Regex,
    text: &Val<'_>,
    meter: &mut Meter,
) -> Result<Val<'s>, Failure> {
    let Val::Text(text) = text else {
        return Err(Failure::Wrong(format!(
            "`matches` does not take {} and string",
            text.kind()
        )));
    };
    let text = text.as_str();
    meter.work(text.len() as u64 / BYTES_PER_STEP)?;
    Ok(Val::Bool(pattern.is_match(text)))
}

/// The same for a pattern that is a value.
pub(super) fn matches<'s>(
    text: &Val<'_>,
    pattern: &Val<'_>,
    meter: &mut Meter,
) -> Result<Val<'s>, Failure> {
    let (Val::Text(_), Val::Text(written)) = (text, pattern) else {
        return Err(does_not_take("matches", &[text, pattern]));
    };
    let written = written.as_str();
    meter.work(STEPS_TO_COMPILE + STEPS_PER_BYTE * written.len() as u64)?;
    let pattern = self::pattern(written).map_err(Failure::Wrong)?;
    is_match(&pattern, text, meter)
}
