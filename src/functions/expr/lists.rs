//! Functions on lists. Each item is counted, and a result shares what its items hold.

use super::failure::Failure;
use super::meter::Meter;
use super::operators::{compare, equal};
use super::val::{List, Size, VALUE_BYTES, Val};
use std::cmp::Ordering;

/// The integers from 0 up to, and without, `n`.
pub(super) fn range<'s>(n: i64, meter: &mut Meter) -> Result<Val<'s>, Failure> {
    let Ok(length) = u64::try_from(n) else {
        return Err(Failure::Wrong(format!(
            "`lists.range` takes no negative number, found {n}"
        )));
    };
    let bytes = length.saturating_mul(VALUE_BYTES);
    meter.make(bytes)?;
    meter.work(length)?;
    Val::counted_list((0..n).map(Val::Int).collect(), Size::flat(bytes))
}

pub(super) fn reverse<'s>(list: &List<'s>, meter: &mut Meter) -> Result<Val<'s>, Failure> {
    let mut items = list.items(meter)?;
    items.reverse();
    Val::list(items, meter)
}

/// The items from one position up to, and without, another.
pub(super) fn slice<'s>(
    list: &List<'s>,
    from: i64,
    to: i64,
    meter: &mut Meter,
) -> Result<Val<'s>, Failure> {
    let length = list.len();
    match (usize::try_from(from), usize::try_from(to)) {
        (Ok(from), Ok(to)) if from <= to && to <= length => {
            meter.work((to - from) as u64)?;
            Val::list((from..to).filter_map(|at| list.get(at)).collect(), meter)
        }
        _ => Err(Failure::Wrong(format!(
            "there is no slice from {from} to {to}; the list has {length}"
        ))),
    }
}

/// The list with the items of nested lists in their places, down to `depth` levels.
pub(super) fn flatten<'s>(
    list: &List<'s>,
    depth: i64,
    meter: &mut Meter,
) -> Result<Val<'s>, Failure> {
    if depth < 0 {
        return Err(Failure::Wrong(format!(
            "`flatten` takes no negative number, found {depth}"
        )));
    }
    let mut flat = Vec::new();
    flatten_into(&mut flat, list, depth, meter)?;
    Val::list(flat, meter)
}

fn flatten_into<'s>(
    flat: &mut Vec<Val<'s>>,
    list: &List<'s>,
    depth: i64,
    meter: &mut Meter,
) -> Result<(), Failure> {
    for item in list.items(meter)? {
        match item {
            Val::List(inner) if depth > 0 => flatten_into(flat, &inner, depth - 1, meter)?,
            item => flat.push(item),
        }
    }
    Ok(())
}

/// The items without those that equal one before them.
pub(super) fn distinct<'s>(list: &List<'s>, meter: &mut Meter) -> Result<Val<'s>, Failure> {
    let mut kept: Vec<Val<'s>> = Vec::new();
    'items: for item in list.items(meter)? {
        for known in &kept {
            meter.step()?;
            if equal(known, &item, meter)? {
                continue 'items;
            }
        }
        kept.push(item);
    }
    Val::list(kept, meter)
}

/// The items of a list in the order of their keys, which are all of one type.
pub(super) fn sort<'s>(
    list: &List<'s>,
    keys: &List<'s>,
    meter: &mut Meter,
) -> Result<Val<'s>, Failure> {
    let (items, keys) = (list.items(meter)?, keys.items(meter)?);
    // What cannot be compared with the first is found before the sort, which needs an order.
    if let Some(first) = keys.first() {
        for key in &keys {
            if key.kind() != first.kind() || compare(first, key, meter)?.is_none() {
                let (one, other) = (first.kind(), key.kind());
                return Err(Failure::Wrong(format!(
                    "a list with {one} and {other} cannot be sorted"
                )));
            }
        }
    }
    let mut keyed: Vec<(Val<'s>, Val<'s>)> = keys.into_iter().zip(items).collect();
    let mut failed = None;
    keyed.sort_by(|(one, _), (other, _)| {
        if failed.is_some() {
            return Ordering::Equal;
        }
        let compared = meter.step().and_then(|()| compare(one, other, meter));
        compared
            .unwrap_or_else(|failure| {
                failed = Some(failure);
                None
            })
            .unwrap_or(Ordering::Equal)
    });
    match failed {
        Some(failure) => Err(failure),
        None => Val::list(keyed.into_iter().map(|(_, item)| item).collect(), meter),
    }
}
