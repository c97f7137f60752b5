//! `http.host-names`: further names that the node is asked by.

use super::value::OptionValue;
use std::collections::BTreeSet;

/// Names of hosts, in lower case, without ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostNames(BTreeSet<String>);

const LENGTH_MAX: usize = 253;

impl HostNames {
    /// Whether a name is one of them, in any case.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(&name.to_ascii_lowercase())
    }
}

/// A variable has them with commas between.
impl OptionValue for HostNames {
    const EXPECTED: &'static str =
        "a list of host names without ports, such as [\"onyx.example.org\"]";

    fn from_texts(texts: &[String]) -> Option<Self> {
        let names = texts.iter().map(|text| text.trim().to_ascii_lowercase());
        let names: BTreeSet<String> = names.collect();
        names
            .iter()
            .all(|name| is_host_name(name))
            .then_some(HostNames(names))
    }

    fn from_variable(text: &str) -> Option<Self> {
        let names: Vec<String> = text.split(',').map(String::from).collect();
        match text.trim().is_empty() {
            true => Some(HostNames::default()),
            false => Self::from_texts(&names),
        }
    }
}

fn is_host_name(name: &str) -> bool {
    let is_fitting = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    !name.is_empty() && name.len() <= LENGTH_MAX && name.chars().all(is_fitting)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_have_no_port_and_no_case() {
        let read = |text: &str| HostNames::from_texts(&[text.to_owned()]);
        let names = read(" Onyx.Example.org").unwrap();
        assert!(names.contains("onyx.example.ORG"));
        assert!(!names.contains("example.org"));
        for wrong in ["", "a b", "onyx:8080", "http://onyx", "*.example.org"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
