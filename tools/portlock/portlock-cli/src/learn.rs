// SPDX-License-Identifier: GPL-2.0

//! `portlock learn`.

use crate::arguments::Learn;
use crate::new_file::NewFile;
use crate::program::Rest;
use crate::run::{note_capabilities, program_of};
use crate::{program, tell, Wrong};
use portlock::{
    Asked, Learned, Machine, Observer, Options, Policy, Protocol, Rules, Seen, Support, Unix,
};
use std::collections::HashMap;
use std::time::Duration;

/// The numbers of the two layers: what every rule is for, and what no rule can allow beside addresses.
const RULES: u64 = 1;
const OWN_WAY: u64 = 2;

/// How long the end of all that the program started may come after its own. The kernel needs some of that itself.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is in the file while the program runs. It is no policy, so that nobody takes it for a whole one if this
/// process is killed.
const UNFINISHED: &str = "PARTIAL: portlock learn has not come to its end\n";

pub(crate) fn learn(arguments: &Learn) -> Result<u8, Wrong> {
    let support = Support::read();

    if support.portlock == 0 {
        return Err(Wrong(
            "this kernel cannot tell what a program needs: boot a kernel with Portlock (portlock show says what this one has)"
                .into(),
        ));
    }

    let shown = arguments.output.display();
    // Before the program runs, so that nothing is learned for nothing.
    let file =
        NewFile::create(&arguments.output, UNFINISHED).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                format!("{shown} is there already: name a new file, or remove it")
            }
            _ => format!("{shown}: {error}: name a file that can be written"),
        })?;

    record(arguments, support, file)
}

fn record(arguments: &Learn, support: Support, mut file: NewFile<'_>) -> Result<u8, Wrong> {
    let machine = Machine::read();
    let name = &arguments.command[0];
    let mut nothing = Policy::default();

    nothing.unix = Unix::Any;
    nothing.keyrings = true;

    let mut rules = nothing.rules(&machine);

    // Whatever is made is told.
    rules.kinds.clear();

    let mut observer = Observer::new()?;
    let options = |number| {
        Options::default()
            .permissive(true)
            .observer(&observer, number)
    };
    let mut sandbox = rules.sandbox(support, options(RULES))?;

    sandbox.and(Rules::detecting_own_way().sandbox(support, options(OWN_WAY))?);
    note_capabilities(&sandbox);

    let mut seen = Vec::new();
    // Who sends much makes records faster than names can be asked for.
    let mut names = HashMap::new();
    let mut ways = Vec::new();
    let mut lost = 0;
    let mut command = std::process::Command::new(name);

    command.args(&arguments.command[1..]);

    let ended = program::supervise(
        sandbox,
        command,
        name,
        &mut observer,
        None,
        PATIENCE,
        |event| {
            lost += event.lost;
            if event.cookie == OWN_WAY {
                if let Asked::Right(right) = event.asked {
                    ways.push((
                        right.protocol(),
                        program_of(event).unwrap_or("a program".into()),
                    ));
                }
            } else if event.asked != Asked::Nothing {
                let program = names
                    .entry((event.thread, event.asked, event.port, event.address))
                    .or_insert_with(|| {
                        program_of(event).unwrap_or("a program that has ended".into())
                    });

                seen.push(Seen {
                    event: *event,
                    program: program.clone(),
                });
            }
            None
        },
    )?;

    if !ended.is_started {
        return Ok(ended.status);
    }

    // Who asks a server to end has seen enough.
    let failed = Some(ended.status).filter(|status| *status != 0 && !ended.is_asked);
    let own_way: Vec<Protocol> = ways.iter().map(|(protocol, _)| *protocol).collect();
    let learned = Learned::from_trace(&seen, &own_way, &machine);
    let has_left = ended.rest != Rest::Nothing;
    let text = text(arguments, &learned, failed, has_left, lost, &ways);
    let shown = arguments.output.display();

    if let Err(error) = file.replace(&text) {
        // The program may have run for long.
        tell::plain(&text);
        return Err(Wrong(format!(
            "{shown}: {error}: the policy is printed instead, so save it in another file"
        )));
    }

    if has_left {
        tell::note(&"something of the program is left, such as a process in the background, and nothing is learned from it any more: learn from a program that stays in the foreground");
    }
    if failed.is_some() || has_left || lost > 0 {
        tell::note(&format!(
            "{shown} is marked as partial: see its first lines"
        ));
    } else {
        tell::note(&format!(
            "{shown} is written: try it with portlock watch --profile {shown} -- COMMAND"
        ));
    }
    Ok(ended.status)
}

fn text(
    arguments: &Learn,
    learned: &Learned,
    failed: Option<u8>,
    has_left: bool,
    lost: u64,
    ways: &[(Protocol, String)],
) -> String {
    let words: Vec<String> = arguments
        .command
        .iter()
        .map(|word| word.to_string_lossy().replace(char::is_control, "?"))
        .collect();
    let mut text = format!("# Learned by portlock from: {}\n", words.join(" "));

    if let Some(status) = failed {
        text += &format!("# PARTIAL: the program ended with status {status}. It may need more than it came to.\n");
    }
    if has_left {
        text += "# PARTIAL: the program ended, and something of it is left, such as a process in the background. What that needs \
                 later is missing.\n";
    }
    if lost > 0 {
        text += &format!("# PARTIAL: {lost} records were lost. What they were about is missing.\n");
    }
    if learned.probes > 0 {
        text += &format!(
            "# Left out: {} probed by UDP after a look-up, which sends nothing. To refuse that is harmless.\n",
            tell::count(learned.probes, "address", "addresses")
        );
    }
    if learned.retried > 0 {
        text += &format!(
            "# Left out: {} of a port that the kernel had chosen before, to try what the machine can do.\n",
            tell::count(learned.retried, "bind", "binds")
        );
    }
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        if let Some((_, program)) = ways.iter().find(|(of, _)| *of == protocol) {
            text += &format!(
                "# {program} set an option by which a {protocol} socket chooses its own way, such as a device. Beside an \
                 address for {protocol} that is refused, so the words for {protocol} have none.\n"
            );
        }
    }
    text += "# Files, AF_UNIX sockets of others and keys were not learned: no record tells of them.\n\
             # For a socket of this machine, such as that of a database, add unix = [\"any\"] or its path.\n\n";
    text + &learned.to_toml()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_by_one_who_was_killed_is_no_policy() {
        let error = Policy::from_toml(UNFINISHED, "left").unwrap_err();

        assert!(error.to_string().starts_with("left:1"), "{error}");
    }
}
