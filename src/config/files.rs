//! `[files]`: the folders that jobs may read and write.

use super::section::Section;
use super::value::OptionValue;
use std::path::PathBuf;

/// What files of this machine jobs may use. `/` stands for everything that the node's user may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilesConfig {
    /// Inputs are read below these folders.
    pub read: Vec<PathBuf>,
    /// Outputs and dead letters are written below these folders.
    pub write: Vec<PathBuf>,
}

impl Default for FilesConfig {
    fn default() -> Self {
        let everything = || vec![PathBuf::from("/")];
        FilesConfig {
            read: everything(),
            write: everything(),
        }
    }
}

impl FilesConfig {
    pub(super) fn read(keys: &mut Section<'_>) -> Self {
        let default = FilesConfig::default();
        FilesConfig {
            read: keys.get("read", default.read),
            write: keys.get("write", default.write),
        }
    }
}

/// Paths; a variable has them with commas between.
impl OptionValue for Vec<PathBuf> {
    const EXPECTED: &'static str = "a list of folders, such as [\"/srv/in\", \"/srv/more\"]";

    fn from_texts(texts: &[String]) -> Option<Self> {
        let folders = texts.iter().map(PathBuf::from);
        texts
            .iter()
            .all(|text| !text.is_empty())
            .then(|| folders.collect())
    }

    fn from_variable(text: &str) -> Option<Self> {
        let folders: Vec<String> = text.split(',').map(|it| it.trim().to_owned()).collect();
        match text.trim().is_empty() {
            true => Some(Vec::new()),
            false => Self::from_texts(&folders),
        }
    }
}
