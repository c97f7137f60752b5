//! From the tree of the parser to the tree that is evaluated. What can be told without a segment is
//! found here: a pattern that is no regular expression, a key that is written twice.

use super::call::{Native, argument_name};
use super::compile::is_declared;
use super::matching::pattern;
use super::node::{Call, Constant, Each, Entry, Field, Item, Loop, Node, Reading};
use super::operators::{Arithmetic, Order};
use crate::segment::Key;
use cel::Env;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, MapExpr, SelectExpr,
    operators,
};
use cel::common::types::CelType;
use std::collections::BTreeSet;

/// The name under which an expression sees the whole segment.
const SEGMENT: &str = "segment";

/// What the parser calls the variable of a binding, which goes through nothing.
const NO_ITEM: &str = "#unused";

/// An expression that can be evaluated.
#[derive(Debug)]
pub(super) struct Lowered {
    pub(super) node: Node,
    /// The fields it may look at. None if it takes the segment as a whole.
    pub(super) fields: Option<Vec<Key>>,
}

/// Lowers a tree; the error says what is wrong with it.
pub(super) fn lower(expression: &IdedExpr, language: &Env) -> Result<Lowered, String> {
    let mut lowering = Lowering {
        language,
        variables: Vec::new(),
        fields: BTreeSet::new(),
        takes_the_whole: false,
    };
    let node = lowering.node(expression)?;
    let fields = lowering.fields;
    Ok(Lowered {
        node,
        fields: (!lowering.takes_the_whole).then(|| fields.into_iter().collect()),
    })
}

struct Lowering<'l> {
    language: &'l Env,
    /// The variables of the macros around, the innermost last.
    variables: Vec<String>,
    fields: BTreeSet<Key>,
    takes_the_whole: bool,
}

impl Lowering<'_> {
    fn boxed(&mut self, expression: &IdedExpr) -> Result<Box<Node>, String> {
        self.node(expression).map(Box::new)
    }

    fn node(&mut self, expression: &IdedExpr) -> Result<Node, String> {
        match &expression.expr {
            Expr::Literal(literal) => Ok(Node::Constant(constant(literal))),
            Expr::Ident(_) => self.name(&expression.expr),
            Expr::Select(select) => self.select(&expression.expr, select),
            Expr::Call(call) => self.call(call),
            Expr::List(list) => {
                let items = list.elements.iter().enumerate().map(|(index, element)| {
                    Ok(Item {
                        value: self.node(element)?,
                        is_optional: list.optional_indices.contains(&index),
                    })
                });
                Ok(Node::List(items.collect::<Result<_, String>>()?))
            }
            Expr::Map(map) => self.map(map),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Struct(it) => Err(format!("there is no message type `{}`", it.type_name)),
            Expr::Unspecified => Err("it is empty".into()),
        }
    }

    fn map(&mut self, map: &MapExpr) -> Result<Node, String> {
        let mut entries = Vec::with_capacity(map.entries.len());
        let mut written: Vec<&LiteralValue> = Vec::new();
        for entry in &map.entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else {
                return Err("a map has keys and values".into());
            };
            if let Expr::Literal(key) = &entry.key.expr {
                if written.contains(&key) {
                    return Err(format!("the key {} is written twice", quoted(key)));
                }
                written.push(key);
            }
            entries.push(Entry {
                key: self.node(&entry.key)?,
                value: self.node(&entry.value)?,
                is_optional: entry.optional,
            });
        }
        Ok(Node::Map(entries))
    }

    fn select(&mut self, expression: &Expr, select: &SelectExpr) -> Result<Node, String> {
        let name = Key::from(select.field.as_str());
        if select.test {
            let of = self.boxed(&select.operand)?;
            return Ok(Node::Has { of, name });
        }
        match segments(expression) {
            Some(_) => self.name(expression),
            None => Ok(Node::Select {
                of: self.boxed(&select.operand)?,
                name,
            }),
        }
    }

    /// A name, or several with dots between them. The variable of a macro comes before a field, and a
    /// field with dots in its name before one of which something is selected.
    fn name(&mut self, expression: &Expr) -> Result<Node, String> {
        let names = segments(expression).ok_or("a name was expected")?;
        let first = names[0].trim_start_matches('.');
        let local = self.variables.iter().rposition(|known| known == first);
        if local.is_some() || first == SEGMENT {
            let node = local.map_or(Node::Segment, Node::Local);
            self.takes_the_whole |= local.is_none();
            let selected = names[1..].iter();
            return Ok(selected.fold(node, |of, name| Node::Select {
                of: Box::new(of),
                name: Key::from(*name),
            }));
        }
        let whole = names.join(".");
        let whole = whole.trim_start_matches('.');
        let readings = (1..=names.len()).rev().map(|taken| {
            let field = names[..taken].join(".");
            Reading {
                field: Key::from(field.trim_start_matches('.')),
                selected: names[taken..].iter().map(|name| Key::from(*name)).collect(),
            }
        });
        let readings: Vec<Reading> = readings.collect();
        let fields = readings.iter().map(|reading| reading.field.clone());
        self.fields.extend(fields);
        let type_name = self.language.types().find_type(whole);
        let type_name = type_name.map(|known| CelType::from(known).name().to_owned());
        Ok(Node::Field(Field {
            readings,
            type_name,
        }))
    }

    fn call(&mut self, call: &CallExpr) -> Result<Node, String> {
        if call.target.is_none()
            && let Some(operation) = self.operation(call)?
        {
            return Ok(operation);
        }
        // `math.ceil(x)` is a function of a namespace, `x.trim()` one that is called on a value.
        let qualified = call.target.as_deref().and_then(|target| {
            let names = segments(&target.expr)?.join(".");
            let name = format!("{names}.{}", call.func_name);
            is_declared(&name).then_some(name)
        });
        let target = call.target.as_deref().filter(|_| qualified.is_none());
        let is_member = target.is_some();
        let name = qualified.unwrap_or_else(|| call.func_name.clone());
        let mut arguments = Vec::with_capacity(call.args.len() + 1);
        for argument in target.into_iter().chain(&call.args) {
            arguments.push(self.node(argument)?);
        }
        if name == "matches" && arguments.len() == 2 {
            return matches(arguments, call, is_member);
        }
        let library = library_call(call, is_member);
        Ok(Node::Call(Box::new(Call {
            native: Native::of(&name),
            name,
            arguments,
            library,
        })))
    }

    /// An operator, if the function is one.
    fn operation(&mut self, call: &CallExpr) -> Result<Option<Node>, String> {
        let node = match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::CONDITIONAL, [test, yes, no]) => Node::If(Box::new([
                self.node(test)?,
                self.node(yes)?,
                self.node(no)?,
            ])),
            (operators::LOGICAL_NOT, [of]) => Node::Not(self.boxed(of)?),
            (operators::NEGATE, [of]) => Node::Negate(self.boxed(of)?),
            (operators::INDEX, [of, at]) => Node::Index {
                of: self.boxed(of)?,
                at: self.boxed(at)?,
            },
            (operators::OPT_INDEX, [of, at]) => Node::OptionalIndex {
                of: self.boxed(of)?,
                at: self.boxed(at)?,
            },
            (operators::OPT_SELECT, [of, name]) => {
                let Expr::Literal(LiteralValue::String(name)) = &name.expr else {
                    return Err("a name was expected after `.?`".into());
                };
                Node::OptionalSelect {
                    of: self.boxed(of)?,
                    name: Key::from(name.inner()),
                }
            }
            (name, [one, other]) => {
                let Some(make) = binary(name) else {
                    return Ok(None);
                };
                make(Box::new([self.node(one)?, self.node(other)?]))
            }
            _ => return Ok(None),
        };
        Ok(Some(node))
    }

    /// What a macro was expanded to. There is no other way to write a comprehension.
    fn comprehension(&mut self, it: &ComprehensionExpr) -> Result<Node, String> {
        if it.iter_var == NO_ITEM {
            let value = self.boxed(&it.accu_init)?;
            let result = self.with_variable(&it.accu_var, |this| this.boxed(&it.result))?;
            return Ok(Node::Bind { value, result });
        }
        let range = self.node(&it.iter_range)?;
        let each = self.with_variable(&it.iter_var, |this| this.each(it))?;
        Ok(Node::Loop(Box::new(Loop { range, each })))
    }

    fn with_variable<T>(
        &mut self,
        name: &str,
        run: impl FnOnce(&mut Self) -> Result<T, String>,
    ) -> Result<T, String> {
        self.variables.push(name.to_owned());
        let result = run(self);
        self.variables.pop();
        result
    }

    fn each(&mut self, it: &ComprehensionExpr) -> Result<Each, String> {
        let unknown = || "a macro that is not supported".to_owned();
        let Expr::Call(step) = &it.loop_step.expr else {
            return Err(unknown());
        };
        match (step.func_name.as_str(), step.args.as_slice()) {
            (operators::LOGICAL_AND, [_, test]) => Ok(Each::All(self.node(test)?)),
            (operators::LOGICAL_OR, [_, test]) => Ok(Each::Exists(self.node(test)?)),
            (operators::CONDITIONAL, [test, _, _])
                if matches!(it.accu_init.expr, Expr::Literal(_)) =>
            {
                Ok(Each::ExistsOne(self.node(test)?))
            }
            (operators::CONDITIONAL, [guard, step, _]) => Ok(Each::Collect {
                guard: Some(self.node(guard)?),
                item: self.node(appended(step).ok_or_else(unknown)?)?,
            }),
            (operators::ADD, _) => Ok(Each::Collect {
                guard: None,
                item: self.node(appended(&it.loop_step).ok_or_else(unknown)?)?,
            }),
            _ => Err(unknown()),
        }
    }
}

/// `item` of `@result + [item]`.
fn appended(step: &IdedExpr) -> Option<&IdedExpr> {
    let Expr::Call(call) = &step.expr else {
        return None;
    };
    let Expr::List(list) = &call.args.get(1)?.expr else {
        return None;
    };
    list.elements.first()
}

/// What makes a node of two operands.
type OfTwo = fn(Box<[Node; 2]>) -> Node;

fn binary(name: &str) -> Option<OfTwo> {
    Some(match name {
        operators::LOGICAL_AND => Node::And,
        operators::LOGICAL_OR => Node::Or,
        operators::EQUALS => Node::Equal,
        operators::NOT_EQUALS => Node::NotEqual,
        operators::IN => Node::In,
        operators::LESS => |of| Node::Compare(Order::Less, of),
        operators::LESS_EQUALS => |of| Node::Compare(Order::LessOrEqual, of),
        operators::GREATER => |of| Node::Compare(Order::Greater, of),
        operators::GREATER_EQUALS => |of| Node::Compare(Order::GreaterOrEqual, of),
        operators::ADD => |of| Node::Calculate(Arithmetic::Add, of),
        operators::SUBSTRACT => |of| Node::Calculate(Arithmetic::Sub, of),
        operators::MULTIPLY => |of| Node::Calculate(Arithmetic::Mul, of),
        operators::DIVIDE => |of| Node::Calculate(Arithmetic::Div, of),
        operators::MODULO => |of| Node::Calculate(Arithmetic::Rem, of),
        _ => return None,
    })
}

/// A constant pattern is compiled once, and must be one.
fn matches(mut arguments: Vec<Node>, call: &CallExpr, is_member: bool) -> Result<Node, String> {
    if let Some(Node::Constant(Constant::Text(text))) = arguments.get(1) {
        let pattern = Box::new(pattern(text)?);
        let text = Box::new(arguments.swap_remove(0));
        return Ok(Node::Matches { text, pattern });
    }
    Ok(Node::Call(Box::new(Call {
        name: "matches".into(),
        arguments,
        native: Some(Native::Matches),
        library: library_call(call, is_member),
    })))
}

/// The call with a variable in the place of each argument.
fn library_call(call: &CallExpr, is_member: bool) -> IdedExpr {
    let variable = |index: usize| IdedExpr {
        expr: Expr::Ident(argument_name(index).to_owned()),
        ..IdedExpr::default()
    };
    let target = match is_member {
        true => Some(Box::new(variable(0))),
        // A namespace.
        false => call.target.clone(),
    };
    let first = usize::from(is_member);
    let args = (0..call.args.len()).map(|index| variable(first + index));
    IdedExpr {
        expr: Expr::Call(CallExpr {
            func_name: call.func_name.clone(),
            target,
            args: args.collect(),
        }),
        ..IdedExpr::default()
    }
}

/// The names of `a.b.c`, if the expression is nothing but names.
fn segments(expression: &Expr) -> Option<Vec<&str>> {
    match expression {
        Expr::Ident(name) => Some(vec![name]),
        Expr::Select(select) if !select.test => {
            let mut names = segments(&select.operand.expr)?;
            names.push(&select.field);
            Some(names)
        }
        _ => None,
    }
}

fn constant(literal: &LiteralValue) -> Constant {
    match literal {
        LiteralValue::Null => Constant::Null,
        LiteralValue::Boolean(b) => Constant::Bool(*b.inner()),
        LiteralValue::Int(n) => Constant::Int(*n.inner()),
        LiteralValue::UInt(n) => Constant::UInt(*n.inner()),
        LiteralValue::Double(n) => Constant::Double(*n.inner()),
        LiteralValue::String(text) => Constant::Text(text.inner().to_owned()),
        LiteralValue::Bytes(bytes) => Constant::Bytes(bytes.inner().to_owned()),
    }
}

fn quoted(key: &LiteralValue) -> String {
    match constant(key) {
        Constant::Null => "null".into(),
        Constant::Bool(b) => b.to_string(),
        Constant::Int(n) => n.to_string(),
        Constant::UInt(n) => format!("{n}u"),
        Constant::Double(n) => format!("{n:?}"),
        Constant::Text(text) => format!("{text:?}"),
        Constant::Bytes(_) => "of bytes".into(),
    }
}
