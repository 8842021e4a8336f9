// SPDX-License-Identifier: GPL-2.0

//! A policy: the words that a person writes, as flags or in a file.

use crate::kind::Kind;
use crate::place::{Mistake, Nets, Place, NO_ADDRESS};
use crate::rights::{Protocol, Right, Rights};
use crate::suggest;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use toml::de::{DeTable, DeValue};
use toml::Spanned;

/// What a word lets a program do at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Verb {
    /// Be a client, with all that it needs.
    Connect,
    /// Be a server, with all that it needs.
    Serve,
    /// bind(2).
    Bind,
    /// listen(2).
    Listen,
    /// accept(2).
    Accept,
    /// To send: over TCP on a connection, over UDP to an address.
    Send,
    /// To receive.
    Receive,
    /// shutdown(2).
    Shutdown,
    /// getsockopt(2).
    Getsockopt,
    /// setsockopt(2).
    Setsockopt,
}

impl Verb {
    /// All of them. The first two are the big words.
    pub const ALL: [Self; 10] = [
        Self::Connect,
        Self::Serve,
        Self::Bind,
        Self::Listen,
        Self::Accept,
        Self::Send,
        Self::Receive,
        Self::Shutdown,
        Self::Getsockopt,
        Self::Setsockopt,
    ];

    /// The name of the flag, without dashes, and of the key in a file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Serve => "serve",
            Self::Bind => "bind",
            Self::Listen => "listen",
            Self::Accept => "accept",
            Self::Send => "send",
            Self::Receive => "receive",
            Self::Shutdown => "shutdown",
            Self::Getsockopt => "getsockopt",
            Self::Setsockopt => "setsockopt",
        }
    }

    /// The right of a small word, or of a big one the right that it is about first.
    pub fn right(self, protocol: Protocol) -> Option<Right> {
        let verb = match (self, protocol) {
            (Self::Connect, Protocol::Udp) => "send",
            (Self::Serve, _) => "bind",
            _ => self.name(),
        };

        (Right::ALL.into_iter()).find(|right| right.verb() == verb && right.protocol() == protocol)
    }
}

/// Where a word stands, for people. It is not part of what the word means: all are equal.
#[derive(Clone, Debug, Default)]
pub struct Origin(pub Option<String>);

impl PartialEq for Origin {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Origin {}

/// A verb with a place.
///
/// ```
/// use portlock::{Verb, Word};
///
/// assert_eq!(Word::new(Verb::Serve, "tcp:8080")?.flag(), "--serve tcp:8080");
/// assert!(Word::new(Verb::Listen, "udp:53").is_err());
/// # Ok::<(), portlock::Mistake>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// What may be done.
    pub verb: Verb,
    /// Where.
    pub place: Place,
    /// Where the word stands.
    pub origin: Origin,
}

impl Word {
    /// Makes a word of a place, if the kernel can enforce it.
    pub fn new(verb: Verb, text: &str) -> Result<Self, Mistake> {
        let place: Place = text.parse()?;
        let whole = 0..text.len();
        let has_terms = !place.terms.is_empty();

        match (verb, place.protocol) {
            (Verb::Listen | Verb::Accept, Protocol::Udp) => {
                return Err(Mistake::new(
                    whole,
                    format!(
                        "UDP has no connections to {}: write --serve {text}",
                        verb.name()
                    ),
                ));
            }
            (Verb::Receive, Protocol::Udp) if has_terms => {
                let mut fix = place;

                fix.terms.clear();
                return Err(Mistake::new(
                    whole,
                    format!("the kernel cannot tell from whom UDP is received: write {fix}, which is from anybody"),
                ));
            }
            (Verb::Bind | Verb::Listen | Verb::Serve, _) => {}
            _ => {
                let wildcard = (place.terms.iter()).find(|term| {
                    let text = term.to_string();

                    !term.is_exception && (text == "0.0.0.0" || text == "[::]")
                });

                if let Some(term) = wildcard {
                    return Err(Mistake::new(
                        whole,
                        format!(
                            "{term} is not the address of a host: write localhost for this machine, or leave the address \
                             out for any"
                        ),
                    ));
                }
            }
        }

        let word = Self {
            verb,
            place,
            origin: Origin::default(),
        };

        // Exceptions may leave only a wildcard, which they take away too.
        if word.nets() == Nets::Of(Vec::new()) {
            return Err(Mistake::new(whole, NO_ADDRESS));
        }
        Ok(word)
    }

    /// The addresses as the kernel takes them: those of this machine, or of others.
    pub(crate) fn nets(&self) -> Nets {
        match self.verb {
            Verb::Bind | Verb::Listen | Verb::Serve => self.place.own_nets(),
            _ => self.place.nets(),
        }
    }

    /// The word as a flag.
    pub fn flag(&self) -> String {
        format!("--{} {}", self.verb.name(), self.place)
    }
}

/// A socket that is open when the program starts.
///
/// ```
/// use portlock::{Opened, Right};
///
/// let opened: Opened = "3:accept-tcp,send-tcp".parse()?;
/// assert!(opened.fd == 3 && opened.rights.is_some_and(|rights| rights.has(Right::AcceptTcp)));
/// # Ok::<(), portlock::Mistake>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Opened {
    /// The file descriptor.
    pub fd: i32,
    /// The rights, or `None` for those that suit what the socket is then.
    pub rights: Option<Rights>,
}

impl Opened {
    /// Rights that suit each socket of their protocol.
    const USE: [Right; 9] = [
        Right::SendTcp,
        Right::ReceiveTcp,
        Right::ShutdownTcp,
        Right::GetsockoptTcp,
        Right::SetsockoptTcp,
        Right::ReceiveUdp,
        Right::ShutdownUdp,
        Right::GetsockoptUdp,
        Right::SetsockoptUdp,
    ];

    /// The least that the socket gets, as far as its protocol has these rights. Which ones suit it is known when it is
    /// there.
    ///
    /// ```
    /// use portlock::{Opened, Right};
    ///
    /// let opened: Opened = "3".parse()?;
    /// assert!(opened.most().has(Right::AcceptTcp) && !opened.least().has(Right::AcceptTcp));
    /// assert!(!opened.most().has(Right::ListenTcp));
    /// # Ok::<(), portlock::Mistake>(())
    /// ```
    pub fn least(&self) -> Rights {
        self.rights
            .unwrap_or_else(|| Self::USE.into_iter().collect())
    }

    /// The most that the socket gets: if no rights are named, it may also be a listener, or one of UDP without a peer.
    pub fn most(&self) -> Rights {
        let more = Rights::from(Right::AcceptTcp) | Right::ConnectSendUdp.into();

        self.rights.unwrap_or(self.least() | more)
    }

    /// The rights that suit a socket of this protocol.
    pub(crate) fn suitable(protocol: Protocol, is_listening: bool, has_peer: bool) -> Rights {
        let own = (Self::USE.into_iter())
            .filter(|right| right.protocol() == protocol)
            .collect();

        match protocol {
            Protocol::Tcp if is_listening => Rights::from(Right::AcceptTcp) | own,
            // It answers whoever asks.
            Protocol::Udp if !has_peer => Rights::from(Right::ConnectSendUdp) | own,
            _ => own,
        }
    }
}

impl fmt::Display for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.fd)?;
        for (at, right) in self.rights.unwrap_or_default().iter().enumerate() {
            write!(f, "{}{right}", if at == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

fn right_named(text: &str) -> Result<Right, String> {
    (Right::ALL.into_iter())
        .find(|right| right.to_string() == text)
        .ok_or_else(|| {
            let names: Vec<String> = Right::ALL.iter().map(Right::to_string).collect();

            match suggest::closest(text, names.iter().map(String::as_str)) {
                Some(name) => format!("{text:?} is no right: write {name}"),
                None => format!("{text:?} is no right: write one of {}", names.join(", ")),
            }
        })
}

impl FromStr for Opened {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        let (fd, rights) = match text.split_once(':') {
            Some((fd, rights)) => (fd, Some(rights)),
            None => (text, None),
        };
        let number = (fd.parse().ok()).filter(|_| fd.bytes().all(|byte| byte.is_ascii_digit())).ok_or_else(|| {
            Mistake::new(
                0..fd.len(),
                format!("{fd:?} is no file descriptor: write its number, such as 3 for the first one of systemd"),
            )
        })?;
        let rights = match rights {
            None => None,
            Some(list) => {
                let mut all = Rights::NONE;
                let mut at = fd.len() + 1;

                for part in list.split(',') {
                    all |= right_named(part)
                        .map_err(|sentence| Mistake::new(at..at + part.len(), sentence))?
                        .into();
                    at += part.len() + 1;
                }
                Some(all)
            }
        };

        Ok(Self { fd: number, rights })
    }
}

/// What a policy restricts. The rest it leaves alone.
///
/// ```
/// use portlock::Restrict;
///
/// let only: Restrict = "connect-tcp,bind-tcp".parse()?;
/// assert!(!only.create);
/// assert_eq!("all".parse::<Restrict>()?, Restrict::default());
/// # Ok::<(), portlock::Mistake>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Restrict {
    /// These rights.
    pub net: Rights,
    /// The creation of sockets.
    pub create: bool,
}

impl Default for Restrict {
    fn default() -> Self {
        Self {
            net: Rights::ALL,
            create: true,
        }
    }
}

impl Restrict {
    /// Nothing of the network.
    pub const NONE: Self = Self {
        net: Rights::NONE,
        create: false,
    };

    /// Whether it restricts nothing of the network.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    fn names(self) -> Vec<String> {
        if self == Self::default() {
            vec!["all".into()]
        } else if self.is_none() {
            vec!["none".into()]
        } else {
            let create = self.create.then(|| "create".to_owned());

            self.net
                .iter()
                .map(|right| right.to_string())
                .chain(create)
                .collect()
        }
    }
}

impl FromStr for Restrict {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        let mut all = Self::NONE;
        let mut at = 0;

        match text {
            "all" => return Ok(Self::default()),
            "none" => return Ok(all),
            _ => {}
        }
        for part in text.split(',') {
            match part {
                "create" => all.create = true,
                "all" | "none" => {
                    let sentence = format!(
                        "{part} stands alone: write it without the others, or leave it out"
                    );

                    return Err(Mistake::new(at..at + part.len(), sentence));
                }
                _ => {
                    all.net |= right_named(part)
                        .map_err(|sentence| {
                            Mistake::new(
                                at..at + part.len(),
                                format!("{sentence}, create, all or none"),
                            )
                        })?
                        .into();
                }
            }
            at += part.len() + 1;
        }
        Ok(all)
    }
}

/// Which AF_UNIX sockets outside of the sandbox can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unix {
    /// All of them.
    Any,
    /// Those below these paths, or none.
    Below(Vec<PathBuf>),
}

impl Default for Unix {
    fn default() -> Self {
        Self::Below(Vec::new())
    }
}

/// What a person allows. An empty policy allows nothing of the network.
///
/// ```
/// use portlock::Policy;
///
/// let policy = Policy::from_toml("connect = ['tcp:443']\ndns = true\n", "example.toml")?;
/// assert_eq!(policy.to_toml(), "connect = [\"tcp:443\"]\ndns = true\n");
/// assert_eq!(policy.flags(), ["--connect", "tcp:443", "--dns"]);
/// # Ok::<(), portlock::PolicyError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// Places with what may be done there.
    pub words: Vec<Word>,
    /// To look up names, with the machine's resolvers.
    pub dns: bool,
    /// Sockets that are open already.
    pub opened: Vec<Opened>,
    /// Kinds of sockets that may be made, besides those that the words imply.
    pub create: Vec<Kind>,
    /// Files that may be read and run. If there are any, or any that may be written, all others may not.
    pub read: Vec<PathBuf>,
    /// Files that may be written too.
    pub write: Vec<PathBuf>,
    /// AF_UNIX sockets of others.
    pub unix: Unix,
    /// To ask the kernel for keys, which can start a helper outside of the sandbox.
    pub keyrings: bool,
    /// What is restricted.
    pub restrict: Restrict,
}

/// The keys of a file, and flags, that are no verbs.
pub(crate) const KEYS: [&str; 8] = [
    "dns", "opened", "create", "read", "write", "unix", "keyrings", "restrict",
];

/// A mistake in a policy, with the text around it.
///
/// ```
/// let error = portlock::Policy::from_toml("conect = ['tcp:443']", "web.toml").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "web.toml:1:1: \"conect\" is no word of a policy: write connect\n    conect = ['tcp:443']\n    ^^^^^^"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// The name of the file, or the flag.
    pub source: String,
    /// The line and the column, counted from 1, if the text is that of a file.
    pub position: Option<(usize, usize)>,
    /// The line.
    pub line: String,
    /// The bytes of the line that are wrong.
    pub span: Range<usize>,
    /// What is wrong, and the fix.
    pub sentence: String,
}

impl PolicyError {
    /// A mistake in a file.
    fn in_text(source: &str, text: &str, mistake: Mistake) -> Self {
        let start = mistake.span.start.min(text.len());
        let begin = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let number = text[..begin].matches('\n').count() + 1;
        let column = text[begin..start].chars().count() + 1;

        Self {
            source: source.to_owned(),
            position: Some((number, column)),
            line: text[begin..end].to_owned(),
            span: start - begin..mistake.span.end.clamp(start, end) - begin,
            sentence: mistake.sentence,
        }
    }

    /// A mistake in what follows a flag.
    pub fn in_flag(flag: &str, value: &str, mistake: Mistake) -> Self {
        Self {
            source: flag.to_owned(),
            position: None,
            line: value.to_owned(),
            span: mistake.span,
            sentence: mistake.sentence,
        }
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some((line, column)) => write!(f, "{}:{line}:{column}: ", self.source)?,
            None => write!(f, "{}: ", self.source)?,
        }
        writeln!(f, "{}", self.sentence)?;

        let before = self.line.get(..self.span.start).unwrap_or_default();
        let wrong = self.line.get(self.span.clone()).unwrap_or_default();
        let blank: String = before
            .chars()
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();

        write!(
            f,
            "    {}\n    {blank}{}",
            self.line,
            "^".repeat(wrong.chars().count().max(1))
        )
    }
}

impl std::error::Error for PolicyError {}

impl Policy {
    /// Reads a file's text. `source` is the name that errors have.
    pub fn from_toml(text: &str, source: &str) -> Result<Self, PolicyError> {
        Self::parse(text, source).map_err(|mistake| PolicyError::in_text(source, text, mistake))
    }

    fn parse(text: &str, source: &str) -> Result<Self, Mistake> {
        let table = DeTable::parse(text).map_err(|error| {
            let message = error.message();
            let sentence = if message.starts_with("duplicate key") {
                "this key is there twice: write it once, with all that belongs to it".to_owned()
            } else {
                format!("this is not TOML ({message}): write lines such as connect = [\"tcp:443\"] or dns = true")
            };

            Mistake::new(error.span().unwrap_or(0..0), sentence)
        })?;
        let mut policy = Self::default();

        for (key, value) in table.get_ref() {
            policy.take(key.get_ref(), key.span(), value, text, source)?;
        }
        policy.sort();
        Ok(policy)
    }

    /// Takes the value of one key.
    fn take(
        &mut self,
        key: &str,
        span: Range<usize>,
        value: &Spanned<DeValue<'_>>,
        text: &str,
        source: &str,
    ) -> Result<(), Mistake> {
        if let Some(verb) = Verb::ALL.into_iter().find(|verb| verb.name() == key) {
            for (place, start) in strings(key, value, text)? {
                let mut word = Word::new(verb, &place).map_err(|mistake| mistake.at(start))?;
                let line = text[..start].matches('\n').count() + 1;

                word.origin = Origin(Some(format!("{source}:{line}")));
                self.words.push(word);
            }
            return Ok(());
        }
        match key {
            "dns" => self.dns = boolean(key, value)?,
            "keyrings" => self.keyrings = boolean(key, value)?,
            "create" => {
                for (kind, start) in strings(key, value, text)? {
                    self.create
                        .push(kind.parse().map_err(|mistake: Mistake| mistake.at(start))?);
                }
            }
            "opened" => {
                for item in array(key, value)? {
                    let (text, start) = match item.get_ref() {
                        // Its digits are those of its radix: 0x10 is 16. What does not fit is told as it is written.
                        DeValue::Integer(number) => (
                            i64::from_str_radix(number.as_str(), number.radix())
                                .map_or_else(|_| number.to_string(), |number| number.to_string()),
                            item.span().start,
                        ),
                        _ => string(key, item, text)?,
                    };

                    self.opened
                        .push(text.parse().map_err(|mistake: Mistake| mistake.at(start))?);
                }
            }
            "restrict" => {
                let list = strings(key, value, text)?;

                for (at, (name, start)) in list.iter().enumerate() {
                    let one: Restrict = name
                        .parse()
                        .map_err(|mistake: Mistake| mistake.at(*start))?;

                    if list.len() > 1 && ["all", "none"].contains(&name.as_str()) {
                        let span = *start..start + name.len();

                        return Err(Mistake::new(
                            span,
                            format!("{name} stands alone: write restrict = [\"{name}\"]"),
                        ));
                    }
                    if at == 0 {
                        self.restrict = Restrict::NONE;
                    }
                    self.restrict.net |= one.net;
                    self.restrict.create |= one.create;
                }
                if list.is_empty() {
                    return Err(Mistake::new(
                        value.span(),
                        "an empty list restricts nothing: write restrict = [\"none\"] if that is meant",
                    ));
                }
            }
            "read" | "write" | "unix" => {
                let paths = strings(key, value, text)?;

                // Without a path, files are not restricted. Nobody should think that they are.
                if paths.is_empty() && key != "unix" {
                    return Err(Mistake::new(
                        value.span(),
                        format!("an empty list lets no program start: name folders, or leave {key} out to leave files alone"),
                    ));
                }
                for (path, start) in paths {
                    let span = start..start + path.len();

                    if key == "unix" && path == "any" {
                        self.unix = Unix::Any;
                        continue;
                    }
                    if !Path::new(&path).is_absolute() {
                        let sentence = format!("{path:?} depends on the current folder: write a path that begins with /");

                        return Err(Mistake::new(span, sentence));
                    }
                    if path.split('/').any(|part| part == "..") {
                        let sentence = format!(
                            "{path:?} goes up by ..: write the path that is meant, without it"
                        );

                        return Err(Mistake::new(span, sentence));
                    }
                    self.add_path(key, PathBuf::from(path));
                }
            }
            _ => {
                let known = Verb::ALL.iter().map(|verb| verb.name()).chain(KEYS);
                let fix = match suggest::closest(key, known.clone()) {
                    Some(name) => format!("write {name}"),
                    None => format!("write one of {}", known.collect::<Vec<_>>().join(", ")),
                };

                return Err(Mistake::new(
                    span,
                    format!("{key:?} is no word of a policy: {fix}"),
                ));
            }
        }
        Ok(())
    }

    /// Adds a path to the list with this name.
    pub fn add_path(&mut self, list: &str, path: PathBuf) {
        match (list, &mut self.unix) {
            ("read", _) => self.read.push(path),
            ("write", _) => self.write.push(path),
            (_, Unix::Below(paths)) => paths.push(path),
            (_, Unix::Any) => {}
        }
    }

    /// Puts the words into the order of their verbs, in which they are printed.
    pub fn sort(&mut self) {
        self.words.sort_by_key(|word| word.verb);
    }

    /// Adds what another policy allows. What is restricted stays as it is.
    pub fn add(&mut self, other: Self) {
        self.words.extend(other.words);
        self.dns |= other.dns;
        self.opened.extend(other.opened);
        self.create.extend(other.create);
        self.read.extend(other.read);
        self.write.extend(other.write);
        match other.unix {
            Unix::Any => self.unix = Unix::Any,
            Unix::Below(paths) => paths
                .into_iter()
                .for_each(|path| self.add_path("unix", path)),
        }
        self.keyrings |= other.keyrings;
        self.sort();
    }

    /// The text of a file that is this policy.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();

        for (key, values) in self.lists() {
            if values.len() < 2 {
                let value: String = values.iter().map(|value| quoted(value)).collect();

                text += &format!("{key} = [{value}]\n");
            } else {
                let lines: String = values
                    .iter()
                    .map(|value| format!("    {},\n", quoted(value)))
                    .collect();

                text += &format!("{key} = [\n{lines}]\n");
            }
        }
        for (key, is_set) in [("dns", self.dns), ("keyrings", self.keyrings)] {
            if is_set {
                text += &format!("{key} = true\n");
            }
        }
        text
    }

    /// The flags that are this policy.
    pub fn flags(&self) -> Vec<String> {
        let mut flags = Vec::new();

        for (key, values) in self.lists() {
            // One flag takes the whole list.
            let values = if key == "restrict" {
                vec![values.join(",")]
            } else {
                values
            };

            for value in values {
                flags.push(format!("--{key}"));
                flags.push(value);
            }
        }
        for (key, is_set) in [("dns", self.dns), ("keyrings", self.keyrings)] {
            if is_set {
                flags.push(format!("--{key}"));
            }
        }
        flags
    }

    /// The keys whose values are lists that are not empty.
    fn lists(&self) -> Vec<(&'static str, Vec<String>)> {
        let places = Verb::ALL.into_iter().map(|verb| {
            let of_verb = self.words.iter().filter(|word| word.verb == verb);

            (
                verb.name(),
                of_verb
                    .map(|word| word.place.to_string())
                    .collect::<Vec<_>>(),
            )
        });
        let paths = |paths: &[PathBuf]| {
            paths
                .iter()
                .map(|path| path.to_string_lossy().into_owned())
                .collect()
        };
        let unix = match &self.unix {
            Unix::Any => vec!["any".to_owned()],
            Unix::Below(below) => paths(below),
        };
        let restrict = if self.restrict == Restrict::default() {
            Vec::new()
        } else {
            self.restrict.names()
        };

        (places)
            .chain([
                (
                    "opened",
                    self.opened.iter().map(Opened::to_string).collect(),
                ),
                ("create", self.create.iter().map(Kind::to_string).collect()),
                ("read", paths(&self.read)),
                ("write", paths(&self.write)),
                ("unix", unix),
                ("restrict", restrict),
            ])
            .filter(|(_, values)| !values.is_empty())
            .collect()
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn boolean(key: &str, value: &Spanned<DeValue<'_>>) -> Result<bool, Mistake> {
    match value.get_ref() {
        DeValue::Boolean(value) => Ok(*value),
        _ => Err(Mistake::new(
            value.span(),
            format!("{key} is true or false: write {key} = true"),
        )),
    }
}

fn array<'v, 'i>(
    key: &str,
    value: &'v Spanned<DeValue<'i>>,
) -> Result<&'v [Spanned<DeValue<'i>>], Mistake> {
    match value.get_ref() {
        DeValue::Array(items) => Ok(items),
        _ => Err(Mistake::new(
            value.span(),
            format!("{key} is a list: write {key} = [...]"),
        )),
    }
}

/// The text of a value, and where it begins in the file.
fn string(key: &str, value: &Spanned<DeValue<'_>>, text: &str) -> Result<(String, usize), Mistake> {
    let span = value.span();

    match value.get_ref() {
        // A text that needs no escapes stands in the file as it is, after its quote.
        DeValue::String(string) => {
            let quotes = if text[span.clone()].starts_with("\"\"\"")
                || text[span.clone()].starts_with("'''")
            {
                3
            } else {
                1
            };

            Ok((string.to_string(), span.start + quotes))
        }
        _ => Err(Mistake::new(
            span,
            format!("{key} is a list of texts in quotes: write {key} = [\"...\"]"),
        )),
    }
}

fn strings(
    key: &str,
    value: &Spanned<DeValue<'_>>,
    text: &str,
) -> Result<Vec<(String, usize)>, Mistake> {
    array(key, value)?
        .iter()
        .map(|item| string(key, item, text))
        .collect()
}
