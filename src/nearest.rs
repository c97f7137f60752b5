//! Words for people: the nearest valid name, which somebody probably meant, lists and numbers.

use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Of the candidates, the one that a mistyped name is closest to, when it is close enough to be
/// meant: about a third of the letters may differ. A swap of two neighbours is one mistake.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters = name.chars().count();
    let mistakes_max = (letters / 3).clamp(1, 5);
    candidates
        .into_iter()
        .filter(|candidate| candidate.chars().count().abs_diff(letters) <= mistakes_max)
        .map(|candidate| (mistakes(name, candidate), candidate))
        .filter(|(mistakes, _)| *mistakes <= mistakes_max)
        .min()
        .map(|(_, candidate)| candidate)
}

/// As [`nearest`], and where no candidate is written alike, the one that shares most of its words,
/// which hyphens part.
pub fn akin<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    let words: BTreeSet<&str> = name.split('-').collect();
    let shared = |candidate: &str| candidate.split('-').filter(|it| words.contains(it)).count();
    nearest(name, candidates.clone()).or_else(|| {
        let ranked = candidates.into_iter().map(|candidate| {
            let rank = (shared(candidate), Reverse(mistakes(name, candidate)));
            (rank, candidate)
        });
        let ((shared, _), candidate) = ranked.max()?;
        (shared > 0).then_some(candidate)
    })
}

/// `; did you mean `x`?`, or nothing when no candidate is near.
pub fn suggestion<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, candidates).map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// A suggestion, if there is one, and after it what there is to say besides.
pub fn hint<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    besides: &str,
) -> String {
    match nearest(name, candidates) {
        Some(near) => format!("; did you mean `{near}`? {besides}"),
        None => format!("; {besides}"),
    }
}

/// Names for people: comma-separated, and cut when there are too many to read.
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN_MAX: usize = 20;
    let names: Vec<&str> = names.into_iter().collect();
    let shown = names[..names.len().min(SHOWN_MAX)].join(", ");
    match names.len().saturating_sub(SHOWN_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// `1 entry`, `2 entries`.
pub fn counted(number: u64, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

/// `1 peer`, `2 peers`: whatever takes an `s`.
pub fn some(number: usize, one: &str) -> String {
    counted(number as u64, one, &format!("{one}s"))
}

fn mistakes(one: &str, other: &str) -> usize {
    strsim::osa_distance(&one.to_lowercase(), &other.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_keyboard_is_understood() {
        let names = ["where", "set", "file/csv", "file/json-lines"];
        assert_eq!(nearest("wher", names), Some("where"));
        assert_eq!(nearest("wheer", names), Some("where"));
        assert_eq!(nearest("File/CVS", names), Some("file/csv"));
    }

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

    #[test]
    fn another_word_is_not() {
        assert_eq!(nearest("limit", ["where", "set"]), None);
        assert_eq!(nearest("", ["set"]), None);
    }

    #[test]
    fn a_name_that_is_half_right_is_understood() {
        let names = [
            "seal-task",
            "signal-ready",
            "prepare-join-cluster",
            "leave-cluster",
        ];
        for (said, meant) in [
            ("seal-output", Some("seal-task")),
            ("prepare-join", Some("prepare-join-cluster")),
            ("leave-clutser", Some("leave-cluster")),
            ("hello", None),
        ] {
            assert_eq!(akin(said, names), meant, "{said}");
        }
    }

    #[test]
    fn a_long_list_is_cut() {
        let names: Vec<String> = (0..22).map(|n| n.to_string()).collect();
        assert!(listed(names.iter().map(String::as_str)).ends_with("18, 19 and 2 more"));
    }

    #[test]
    fn one_thing_is_not_several() {
        let entries = |number| counted(number, "entry", "entries");
        assert_eq!(entries(0), "0 entries");
        assert_eq!(entries(1), "1 entry");
        assert_eq!(some(1, "peer"), "1 peer");
        assert_eq!(some(2, "peer"), "2 peers");
    }
}
