//! What expressions see, give and say when they fail.

use crate::codec::{Decoder, encode};
use crate::functions::task_function::Keep;
use crate::functions::{Application, FunctionError, FunctionRegistry, NotTested, check_expression};
use crate::job::{Task, TaskKind};
use crate::segment::{Segment, Value};
use crate::stop_flag::StopFlag;

fn flight() -> Segment {
    serde_json::from_str(r#"{"delay":18,"origin":"LAX","destination":"SFO"}"#).unwrap()
}

fn run(function: &str, key: &str, param: Value, input: Segment) -> Result<Vec<Segment>, String> {
    let mut task = Task::new("t", TaskKind::Function);
    task.function = Some(function.into());
    task.params.set(key, param);
    let mut out = Vec::new();
    let function = FunctionRegistry::with_built_in().build(&task, &StopFlag::default())?;
    let done = match function.into_application() {
        Application::Make(mut make) => make(input, &mut out),
        Application::Keep(keep) => keep_both_ways(keep, input, &mut out),
        Application::PassOn => panic!("an expression looks at segments"),
    };
    match done {
        Ok(()) => Ok(out),
        Err(FunctionError::Failed(message)) => Err(message),
        Err(FunctionError::Retry(message)) => panic!("nothing asks for a retry: {message}"),
    }
}

/// What is said of an encoded segment is what is said of it decoded.
fn keep_both_ways(
    mut keep: Keep,
    input: Segment,
    out: &mut Vec<Segment>,
) -> Result<(), FunctionError> {
    let mut raw = Vec::new();
    encode(&input, &mut raw).unwrap();
    let (mut decoder, mut seen) = (Decoder::default(), Segment::new());
    let of_encoded = match keep.passes_encoded(&raw, &mut decoder, &mut seen) {
        Ok(passes) => Ok(passes),
        Err(NotTested::Failed(error)) => Err(error),
        Err(NotTested::Damaged(error)) => panic!("{error}"),
    };
    let of_decoded = keep.passes(&input);
    assert_eq!(of_encoded, of_decoded);
    out.extend(of_decoded?.then_some(input));
    Ok(())
}

fn map(set: &[(&str, &str)], input: Segment) -> Result<String, String> {
    let set: Segment = set.iter().copied().collect();
    let out = run("expr/map", "set", set.into(), input)?;
    Ok(serde_json::to_string(&out).unwrap())
}

fn filter(condition: &str, input: Segment) -> Result<usize, String> {
    run("expr/filter", "where", condition.into(), input).map(|out| out.len())
}

/// The value of an expression, as JSON.
fn value(expression: &str) -> Result<String, String> {
    let mut input: Segment = serde_json::from_str(
        r#"{"n":7,"f":1.5,"s":"é","l":[1,[2]],"m":{"k":null,"inner":{"b":true}},"a.b":"dotted"}"#,
    )
    .unwrap();
    input.set("bytes", Value::Bytes([1, 2].into()));
    let set: Segment = [("it", expression)].into_iter().collect();
    let out = run("expr/map", "set", set.into(), input)?;
    Ok(serde_json::to_string(out[0].get("it").unwrap()).unwrap())
}

#[test]
fn map_sets_fields_and_filter_keeps_what_is_true() {
    let set = [
        ("late", "delay > 15"),
        ("route", "origin + '-' + destination"),
    ];
    insta::assert_snapshot!(map(&set, flight()).unwrap(), @r#"[{"delay":18,"origin":"LAX","destination":"SFO","late":true,"route":"LAX-SFO"}]"#);
    assert_eq!(filter("delay > 15 && origin == 'LAX'", flight()), Ok(1));
    assert_eq!(filter("delay > 18", flight()), Ok(0));
}

#[test]
fn an_expression_sees_the_fields_set_before_it() {
    let set = [("delay", "delay * 2"), ("late", "delay > 30")];
    insta::assert_snapshot!(map(&set, flight()).unwrap(), @r#"[{"delay":36,"origin":"LAX","destination":"SFO","late":true}]"#);
}

#[test]
fn a_scalar_is_an_expression() {
    let set: Segment = [("one", Value::Int(1)), ("half", Value::Float(0.5))]
        .into_iter()
        .collect();
    let out = run("expr/map", "set", set.into(), Segment::new()).unwrap();
    insta::assert_snapshot!(serde_json::to_string(&out).unwrap(), @r#"[{"one":1,"half":0.5}]"#);
}

#[test]
fn every_kind_of_value_goes_in_and_comes_out() {
    for (name, json) in [
        ("n", "7"),
        ("f", "1.5"),
        ("s", "\"é\""),
        ("l", "[1,[2]]"),
        ("m", r#"{"k":null,"inner":{"b":true}}"#),
        ("bytes", "[1,2]"),
        ("a.b", "\"dotted\""),
        ("m.inner.b", "true"),
        ("segment.m.k", "null"),
        ("size(segment)", "7"),
        ("[n, s][1]", "\"é\""),
        ("l.map(x, x == 1)", "[true,false]"),
        ("{1: 'a', true: n}", r#"{"1":"a","true":7}"#),
        ("7u", "7"),
        ("9223372036854775807u", "9223372036854775807"),
        (
            "timestamp('2001-01-14T21:55:00Z')",
            "\"2001-01-14T21:55:00+00:00\"",
        ),
        ("duration('90m')", "\"5400s\""),
        ("duration('-1.5s')", "\"-1.5s\""),
        ("type(n)", "\"int\""),
        ("segment.?nothing", "null"),
        ("segment.?n", "7"),
        ("segment.?nothing.orValue(3)", "3"),
        ("has(segment.n) && !has(segment.nothing)", "true"),
        ("'LAX-SFO'.split('-')[0].lowerAscii()", "\"lax\""),
        ("math.greatest(n, 9)", "9"),
        ("base64.encode(b'hi')", "\"aGk=\""),
    ] {
        assert_eq!(value(name).as_deref(), Ok(json), "{name}");
    }
}

#[test]
fn a_missing_field_is_named_with_those_that_are_there() {
    insta::assert_snapshot!(map(&[("late", "dely > 15")], flight()).unwrap_err(), @"cannot set `late` to `dely > 15`: the segment has no field `dely`; it has: delay, origin, destination. `has(segment.dely)` tells whether it is there");
    insta::assert_snapshot!(filter("late", Segment::new()).unwrap_err(), @"`late`: the segment has no field `late`; it has none. `has(segment.late)` tells whether it is there");
}

#[test]
fn a_filter_wants_true_or_false() {
    insta::assert_snapshot!(filter("delay", flight()).unwrap_err(), @"`delay`: expected true or false, found int");
}

#[test]
fn what_goes_wrong_in_an_expression_is_told_with_the_expression() {
    insta::assert_snapshot!(value("n / 0").unwrap_err(), @"cannot set `it` to `n / 0`: division by zero");
    insta::assert_snapshot!(value("s + 1").unwrap_err(), @"cannot set `it` to `s + 1`: `add` does not take string and int");
    insta::assert_snapshot!(value("n.x").unwrap_err(), @"cannot set `it` to `n.x`: `.` does not take int and string");
    insta::assert_snapshot!(value("l[9]").unwrap_err(), @"cannot set `it` to `l[9]`: there is no item 9; the list has 2");
    insta::assert_snapshot!(value("size(n)").unwrap_err(), @"cannot set `it` to `size(n)`: `size` does not take int");
}

#[test]
fn what_is_not_an_expression_is_told_with_its_column() {
    let error = |text: &str| check_expression(text).unwrap_err();
    insta::assert_snapshot!(error("delay >"), @"`delay >` is not an expression: at column 8, it ends too early");
    insta::assert_snapshot!(error("delay > 15)"), @"`delay > 15)` is not an expression: at column 11, `)` was not expected");
    insta::assert_snapshot!(error("a ==\n 'x"), @"
    `a ==
     'x` is not an expression: at column 2 of line 2, `'x` cannot be read; is a quote missing?
    ");
    insta::assert_snapshot!(error(""), @"`` is not an expression: at column 1, it ends too early");
    insta::assert_snapshot!(error("siez(origin) > 3"), @"`siez(origin) > 3` is not an expression: there is no function `siez`");
    insta::assert_snapshot!(error("a b"), @"`a b` is not an expression: at column 3, `b` was not expected");
    insta::assert_snapshot!(error("{'a': }"), @"`{'a': }` is not an expression: at column 7, `}` was not expected");
    insta::assert_snapshot!(error("a = 3"), @"`a = 3` is not an expression: at column 3, `=` is no operator; `==` compares");
    insta::assert_snapshot!(error("has(delay)"), @"`has(delay)` is not an expression: at column 5, invalid argument to has() macro");
    insta::assert_snapshot!(error("origin.lowerAsci()"), @"`origin.lowerAsci()` is not an expression: there is no function `lowerAsci`");
    insta::assert_snapshot!(error(&"x".repeat(5000)), @"an expression of 5000 bytes; at most 4096 are allowed");
}

#[test]
fn the_functions_of_macros_and_namespaces_are_known() {
    for text in [
        "l.all(x, x > 0) || l.exists(x, x in [1]) || l.filter(x, true) == [] || l.exists_one(x, x)",
        "math.least(1, 2) < 3 ? string(1) : 'a'.replace('a', 'b')",
        "!has(segment.x) && -n < 3 && n % 2 == 0 && m['k'] == null && optional.of(1).hasValue()",
    ] {
        assert_eq!(check_expression(text), Ok(()), "{text}");
    }
}

#[test]
fn params_of_the_wrong_kind_are_refused() {
    let run = |function, key, param| run(function, key, param, Segment::new()).unwrap_err();
    insta::assert_snapshot!(run("expr/map", "set", "x".into()), @"`set` must be a table from field names to expressions");
    insta::assert_snapshot!(run("expr/filter", "wher", "x".into()), @"`where` must be an expression");
    let set: Segment = [("a", Value::from(vec![]))].into_iter().collect();
    insta::assert_snapshot!(run("expr/map", "set", set.into()), @"`set.a` must be an expression, found list");
}

#[test]
fn nesting_that_would_overflow_a_stack_is_refused_and_what_is_accepted_can_be_evaluated() {
    let wrapped =
        |open: &str, n: usize, close: &str| [&open.repeat(n), "1", &close.repeat(n)].concat();
    for n in [12, 40, 60, 120, 500, 1300, 2040, 4090] {
        for text in [
            wrapped("(", n, ")"),
            wrapped("[", n, "]"),
            wrapped("{1:", n, "}"),
            wrapped("(", n, ""),
            wrapped("-", n, ""),
            wrapped("true?1:", n, ""),
            wrapped("", n, "+1"),
            wrapped("", n, "<1"),
            wrapped("", n, " in l"),
            wrapped("", n, "||true"),
            wrapped("m", n, ".inner"),
            wrapped("l", n, "[0]"),
            wrapped("l", n, ".size()"),
        ] {
            // Whatever the answer, there is one.
            let _ = value(&text);
        }
    }
    insta::assert_snapshot!(check_expression(&wrapped("(", 100, ")")).unwrap_err(), @"`((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((1))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))` is not an expression: at column 97, it is nested too deeply");
    insta::assert_snapshot!(check_expression(&wrapped("", 60, "+1")).unwrap_err(), @"`1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1` is not an expression: it has operations more than 48 deep within each other");
}

mod bounds;
mod equivalence;

#[test]
fn an_unsigned_integer_beyond_63_bits_is_an_error_and_never_a_float() {
    insta::assert_snapshot!(value("9223372036854775808u").unwrap_err(), @"cannot set `it` to `9223372036854775808u`: 9223372036854775808u is beyond the integers of a segment, which end at 9223372036854775807; use `string(…)` or `double(…)`");
    assert_eq!(
        value("string(18446744073709551615u)").as_deref(),
        Ok("\"18446744073709551615\"")
    );
}

#[test]
fn the_keys_of_a_map_keep_the_order_in_which_they_are_written() {
    for _ in 0..20 {
        let map = "{'z': 1, 'a': 2, 'k': {2: 'x', 1: 'y', true: 'w', 3u: 'v'}}";
        assert_eq!(
            value(map).as_deref(),
            Ok(r#"{"z":1,"a":2,"k":{"2":"x","1":"y","true":"w","3":"v"}}"#)
        );
        assert_eq!(
            value("{'z': 1, 'a': 2, 'k': 3, 'b': 4}.map(key, key)").as_deref(),
            Ok(r#"["z","a","k","b"]"#)
        );
        assert_eq!(value("m.map(key, key)").as_deref(), Ok(r#"["k","inner"]"#));
    }
}

#[test]
fn keys_of_a_map_that_collide_are_an_error() {
    insta::assert_snapshot!(value("{1: 'a', '1': 'b'}").unwrap_err(), @"cannot set `it` to `{1: 'a', '1': 'b'}`: two keys of a map would both be `1`, because the keys of a segment are texts");
    insta::assert_snapshot!(value("{true: 'a', 'true': 'b'}").unwrap_err(), @"cannot set `it` to `{true: 'a', 'true': 'b'}`: two keys of a map would both be `true`, because the keys of a segment are texts");
    insta::assert_snapshot!(value("{1: 'a', 1u: 'b'}").unwrap_err(), @"cannot set `it` to `{1: 'a', 1u: 'b'}`: a map has the key `1` twice");
    insta::assert_snapshot!(value("{s: 'a', 'é': 'b'}").unwrap_err(), @"cannot set `it` to `{s: 'a', 'é': 'b'}`: a map has the key `é` twice");
    insta::assert_snapshot!(check_expression("{'a': 1, 'a': 2}").unwrap_err(), @r#"`{'a': 1, 'a': 2}` is not an expression: the key "a" is written twice"#);
}

#[test]
fn a_reserved_word_is_refused_with_how_a_field_of_that_name_is_written() {
    let error = |text: &str| check_expression(text).unwrap_err();
    insta::assert_snapshot!(error("package > 3"), @r#"`package > 3` is not an expression: at column 1, `package` is a reserved word; a field of that name is written `segment["package"]`"#);
    insta::assert_snapshot!(error("in > 3"), @r#"`in > 3` is not an expression: at column 1, `in` is a reserved word; a field of that name is written `segment["in"]`"#);
    insta::assert_snapshot!(error("1 + in"), @r#"`1 + in` is not an expression: at column 5, `in` is a reserved word; a field of that name is written `segment["in"]`"#);
    for word in ["in", "package", "for"] {
        assert_eq!(
            check_expression(&format!("segment[\"{word}\"] > 3")),
            Ok(())
        );
    }
}

#[test]
fn a_constant_pattern_that_is_no_regular_expression_is_found_without_a_segment() {
    insta::assert_snapshot!(check_expression("s.matches('(a')").unwrap_err(), @"`s.matches('(a')` is not an expression: the pattern `(a` of `matches` is not a regular expression: unclosed group");
    insta::assert_snapshot!(check_expression("matches(s, 'a{1000}{1000}{1000}')").unwrap_err(), @"`matches(s, 'a{1000}{1000}{1000}')` is not an expression: the pattern `a{1000}{1000}{1000}` of `matches` is not a regular expression: it is too large when compiled");
    assert_eq!(
        check_expression(r"s.matches('^\\d+$') || s.matches(s)"),
        Ok(())
    );
}

mod laws {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>()
                .prop_filter("equal to itself", |n| !n.is_nan())
                .prop_map(Value::from),
            ".*".prop_map(Value::from),
            any::<Vec<u8>>().prop_map(|bytes| Value::Bytes(bytes.into())),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            let items = proptest::collection::vec(inner.clone(), 0..4);
            let fields = proptest::collection::vec((".{0,8}", inner), 0..4);
            prop_oneof![
                items.prop_map(Value::from),
                fields.prop_map(|fields| fields.into_iter().collect::<Segment>().into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_value_survives_an_expression(value in any_value()) {
            let input: Segment = [("x", value.clone())].into_iter().collect();
            let set: Segment = [("y", "x")].into_iter().collect();
            let out = run("expr/map", "set", set.into(), input).unwrap();
            prop_assert_eq!(out[0].get("y"), Some(&value));
        }

        #[test]
        fn no_text_makes_the_compiler_panic(text in ".{0,60}") {
            let _ = check_expression(&text);
        }

        #[test]
        fn no_expression_like_text_makes_the_compiler_panic(
            text in "([a-z0-9.+*<>=&|?:!,'\"\\[\\](){}` -]|in|has|map){0,30}"
        ) {
            let _ = check_expression(&text);
        }
    }
}
