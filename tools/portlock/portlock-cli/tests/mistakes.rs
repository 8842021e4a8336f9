// SPDX-License-Identifier: GPL-2.0

//! Mistakes: each gets one sentence that names the fix, exit status 125, and nothing is run.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Output};

fn portlock<S: AsRef<OsStr>>(arguments: &[S]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portlock"))
        .args(arguments)
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

/// A folder of a test, with a file that only a program can make which was run.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("portlock-{name}-{}", std::process::id()));

        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// Gives portlock `arguments` and a program that leaves a mark. Returns what portlock did, and whether the program
    /// was run.
    fn run(&self, arguments: &[&str]) -> (Output, bool) {
        let mark = self.path("mark");
        let output = portlock(&[arguments, &["touch", &mark]].concat());

        (output, std::fs::remove_file(mark).is_ok())
    }

    /// A mistake: one sentence that names the fix, and nothing is run.
    fn fails(&self, arguments: &[&str], fix: &str) -> String {
        let (output, was_run) = self.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();

        assert!(!was_run, "{arguments:?} ran the program: {said}");
        assert_eq!(output.status.code(), Some(125), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(said.contains(fix), "{arguments:?}: {said}");

        let sentences = said.lines().filter(|line| line.starts_with("portlock: "));

        assert!(said.starts_with("portlock: "), "{arguments:?}: {said}");
        assert_eq!(sentences.count(), 1, "{arguments:?}: {said}");
        said
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn without_a_mistake_the_program_leaves_its_mark() {
    let folder = Folder::new("right");
    let (output, was_run) = folder.run(&["run", "--best-effort", "--connect", "tcp:443", "--"]);

    assert!(was_run && output.status.success(), "{output:?}");
}

/// What is wrong with flags, and a part of the sentence that names the fix.
const FLAGS: &[(&[&str], &str)] = &[
    (
        &["--conect", "tcp:443"],
        "--conect is no flag here: write --connect",
    ),
    (
        &["--nonsense"],
        "--nonsense is no flag here: portlock COMMAND --help lists them",
    ),
    (
        &["--connect"],
        "--connect needs a value: write one after it",
    ),
    (
        &["--connect", ""],
        "a place is missing here: write one such as tcp:443",
    ),
    (&["--connect", "443"], "write tcp:443 or udp:443"),
    (&["--connect", "tcp"], "write tcp:443 or tcp:*"),
    (
        &["--connect", "tcp:"],
        "a port is missing here: write a number",
    ),
    (&["--connect", "TCP:443"], "write tcp:443"),
    (&["--connect", "sctp:443"], "write tcp or udp"),
    (
        &["--connect", "https://example.org"],
        "write tcp:443 or tcp:80",
    ),
    (&["--connect", "10.0.0.1:443"], "write tcp:10.0.0.1:443"),
    (&["--connect", "tcp:https"], "write 443 for https"),
    (&["--connect", "tcp:70000"], "the last port is 65535"),
    (&["--connect", "tcp:-1"], "a port is missing here"),
    (&["--connect", "tcp:8100-8000"], "write 8000-8100"),
    (
        &["--connect", "tcp:80,,443"],
        "a port is missing here: write a number",
    ),
    (
        &["--connect", "tcp:10.0.0.0/8"],
        "write tcp:10.0.0.0/8:443, or tcp:10.0.0.0/8:*",
    ),
    (
        &["--connect", "tcp:localhost"],
        "write tcp:localhost:443, or tcp:localhost:*",
    ),
    (
        &["--connect", "tcp:10.0.0.0/33:443"],
        "write a number from 0 to 32",
    ),
    (
        &["--connect", "tcp:10.1.2.3/8:443"],
        "write 10.0.0.0/8 for the network, or 10.1.2.3 for the host",
    ),
    (
        &["--connect", "tcp:10.0.0:443"],
        "write four numbers from 0 to 255",
    ),
    (
        &["--connect", "tcp:2001:db8::1:443"],
        "addresses of IPv6 are written in brackets: write tcp:[2001:db8::1]:443",
    ),
    (
        &["--connect", "tcp:[2001:db8::1:443"],
        "write ] after the address",
    ),
    (
        &["--connect", "tcp:[2001:db8::/32]:443"],
        "write [2001:db8::]/32",
    ),
    (&["--connect", "tcp:[fe80::1%eth0]:443"], "leave %eth0 out"),
    (
        &["--connect", "tcp:[::ffff:10.0.0.1]:443"],
        "write 10.0.0.1",
    ),
    (&["--connect", "tcp:[10.0.0.1]:443"], "write 10.0.0.1"),
    (
        &["--connect", "example.org:443"],
        "portlock resolve example.org",
    ),
    (&["--connect", "localhost:8080"], "write tcp:localhost:8080"),
    (
        &["--connect", "tcp:example.org:443"],
        "portlock resolve example.org",
    ),
    (&["--connect", "tcp:privat:443"], "write private"),
    (
        &["--connect", "tcp:10.*:443"],
        "write a prefix such as 10.0.0.0/8",
    ),
    (&["--connect", "tcp:!private:443"], "write any,!private"),
    (&["--connect", "tcp:any,!any:443"], "leave this word out"),
    (
        &["--connect", "tcp:private,!10.0.0.0/8,!private:443"],
        "take some of them away",
    ),
    (
        &["--connect", "tcp:0.0.0.0:80"],
        "write localhost for this machine",
    ),
    (&["--listen", "udp:53"], "write --serve udp:53"),
    (&["--accept", "udp:53"], "write --serve udp:53"),
    (&["--receive", "udp:10.0.0.0/8:53"], "write udp:53"),
    (&["--opened", "three"], "write its number"),
    (&["--opened", "3:acept-tcp"], "write accept-tcp"),
    (&["--opened", "97"], "no file is open with this number"),
    (
        &["--opened", "1"],
        "leave it out, since other files need no rule",
    ),
    (
        &["--create", "netlink"],
        "write a family, a type and a protocol",
    ),
    (&["--create", "netlnk:raw:route"], "write netlink"),
    (&["--create", "inet:stream:tpc"], "write tcp"),
    (&["--create", "300:1:0"], "a number up to 254"),
    (&["--restrict", "conect-tcp"], "write connect-tcp"),
    (
        &["--restrict", "connect-tcp,none"],
        "none stands alone: write it without the others",
    ),
    (
        &["--serve", "tcp:0.0.0.0/31,!0.0.0.1:80"],
        "the exceptions leave no address: take some of them away",
    ),
    (
        &["--connect", "tcp:[::fffe:0:0]/95,![::fffe:0:0]/96:80"],
        "the exceptions leave no address: take some of them away",
    ),
    (&["--read", "/no/such/file"], "create it, or leave it out"),
    (
        &["--read", "/proc/sys"],
        "is out of reach itself: add --read",
    ),
    (
        &["--profile", "/no/such/file"],
        "name a policy file that can be read",
    ),
    (&["--json"], "something is missing: add --explain"),
    (&["--exec", "--exec"], "write it once"),
];

#[test]
fn a_wrong_flag_gets_one_sentence_with_the_fix() {
    let folder = Folder::new("flags");

    assert!(FLAGS.len() >= 40);
    for (flags, fix) in FLAGS {
        folder.fails(&[&["run", "--best-effort"], *flags, &["--"]].concat(), fix);
    }
}

#[test]
fn a_command_that_is_not_whole_runs_nothing() {
    let folder = Folder::new("commands");

    for (arguments, fix) in [
        // "--" is missing, and the command.
        (
            &["run", "--connect", "tcp:443"][..],
            "write -- before the program",
        ),
        (
            &["watch", "--connect", "tcp:443"],
            "write -- before the program",
        ),
        (&["runn", "--"], "write run"),
        (&["learn", "--"], "add --output"),
        (
            &["learn", "-o", "/no/such/folder/x", "--"],
            "name a file that can be written",
        ),
        (&["watch", "-o", "/dev/null", "--"], "name a new file"),
        (&["learn", "-o", "/dev/null", "--"], "name a new file"),
        (&["why", "--pid", "x", "--"], "write a number"),
        (&[], "write run -- before a program"),
    ] {
        // The kernel is looked at first, since without Portlock there is nothing to write.
        let needs_portlock = arguments.contains(&"-o") && portlock::Support::read().portlock == 0;

        folder.fails(
            arguments,
            if needs_portlock {
                "boot a kernel with Portlock"
            } else {
                fix
            },
        );
    }
    for arguments in [
        &["run", "--connect", "tcp:443"][..],
        &["watch", "--connect", "tcp:443"],
    ] {
        let output = portlock(arguments);
        let said = String::from_utf8_lossy(&output.stderr);

        assert_eq!(output.status.code(), Some(125), "{arguments:?}: {said}");
        assert!(
            said.contains("write -- and the program"),
            "{arguments:?}: {said}"
        );
    }
}

#[test]
fn a_kernel_that_cannot_enforce_all_of_it_runs_nothing() {
    let folder = Folder::new("kernel");

    if portlock::Support::read().portlock > 0 {
        println!("SKIP: this kernel can enforce all of it");
        return;
    }
    for arguments in [
        &["run", "--connect", "tcp:443", "--"][..],
        &["run", "--exec", "--quiet", "--connect", "tcp:443", "--"],
        &[
            "run",
            "--quiet",
            "--restrict",
            "listen-tcp",
            "--unix",
            "any",
            "--",
        ],
        &[
            "run",
            "--quiet",
            "--restrict",
            "create",
            "--unix",
            "any",
            "--",
        ],
        &["watch", "--connect", "tcp:443", "--"],
    ] {
        folder.fails(arguments, "boot a kernel with Portlock");
    }

    let learned = folder.path("learned");

    folder.fails(
        &["learn", "-o", &learned, "--"],
        "boot a kernel with Portlock",
    );
}

#[test]
fn a_flag_of_other_bytes_than_text_runs_nothing() {
    use std::os::unix::ffi::OsStrExt;

    let folder = Folder::new("bytes");
    let mark = folder.path("mark");
    let output = portlock(&[
        OsStr::new("run"),
        OsStr::new("--connect"),
        OsStr::from_bytes(b"tcp:\xff"),
        OsStr::new("--"),
        OsStr::new("touch"),
        OsStr::new(&mark),
    ]);
    let said = String::from_utf8_lossy(&output.stderr);

    assert_eq!(output.status.code(), Some(125), "{said}");
    assert!(said.contains("write it in UTF-8"), "{said}");
    assert!(!std::path::Path::new(&mark).exists());
}

#[test]
fn a_right_of_another_protocol_than_that_of_the_open_socket_runs_nothing() {
    let folder = Folder::new("opened");
    let mark = folder.path("mark");
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_portlock"))
        .args([
            "run",
            "--best-effort",
            "--opened",
            "0:bind-udp",
            "--",
            "touch",
            &mark,
        ])
        .env("NO_COLOR", "1")
        .stdin(std::os::fd::OwnedFd::from(socket))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);

    assert_eq!(output.status.code(), Some(125), "{said}");
    assert!(said.contains("has no bind-udp: leave that out"), "{said}");
    assert!(!std::path::Path::new(&mark).exists());
}

#[test]
fn a_name_that_is_missing_gets_the_fix() {
    let output = portlock(&["resolve", ""]);
    let said = String::from_utf8_lossy(&output.stderr);

    assert_eq!(output.status.code(), Some(125), "{said}");
    assert!(said.contains("write that of a host"), "{said}");
}

/// What is wrong with a file, where, and a part of the sentence that names the fix.
const FILES: &[(&str, &str, &str)] = &[
    (
        "connect = [\"tcp:443\"",
        "1:",
        "write lines such as connect = [\"tcp:443\"]",
    ),
    ("connect = tcp:443", "1:", "write lines such as"),
    ("conect = ['tcp:443']", "1:1:", "write connect"),
    ("frobnicate = 1", "1:1:", "write one of connect, serve"),
    (
        "connect = 'tcp:443'",
        "1:11:",
        "connect is a list: write connect = [...]",
    ),
    (
        "connect = [443]",
        "1:12:",
        "connect is a list of texts in quotes",
    ),
    (
        "# a comment\nconnect = ['tcp:443', 'tcp:x:1']",
        "2:28:",
        "portlock resolve x",
    ),
    (
        "dns = 'yes'",
        "1:7:",
        "dns is true or false: write dns = true",
    ),
    ("read = ['usr']", "1:10:", "write a path that begins with /"),
    (
        "read = ['/usr/../etc']",
        "1:10:",
        "write the path that is meant",
    ),
    ("read = []", "1:8:", "leave read out to leave files alone"),
    ("restrict = []", "1:12:", "write restrict = [\"none\"]"),
    ("restrict = ['all', 'create']", "1:14:", "all stands alone"),
    (
        "restrict = ['all,connect-tcp']",
        "1:14:",
        "all stands alone: write it without the others",
    ),
    ("opened = ['x']", "1:12:", "write its number"),
    (
        "connect = ['tcp:443']\nconnect = ['tcp:80']",
        "2:1:",
        "this key is there twice: write it once",
    ),
];

#[test]
fn a_wrong_file_gets_its_place_and_the_fix() {
    let folder = Folder::new("files");
    let name = folder.path("policy.toml");

    for (text, place, fix) in FILES {
        std::fs::write(&name, text).unwrap();
        for command in [
            &["run", "--best-effort", "--profile", &name, "--"][..],
            &["watch", "--profile", &name, "--"],
        ] {
            let said = folder.fails(command, fix);

            assert!(said.contains(&format!("{name}:{place}")), "{text}: {said}");
            assert!(said.contains('^'), "{text}: {said}");
        }

        let output = portlock(&["check", &name]);
        let said = String::from_utf8_lossy(&output.stderr);

        assert_eq!(output.status.code(), Some(125), "{text}: {said}");
        assert!(said.contains(fix), "{text}: {said}");
    }
}

#[test]
fn files_that_restrict_different_rights_need_a_flag() {
    let folder = Folder::new("restrict");
    let (all, none) = (folder.path("all.toml"), folder.path("none.toml"));

    std::fs::write(&all, "connect = ['tcp:443']").unwrap();
    std::fs::write(&none, "restrict = ['none']\nunix = ['any']").unwrap();

    let both = ["run", "--profile", &all, "--profile", &none];

    folder.fails(
        &[&both[..], &["--"]].concat(),
        "say with --restrict what is meant",
    );

    let (output, was_run) = folder.run(&[&both[..], &["--restrict", "none", "--"]].concat());

    assert!(was_run && output.status.success(), "{output:?}");
}

#[test]
fn the_status_is_that_of_the_program() {
    let free = ["run", "--restrict", "none", "--unix", "any", "--"];

    for (program, status) in [
        (&["true"][..], 0),
        (&["sh", "-c", "exit 3"], 3),
        (&["sh", "-c", "kill -TERM $$"], 143),
        (&["/no/such/program"], 127),
        (&["no-such-program"], 127),
        (&["/dev/null"], 126),
    ] {
        let output = portlock(&free.iter().chain(program).copied().collect::<Vec<_>>());
        let is_killed = output.status.code().is_none();

        // Where nothing has to be told at the end, portlock is the program, and ends as it does.
        assert!(
            output.status.code() == Some(status) || is_killed && status == 143,
            "{program:?}: {output:?}"
        );
    }
}

#[test]
fn a_program_without_its_interpreter_is_told_from_one_that_is_missing() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::new("interpreter");
    let script = folder.path("script");

    std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();

    for (program, part) in [
        (
            script.as_str(),
            "check the interpreter in its first line, or install its loader",
        ),
        // Found by PATH.
        ("script", "check the interpreter in its first line"),
        ("/no/such/program", "check the name, and PATH"),
        ("no-such-program", "check the name, and PATH"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_portlock"))
            .args(["run", "--restrict", "none", "--unix", "any", "--", program])
            .env("NO_COLOR", "1")
            .env("PATH", &folder.0)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);

        assert_eq!(output.status.code(), Some(127), "{program}: {said}");
        assert!(said.contains(part), "{program}: {said}");
    }
}

#[test]
fn a_comparison_has_a_status_and_a_witness() {
    let folder = std::env::temp_dir().join(format!("portlock-compare-{}", std::process::id()));
    let (old, new) = (folder.join("old.toml"), folder.join("new.toml"));
    let check = |new: &std::path::Path, old: &std::path::Path| {
        let output = portlock(&[
            "check",
            new.to_str().unwrap(),
            "--against",
            old.to_str().unwrap(),
        ]);

        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };

    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(&old, "connect = ['tcp:10.0.0.0/8:443']").unwrap();
    std::fs::write(&new, "connect = ['tcp:10.0.0.0/8:443-444']").unwrap();

    let (status, said) = check(&new, &old);

    assert_eq!(status, Some(1));
    assert!(said.contains("connect tcp 10.0.0.0:444"), "{said}");
    assert_eq!(check(&old, &new).0, Some(0));
    std::fs::remove_dir_all(folder).unwrap();
}
