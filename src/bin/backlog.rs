//! The command line of Backlog; `backlog help` says what it does.

fn main() -> std::process::ExitCode {
    backlog::cli::main()
}
