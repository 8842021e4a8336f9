// SPDX-License-Identifier: GPL-2.0

//! `portlock completions` and `portlock man`: from the same source as the help.

use crate::arguments::{Cli, Completions, Man};
use crate::Wrong;
use clap::CommandFactory;

pub(crate) fn completions(arguments: &Completions) -> Result<u8, Wrong> {
    let mut script = Vec::new();

    clap_complete::generate(
        arguments.shell,
        &mut Cli::command(),
        "portlock",
        &mut script,
    );
    say!("{}", String::from_utf8_lossy(&script).trim_end());
    Ok(0)
}

pub(crate) fn man(arguments: &Man) -> Result<u8, Wrong> {
    std::fs::create_dir_all(&arguments.folder).map_err(|error| {
        format!(
            "{}: {error}: name a folder that can be written",
            arguments.folder.display()
        )
    })?;
    clap_mangen::generate_to(Cli::command(), &arguments.folder)?;
    Ok(0)
}
