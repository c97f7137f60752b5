//! The alternatives of a pattern: `{a,b}/{c,d}` is four of them.

/// The most alternatives of one pattern.
const ALTERNATIVES_MAX: usize = 1_000;

/// The patterns that a pattern with braces stands for, in order. Braces may be nested, and hold slashes.
/// Braces without a comma are letters.
pub(super) fn alternatives(pattern: &str) -> Result<Vec<String>, String> {
    let mut done = Vec::new();
    // The next one is at the end.
    let mut waiting = vec![pattern.to_owned()];
    while let Some(text) = waiting.pop() {
        match first_group(&text)? {
            None => done.push(text),
            Some(group) => {
                let (front, back) = (&text[..group.begin], &text[group.end..]);
                let texts = group.alternatives.iter().rev();
                waiting.extend(texts.map(|it| format!("{front}{it}{back}")));
            }
        }
        if done.len() + waiting.len() > ALTERNATIVES_MAX {
            return Err(format!(
                "its braces have more than {ALTERNATIVES_MAX} alternatives; use `*`, or a list of paths"
            ));
        }
    }
    Ok(done)
}

/// Braces with at least two alternatives, at `begin..end` of a text.
struct Group<'a> {
    begin: usize,
    end: usize,
    alternatives: Vec<&'a str>,
}

fn first_group(text: &str) -> Result<Option<Group<'_>>, String> {
    let mut from = 0;
    while let Some(begin) = text[from..].find('{').map(|at| from + at) {
        let group = group(text, begin)?;
        if group.alternatives.len() > 1 {
            return Ok(Some(group));
        }
        from = begin + 1;
    }
    Ok(None)
}

fn group(text: &str, begin: usize) -> Result<Group<'_>, String> {
    let mut depth = 0;
    let mut alternative = begin + 1;
    let mut alternatives = Vec::new();
    for (at, letter) in text[begin..]
        .char_indices()
        .map(|(at, it)| (begin + at, it))
    {
        match letter {
            '{' => depth += 1,
            ',' if depth == 1 => {
                alternatives.push(&text[alternative..at]);
                alternative = at + 1;
            }
            '}' if depth == 1 => {
                alternatives.push(&text[alternative..at]);
                let end = at + 1;
                return Ok(Group {
                    begin,
                    end,
                    alternatives,
                });
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    Err("a `{` has no `}`".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_stand_for_each_of_their_alternatives() {
        let joined = |pattern| alternatives(pattern).map(|it| it.join(" "));
        for (pattern, expected) in [
            ("a.csv", "a.csv"),
            ("{a,b}.csv", "a.csv b.csv"),
            ("*.csv{,.gz}", "*.csv *.csv.gz"),
            ("{a,b}{1,2}", "a1 a2 b1 b2"),
            ("{x/{1,2},y}/*", "x/1/* x/2/* y/*"),
            ("{a}.csv", "{a}.csv"),
            ("{{a,b}}", "{a} {b}"),
        ] {
            assert_eq!(joined(pattern).unwrap(), expected, "{pattern}");
        }
        assert_eq!(joined("{a,b").unwrap_err(), "a `{` has no `}`");
        let many = "{0,1,2,3,4,5,6,7,8,9}".repeat(4);
        insta::assert_snapshot!(joined(&many).unwrap_err(), @"its braces have more than 1000 alternatives; use `*`, or a list of paths");
    }
}
