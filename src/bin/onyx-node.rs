//! The command `onyx-node`.

use std::process::ExitCode;

fn main() -> ExitCode {
    onyx::cli::main()
}
