// SPDX-License-Identifier: GPL-2.0

//! Observers: what layers refuse, as typed records.

use crate::kind::Kind;
use crate::rights::Right;
use crate::sys;
use std::collections::VecDeque;
use std::io::{Error, ErrorKind, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The size of `struct portlock_event`.
const RECORD: usize = 88;

/// What a layer refuses, or would refuse if it were not permissive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Asked {
    /// A right.
    Right(Right),
    /// To make a socket.
    Create,
    /// Nothing: the record only tells how many were lost.
    Nothing,
    /// What this version of the library does not know: the rights and the permissions.
    Unknown(u64, u64),
}

/// A record of an observer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// Its number, which rises from record to record.
    pub id: u64,
    /// How many records were lost since the one before.
    pub lost: u64,
    /// The number of the ruleset.
    pub cookie: u64,
    /// Whether the layer is permissive, and let it pass.
    pub is_permissive: bool,
    /// What was asked for.
    pub asked: Asked,
    /// The thread, if it has a number here.
    pub thread: Option<i32>,
    /// The socket's family, type and protocol, as passed to socket(2).
    pub socket: (i32, i32, i32),
    /// The port that was compared with rules, 0 if none was.
    pub port: u16,
    /// The address that was compared with rules, if one was.
    pub address: Option<IpAddr>,
}

impl Event {
    /// A record that no kernel wrote, to try things with. All but what was asked for can be set then.
    ///
    /// ```
    /// use portlock::{Asked, Event, Right};
    ///
    /// let mut event = Event::new(Asked::Right(Right::ConnectTcp));
    ///
    /// event.port = 443;
    /// event.address = Some([192, 0, 2, 1].into());
    /// assert_eq!(event.words().as_deref(), Some("connect tcp 192.0.2.1:443"));
    /// ```
    pub fn new(asked: Asked) -> Self {
        Self {
            id: 0,
            lost: 0,
            cookie: 0,
            is_permissive: false,
            asked,
            thread: None,
            socket: (0, 0, 0),
            port: 0,
            address: None,
        }
    }

    /// Reads a record of at least 88 bytes.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let u32_at = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let i32_at = |at: usize| Some(i32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let u64_at = |at: usize| Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let address: [u8; 16] = bytes.get(72..88)?.try_into().ok()?;
        let [a, b, c, d, ..] = address;

        Some(Self {
            id: u64_at(8)?,
            lost: u64_at(16)?,
            cookie: u64_at(24)?,
            is_permissive: u32_at(4)? & 1 != 0,
            asked: match (u64_at(32)?, u64_at(40)?) {
                (0, 0) => Asked::Nothing,
                (0, sys::SOCKET_CREATE) => Asked::Create,
                (net, 0) => Right::from_bit(net).map_or(Asked::Unknown(net, 0), Asked::Right),
                (net, permissions) => Asked::Unknown(net, permissions),
            },
            thread: Some(i32_at(48)?).filter(|thread| *thread > 0),
            socket: (i32_at(52)?, i32_at(56)?, i32_at(60)?),
            port: u16::try_from(u32_at(64)?).ok()?,
            address: match u32_at(68)? {
                0 => None,
                2 => Some(Ipv4Addr::new(a, b, c, d).into()),
                _ => Some(Ipv6Addr::from(address).into()),
            },
        })
    }

    /// The kind of the socket, if its numbers can be those of a rule.
    pub fn kind(&self) -> Option<Kind> {
        let (family, kind, protocol) = self.socket;

        Some(Kind::new(
            u8::try_from(family).ok().filter(|number| *number < 255)?,
            u8::try_from(kind).ok().filter(|number| *number < 255)?,
            u16::try_from(protocol)
                .ok()
                .filter(|number| *number < 65535)?,
        ))
    }
}

/// An observer: it tells what the layers that were made with it refuse.
///
/// It is an iterator that waits for records, and ends when nobody writes any more: after the last process of
/// the sandbox has ended and was waited for. [`Observer::poll`] does not wait. For that, wait until the file
/// descriptor can be read.
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// let observer = portlock::Observer::new()?;
/// // Here layers are made with it, and a program runs in them.
/// for event in observer {
///     println!("{:?}", event?.asked);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Observer {
    fd: OwnedFd,
    ready: VecDeque<Event>,
}

impl Observer {
    /// Makes an observer. It is closed on exec.
    pub fn new() -> Result<Self> {
        sys::create_observer().map(Self::from)
    }

    /// The records that are there now. `None` is the end.
    pub fn poll(&mut self) -> Result<Option<Vec<Event>>> {
        let mut all: Vec<Event> = self.ready.drain(..).collect();
        let mut poll = [rustix::event::PollFd::new(
            &self.fd,
            rustix::event::PollFlags::IN,
        )];
        let now = rustix::time::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };

        if rustix::event::poll(&mut poll, Some(&now))? == 0 || self.fill()? {
            all.extend(self.ready.drain(..));
            return Ok(Some(all));
        }
        Ok((!all.is_empty()).then_some(all))
    }

    /// Reads records, waiting for the first. Returns whether there were any: not at the end.
    fn fill(&mut self) -> Result<bool> {
        let mut bytes = [0; 64 * RECORD];
        let len = loop {
            match rustix::io::read(&self.fd, &mut bytes) {
                Err(rustix::io::Errno::INTR) => {}
                other => break other?,
            }
        };
        let mut left = &bytes[..len];

        // Each record has its size, so that longer ones can be read too.
        while let Some(size) = left
            .first_chunk()
            .map(|size| u32::from_ne_bytes(*size) as usize)
        {
            let record = left.get(..size).filter(|record| record.len() >= RECORD);
            let event = record
                .and_then(Event::parse)
                .ok_or(Error::from(ErrorKind::InvalidData))?;

            self.ready.push_back(event);
            left = &left[size..];
        }
        Ok(len > 0)
    }
}

impl From<OwnedFd> for Observer {
    /// An observer that another process has made and passed on.
    fn from(fd: OwnedFd) -> Self {
        Self {
            fd,
            ready: VecDeque::new(),
        }
    }
}

impl AsFd for Observer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Iterator for Observer {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Result<Event>> {
        if self.ready.is_empty() {
            if let Err(error) = self.fill() {
                return Some(Err(error));
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(net: u64, permissions: u64, port: u32, family: u32, address: [u8; 16]) -> Vec<u8> {
        let mut bytes = vec![];

        for word in [88u32, 1] {
            bytes.extend(word.to_ne_bytes());
        }
        for word in [7u64, 3, 9, net, permissions] {
            bytes.extend(word.to_ne_bytes());
        }
        for word in [42u32, 2, 1, 6, port, family] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(address);
        bytes
    }

    #[test]
    fn a_record_is_read_as_the_header_says() {
        let mut address = [0; 16];

        address[..4].copy_from_slice(&[10, 1, 2, 3]);
        assert_eq!(
            Event::parse(&record(2, 0, 443, 2, address)),
            Some(Event {
                id: 7,
                lost: 3,
                cookie: 9,
                is_permissive: true,
                asked: Asked::Right(Right::ConnectTcp),
                thread: Some(42),
                socket: (2, 1, 6),
                port: 443,
                address: Some([10, 1, 2, 3].into()),
            })
        );
    }

    #[test]
    fn a_record_may_be_about_a_socket_or_only_about_losses() {
        let asked = |net, permissions| {
            Event::parse(&record(net, permissions, 0, 0, [0; 16]))
                .unwrap()
                .asked
        };

        assert_eq!(asked(0, 1 << 32), Asked::Create);
        assert_eq!(asked(0, 0), Asked::Nothing);
        assert_eq!(asked(1 << 50, 0), Asked::Unknown(1 << 50, 0));
        assert_eq!(Event::parse(&[0; 87]), None);
    }
}
