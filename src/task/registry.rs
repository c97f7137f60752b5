//! Everything a job can name on this node: functions, plugins and lifecycle calls.

use super::lifecycles::LifecycleRegistry;
use crate::files::FileAccess;
use crate::functions::FunctionRegistry;
use crate::job::vocabulary::Vocabulary;
use crate::plugins::PluginRegistry;

/// The names a node knows. A peer announces them when it joins, and is given only tasks that need
/// no others.
#[derive(Clone, Debug)]
pub struct Registry {
    /// Functions.
    pub functions: FunctionRegistry,
    /// Plugins.
    pub plugins: PluginRegistry,
    /// Lifecycle calls.
    pub lifecycles: LifecycleRegistry,
    /// The files that jobs may read and write on this node.
    pub files: FileAccess,
}

impl Registry {
    /// With what every node has: expressions and files.
    pub fn with_built_in() -> Self {
        Registry {
            functions: FunctionRegistry::with_built_in(),
            plugins: PluginRegistry::with_built_in(),
            lifecycles: LifecycleRegistry::default(),
            files: FileAccess::default(),
        }
    }

    /// The names with their key schemas.
    pub fn vocabulary(&self) -> Vocabulary {
        Vocabulary {
            functions: self.functions.signatures(),
            plugins: self.plugins.signatures(),
            lifecycles: self.lifecycles.names(),
        }
    }
}
