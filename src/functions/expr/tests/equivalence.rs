//! Expressions are evaluated here and not by the library. Both agree on the language.

use super::super::convert::to_cel;
use super::super::val::Val;
use super::*;
use cel::common::value::{CowVal, Val as CelVal};
use cel::context::VariableResolver;

/// The fields of the segment, as the library sees them.
struct Fields<'s>(Vec<(&'s str, Box<dyn CelVal + 's>)>);

impl VariableResolver for Fields<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let found = self.0.iter().find(|(name, _)| *name == variable)?;
        Some(CowVal::Borrowed(found.1.as_ref()))
    }
}

fn segment() -> Segment {
    let mut segment: Segment = serde_json::from_str(
        r#"{"n":7,"zero":0,"f":1.5,"s":"naïve text","l":[3,1,2,3],"words":["b","a"],
            "nested":[[1],[2,[3]]],"m":{"k":null,"inner":{"b":true}},"a.b":"dotted"}"#,
    )
    .unwrap();
    segment.set("bytes", Value::Bytes([1, 2].into()));
    segment
}

/// Whether the library gives `true`, and why not otherwise.
fn by_the_library(expression: &str, segment: &Segment) -> Result<bool, String> {
    let values: Vec<(&str, Val<'_>)> = segment
        .iter()
        .map(|(key, value)| (key.as_str(), Val::of(value)))
        .collect();
    let fields = values.iter().map(|(name, value)| (*name, to_cel(value)));
    let fields = Fields(fields.collect());
    let mut context = super::super::compile::root();
    context.set_variable_resolver(&fields);
    let program = super::super::compile::language()
        .compile(expression)
        .unwrap();
    match program.execute(&context) {
        Ok(cel::Value::Bool(b)) => Ok(b),
        Ok(other) => Err(format!("{other:?}")),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn what_is_true_for_the_library_is_true_here() {
    for expression in [
        "n + 1 == 8 && n - 1 == 6 && n * 2 == 14 && n / 2 == 3 && n % 2 == 1 && -n == -7",
        "7u + 1u == 8u && 7u / 2u == 3u && 7u % 2u == 1u && 7u > 6u",
        "f + 1.0 == 2.5 && f / 0.0 > 1e300 && -f < 0.0 && f * 2.0 == 3.0",
        "n == 7u && n == 7.0 && 7u == 7.0 && n != 8.0 && n < 7.5 && 7.5 > n && n >= 7u",
        "1 != '1' && null == null && n != null && [1] != {'a': 1}",
        "s + '!' == 'naïve text!' && size(s) == 10 && s.size() == 10 && s < 'o' && 'a' <= 'a'",
        "bytes + b'x' == b'\\x01\\x02x' && size(bytes) == 2 && b'a' < b'b'",
        "l + [4] == [3, 1, 2, 3, 4] && size(l) == 4 && l[1] == 1 && l[1u] == 1 && l[1.0] == 1",
        "3 in l && !(9 in l) && 'k' in m && !('x' in m) && 1 in {1u: 'x'} && 1.0 in [1]",
        "m.inner.b && m['inner']['b'] && has(m.k) && !has(m.x) && has(m.inner.b)",
        "a.b == 'dotted' && m == {'inner': {'b': true}, 'k': null} && {1: 2} == {1u: 2.0}",
        "l.all(x, x > 0) && l.exists(x, x == 2) && l.exists_one(x, x == 2) && !l.exists_one(x, x == 3)",
        "l.map(x, x * 2) == [6, 2, 4, 6] && l.filter(x, x > 2) == [3, 3] && l.map(x, x > 1, x) == [3, 2, 3]",
        "m.all(k, k != '') && m.exists(k, k == 'k') && {'a': 1}.map(k, k + 'x') == ['ax']",
        "l.map(x, l.map(y, x * y)[0]) == [9, 3, 6, 9] && l.all(x, l.exists(y, y == x))",
        "l.exists(x, x / zero == 1 || true) && !l.all(x, x / zero == 1 && false)",
        "[1, 2].exists(x, 1 / (x - 1) == 1) && !l.all(x, 1 / zero == 1 || false) == false || true",
        "true || 1 / zero == 1",
        "1 / zero == 1 || true",
        "!(false && 1 / zero == 1) && !(1 / zero == 1 && false)",
        "(n > 3 ? 'a' : 'b') == 'a' && !(n < 3) && (zero == 0 ? true : 1 / zero == 1)",
        "l.sort() == [1, 2, 3, 3] && l.sortBy(x, -x) == [3, 3, 2, 1] && l.distinct() == [3, 1, 2]",
        "l.reverse() == [3, 2, 1, 3] && l.slice(1, 3) == [1, 2] && lists.range(3) == [0, 1, 2]",
        "nested.flatten() == [1, 2, [3]] && nested.flatten(2) == [1, 2, 3]",
        "words.sort().join(',') == 'a,b' && words.join() == 'ba' && [].join(',') == ''",
        "s.contains('ve') && s.startsWith('na') && s.endsWith('text') && s.matches('t.x') && matches(s, '^n')",
        "s.matches('t' + '.x') && !s.matches('^t')",
        "s.indexOf('e') == 4 && s.indexOf('e', 5) == 7 && s.lastIndexOf('t') == 9 && s.lastIndexOf('t', 8) == 6",
        "s.indexOf('zz') == -1 && s.indexOf('', 3) == 3 && s.lastIndexOf('', 3) == 3 && s.lastIndexOf('ï', 2) == 2",
        "s.split(' ') == ['naïve', 'text'] && 'a,b,c'.split(',', 2) == ['a', 'b,c'] && 'aï'.split('') == ['a', 'ï']",
        "'abc'.split('', 2) == ['a', 'bc'] && 'a'.split(',', 0) == [] && ''.split('') == [] && ''.split(',') == ['']",
        "s.replace('ï', 'i') == 'naive text' && 'aaa'.replace('a', 'b', 2) == 'bba' && 'ab'.replace('', '-') == '-a-b-'",
        "s.upperAscii() == 'NAïVE TEXT' && s.substring(2, 3) == 'ï' && s.charAt(2) == 'ï' && ' a '.trim() == 'a'",
        "s.reverse() == 'txet evïan' && strings.quote('a\"b') == '\"a\\\\\"b\"'",
        "'%d-%s-%.1f'.format([n, m, f]) == '7-{inner: {b: true}, k: null}-1.5'",
        "string(n) == '7' && int('7') == n && double('1.5') == f && bool('true') && uint(7) == 7u && int(f) == 1",
        "string(f) == '1.5' && string(bytes('x')) == 'x' && bytes(s) != bytes",
        "math.greatest(n, 9) == 9 && math.least([3, 1]) == 1 && math.ceil(f) == 2.0 && math.abs(-3) == 3",
        "base64.encode(b'hi') == 'aGk=' && base64.decode('aGk=') == b'hi'",
        "type(n) == int && type(s) == string && type(type(n)) == type && type(null) == null_type",
        "timestamp('2001-01-14T21:55:00Z') + duration('1h') == timestamp('2001-01-14T22:55:00Z')",
        "timestamp('2001-01-14T21:55:00Z').getHours() == 21 && duration('90m').getHours() == 1",
        "timestamp('2001-01-14T21:55:00Z').getDate('+02:00') == 14",
        "timestamp('2001-01-02T00:00:00Z') - timestamp('2001-01-01T00:00:00Z') == duration('24h')",
        "timestamp('2001-01-02T00:00:00Z') > timestamp('2001-01-01T00:00:00Z') && duration('1s') < duration('2s')",
        "type(timestamp(0)) == google.protobuf.Timestamp",
        "m.?inner.b.orValue(false) && m.?x.b.orValue(true) && !m.?x.hasValue() && m[?'k'].hasValue()",
        "l[?1].value() == 1 && !l[?9].hasValue() && optional.none().or(optional.of(1)).value() == 1",
        "optional.of(n).optMap(x, x + 1).value() == 8 && m.?x.optFlatMap(x, optional.of(1)) == optional.none()",
        "[?m.?x, 1] == [1] && {?'a': m.?x, 'b': 1} == {'b': 1} && optional.ofNonZeroValue(0) == optional.none()",
        "has(m.?inner.b) && dyn(n) == 7 && [n, 'x'][1] == 'x' && {'a': [1]}.a[0] == 1",
    ] {
        let segment = segment();
        assert_eq!(
            by_the_library(expression, &segment),
            Ok(true),
            "{expression}"
        );
        assert_eq!(filter(expression, segment), Ok(1), "{expression}");
    }
}

#[test]
fn what_fails_for_the_library_fails_here() {
    for expression in [
        "n + 1.0 == 8.0",
        "n + 1u == 8u",
        "s + 1 == ''",
        "s > 1",
        "null < null",
        "l > l",
        "n / 0 == 1",
        "n % 0 == 1",
        "9223372036854775807 + 1 == 0",
        "-9223372036854775807 - 2 == 0",
        "9223372036854775807 * 2 == 0",
        "1u - 2u == 0u",
        "f % 2.0 == 1.0",
        "!n",
        "-s == ''",
        "n && true",
        "true && n",
        "n ? true : false",
        "l[9] == 1",
        "l[-1] == 1",
        "l['x'] == 1",
        "l[1.5] == 1",
        "m.x == 1",
        "m['x'] == 1",
        "n.x == 1",
        "has(n.x)",
        "1 in n",
        "n.all(x, true)",
        "l.all(x, x)",
        "l.map(x, x, x) == []",
        "l.all(x, 1 / zero == 1)",
        "l.exists(x, 1 / zero == 1 && x == 3 || false)",
        "{1.5: 1} == {}",
        "{null: 1} == {}",
        "size(n) == 1",
        "s.contains(1)",
        "s.matches(1)",
        "s.matches('(' + s)",
        "[1, 'a'].sort() == []",
        "[1, 'a'].join() == ''",
        "l.slice(2, 1) == []",
        "l.slice(0, 9) == []",
        "l.flatten(-1) == []",
        "lists.range(-1) == []",
        "s.indexOf('e', 99) == 1",
        "s.indexOf('e', -1) == 1",
        "s.charAt(99) == ''",
        "int('x') == 1",
        "int(9223372036854775807.0) == 1",
        "int(1e300) == 1",
        "uint(-1) == 1u",
        "int(18446744073709551615u) == 1",
        "timestamp('x') == timestamp(0)",
        "optional.none().value() == 1",
        "n.hasValue()",
        "'%d'.format(['x']) == ''",
        "base64.decode('?') == b''",
        "nothing == 1",
        "math.greatest('a' + s, 1) == 1",
    ] {
        let segment = segment();
        let by_the_library = by_the_library(expression, &segment);
        assert!(by_the_library.is_err(), "{expression}: {by_the_library:?}");
        let here = filter(expression, segment);
        assert!(here.is_err(), "{expression}: {here:?}");
    }
}
