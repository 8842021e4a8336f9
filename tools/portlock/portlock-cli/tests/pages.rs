// SPDX-License-Identifier: GPL-2.0

//! Help, manual pages and completions: all from one source.

use std::process::Command;

fn printed(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_portlock"))
        .args(arguments)
        .output()
        .unwrap();

    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

const COMMANDS: [&str; 7] = ["run", "watch", "learn", "check", "why", "show", "resolve"];

#[test]
fn each_command_has_help_and_most_have_examples() {
    for command in COMMANDS {
        let help = printed(&[command, "--help"]);

        assert!(help.contains("Usage: portlock"), "{command}");
        assert!(command == "show" || help.contains("Example"), "{command}");
        assert!(
            !help.contains('\u{1b}'),
            "{command}: colour without a terminal"
        );
    }
    assert!(printed(&["--help"])
        .contains("portlock run --serve tcp:8080 -- python3 -m http.server 8080"));
}

#[test]
fn each_command_has_a_manual_page() {
    let folder = std::env::temp_dir().join(format!("portlock-man-{}", std::process::id()));

    printed(&["man", folder.to_str().unwrap()]);
    for command in COMMANDS {
        let page = std::fs::read_to_string(folder.join(format!("portlock-{command}.1"))).unwrap();

        assert!(page.contains(".SH SYNOPSIS"), "{command}");
    }
    assert!(std::fs::read_to_string(folder.join("portlock-run.1"))
        .unwrap()
        .contains("\\-\\-connect"));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn shells_complete_each_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = printed(&["completions", shell]);

        assert!(
            COMMANDS.iter().all(|command| script.contains(command)),
            "{shell}"
        );
    }
}

#[test]
fn who_closes_the_output_breaks_nothing() {
    use std::os::{fd::OwnedFd, unix::net::UnixStream};

    for arguments in [
        &["completions", "bash"][..],
        &["show"],
        &["run", "--explain", "--dns"],
        &["rum"],
    ] {
        let (reader, writer) = UnixStream::pair().unwrap();
        let errors = writer.try_clone().unwrap();

        drop(reader);

        let status = Command::new(env!("CARGO_BIN_EXE_portlock"))
            .args(arguments)
            .stdout(OwnedFd::from(writer))
            .stderr(OwnedFd::from(errors))
            .status()
            .unwrap();

        assert!(
            [Some(0), Some(125)].contains(&status.code()),
            "{arguments:?}: {status}"
        );
    }
}

#[test]
fn the_explanation_is_also_json() {
    let text = printed(&[
        "run",
        "--explain",
        "--json",
        "--connect",
        "tcp:any,!private:443",
    ]);
    let object: serde_json::Value = serde_json::from_str(&text).unwrap();

    assert_eq!(object["flags"][1], "tcp:any,!private:443");
    // The number of prefixes is that of the exceptions, by hand: see the test of ranges.
    assert!(object["rules"][0]["prefixes"].as_array().unwrap().len() > 40);
    assert!(object["notes"][0]
        .as_str()
        .unwrap()
        .contains("still reaches this machine"));
}

#[test]
fn the_json_says_all_that_the_words_say() {
    let explain = |flags: &[&str]| -> serde_json::Value {
        let arguments = [&["run", "--explain", "--json"], flags].concat();

        serde_json::from_str(&printed(&arguments)).unwrap()
    };
    let object = explain(&[
        "--opened",
        "3",
        "--opened",
        "4:accept-tcp",
        "--read",
        "/usr",
        "--write",
        "/tmp",
        "--unix",
        "/run/dbus",
        "--keyrings",
        "--restrict",
        "bind-tcp,connect-tcp",
    ]);

    assert_eq!(
        object["opened"],
        serde_json::json!([{ "fd": 3, "rights": null }, { "fd": 4, "rights": ["accept-tcp"] }])
    );
    assert_eq!(
        object["files"],
        serde_json::json!({ "read": ["/usr"], "write": ["/tmp"] })
    );
    assert_eq!(object["unix"], serde_json::json!(["/run/dbus"]));
    assert_eq!(object["keys"], "allowed");

    let free: Vec<&str> = (object["not_restricted"].as_array().unwrap().iter())
        .filter_map(serde_json::Value::as_str)
        .collect();

    assert_eq!(free.len(), 14);
    assert!(
        free.contains(&"create") && free.contains(&"listen-tcp") && !free.contains(&"bind-tcp")
    );

    let nothing = explain(&["--unix", "any"]);

    assert_eq!(nothing["files"], serde_json::Value::Null);
    assert_eq!(
        (&nothing["unix"], &nothing["keys"]),
        (&"any".into(), &"refused".into())
    );
    assert_eq!(nothing["not_restricted"], serde_json::json!([]));
}
