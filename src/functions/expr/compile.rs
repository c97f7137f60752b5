//! From the text of an expression to its tree, for any text at all.
//!
//! The parser descends into an expression with large frames and so does whoever walks the tree,
//! so hostile nesting could overflow a stack, which nothing can catch. Therefore the parser gets a
//! stack of its own, sized for the longest text, and trees that are too deep to be evaluated on a
//! small stack are refused.

use super::lower::{Lowered, lower};
use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::{Context, Env, Program, extensions};
use std::sync::{Arc, LazyLock};
use std::thread;

/// Bytes of an expression, beyond which it is refused.
const EXPRESSION_BYTES_MAX: usize = 4 * 1024;

/// Operations within each other, beyond which an expression is refused.
const DEPTH_MAX: usize = 48;

/// Address space for the parser; what it does not touch costs no memory.
const PARSER_STACK_BYTES: usize = 128 * 1024 * 1024;

/// The language of every expression: the standard library, and what can be said about strings,
/// lists, numbers and base64.
static LANGUAGE: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib().with_optional_support(true);
    let added = [
        env.add_extension(extensions::strings),
        env.add_extension(extensions::lists),
        env.add_extension(extensions::math),
        env.add_extension(extensions::encoders),
    ];
    debug_assert!(
        added.iter().all(Result::is_ok),
        "extensions do not overlap: {added:?}"
    );
    Arc::new(env)
});

/// The language, for tests that compare with the library.
#[cfg(test)]
pub(super) fn language() -> &'static Env {
    &LANGUAGE
}

/// What calls of the library are evaluated with.
pub(super) fn root<'v>() -> Context<'v, 'v> {
    Context::with_env(Arc::clone(&LANGUAGE))
}

/// Compiles an expression; the error says what is wrong and at which column.
pub(super) fn compile(text: &str) -> Result<Lowered, String> {
    if text.len() > EXPRESSION_BYTES_MAX {
        let bytes = text.len();
        return Err(format!(
            "an expression of {bytes} bytes; at most {EXPRESSION_BYTES_MAX} are allowed"
        ));
    }
    let parser = thread::Builder::new()
        .name("cel-parser".into())
        .stack_size(PARSER_STACK_BYTES);
    let compiled = thread::scope(|scope| {
        let parsing = parser.spawn_scoped(scope, || compile_here(text));
        let parsing = parsing.map_err(|error| format!("no thread to parse it on: {error}"))?;
        parsing
            .join()
            .unwrap_or_else(|_| Err("the parser cannot cope with it".into()))
    });
    compiled.map_err(|reason| format!("`{}` is not an expression: {reason}", super::cut(text)))
}

fn compile_here(text: &str) -> Result<Lowered, String> {
    let program = LANGUAGE.compile(text).map_err(|errors| {
        let Some(first) = errors.errors.first() else {
            return "it is empty".into();
        };
        let (line, column) = first.pos;
        let on_line = if line > 1 {
            format!(" of line {line}")
        } else {
            String::new()
        };
        format!("at column {column}{on_line}, {}", plainly(&first.msg))
    })?;
    if is_deeper(program.expression(), DEPTH_MAX) {
        return Err(format!(
            "it has operations more than {DEPTH_MAX} deep within each other"
        ));
    }
    match unknown_function(&program) {
        Some(function) => Err(format!("there is no function `{function}`")),
        None => lower(program.expression(), &LANGUAGE),
    }
}

/// What the parser says, without the tokens it would rather have seen.
fn plainly(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let reason = line.strip_prefix("Syntax error: ").unwrap_or(line);
    let quoted = |from: &str| {
        let quote = reason.strip_prefix(from)?.split(" expecting ").next()?;
        Some(super::cut(quote.strip_prefix('\'')?.strip_suffix('\'')?))
    };
    let unexpected = quoted("mismatched input ")
        .or_else(|| quoted("extraneous input "))
        .or_else(|| quoted("no viable alternative at input "));
    if let Some(word) = reason.strip_prefix("reserved identifier: ") {
        return reserved(word);
    }
    if unexpected.as_deref() == Some("in") {
        return reserved("in");
    }
    if let Some(unexpected) = unexpected {
        return match unexpected.strip_suffix("<EOF>") {
            Some(_) => "it ends too early".into(),
            None => format!("`{unexpected}` was not expected"),
        };
    }
    match quoted("token recognition error at: ") {
        Some(equals) if equals.starts_with('=') => "`=` is no operator; `==` compares".into(),
        Some(unknown) => format!("`{unknown}` cannot be read; is a quote missing?"),
        None if reason.contains("Recursion limit") => "it is nested too deeply".into(),
        None => super::cut(reason),
    }
}

/// That a word of the language stands where a field was meant, probably.
fn reserved(word: &str) -> String {
    format!("`{word}` is a reserved word; a field of that name is written `segment[\"{word}\"]`")
}

fn is_deeper(node: &IdedExpr, levels: usize) -> bool {
    let Some(below) = levels.checked_sub(1) else {
        return true;
    };
    parts(&node.expr)
        .into_iter()
        .any(|part| is_deeper(part, below))
}

fn parts(expression: &Expr) -> Vec<&IdedExpr> {
    match expression {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
        Expr::Call(call) => call
            .target
            .as_deref()
            .into_iter()
            .chain(&call.args)
            .collect(),
        Expr::Comprehension(it) => {
            vec![
                &it.iter_range,
                &it.accu_init,
                &it.loop_cond,
                &it.loop_step,
                &it.result,
            ]
        }
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::Map(map) => map
            .entries
            .iter()
            .flat_map(|entry| of_entry(&entry.expr))
            .collect(),
        Expr::Struct(it) => it
            .entries
            .iter()
            .flat_map(|entry| of_entry(&entry.expr))
            .collect(),
    }
}

fn of_entry(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
    }
}

/// The first function that an expression calls and the language does not have. The language
/// itself would notice only at the call.
fn unknown_function(program: &Program) -> Option<String> {
    let references = program.references();
    let mut names: Vec<&str> = references.functions();
    names.sort_unstable();
    let namespaces = references.variables();
    let is_known = |name: &str| {
        // Operators and what macros expand to are no names.
        !name.starts_with(|letter: char| letter.is_alphabetic())
            || is_declared(name)
            || namespaces
                .iter()
                .any(|space| is_declared(&format!("{space}.{name}")))
    };
    names
        .into_iter()
        .find(|name| !is_known(name))
        .map(String::from)
}

/// Whether the language has a function: it then refuses another one of that name.
pub(super) fn is_declared(name: &str) -> bool {
    root().add_function(name, || true).is_err()
}
