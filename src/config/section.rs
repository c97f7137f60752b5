//! One section while it is read: asks for its options by key and notes what will not do.

use super::settings::{Given, OptionName, Settings};
use super::value::OptionValue;

/// The settings of one section.
#[derive(Debug)]
pub(super) struct Section<'a> {
    name: &'static str,
    settings: &'a mut Settings,
}

impl<'a> Section<'a> {
    pub(super) fn new(name: &'static str, settings: &'a mut Settings) -> Self {
        Section { name, settings }
    }

    /// The value of an option, or its default when it is not given or will not do. Asking makes
    /// the key known.
    pub(super) fn get<T: OptionValue>(&mut self, key: &'static str, default: T) -> T {
        let option = OptionName::new(self.name, key);
        let Some(setting) = self.settings.ask(&option) else {
            return default;
        };
        let (value, found) = match setting.value {
            Given::Integer(n) => (T::from_integer(n), n.to_string()),
            Given::Text(text) => (T::from_text(&text), format!("{text:?}")),
            Given::Texts(texts) => (T::from_texts(&texts), format!("{texts:?}")),
            Given::Variable { text, .. } => (T::from_variable(&text), format!("{text:?}")),
            Given::Other(kind) => (None, kind.into()),
        };
        value.unwrap_or_else(|| {
            self.refuse(key, &format!("expected {}, found {found}", T::EXPECTED));
            default
        })
    }

    /// Notes that the value of an option will not do.
    pub(super) fn refuse(&mut self, key: &'static str, message: &str) {
        self.settings
            .refuse_option(&OptionName::new(self.name, key), message.into());
    }
}
