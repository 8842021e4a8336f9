// SPDX-License-Identifier: GPL-2.0

//! Runs a program that can only use the network it was given, says what was refused, and learns what a program
//! needs.

#![forbid(unsafe_code)]

#[macro_use]
mod tell;

mod arguments;
mod check;
mod explain;
mod learn;
mod new_file;
mod pages;
mod program;
mod run;
mod show;
mod why;

use arguments::{Cli, Command};
use clap::Parser;
use std::process::ExitCode;

/// What is wrong, as a sentence: nothing is run after it.
pub(crate) struct Wrong(String);

impl<T: std::fmt::Display> From<T> for Wrong {
    fn from(error: T) -> Self {
        Self(error.to_string())
    }
}

/// The exit status of a mistake, or of a kernel that cannot do it. That of a program comes as it is.
pub(crate) const MISTAKE: u8 = 125;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return arguments::complain(&error),
    };
    let done = match cli.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Watch(arguments) => run::watch(&arguments),
        Command::Learn(arguments) => learn::learn(&arguments),
        Command::Check(arguments) => check::check(&arguments),
        Command::Why(arguments) => why::why(&arguments),
        Command::Show(arguments) => show::show(&arguments),
        Command::Resolve(arguments) => show::resolve(&arguments),
        Command::Completions(arguments) => pages::completions(&arguments),
        Command::Man(arguments) => pages::man(&arguments),
    };

    done.map_or_else(
        |Wrong(sentence)| {
            tell::error(&sentence);
            ExitCode::from(MISTAKE)
        },
        ExitCode::from,
    )
}
