//! The tree of an expression, ready to be evaluated: names are resolved, operators are told apart,
//! and macros are loops of their kind.

use super::call::Native;
use super::operators::{Arithmetic, Order};
use crate::segment::Key;
use cel::common::ast::IdedExpr;
use regex::Regex;

/// One operation with its operands.
#[derive(Debug)]
pub(super) enum Node {
    Constant(Constant),
    /// The variable of a macro, by how many are around it.
    Local(usize),
    /// The whole segment.
    Segment,
    Field(Field),
    Select {
        of: Box<Node>,
        name: Key,
    },
    /// `has(of.name)`.
    Has {
        of: Box<Node>,
        name: Key,
    },
    /// `of.?name`.
    OptionalSelect {
        of: Box<Node>,
        name: Key,
    },
    Index {
        of: Box<Node>,
        at: Box<Node>,
    },
    /// `of[?at]`.
    OptionalIndex {
        of: Box<Node>,
        at: Box<Node>,
    },
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    If(Box<[Node; 3]>),
    Equal(Box<[Node; 2]>),
    NotEqual(Box<[Node; 2]>),
    In(Box<[Node; 2]>),
    Compare(Order, Box<[Node; 2]>),
    Calculate(Arithmetic, Box<[Node; 2]>),
    List(Vec<Item>),
    Map(Vec<Entry>),
    Loop(Box<Loop>),
    /// `result` with a variable for the value of `value`.
    Bind {
        value: Box<Node>,
        result: Box<Node>,
    },
    Matches {
        text: Box<Node>,
        pattern: Box<Regex>,
    },
    Call(Box<Call>),
}

/// A literal.
#[derive(Debug)]
pub(super) enum Constant {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A field of the segment, or what a name with dots in it may mean.
#[derive(Debug)]
pub(super) struct Field {
    /// What may be the name of the field, the longest first, each with the keys that are selected of it.
    pub(super) readings: Vec<Reading>,
    /// The type that has the name, if no field has.
    pub(super) type_name: Option<String>,
}

#[derive(Debug)]
pub(super) struct Reading {
    pub(super) field: Key,
    pub(super) selected: Vec<Key>,
}

/// An item of a list literal.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) value: Node,
    /// Whether it is left out if it is an optional without a value.
    pub(super) is_optional: bool,
}

/// An entry of a map literal.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Node,
    pub(super) value: Node,
    /// Whether it is left out if its value is an optional without one.
    pub(super) is_optional: bool,
}

/// A macro that goes through a list, or the keys of a map.
#[derive(Debug)]
pub(super) struct Loop {
    pub(super) range: Node,
    pub(super) each: Each,
}

/// What a macro does with each item, which is the innermost variable.
#[derive(Debug)]
pub(super) enum Each {
    All(Node),
    Exists(Node),
    ExistsOne(Node),
    /// `map` and `filter`.
    Collect {
        guard: Option<Node>,
        item: Node,
    },
}

/// A call of a function.
#[derive(Debug)]
pub(super) struct Call {
    /// For people.
    pub(super) name: String,
    /// The one it is called on first.
    pub(super) arguments: Vec<Node>,
    /// What is done here, for the arguments it takes.
    pub(super) native: Option<Native>,
    /// The call on variables instead of its arguments, for the library.
    pub(super) library: IdedExpr,
}
