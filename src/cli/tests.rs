//! What the command line says to a terminal.

use clap::CommandFactory;

use super::args::Args;
use super::show::{plain, short, table};

#[test]
fn the_words_of_the_command_line_fit_each_other() {
    Args::command().debug_assert();
}

#[test]
fn hostile_text_is_harmless_on_a_terminal() {
    let hostile = "a\u{1b}[2J\u{7}\r\n\u{9b}31m\u{202e}evil\u{0}";
    let shown = plain(hostile);
    assert!(!shown.chars().any(|c| c.is_control() || c == '\u{202e}'), "{shown:?}");
    assert_eq!(shown, "a\\u{1b}[2J\\u{7}\\r\\n\\u{9b}31m\\u{202e}evil\\u{0}");
    assert_eq!(short("ümläut\n", 6), "ümläut…");
    let text = table(&["ID", "K"], &[0], &[vec!["7".into(), "ü".into()], vec!["10".into(), "b".into()]]);
    assert_eq!(text.lines().skip(1).collect::<Vec<_>>(), [" 7  ü", "10  b"]);
}
