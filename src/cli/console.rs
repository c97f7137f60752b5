//! Standard output and standard error: answers on the one, complaints and progress on the other.

use super::exit::Exit;
use super::line_queue::{LineQueue, drain_all};
use serde_json::Value;
use std::env;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

/// The output of the command. Every answer goes through [`Console::answer`], where its form is
/// chosen and errors of writing are noticed.
pub(super) struct Console {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    form: Form,
    progress: Progress,
    /// The latest progress line.
    shown: String,
    output: Output,
}

/// The form of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// For people.
    Text,
    /// One line of JSON for each answer, for programs.
    Json,
}

/// Whether answers can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Output {
    Open,
    /// The reader has closed its end, as in `| head`, which is no error.
    Closed,
    /// A write has failed; that was complained of.
    Failed,
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
            out: standard_output(),
            err: Box::new(io::stderr()),
            form: Form::Text,
            progress: if is_terminal {
                Progress::Rewritten
            } else {
                Progress::Lines
            },
            shown: String::new(),
            output: Output::Open,
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

    /// From now on no answer waits for its reader, beyond a moment in which an error of writing shows.
    pub(super) fn queue_answers(&mut self) -> Result<(), Exit> {
        let queue = LineQueue::before(&io::stdout()).map_err(|error| {
            self.complain(format!("cannot queue lines for standard output: {error}"));
            Exit::Failed
        })?;
        self.out = Box::new(queue.reporting());
        Ok(())
    }

    /// Chooses the form of all answers from now on.
    pub(super) fn answer_in(&mut self, form: Form) {
        self.form = form;
    }

    /// Writes an answer in the form that was chosen. The first write that fails is complained of,
    /// and decides the [exit code](Self::exit).
    pub(super) fn answer(&mut self, json: impl FnOnce() -> Value, text: impl FnOnce() -> String) {
        if self.output != Output::Open {
            return;
        }
        let answer = match self.form {
            Form::Json => escaped(&json().to_string()),
            Form::Text => printable(&text()),
        };
        self.write_out(&format!("{answer}\n"));
    }

    /// Writes an answer that people get as a complaint instead.
    pub(super) fn answer_programs(&mut self, json: impl FnOnce() -> Value) {
        if self.form == Form::Json {
            self.answer(json, String::new);
        }
    }

    /// Writes text that is meant for people in any case, such as help, as it is.
    pub(super) fn print(&mut self, text: &str) {
        self.write_out(text);
    }

    /// Writes an error text as it is.
    pub(super) fn print_error(&mut self, text: &str) {
        let _ = self.err.write_all(text.as_bytes());
    }

    fn write_out(&mut self, text: &str) {
        let written = self.out.write_all(text.as_bytes());
        let written = written.and_then(|()| self.out.flush());
        self.note(written);
    }

    fn note(&mut self, written: io::Result<()>) {
        match written {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.output = Output::Closed;
            }
            Err(error) => {
                self.output = Output::Failed;
                self.complain(format!(
                    "cannot write to standard output, so the answer is not complete: {error}"
                ));
            }
        }
    }

    /// Whether further answers can be written, so that a command that follows something can stop
    /// when they cannot.
    pub(super) fn is_read(&self) -> bool {
        self.output == Output::Open
    }

    /// The exit of the process: a success whose answer could not be written is a failure.
    pub(super) fn exit(&mut self, exit: Exit) -> Exit {
        if self.output == Output::Open {
            // A queue may have met an error meanwhile.
            let flushed = self.out.flush();
            self.note(flushed);
        }
        match (exit, self.output) {
            (Exit::Done, Output::Failed) => Exit::Failed,
            (exit, _) => exit,
        }
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

/// Standard output as a file, since the one of the standard library hides some errors.
fn standard_output() -> Box<dyn Write> {
    match io::stdout().as_fd().try_clone_to_owned() {
        Ok(descriptor) => Box::new(File::from(descriptor)),
        Err(_) => Box::new(io::stdout()),
    }
}

/// Whether text to this stream may have colours: to a terminal that knows them, unless `NO_COLOR` is
/// set to anything (<https://no-color.org>).
pub(super) fn has_colours(stream: &impl IsTerminal) -> bool {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
    stream.is_terminal() && !is_set("NO_COLOR") && !is_dumb
}

/// JSON in which a terminal finds nothing to obey. Control characters are within strings only.
fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        match c.is_control() {
            true => escaped += &format!("\\u{:04x}", u32::from(c)),
            false => escaped.push(c),
        }
    }
    escaped
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
                form: Form::Text,
                progress,
                shown: String::new(),
                output: Output::Open,
            },
            written,
        )
    }

    /// A stream that answers every write with an error.
    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn say(console: &mut Console, text: &str) {
        console.answer(|| Value::from(text), || text.to_owned());
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
        say(&mut console, "a\x1b[2Jb\nc");
        assert_eq!(written.text(), "a\u{fffd}[2Jb\nc\n");
    }

    #[test]
    fn an_answer_for_programs_is_one_line_of_json_that_cannot_steer_the_terminal() {
        let (mut console, written) = console(Progress::Lines);
        console.form = Form::Json;
        let text = "a\u{9b}2Jb\nc\u{7f}\x1b";
        say(&mut console, text);
        assert_eq!(written.text(), "\"a\\u009b2Jb\\nc\\u007f\\u001b\"\n");
        assert_eq!(
            serde_json::from_str::<Value>(&written.text()).unwrap(),
            text
        );
    }

    #[test]
    fn an_answer_that_cannot_be_written_is_complained_of_once_and_fails() {
        let (mut console, written) = console(Progress::Lines);
        console.out = Box::new(Broken(io::ErrorKind::StorageFull));
        say(&mut console, "a");
        say(&mut console, "b");
        let told =
            "cannot write to standard output, so the answer is not complete: no storage space\n";
        assert_eq!(written.text(), told);
        assert_eq!(console.exit(Exit::Done), Exit::Failed);
        assert_eq!(console.exit(Exit::BadInput), Exit::BadInput);
        assert!(!console.is_read());
    }

    #[test]
    fn a_reader_that_closed_its_pipe_is_no_error() {
        let (mut console, written) = console(Progress::Lines);
        console.out = Box::new(Broken(io::ErrorKind::BrokenPipe));
        say(&mut console, "a");
        assert_eq!((written.text().as_str(), console.is_read()), ("", false));
        assert_eq!(console.exit(Exit::Done), Exit::Done);
    }
}
