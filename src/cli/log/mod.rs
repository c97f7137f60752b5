//! `onyx-node log`: what stands in the log, what each entry did, and what would follow from others.

mod apply;
pub(super) mod args;
mod export;
mod reading;
mod replay;
mod show;
mod tail;

use super::console::Console;
use super::exit::Exit;
use args::LogVerb;

/// Does what a verb of the log says.
pub(super) fn log(verb: &LogVerb, console: &mut Console) -> Exit {
    let exit = match verb {
        LogVerb::Tail(args) => tail::tail(args, console),
        LogVerb::Show(args) => show::show(args, console),
        LogVerb::Export(args) => export::export(args, console),
        LogVerb::Replay(args) => replay::replay(args, console),
        LogVerb::Apply => apply::apply(&mut std::io::stdin().lock(), console),
    };
    exit.unwrap_or_else(|trouble| {
        console.complain(&trouble.message);
        trouble.exit
    })
}

/// Why a verb did not do what it should.
struct Trouble {
    exit: Exit,
    message: String,
}

impl Trouble {
    /// Something that whoever called can mend.
    fn bad_input(message: impl ToString) -> Self {
        Trouble {
            exit: Exit::BadInput,
            message: message.to_string(),
        }
    }

    /// Something that did not work.
    fn failed(message: impl ToString) -> Self {
        Trouble {
            exit: Exit::Failed,
            message: message.to_string(),
        }
    }
}
