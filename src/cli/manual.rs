//! `onyx-node completions` and `onyx-node man`: what a shell and a manual know of the command line, made from
//! the same definition as `--help`.

use super::args::{Cli, CompletionsArgs};
use super::console::Console;
use super::exit::Exit;
use clap::CommandFactory;

/// Prints a script that completes the command line in a shell.
pub(super) fn completions(args: &CompletionsArgs, console: &mut Console) -> Exit {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    console.print(&String::from_utf8_lossy(&script));
    Exit::Done
}

/// Prints the manual page, in the format of `man`: the command, then a section for each verb.
pub(super) fn man(console: &mut Console) -> Exit {
    let mut page = Vec::new();
    let command = Cli::command();
    let verbs: Vec<clap::Command> = command.get_subcommands().cloned().collect();
    let rendered = clap_mangen::Man::new(command).render(&mut page);
    let rendered = rendered.and_then(|()| {
        for verb in verbs {
            let name = format!("onyx-node {}", verb.get_name());
            let verb = clap_mangen::Man::new(verb.bin_name(name.clone()).display_name(name));
            verb.render_synopsis_section(&mut page)?;
            verb.render_description_section(&mut page)?;
            verb.render_options_section(&mut page)?;
        }
        Ok(())
    });
    if let Err(error) = rendered {
        console.complain(format!("cannot make the manual page: {error}"));
        return Exit::Failed;
    }
    console.print(&String::from_utf8_lossy(&page));
    Exit::Done
}
