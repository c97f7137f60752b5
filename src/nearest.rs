//! The valid name that somebody probably meant, for errors about names that are not known.

/// Names this much alike, from 0 to 1, are worth a suggestion; below it a suggestion confuses.
const SIMILARITY_MIN: f64 = 0.75;

/// The candidate most like a name, if one is like it at all.
///
/// ```
/// # use onyx::nearest::nearest;
/// assert_eq!(nearest("prot", ["address", "port"]), Some("port"));
/// assert_eq!(nearest("colour", ["address", "port"]), None);
/// ```
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (similarity(name, candidate), candidate))
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        // The first of equals, so that the answer does not depend on what comes behind it.
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, candidate)| candidate)
}

/// Swapped and missing letters weigh little in short names and mistakes at the end little in long
/// ones, which neither measure alone says.
fn similarity(one: &str, other: &str) -> f64 {
    let (one, other) = (one.to_lowercase(), other.to_lowercase());
    strsim::normalized_damerau_levenshtein(&one, &other).max(strsim::jaro_winkler(&one, &other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_mistakes_lead_to_the_name() {
        let names = ["max-body-bytes", "bearer-token", "token-file", "port"];
        for (typed, meant) in [
            ("max-body-byte", Some("max-body-bytes")),
            ("bearer_token", Some("bearer-token")),
            ("Port", Some("port")),
            ("tokenfile", Some("token-file")),
            ("q", None),
        ] {
            assert_eq!(nearest(typed, names), meant, "{typed}");
        }
    }
}
