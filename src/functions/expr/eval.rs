//! Evaluates the tree of an expression for one segment. Every operation is counted before it is done,
//! so that the bounds hold inside of macros too.

use super::call;
use super::failure::Failure;
use super::meter::Meter;
use super::node::{Constant, Each, Entry, Field, Item, Loop, Node};
use super::operators::{calculate, contains, does_not_take, equal, is_in_order, negate};
use super::operators::{index, no_such_field, select};
use super::val::{Bytes, List, Map, Size, Text, Val};
use crate::segment::{Key, Segment};

/// What an expression is evaluated with.
pub(super) struct Scope<'s, 'm> {
    segment: &'s Segment,
    /// The variables of the macros around, the innermost last.
    variables: Vec<Val<'s>>,
    pub(super) meter: &'m mut Meter,
}

/// The value of an expression for a segment.
pub(super) fn evaluate<'s>(
    node: &'s Node,
    segment: &'s Segment,
    meter: &mut Meter,
) -> Result<Val<'s>, Failure> {
    let mut scope = Scope {
        segment,
        variables: Vec::new(),
        meter,
    };
    scope.eval(node)
}

impl<'s> Scope<'s, '_> {
    pub(super) fn eval(&mut self, node: &'s Node) -> Result<Val<'s>, Failure> {
        self.meter.step()?;
        match node {
            Node::Constant(constant) => Ok(of_constant(constant)),
            Node::Local(depth) => {
                let found = self.variables.get(*depth).cloned();
                found.ok_or_else(|| Failure::wrong("a variable is not bound"))
            }
            Node::Segment => Ok(Val::Map(Map::Borrowed(self.segment))),
            Node::Field(field) => self.field(field),
            Node::Select { of, name } => {
                let of = self.eval(of)?;
                self.selected(&of, name)
            }
            Node::Has { of, name } => self.has(of, name),
            Node::OptionalSelect { of, name } => self.optional_select(of, name),
            Node::Index { of, at } => self.index(of, at),
            Node::OptionalIndex { of, at } => {
                let (of, at) = (self.eval(of)?, self.eval(at)?);
                self.optional(of, |this, of| index(&of, &at, this.meter))
            }
            Node::Not(of) => match self.eval(of)? {
                Val::Bool(b) => Ok(Val::Bool(!b)),
                other => Err(does_not_take("!", &[&other])),
            },
            Node::Negate(of) => negate(&self.eval(of)?),
            Node::And(of) => self.connected(of, false),
            Node::Or(of) => self.connected(of, true),
            Node::If(of) => {
                let [test, yes, no] = &**of;
                match self.truth(test)? {
                    true => self.eval(yes),
                    false => self.eval(no),
                }
            }
            Node::Equal(of) => self.equal(of).map(Val::Bool),
            Node::NotEqual(of) => self.equal(of).map(|equal| Val::Bool(!equal)),
            Node::In(of) => {
                let (value, container) = (self.eval(&of[0])?, self.eval(&of[1])?);
                contains(&value, &container, self.meter).map(Val::Bool)
            }
            Node::Compare(order, of) => {
                let (one, other) = (self.eval(&of[0])?, self.eval(&of[1])?);
                is_in_order(*order, &one, &other, self.meter).map(Val::Bool)
            }
            Node::Calculate(operator, of) => {
                let (one, other) = (self.eval(&of[0])?, self.eval(&of[1])?);
                calculate(*operator, &one, &other, self.meter)
            }
            Node::List(items) => self.list(items),
            Node::Map(entries) => self.map(entries),
            Node::Loop(it) => self.run_loop(it),
            Node::Bind { value, result } => {
                let value = self.eval(value)?;
                self.with_variable(value, |this| this.eval(result))
            }
            Node::Matches { text, pattern } => {
                let text = self.eval(text)?;
                super::matching::is_match(pattern, &text, self.meter)
            }
            Node::Call(it) => {
                let arguments = it.arguments.iter().map(|argument| self.eval(argument));
                let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
                call::call(it, &arguments, self.meter)
            }
        }
    }

    fn with_variable<T>(
        &mut self,
        value: Val<'s>,
        run: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.variables.push(value);
        let result = run(self);
        self.variables.pop();
        result
    }

    #[inline]
    fn field(&mut self, field: &'s Field) -> Result<Val<'s>, Failure> {
        for reading in &field.readings {
            self.meter.work(self.segment.len() as u64 / 8)?;
            if let Some(value) = self.segment.get(reading.field.as_str()) {
                let mut value = Val::of(value);
                for name in &reading.selected {
                    value = self.selected(&value, name)?;
                }
                return Ok(value);
            }
        }
        match (&field.type_name, field.readings.last()) {
            (Some(name), _) => Ok(Val::Type(name)),
            (None, Some(shortest)) => Err(Failure::NoField(shortest.field.clone())),
            (None, None) => Err(Failure::wrong("a name was expected")),
        }
    }

    fn selected(&mut self, of: &Val<'s>, name: &Key) -> Result<Val<'s>, Failure> {
        let found = select(of, name.as_str(), self.meter)?;
        found.ok_or_else(|| match of {
            // A key that the value of an optional does not have.
            Val::Optional(_) => Failure::wrong("an optional without a value"),
            _ => no_such_field(name.as_str()),
        })
    }

    fn optional_select(&mut self, of: &'s Node, name: &Key) -> Result<Val<'s>, Failure> {
        let of = self.eval(of)?;
        self.optional(of, |this, of| {
            let found = select(&of, name.as_str(), this.meter)?;
            found.ok_or_else(|| no_such_field(name.as_str()))
        })
    }

    fn index(&mut self, of: &'s Node, at: &'s Node) -> Result<Val<'s>, Failure> {
        let (of, at) = (self.eval(of)?, self.eval(at)?);
        match of {
            Val::Optional(_) => self.optional(of, |this, of| index(&of, &at, this.meter)),
            of => index(&of, &at, self.meter),
        }
    }

    fn has(&mut self, of: &'s Node, name: &Key) -> Result<Val<'s>, Failure> {
        let of = self.eval(of)?;
        let found = match select(&of, name.as_str(), self.meter)? {
            Some(Val::Optional(inner)) if matches!(of, Val::Optional(_)) => inner.is_some(),
            found => found.is_some(),
        };
        Ok(Val::Bool(found))
    }

    /// What `look_up` finds in a value, or in what an optional holds, as an optional. What is not
    /// there is an optional without a value.
    fn optional(
        &mut self,
        of: Val<'s>,
        look_up: impl FnOnce(&mut Self, Val<'s>) -> Result<Val<'s>, Failure>,
    ) -> Result<Val<'s>, Failure> {
        let of = match of {
            Val::Optional(None) => return Ok(Val::Optional(None)),
            Val::Optional(Some(inner)) => (*inner).clone(),
            other => other,
        };
        match look_up(self, of) {
            Ok(found) => Ok(Val::optional(Some(found))),
            Err(failure) if failure.is_of_operation() => Ok(Val::Optional(None)),
            Err(failure) => Err(failure),
        }
    }

    fn truth(&mut self, node: &'s Node) -> Result<bool, Failure> {
        match self.eval(node)? {
            Val::Bool(b) => Ok(b),
            other => Err(Failure::Wrong(format!(
                "expected true or false, found {}",
                other.kind()
            ))),
        }
    }

    /// `&&` and `||`, which `decides` one way or the other: one side with that value is enough,
    /// even when the other fails.
    fn connected(&mut self, of: &'s [Node; 2], decides: bool) -> Result<Val<'s>, Failure> {
        let left = self.truth(&of[0]);
        match left {
            Ok(left) if left == decides => return Ok(Val::Bool(decides)),
            Err(failure) if !failure.is_of_operation() => return Err(failure),
            _ => {}
        }
        match self.truth(&of[1])? {
            right if right == decides => Ok(Val::Bool(decides)),
            _ => left.map(|_| Val::Bool(!decides)),
        }
    }

    fn equal(&mut self, of: &'s [Node; 2]) -> Result<bool, Failure> {
        let (one, other) = (self.eval(&of[0])?, self.eval(&of[1])?);
        equal(&one, &other, self.meter)
    }

    fn list(&mut self, items: &'s [Item]) -> Result<Val<'s>, Failure> {
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            let value = self.eval(&item.value)?;
            values.extend(present(value, item.is_optional));
        }
        Val::list(values, self.meter)
    }

    fn map(&mut self, entries: &'s [Entry]) -> Result<Val<'s>, Failure> {
        let mut values: Vec<(Val<'s>, Val<'s>)> = Vec::with_capacity(entries.len());
        for entry in entries {
            let (key, value) = (self.eval(&entry.key)?, self.eval(&entry.value)?);
            if !matches!(
                key,
                Val::Text(_) | Val::Int(_) | Val::UInt(_) | Val::Bool(_)
            ) {
                let kind = key.kind();
                return Err(Failure::Wrong(format!(
                    "a map cannot have a {kind} as a key"
                )));
            }
            let Some(value) = present(value, entry.is_optional) else {
                continue;
            };
            for (known, _) in &values {
                self.meter.step()?;
                if equal(known, &key, self.meter)? {
                    let key = super::convert::key_text(&key).unwrap_or_default();
                    let key = super::cut(&key);
                    return Err(Failure::Wrong(format!("a map has the key `{key}` twice")));
                }
            }
            values.push((key, value));
        }
        Val::map(values, self.meter)
    }

    fn run_loop(&mut self, it: &'s Loop) -> Result<Val<'s>, Failure> {
        let range = self.eval(&it.range)?;
        let list = match &range {
            Val::List(list) => list.clone(),
            Val::Map(map) => {
                let entries = map.entries(self.meter)?;
                let keys = entries.into_iter().map(|(key, _)| key).collect();
                List::of_keys(keys)
            }
            other => {
                let kind = other.kind();
                return Err(Failure::Wrong(format!(
                    "a macro goes through a list or a map, not {kind}"
                )));
            }
        };
        let mut items = (0..list.len()).filter_map(|at| list.get(at));
        match &it.each {
            Each::All(test) => self.decide(&mut items, test, false),
            Each::Exists(test) => self.decide(&mut items, test, true),
            Each::ExistsOne(test) => {
                let mut found = 0_u64;
                for item in items {
                    found += u64::from(self.with_variable(item, |this| this.truth(test))?);
                }
                Ok(Val::Bool(found == 1))
            }
            Each::Collect { guard, item } => self.collect(&mut items, guard.as_ref(), item),
        }
    }

    /// `all` and `exists`: one item for which the test `decides` is enough, even when it fails for
    /// others.
    fn decide(
        &mut self,
        items: &mut dyn Iterator<Item = Val<'s>>,
        test: &'s Node,
        decides: bool,
    ) -> Result<Val<'s>, Failure> {
        let mut failed = None;
        for item in items {
            match self.with_variable(item, |this| this.truth(test)) {
                Ok(holds) if holds == decides => return Ok(Val::Bool(decides)),
                Ok(_) => {}
                Err(failure) if failure.is_of_operation() => failed = Some(failure),
                Err(failure) => return Err(failure),
            }
        }
        failed.map_or(Ok(Val::Bool(!decides)), Err)
    }

    fn collect(
        &mut self,
        items: &mut dyn Iterator<Item = Val<'s>>,
        guard: Option<&'s Node>,
        item: &'s Node,
    ) -> Result<Val<'s>, Failure> {
        let (mut made, mut size) = (Vec::new(), Size::default());
        for value in items {
            let value = self.with_variable(value, |this| {
                if let Some(guard) = guard
                    && !this.truth(guard)?
                {
                    return Ok(None);
                }
                this.eval(item).map(Some)
            })?;
            if let Some(value) = value {
                let of_item = value.size(self.meter)?;
                self.meter.make(of_item.bytes)?;
                size.add(of_item);
                made.push(value);
            }
        }
        Val::counted_list(made, size)
    }
}

/// The value of an item or entry. None if it is left out.
fn present(value: Val<'_>, is_optional: bool) -> Option<Val<'_>> {
    match value {
        Val::Optional(inner) if is_optional => inner.map(|inner| (*inner).clone()),
        value => Some(value),
    }
}

fn of_constant(constant: &Constant) -> Val<'_> {
    match constant {
        Constant::Null => Val::Null,
        Constant::Bool(b) => Val::Bool(*b),
        Constant::Int(n) => Val::Int(*n),
        Constant::UInt(n) => Val::UInt(*n),
        Constant::Double(n) => Val::Double(*n),
        Constant::Text(text) => Val::Text(Text::Borrowed(text)),
        Constant::Bytes(bytes) => Val::Bytes(Bytes::Borrowed(bytes)),
    }
}
