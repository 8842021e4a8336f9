// SPDX-License-Identifier: GPL-2.0

//! `portlock check`.

use crate::arguments::{read_profile, Check};
use crate::{tell, Wrong};
use portlock::Machine;
use serde_json::json;

pub(crate) fn check(arguments: &Check) -> Result<u8, Wrong> {
    let machine = Machine::read();
    let new = read_profile(&arguments.file)?.rules(&machine);
    let more = match &arguments.against {
        None => Vec::new(),
        Some(old) => new.beyond(&read_profile(old)?.rules(&machine)),
    };
    let status = u8::from(!more.is_empty());

    if arguments.json {
        let more: Vec<_> = more.iter().map(ToString::to_string).collect();
        let notes: Vec<_> = new.notes.iter().map(|note| &note.text).collect();

        say!("{}", json!({ "more": more, "notes": notes }));
        return Ok(status);
    }
    for note in &new.notes {
        tell::note(&note.text);
    }

    let shown = arguments.file.display();

    match &arguments.against {
        None => say!("{shown}: no mistake"),
        Some(old) if more.is_empty() => {
            say!("{shown} allows nothing that {} does not", old.display())
        }
        Some(old) => {
            say!(
                "{shown} allows what {} does not, for example:",
                old.display()
            );
            for witness in more {
                say!("  {witness}");
            }
        }
    }
    Ok(status)
}
