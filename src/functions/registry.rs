//! Functions by name: those that every node has, and those of users.

use super::{Emits, FunctionContext, FunctionFactory, TaskFunction, expr};
use crate::job::Task;
use crate::job::vocabulary::Signature;
use crate::nearest::{hint, listed};
use crate::segment::Segment;
use crate::stop_flag::StopFlag;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Functions by name.
///
/// ```
/// use onyx::Segment;
/// use onyx::functions::FunctionRegistry;
///
/// let mut registry = FunctionRegistry::with_built_in();
/// registry.function("twice", |segment: Segment| vec![segment.clone(), segment]);
/// assert!(registry.get("twice").is_some());
/// ```
#[derive(Clone, Default)]
pub struct FunctionRegistry {
    entries: BTreeMap<String, FunctionEntry>,
}

/// One registered function.
#[derive(Clone)]
pub struct FunctionEntry {
    /// What it takes.
    pub signature: Signature,
    /// What makes it.
    pub factory: FunctionFactory,
}

impl FunctionRegistry {
    /// A registry with what every node has: `identity`, `expr/map` and `expr/filter`.
    pub fn with_built_in() -> Self {
        let mut registry = FunctionRegistry::default();
        let identity = |_: &FunctionContext<'_>| Ok(TaskFunction::pass_on());
        registry.register(
            "identity",
            described("Passes segments on."),
            Arc::new(identity),
        );
        registry.register(
            "expr/map",
            expr::map::signature(),
            Arc::new(expr::map::make),
        );
        registry.register(
            "expr/filter",
            expr::filter::signature(),
            Arc::new(expr::filter::make),
        );
        registry
    }

    /// Registers a factory; a name that is known already is replaced.
    pub fn register(&mut self, name: &str, signature: Signature, factory: FunctionFactory) {
        self.entries
            .insert(name.into(), FunctionEntry { signature, factory });
    }

    /// Registers a closure that needs no catalog keys. All peers of a process call the same one.
    pub fn function<F, E>(&mut self, name: &str, function: F) -> &mut Self
    where
        F: Fn(Segment) -> E + Send + Sync + 'static,
        E: Emits,
    {
        let function = Arc::new(function);
        let factory = move |_: &FunctionContext<'_>| {
            let function = Arc::clone(&function);
            Ok(TaskFunction::make(move |segment, out| {
                function(segment).emit(out)
            }))
        };
        self.register(
            name,
            described("A function of this program."),
            Arc::new(factory),
        );
        self
    }

    /// The function of a name.
    pub fn get(&self, name: &str) -> Option<&FunctionEntry> {
        self.entries.get(name)
    }

    /// The signatures by name.
    pub fn signatures(&self) -> BTreeMap<String, Signature> {
        let entries = self.entries.iter();
        entries
            .map(|(name, entry)| (name.clone(), entry.signature.clone()))
            .collect()
    }

    /// Makes the function of a task; a task without one passes segments on.
    pub fn build(&self, task: &Task, stop: &StopFlag) -> Result<TaskFunction, String> {
        let Some(name) = &task.function else {
            return Ok(TaskFunction::pass_on());
        };
        let Some(entry) = self.get(name) else {
            let names = || self.entries.keys().map(String::as_str);
            let there_are = format!("there are: {}", listed(names()));
            return Err(format!(
                "unknown function `{name}`{}",
                hint(name, names(), &there_are)
            ));
        };
        (entry.factory)(&FunctionContext {
            task: &task.name,
            params: &task.params,
            stop,
        })
    }
}

impl fmt::Debug for FunctionRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.entries.keys()).finish()
    }
}

fn described(doc: &str) -> Signature {
    Signature {
        doc: doc.into(),
        keys: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::{Application, FunctionError};
    use crate::job::validation::{Checks, accept};
    use crate::job::vocabulary::Vocabulary;
    use crate::job::{Job, TaskKind};

    fn task(function: Option<&str>) -> Task {
        Task {
            function: function.map(Into::into),
            ..Task::new("t", TaskKind::Function)
        }
    }

    fn call(registry: &FunctionRegistry, function: Option<&str>) -> Result<usize, FunctionError> {
        let mut out = Vec::new();
        match registry
            .build(&task(function), &StopFlag::default())
            .unwrap()
            .into_application()
        {
            Application::PassOn => Ok(1),
            Application::Keep(mut keep) => keep.passes(&Segment::new()).map(usize::from),
            Application::Make(mut make) => make(Segment::new(), &mut out).map(|()| out.len()),
        }
    }

    #[test]
    fn a_closure_may_emit_one_segment_many_none_or_an_error() {
        let mut registry = FunctionRegistry::with_built_in();
        registry
            .function("one", |segment: Segment| segment)
            .function("two", |segment: Segment| vec![segment.clone(), segment])
            .function("none", |_: Segment| None::<Segment>)
            .function("error", |_: Segment| Err::<Segment, _>("no"))
            .function("retry", |_: Segment| {
                Err::<Segment, _>(FunctionError::Retry("busy".into()))
            });
        let emitted = |name| call(&registry, Some(name));
        assert_eq!(
            (emitted("one"), emitted("two"), emitted("none")),
            (Ok(1), Ok(2), Ok(0))
        );
        assert_eq!(emitted("error"), Err(FunctionError::Failed("no".into())));
        assert_eq!(emitted("retry"), Err(FunctionError::Retry("busy".into())));
    }

    #[test]
    fn without_a_function_segments_pass() {
        assert_eq!(call(&FunctionRegistry::default(), None), Ok(1));
        assert_eq!(
            call(&FunctionRegistry::with_built_in(), Some("identity")),
            Ok(1)
        );
    }

    #[test]
    fn a_wrong_name_leads_to_the_right_one() {
        let error = FunctionRegistry::with_built_in()
            .build(&task(Some("expr/mpa")), &StopFlag::default())
            .err();
        insta::assert_snapshot!(error.unwrap(), @"unknown function `expr/mpa`; did you mean `expr/map`? there are: expr/filter, expr/map, identity");
    }

    #[test]
    fn validation_asks_the_compiler_and_the_factory() {
        let registry = FunctionRegistry::with_built_in();
        let vocabulary = Vocabulary {
            functions: registry.signatures(),
            ..Vocabulary::default()
        };
        let make = |task: &Task| registry.build(task, &StopFlag::default()).map(drop);
        let checks = Checks {
            expression: &expr::check_expression,
            function: &make,
            ..Checks::NONE
        };
        let mut keep = task(Some("expr/filter"));
        keep.params.set("where", "delay > ");
        let job = Job::new("test", [], [keep]);
        let violations = accept(job, &vocabulary, &checks).unwrap_err();
        let texts: Vec<String> = violations.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(texts.join("\n"), @"
        workflow: there are no edges; write them as `- [from, to]`
        catalog: no task is of type `input`, so nothing would be read; add one
        catalog: no task is of type `output`, so nothing would be written; add one
        catalog.t.where: `delay > ` is not an expression: at column 9, it ends too early
        ");
    }
}
