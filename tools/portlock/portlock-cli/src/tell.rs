// SPDX-License-Identifier: GPL-2.0

//! What is printed for people: colour only on a terminal, and none with NO_COLOR.

use anstyle::{AnsiColor, Style};
use std::fmt::Display;
use std::io::Write;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const NOTE: Style = AnsiColor::Yellow.on_default();
const REFUSED: Style = AnsiColor::Magenta.on_default();

/// Prints a line on standard output, as `println!` does. Who has closed it does not want to know.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::tell::out(&format!($($text)*))
    };
}

/// Prints a line on standard output.
pub(crate) fn out(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints a line on standard error. If that is closed, the program that is run goes on all the same.
pub(crate) fn plain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn line(style: Style, text: &dyn Display) {
    let _ = writeln!(anstream::stderr(), "{style}portlock:{style:#} {text}");
}

/// Says why nothing was done.
pub(crate) fn error(text: &dyn Display) {
    line(ERROR, text);
}

/// Says what a person should know.
pub(crate) fn note(text: &dyn Display) {
    line(NOTE, text);
}

/// Tells of a refusal.
pub(crate) fn refused(text: &dyn Display) {
    line(REFUSED, text);
}

/// `count` of something, in words.
pub(crate) fn count(count: u64, one: &str, many: &str) -> String {
    if count == 1 {
        format!("1 {one}")
    } else {
        format!("{count} {many}")
    }
}
