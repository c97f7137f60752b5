//! What the first bytes of a file tell about it: text that is not UTF-8, or a compression that its name does
//! not mention.

/// How many bytes are looked at.
pub(super) const FRONT_BYTES: usize = 1024;

/// Compressed and binary formats by their first bytes.
const MAGIC: [(&[u8], &str); 9] = [
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\0", "xz"),
    (b"BZh", "bzip2"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"PK\x03\x04", "zip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"PAR1", "parquet"),
    (b"Obj\x01", "avro"),
];

/// Why the content of a file that begins so cannot be read as text, and what to do. `None` if it can.
pub(super) fn obstacle(front: &[u8]) -> Option<String> {
    if let Some(encoding) = wide_encoding(front) {
        return Some(format!(
            "it is {encoding} and not UTF-8; convert it, as with `iconv -f {encoding} -t UTF-8`"
        ));
    }
    let magic = MAGIC.iter().find(|(magic, _)| front.starts_with(magic))?;
    let name = magic.1;
    // Text may begin with these letters; the block size and the magic of a block do not follow by chance.
    if name == "bzip2" && front.get(4..10) != Some(b"1AY&SY") {
        return None;
    }
    Some(match name {
        "gzip" => "it is compressed with gzip, and its name does not end in .gz; rename it".into(),
        "parquet" | "avro" => format!("it is a {name} file and not text; convert it"),
        name => format!(
            "it is compressed with {name}, which is not read here; decompress it, or compress it with gzip"
        ),
    })
}

/// UTF-16 and UTF-32, by a byte order mark or by where the zeros are.
fn wide_encoding(front: &[u8]) -> Option<&'static str> {
    match front {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => return Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Some("UTF-16"),
        _ => {}
    }
    let front = &front[..front.len().min(FRONT_BYTES)];
    let zeros = |parity: usize| {
        let bytes = front.iter().skip(parity).step_by(2);
        bytes.filter(|byte| **byte == 0).count()
    };
    let (even, odd) = (zeros(0), zeros(1));
    // Most letters of a text in UTF-16 that a CSV file or a log has are one byte and a zero.
    let is_wide =
        |these: usize, others: usize| these > 0 && others == 0 && these * 3 >= front.len();
    match () {
        () if is_wide(odd, even) => Some("UTF-16LE"),
        () if is_wide(even, odd) => Some("UTF-16BE"),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(to_bytes).collect()
    }

    #[test]
    fn utf_16_is_recognised_with_and_without_a_byte_order_mark() {
        for text in ["a,b\n1,2\n", "x\n", "größe,n\n"] {
            assert_eq!(
                wide_encoding(&utf16(text, u16::to_le_bytes)),
                Some("UTF-16LE")
            );
            assert_eq!(
                wide_encoding(&utf16(text, u16::to_be_bytes)),
                Some("UTF-16BE")
            );
            let marked = format!("\u{feff}{text}");
            assert_eq!(
                wide_encoding(&utf16(&marked, u16::to_le_bytes)),
                Some("UTF-16")
            );
            assert_eq!(wide_encoding(text.as_bytes()), None);
        }
        assert_eq!(wide_encoding(b""), None);
        assert_eq!(wide_encoding(b"one NUL \0 is no encoding"), None);
    }

    #[test]
    fn compressed_files_are_recognised_by_their_first_bytes() {
        let zstd = obstacle(b"\x28\xb5\x2f\xfd\x24").unwrap();
        assert!(zstd.starts_with("it is compressed with zstd"), "{zstd}");
        let gzip = obstacle(b"\x1f\x8b\x08").unwrap();
        assert!(gzip.ends_with("rename it"), "{gzip}");
        assert!(obstacle(b"BZh91AY&SY").is_some());
        assert_eq!(obstacle(b"BZh is text"), None);
        assert_eq!(obstacle(b"a,b\n"), None);
    }
}
