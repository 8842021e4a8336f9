// SPDX-License-Identifier: GPL-2.0

//! Open sockets that a program inherits, by which it can do what the rules do not hold.

use crate::kind::{Kind, DGRAM, INET, INET6, MPTCP, STREAM, TCP, UDP, UNIX};
use crate::policy::Unix;
use crate::rights::Right;
use crate::rules::Rules;
use crate::sys;
use rustix::net::getpeername;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

/// An open socket by which a program that inherits it goes around the rules.
///
/// ```
/// use portlock::{Machine, Policy};
///
/// let rules = Policy::default().rules(&Machine::default());
/// for socket in rules.inherited()? {
///     println!("{} is open: {}", socket.fd, socket.text);
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inherited {
    /// The file descriptor.
    pub fd: i32,
    /// What it is, and what can be done with it: "the UDP socket 3, which can send to 192.0.2.1:53".
    pub text: String,
    /// Whether the policy refuses that. If not, it is an AF_UNIX socket, by which a program is often talked to on
    /// purpose.
    pub is_refused: bool,
    /// Whether it is known what it is. If not, [`Opened::granted`](crate::Opened::granted) fails for it.
    pub is_known: bool,
}

impl Rules {
    /// The open sockets that a program would inherit from this process and that lead around these rules. Those that
    /// the policy names as opened are not among them, and TCP, MPTCP and UDP without a peer are held by rules. A
    /// socket of which the kernel does not tell the kind is among them.
    ///
    /// The error is that of `/proc/self/fd`, or there is no number for one more file descriptor.
    pub fn inherited(&self) -> io::Result<Vec<Inherited>> {
        let mut all = Vec::new();

        if self.restrict.is_none() && self.unix == Unix::Any {
            return Ok(all);
        }
        for entry in std::fs::read_dir("/proc/self/fd")? {
            let name = entry?.file_name();
            let fd = name.to_str().and_then(|name| name.parse().ok());

            if let Some(fd) = fd.filter(|fd| sys::is_inherited(*fd)) {
                all.extend(self.leads_around(fd, sys::duplicate(fd)?.as_fd()));
            }
        }
        all.sort_by_key(|socket| socket.fd);
        Ok(all)
    }

    fn leads_around(&self, fd: i32, socket: BorrowedFd<'_>) -> Option<Inherited> {
        if self.opened.iter().any(|opened| opened.fd == fd) {
            return None;
        }

        let kind = match Kind::of(socket) {
            Ok(kind) => kind?,
            // It may be one that no rule holds.
            Err(error) => {
                return Some(Inherited {
                    fd,
                    text: format!(
                        "the socket {fd}, of which the kernel does not tell the kind ({error})"
                    ),
                    is_refused: !self.restrict.is_none(),
                    is_known: false,
                })
            }
        };
        let (text, is_refused) = match (kind.family, kind.kind, kind.protocol) {
            (UNIX, ..) if self.unix == Unix::Any => return None,
            (UNIX, ..) => {
                getpeername(socket).ok()?;
                (
                    format!("the AF_UNIX socket {fd}, which reaches whoever has its other end"),
                    false,
                )
            }
            (INET | INET6, Some(STREAM), Some(TCP | MPTCP)) => return None,
            // The kernel asks only about a send that has a destination.
            (INET | INET6, Some(DGRAM), Some(UDP)) => {
                let peer = SocketAddr::try_from(getpeername(socket).ok()??).ok()?;

                if self.allows(Right::ConnectSendUdp, peer.port(), Some(peer.ip())) {
                    return None;
                }
                (
                    format!("the UDP socket {fd}, which can send to {peer}"),
                    true,
                )
            }
            _ if self.makes(kind) => return None,
            _ => (
                format!("the socket {fd} of the kind {kind}, which no rule holds"),
                true,
            ),
        };

        Some(Inherited {
            fd,
            text,
            is_refused,
            is_known: true,
        })
    }
}
