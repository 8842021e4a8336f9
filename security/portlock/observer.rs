// SPDX-License-Identifier: GPL-2.0

//! Observers: a file descriptor tells what the layers of some rulesets refuse.
//!
//! Layers write records, and whoever has the descriptor reads them. A hook that writes never waits for
//! a reader: when there is no room, its record is counted as lost.

use crate::abi::Event;
use kernel::{
    alloc::flags::{
        __GFP_NOWARN, //
        GFP_KERNEL_ACCOUNT,
    },
    bindings,
    fs::{
        anon_inode::{
            self,
            Handle, //
        },
        File,
        LocalFile, //
    },
    iov::IovIterDest,
    new_poll_condvar,
    new_spinlock,
    pid_namespace::PidNamespace,
    prelude::*,
    sync::{
        aref::ARef,
        poll::{
            PollCondVar,
            PollTable, //
        },
        Arc,
        SpinLock,
        UniqueArc, //
    },
    transmute::AsBytes, //
};

/// The number of records that an observer has room for.
const CAPACITY: usize = 1024;

/// What an observer keeps, whoever has a reference to it.
#[pin_data]
pub(crate) struct Observer {
    /// The namespace in which threads are numbered: that of the creator.
    pids: ARef<PidNamespace>,
    /// Who holds this lock does not sleep, and takes no other one but that of `changed`. Hooks take it,
    /// also under a socket lock.
    #[pin]
    ring: SpinLock<Ring>,
    /// Notified when `ring` has changed in a way that a reader may wait for.
    #[pin]
    changed: PollCondVar,
}

/// The records that nobody has read yet.
///
/// # Invariants
///
/// `first` is less than [`CAPACITY`], and `len` not more.
struct Ring {
    /// `CAPACITY` of them, or none once nobody can read them any more.
    records: VVec<Event>,
    /// Where the oldest record is.
    first: usize,
    /// How many records there are, from there on.
    len: usize,
    /// The number of the last record, 0 before the first.
    last_id: u64,
    /// How many records were lost since the last one.
    lost: u64,
    /// How many rulesets, each with the layers that were made of it, write records.
    writers: usize,
    /// Whether there was a writer: a ruleset that could not be made does not count.
    had_writer: bool,
}

impl Ring {
    /// An empty ring, charged to the current task. Returns `ENOMEM`.
    fn new() -> Result<Self> {
        // Whoever has used up its memory must not fill the kernel's log.
        let flags = GFP_KERNEL_ACCOUNT | __GFP_NOWARN;
        let records = VVec::from_elem(Event::default(), CAPACITY, flags)?;

        // INVARIANT: There is no record.
        Ok(Self {
            records,
            first: 0,
            len: 0,
            last_id: 0,
            lost: 0,
            writers: 0,
            had_writer: false,
        })
    }

    /// Gives `record` its number, and what was lost before it.
    fn number(&mut self, record: Event) -> Event {
        let Event(record) = record;

        self.last_id = self.last_id.wrapping_add(1);
        Event(bindings::portlock_event {
            id: self.last_id,
            lost: core::mem::take(&mut self.lost),
            ..record
        })
    }

    /// Adds a record, or counts it as lost if there is no room.
    fn push(&mut self, record: Event) {
        if self.records.is_empty() {
            return;
        }
        if self.len >= CAPACITY {
            self.lost = self.lost.saturating_add(1);
            return;
        }

        let record = self.number(record);
        let place = (self.first + self.len) % CAPACITY;

        if let Some(place) = self.records.get_mut(place) {
            *place = record;
            // INVARIANT: There was room.
            self.len += 1;
        }
    }

    /// Takes the next record: the oldest one, or one that tells how many were lost after the last one.
    fn take(&mut self) -> Option<Event> {
        if self.len > 0 {
            let record = self.records.get(self.first).copied();

            // INVARIANT: The rest is in a circle.
            self.first = (self.first + 1) % CAPACITY;
            self.len -= 1;
            record
        } else if self.lost > 0 {
            Some(self.number(Event::default()))
        } else {
            None
        }
    }

    /// Takes back a record that did not arrive: it is the next one again, or is lost if there is no room.
    /// If another reader was faster, it comes after a later one.
    fn give_back(&mut self, record: Event) {
        let Event(said) = record;
        let is_about_losses = said.access_net == 0 && said.permissions == 0;

        if is_about_losses || self.len >= CAPACITY {
            let lost = said.lost.saturating_add(u64::from(!is_about_losses));
            // It is older than all that is here.
            let next = match self.oldest() {
                Some(Event(oldest)) => &mut oldest.lost,
                None => &mut self.lost,
            };

            *next = next.saturating_add(lost);
            return;
        }

        // INVARIANT: There is room before the first.
        self.first = (self.first + CAPACITY - 1) % CAPACITY;
        self.len += 1;
        if let Some(place) = self.oldest() {
            *place = record;
        }
    }

    fn oldest(&mut self) -> Option<&mut Event> {
        if self.len > 0 {
            self.records.get_mut(self.first)
        } else {
            None
        }
    }

    /// Whether there is something to read.
    fn has_news(&self) -> bool {
        self.len > 0 || self.lost > 0
    }

    /// Whether nobody writes any more.
    fn is_over(&self) -> bool {
        self.had_writer && self.writers == 0
    }
}

impl Observer {
    /// Copies as many whole records as there are and fit, see [`Handle::read_iter`].
    fn read(&self, iov: &mut IovIterDest<'_>, nonblock: bool) -> Result {
        if iov.len() < size_of::<Event>() {
            return Err(EINVAL);
        }
        while self.wait(nonblock)? {
            if self.copy(iov)? {
                break;
            }
            // Another reader was faster.
        }
        Ok(())
    }

    /// Waits until there is something to read. Returns whether there is: if not, nothing will come.
    fn wait(&self, nonblock: bool) -> Result<bool> {
        let mut ring = self.ring.lock();

        loop {
            if ring.has_news() {
                return Ok(true);
            }
            if ring.is_over() {
                return Ok(false);
            }
            if nonblock {
                return Err(EAGAIN);
            }
            if self.changed.wait_interruptible(&mut ring) {
                return Err(ERESTARTSYS);
            }
        }
    }

    /// Copies records, and returns whether there was one.
    fn copy(&self, iov: &mut IovIterDest<'_>) -> Result<bool> {
        let mut has_copied = false;

        // All that there can be, and what was lost. Writers may add records as fast as they are read.
        for _ in 0..=CAPACITY {
            if iov.len() < size_of::<Event>() {
                break;
            }
            // The lock is not held while user space is written.
            let Some(record) = self.take() else {
                break;
            };

            if let Err(error) = anon_inode::copy_to_iter_full(iov, record.as_bytes()) {
                self.ring.lock().give_back(record);
                self.changed.notify_all();
                return if has_copied { Ok(true) } else { Err(error) };
            }
            has_copied = true;
        }
        Ok(has_copied)
    }

    fn take(&self) -> Option<Event> {
        self.ring.lock().take()
    }

    /// What the file is ready for, as a mask of `POLL*`.
    fn ready(&self) -> u32 {
        let ring = self.ring.lock();
        let mut ready = 0;

        if ring.has_news() {
            ready |= bindings::POLLIN | bindings::POLLRDNORM;
        }
        if ring.is_over() {
            ready |= bindings::POLLHUP;
        }
        ready
    }

    /// Frees the records: nobody can read them any more.
    fn end(&self) {
        let records = {
            let mut ring = self.ring.lock();

            // INVARIANT: There are no records.
            (ring.first, ring.len) = (0, 0);
            core::mem::take(&mut ring.records)
        };

        // Not under the lock.
        drop(records);
    }
}

/// What the file of an observer owns. When it is dropped, nothing is recorded any more.
pub(crate) struct Reading(Arc<Observer>);

impl Reading {
    /// Creates an observer, charged to the current task, in whose PID namespace threads are numbered.
    /// Returns `ENOMEM`.
    fn new() -> Result<KBox<Self>> {
        let current = current!();
        let pids = current.active_pid_ns().ok_or(ENOMEM)?;
        let ring = Ring::new()?;
        let observer = Arc::pin_init(
            pin_init!(Observer {
                pids: pids.into(),
                ring <- new_spinlock!(ring, "Observer::ring"),
                changed <- new_poll_condvar!("Observer::changed"),
            }),
            GFP_KERNEL_ACCOUNT,
        )?;

        Ok(KBox::new(Self(observer), GFP_KERNEL_ACCOUNT)?)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[vtable]
impl Handle for Reading {
    type Ptr = KBox<Reading>;

    fn read_iter(this: &Reading, iov: &mut IovIterDest<'_>, nonblock: bool) -> Result {
        this.0.read(iov, nonblock)
    }

    fn poll(this: &Reading, file: &File, table: PollTable<'_>) -> u32 {
        table.register_wait(file, &this.0.changed);
        this.0.ready()
    }
}

kernel::anon_inode_handles! {
    /// The files that observer file descriptors refer to.
    static OBSERVERS: Handles<Reading>;
}

/// Returns a new file descriptor of a new observer.
pub(crate) fn open() -> Result<c_int> {
    OBSERVERS.open(
        c"[portlock-observer]",
        Reading::new()?,
        kernel::fs::file::flags::O_RDONLY | kernel::fs::file::flags::O_CLOEXEC,
    )
}

/// What a ruleset and the layers made of it write their records with.
pub(crate) struct Reporter {
    observer: Arc<Observer>,
    cookie: u64,
}

impl Reporter {
    /// The reporter of a ruleset to the observer that `file` refers to. `cookie` comes back in each
    /// record.
    ///
    /// Returns `EBADFD` if the file is no observer's, and `ENOMEM`.
    pub(crate) fn new(file: &LocalFile, cookie: u64) -> Result<Arc<Self>> {
        let observer = OBSERVERS.get(file).ok_or(EBADFD)?.0.clone();
        let place = UniqueArc::new_uninit(GFP_KERNEL_ACCOUNT)?;

        observer.ring.lock().writers += 1;
        Ok(place.write(Self { observer, cookie }).into())
    }

    /// Says that the ruleset is there: from now on, the records end when nobody is left to write them.
    pub(crate) fn announce(&self) {
        self.observer.ring.lock().had_writer = true;
    }

    /// Writes a record of the current thread, or counts it as lost. Does not sleep.
    pub(crate) fn report(&self, Event(event): Event) {
        let event = Event(bindings::portlock_event {
            cookie: self.cookie,
            tid: current!().pid_nr_ns(&self.observer.pids),
            ..event
        });

        self.observer.ring.lock().push(event);
        self.observer.changed.notify_all();
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.observer.ring.lock().writers -= 1;
        // A reader may wait for the end.
        self.observer.changed.notify_all();
    }
}

#[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
#[kernel::macros::kunit_tests(portlock_observer)]
mod tests {
    use super::*;

    fn taken(ring: &mut Ring) -> Option<(u64, u64)> {
        ring.take().map(|Event(record)| (record.id, record.lost))
    }

    fn refusal() -> Event {
        Event(bindings::portlock_event {
            access_net: 1,
            ..Event::default().0
        })
    }

    #[test]
    fn records_come_in_order() -> Result {
        let mut ring = Ring::new()?;

        assert!(!ring.has_news());
        assert_eq!(taken(&mut ring), None);
        for _ in 0..CAPACITY * 3 / 2 {
            ring.push(refusal());
            ring.push(refusal());
            assert!(ring.has_news());
            let last = ring.last_id;

            assert_eq!(taken(&mut ring), Some((last - 1, 0)));
            assert_eq!(taken(&mut ring), Some((last, 0)));
        }
        assert!(!ring.has_news());
        Ok(())
    }

    #[test]
    fn what_has_no_room_is_counted() -> Result {
        let mut ring = Ring::new()?;

        for _ in 0..CAPACITY + 3 {
            ring.push(refusal());
        }
        // The next record tells it.
        assert_eq!(taken(&mut ring), Some((1, 0)));
        ring.push(refusal());
        for id in 2..=CAPACITY as u64 {
            assert_eq!(taken(&mut ring), Some((id, 0)));
        }
        assert_eq!(taken(&mut ring), Some((CAPACITY as u64 + 1, 3)));
        assert!(!ring.has_news());

        // If none comes, a record of its own does.
        for _ in 0..CAPACITY + 2 {
            ring.push(refusal());
        }
        for _ in 0..CAPACITY {
            assert!(taken(&mut ring).is_some_and(|(_, lost)| lost == 0));
        }
        assert!(ring.has_news());
        assert!(taken(&mut ring).is_some_and(|(_, lost)| lost == 2));
        assert!(!ring.has_news());
        Ok(())
    }

    #[test]
    fn what_did_not_arrive_comes_again() -> Result {
        let mut ring = Ring::new()?;

        for _ in 0..CAPACITY + 1 {
            ring.push(refusal());
        }

        let first = ring.take().ok_or(ENOENT)?;

        ring.give_back(first);
        assert_eq!(taken(&mut ring), Some((1, 0)));

        // Its place was taken meanwhile.
        let second = ring.take().ok_or(ENOENT)?;

        assert_eq!(second.0.id, 2);
        ring.push(refusal());
        ring.push(refusal());
        ring.give_back(second);

        let mut lost = 0;
        let mut count = 0;

        while let Some((_, more)) = taken(&mut ring) {
            lost += more;
            count += 1;
        }
        assert_eq!((count, lost), (CAPACITY, 2));
        Ok(())
    }

    #[test]
    fn a_count_that_did_not_arrive_comes_again() -> Result {
        let mut ring = Ring::new()?;
        let lose_one = |ring: &mut Ring| {
            for _ in 0..CAPACITY + 1 {
                ring.push(refusal());
            }
            while ring.len > 0 {
                ring.take();
            }
            ring.take().ok_or(ENOENT)
        };

        let count = lose_one(&mut ring)?;

        assert!(!ring.has_news());
        ring.give_back(count);
        assert!(taken(&mut ring).is_some_and(|(_, lost)| lost == 1));
        assert!(!ring.has_news());

        // The next record may be there already.
        let count = lose_one(&mut ring)?;

        ring.push(refusal());
        ring.give_back(count);
        assert!(taken(&mut ring).is_some_and(|(_, lost)| lost == 1));
        assert!(!ring.has_news());
        Ok(())
    }

    #[test]
    fn a_ring_that_nobody_reads_keeps_nothing() -> Result {
        let mut ring = Ring::new()?;

        ring.push(refusal());
        (ring.first, ring.len) = (0, 0);
        ring.records = VVec::new();
        ring.push(refusal());
        assert!(!ring.has_news());
        Ok(())
    }
}
