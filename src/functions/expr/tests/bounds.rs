//! The bounds of expressions hold wherever work and memory come from.

use super::*;
use crate::stop_flag::StopFlag;

/// The error of `expr/map` with these fields, each of which sees those before it.
fn refused(set: &[(String, String)], limits: &[(&str, i64)]) -> String {
    let mut task = Task::new("t", TaskKind::Function);
    task.function = Some("expr/map".into());
    let table: Segment = set
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    task.params.set("set", table);
    for (key, value) in limits {
        task.params.set(*key, *value);
    }
    let function = FunctionRegistry::with_built_in().build(&task, &StopFlag::default());
    let Application::Make(mut make) = function.unwrap().into_application() else {
        panic!("expr/map makes segments");
    };
    let input: Segment = serde_json::from_str(r#"{"text":"0123456789","list":[1,2,3]}"#).unwrap();
    match make(input, &mut Vec::new()) {
        Err(FunctionError::Failed(message)) => message,
        other => panic!("expected an error of {set:?}, found {other:?}"),
    }
}

/// A field `a`, and thirty more of which each is made of the one before.
fn thirty(first: &str, next: &str) -> Vec<(String, String)> {
    let mut set = vec![("a0".to_owned(), first.to_owned())];
    for n in 1..=30 {
        set.push((format!("a{n}"), next.replace('@', &format!("a{}", n - 1))));
    }
    set
}

fn one(expression: &str) -> Vec<(String, String)> {
    vec![("it".to_owned(), expression.to_owned())]
}

#[test]
fn thirty_doublings_of_a_text_end_at_the_bound_of_bytes() {
    insta::assert_snapshot!(refused(&thirty("text", "@ + @"), &[]), @"cannot set `a20` to `a19 + a19`: its values come to more than 16777216 bytes for one segment; make them smaller, or raise the task's `max-result-bytes`");
}

#[test]
fn doublings_of_any_kind_end_at_the_bound_of_bytes() {
    for (first, next) in [
        ("bytes(text)", "@ + @"),
        ("list", "@ + @"),
        ("list", "[@, @]"),
        ("list", "{'x': @, 'y': @}"),
        ("list", "[@, @].flatten()"),
        ("list", "[1, 2].map(n, @)"),
        ("segment", "[segment, segment]"),
        ("segment", "segment"),
        ("text", "[@, @].join()"),
        ("text", "@.replace('0', @)"),
        ("text", "'%s%s'.format([@, @])"),
        ("text", "base64.encode(bytes(@ + @))"),
        (
            "text",
            "[optional.of(@), optional.of(@)].map(o, o.value()).join('-')",
        ),
    ] {
        let error = refused(&thirty(first, next), &[("max-steps", i64::MAX)]);
        assert!(
            error.contains("more than 16777216 bytes"),
            "{next}: {error}"
        );
    }
}

#[test]
fn a_value_is_refused_before_it_is_made() {
    let large = "text + text + text + text + text + text + text + text + text + text";
    for expression in [
        "lists.range(9223372036854775807)",
        "lists.range(1000).map(i, text).join(text)",
        "lists.range(100).map(i, text)",
        "(text + text).replace('', text + text + text + text)",
        "(text + text + text + text).split('')",
        "'%x%x%x'.format([text, text, text])",
        large,
    ] {
        let error = refused(&one(expression), &[("max-result-bytes", 90)]);
        assert!(
            error.contains("more than 90 bytes"),
            "{expression}: {error}"
        );
    }
}

#[test]
fn work_within_macros_ends_at_the_bound_of_steps() {
    let range = "lists.range(2000)";
    for expression in [
        format!("{range}.all(x, {range}.all(y, {range}.all(z, true)))"),
        format!("{range}.exists(x, {range}.exists(y, x + y < 0))"),
        format!("{range}.exists_one(x, {range}.exists_one(y, {range}.exists_one(z, false)))"),
        format!("{range}.filter(x, {range}.filter(y, false) != [])"),
        format!("{range}.map(x, size({range}.filter(y, false)))"),
        // What fails is passed over by these, but never a bound.
        format!("{range}.exists(x, {range}.all(y, y >= 0) && 1 / 0 == 1)"),
        format!("{range}.all(x, {range}.all(y, 1 / 0 == 1) || true)"),
        format!("{range}.all(x, x in {range} || false)"),
        format!("{range}.all(x, {range} == {range})"),
        format!("{range}.all(x, optional.of({range}.filter(y, y < 0)).hasValue())"),
        format!("{range}.all(x, {range}[?size({range}.filter(y, false))].hasValue())"),
        format!("{range}.map(x, -x).distinct() == {range}.map(x, x + 1).distinct()"),
        format!("{range}.all(x, {range}.map(y, -y).sort() != [])"),
        format!("{range}.all(x, {range}.sortBy(y, -y) != [])"),
        format!("{range}.all(x, {range}.reverse().slice(0, 10) != [])"),
        format!("{range}.all(x, text.matches('^(a|b)' + string(x)) || true)"),
    ] {
        let limits = [("max-steps", 200_000), ("max-result-bytes", i64::MAX)];
        let error = refused(&one(&expression), &limits);
        assert!(
            error.contains("more than 200000 steps"),
            "{expression}: {error}"
        );
    }
}

#[test]
fn the_bounds_name_themselves_and_the_key_that_raises_them() {
    insta::assert_snapshot!(refused(&one("[1, 2, 3].all(x, x > 0)"), &[("max-steps", 10)]), @"cannot set `it` to `[1, 2, 3].all(x, x > 0)`: more than 10 steps for one segment; make the expressions of the task cheaper, or raise its `max-steps`");
    insta::assert_snapshot!(refused(&one("text + text"), &[("max-result-bytes", 10)]), @"cannot set `it` to `text + text`: its values come to more than 10 bytes for one segment; make them smaller, or raise the task's `max-result-bytes`");
    let set: Segment = [("it", "1")].into_iter().collect();
    let mut task = Task::new("t", TaskKind::Function);
    task.function = Some("expr/map".into());
    task.params.set("set", set);
    task.params.set("max-steps", 0_i64);
    let built = FunctionRegistry::with_built_in().build(&task, &StopFlag::default());
    insta::assert_snapshot!(built.err().unwrap(), @"`max-steps` must be an integer of at least 1");
}

#[test]
fn the_bounds_are_for_each_segment() {
    let mut task = Task::new("t", TaskKind::Function);
    task.function = Some("expr/filter".into());
    task.params.set("where", "lists.range(100).all(x, x >= 0)");
    task.params.set("max-steps", 1_000_i64);
    task.params.set("max-result-bytes", 10_000_i64);
    let function = FunctionRegistry::with_built_in().build(&task, &StopFlag::default());
    let Application::Keep(mut keep) = function.unwrap().into_application() else {
        panic!("expr/filter keeps segments");
    };
    for _ in 0..100 {
        assert_eq!(keep.passes(&Segment::new()), Ok(true));
    }
}

#[test]
fn values_nested_too_deeply_for_the_next_task_are_refused() {
    for next in ["[@]", "{'x': @}", "[1].map(x, @)"] {
        let mut set = thirty("list", next);
        for n in 31..100 {
            set.push((format!("a{n}"), next.replace('@', &format!("a{}", n - 1))));
        }
        let error = refused(&set, &[]);
        assert!(
            error.contains("more than 64 lists and maps"),
            "{next}: {error}"
        );
    }
}

#[test]
fn a_stop_ends_an_expression_without_an_exception() {
    let (mut task, stop) = (Task::new("t", TaskKind::Function), StopFlag::default());
    task.function = Some("expr/filter".into());
    let range = "lists.range(2000)";
    let endless = format!("{range}.all(x, {range}.all(y, {range}.all(z, true)))");
    task.params.set("where", endless);
    task.params.set("max-steps", i64::MAX);
    task.params.set("max-result-bytes", i64::MAX);
    let function = FunctionRegistry::with_built_in().build(&task, &stop);
    let Application::Keep(mut keep) = function.unwrap().into_application() else {
        panic!("expr/filter keeps segments");
    };
    let working = std::thread::spawn(move || keep.passes(&Segment::new()));
    stop.set();
    let stopped = FunctionError::Retry("the job has ended, so the expression was stopped".into());
    assert_eq!(working.join().unwrap(), Err(stopped));
}
