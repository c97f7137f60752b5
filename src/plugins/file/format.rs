//! What the first bytes of a file tell about it: text that is not UTF-8, or a compression that its name does
//! not mention.

/// How many bytes are looked at.
pub(super) const FRONT_BYTES: usize = 1024;

/// Compressed and binary formats by their first bytes.
const MAGIC: [(&[u8], &str); 11] = [
    (b"\x1f\x8b", "gzip"),
    (b"\x1f\x9d", "compress"),
    (b"\xff\x06\0\0sNaPpY", "snappy"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\0", "xz"),
    (b"BZh", "bzip2"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"PK\x03\x04", "zip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"PAR1", "parquet"),
    (b"Obj\x01", "avro"),
];

/// Whether what is looked at is the file itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packed {
    /// It is.
    No,
    /// The file is gzip, and this is what it holds.
    Gzip,
}

/// Why content that begins so cannot be read as text, and what to do. `None` if it can.
pub(super) fn obstacle(front: &[u8], packed: Packed) -> Option<String> {
    let Some(magic) = MAGIC.iter().find(|(magic, _)| front.starts_with(magic)) else {
        return wide_encoding(front).map(|encoding| {
            format!(
                "it is {encoding} and not UTF-8; convert it, as with `iconv -f {encoding} -t UTF-8`"
            )
        });
    };
    let name = magic.1;
    // Text may begin with these letters; the block size and the magic of a block do not follow by chance.
    if name == "bzip2" && front.get(4..10) != Some(b"1AY&SY") {
        return None;
    }
    Some(match name {
        "gzip" if packed == Packed::Gzip => {
            "it is compressed twice; decompress it once, as with `gunzip`".into()
        }
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
    // In UTF-16 a letter of ASCII is one byte and a zero. Text of other letters has digits, spaces, delimiters
    // and line ends at least.
    let front = &front[..front.len().min(FRONT_BYTES)];
    let (mut pairs, mut little, mut big) = (0, 0, 0);
    for pair in front.chunks_exact(2) {
        pairs += 1;
        match pair {
            [0, 0] => {}
            [_, 0] => little += 1,
            [0, _] => big += 1,
            _ => {}
        }
    }
    let is_wide =
        |these: usize, others: usize| these > 0 && these * 20 >= pairs && these > 4 * others;
    match () {
        () if is_wide(little, big) => Some("UTF-16LE"),
        () if is_wide(big, little) => Some("UTF-16BE"),
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
        for text in [
            "a,b\n1,2\n",
            "x\n",
            "größe,n\n",
            "名前,年齢\n太郎,23\n花子,25\n",
        ] {
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
        let stray = format!("{}one NUL \0 is no encoding", "text ".repeat(9));
        assert_eq!(wide_encoding(stray.as_bytes()), None);
        assert_eq!(wide_encoding(&[0; FRONT_BYTES]), None);
    }

    #[test]
    fn compressed_files_are_recognised_by_their_first_bytes() {
        let zstd = obstacle(b"\x28\xb5\x2f\xfd\x24", Packed::No).unwrap();
        assert!(zstd.starts_with("it is compressed with zstd"), "{zstd}");
        let gzip = obstacle(b"\x1f\x8b\x08", Packed::No).unwrap();
        assert!(gzip.ends_with("rename it"), "{gzip}");
        let twice = obstacle(b"\x1f\x8b\x08", Packed::Gzip).unwrap();
        assert!(twice.starts_with("it is compressed twice"), "{twice}");
        assert!(obstacle(b"BZh91AY&SY", Packed::No).is_some());
        assert_eq!(obstacle(b"BZh is text", Packed::No), None);
        assert_eq!(obstacle(b"a,b\n", Packed::No), None);
    }
}
