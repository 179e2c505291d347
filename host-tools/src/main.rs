//! The command `bistable`.

use std::process::ExitCode;

fn main() -> ExitCode {
    bistable_tools::cli::main()
}
