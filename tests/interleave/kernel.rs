// SPDX-License-Identifier: GPL-2.0

//! The kernel's atomics on a machine with weakly ordered memory, and all orders in which a few threads
//! can run on it.
//!
//! A thread is a function that is called anew for each of its operations. The call is told what the
//! earlier operations returned, so it comes to the next one, and this is done in each way that is
//! possible. What the call does after that does not matter. So a thread must do nothing but operations
//! on atomics, and it must end whatever they return.
//!
//! Each place in memory has a list of stores. Each thread knows for each place the newest store that it
//! must have seen. A load returns that one or any newer one. A store goes anywhere behind that one.
//! Threads learn from each other what they know by `Release` and `Acquire`, and by the order `Full`. This
//! allows all that the kernel's memory model allows (`tools/memory-model`), and more, because operations
//! of the order `Full` have no order in common here.
//!
//! It lacks one thing: a thread's store that others see before the thread does an earlier load. No store
//! does that which is behind an operation of the order `Full`, or is a `Release` itself.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeSet, HashSet},
};

pub mod prelude {
    /// The derive macro. An atomic's default is zero.
    pub use std::default::Default as Zeroable;
}

pub mod sync {
    pub mod atomic {
        use crate::{next, Operation, Order, PLACES};
        use std::marker::PhantomData;

        pub struct Relaxed;
        pub struct Acquire;
        pub struct Release;
        pub struct Full;

        pub trait Ordering {
            const ORDER: Order;
        }

        impl Ordering for Relaxed {
            const ORDER: Order = Order::Relaxed;
        }
        impl Ordering for Acquire {
            const ORDER: Order = Order::Acquire;
        }
        impl Ordering for Release {
            const ORDER: Order = Order::Release;
        }
        impl Ordering for Full {
            const ORDER: Order = Order::Full;
        }

        /// A place in memory.
        pub struct Atomic<T>(usize, PhantomData<T>);

        impl Default for Atomic<u64> {
            fn default() -> Self {
                Self(PLACES.replace(PLACES.get() + 1), PhantomData)
            }
        }

        impl Atomic<u64> {
            pub fn load<O: Ordering>(&self, _: O) -> u64 {
                next(Operation::Load(self.0, O::ORDER))
            }

            pub fn store<O: Ordering>(&self, value: u64, _: O) {
                next(Operation::Store(self.0, value, O::ORDER));
            }

            pub fn cmpxchg<O: Ordering>(&self, old: u64, new: u64, _: O) -> Result<u64, u64> {
                let found = next(Operation::Exchange(self.0, [old, new], O::ORDER));

                if found == old {
                    Ok(found)
                } else {
                    Err(found)
                }
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
pub enum Order {
    Relaxed,
    Acquire,
    Release,
    Full,
}

/// An operation: its place, its values, its order.
#[derive(Clone, Copy)]
enum Operation {
    Load(usize, Order),
    Store(usize, u64, Order),
    Exchange(usize, [u64; 2], Order),
}

#[derive(Default)]
struct Call {
    /// What the operations up to now returned.
    returned: Vec<u64>,
    done: usize,
    /// The first one after them.
    next: Option<Operation>,
}

thread_local! {
    /// How many places there are.
    static PLACES: Cell<usize> = const { Cell::new(0) };
    static CALL: RefCell<Call> = RefCell::default();
}

/// What the operation returned, or 0 if it has not been done.
fn next(operation: Operation) -> u64 {
    CALL.with_borrow_mut(|call| {
        call.done += 1;
        match call.returned.get(call.done - 1) {
            Some(value) => *value,
            None => {
                call.next.get_or_insert(operation);
                0
            }
        }
    })
}

/// What is known: for each place, the newest store that must have been seen.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
struct View([u8; 8]);

impl View {
    fn at(&self, place: usize) -> usize {
        self.0[place].into()
    }

    fn learn(&mut self, place: usize, index: usize) {
        self.0[place] = self.0[place].max(index as u8);
    }

    fn join(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = theirs.max(*mine);
        }
    }
}

#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Store {
    value: u64,
    /// What is known to a thread that acquires it.
    view: View,
    /// Whether it replaced the store before it. Then nothing comes between them.
    has_replaced: bool,
}

#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Thread {
    /// What its operations returned.
    returned: Vec<u64>,
    is_done: bool,
    known: View,
    /// What it will know after a barrier: the views of all stores that it has loaded.
    loaded: View,
    /// What it knew at its last barrier of the order `Full`: each later store of it tells that.
    told: View,
}

/// For each place its stores, in the order in which they replace each other.
type Memory = Vec<Vec<Store>>;

#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    memory: Memory,
    threads: Vec<Thread>,
}

impl State {
    /// Loads the store at `index`.
    fn load(&mut self, thread: usize, place: usize, index: usize, order: Order) {
        let store = &self.memory[place][index];
        let thread = &mut self.threads[thread];

        thread.known.learn(place, index);
        thread.loaded.join(&store.view);
        if order == Order::Acquire {
            thread.known.join(&store.view);
        }
        thread.returned.push(store.value);
    }

    /// Stores behind the store at `index`. The stores that are behind it already move on.
    fn store(&mut self, number: usize, place: usize, index: usize, store: Store, order: Order) {
        let index = index + 1;

        self.memory[place].insert(index, store);

        let stores = self
            .memory
            .iter_mut()
            .flatten()
            .map(|store| &mut store.view);
        let threads = (self.threads.iter_mut())
            .flat_map(|thread| [&mut thread.known, &mut thread.loaded, &mut thread.told]);

        for view in stores.chain(threads) {
            if view.at(place) >= index {
                view.0[place] += 1;
            }
        }

        let thread = &mut self.threads[number];
        let view = &mut self.memory[place][index].view;

        thread.known.learn(place, index);
        view.learn(place, index);
        view.join(match order {
            Order::Release => &thread.known,
            _ => &thread.told,
        });
    }

    /// A barrier of the order `Full`.
    fn full_barrier(&mut self, number: usize) {
        let thread = &mut self.threads[number];

        thread.known.join(&thread.loaded);
        thread.told = thread.known;
    }

    /// All states that an operation of the thread can lead to.
    fn after(&self, thread: usize, operation: Operation) -> Vec<State> {
        let known = &self.threads[thread].known;
        let visible = |place| known.at(place)..self.memory[place].len();
        let has_room = |place: usize, index: &usize| {
            let next = self.memory[place].get(index + 1);

            !next.is_some_and(|store| store.has_replaced)
        };
        let change = |change: &dyn Fn(&mut State)| {
            let mut state = self.clone();

            change(&mut state);
            state
        };

        match operation {
            Operation::Load(place, order) => visible(place)
                .map(|index| change(&|state| state.load(thread, place, index, order)))
                .collect(),
            Operation::Store(place, value, order) => visible(place)
                .filter(|index| has_room(place, index))
                .map(|index| {
                    change(&|state| {
                        let store = Store {
                            value,
                            ..Store::default()
                        };

                        state.store(thread, place, index, store, order);
                        state.threads[thread].returned.push(0);
                    })
                })
                .collect(),
            Operation::Exchange(place, [old, new], order) => visible(place)
                .filter(|index| self.memory[place][*index].value != old || has_room(place, index))
                .map(|index| {
                    change(&|state| {
                        let found = &self.memory[place][index];

                        if found.value != old {
                            // One that fails has no order.
                            return state.load(thread, place, index, Order::Relaxed);
                        }
                        if order == Order::Full {
                            state.full_barrier(thread);
                        }

                        let store = Store {
                            value: new,
                            // It tells what the store tells that it replaces.
                            view: found.view,
                            has_replaced: true,
                        };

                        state.load(thread, place, index, order);
                        state.store(thread, place, index, store, order);
                        if order == Order::Full {
                            state.full_barrier(thread);
                        }
                    })
                })
                .collect(),
        }
    }
}

/// What is in memory, and what it can be after threads ran.
pub struct Explored<M> {
    shared: M,
    memories: HashSet<Memory>,
    /// How many states of memory and threads there were.
    pub states: usize,
}

impl<M> Explored<M> {
    /// Memory that has what `new` makes, all zeroes.
    pub fn new(new: impl Fn() -> M) -> Self {
        PLACES.set(0);

        let shared = new();
        let memory = vec![vec![Store::default()]; PLACES.get()];

        Self {
            shared,
            memories: HashSet::from([memory]),
            states: 0,
        }
    }

    /// Runs `threads` in all orders, and returns what they returned in any of them.
    ///
    /// They do not know what ran before, and may load older stores, as if it ran at the same time. So
    /// threads that only store may run before the others, and those that only load after them: in
    /// another order they could load nothing else.
    pub fn run<T: Ord>(&mut self, threads: &[impl Fn(&M) -> Vec<T>]) -> BTreeSet<T> {
        let Self {
            shared,
            memories,
            states,
        } = self;
        let mut results = BTreeSet::new();

        *states += explore(memories, threads.len(), &mut |number| {
            let result = threads[number](shared);

            if CALL.with_borrow(|call| call.next.is_none()) {
                results.extend(result);
            }
        });
        results
    }
}

/// Runs so many threads, which `call` calls by their number, and returns how many states there were.
fn explore(memories: &mut HashSet<Memory>, threads: usize, call: &mut dyn FnMut(usize)) -> usize {
    let first = |memory| State {
        memory,
        threads: vec![Thread::default(); threads],
    };
    let mut open: Vec<_> = memories.drain().map(first).collect();
    let mut seen: HashSet<_> = open.iter().cloned().collect();

    while let Some(mut state) = open.pop() {
        for number in 0..threads {
            if state.threads[number].is_done {
                continue;
            }
            CALL.set(Call {
                returned: state.threads[number].returned.clone(),
                ..Call::default()
            });
            call(number);
            if let Some(operation) = CALL.take().next {
                for next in state.after(number, operation) {
                    if seen.insert(next.clone()) {
                        open.push(next);
                    }
                }
            } else {
                // What it knew no longer matters.
                state.threads[number] = Thread {
                    is_done: true,
                    ..Thread::default()
                };
            }
        }
        if state.threads.iter().all(|thread| thread.is_done) {
            memories.insert(state.memory);
        }
    }
    seen.len()
}
