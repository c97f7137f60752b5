//! Calls of functions. Those whose work or result may be large are done here, where every item is
//! counted; the others are the library's, whose results are at most a few times as large as their
//! arguments.

use super::compile::root;
use super::convert::{from_cel, to_cel};
use super::failure::Failure;
use super::lists;
use super::matching;
use super::meter::Meter;
use super::node::Call;
use super::operators::does_not_take;
use super::texts;
use super::val::{Text, Val};
use cel::ExecutionError;
use cel::common::value::{CowVal, Val as CelVal};
use cel::context::VariableResolver;

/// A function that is done here, at least for some types of arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Native {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    Matches,
    Split,
    Join,
    Replace,
    IndexOf,
    LastIndexOf,
    Range,
    Reverse,
    Slice,
    Flatten,
    Distinct,
    Sort,
    SortBy,
    Type,
    Dyn,
    OptionalOf,
    OptionalOfNonZero,
    OptionalNone,
    OptionalValue,
    HasValue,
    Or,
    OrValue,
}

impl Native {
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "size" => Native::Size,
            "contains" => Native::Contains,
            "startsWith" => Native::StartsWith,
            "endsWith" => Native::EndsWith,
            "matches" => Native::Matches,
            "split" => Native::Split,
            "join" => Native::Join,
            "replace" => Native::Replace,
            "indexOf" => Native::IndexOf,
            "lastIndexOf" => Native::LastIndexOf,
            "lists.range" => Native::Range,
            "reverse" => Native::Reverse,
            "slice" => Native::Slice,
            "flatten" => Native::Flatten,
            "distinct" => Native::Distinct,
            "sort" => Native::Sort,
            "@sortByAssociatedKeys" => Native::SortBy,
            "type" => Native::Type,
            "dyn" => Native::Dyn,
            "optional.of" => Native::OptionalOf,
            "optional.ofNonZeroValue" => Native::OptionalOfNonZero,
            "optional.none" => Native::OptionalNone,
            "value" => Native::OptionalValue,
            "hasValue" => Native::HasValue,
            "or" => Native::Or,
            "orValue" => Native::OrValue,
            _ => return None,
        })
    }

    /// The result. None if it does not take these arguments.
    fn apply<'s>(
        self,
        arguments: &[Val<'s>],
        meter: &mut Meter,
    ) -> Result<Option<Val<'s>>, Failure> {
        let result = match (self, arguments) {
            (Native::Size, [Val::List(list)]) => Val::Int(list.len() as i64),
            (Native::Size, [Val::Map(map)]) => Val::Int(map.len() as i64),
            (Native::Matches, [text, pattern]) => matching::matches(text, pattern, meter)?,
            (Native::Join, [Val::List(list)]) => texts::join(list, "", meter)?,
            (Native::Join, [Val::List(list), Val::Text(between)]) => {
                texts::join(list, between.as_str(), meter)?
            }
            (Native::Range, [Val::Int(n)]) => lists::range(*n, meter)?,
            (Native::Reverse, [Val::List(list)]) => lists::reverse(list, meter)?,
            (Native::Slice, [Val::List(list), Val::Int(from), Val::Int(to)]) => {
                lists::slice(list, *from, *to, meter)?
            }
            (Native::Flatten, [Val::List(list)]) => lists::flatten(list, 1, meter)?,
            (Native::Flatten, [Val::List(list), Val::Int(depth)]) => {
                lists::flatten(list, *depth, meter)?
            }
            (Native::Distinct, [Val::List(list)]) => lists::distinct(list, meter)?,
            (Native::Sort, [Val::List(list)]) => lists::sort(list, list, meter)?,
            (Native::SortBy, [Val::List(list), Val::List(keys)]) => lists::sort(list, keys, meter)?,
            (Native::Type, [value]) => Val::Type(value.kind()),
            (Native::Dyn, [value]) => value.clone(),
            (_, [Val::Text(text), rest @ ..]) => return self.of_text(text, rest, meter),
            (_, rest) => return self.of_optional(rest),
        };
        Ok(Some(result))
    }

    fn of_text<'s>(
        self,
        text: &Text<'s>,
        rest: &[Val<'s>],
        meter: &mut Meter,
    ) -> Result<Option<Val<'s>>, Failure> {
        meter.read(text.as_str().len())?;
        let it = text.as_str();
        let result = match (self, rest) {
            (Native::Size, []) => Val::Int(it.chars().count() as i64),
            (Native::Contains, [Val::Text(part)]) => Val::Bool(it.contains(part.as_str())),
            (Native::StartsWith, [Val::Text(part)]) => Val::Bool(it.starts_with(part.as_str())),
            (Native::EndsWith, [Val::Text(part)]) => Val::Bool(it.ends_with(part.as_str())),
            (Native::Split, [Val::Text(at)]) => texts::split(text, at.as_str(), -1, meter)?,
            (Native::Split, [Val::Text(at), Val::Int(most)]) => {
                texts::split(text, at.as_str(), *most, meter)?
            }
            (Native::Replace, [Val::Text(from), Val::Text(to)]) => {
                texts::replace(it, from.as_str(), to.as_str(), -1, meter)?
            }
            (Native::Replace, [Val::Text(from), Val::Text(to), Val::Int(most)]) => {
                texts::replace(it, from.as_str(), to.as_str(), *most, meter)?
            }
            (Native::IndexOf, [Val::Text(part)]) => texts::index_of(it, part.as_str(), None)?,
            (Native::IndexOf, [Val::Text(part), Val::Int(from)]) => {
                texts::index_of(it, part.as_str(), Some(*from))?
            }
            (Native::LastIndexOf, [Val::Text(part)]) => {
                texts::last_index_of(it, part.as_str(), None)?
            }
            (Native::LastIndexOf, [Val::Text(part), Val::Int(to)]) => {
                texts::last_index_of(it, part.as_str(), Some(*to))?
            }
            (Native::OptionalOf | Native::OptionalOfNonZero, _) => {
                return self.of_optional(&[Val::Text(text.clone())]);
            }
            _ => return Ok(None),
        };
        Ok(Some(result))
    }

    fn of_optional<'s>(self, arguments: &[Val<'s>]) -> Result<Option<Val<'s>>, Failure> {
        Ok(Some(match (self, arguments) {
            (Native::OptionalNone, []) => Val::Optional(None),
            (Native::OptionalOf, [value]) => Val::optional(Some(value.clone())),
            (Native::OptionalOfNonZero, [value]) => {
                Val::optional((!is_zero(value)).then(|| value.clone()))
            }
            (Native::HasValue, [Val::Optional(value)]) => Val::Bool(value.is_some()),
            (Native::OptionalValue, [Val::Optional(value)]) => match value {
                Some(value) => (**value).clone(),
                None => return Err(Failure::wrong("`value` of an optional without a value")),
            },
            (Native::Or, [Val::Optional(one), other @ Val::Optional(_)]) => match one {
                Some(_) => arguments[0].clone(),
                None => other.clone(),
            },
            (Native::OrValue, [Val::Optional(one), other]) => match one {
                Some(one) => (**one).clone(),
                None => other.clone(),
            },
            _ => return Ok(None),
        }))
    }
}

/// Whether a value is the zero of its type.
fn is_zero(value: &Val<'_>) -> bool {
    match value {
        Val::Null => true,
        Val::Bool(b) => !b,
        Val::Int(n) => *n == 0,
        Val::UInt(n) => *n == 0,
        Val::Double(n) => *n == 0.0,
        Val::Text(text) => text.as_str().is_empty(),
        Val::Bytes(bytes) => bytes.as_slice().is_empty(),
        Val::List(list) => list.len() == 0,
        Val::Map(map) => map.len() == 0,
        time @ (Val::Timestamp(_) | Val::Duration(_)) => to_cel(time)
            .as_zeroer()
            .is_some_and(|time| time.is_zero_value()),
        Val::Type(_) | Val::Optional(_) => false,
    }
}

/// The result of a call.
pub(super) fn call<'s>(
    call: &Call,
    arguments: &[Val<'s>],
    meter: &mut Meter,
) -> Result<Val<'s>, Failure> {
    if let Some(native) = call.native
        && let Some(result) = native.apply(arguments, meter)?
    {
        return Ok(result);
    }
    let mut weight = 0;
    for argument in arguments {
        weight += argument.size(meter)?.bytes;
    }
    // What is copied for the library.
    meter.read(usize::try_from(weight).unwrap_or(usize::MAX))?;
    if call.name == "format" {
        meter.make(bytes_of_format(arguments, weight))?;
    }
    let arguments_of_library = Arguments(arguments.iter().map(to_cel).collect());
    let mut context = root();
    context.set_variable_resolver(&arguments_of_library);
    let result = cel::Value::resolve_val(&call.library, &context);
    match result {
        Ok(value) => from_cel(value.as_ref(), meter),
        Err(error) => Err(explain(&error, call, arguments)),
    }
}

/// The most bytes that `format` gives: text may be written as two digits for each byte, and a number
/// as 309 digits with 100 more behind the point.
fn bytes_of_format(arguments: &[Val<'_>], weight: u64) -> u64 {
    let clauses = match arguments {
        [Val::Text(text), ..] => text.as_str().matches('%').count() as u64,
        _ => 0,
    };
    weight * 2 + clauses * 420
}

/// The name of the variable that stands for an argument in a call of the library.
pub(super) fn argument_name(index: usize) -> String {
    format!("@{index}")
}

struct Arguments<'s>(Vec<Box<dyn CelVal + 's>>);

impl VariableResolver for Arguments<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let index: usize = variable.strip_prefix('@')?.parse().ok()?;
        self.0
            .get(index)
            .map(|argument| CowVal::Borrowed(argument.as_ref()))
    }
}

fn explain(error: &ExecutionError, call: &Call, arguments: &[Val<'_>]) -> Failure {
    match error {
        ExecutionError::NoSuchOverload(_)
        | ExecutionError::UnexpectedType { .. }
        | ExecutionError::UnsupportedTargetType { .. }
        | ExecutionError::InvalidArgumentCount { .. } => {
            let arguments: Vec<&Val<'_>> = arguments.iter().collect();
            match arguments.is_empty() {
                true => Failure::Wrong(format!("`{}` takes an argument", call.name)),
                false => does_not_take(&call.name, &arguments),
            }
        }
        ExecutionError::FunctionError { function, message } => {
            Failure::Wrong(format!("`{function}`: {message}"))
        }
        ExecutionError::Overflow(operator, ..) => Failure::Wrong(format!("`{operator}` overflows")),
        other => Failure::Wrong(other.to_string()),
    }
}
