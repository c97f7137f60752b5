//! Plugins by name: the built-in ones and a user's own.

use super::file;
use super::{Input, Output, PluginContext, PluginError, PluginFactory, Survey};
use crate::files::FileAccess;
use crate::job::vocabulary::PluginSignature;
use crate::job::{Task, TaskKind};
use crate::segment::Segment;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Plugins by name.
#[derive(Clone, Default)]
pub struct PluginRegistry {
    entries: BTreeMap<String, (PluginSignature, PluginFactory)>,
    surveys: BTreeMap<String, Survey>,
}

impl PluginRegistry {
    /// The plugins that every node has.
    ///
    /// ```
    /// let plugins = onyx::plugins::PluginRegistry::with_built_in();
    /// assert!(plugins.get("file/csv").is_some());
    /// ```
    pub fn with_built_in() -> Self {
        let mut registry = PluginRegistry::default();
        file::register(&mut registry);
        registry
    }

    /// Registers a plugin; a name that is known already is replaced.
    pub fn register(&mut self, name: &str, signature: PluginSignature, factory: PluginFactory) {
        self.surveys.remove(name);
        self.entries.insert(name.into(), (signature, factory));
    }

    /// Registers what opens an input. The kind in the signature becomes input.
    pub fn input<I, F>(&mut self, name: &str, signature: PluginSignature, open: F)
    where
        I: Input + 'static,
        F: Fn(&PluginContext<'_>) -> Result<I, PluginError> + Send + Sync + 'static,
    {
        let signature = PluginSignature {
            kind: TaskKind::Input,
            ..signature
        };
        let factory = move |context: &PluginContext<'_>| {
            open(context).map(|input| Box::new(input) as Box<dyn Input>)
        };
        self.register(name, signature, PluginFactory::Input(Arc::new(factory)));
    }

    /// Registers what opens an input whose slots divide what a survey of the medium has found.
    pub fn surveyed_input<I, S, F>(
        &mut self,
        name: &str,
        signature: PluginSignature,
        survey: S,
        open: F,
    ) where
        I: Input + 'static,
        S: Fn(&Task, &FileAccess) -> Result<Segment, PluginError> + Send + Sync + 'static,
        F: Fn(&PluginContext<'_>) -> Result<I, PluginError> + Send + Sync + 'static,
    {
        self.input(name, signature, open);
        self.surveys.insert(name.into(), Arc::new(survey));
    }

    /// Registers what opens an output. The kind in the signature becomes output.
    pub fn output<O, F>(&mut self, name: &str, signature: PluginSignature, open: F)
    where
        O: Output + 'static,
        F: Fn(&PluginContext<'_>) -> Result<O, PluginError> + Send + Sync + 'static,
    {
        let signature = PluginSignature {
            kind: TaskKind::Output,
            ..signature
        };
        let factory = move |context: &PluginContext<'_>| {
            open(context).map(|output| Box::new(output) as Box<dyn Output>)
        };
        self.register(name, signature, PluginFactory::Output(Arc::new(factory)));
    }

    /// The factory of a name.
    pub fn get(&self, name: &str) -> Option<&PluginFactory> {
        self.entries.get(name).map(|(_, factory)| factory)
    }

    /// The survey of a name, if its plugin makes one.
    pub fn survey(&self, name: &str) -> Option<&Survey> {
        self.surveys.get(name)
    }

    /// The signatures by name.
    pub fn signatures(&self) -> BTreeMap<String, PluginSignature> {
        self.entries
            .iter()
            .map(|(name, (signature, _))| (name.clone(), signature.clone()))
            .collect()
    }
}

impl fmt::Debug for PluginRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.entries.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::vocabulary::Signature;
    use crate::plugins::{Polled, Position, ReadSegments};

    struct Nothing;

    impl Input for Nothing {
        fn poll(&mut self, _: usize, _: &mut ReadSegments) -> Result<Polled, PluginError> {
            Ok(Polled::Exhausted)
        }

        fn position(&self) -> Position {
            Position::new()
        }
    }

    #[test]
    fn an_input_is_registered_as_one() {
        let mut registry = PluginRegistry::default();
        let signature = PluginSignature {
            kind: TaskKind::Output,
            max_peers: None,
            signature: Signature::default(),
        };
        registry.input("user/nothing", signature, |_| Ok(Nothing));
        assert_eq!(registry.signatures()["user/nothing"].kind, TaskKind::Input);
        let factory = registry.get("user/nothing");
        assert!(matches!(factory, Some(PluginFactory::Input(_))));
    }

    #[test]
    fn built_in_plugins_have_any_number_of_peers_and_a_path() {
        for (name, signature) in PluginRegistry::with_built_in().signatures() {
            assert_eq!(signature.max_peers, None, "{name}");
            let keys = &signature.signature.keys;
            assert!(
                keys.iter().any(|key| key.name == "path" && key.required),
                "{name}"
            );
        }
    }
}
