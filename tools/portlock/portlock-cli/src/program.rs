// SPDX-License-Identifier: GPL-2.0

//! The program that is run: how it starts, how signals reach it, and how it ends.

use crate::{Wrong, MISTAKE};
use portlock::{Event, Observer, Policy, Rules, Sandbox, Signals};
use rustix::event::{poll, PollFd, PollFlags};
use rustix::process::{pidfd_open, Pid, PidfdFlags, Signal};
use std::collections::VecDeque;
use std::env;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// The variable that tells a program's policy to whoever may read its environment: `portlock why --pid`. It has a
/// line of flags for each sandbox, the outer one first. It is a note of the one who started it, and no proof.
pub(crate) const NOTED: &str = "PORTLOCK_POLICY";

/// The most that is noted, in bytes.
const MOST_NOTED: usize = 64 << 10;

/// The command, with the policy in its environment.
pub(crate) fn command(words: &[OsString], policy: &Policy) -> Command {
    let mut command = Command::new(&words[0]);
    let flags: Vec<String> = policy
        .flags()
        .iter()
        .map(|flag| flag.replace(['\n', '\t'], " "))
        .collect();
    let line = flags.join("\t");
    let outer = env::var(NOTED).ok();

    command.args(&words[1..]);

    let noted = outer.map_or(line.clone(), |outer| format!("{outer}\n{line}"));

    // The kernel starts no program with a variable of 128 KiB. A part of the policy would be a lie.
    if noted.len() < MOST_NOTED {
        command.env(NOTED, noted);
    } else {
        command.env_remove(NOTED);
    }
    command
}

/// Where a program is that is named as in a shell.
pub(crate) fn find(name: &OsString) -> Option<PathBuf> {
    let is_program = |path: &Path| {
        path.metadata()
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };

    if Path::new(name).components().count() > 1 {
        return std::path::absolute(name).ok();
    }
    (env::split_paths(&env::var_os("PATH")?))
        .map(|folder| folder.join(name))
        .find(|path| is_program(path))
}

/// Says so if rules about files keep the program itself out of reach.
pub(crate) fn check_reach(rules: &Rules, name: &OsString) -> Result<(), Wrong> {
    let Some(path) = find(name).filter(|_| rules.holds_files()) else {
        return Ok(());
    };
    let real = path.canonicalize().unwrap_or(path);
    let is_below = |folder: &PathBuf| {
        folder
            .canonicalize()
            .is_ok_and(|folder| real.starts_with(folder))
    };

    if rules.read.iter().chain(&rules.write).any(is_below) {
        return Ok(());
    }
    let folder = real.parent().unwrap_or(Path::new("/")).display();

    Err(Wrong(format!(
        "the program {} is out of reach itself: add --read {folder}",
        real.display()
    )))
}

/// The exit status for a program that does not start.
pub(crate) fn not_started(name: &OsString, error: &io::Error) -> (u8, String) {
    let is_there = find(name).is_some_and(|path| path.exists());
    let name = name.to_string_lossy();

    match error.kind() {
        // The kernel says so too of what a script or a binary names to run it.
        ErrorKind::NotFound if is_there => (
            127,
            format!("{name:?} is there, but what runs it is not: check the interpreter in its first line, or install its loader"),
        ),
        ErrorKind::NotFound => (127, format!("there is no program {name:?}: check the name, and PATH")),
        ErrorKind::PermissionDenied => (
            126,
            format!("{name:?} may not be run: check that it is a program, and that --read lets it and its libraries be read"),
        ),
        _ => (126, format!("{name:?} cannot be run: {error}")),
    }
}

/// Becomes the program.
pub(crate) fn become_it(sandbox: Sandbox, command: Command, name: &OsString) -> Result<u8, Wrong> {
    let (status, sentence) = not_started(name, &sandbox.exec(command)?);

    crate::tell::error(&sentence);
    Ok(status)
}

/// How a program ended.
pub(crate) struct Ended {
    /// The exit status, as env(1) and timeout(1) have it.
    pub(crate) status: u8,
    /// Whether it was there, and could be run.
    pub(crate) is_started: bool,
    /// Whether a signal that came asked it to end.
    pub(crate) is_asked: bool,
    /// What there was to tell afterwards.
    pub(crate) rest: Rest,
    /// Signals are held back until this is dropped.
    _signals: Option<Signals>,
}

/// What there is to tell once the program has ended.
#[derive(Debug, PartialEq)]
pub(crate) enum Rest {
    /// Nothing any more: all that it started has ended too.
    Nothing,
    /// Nothing yet.
    NothingYet,
    /// More than is told: processes that it left behind make more and more records.
    More,
}

/// The most records that the kernel keeps, with one that says how many were lost. What the program was refused before
/// it ended is among so many.
const MOST_KEPT: usize = 1024 + 1;

/// Where lines go.
pub(crate) struct Output<'a> {
    /// What may take nothing for a while. If there is none, it takes what it is given.
    pub(crate) fd: Option<BorrowedFd<'a>>,
    pub(crate) print: &'a mut dyn FnMut(String) -> Result<(), Wrong>,
}

/// What hears records, and the lines about them that are not printed yet.
struct Hearer<'a, H> {
    /// Returns a line to print, if any. It comes at once, while the thread of the record can be named.
    heard: H,
    output: Option<Output<'a>>,
    lines: VecDeque<String>,
}

impl<H: FnMut(&Event) -> Option<String>> Hearer<'_, H> {
    fn hear(&mut self, events: &[Event]) {
        self.lines.extend(events.iter().filter_map(&mut self.heard));
    }

    /// What has to be ready before the next line is printed.
    fn waits_for(&self) -> Option<BorrowedFd<'_>> {
        let output = self.output.as_ref()?;

        output.fd.filter(|_| !self.lines.is_empty())
    }

    fn print_one(&mut self) -> Result<(), Wrong> {
        match (&mut self.output, self.lines.pop_front()) {
            (Some(output), Some(line)) => (output.print)(line),
            _ => Ok(()),
        }
    }

    fn print_all(&mut self) -> Result<(), Wrong> {
        while !self.lines.is_empty() {
            self.print_one()?;
        }
        Ok(())
    }
}

/// Tells the records that are there, and no more than the kernel keeps, or those that come in a time.
fn tell_rest<H: FnMut(&Event) -> Option<String>>(
    observer: &mut Observer,
    patience: Duration,
    hearer: &mut Hearer<'_, H>,
) -> Result<Rest, Wrong> {
    let until = Instant::now() + patience;
    let mut count = 0;

    loop {
        let left = until.saturating_duration_since(Instant::now());

        match observer.poll()? {
            None => return Ok(Rest::Nothing),
            Some(events) if events.is_empty() && left.is_zero() => return Ok(Rest::NothingYet),
            Some(events) if events.is_empty() => {
                let mut waiting = [PollFd::new(observer, PollFlags::IN)];

                match poll(&mut waiting, Some(&left.try_into()?)) {
                    Err(rustix::io::Errno::INTR) => {}
                    other => drop(other?),
                }
            }
            Some(_) if count >= MOST_KEPT && left.is_zero() => return Ok(Rest::More),
            Some(events) => {
                count += events.len();
                hearer.hear(&events);
                hearer.print_all()?;
            }
        }
    }
}

/// Runs the program to its end, and tells `heard` each record. It returns the line that `output` prints.
///
/// No record is read while the output takes no line, so that signals reach the program all the same. The kernel counts
/// what it cannot keep meanwhile.
pub(crate) fn supervise(
    sandbox: Sandbox,
    command: Command,
    name: &OsString,
    observer: &mut Observer,
    output: Option<Output<'_>>,
    patience: Duration,
    heard: impl FnMut(&Event) -> Option<String>,
) -> Result<Ended, Wrong> {
    let signals = Signals::new()?;
    let mut child = match sandbox.spawn(command, Some(&signals))? {
        Err(error) => {
            let (status, sentence) = not_started(name, &error);

            crate::tell::error(&sentence);
            return Ok(Ended {
                status,
                is_started: false,
                is_asked: false,
                rest: Rest::Nothing,
                _signals: None,
            });
        }
        Ok(child) => child,
    };
    let mut hearer = Hearer {
        heard,
        output,
        lines: VecDeque::new(),
    };
    let came = wait(&child, &signals, observer, &mut hearer)?;
    let mut count = 0;

    // As long as nobody has waited for it, it can be named.
    while let Some(events) = observer.poll()?.filter(|events| !events.is_empty()) {
        count += events.len();
        hearer.hear(&events);
        if count >= MOST_KEPT {
            break;
        }
    }

    let status = child.wait()?;
    let is_asked = is_asked(status, &came);

    // There is nobody any more to pass signals on to, and to tell the rest may take long.
    let signals = Some(signals).filter(|_| !patience.is_zero());

    hearer.print_all()?;

    let rest = tell_rest(observer, patience, &mut hearer)?;
    let status = match status.signal() {
        Some(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        None => status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(MISTAKE),
    };

    Ok(Ended {
        status,
        is_started: true,
        is_asked,
        rest,
        _signals: signals,
    })
}

/// Whether a program that ended so did what one of the signals that came asks for: it died of it, or it ended by
/// itself after one that asks a program to end. Others, such as SIGUSR1, are no reason for a later failure.
fn is_asked(status: ExitStatus, came: &[i32]) -> bool {
    match status.signal() {
        Some(signal) => came.contains(&signal),
        None => [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM]
            .iter()
            .any(|signal| came.contains(&signal.as_raw())),
    }
}

/// Returns when the child has ended, with the numbers of the signals that came for it.
fn wait<H: FnMut(&Event) -> Option<String>>(
    child: &Child,
    signals: &Signals,
    observer: &mut Observer,
    hearer: &mut Hearer<'_, H>,
) -> Result<Vec<i32>, Wrong> {
    let pid = Pid::from_child(child);
    let ended = pidfd_open(pid, PidfdFlags::empty())?;
    let mut is_observing = true;
    let mut came = Vec::new();

    loop {
        let [has_signal, has_ended, can_go_on] = {
            let mut waiting = vec![
                PollFd::new(signals, PollFlags::IN),
                PollFd::new(&ended, PollFlags::IN),
            ];

            let output = hearer.waits_for();

            match &output {
                // One line at a time: a pipe that is ready takes one without waiting.
                Some(output) => waiting.push(PollFd::new(output, PollFlags::OUT)),
                // Once nobody writes records any more, the observer is always ready.
                None if is_observing => waiting.push(PollFd::new(observer, PollFlags::IN)),
                None => {}
            }
            match poll(&mut waiting, None) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other?,
            };

            [0, 1, 2].map(|at| {
                waiting
                    .get(at)
                    .is_some_and(|waiting| !waiting.revents().is_empty())
            })
        };

        if can_go_on && hearer.waits_for().is_some() {
            hearer.print_one()?;
        } else if can_go_on {
            match observer.poll()? {
                Some(events) => hearer.hear(&events),
                None => is_observing = false,
            }
            if hearer.waits_for().is_none() {
                hearer.print_all()?;
            }
        }
        // What ended the program may have come here a moment later.
        if has_signal || has_ended {
            came.extend(signals.pass_on(child)?);
        }
        if has_ended {
            return Ok(came);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portlock::{Machine, Options, Support};
    use std::cell::Cell;
    use std::io::Write;
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::net::UnixStream;

    /// Records as the kernel writes them, all about a connection to port 443, and the observer that they come from.
    fn observer() -> (UnixStream, Observer) {
        let (writer, reader) = UnixStream::pair().unwrap();

        (writer, Observer::from(OwnedFd::from(reader)))
    }

    fn record() -> Vec<u8> {
        let mut bytes = vec![0; 88];

        // The size, the right and the port.
        for (at, value) in [(0, 88), (32, 2), (64, 443)] {
            bytes[at..at + 4].copy_from_slice(&u32::to_ne_bytes(value));
        }
        bytes
    }

    /// A sandbox that any kernel has, and a program of the shell.
    fn program(script: &str) -> (Sandbox, Command) {
        let policy = Policy::from_toml("restrict = ['none']\nunix = ['any']", "test").unwrap();
        let rules = policy.rules(&Machine::default());
        let sandbox = rules.sandbox(Support::read(), Options::default());
        let mut command = Command::new("sh");

        command.args(["-c", script]);
        (sandbox.ok().unwrap(), command)
    }

    /// Runs it with nothing to print.
    fn ended(
        (sandbox, command): (Sandbox, Command),
        observer: &mut Observer,
        patience: Duration,
        mut heard: impl FnMut(),
    ) -> Ended {
        let name = command.get_program().to_owned();
        let heard = |_: &Event| {
            heard();
            None
        };

        supervise(sandbox, command, &name, observer, None, patience, heard)
            .ok()
            .unwrap()
    }

    #[test]
    fn what_cannot_be_told_yet_waits_and_nothing_waits_for_it() {
        let (mut output, _reader) = UnixStream::pair().unwrap();
        let (mut writer, mut observer) = observer();
        let (sandbox, command) = program("sleep 0.3; exit 3");
        let began = Instant::now();
        let (mut heard, told) = (0, Cell::new(0));

        output.set_nonblocking(true).unwrap();
        while output.write(&[0; 4096]).is_ok() {}
        writer.write_all(&record().repeat(3)).unwrap();
        drop(writer);

        let ended = supervise(
            sandbox,
            command,
            &"sh".into(),
            &mut observer,
            Some(Output {
                fd: Some(output.as_fd()),
                print: &mut |_| {
                    assert!(began.elapsed() > Duration::from_millis(300));
                    told.set(told.get() + 1);
                    Ok(())
                },
            }),
            Duration::ZERO,
            |_| {
                // While they wait, threads may end that have a name now.
                assert_eq!(told.get(), 0);
                heard += 1;
                Some("refused".to_owned())
            },
        );

        let ended = ended.ok().unwrap();

        assert!(ended.is_started);
        assert_eq!(ended.status, 3);
        assert_eq!((heard, told.get()), (3, 3));
    }

    #[test]
    fn the_end_is_not_delayed_by_what_is_left_behind() {
        let (mut writer, mut observer) = observer();
        let mut told = 0;

        writer.write_all(&record()).unwrap();

        let ended = ended(program("exit 3"), &mut observer, Duration::ZERO, || {
            // Whenever it is refused, it tries again.
            writer.write_all(&record()).unwrap();
            told += 1;
            assert!(told < 1_000_000, "this goes on for ever");
        });

        assert_eq!(ended.status, 3);
        assert_eq!(ended.rest, Rest::More);
        assert!(told >= MOST_KEPT);
    }

    #[test]
    fn a_program_that_leaves_processes_behind_is_known() {
        let rest_of = |writer: Option<UnixStream>, mut observer: Observer| {
            let patience = Duration::from_millis(50);
            let mut told = 0;
            let ended = ended(program("exit 0"), &mut observer, patience, || told += 1);

            drop(writer);
            (ended.rest, told)
        };
        let (mut writer, reader) = observer();

        writer.write_all(&record()).unwrap();
        assert_eq!(rest_of(Some(writer), reader), (Rest::NothingYet, 1));

        let (mut writer, reader) = observer();

        writer.write_all(&record()).unwrap();
        drop(writer);
        assert_eq!(rest_of(None, reader), (Rest::Nothing, 1));
    }

    #[test]
    fn a_program_that_is_not_there_is_not_started() {
        let (_writer, mut observer) = observer();
        let (sandbox, _) = program("exit 3");
        let missing = (sandbox, Command::new("/no/such/program"));
        let ended = ended(missing, &mut observer, Duration::ZERO, || {});

        assert!(!ended.is_started);
        assert_eq!(ended.status, 127);
    }

    #[test]
    fn only_a_signal_that_asks_for_an_end_is_a_reason_for_one() {
        // As wait(2) has them: what it died of, or what it returned.
        let died = ExitStatus::from_raw;
        let returned = |status: i32| ExitStatus::from_raw(status << 8);
        let (hup, int, usr1, segv, term) = (1, 2, 10, 11, 15);

        for signal in [hup, int, usr1, term] {
            assert!(is_asked(died(signal), &[28, signal]), "{signal}");
            assert!(!is_asked(died(segv), &[signal]), "{signal}");
            assert!(!is_asked(died(signal), &[]), "{signal}");
            assert_eq!(is_asked(returned(1), &[signal]), signal != usr1, "{signal}");
        }
        assert!(!is_asked(returned(1), &[]));
    }
}
