// SPDX-License-Identifier: GPL-2.0

//! `portlock run --explain --json`: all that the explanation in words says.

use portlock::{Nets, Policy, Rights, Rules, Unix, Why};
use serde_json::{json, Value};
use std::fmt::Display;
use std::path::PathBuf;

fn texts<T: Display>(list: impl IntoIterator<Item = T>) -> Vec<String> {
    list.into_iter().map(|item| item.to_string()).collect()
}

pub(crate) fn json(policy: &Policy, rules: &Rules) -> Value {
    let with_why = |mut object: Value, why: &Why| {
        object["word"] = json!(why.word);
        object["origin"] = json!(why.origin.0);
        object["reason"] = json!(why.reason);
        object
    };
    let grants = rules.grants.iter().map(|grant| {
        let prefixes = match &grant.nets {
            Nets::Any => None,
            Nets::Of(nets) => Some(texts(nets)),
        };
        let rule = json!({
            "rights": texts(grant.rights.iter()),
            "ports": [grant.ports.first, grant.ports.last],
            "prefixes": prefixes,
        });

        with_why(rule, &grant.why)
    });
    let kinds = (rules.kinds.iter())
        .map(|made| with_why(json!({ "kind": made.kind.to_string() }), &made.why));
    // Without rights, they are those that suit the socket.
    let opened = (rules.opened.iter()).map(|opened| {
        json!({ "fd": opened.fd, "rights": opened.rights.map(|rights| texts(rights.iter())) })
    });
    // Without /proc, nobody knows.
    let inherited = rules.inherited().ok().map(|all| {
        (all.iter())
            .map(|socket| json!({ "fd": socket.fd, "text": socket.text, "refused": socket.is_refused }))
            .collect::<Vec<_>>()
    });
    let paths = |paths: &[PathBuf]| texts(paths.iter().map(|path| path.display()));
    let free = Rights::ALL.without(rules.restrict.net).iter();
    let create = (!rules.restrict.create).then(|| "create".to_owned());

    json!({
        "flags": policy.flags(),
        "rules": grants.collect::<Vec<_>>(),
        "kinds": kinds.collect::<Vec<_>>(),
        "opened": opened.collect::<Vec<_>>(),
        "inherited": inherited,
        // Without one of the two, files are left alone.
        "files": rules.holds_files().then(|| json!({ "read": paths(&rules.read), "write": paths(&rules.write) })),
        "unix": match &rules.unix {
            Unix::Any => json!("any"),
            Unix::Below(below) => json!(paths(below)),
        },
        "keys": if rules.refuses_keys() { "refused" } else { "allowed" },
        "not_restricted": texts(free).into_iter().chain(create).collect::<Vec<_>>(),
        "notes": rules.notes.iter().map(|note| &note.text).collect::<Vec<_>>(),
    })
}
