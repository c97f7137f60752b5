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
    pub(crate) tags: Vec<&'a str>,
    pub(crate) flux_policy: Option<&'a str>,
    pub(crate) percentage: Option<&'a str>,
}

impl<'a> TaskWords<'a> {
    /// The range may be left out, which is `1-`, and its maximum. Among the words, `#gpu` is a
    /// required tag, `~kill` a flux policy and `%30` a percentage.
    pub(crate) fn of(text: &'a str) -> Self {
        let (text, marks) = text.split_once('!').unwrap_or((text, ""));
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let (kind, to) = parts
            .next()
            .map_or(("f", ""), |p| p.split_once('>').unwrap_or((p, "")));
        let (min, max) = parts
            .next()
            .and_then(|range| range.split_once('-'))
            .unwrap_or(("1", ""));
        let mut task = TaskWords {
            name,
            kind,
            to: to.split(',').filter(|to| !to.is_empty()).collect(),
            min,
            max,
            words: Vec::new(),
            tags: Vec::new(),
            flux_policy: None,
            percentage: None,
        };
        for mark in marks.split('!').filter(|mark| !mark.is_empty()) {
            match mark.split_at(1) {
                ("#", tag) => task.tags.push(tag),
                ("~", policy) => task.flux_policy = Some(policy),
                ("%", percentage) => task.percentage = Some(percentage),
                _ => task.words.push(mark),
            }
        }
        task
    }
}
