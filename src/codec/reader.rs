//! Walking over MessagePack without trusting it: no length is believed before the bytes are there.

use super::CodecError;
use super::encode;
use super::error::Fault;
use rmp::Marker;

/// What begins at a place: a whole scalar, or the length of what follows.
#[derive(Clone, Copy)]
pub(super) enum Head {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    String(usize),
    Bytes(usize),
    List(usize),
    Map(usize),
}

impl Head {
    pub(super) fn kind(self) -> &'static str {
        match self {
            Head::Null => "null",
            Head::Bool(_) => "a bool",
            Head::Int(_) => "an int",
            Head::Float(_) => "a float",
            Head::String(_) => "a string",
            Head::Bytes(_) => "bytes",
            Head::List(_) => "a list",
            Head::Map(_) => "a map",
        }
    }
}

/// A key as it was encoded in the previous segment.
#[derive(Debug)]
pub(super) struct ForeseenKey {
    encoded: Box<[u8]>,
    /// The encoded key as one number, where it fits, so that comparing it is one instruction; the
    /// mask is 0 where it does not.
    start: u64,
    mask: u64,
}

impl ForeseenKey {
    pub(super) fn new(key: &str) -> Result<Self, Fault> {
        let mut encoded = Vec::new();
        encode::text(key, &mut encoded)?;
        let mut start = [0; 8];
        let mut mask = [0; 8];
        if encoded.len() <= start.len() {
            start[..encoded.len()].copy_from_slice(&encoded);
            mask[..encoded.len()].fill(0xff);
        }
        Ok(ForeseenKey {
            encoded: encoded.into(),
            start: u64::from_le_bytes(start),
            mask: u64::from_le_bytes(mask),
        })
    }
}

pub(super) struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Reader {
            rest: bytes,
            length: bytes.len(),
        }
    }

    /// How many bytes have been read.
    pub(super) fn at(&self) -> usize {
        self.length - self.rest.len()
    }

    #[inline(always)]
    pub(super) fn head(&mut self) -> Result<Head, Fault> {
        let [marker] = self.number()?;
        Ok(match Marker::from_u8(marker) {
            Marker::FixPos(n) => Head::Int(n.into()),
            Marker::FixNeg(n) => Head::Int(n.into()),
            Marker::FixStr(len) => Head::String(len.into()),
            Marker::F64 => Head::Float(f64::from_be_bytes(self.number()?)),
            Marker::U8 => Head::Int(u8::from_be_bytes(self.number()?).into()),
            Marker::U16 => Head::Int(u16::from_be_bytes(self.number()?).into()),
            Marker::U32 => Head::Int(u32::from_be_bytes(self.number()?).into()),
            Marker::I64 => Head::Int(i64::from_be_bytes(self.number()?)),
            Marker::FixMap(len) => self.map(len.into())?,
            Marker::FixArray(len) => self.list(len.into())?,
            _ => self.rare_head(marker)?,
        })
    }

    #[inline(never)]
    fn rare_head(&mut self, marker: u8) -> Result<Head, Fault> {
        Ok(match Marker::from_u8(marker) {
            Marker::Null => Head::Null,
            Marker::False => Head::Bool(false),
            Marker::True => Head::Bool(true),
            Marker::F32 => Head::Float(f32::from_be_bytes(self.number()?).into()),
            Marker::U64 => self.unsigned()?,
            Marker::I8 => Head::Int(i8::from_be_bytes(self.number()?).into()),
            Marker::I16 => Head::Int(i16::from_be_bytes(self.number()?).into()),
            Marker::I32 => Head::Int(i32::from_be_bytes(self.number()?).into()),
            Marker::Str8 => Head::String(u8::from_be_bytes(self.number()?).into()),
            Marker::Str16 => Head::String(u16::from_be_bytes(self.number()?).into()),
            Marker::Str32 => Head::String(u32::from_be_bytes(self.number()?) as usize),
            Marker::Bin8 => Head::Bytes(u8::from_be_bytes(self.number()?).into()),
            Marker::Bin16 => Head::Bytes(u16::from_be_bytes(self.number()?).into()),
            Marker::Bin32 => Head::Bytes(u32::from_be_bytes(self.number()?) as usize),
            Marker::Array16 => {
                let len = u16::from_be_bytes(self.number()?);
                self.list(len.into())?
            }
            Marker::Array32 => {
                let len = u32::from_be_bytes(self.number()?);
                self.list(len as usize)?
            }
            Marker::Map16 => {
                let len = u16::from_be_bytes(self.number()?);
                self.map(len.into())?
            }
            Marker::Map32 => {
                let len = u32::from_be_bytes(self.number()?);
                self.map(len as usize)?
            }
            _ => {
                let at = self.at() - 1;
                return Err(CodecError::UnknownType { at, marker }.into());
            }
        })
    }

    /// The next `length` bytes.
    #[inline(always)]
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            return Err(self.truncated(length));
        };
        self.rest = rest;
        Ok(taken)
    }

    /// The text of a key.
    #[inline(always)]
    pub(super) fn key(&mut self) -> Result<&'a [u8], Fault> {
        let at = self.at();
        match self.head()? {
            Head::String(length) => self.take(length),
            other => Err(unexpected(at, "a string as key", other)),
        }
    }

    /// The number of fields of the map that begins here.
    #[inline(always)]
    pub(super) fn map_head(&mut self) -> Result<usize, Fault> {
        let at = self.at();
        match self.head()? {
            Head::Map(fields) => Ok(fields),
            other => Err(unexpected(at, "a map", other)),
        }
    }

    /// Steps over the key that was foreseen here, if it is the one.
    #[inline(always)]
    pub(super) fn take_foreseen(&mut self, key: &ForeseenKey) -> bool {
        let same = match self.rest.first_chunk() {
            Some(first) if key.mask != 0 => u64::from_le_bytes(*first) & key.mask == key.start,
            _ => self.rest.starts_with(&key.encoded),
        };
        if same {
            self.rest = &self.rest[key.encoded.len()..];
        }
        same
    }

    /// Steps over one value, however it nests, without recursion. An integer that is too large for a
    /// segment is a value all the same.
    pub(super) fn skip(&mut self) -> Result<(), Fault> {
        let mut values = 1_usize;
        while values > 0 {
            values -= 1;
            let head = match self.head() {
                Err(fault) if matches!(*fault, CodecError::IntegerTooLarge { .. }) => continue,
                head => head?,
            };
            match head {
                Head::String(length) | Head::Bytes(length) => {
                    self.take(length)?;
                }
                // Neither sum overflows: a length was found to be at most the bytes that are left.
                Head::List(length) => values += length,
                Head::Map(length) => values += 2 * length,
                Head::Null | Head::Bool(_) | Head::Int(_) | Head::Float(_) => {}
            }
        }
        Ok(())
    }

    /// Nothing may follow.
    pub(super) fn end(&self) -> Result<(), Fault> {
        match self.rest.len() {
            0 => Ok(()),
            extra => Err(CodecError::TrailingBytes {
                at: self.at(),
                extra,
            }
            .into()),
        }
    }

    #[inline(always)]
    fn number<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let Some((number, rest)) = self.rest.split_first_chunk() else {
            return Err(self.truncated(N));
        };
        self.rest = rest;
        Ok(*number)
    }

    fn unsigned(&mut self) -> Result<Head, Fault> {
        let at = self.at() - 1;
        let found = u64::from_be_bytes(self.number()?);
        i64::try_from(found)
            .map(Head::Int)
            .map_err(|_| CodecError::IntegerTooLarge { at, found }.into())
    }

    /// Each element takes at least one byte.
    fn list(&self, length: usize) -> Result<Head, Fault> {
        if length > self.rest.len() {
            return Err(self.truncated(length));
        }
        Ok(Head::List(length))
    }

    /// Each field takes at least two bytes.
    fn map(&self, length: usize) -> Result<Head, Fault> {
        if length > self.rest.len() / 2 {
            return Err(self.truncated(2 * length));
        }
        Ok(Head::Map(length))
    }

    #[cold]
    fn truncated(&self, announced: usize) -> Fault {
        CodecError::Truncated {
            at: self.length,
            needed: announced - self.rest.len(),
        }
        .into()
    }
}

#[cold]
fn unexpected(at: usize, expected: &'static str, found: Head) -> Fault {
    let found = found.kind();
    CodecError::Unexpected {
        at,
        expected,
        found,
    }
    .into()
}
