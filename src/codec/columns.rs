//! Numbers and ids in little-endian columns: what frames are made of beside segments.

use super::CodecError;
use bytes::Bytes;
use uuid::Uuid;

/// Appends numbers of `N` bytes each.
pub fn put_column<const N: usize>(out: &mut Vec<u8>, numbers: impl Iterator<Item = [u8; N]>) {
    for number in numbers {
        out.extend_from_slice(&number);
    }
}

/// Appends a length or count of 32 bits.
pub fn put_count(out: &mut Vec<u8>, what: &'static str, length: usize) -> Result<(), CodecError> {
    let Ok(count) = u32::try_from(length) else {
        return Err(CodecError::TooLong { what, length });
    };
    out.extend_from_slice(&count.to_le_bytes());
    Ok(())
}

/// Appends text with its length before it.
pub fn put_text(out: &mut Vec<u8>, text: &str) -> Result<(), CodecError> {
    put_count(out, "string", text.len())?;
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Reads what was written with the `put` functions, and believes no length before the bytes are
/// there.
#[derive(Debug)]
pub struct ColumnReader {
    bytes: Bytes,
    at: usize,
}

impl ColumnReader {
    /// A reader from the first byte on.
    pub fn new(bytes: Bytes) -> Self {
        ColumnReader { bytes, at: 0 }
    }

    /// The next bytes, shared and not copied.
    pub fn bytes(&mut self, length: usize) -> Result<Bytes, CodecError> {
        let start = self.at;
        self.take(length)?;
        Ok(self.bytes.slice(start..self.at))
    }

    /// One number of `N` bytes, or an id of 16.
    pub fn number<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let mut number = [0; N];
        number.copy_from_slice(self.take(N)?);
        Ok(number)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, CodecError> {
        self.number().map(u8::from_le_bytes)
    }

    /// A number of 16 bits.
    pub fn u16(&mut self) -> Result<u16, CodecError> {
        self.number().map(u16::from_le_bytes)
    }

    /// A number of 32 bits.
    pub fn u32(&mut self) -> Result<u32, CodecError> {
        self.number().map(u32::from_le_bytes)
    }

    /// A number of 64 bits.
    pub fn u64(&mut self) -> Result<u64, CodecError> {
        self.number().map(u64::from_le_bytes)
    }

    /// A length or count of 32 bits.
    pub fn count(&mut self) -> Result<usize, CodecError> {
        Ok(self.u32()? as usize)
    }

    /// An id.
    pub fn id(&mut self) -> Result<Uuid, CodecError> {
        self.number().map(Uuid::from_bytes)
    }

    /// Text with its length before it.
    pub fn text(&mut self) -> Result<String, CodecError> {
        let length = self.count()?;
        let at = self.at;
        let text = self.take(length)?;
        match std::str::from_utf8(text) {
            Ok(text) => Ok(text.into()),
            Err(_) => Err(CodecError::NotUtf8 { at }),
        }
    }

    /// So many numbers of `N` bytes each.
    pub fn column<const N: usize, T>(
        &mut self,
        count: usize,
        read: impl Fn([u8; N]) -> T,
    ) -> Result<Vec<T>, CodecError> {
        let (numbers, _) = self.take(count.saturating_mul(N))?.as_chunks();
        Ok(numbers.iter().copied().map(read).collect())
    }

    /// All that follows, shared and not copied.
    pub fn rest(&mut self) -> Bytes {
        let start = self.at;
        self.at = self.bytes.len();
        self.bytes.slice(start..)
    }

    /// Nothing may follow.
    pub fn end(&self) -> Result<(), CodecError> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            extra => Err(CodecError::TrailingBytes { at: self.at, extra }),
        }
    }

    fn take(&mut self, length: usize) -> Result<&[u8], CodecError> {
        let left = self.bytes.len() - self.at;
        if length > left {
            return Err(CodecError::Truncated {
                at: self.bytes.len(),
                needed: length - left,
            });
        }
        let start = self.at;
        self.at += length;
        Ok(&self.bytes[start..self.at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_read_back_and_lengths_are_not_believed() {
        let mut out = Vec::new();
        put_text(&mut out, "naïve").unwrap();
        put_count(&mut out, "list", 2).unwrap();
        put_column(&mut out, [7_u64, 8].into_iter().map(u64::to_le_bytes));
        let mut reader = ColumnReader::new(out.clone().into());
        assert_eq!(reader.text().unwrap(), "naïve");
        let count = reader.count().unwrap();
        assert_eq!(reader.column(count, u64::from_le_bytes).unwrap(), [7, 8]);
        assert_eq!(reader.end(), Ok(()));
        for cut in 0..out.len() {
            let mut reader = ColumnReader::new(Bytes::copy_from_slice(&out[..cut]));
            let read = reader
                .text()
                .and_then(|_| reader.count())
                .and_then(|count| reader.column(count, u64::from_le_bytes));
            assert!(matches!(read, Err(CodecError::Truncated { .. })));
        }
        let mut reader = ColumnReader::new(Bytes::from_static(&[0xff; 4]));
        assert!(reader.text().is_err());
        assert!(reader.column(usize::MAX, u64::from_le_bytes).is_err());
    }
}
