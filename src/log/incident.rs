//! A log as a file that can be carried to another machine: a replica, and the entries behind it, one
//! JSON object on each line.

use super::{Entry, Unreadable};
use crate::codec::{FORMAT_VERSION, from_payload};
use crate::ids::LogPosition;
use crate::replica::Replica;
use crate::replica::view::{Misread, read_at, view};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

/// The version of the form of the file.
const FORM: u8 = 1;

/// What the file begins with.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// Whose log it is.
    pub tenancy: String,
    /// The last entry that is part of the replica; none when the log begins at its first entry.
    pub origin: Option<LogPosition>,
    /// The replica from which the entries go on.
    pub replica: Arc<Replica>,
}

/// An entry of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Its position.
    pub position: LogPosition,
    /// What it says, or why nobody can tell.
    pub entry: Result<Entry, Unreadable>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct HeaderLine {
    onyx_log: u8,
    entries_of_format: u8,
    tenancy: String,
    origin: Option<LogPosition>,
    replica: Value,
}

impl Header {
    /// As it stands in the file.
    pub fn to_line(&self) -> String {
        let line = HeaderLine {
            onyx_log: FORM,
            entries_of_format: FORMAT_VERSION,
            tenancy: self.tenancy.clone(),
            origin: self.origin,
            replica: view(&self.replica),
        };
        json!(line).to_string()
    }

    /// From the first line of a file.
    pub fn from_line(text: &str) -> Result<Self, Misread> {
        let value = parse(text)?;
        if value.get("onyx-log") != Some(&json!(FORM)) {
            let message = format!(
                "this is no log that `log export` has written: expected \"onyx-log\": {FORM}"
            );
            return Err(Misread::new("the header", message));
        }
        let line: HeaderLine = read_at(&value, "the header")?;
        if line.entries_of_format != FORMAT_VERSION {
            let message = format!(
                "its entries are of format {}, this program reads format {FORMAT_VERSION}: use the \
                 version that has written them",
                line.entries_of_format
            );
            return Err(Misread::new("the header", message));
        }
        Ok(Header {
            tenancy: line.tenancy,
            origin: line.origin,
            replica: Arc::new(Replica::from_view(&line.replica)?),
        })
    }

    /// The position of the first entry behind the replica.
    pub fn first(&self) -> LogPosition {
        LogPosition::after(self.origin)
    }
}

impl Recorded {
    /// What stands at a position of the log.
    pub fn of_payload(position: LogPosition, payload: &[u8]) -> Self {
        let entry = from_payload(payload);
        Recorded {
            position,
            entry: entry.map_err(|error| Unreadable(error.to_string())),
        }
    }

    /// As it stands in the file. What cannot be read is carried as the reason why.
    pub fn to_line(&self) -> String {
        let mut line = match &self.entry {
            Ok(entry) => json!(entry),
            Err(Unreadable(reason)) => json!({ "unreadable": reason }),
        };
        line["position"] = json!(self.position);
        line.to_string()
    }

    /// From a line of a file.
    pub fn from_line(text: &str) -> Result<Self, Misread> {
        let mut line = parse(text)?;
        let position = read_at(&line["position"], "position")?;
        if let Some(keys) = line.as_object_mut() {
            keys.remove("position");
        }
        let entry = match line.get("unreadable") {
            Some(reason) => Err(Unreadable(read_at(reason, "unreadable")?)),
            None => Ok(Entry::read(&line, "the entry")?),
        };
        Ok(Recorded { position, entry })
    }
}

fn parse(text: &str) -> Result<Value, Misread> {
    serde_json::from_str(text).map_err(|error| Misread::new("the line", error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::to_payload;
    use crate::ids::EntrySource;
    use crate::log::commands::sample::{Cluster, submit};
    use crate::replica::sample::peer;

    #[test]
    fn a_file_reads_back() {
        let header = Header {
            tenancy: "t".into(),
            origin: Some(LogPosition(6)),
            replica: Cluster::of("a b").replica,
        };
        assert_eq!(Header::from_line(&header.to_line()), Ok(header.clone()));
        assert_eq!(header.first(), LogPosition(7));
        let entry = Entry {
            source: Some(EntrySource {
                writer: peer("a").into(),
                sequence: 3,
            }),
            entry_parent: None,
            written_at_ms: None,
            command: submit(0, "in:i>out out:o"),
        };
        let recorded = Recorded::of_payload(LogPosition(7), &to_payload(&entry).unwrap());
        assert_eq!(recorded.entry, Ok(entry));
        assert_eq!(Recorded::from_line(&recorded.to_line()), Ok(recorded));
        let noise = Recorded::of_payload(LogPosition(8), b"noise");
        assert!(noise.entry.is_err());
        assert_eq!(Recorded::from_line(&noise.to_line()), Ok(noise));
    }

    #[test]
    fn another_file_is_refused_with_the_reason() {
        let complaint = |text| Header::from_line(text).unwrap_err().to_string();
        assert!(complaint("{}").contains("no log that `log export` has written"));
        assert!(complaint("a").starts_with("the line: "));
        let newer = r#"{"onyx-log":1,"entries-of-format":99,"tenancy":"t","origin":null,
            "replica":{}}"#;
        assert!(complaint(newer).contains("its entries are of format 99"));
        let wrong = Recorded::from_line(r#"{"position":-1}"#).unwrap_err();
        assert!(wrong.to_string().starts_with("position: "), "{wrong}");
    }
}
