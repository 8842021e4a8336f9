// SPDX-License-Identifier: GPL-2.0

//! How the program is started, on any kernel. With a kernel of Portlock's, the tests of `tests/guest` do more.

use std::process::Command;

/// What a program that is started so says of the signals that it ignores.
fn ignored(start: &str) -> u64 {
    let script = format!("{start} grep SigIgn /proc/self/status");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let line = String::from_utf8(output.stdout).unwrap();

    u64::from_str_radix(line.trim_start_matches("SigIgn:").trim(), 16).unwrap()
}

#[test]
fn what_was_ignored_stays_ignored_and_nothing_else() {
    let run = concat!(
        env!("CARGO_BIN_EXE_portlock"),
        " run --restrict none --unix any --exec --"
    );
    // The numbers of SIGUSR1 and SIGPIPE are 10 and 13.
    let (usr1, pipe) = (1 << 9, 1 << 12);
    let bare = ignored("exec") & !(usr1 | pipe);

    assert_eq!(
        ignored(&format!("trap '' USR1 PIPE; exec {run}")),
        bare | usr1 | pipe
    );
    assert_eq!(ignored(&format!("trap '' USR1; exec {run}")), bare | usr1);
}
