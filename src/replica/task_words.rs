//! A task of a small replica as tests write it: `name:kind>to,to:min-max!word!word`. Tests outside
//! the crate read it too, so nothing of the crate is named here.

/// The parts of a text.
pub(crate) struct TaskWords<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) to: Vec<&'a str>,
    pub(crate) min: &'a str,
    pub(crate) max: &'a str,
    pub(crate) words: Vec<&'a str>,
}

impl<'a> TaskWords<'a> {
    /// The range may be left out, which is `1-`, and its maximum.
    pub(crate) fn of(text: &'a str) -> Self {
        let (text, words) = text.split_once('!').unwrap_or((text, ""));
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let (kind, to) = parts
            .next()
            .map_or(("f", ""), |p| p.split_once('>').unwrap_or((p, "")));
        let (min, max) = parts
            .next()
            .and_then(|range| range.split_once('-'))
            .unwrap_or(("1", ""));
        TaskWords {
            name,
            kind,
            to: to.split(',').filter(|to| !to.is_empty()).collect(),
            min,
            max,
            words: words.split('!').filter(|word| !word.is_empty()).collect(),
        }
    }
}
