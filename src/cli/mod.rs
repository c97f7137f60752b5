//! The command `onyx-node`: run a job, start a node, and ask one that runs.

mod args;
mod client;
mod console;
mod coordination;
mod exit;
mod explain;
mod gc;
mod job_source;
mod jobs;
mod kill;
mod line_queue;
mod log;
mod logging;
mod manual;
mod media_driver;
mod nodes;
mod progress;
mod run;
mod secrets;
mod signals;
mod start;
mod status;
mod submit;
mod summary;
mod table;

use args::{Cli, Verb};
use clap::Parser;
use console::Console;
use exit::Exit;
use line_queue::DrainedAtTheEnd;
use std::io;
use std::process::ExitCode;

/// Does what the arguments of this process say, and answers with its exit code.
pub fn main() -> ExitCode {
    let mut console = Console::of_process();
    if let Err(exit) = secrets::leave_environment(&mut console) {
        return exit.into();
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            return explain(&error, &mut console).into();
        }
    };
    console.answer_in(cli.form());
    let _drained = DrainedAtTheEnd;
    let exit = match cli.verb {
        Verb::Run(args) => run::run(&args, &mut console),
        Verb::Start(args) => start::start(&args, &mut console),
        Verb::Submit(args) => submit::submit(&args, &mut console),
        Verb::Jobs(args) => jobs::jobs(&args, &mut console),
        Verb::Nodes(args) => nodes::nodes(&args, &mut console),
        Verb::Explain(args) => explain::explain(&args, &mut console),
        Verb::Kill(args) => kill::kill(&args, &mut console),
        Verb::Gc(args) => gc::gc(&args, &mut console),
        Verb::Status(args) => status::status(&args, &mut console),
        Verb::Log(verb) => log::log(&verb, &mut console),
        Verb::Completions(args) => manual::completions(&args, &mut console),
        Verb::Man => manual::man(&mut console),
        Verb::MediaDriver(args) => media_driver::media_driver(&args, &mut console),
        Verb::Coordination(args) => coordination::coordination(&args, &mut console),
    };
    console.exit(exit).into()
}

/// Writes what clap has to say: help and the version as answers, the rest as complaints.
fn explain(error: &clap::Error, console: &mut Console) -> Exit {
    let text = error.render();
    let has_colours = match error.use_stderr() {
        true => console::has_colours(&io::stderr()),
        false => console::has_colours(&io::stdout()),
    };
    let text = match has_colours {
        true => text.ansi().to_string(),
        false => text.to_string(),
    };
    if error.use_stderr() {
        console.print_error(&text);
        return Exit::BadInput;
    }
    console.print(&text);
    console.exit(Exit::Done)
}
