//! What the operators of the language do with values. Numbers are compared exactly, across their
//! types, and integers never wrap.

use super::convert::to_cel;
use super::failure::Failure;
use super::meter::Meter;
use super::val::{Bytes, List, Map, Text, Val};
use cel::ExecutionError;
use cel::common::value::{CowVal, Val as CelVal};
use std::cmp::Ordering;
use std::rc::Rc;

/// An operator on two numbers, or on whatever else it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
}

impl Arithmetic {
    pub(super) fn name(self) -> &'static str {
        match self {
            Arithmetic::Add => "add",
            Arithmetic::Sub => "sub",
            Arithmetic::Mul => "mul",
            Arithmetic::Div => "div",
            Arithmetic::Rem => "rem",
        }
    }
}

/// An operator that puts two values in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    fn name(self) -> &'static str {
        match self {
            Order::Less => "<",
            Order::LessOrEqual => "<=",
            Order::Greater => ">",
            Order::GreaterOrEqual => ">=",
        }
    }

    fn holds(self, order: Ordering) -> bool {
        match self {
            Order::Less => order.is_lt(),
            Order::LessOrEqual => order.is_le(),
            Order::Greater => order.is_gt(),
            Order::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// That a function or operator does not take values of these types.
pub(super) fn does_not_take(name: &str, values: &[&Val<'_>]) -> Failure {
    let kinds: Vec<&str> = values.iter().map(|value| value.kind()).collect();
    Failure::Wrong(format!("`{name}` does not take {}", kinds.join(" and ")))
}

/// The result of an operator on two integers of one type: exact, or an error.
macro_rules! integers {
    ($operator:expr, $one:expr, $other:expr) => {{
        let (operator, one, other) = ($operator, *$one, *$other);
        let divides = matches!(operator, Arithmetic::Div | Arithmetic::Rem);
        if divides && other == 0 {
            return Err(Failure::wrong("division by zero"));
        }
        let result = match operator {
            Arithmetic::Add => one.checked_add(other),
            Arithmetic::Sub => one.checked_sub(other),
            Arithmetic::Mul => one.checked_mul(other),
            Arithmetic::Div => one.checked_div(other),
            Arithmetic::Rem => one.checked_rem(other),
        };
        result.ok_or_else(|| overflows(operator.name()))
    }};
}

/// `one + other` and the like.
pub(super) fn calculate<'s>(
    operator: Arithmetic,
    one: &Val<'s>,
    other: &Val<'s>,
    meter: &mut Meter,
) -> Result<Val<'s>, Failure> {
    match (one, other) {
        (Val::Int(one), Val::Int(other)) => integers!(operator, one, other).map(Val::Int),
        (Val::UInt(one), Val::UInt(other)) => integers!(operator, one, other).map(Val::UInt),
        (Val::Double(x), Val::Double(y)) => match operator {
            Arithmetic::Add => Ok(Val::Double(x + y)),
            Arithmetic::Sub => Ok(Val::Double(x - y)),
            Arithmetic::Mul => Ok(Val::Double(x * y)),
            Arithmetic::Div => Ok(Val::Double(x / y)),
            Arithmetic::Rem => Err(does_not_take(operator.name(), &[one, other])),
        },
        _ if operator == Arithmetic::Add => add(one, other, meter),
        _ => calculate_time(operator, one, other),
    }
}

fn overflows(operator: &str) -> Failure {
    Failure::Wrong(format!("`{operator}` overflows"))
}

fn add<'s>(one: &Val<'s>, other: &Val<'s>, meter: &mut Meter) -> Result<Val<'s>, Failure> {
    match (one, other) {
        (Val::Text(one), Val::Text(other)) => {
            let (one, other) = (one.as_str(), other.as_str());
            meter.make((one.len() + other.len()) as u64)?;
            Ok(Val::text([one, other].concat()))
        }
        (Val::Bytes(one), Val::Bytes(other)) => {
            let (one, other) = (one.as_slice(), other.as_slice());
            meter.make((one.len() + other.len()) as u64)?;
            Ok(Val::Bytes(Bytes::Made(Rc::new([one, other].concat()))))
        }
        (Val::List(one), Val::List(other)) => {
            let mut items = one.items(meter)?;
            items.extend(other.items(meter)?);
            Val::list(items, meter)
        }
        _ => calculate_time(Arithmetic::Add, one, other),
    }
}

/// Timestamps and durations, which are of fixed size, are the library's.
fn calculate_time<'s>(
    operator: Arithmetic,
    one: &Val<'s>,
    other: &Val<'s>,
) -> Result<Val<'s>, Failure> {
    let refused = || does_not_take(operator.name(), &[one, other]);
    let is_time = |value: &Val<'_>| matches!(value, Val::Timestamp(_) | Val::Duration(_));
    if !is_time(one) || !is_time(other) {
        return Err(refused());
    }
    let (left, right) = (to_cel(one), to_cel(other));
    let result: Result<CowVal<'_, '_>, ExecutionError> = match operator {
        Arithmetic::Add => left.as_adder().ok_or_else(refused)?.add(&*right),
        Arithmetic::Sub => left.as_subtractor().ok_or_else(refused)?.sub(&*right),
        Arithmetic::Mul | Arithmetic::Div | Arithmetic::Rem => return Err(refused()),
    };
    let time = match result {
        Ok(value) => time(value.as_ref()),
        Err(ExecutionError::Overflow(..)) => return Err(overflows(operator.name())),
        Err(_) => None,
    };
    time.ok_or_else(refused)
}

/// A timestamp or duration of the library.
pub(super) fn time<'s>(value: &(dyn CelVal + '_)) -> Option<Val<'s>> {
    use cel::common::types::{CelDuration, CelTimestamp};
    if let Some(time) = value.downcast_ref::<CelTimestamp>() {
        return Some(Val::Timestamp(Rc::new(time.clone())));
    }
    let duration = value.downcast_ref::<CelDuration>()?;
    Some(Val::Duration(*duration))
}

/// `-value`.
pub(super) fn negate<'s>(value: &Val<'s>) -> Result<Val<'s>, Failure> {
    match value {
        Val::Int(n) => n.checked_neg().map(Val::Int).ok_or_else(|| overflows("-")),
        Val::Double(n) => Ok(Val::Double(-n)),
        other => Err(does_not_take("-", &[other])),
    }
}

/// `one < other` and the like.
pub(super) fn is_in_order(
    order: Order,
    one: &Val<'_>,
    other: &Val<'_>,
    meter: &mut Meter,
) -> Result<bool, Failure> {
    match compare(one, other, meter)? {
        Some(found) => Ok(order.holds(found)),
        None => Err(does_not_take(order.name(), &[one, other])),
    }
}

/// The order of two values. None if they have none: values of different kinds, and NaN.
pub(super) fn compare(
    one: &Val<'_>,
    other: &Val<'_>,
    meter: &mut Meter,
) -> Result<Option<Ordering>, Failure> {
    Ok(match (one, other) {
        (Val::Int(one), Val::Int(other)) => Some(one.cmp(other)),
        (Val::Text(one), Val::Text(other)) => {
            let (one, other) = (one.as_str(), other.as_str());
            meter.read(one.len().min(other.len()))?;
            Some(one.cmp(other))
        }
        (Val::Bytes(one), Val::Bytes(other)) => {
            let (one, other) = (one.as_slice(), other.as_slice());
            meter.read(one.len().min(other.len()))?;
            Some(one.cmp(other))
        }
        (Val::Bool(one), Val::Bool(other)) => Some(one.cmp(other)),
        (Val::Timestamp(one), Val::Timestamp(other)) => Some(one.inner().cmp(other.inner())),
        (Val::Duration(one), Val::Duration(other)) => Some(one.inner().cmp(other.inner())),
        _ => compare_numbers(one, other),
    })
}

fn compare_numbers(one: &Val<'_>, other: &Val<'_>) -> Option<Ordering> {
    let integer = |value: &Val<'_>| match value {
        Val::Int(n) => Some(i128::from(*n)),
        Val::UInt(n) => Some(i128::from(*n)),
        _ => None,
    };
    match (one, other) {
        (Val::Double(one), Val::Double(other)) => one.partial_cmp(other),
        (Val::Double(one), other) => Some(compare_with_double(integer(other)?, *one)?.reverse()),
        (one, Val::Double(other)) => compare_with_double(integer(one)?, *other),
        (one, other) => Some(integer(one)?.cmp(&integer(other)?)),
    }
}

/// Exact: neither becomes the type of the other.
fn compare_with_double(n: i128, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    // A cast saturates, and 65 bits hold every integer of the language.
    let whole = double.trunc();
    match n.cmp(&(whole as i128)) {
        Ordering::Equal => 0.0.partial_cmp(&(double - whole)),
        order => Some(order),
    }
}

/// `one == other`, for any two values.
pub(super) fn equal(one: &Val<'_>, other: &Val<'_>, meter: &mut Meter) -> Result<bool, Failure> {
    Ok(match (one, other) {
        (Val::Text(one), Val::Text(other)) => {
            let (one, other) = (one.as_str(), other.as_str());
            if one.len() == other.len() {
                meter.read(one.len())?;
            }
            one == other
        }
        (Val::Null, Val::Null) => true,
        (Val::Bool(one), Val::Bool(other)) => one == other,
        (Val::Bytes(one), Val::Bytes(other)) => {
            meter.read(one.as_slice().len())?;
            one.as_slice() == other.as_slice()
        }
        (Val::List(one), Val::List(other)) => equal_lists(one, other, meter)?,
        (Val::Map(one), Val::Map(other)) => equal_maps(one, other, meter)?,
        (Val::Timestamp(one), Val::Timestamp(other)) => one == other,
        (Val::Duration(one), Val::Duration(other)) => one == other,
        (Val::Type(one), Val::Type(other)) => one == other,
        (Val::Optional(one), Val::Optional(other)) => match (one, other) {
            (Some(one), Some(other)) => equal(one, other, meter)?,
            (one, other) => one.is_none() && other.is_none(),
        },
        (one, other) => compare_numbers(one, other) == Some(Ordering::Equal),
    })
}

fn equal_lists(one: &List<'_>, other: &List<'_>, meter: &mut Meter) -> Result<bool, Failure> {
    if one.len() != other.len() {
        return Ok(false);
    }
    for at in 0..one.len() {
        meter.step()?;
        let (Some(one), Some(other)) = (one.get(at), other.get(at)) else {
            return Ok(false);
        };
        if !equal(&one, &other, meter)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn equal_maps(one: &Map<'_>, other: &Map<'_>, meter: &mut Meter) -> Result<bool, Failure> {
    if one.len() != other.len() {
        return Ok(false);
    }
    for (key, value) in one.entries(meter)? {
        let equals = match other.get(&key, meter)? {
            Some(found) => equal(&value, &found, meter)?,
            None => false,
        };
        if !equals {
            return Ok(false);
        }
    }
    Ok(true)
}

/// `value in container`.
pub(super) fn contains(
    value: &Val<'_>,
    container: &Val<'_>,
    meter: &mut Meter,
) -> Result<bool, Failure> {
    match container {
        Val::List(list) => {
            for at in 0..list.len() {
                meter.step()?;
                if let Some(item) = list.get(at)
                    && equal(&item, value, meter)?
                {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Val::Map(map) if is_key(value) => Ok(map.get(value, meter)?.is_some()),
        _ => Err(does_not_take("in", &[value, container])),
    }
}

/// Whether a value can be looked up in a map. A double can, but is no key itself.
fn is_key(value: &Val<'_>) -> bool {
    matches!(
        value,
        Val::Text(_) | Val::Int(_) | Val::UInt(_) | Val::Bool(_) | Val::Double(_)
    )
}

/// `container[index]`.
pub(super) fn index<'s>(
    container: &Val<'s>,
    index: &Val<'s>,
    meter: &mut Meter,
) -> Result<Val<'s>, Failure> {
    match container {
        Val::Map(map) if is_key(index) => {
            let found = map.get(index, meter)?;
            found.ok_or_else(|| no_key(index))
        }
        Val::List(list) => {
            let at = position(index).ok_or_else(|| does_not_take("[]", &[container, index]))?;
            let found = usize::try_from(at).ok().and_then(|at| list.get(at));
            found.ok_or_else(|| {
                let items = list.len();
                Failure::Wrong(format!("there is no item {at}; the list has {items}"))
            })
        }
        _ => Err(does_not_take("[]", &[container, index])),
    }
}

/// The position that a number means, if it is a whole one.
fn position(index: &Val<'_>) -> Option<i128> {
    match index {
        Val::Int(n) => Some(i128::from(*n)),
        Val::UInt(n) => Some(i128::from(*n)),
        Val::Double(n) if n.fract() == 0.0 => Some(*n as i128),
        _ => None,
    }
}

fn no_key(key: &Val<'_>) -> Failure {
    let key = match key {
        Val::Text(text) => super::cut(text.as_str()),
        Val::Int(n) => n.to_string(),
        Val::UInt(n) => n.to_string(),
        Val::Double(n) => n.to_string(),
        Val::Bool(b) => b.to_string(),
        other => other.kind().into(),
    };
    Failure::Wrong(format!("there is no key `{key}`"))
}

/// `value.name`. None if a map does not have the key.
pub(super) fn select<'s>(
    value: &Val<'s>,
    name: &str,
    meter: &mut Meter,
) -> Result<Option<Val<'s>>, Failure> {
    match value {
        Val::Map(Map::Borrowed(map)) => {
            meter.work(map.len() as u64 / 8)?;
            Ok(map.get(name).map(Val::of))
        }
        Val::Map(map) => map.get(&Val::Text(Text::Borrowed(name)), meter),
        Val::Optional(None) => Ok(Some(Val::Optional(None))),
        Val::Optional(Some(inner)) => Ok(Some(Val::optional(select(inner, name, meter)?))),
        other => Err(Failure::Wrong(format!(
            "`.` does not take {} and string",
            other.kind()
        ))),
    }
}

/// That a map does not have a key that was selected.
pub(super) fn no_such_field(name: &str) -> Failure {
    Failure::Wrong(format!("there is no key `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Ordering::{Equal, Greater, Less};

    #[test]
    fn integers_and_floats_are_compared_exactly() {
        for (n, double, order) in [
            (
                9_007_199_254_740_993,
                9_007_199_254_740_992.0,
                Some(Greater),
            ),
            (
                i128::from(i64::MAX),
                9_223_372_036_854_775_808.0,
                Some(Less),
            ),
            (
                i128::from(u64::MAX),
                18_446_744_073_709_551_616.0,
                Some(Less),
            ),
            (-1, -1.5, Some(Greater)),
            (-2, -1.5, Some(Less)),
            (1, 1.5, Some(Less)),
            (3, 3.0, Some(Equal)),
            (0, f64::INFINITY, Some(Less)),
            (0, f64::NEG_INFINITY, Some(Greater)),
            (0, f64::NAN, None),
        ] {
            assert_eq!(compare_with_double(n, double), order, "{n} and {double}");
        }
    }
}
