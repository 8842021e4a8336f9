// SPDX-License-Identifier: GPL-2.0

//! The command line.

use crate::{tell, Wrong, MISTAKE};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand};
use portlock::{Mistake, Policy, PolicyError, Restrict, Unix, Verb, Word};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

#[derive(Parser)]
#[command(
    name = "portlock",
    version,
    about = "Run a program that can only use the network it was given",
    long_about = "Run a program that can only use the network it was given, see what it was refused, and learn what it \
                  needs. The kernel holds the program and all that it starts to the policy; no privilege is needed.",
    after_help = EXAMPLES,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  portlock run --connect tcp:443 --dns -- curl https://example.org
  portlock run --serve tcp:8080 -- python3 -m http.server 8080
  portlock run --connect tcp:127.0.0.1:3128 -- ./agent
  portlock learn -o curl.toml -- curl https://example.org
  portlock watch --profile curl.toml -- curl https://example.net
  portlock why --profile curl.toml connect tcp:192.0.2.1:443
  portlock check new.toml --against old.toml

A policy is what may be done: what no word allows is refused.
A place is PROTOCOL:[ADDRESSES:]PORTS, such as tcp:443, tcp:10.0.0.0/8:443, tcp:[2001:db8::]/32:8000-8100, \
udp:localhost:* or tcp:any,!private:443. The sets with names are localhost, private, link-local, metadata, \
multicast and internet.";

const RUN_EXAMPLES: &str = "\
Examples:
  portlock run --connect tcp:443 --dns -- curl https://example.org
  portlock run --serve tcp:8080 --connect tcp:10.0.0.0/8:5432 -- ./server
  portlock run --opened 3 -- ./service        (a socket that systemd passes on)
  portlock run --explain --serve udp:53       (what the words imply; nothing is run)

Exit status: that of the program, or 128 and the number of the signal that ended it; 125 if the policy is wrong \
or the kernel cannot enforce it, 126 if the program cannot be run, 127 if there is none.";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run a program in a sandbox
    #[command(after_help = RUN_EXAMPLES)]
    Run(Run),
    /// Run a program in a sandbox, and tell each refusal as it happens
    #[command(
        after_help = "Example:\n  portlock watch --connect tcp:443 -- curl https://example.org"
    )]
    Watch(Watch),
    /// Run a program without a sandbox, and write the policy that it needs
    #[command(
        after_help = "Example:\n  portlock learn -o curl.toml -- curl https://example.org\n\n\
                            Nothing of the network is refused meanwhile: run only what you trust."
    )]
    Learn(Learn),
    /// Check a policy file, and whether it allows more than another
    #[command(
        after_help = "Example:\n  portlock check new.toml --against old.toml\n\n\
                            Exit status: 0 if all is well, 1 if the new policy allows more, 125 if a file is wrong."
    )]
    Check(Check),
    /// Say whether an access is allowed, by which word, or which word would allow it
    #[command(
        after_help = "Examples:\n  portlock why --profile web.toml connect tcp:10.1.2.3:443\n  \
                            portlock why --pid 1234 bind tcp:80\n\n\
                            Exit status: 0 if it is allowed, 1 if not, 125 if something is wrong."
    )]
    Why(Why),
    /// Show what this kernel can enforce
    Show(Show),
    /// Print the addresses of a name, to paste them into a policy
    #[command(after_help = "Example:\n  portlock resolve example.org")]
    Resolve(Resolve),
    /// Print completions for a shell
    Completions(Completions),
    /// Write the manual pages into a folder
    Man(Man),
}

/// The words of a policy.
#[derive(Args, Default)]
#[command(next_help_heading = "Policy: what a person means")]
pub(crate) struct Words {
    /// Be a client there, with all that it needs
    #[arg(long, value_name = "PLACE")]
    connect: Vec<String>,
    /// Be a server there, with all that it needs
    #[arg(long, value_name = "PLACE")]
    serve: Vec<String>,
    /// Look up names: ask the resolvers of /etc/resolv.conf (data can leave in look-ups)
    #[arg(long)]
    dns: bool,
    /// Use a socket that is open already, with the rights that suit it, or with RIGHT,...
    #[arg(long, value_name = "FD[:RIGHT,...]")]
    opened: Vec<String>,
    /// Add the words of a file
    #[arg(long, value_name = "FILE")]
    profile: Vec<PathBuf>,
    /// bind(2) there
    #[arg(long, value_name = "PLACE", help_heading = "Policy: one right each")]
    bind: Vec<String>,
    /// listen(2) there
    #[arg(long, value_name = "PLACE", help_heading = "Policy: one right each")]
    listen: Vec<String>,
    /// accept(2) on this port, from these addresses
    #[arg(long, value_name = "PLACE", help_heading = "Policy: one right each")]
    accept: Vec<String>,
    /// Send: over TCP on a connection for this port, over UDP to it
    #[arg(long, value_name = "PLACE", help_heading = "Policy: one right each")]
    send: Vec<String>,
    /// Receive: over TCP on a connection for this port, over UDP on this port
    #[arg(long, value_name = "PLACE", help_heading = "Policy: one right each")]
    receive: Vec<String>,
    /// shutdown(2)
    #[arg(long, value_name = "PLACE", help_heading = "Policy: one right each")]
    shutdown: Vec<String>,
    /// getsockopt(2)
    #[arg(long, value_name = "PLACE", help_heading = "Policy: one right each")]
    getsockopt: Vec<String>,
    /// setsockopt(2)
    #[arg(long, value_name = "PLACE", help_heading = "Policy: one right each")]
    setsockopt: Vec<String>,
    /// Make sockets of this kind, such as netlink:raw:audit or inet:dgram:icmp
    #[arg(
        long,
        value_name = "FAMILY:TYPE:PROTOCOL",
        help_heading = "Policy: one right each"
    )]
    create: Vec<String>,
    /// Read and run files below this path; all others are out of reach then
    #[arg(long, value_name = "PATH", help_heading = "Policy: beside the network")]
    read: Vec<PathBuf>,
    /// Read, run and write files below this path; all others are out of reach then
    #[arg(long, value_name = "PATH", help_heading = "Policy: beside the network")]
    write: Vec<PathBuf>,
    /// Reach AF_UNIX sockets of others below this path, or any
    #[arg(
        long,
        value_name = "PATH|any",
        help_heading = "Policy: beside the network"
    )]
    unix: Vec<PathBuf>,
    /// Ask the kernel for keys with request_key(2) and add_key(2), by which it may look up any name
    #[arg(long, help_heading = "Policy: beside the network")]
    keyrings: bool,
    /// Restrict only these rights (connect-tcp, create, ...), all or none; the others are free
    #[arg(
        long,
        value_name = "RIGHT,...",
        help_heading = "Policy: beside the network"
    )]
    restrict: Option<String>,
}

fn parse<T: FromStr<Err = Mistake>>(flag: &str, value: &str) -> Result<T, PolicyError> {
    value
        .parse()
        .map_err(|mistake| PolicyError::in_flag(flag, value, mistake))
}

/// Reads a policy from a file.
pub(crate) fn read_profile(path: &Path) -> Result<Policy, Wrong> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{name}: {error}: name a policy file that can be read"))?;

    Ok(Policy::from_toml(&text, &name)?)
}

impl Words {
    /// Whether there is a word at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.profile.is_empty()
            && self.restrict.is_none()
            && self
                .of_flags()
                .is_ok_and(|policy| policy == Policy::default())
    }

    /// The policy of the flags and the files.
    pub(crate) fn policy(&self) -> Result<Policy, Wrong> {
        let mut policy = Policy::default();

        for (at, path) in self.profile.iter().enumerate() {
            let read = read_profile(path)?;

            if at == 0 {
                policy.restrict = read.restrict;
            } else if policy.restrict != read.restrict && self.restrict.is_none() {
                return Err(Wrong(format!(
                    "{}: this file and the one before restrict different rights: say with --restrict what is meant",
                    path.display()
                )));
            }
            policy.add(read);
        }
        policy.add(self.of_flags()?);
        if let Some(restrict) = &self.restrict {
            policy.restrict = parse::<Restrict>("--restrict", restrict)?;
        }
        Ok(policy)
    }

    fn of_flags(&self) -> Result<Policy, Wrong> {
        let mut policy = Policy::default();

        policy.dns = self.dns;
        policy.keyrings = self.keyrings;

        for (verb, places) in [
            (Verb::Connect, &self.connect),
            (Verb::Serve, &self.serve),
            (Verb::Bind, &self.bind),
            (Verb::Listen, &self.listen),
            (Verb::Accept, &self.accept),
            (Verb::Send, &self.send),
            (Verb::Receive, &self.receive),
            (Verb::Shutdown, &self.shutdown),
            (Verb::Getsockopt, &self.getsockopt),
            (Verb::Setsockopt, &self.setsockopt),
        ] {
            for place in places {
                let flag = format!("--{}", verb.name());

                policy.words.push(
                    Word::new(verb, place)
                        .map_err(|mistake| PolicyError::in_flag(&flag, place, mistake))?,
                );
            }
        }
        for opened in &self.opened {
            policy.opened.push(parse("--opened", opened)?);
        }
        for kind in &self.create {
            policy.create.push(parse("--create", kind)?);
        }
        for (list, paths) in [
            ("read", &self.read),
            ("write", &self.write),
            ("unix", &self.unix),
        ] {
            for path in paths {
                if list == "unix" && path == Path::new("any") {
                    policy.unix = Unix::Any;
                    continue;
                }

                let whole = std::path::absolute(path).map_err(|error| {
                    format!("--{list} {}: {error}: name a path", path.display())
                })?;

                policy.add_path(list, whole);
            }
        }
        Ok(policy)
    }
}

#[derive(Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) words: Words,
    #[command(flatten)]
    pub(crate) how: How,
    /// Become the program, instead of passing signals on to it and saying at the end what was refused
    #[arg(long)]
    pub(crate) exec: bool,
    /// Print what each word implies, and why
    #[arg(long)]
    pub(crate) explain: bool,
    /// Print the explanation as JSON
    #[arg(long, requires = "explain")]
    pub(crate) json: bool,
    /// The program and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// How a sandbox is made.
#[derive(Args)]
pub(crate) struct How {
    /// Run the program even where the kernel cannot enforce all of the policy, and say what was dropped
    #[arg(long)]
    pub(crate) best_effort: bool,
    /// Print no notes, and no line at the end
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

#[derive(Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) words: Words,
    #[command(flatten)]
    pub(crate) how: How,
    /// Refuse nothing of the network, and tell what would be refused
    #[arg(long)]
    pub(crate) trial: bool,
    /// Print each refusal as one object of JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Print to this file instead of standard error
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Args)]
pub(crate) struct Learn {
    /// The file to write, which may not exist yet
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Args)]
pub(crate) struct Check {
    /// The policy file
    pub(crate) file: PathBuf,
    /// A policy file that may not allow less
    #[arg(long, value_name = "OLD")]
    pub(crate) against: Option<PathBuf>,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Why {
    #[command(flatten)]
    pub(crate) words: Words,
    /// Ask about a program that portlock run has started
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Option<i32>,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// What is done: connect, serve, bind, listen, accept, send, receive, shutdown, getsockopt, setsockopt or create
    pub(crate) verb: String,
    /// Where: PROTOCOL:[ADDRESS:]PORT, or FAMILY:TYPE:PROTOCOL for create
    pub(crate) place: String,
}

#[derive(Args)]
pub(crate) struct Show {
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Resolve {
    /// The name of a host
    pub(crate) name: String,
}

#[derive(Args)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Args)]
pub(crate) struct Man {
    /// The folder
    pub(crate) folder: PathBuf,
}

/// Prints help, or says in one sentence what is wrong with the command line. Returns the exit status.
pub(crate) fn complain(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // What cannot be printed is not needed either.
        let _ = error.print();
        return ExitCode::from(if error.use_stderr() { MISTAKE } else { 0 });
    }
    tell::error(&sentence(error));
    ExitCode::from(MISTAKE)
}

fn sentence(error: &clap::Error) -> String {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(list)) => Some(list.join(", ")),
        Some(ContextValue::StyledStrs(list)) => list.first().map(ToString::to_string),
        _ => None,
    };
    let argument = text(ContextKind::InvalidArg).unwrap_or_default();
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    let suggested = text(ContextKind::SuggestedArg)
        .or_else(|| text(ContextKind::SuggestedSubcommand))
        .or_else(|| text(ContextKind::SuggestedValue));
    let hint = |other: &str| match &suggested {
        Some(suggested) => format!("write {suggested}"),
        None => other.to_owned(),
    };

    match error.kind() {
        ErrorKind::UnknownArgument if !argument.starts_with('-') => {
            format!("{argument:?} is not expected here: write -- before the program to run")
        }
        ErrorKind::UnknownArgument => {
            format!(
                "{argument} is no flag here: {}",
                hint("portlock COMMAND --help lists them; the program's own follow --")
            )
        }
        ErrorKind::InvalidSubcommand => {
            let name = text(ContextKind::InvalidSubcommand).unwrap_or_default();

            format!(
                "{name:?} is no command of portlock: {}",
                hint("write run -- before a program, or see portlock --help")
            )
        }
        ErrorKind::MissingRequiredArgument if argument.contains("COMMAND") => {
            "there is no program to run: write -- and the program after the flags".to_owned()
        }
        ErrorKind::MissingRequiredArgument => format!("something is missing: add {argument}"),
        ErrorKind::InvalidValue if value.is_empty() => {
            let flag = argument.split(' ').next().unwrap_or_default();

            format!("{flag} needs a value: write one after it")
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let known = text(ContextKind::ValidValue).map(|list| format!("write one of {list}"));

            // Only a process is a number.
            format!(
                "{value:?} is not possible for {argument}: {}",
                hint(&known.unwrap_or("write a number".into()))
            )
        }
        ErrorKind::ArgumentConflict => {
            let with = text(ContextKind::PriorArg).unwrap_or_default();

            if with == argument || with.is_empty() {
                format!("{argument} is there twice: write it once")
            } else {
                format!("{argument} and {with} do not go together: leave one of them out")
            }
        }
        ErrorKind::InvalidUtf8 => {
            "a flag, or what follows it, is not UTF-8: write it in UTF-8, since only paths may be anything else".to_owned()
        }
        _ => {
            let all = error.to_string();
            let first = all
                .lines()
                .next()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned();

            format!("{first}: write what portlock --help shows")
        }
    }
}
