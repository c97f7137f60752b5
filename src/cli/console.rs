//! What people read: answers on standard output, the rest on standard error.

use super::exit::Exit;
use super::line_queue::{LineQueue, drain_all};
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

/// Where people read. A reader that is gone, as in `| head`, is no error.
pub(super) struct Console {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    progress: Progress,
    /// What progress said last.
    shown: String,
    reader: Reader,
}

/// Whether anybody reads the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    Listens,
    Gone,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// One line that is written again and again, for a terminal.
    Rewritten,
    /// A line now and then, for a file.
    Lines,
}

/// Back to the start of the line, and nothing behind it.
pub(super) const CLEAR_LINE: &str = "\r\x1b[K";

/// What a progress line may fill without wrapping, which could not be written over, when the width
/// of the terminal is not known.
const COLUMNS: usize = 79;

fn columns() -> usize {
    let size = terminal_size::terminal_size_of(io::stderr());
    size.map_or(COLUMNS, |(width, _)| usize::from(width.0).saturating_sub(1))
}

impl Console {
    /// The standard streams of this process.
    pub(super) fn of_process() -> Self {
        let is_terminal = io::stderr().is_terminal();
        Console {
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            progress: if is_terminal {
                Progress::Rewritten
            } else {
                Progress::Lines
            },
            shown: String::new(),
            reader: Reader::Listens,
        }
    }

    /// From now on nothing that is written to standard error waits for its reader.
    pub(super) fn queue_errors(&mut self) -> Result<LineQueue, Exit> {
        let queue = LineQueue::before(&io::stderr()).map_err(|error| {
            self.complain(format!("cannot queue lines for standard error: {error}"));
            Exit::Failed
        })?;
        self.err = Box::new(queue.clone());
        Ok(queue)
    }

    /// From now on no answer waits for its reader.
    pub(super) fn queue_answers(&mut self) -> Result<(), Exit> {
        let queue = LineQueue::before(&io::stdout()).map_err(|error| {
            self.complain(format!("cannot queue lines for standard output: {error}"));
            Exit::Failed
        })?;
        self.out = Box::new(queue);
        Ok(())
    }

    /// An answer.
    pub(super) fn say(&mut self, text: impl Display) {
        let written = writeln!(self.out, "{}", printable(&text.to_string()));
        if written.and_then(|()| self.out.flush()).is_err() {
            self.reader = Reader::Gone;
        }
    }

    /// Whether somebody still reads the answers, as far as is known: whoever has no end of them to
    /// give can stop when not.
    pub(super) fn is_read(&self) -> bool {
        self.reader == Reader::Listens
    }

    /// Something that is wrong.
    pub(super) fn complain(&mut self, text: impl Display) {
        let _ = writeln!(self.err, "{}", printable(&text.to_string()));
    }

    /// How far something is. A line that says nothing new is not written.
    pub(super) fn show_progress(&mut self, text: impl Display) {
        let text = printable(&text.to_string());
        let _ = match self.progress {
            // A log line may have wiped it out.
            Progress::Rewritten => {
                let fitting: String = text.chars().take(columns()).collect();
                write!(self.err, "{CLEAR_LINE}{fitting}")
            }
            Progress::Lines if text == self.shown => return,
            Progress::Lines => writeln!(self.err, "{text}"),
        };
        let _ = self.err.flush();
        self.shown = text;
    }

    /// Takes the progress line away. What was queued for standard error is written before the answers
    /// that follow, if its reader reads.
    pub(super) fn end_progress(&mut self) {
        if self.progress == Progress::Rewritten {
            let _ = write!(self.err, "{CLEAR_LINE}");
            let _ = self.err.flush();
        }
        drain_all();
    }

    /// How progress is shown.
    pub(super) fn progress(&self) -> Progress {
        self.progress
    }
}

/// Names and causes come from others: what a terminal would obey is shown as a mark.
fn printable(text: &str) -> String {
    let is_obeyed = |c: char| c.is_control() && c != '\n';
    text.chars()
        .map(|c| if is_obeyed(c) { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// What a console wrote.
    #[derive(Clone, Default)]
    pub(in crate::cli) struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        pub(in crate::cli) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A console, and what it writes to both streams.
    pub(in crate::cli) fn console(progress: Progress) -> (Console, Written) {
        let written = Written::default();
        let (out, err) = (Box::new(written.clone()), Box::new(written.clone()));
        (
            Console {
                out,
                err,
                progress,
                shown: String::new(),
                reader: Reader::Listens,
            },
            written,
        )
    }

    #[test]
    fn a_progress_line_is_cut_rather_than_wrapped() {
        let (mut console, written) = console(Progress::Rewritten);
        console.show_progress("x".repeat(200));
        console.end_progress();
        assert_eq!(
            written.text(),
            format!("{CLEAR_LINE}{}{CLEAR_LINE}", "x".repeat(COLUMNS))
        );
    }

    #[test]
    fn a_line_that_says_nothing_new_is_not_written() {
        let (mut console, written) = console(Progress::Lines);
        for text in ["a", "a", "b"] {
            console.show_progress(text);
        }
        console.end_progress();
        assert_eq!(written.text(), "a\nb\n");
    }

    #[test]
    fn what_others_named_cannot_steer_the_terminal() {
        let (mut console, written) = console(Progress::Lines);
        console.say("a\x1b[2Jb\nc");
        assert_eq!(written.text(), "a\u{fffd}[2Jb\nc\n");
    }
}
