// SPDX-License-Identifier: GPL-2.0

//! What `portlock why` answers, with its status.

use std::process::Command;

/// The words of a policy, the question, the status, and a part of the answer.
const QUESTIONS: &[(&[&str], &[&str], i32, &str)] = &[
    (
        &["--connect", "tcp:443"],
        &["connect", "tcp:192.0.2.1:443"],
        0,
        "connect tcp 192.0.2.1 port 443: allowed by --connect tcp:443",
    ),
    (
        &["--connect", "tcp:443"],
        &["connect", "tcp:80"],
        1,
        "refused by this policy: add --connect tcp:80",
    ),
    // A right on an open socket is one whatever the port, and on no other socket.
    (
        &["--accept", "tcp:80", "--opened", "3"],
        &["accept", "tcp:8080"],
        0,
        "accept tcp * port 8080: allowed on the open socket 3 only, by --opened 3, if it suits that socket",
    ),
    (
        &["--opened", "3:accept-tcp"],
        &["accept", "tcp:8080"],
        0,
        "allowed on the open socket 3 only, by --opened 3:accept-tcp (this policy)",
    ),
    (
        &["--opened", "3:accept-tcp"],
        &["send", "tcp:8080"],
        1,
        "refused by this policy: add --send tcp:8080",
    ),
    // It may not bind, listen again or connect.
    (
        &["--opened", "3"],
        &["serve", "tcp:8080"],
        1,
        "bind tcp * port 8080: refused by this policy: add --serve tcp:8080",
    ),
    // A server of UDP that cannot answer is none.
    (
        &["--bind", "udp:53", "--receive", "udp:53"],
        &["serve", "udp:53"],
        1,
        "to answer a client: refused by this policy: add --serve udp:53",
    ),
    (&["--serve", "udp:53"], &["serve", "udp:53"], 0, "to answer a client: allowed by --serve udp:53"),
    (
        &["--serve", "udp:127.0.0.1:53"],
        &["serve", "udp:127.0.0.1:53"],
        0,
        "to answer a client: allowed by --serve udp:127.0.0.1:53",
    ),
    (
        &["--restrict", "bind-tcp"],
        &["serve", "udp:53"],
        0,
        "allowed, since this policy does not restrict it",
    ),
    // The kernel binds a client of UDP to port 0 and the wildcard of its family.
    (
        &["--send", "udp:10.0.0.1:53", "--bind", "udp:0.0.0.0,[::]:0", "--receive", "udp:0"],
        &["connect", "udp:10.0.0.1:53"],
        0,
        "bind udp 0.0.0.0 port 0: allowed by --bind udp:0.0.0.0,[::]:0",
    ),
    (
        &["--send", "udp:any:53", "--bind", "udp:0.0.0.0,[::]:0", "--receive", "udp:0"],
        &["connect", "udp:53"],
        0,
        "bind udp :: port 0: allowed by --bind udp:0.0.0.0,[::]:0",
    ),
    (
        &["--send", "udp:any:53", "--bind", "udp:0.0.0.0:0", "--receive", "udp:0"],
        &["connect", "udp:[2001:db8::1]:53"],
        1,
        "bind udp :: port 0: refused by this policy",
    ),
    (
        &["--send", "udp:any:53", "--bind", "udp:127.0.0.1:0", "--receive", "udp:0"],
        &["connect", "udp:10.0.0.1:53"],
        1,
        "bind udp 0.0.0.0 port 0: refused by this policy",
    ),
    // A server that binds port 0 listens on the port that the kernel chose.
    (
        &["--bind", "tcp:0", "--listen", "tcp:0", "--accept", "tcp:0", "--send", "tcp:0", "--receive", "tcp:0"],
        &["serve", "tcp:0"],
        1,
        "which the kernel may choose: refused by this policy: add --serve tcp:0",
    ),
    (
        &["--bind", "tcp:0", "--listen", "tcp:1024-65535", "--accept", "tcp:*", "--send", "tcp:*", "--receive", "tcp:*"],
        &["serve", "tcp:0"],
        0,
        "which the kernel may choose: allowed by --listen tcp:1024-65535",
    ),
    // Any of them, not only one.
    (
        &["--bind", "tcp:0", "--listen", "tcp:50000-65535", "--accept", "tcp:*", "--send", "tcp:*", "--receive", "tcp:*"],
        &["serve", "tcp:0"],
        1,
        "which the kernel may choose: refused by this policy: add --serve tcp:0",
    ),
    (&["--serve", "tcp:0"], &["serve", "tcp:0"], 0, "bind tcp * port 0: allowed by --serve tcp:0"),
    (
        &["--serve", "tcp:0"],
        &["serve", "tcp:0"],
        0,
        "which the kernel may choose: allowed by --serve tcp:0",
    ),
    // A UDP socket whose port the kernel chose receives at port 0.
    (&["--serve", "udp:0"], &["serve", "udp:0"], 0, "receive udp * port 0: allowed by --serve udp:0"),
    (&[], &["create", "inet:dgram:icmp"], 1, "refused by this policy: add --create inet:dgram:icmp"),
];

#[test]
fn each_question_gets_an_answer_and_a_status() {
    for (words, question, status, part) in QUESTIONS {
        let output = Command::new(env!("CARGO_BIN_EXE_portlock"))
            .arg("why")
            .args(*words)
            .args(*question)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);

        assert_eq!(
            output.status.code(),
            Some(*status),
            "{words:?} {question:?}: {said}"
        );
        assert!(said.contains(part), "{words:?} {question:?}: {said}");
    }
}

/// What is said of a process with this note in its environment, and the status.
fn said_of(note: &str, question: &[&str]) -> (String, Option<i32>) {
    let mut program = Command::new("sleep")
        .arg("60")
        .env("PORTLOCK_POLICY", note)
        .spawn()
        .unwrap();
    let environ = format!("/proc/{}/environ", program.id());

    // It is there a moment after the program is.
    while std::fs::read(&environ).unwrap().is_empty() {
        std::thread::yield_now();
    }

    let output = Command::new(env!("CARGO_BIN_EXE_portlock"))
        .args(["why", "--pid", &program.id().to_string()])
        .args(question)
        .output()
        .unwrap();

    program.kill().unwrap();
    program.wait().unwrap();
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        output.status.code(),
    )
}

// A policy without a word has no flags, and so an empty line.
#[test]
fn an_empty_policy_of_a_program_refuses() {
    for (note, refusing) in [
        ("", "sandbox 1"),
        ("--connect\ttcp:443\n", "sandbox 2"),
        ("\n--connect\ttcp:443", "sandbox 1"),
    ] {
        for question in [
            ["connect", "tcp:192.0.2.1:443"],
            ["create", "netlink:raw:audit"],
        ] {
            let (said, status) = said_of(note, &question);

            assert_eq!(status, Some(1), "{note:?} {question:?}: {said}");
            assert!(
                said.contains(&format!("refused by {refusing}")),
                "{note:?} {question:?}: {said}"
            );
        }
    }
    assert_eq!(
        said_of(
            "--connect\ttcp:443\n--connect\ttcp:*",
            &["connect", "tcp:443"]
        )
        .1,
        Some(0)
    );
}
