//! The values of keys that are no tables: each is read into its place, or reported.

use super::read::Misfits;
use super::tree::{Content, Entry};
use crate::job::max_rejected::MaxRejected;
use crate::job::percent::Percent;
use crate::job::place::Place;
use crate::nearest::{listed, suggestion};
use std::collections::BTreeSet;
use std::num::NonZeroU32;

pub(super) fn text(
    entry: &Entry,
    place: Place,
    misfits: &mut Misfits,
    target: &mut Option<String>,
) {
    match entry.value.text() {
        Some(text) => *target = Some(text.into()),
        None => misfits.expected(entry, place, "text"),
    }
}

pub(super) fn positive(
    entry: &Entry,
    place: Place,
    misfits: &mut Misfits,
    target: &mut NonZeroU32,
) {
    let number = match entry.value.content {
        Content::Int(n) => u32::try_from(n).ok().and_then(NonZeroU32::new),
        _ => None,
    };
    match number {
        Some(number) => *target = number,
        None => misfits.expected(entry, place, &format!("an integer from 1 to {}", u32::MAX)),
    }
}

pub(super) fn truth(entry: &Entry, place: Place, misfits: &mut Misfits, target: &mut bool) {
    match entry.value.content {
        Content::Bool(truth) => *target = truth,
        _ => misfits.expected(entry, place, "true or false"),
    }
}

pub(super) fn percentage(
    entry: &Entry,
    place: Place,
    misfits: &mut Misfits,
    target: &mut Option<Percent>,
) {
    let percent = match entry.value.content {
        Content::Int(n) => Percent::new(n as f64),
        Content::Float(n) => Percent::new(n),
        _ => None,
    };
    match percent {
        Some(percent) => *target = Some(percent),
        None => misfits.expected(entry, place, "a percentage from 0 to 100"),
    }
}

pub(super) fn max_rejected(
    entry: &Entry,
    place: Place,
    misfits: &mut Misfits,
    target: &mut Option<MaxRejected>,
) {
    let limit = match &entry.value.content {
        Content::Int(n) => n.to_string().parse().ok(),
        Content::Text(text) => text.parse().ok(),
        _ => None,
    };
    match limit {
        Some(limit) => *target = Some(limit),
        None => misfits.expected(entry, place, MaxRejected::EXPECTED),
    }
}

/// A list of texts, or one text for a list of one.
pub(super) fn texts(
    entry: &Entry,
    place: Place,
    misfits: &mut Misfits,
) -> Option<BTreeSet<String>> {
    let items = match &entry.value.content {
        Content::List(items) => items.iter().collect(),
        _ => vec![&entry.value],
    };
    let texts: Option<BTreeSet<String>> = items
        .into_iter()
        .map(|item| item.text().map(String::from))
        .collect();
    if texts.is_none() {
        misfits.expected(
            entry,
            place,
            "a list of texts, in which a number needs quotes",
        );
    }
    texts
}

/// One of a few names.
pub(super) fn one_of<T: Copy, const N: usize>(
    entry: &Entry,
    place: Place,
    misfits: &mut Misfits,
    known: [T; N],
    name: fn(T) -> &'static str,
) -> Option<T> {
    let given = entry.value.text().unwrap_or_default();
    let found = known.into_iter().find(|it| name(*it) == given);
    if found.is_none() {
        let names = known.map(name);
        let (found, near) = (entry.value.found(), suggestion(given, names));
        let message = format!("expected one of: {}, found {found}{near}", listed(names));
        misfits.report(entry.origin, place, message);
    }
    found
}
