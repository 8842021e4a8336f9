// SPDX-License-Identifier: GPL-2.0

//! Signals that are held back, on any kernel. That they are passed on is tested in `tests/guest`.

use portlock::{Machine, Options, Policy, Sandbox, Signals, Support};
use std::process::{Command, Stdio};

/// A sandbox that any kernel has.
fn sandbox() -> Sandbox {
    let policy = Policy::from_toml("restrict = ['none']\nunix = ['any']", "test").unwrap();

    policy
        .rules(&Machine::default())
        .sandbox(Support::read(), Options::default())
        .unwrap()
}

/// The set in the line of a status file that begins with this.
fn set_in(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));

    u64::from_str_radix(line.unwrap().trim(), 16).unwrap()
}

fn held_back() -> u64 {
    set_in(
        &std::fs::read_to_string("/proc/thread-self/status").unwrap(),
        "SigBlk:",
    )
}

/// What the program holds back that is started so.
fn held_back_in_program(signals: Option<&Signals>) -> u64 {
    let mut command = Command::new("cat");

    command.arg("/proc/self/status").stdout(Stdio::piped());

    let child = sandbox().spawn(command, signals).unwrap().unwrap();

    set_in(
        &String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap(),
        "SigBlk:",
    )
}

#[test]
fn signals_are_held_back_until_they_are_dropped() {
    let before = held_back();
    let signals = Signals::new().unwrap();
    let faults_and_libcs = [4, 5, 7, 8, 9, 11, 19, 31, 32, 33];
    let all = (1..=64)
        .filter(|signal| !faults_and_libcs.contains(signal))
        .fold(before, |set, signal| set | 1 << (signal - 1));

    assert_eq!(held_back(), all);
    assert_eq!(held_back_in_program(Some(&signals)), before);
    drop(signals);
    assert_eq!(held_back(), before);
}

#[test]
fn a_program_can_be_started_without_them() {
    let before = held_back();

    assert_eq!(held_back_in_program(None), before);
    assert_eq!(held_back(), before);
}

/// Runs the test of this name again in a process that these words start. Returns whether this is that process.
fn is_started_by(words: &[&str], name: &str) -> bool {
    const INNER: &str = "PORTLOCK_TEST_IS_STARTED";

    if std::env::var_os(INNER).is_some() {
        return true;
    }

    let output = Command::new(words[0])
        .args(&words[1..])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env(INNER, "1")
        .output()
        .unwrap();

    assert!(output.status.success(), "{output:?}");
    false
}

/// The kernel keeps no exit status of a child while SIGCHLD is ignored.
#[test]
fn a_program_is_waited_for_if_sigchld_was_ignored_at_the_start() {
    let name = "a_program_is_waited_for_if_sigchld_was_ignored_at_the_start";

    if !is_started_by(&["env", "--ignore-signal=CHLD"], name) {
        return;
    }

    let mut command = Command::new("cat");

    command.args(["/proc/self/status", "/no/such/file"]);
    command.stdout(Stdio::piped());

    let child = sandbox().spawn(command, None).unwrap().unwrap();
    let output = child.wait_with_output().unwrap();
    let ignored = set_in(&String::from_utf8(output.stdout).unwrap(), "SigIgn:");

    assert_eq!(output.status.code(), Some(1));
    // Its number is 17.
    assert_ne!(ignored & 1 << 16, 0, "it is not ignored in the program");
}

/// Nobody would continue it: whoever continues the program names that alone.
#[test]
fn without_a_terminal_nobody_stops_with_the_program() {
    let name = "without_a_terminal_nobody_stops_with_the_program";
    // The first thread would ignore SIGCHLD.
    let words = "setsid -w timeout -s KILL 20 env --block-signal=CHLD";

    if !is_started_by(&words.split(' ').collect::<Vec<_>>(), name) {
        return;
    }

    let mut command = Command::new("sh");
    let signals = Signals::new().unwrap();

    command.args(["-c", "kill -STOP $$; exit 7"]);

    let mut child = sandbox().spawn(command, Some(&signals)).unwrap().unwrap();
    let pid = child.id();
    let script = format!(
        "until grep -q 'T (stopped)' /proc/{pid}/status; do sleep 0.01; done; sleep 0.3; kill -CONT {pid}"
    );
    let mut other = Command::new("sh").args(["-c", &script]).spawn().unwrap();
    let status = loop {
        signals.pass_on(&child).unwrap();
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    };

    assert_eq!(status.code(), Some(7));
    assert!(other.wait().unwrap().success());
}
