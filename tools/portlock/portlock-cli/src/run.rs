// SPDX-License-Identifier: GPL-2.0

//! `portlock run` and `portlock watch`.

use crate::arguments::{How, Run, Watch};
use crate::new_file::NewFile;
use crate::program::Rest;
use crate::{explain, program, tell, Wrong};
use portlock::{
    Advice, Asked, Event, Inherited, Machine, Observer, Options, Rules, Sandbox, Support, Unix,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

/// Prints what a person should know of a policy.
fn print_notes(rules: &Rules) {
    for note in &rules.notes {
        tell::note(&note.text);
    }
}

/// Says so if a service cannot tell its manager that it is ready.
fn check_notify_socket(rules: &Rules) {
    let (Unix::Below(paths), Some(socket)) = (&rules.unix, std::env::var_os("NOTIFY_SOCKET"))
    else {
        return;
    };

    if !paths
        .iter()
        .any(|path| Path::new(&socket).starts_with(path))
    {
        let socket = socket.to_string_lossy();
        let path = if socket.starts_with('@') {
            "any"
        } else {
            &socket
        };

        tell::note(&format!("NOTIFY_SOCKET ({socket}) is out of reach for the program: add --unix {path} if it tells there that it is ready."));
    }
}

/// Says so if the program does not get all that this process may do.
pub(crate) fn note_capabilities(sandbox: &Sandbox) {
    if sandbox.takes_capabilities() {
        tell::note(&"CAP_NET_ADMIN and CAP_NET_RAW are taken away, since they lead around rules about addresses.");
    }
}

fn prepare(
    rules: &Rules,
    how: &How,
    command: &OsString,
    options: Options<'_>,
) -> Result<Sandbox, Wrong> {
    if !how.quiet {
        print_notes(rules);
        check_notify_socket(rules);
    }
    let sandbox = rules.sandbox(Support::read(), options.best_effort(how.best_effort))?;

    program::check_reach(rules, command)?;

    if !how.quiet {
        note_capabilities(&sandbox);
    }
    if portlock::has_root_capabilities() && !how.quiet {
        tell::note(&"the program keeps capabilities of root, by which it can leave any sandbox: run it as a user.");
    }
    // Never quietly.
    for part in &sandbox.dropped {
        tell::note(&format!(
            "dropped, since this kernel cannot enforce it: {part}"
        ));
    }
    Ok(sandbox)
}

/// The open sockets that lead around the rules, a line each.
fn inherited_words(rules: &Rules) -> String {
    match rules.inherited() {
        Ok(all) => (all.iter())
            .map(|socket| format!("open now: {}\n", socket.text))
            .collect(),
        Err(error) => format!("open sockets cannot be seen in /proc/self/fd ({error})\n"),
    }
}

/// Checks the open sockets, before a file of this program gets the number of one that is missing.
fn check_sockets(rules: &Rules, how: &How) -> Result<(), Wrong> {
    for opened in &rules.opened {
        opened.granted()?;
    }

    let inherited = match rules.inherited() {
        Err(error) if how.best_effort => {
            tell::note(&format!(
                "dropped: open sockets are passed on unseen, since /proc/self/fd cannot be read ({error})"
            ));
            return Ok(());
        }
        other => other.map_err(|error| {
            format!("open sockets cannot be seen in /proc/self/fd ({error}): mount /proc, or add --best-effort")
        })?,
    };

    for Inherited {
        fd,
        text,
        is_refused,
        is_known,
    } in inherited
    {
        let fix = if is_known {
            format!("close it with {fd}<&-, or name it with --opened {fd}")
        } else {
            format!("close it with {fd}<&-, or allow getsockopt(2) on it in the sandbox around this one")
        };

        if is_refused && !how.best_effort {
            return Err(Wrong(format!("the program would inherit {text}: {fix}")));
        }
        // Whoever starts a program chooses its standard streams.
        if is_refused || fd > 2 && !how.quiet {
            tell::note(&format!("the program inherits {text}: {fix}"));
        }
    }
    Ok(())
}

/// Whether something else knows this process by its number, so that it has to become the program.
fn is_known_by_number() -> bool {
    ["LISTEN_PID", "NOTIFY_SOCKET", "WATCHDOG_PID"]
        .iter()
        .any(|name| std::env::var_os(name).is_some())
        || std::process::id() == 1
}

pub(crate) fn run(arguments: &Run) -> Result<u8, Wrong> {
    let policy = arguments.words.policy()?;
    let machine = Machine::read();
    let rules = policy.rules(&machine);

    if arguments.explain {
        let text = if arguments.json {
            explain::json(&policy, &rules).to_string()
        } else {
            (rules.explain() + &inherited_words(&rules))
                .trim_end()
                .to_owned()
        };

        // Beside a program, standard output is the program's.
        if arguments.command.is_empty() {
            say!("{text}");
            if !arguments.json {
                print_notes(&rules);
            }
        } else {
            tell::plain(&text);
        }
    }

    let Some(name) = arguments.command.first() else {
        if arguments.explain {
            return Ok(0);
        }
        return Err(Wrong(
            "there is no program to run: write -- and the program after the flags".into(),
        ));
    };

    check_sockets(&rules, &arguments.how)?;

    let command = program::command(&arguments.command, &policy);

    if arguments.exec
        || arguments.how.quiet
        || Support::read().portlock == 0
        || is_known_by_number()
    {
        let sandbox = prepare(&rules, &arguments.how, name, Options::default())?;

        return program::become_it(sandbox, command, name);
    }

    let mut observer = Observer::new()?;
    let sandbox = prepare(
        &rules,
        &arguments.how,
        name,
        Options::default().observer(&observer, 0),
    )?;
    let mut summary = Summary::default();
    let ended = program::supervise(
        sandbox,
        command,
        name,
        &mut observer,
        None,
        Duration::ZERO,
        |event| {
            summary.add(event, &rules, &machine);
            None
        },
    )?;

    match summary.text() {
        Some(text) => tell::refused(&text),
        None => note_untold(&rules, &ended, &summary.probes),
    }
    Ok(ended.status)
}

/// The refusals that are not told one by one: connections that look like probes after a look-up.
#[derive(Default)]
struct Probes {
    count: u64,
    /// The flag for the first one that may be more than a probe.
    flag: Option<String>,
}

impl Probes {
    fn add(&mut self, event: &Event, rules: &Rules, machine: &Machine) {
        self.count += 1;
        // Nothing can be sent to port 0.
        if self.flag.is_none() && event.port != 0 {
            if let Some(Advice::Flag(flag)) = rules.advice_about(event, machine) {
                self.flag = Some(flag);
            }
        }
    }
}

/// Says what may be why the program failed, if nothing was told that is: probes, and what no record tells of.
fn note_untold(rules: &Rules, ended: &program::Ended, probes: &Probes) {
    // A program that is not there or cannot be run was told of, by whoever tried to run it.
    let has_failed = !matches!(ended.status, 0 | 126 | 127) && !ended.is_asked;

    if let Some(text) = untold_text(rules.untold(), probes).filter(|_| has_failed) {
        tell::note(&text);
    }
}

fn untold_text(untold: Option<String>, probes: &Probes) -> Option<String> {
    if untold.is_none() && probes.count == 0 {
        return None;
    }

    let mut text = "it failed, and nothing that can be told was refused".to_owned();

    if probes.count > 0 {
        text += " but ";
        text += &tell::count(
            probes.count,
            "connection over UDP that looks like a probe after a look-up",
            "connections over UDP that look like probes after a look-up",
        );
    }
    text += ".";
    if let Some(flag) = &probes.flag {
        text += &format!(" If the program sends something there, add {flag}.");
    }
    if let Some(untold) = untold {
        text += &format!(" Of {untold} the kernel does not tell: try these flags.");
    }
    Some(text)
}

/// What was refused in all.
#[derive(Default)]
struct Summary {
    count: u64,
    has_lookup: bool,
    /// Whether one may have begun.
    has_perhaps: bool,
    first: Option<String>,
    probes: Probes,
}

impl Summary {
    fn add(&mut self, event: &Event, rules: &Rules, machine: &Machine) {
        self.count += event.lost;
        if event.asked == Asked::Nothing {
            return;
        }
        if event.is_probe(rules, machine) {
            return self.probes.add(event, rules, machine);
        }
        self.count += 1;
        self.has_lookup |= event.is_lookup(machine);
        self.has_perhaps |= rules.may_begin_lookup(event);
        if self.first.is_none() {
            self.first = event.words();
        }
    }

    fn text(&self) -> Option<String> {
        if self.count == 0 {
            return None;
        }

        let first = self.first.as_deref().unwrap_or("lost records");
        let times = tell::count(self.count, "access was refused", "accesses were refused");

        Some(if self.has_lookup {
            format!("{times}, and a look-up of a name was among them: add --dns; portlock watch shows each")
        } else if self.has_perhaps {
            format!("{times}, the first to {first}, perhaps a look-up of a name: add --dns; portlock watch shows each")
        } else {
            format!("{times}, the first to {first}: portlock watch shows each, with the flag that allows it")
        })
    }
}

pub(crate) fn watch(arguments: &Watch) -> Result<u8, Wrong> {
    let policy = arguments.words.policy()?;
    let machine = Machine::read();
    let rules = policy.rules(&machine);

    check_sockets(&rules, &arguments.how)?;

    let name = &arguments.command[0];
    let support = Support::read();

    if support.portlock == 0 {
        return Err(Wrong(
            "this kernel cannot tell what it refuses: boot a kernel with Portlock (portlock show says what this one has)"
                .into(),
        ));
    }

    let mut file = match &arguments.output {
        None => None,
        Some(path) => Some(
            NewFile::create(path, "")
                .map_err(|error| format!("{}: {error}: name a new file", path.display()))?,
        ),
    };
    let mut observer = Observer::new()?;
    let options = Options::default()
        .permissive(arguments.trial)
        .observer(&observer, 0);
    let sandbox = prepare(&rules, &arguments.how, name, options)?;
    let command = program::command(&arguments.command, &policy);
    let mut teller = Teller {
        rules: &rules,
        machine: &machine,
        is_trial: arguments.trial,
        probes: BTreeMap::new(),
        refused_probes: Probes::default(),
        lost: 0,
        has_told: false,
    };
    let mut print = |text: String| -> Result<(), Wrong> {
        let written = file.as_mut().map(|file| file.add(&text));

        // The program runs on, and somebody has to wait for it.
        if let Some(Err(error)) = &written {
            tell::note(&format!(
                "the file takes no more ({error}): the rest is told here"
            ));
            file = None;
        }
        match file {
            Some(_) => {}
            None if arguments.json => tell::plain(&text),
            None => tell::refused(&text),
        }
        Ok(())
    };
    // A terminal may be stopped, and a pipe full. A file takes what it is given.
    let stderr = std::io::stderr();
    let output = program::Output {
        fd: arguments.output.is_none().then_some(stderr.as_fd()),
        print: &mut print,
    };
    let ended = program::supervise(
        sandbox,
        command,
        name,
        &mut observer,
        Some(output),
        Duration::ZERO,
        |event| {
            if arguments.json {
                teller.object(event)
            } else {
                teller.line(event)
            }
        },
    )?;

    if !arguments.json {
        for text in teller.end(ended.rest == Rest::More) {
            print(text)?;
        }
        if !teller.has_told && teller.lost == 0 && !arguments.how.quiet {
            note_untold(&rules, &ended, &teller.refused_probes);
        }
    }
    // An empty one says that nothing was refused.
    if let Some(file) = file.as_mut().filter(|_| ended.is_started) {
        file.keep();
    }
    Ok(ended.status)
}

/// Tells records in words.
struct Teller<'a> {
    rules: &'a Rules,
    machine: &'a Machine,
    is_trial: bool,
    /// How many probes of a look-up each program made.
    probes: BTreeMap<String, u64>,
    /// Those of them that were refused.
    refused_probes: Probes,
    lost: u64,
    has_told: bool,
}

/// The name of the program that a thread runs.
pub(crate) fn program_of(event: &Event) -> Option<String> {
    let comm = std::fs::read_to_string(format!("/proc/{}/comm", event.thread?)).ok()?;

    // It may be anything but a line.
    Some(
        comm.trim_end()
            .chars()
            .map(|c| if c.is_control() { '?' } else { c })
            .collect(),
    )
}

impl Teller<'_> {
    fn who(event: &Event) -> String {
        match (program_of(event), event.thread) {
            (Some(name), Some(thread)) => format!("{name}[{thread}]"),
            (_, Some(thread)) => format!("thread {thread}"),
            _ => "a thread of another namespace".into(),
        }
    }

    fn line(&mut self, event: &Event) -> Option<String> {
        self.lost += event.lost;
        if event.is_probe(self.rules, self.machine) {
            *self
                .probes
                .entry(program_of(event).unwrap_or("a program".into()))
                .or_default() += 1;
            if !self.is_trial {
                self.refused_probes.add(event, self.rules, self.machine);
            }
            return None;
        }

        let words = event.words()?;

        self.has_told = true;

        let refused = if self.is_trial {
            "would be refused"
        } else {
            "refused"
        };
        let advice = match self.rules.advice_about(event, self.machine) {
            Some(Advice::Flag(flag)) => format!(": add {flag}"),
            Some(Advice::Nothing(reason)) => format!(": {reason}"),
            None => String::new(),
        };

        Some(format!(
            "{}: {refused} to {words}{advice}",
            Self::who(event)
        ))
    }

    fn object(&mut self, event: &Event) -> Option<String> {
        let (flag, reason) = match self.rules.advice_about(event, self.machine) {
            Some(Advice::Flag(flag)) => (Some(flag), None),
            Some(Advice::Nothing(reason)) => (None, Some(reason)),
            None => (None, None),
        };
        let kind = event.kind().map(|kind| kind.to_string());
        let right = match event.asked {
            Asked::Right(right) => Some(right.to_string()),
            Asked::Create => Some("create".into()),
            _ => None,
        };

        Some(
            json!({
                "id": event.id,
                "lost": event.lost,
                "refused": right,
                "trial": event.is_permissive,
                "thread": event.thread,
                "program": program_of(event),
                "socket": kind,
                "port": event.port,
                "address": event.address.map(|address| address.to_string()),
                "probe": event.is_probe(self.rules, self.machine),
                "flag": flag,
                "reason": reason,
            })
            .to_string(),
        )
    }

    /// What is said at the end. `has_more` is whether there were records that were not told.
    fn end(&self, has_more: bool) -> Vec<String> {
        let mut all: Vec<String> = (self.probes.iter())
            .map(|(name, count)| {
                let times = tell::count(*count, "address was", "addresses were");

                format!("{name}: {times} probed by UDP after a look-up, which sends nothing: refused, and harmless")
            })
            .collect();

        if self.lost > 0 {
            let lost = tell::count(self.lost, "record was", "records were");

            all.push(format!(
                "{lost} lost: the program was refused more than could be told"
            ));
        }
        if has_more {
            all.push(
                "processes that the program left behind are refused more and more: that is not told".into(),
            );
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portlock::{Policy, Right};

    #[test]
    fn refused_probes_are_named_if_nothing_else_is() {
        let policy = Policy::from_toml("connect = ['tcp:192.0.2.1:443']", "test").unwrap();
        let machine = Machine::default();
        let rules = policy.rules(&machine);
        let mut event = Event::new(Asked::Right(Right::ConnectSendUdp));
        let mut summary = Summary::default();
        let told = |summary: &Summary| untold_text(rules.untold(), &summary.probes).unwrap();

        assert!(told(&summary).contains("nothing that can be told was refused. Of AF_UNIX"));
        assert_eq!(untold_text(None, &summary.probes), None);

        event.address = Some([192, 0, 2, 1].into());
        summary.add(&event, &rules, &machine);
        event.port = 443;
        summary.add(&event, &rules, &machine);
        assert_eq!(summary.text(), None);

        let text = told(&summary);

        for part in [
            "refused but 2 connections over UDP that look like probes after a look-up.",
            " add --connect udp:192.0.2.1:443. Of AF_UNIX",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
