//! `onyx-node log export`: the log as a file, to be looked at elsewhere.

use super::Trouble;
use super::args::ExportArgs;
use super::reading::{Next, Reading};
use crate::cli::console::Console;
use crate::cli::exit::Exit;
use crate::nearest::counted;
use serde_json::json;
use std::fs::File;
use std::io::{self, BufWriter, Write};

/// Writes the log to a file.
pub(super) fn export(args: &ExportArgs, console: &mut Console) -> Result<Exit, Trouble> {
    let entries = crate::node::run(write(args))?;
    let file = args.file.display();
    console.answer(
        || json!({ "file": file.to_string(), "entries": entries }),
        || {
            let entries = counted(entries, "entry", "entries");
            format!("{entries} in {file}; see `log replay {file}`")
        },
    );
    Ok(Exit::Done)
}

async fn write(args: &ExportArgs) -> Result<u64, Trouble> {
    let mut reading = Reading::open(&args.source).await?;
    let wrong = |error: io::Error| {
        let message = format!("{}: cannot write it: {error}", args.file.display());
        Trouble::bad_input(message)
    };
    let file = File::create_new(&args.file).map_err(wrong)?;
    let mut file = BufWriter::new(file);
    writeln!(file, "{}", reading.header().to_line()).map_err(wrong)?;
    let mut entries = 0;
    loop {
        match reading.next().await? {
            Next::Entry(recorded) => {
                writeln!(file, "{}", recorded.to_line()).map_err(wrong)?;
                reading.pass_over(recorded.position);
                entries += 1;
            }
            Next::End => break,
            Next::Collected(position) => {
                let message = format!(
                    "the entries up to {position} were collected meanwhile, so that {} has a gap; \
                     delete it and export again",
                    args.file.display()
                );
                return Err(Trouble::failed(message));
            }
        }
    }
    file.flush().map_err(wrong)?;
    reading.close().await;
    Ok(entries)
}
