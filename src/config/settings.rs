//! What was given, before anybody knows what it means: sections, keys and values with their
//! places, from the file and from the environment.

use super::problem::{ConfigError, Place, Problem};
use super::section::Section;
use crate::nearest::nearest;
use std::collections::{BTreeMap, BTreeSet};
use toml::de::{DeTable, DeValue};

/// The settings of one configuration and what is known to be wrong with them.
#[derive(Debug)]
pub(super) struct Settings {
    source: String,
    given: BTreeMap<OptionName, Setting>,
    /// Sections that were given, by name.
    sections: BTreeMap<String, Place>,
    /// What somebody has asked for; anything else that was given is unknown.
    asked: BTreeSet<OptionName>,
    problems: Vec<Problem>,
}

/// A section and a key in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OptionName {
    pub(super) section: String,
    pub(super) key: String,
}

/// A value and where it was given.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) place: Place,
    pub(super) value: Given,
}

/// A value as it was given.
#[derive(Clone, Debug)]
pub(super) enum Given {
    /// A TOML integer.
    Integer(i64),
    /// A TOML string.
    Text(String),
    /// A TOML list of strings.
    Texts(Vec<String>),
    /// The text of a variable, which may stand for an integer.
    Variable { name: String, text: String },
    /// A TOML value of a kind that no option has, as "a float".
    Other(&'static str),
}

impl OptionName {
    pub(super) fn new(section: &str, key: &str) -> Self {
        OptionName {
            section: section.into(),
            key: key.into(),
        }
    }

    /// The option that a variable overrides, if the variable has the form of one that does.
    fn of_variable(variable: &str) -> Option<Self> {
        if OF_THE_COMMAND_LINE.contains(&variable) {
            return None;
        }
        // Without a section it is no option, and is reported when it looks like one.
        let name = variable.strip_prefix("ONYX_")?;
        let (section, key) = name.split_once("__").unwrap_or(("", name));
        let dashed = |text: &str| text.to_ascii_lowercase().replace('_', "-");
        Some(OptionName::new(&dashed(section), &dashed(key)))
    }

    fn variable(&self) -> String {
        let shouted = |text: &str| text.to_ascii_uppercase().replace('-', "_");
        format!("ONYX_{}__{}", shouted(&self.section), shouted(&self.key))
    }

    fn dotted(&self) -> String {
        format!("{}.{}", self.section, self.key)
    }
}

/// Variables that mean something to the commands that ask a node, and nothing to a node.
const OF_THE_COMMAND_LINE: [&str; 3] = ["ONYX_NODE_URL", "ONYX_TOKEN", "ONYX_SECRETS_DESCRIPTOR"];

impl Settings {
    /// Reads a TOML text. Mistakes in the syntax are all that is reported when there are any.
    pub(super) fn parse(source: &str, text: &str) -> Result<Self, ConfigError> {
        let (document, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let problem = |error: &toml::de::Error| Problem {
                place: error.span().map_or(Place::File(source.into()), |span| {
                    Place::Line(source.into(), line_of(text, span.start))
                }),
                name: None,
                message: error.message().lines().collect::<Vec<_>>().join("; "),
            };
            return Err(ConfigError::new(errors.iter().map(problem).collect()));
        }
        let mut settings = Settings {
            source: source.into(),
            given: BTreeMap::new(),
            sections: BTreeMap::new(),
            asked: BTreeSet::new(),
            problems: Vec::new(),
        };
        for (name, value) in document.get_ref() {
            let place = Place::Line(source.into(), line_of(text, name.span().start));
            settings.take_section(text, name.get_ref(), place, value.get_ref());
        }
        Ok(settings)
    }

    fn take_section(&mut self, text: &str, name: &str, place: Place, value: &DeValue<'_>) {
        self.sections.insert(name.into(), place.clone());
        let Some(table) = value.as_table() else {
            let message = format!("expected a section `[{name}]`, found {}", kind(value));
            return self.refuse(place, name.into(), message);
        };
        for (key, value) in table {
            let line = line_of(text, key.span().start);
            let setting = Setting {
                place: Place::Line(self.source.clone(), line),
                value: Given::from_toml(value.get_ref()),
            };
            self.given
                .insert(OptionName::new(name, key.get_ref()), setting);
        }
    }

    /// Puts the variables of the environment that are overrides over what the file says.
    pub(super) fn override_from(&mut self, env: impl IntoIterator<Item = (String, String)>) {
        for (name, text) in env {
            let Some(option) = OptionName::of_variable(&name) else {
                continue;
            };
            let setting = Setting {
                place: Place::Environment,
                value: Given::Variable { name, text },
            };
            self.given.insert(option, setting);
        }
    }

    /// The settings of one section.
    pub(super) fn section(&mut self, name: &'static str) -> Section<'_> {
        Section::new(name, self)
    }

    /// What was given for an option, which is a known one from now on.
    pub(super) fn ask(&mut self, option: &OptionName) -> Option<Setting> {
        self.asked.insert(option.clone());
        self.given.get(option).cloned()
    }

    /// Notes that the value of an option will not do, wherever that value is from.
    pub(super) fn refuse_option(&mut self, option: &OptionName, message: String) {
        let (place, name) = match self.given.get(option) {
            None => (Place::File(self.source.clone()), option.dotted()),
            Some(setting) => (setting.place.clone(), setting.value.name(option)),
        };
        self.refuse(place, name, message);
    }

    fn refuse(&mut self, place: Place, name: String, message: String) {
        self.problems.push(Problem {
            place,
            name: Some(name),
            message,
        });
    }

    /// Everything has been asked for: what is left is unknown.
    pub(super) fn finish(mut self) -> Result<(), ConfigError> {
        self.refuse_unknown_sections();
        self.refuse_unknown_options();
        if self.problems.is_empty() {
            return Ok(());
        }
        Err(ConfigError::new(self.problems))
    }

    fn refuse_unknown_sections(&mut self) {
        let known: BTreeSet<&str> = self.asked.iter().map(|o| o.section.as_str()).collect();
        let mut problems = Vec::new();
        for (name, place) in &self.sections {
            if !known.contains(name.as_str()) {
                let message = unknown("section", name, known.iter().copied());
                problems.push((place.clone(), name.clone(), message));
            }
        }
        for (place, name, message) in problems {
            // That it is not a section matters less than that there is no section of this name.
            self.problems.retain(|problem| problem.place != place);
            self.refuse(place, name, message);
        }
    }

    fn refuse_unknown_options(&mut self) {
        let known_section = |name: &str| self.asked.iter().any(|asked| asked.section == name);
        let mut problems = Vec::new();
        for (option, setting) in &self.given {
            if self.asked.contains(option) {
                continue;
            }
            if let Given::Variable { name, .. } = &setting.value {
                let variables: Vec<String> = self.asked.iter().map(OptionName::variable).collect();
                let message = match nearest(name, variables.iter().map(String::as_str)) {
                    Some(near) => format!("unknown variable; did you mean `{near}`?"),
                    // It may be somebody else's.
                    None if option.section.is_empty() => continue,
                    None => "unknown variable; options are set as ONYX_<SECTION>__<KEY>".into(),
                };
                problems.push((setting.place.clone(), name.clone(), message));
            } else if known_section(&option.section) {
                let keys = self.asked.iter().filter(|o| o.section == option.section);
                let message = unknown("key", &option.key, keys.map(|o| o.key.as_str()));
                problems.push((setting.place.clone(), option.dotted(), message));
            }
        }
        for (place, name, message) in problems {
            self.refuse(place, name, message);
        }
    }

    /// Every option that has been asked for.
    #[cfg(test)]
    pub(super) fn asked(&self) -> BTreeSet<String> {
        self.asked.iter().map(OptionName::dotted).collect()
    }

    /// Every option that has been given.
    #[cfg(test)]
    pub(super) fn given(&self) -> BTreeSet<String> {
        self.given.keys().map(OptionName::dotted).collect()
    }
}

impl Given {
    fn from_toml(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Given::Text(text.to_string()),
            DeValue::Integer(n) => match i64::from_str_radix(n.as_str(), n.radix()) {
                Ok(n) => Given::Integer(n),
                Err(_) => Given::Other("an integer beyond 64 bits"),
            },
            DeValue::Array(items) => {
                let text =
                    |item: &toml::Spanned<DeValue<'_>>| Some(item.get_ref().as_str()?.into());
                match items.iter().map(text).collect() {
                    Some(texts) => Given::Texts(texts),
                    None => Given::Other(kind(value)),
                }
            }
            other => Given::Other(kind(other)),
        }
    }

    /// What to call the option in a problem: by the name with which it was set.
    fn name(&self, option: &OptionName) -> String {
        match self {
            Given::Variable { name, .. } => name.clone(),
            Given::Integer(_) | Given::Text(_) | Given::Texts(_) | Given::Other(_) => {
                option.dotted()
            }
        }
    }
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(name, known.clone()) {
        Some(near) => format!("unknown {what}; did you mean `{near}`?"),
        None => format!(
            "unknown {what}; there are {}",
            known
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn line_of(text: &str, byte: usize) -> usize {
    let before = &text.as_bytes()[..byte.min(text.len())];
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}
