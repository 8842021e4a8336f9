// SPDX-License-Identifier: GPL-2.0

//! Linux security modules, written in Rust.
//!
//! The kernel asks a Linux security module (LSM) before it does what a task wants, and the LSM can
//! refuse. The places where it asks are the *hooks*. An LSM implements the hooks that it needs. It
//! can keep a value with each credential, to remember what the tasks that hold the credential may
//! do, and a value with each socket.
//!
//! An LSM is a type that implements [`Lsm`] and is registered with [`lsm!`]. It is always built
//! into the kernel, never a module. It is in force only if the boot says so, with the parameter
//! `lsm=` or else with `CONFIG_LSM`.
//!
//! What runs when:
//!
//! 1. The LSM core reads the list of LSMs and records which LSMs are on it, see [`is_enabled`].
//! 2. It gives each enabled LSM its place in the composite blobs of credentials and sockets, and
//!    allocates the blob of the first task's credentials.
//! 3. It calls [`Lsm::init`] of each enabled LSM, in the order of the list. There is one processor
//!    and one task at this time. Hooks come into force here.
//! 4. After that none of this changes. What the core wrote is mapped read-only.
//!
//! C calls a function that wraps the arguments of a hook, and this function calls the safe method of
//! the LSM. It takes no lock and no reference. What a hook gets is valid for the length of the
//! call, and its type says so.
//!
//! `Documentation/rust/lsm.rst` says how to write an LSM.
//!
//! C header: [`include/linux/lsm_hooks.h`](srctree/include/linux/lsm_hooks.h).
//!
//! [`lsm!`]: crate::prelude::lsm

use crate::{
    bindings,
    prelude::*,
    types::NotThreadSafe, //
};
use core::{
    cell::UnsafeCell,
    marker::PhantomData,
    mem::needs_drop, //
};

#[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
use crate::{
    error::VTABLE_DEFAULT_ERROR,
    net::socket::{
        LockedSock,
        Msg,
        NewSocket,
        Sockaddr,
        Socket,
        SocketParams, //
    }, //
};

mod cred;
mod hooks;
#[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
mod sock;
#[cfg(all(CONFIG_RUST_LSM_KUNIT_TEST, CONFIG_NET, CONFIG_SECURITY_NETWORK))]
mod tests;

pub use self::cred::{
    copy_cred_blob,
    CredBlob,
    PreparedCred,
    SystemCall, //
};
use self::hooks::HookList;
#[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
pub use self::sock::sock_blob;

/// A Linux security module.
///
/// The methods after [`init`](Self::init) are the hooks. Each has the name that it has in C, where
/// [`include/linux/lsm_hook_defs.h`](srctree/include/linux/lsm_hook_defs.h) declares all hooks. All
/// are optional. Only the hooks that an LSM implements are registered, so the others cost nothing.
///
/// A hook returns `Ok(())` to let the kernel go on, or the error that the system call is to return.
/// After an error the LSMs that come later in the list are not asked.
///
/// The `subject` of a hook is what the LSM keeps of the current task's *subjective* credentials.
/// These are the credentials that the task acts with. While `override_creds()` is in effect they
/// are not the task's own.
///
/// Hooks exist only if the kernel is configured to call them. The socket hooks need `CONFIG_NET`
/// and `CONFIG_SECURITY_NETWORK`. Without these options an LSM that implements a socket hook does
/// not build, because its hook would never be called.
///
/// # Socket hooks
///
/// These rules hold for all methods whose names begin with `socket_`, unless a method says
/// something else:
///
/// - The current task makes the call that the hook is about, or the kernel makes it on a socket of
///   its own.
/// - The protocol has not seen the call yet. No argument that comes from user space has been
///   checked.
/// - The socket lock is not held, so another thread can change the state of the socket at any time.
/// - The hook may sleep if the call comes from user space. Code in the kernel that uses a socket of
///   its own may hold a spinlock.
///
/// # Examples
///
/// An LSM that lets nobody bind a socket to an address of another family than the socket's:
///
/// ```
/// # #[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
/// # mod example {
/// use kernel::{
///     lsm::{Hooks, Lsm},
///     net::socket::{Sockaddr, Socket},
///     prelude::*, //
/// };
///
/// struct KnownFamilies;
///
/// #[vtable]
/// impl Lsm for KnownFamilies {
///     type Cred = ();
///     type Sock = ();
///
///     fn init(hooks: Hooks<Self>) -> Result {
///         hooks.register();
///         Ok(())
///     }
///
///     fn socket_bind(_subject: &(), sock: &Socket, address: Sockaddr<'_>) -> Result {
///         let family = address.bytes().first_chunk().map(|family| u16::from_ne_bytes(*family));
///
///         match family {
///             None => Err(EINVAL),
///             Some(family) if family == sock.sk().family() => Ok(()),
///             Some(_) => Err(EAFNOSUPPORT),
///         }
///     }
/// }
///
/// static_assert!(KnownFamilies::HAS_SOCKET_BIND);
/// static_assert!(!KnownFamilies::HAS_SOCKET_CONNECT);
/// # }
/// ```
#[vtable]
pub trait Lsm: Sized + Send + Sync + 'static {
    /// What the LSM keeps of each credential; `()` for nothing.
    ///
    /// If it is not empty, the credential hooks `cred_prepare`, `cred_transfer` and `cred_free` are
    /// registered, and do what [`CredBlob`] says.
    type Cred: CredBlob;

    /// What the LSM keeps of each socket; `()` for nothing. [`sock_blob`] gives access to it.
    ///
    /// The life of a value:
    ///
    /// - It begins as all-zero bytes, with every `struct sock`. No constructor runs. The LSM core
    ///   allocates it in any context, also in softirq context for a connection that has just been
    ///   made.
    /// - The `struct sock` of such a connection is a copy of the listener's. The copy has its own
    ///   value, which begins as zeroes as well.
    /// - It is freed with the `struct sock`, in any context. Nothing is dropped, so the type must
    ///   not need it.
    ///
    /// Any number of threads can have a reference to the value at a time, and nobody ever has the
    /// only one. What is to change must be [atomic](crate::sync::atomic).
    ///
    /// The build checks that the type has no destructor, and that its alignment is not greater than
    /// that of a pointer.
    type Sock: Zeroable + Send + Sync;

    /// Starts the LSM. The core calls this once at boot if the LSM is enabled, else never.
    ///
    /// After [`hooks.register()`](Hooks::register) the hooks come into force when this has returned
    /// `Ok`. An LSM that finds a reason to stay off returns `Ok` without this call. An error leaves
    /// the hooks off too, and the core prints a warning with a backtrace: an error means a bug, or
    /// a kernel that starts without what it was told to enforce.
    ///
    /// The scheduler does not run yet, so this must not sleep. Memory can be allocated.
    fn init(hooks: Hooks<Self>) -> Result;

    /// Asks whether the current task may create a socket.
    ///
    /// There is no socket yet. `socketpair(2)` asks once for each of the two sockets.
    #[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
    fn socket_create(subject: &Self::Cred, params: SocketParams) -> Result {
        let _ = (subject, params);
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Asks about a socket that has just been created; an error releases it.
    ///
    /// Nobody else has access to `sock` yet. It has a `sk`, except for some sockets of the kernel's
    /// own.
    #[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
    fn socket_post_create(subject: &Self::Cred, sock: &NewSocket, params: SocketParams) -> Result {
        let _ = (subject, sock, params);
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Asks whether the current task may connect two sockets that it has just created to each
    /// other, as `socketpair(2)` does; an error releases both.
    ///
    /// Nobody else has access to the sockets yet.
    #[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
    fn socket_socketpair(subject: &Self::Cred, socka: &Socket, sockb: &Socket) -> Result {
        let _ = (subject, socka, sockb);
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Asks whether the current task may bind `sock` to `address`.
    #[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
    fn socket_bind(subject: &Self::Cred, sock: &Socket, address: Sockaddr<'_>) -> Result {
        let _ = (subject, sock, address);
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Asks whether the current task may connect `sock` to `address`.
    ///
    /// With the family `AF_UNSPEC` a socket that has a peer drops it.
    #[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
    fn socket_connect(subject: &Self::Cred, sock: &Socket, address: Sockaddr<'_>) -> Result {
        let _ = (subject, sock, address);
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Asks whether the current task may make `sock` listen for connections.
    ///
    /// `backlog` is what the task asked for, or the limit of the network namespace
    /// (`net.core.somaxconn`) if that is less. A socket that listens already gets a new `backlog`.
    #[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
    fn socket_listen(subject: &Self::Cred, sock: &Socket, backlog: c_int) -> Result {
        let _ = (subject, sock, backlog);
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Asks whether `sk` may become a listener for TCP connections.
    ///
    /// Unlike [`socket_listen`](Self::socket_listen) this comes when the protocol has looked at the
    /// call: the socket lock is held, so that no other call can change the local port and address,
    /// and the hook must not sleep. Port 0 is still to be chosen. A socket that listens already is
    /// not asked about. `sk` may be a socket of the kernel's own.
    ///
    /// For MPTCP `sk` is a subflow, and [`LockedSock::socket`] leads to the socket that the task has.
    #[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
    fn inet_listen(subject: &Self::Cred, sk: &LockedSock) -> Result {
        let _ = (subject, sk);
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Asks whether the current task may accept a connection of `sock`.
    ///
    /// No connection has been taken from the queue yet, and there may be none: `newsock`, which is
    /// to become the connection's socket, has no `sk`.
    #[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
    fn socket_accept(subject: &Self::Cred, sock: &Socket, newsock: &NewSocket) -> Result {
        let _ = (subject, sock, newsock);
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Asks whether the current task may have the connection that it has just accepted of `sock`; an
    /// error closes the connection.
    ///
    /// Unlike [`socket_accept`](Self::socket_accept) this comes when the protocol has taken the
    /// connection from the queue, so the peer is known. The hook may sleep, and no socket lock is
    /// held. User space has learned nothing yet, and no other thread can use `accepted`. But the
    /// network can: the peer may have reset the connection already.
    ///
    /// `accepted` is the socket that the new file descriptor will lead to. If `sock` is one of MPTCP
    /// or SMC, it can be a TCP socket.
    #[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
    fn socket_accepted(subject: &Self::Cred, sock: &Socket, accepted: &Socket) -> Result {
        let _ = (subject, sock, accepted);
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Asks whether the current task may send `msg` over `sock`.
    ///
    /// `size` is the number of bytes of data. A message may carry an address to go to, which a
    /// connected socket need not have. `sendmmsg(2)` asks about each of its messages.
    ///
    /// When a TCP socket is attached to a KCM socket, which then sends and receives over it, this hook
    /// is called once with an empty message, and after it [`socket_read`](Self::socket_read).
    #[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
    fn socket_sendmsg(subject: &Self::Cred, sock: &Socket, msg: &Msg, size: usize) -> Result {
        let _ = (subject, sock, msg, size);
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Asks whether the current task may receive a message from `sock`.
    ///
    /// No message has been taken from the queue yet, and there may be none. `size` is the number of
    /// bytes that the task has room for, `flags` are `MSG_*`. `recvmmsg(2)` asks only for the first
    /// message.
    #[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
    fn socket_recvmsg(subject: &Self::Cred, sock: &Socket, size: usize, flags: u32) -> Result {
        let _ = (subject, sock, size, flags);
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Asks whether the current task may take data from `sock` that does not go to a message.
    ///
    /// `splice(2)` and `sendfile(2)` call this hook if the protocol has a function of its own for them,
    /// as TCP has, and [`socket_recvmsg`](Self::socket_recvmsg) otherwise. Zero-copy receive of
    /// io_uring calls it, and so does the attachment of a TCP socket to a KCM socket.
    #[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
    fn socket_read(subject: &Self::Cred, sock: &Socket) -> Result {
        let _ = (subject, sock);
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Asks whether the current task may read the local address of `sock`.
    #[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
    fn socket_getsockname(subject: &Self::Cred, sock: &Socket) -> Result {
        let _ = (subject, sock);
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Asks whether the current task may read the address of the peer of `sock`.
    #[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
    fn socket_getpeername(subject: &Self::Cred, sock: &Socket) -> Result {
        let _ = (subject, sock);
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Asks whether the current task may read an option of `sock`.
    ///
    /// `level` (`SOL_*` or a protocol) and `optname` together name the option.
    #[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
    fn socket_getsockopt(
        subject: &Self::Cred,
        sock: &Socket,
        level: c_int,
        optname: c_int,
    ) -> Result {
        let _ = (subject, sock, level, optname);
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Asks whether the current task may set an option of `sock`.
    ///
    /// `level` (`SOL_*` or a protocol) and `optname` together name the option. The hook does not
    /// see the value.
    #[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
    fn socket_setsockopt(
        subject: &Self::Cred,
        sock: &Socket,
        level: c_int,
        optname: c_int,
    ) -> Result {
        let _ = (subject, sock, level, optname);
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Asks whether the current task may shut `sock` down for receiving, sending, or both.
    ///
    /// `how` is `SHUT_RD`, `SHUT_WR` or `SHUT_RDWR`, or a value that the protocol will refuse.
    #[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
    fn socket_shutdown(subject: &Self::Cred, sock: &Socket, how: c_int) -> Result {
        let _ = (subject, sock, how);
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// The right to put an LSM's hooks in force, which only [`Lsm::init`] gets.
///
/// # Invariants
///
/// Values exist only while [`Lsm::init`] of `L` runs, and only on the thread that runs it.
#[must_use = "without `register()` the LSM stays off"]
pub struct Hooks<L> {
    wanted: &'static Flag,
    _lsm: PhantomData<L>,
    _init: NotThreadSafe,
}

impl<L: Lsm> Hooks<L> {
    /// Puts the hooks that `L` implements in force, for good, once [`Lsm::init`] has returned `Ok`.
    ///
    /// They are not in force before, so no hook runs in an LSM that is only half set up, and an LSM
    /// whose start fails leaves no hook behind.
    #[inline]
    pub fn register(self) {
        // SAFETY: By the type invariant this is the thread that runs `Lsm::init`, and nobody else
        // has access until that has returned.
        unsafe { *self.wanted.0.get() = true };
    }
}

/// Whether an LSM asked for its hooks to be put in force.
struct Flag(UnsafeCell<bool>);

// SAFETY: Only the one thread that runs `Lsm::init` writes it, and the same thread reads it later.
unsafe impl Sync for Flag {}

/// An LSM that is registered with the kernel.
///
/// Do not implement this by hand: [`lsm!`](crate::prelude::lsm) does it.
///
/// # Safety
///
/// [`registration`](Self::registration) always returns the same static, which lives in the section
/// `.data..ro_after_init`. Exactly one [`Info`] describes it, which is in the section
/// `.lsm_info.init`.
pub unsafe trait Registered: Lsm {
    /// Returns what the kernel keeps of this LSM.
    fn registration() -> &'static Registration<Self>;
}

/// Returns whether the LSM is enabled on this boot: whether the list of LSMs names it and there was
/// room for it.
///
/// The answer is settled before [`init`](Lsm::init) of the first LSM in the list, so an LSM can make
/// itself depend on another one whatever their order. Before that, which is when early LSMs run,
/// the answer is `false`. After `true` it never changes.
///
/// This does not say that the LSM put its hooks in force.
#[inline]
pub fn is_enabled<L: Registered>() -> bool {
    // SAFETY: By the type invariant only the LSM core writes it, at boot, before there are other
    // threads.
    unsafe { *L::registration().enabled.get() == ENABLED }
}

/// The value of `enabled` that the LSM core has not written yet.
///
/// It is not 0, since the core passes over LSMs whose `enabled` is 0 when it reads the list. It is
/// not [`ENABLED`] either, so that nobody takes an LSM for enabled while the list is not read.
const UNSETTLED: c_int = -1;

/// The value of `enabled` of an LSM that the list names. The LSM core writes it, or 0.
const ENABLED: c_int = 1;

/// What the kernel keeps of one LSM: the static that [`lsm!`](crate::prelude::lsm) makes.
///
/// # Invariants
///
/// - Once [`Registered::registration`] can return it, only the LSM core writes it, and only while
///   the kernel boots on one processor: `enabled` and `blobs` before [`init`](Lsm::init) of the
///   first LSM in the list, `hooks` while it is in `init` of this one.
/// - When code other than the LSM core's sees `ENABLED` in `enabled`, the core has put offsets
///   into `blobs`, and every composite blob that exists has room for the LSM's values there.
///
///   The core writes `enabled` while it reads the list: `ENABLED` for each LSM that it appends
///   to its order, which it never takes back, and 0 for the others. It replaces the sizes in
///   `blobs` by offsets next, and then allocates the blob of the first task's credentials, the
///   first of all. It runs no code of LSMs on the way (`security_init()`). Early LSMs have run
///   before, and saw `UNSETTLED`.
pub struct Registration<L: Registered> {
    id: bindings::lsm_id,
    /// [`UNSETTLED`] at first, then [`ENABLED`] or 0.
    enabled: UnsafeCell<c_int>,
    /// Sizes, which the core replaces by offsets.
    blobs: UnsafeCell<bindings::lsm_blob_sizes>,
    hooks: UnsafeCell<HookList>,
    wanted: Flag,
    _lsm: PhantomData<fn() -> L>,
}

// SAFETY: By the type invariant nothing is written once other threads exist. The name that `id`
// points to is a static.
unsafe impl<L: Registered> Sync for Registration<L> {}

impl<L: Registered> Registration<L> {
    /// Makes the registration of the LSM that is called `name` and has the number `id`, an `LSM_ID_*`
    /// of [`include/uapi/linux/lsm.h`](srctree/include/uapi/linux/lsm.h).
    ///
    /// # Safety
    ///
    /// The result must become the static that [`Registered`] asks for.
    pub const unsafe fn new(name: &'static CStr, id: u64) -> Self {
        const {
            assert!(
                align_of::<L::Cred>() <= align_of::<*const c_void>()
                    && align_of::<L::Sock>() <= align_of::<*const c_void>(),
                "the LSM core aligns blobs for pointers, and for no more"
            )
        };
        const { assert!(size_of::<L::Cred>() <= c_int::MAX as usize) };
        const { assert!(size_of::<L::Sock>() <= c_int::MAX as usize) };
        const {
            assert!(
                !needs_drop::<L::Sock>(),
                "what an LSM keeps of a socket is never dropped"
            )
        };

        // INVARIANT: The caller guarantees that nobody but the LSM core gets to write it, and that
        // the core knows it by one `Info`. `enabled` is not `ENABLED` yet.
        Self {
            id: bindings::lsm_id {
                name: name.to_bytes_with_nul().as_ptr(),
                id,
            },
            enabled: UnsafeCell::new(UNSETTLED),
            // CAST: Asserted above.
            blobs: UnsafeCell::new(bindings::lsm_blob_sizes {
                lbs_cred: size_of::<L::Cred>() as c_uint,
                lbs_sock: size_of::<L::Sock>() as c_uint,
                ..pin_init::zeroed()
            }),
            hooks: UnsafeCell::new(HookList::new::<L>()),
            wanted: Flag(UnsafeCell::new(false)),
            _lsm: PhantomData,
        }
    }

    /// Returns where in a composite blob of a credential the LSM's value begins, in bytes, if the
    /// LSM is enabled.
    #[inline]
    fn cred_offset(&self) -> usize {
        // SAFETY: By the type invariant nobody writes it any more.
        let offset = unsafe { (*self.blobs.get()).lbs_cred };

        // CAST: A `u32` fits in a `usize` on every machine that runs Linux.
        offset as usize
    }

    /// Returns where in a composite blob of a socket the LSM's value begins, in bytes, if the LSM
    /// is enabled.
    #[cfg(all(CONFIG_NET, CONFIG_SECURITY_NETWORK))]
    #[inline]
    fn sock_offset(&self) -> usize {
        // SAFETY: By the type invariant nobody writes it any more.
        let offset = unsafe { (*self.blobs.get()).lbs_sock };

        // CAST: A `u32` fits in a `usize` on every machine that runs Linux.
        offset as usize
    }

    /// Starts the LSM; this is `lsm_info::init`.
    ///
    /// It is in `.init.text` because `security_add_hooks()` is.
    ///
    /// # Safety
    ///
    /// Only the LSM core may call this, once, while the kernel boots.
    #[link_section = ".init.text"]
    unsafe extern "C" fn init() -> c_int {
        let this = L::registration();

        // INVARIANT: This value cannot outlive the call of `Lsm::init`. It cannot leave the thread,
        // and safe code has no place that outlives the call and belongs to one thread.
        let answer = L::init(Hooks {
            wanted: &this.wanted,
            _lsm: PhantomData,
            _init: NotThreadSafe,
        });

        if let Err(error) = answer {
            return error.to_errno();
        }

        // SAFETY: `Lsm::init` has returned, so nobody else has access.
        if unsafe { *this.wanted.0.get() } {
            let hooks = this.hooks.get();

            // SAFETY: Nobody else has access: this is the boot, and the core has not seen it yet.
            let len = unsafe { (*hooks).len() };

            // SAFETY: The hooks are valid and live forever, as does `id`; they are writable while
            // the kernel boots, and by the safety requirements of this function it does.
            // CAST: There are at most a few dozen.
            unsafe {
                bindings::security_add_hooks(HookList::as_mut_ptr(hooks), len as c_int, &this.id)
            };
        }

        0
    }
}

/// The description of one LSM, a C `struct lsm_info`, that the LSM core finds in the section
/// `.lsm_info.init`.
#[repr(transparent)]
pub struct Info(UnsafeCell<bindings::lsm_info>);

// SAFETY: Only the LSM core has access to it, and only while the kernel boots on one processor.
unsafe impl Sync for Info {}

impl Info {
    /// Describes the LSM whose registration this is.
    ///
    /// # Safety
    ///
    /// The result must become the static that [`Registered`] asks for: the only one that describes
    /// `registration`. The core settles the offsets of an LSM, and starts it, for each description
    /// that it finds.
    pub const unsafe fn new<L: Registered>(registration: &'static Registration<L>) -> Self {
        Self(UnsafeCell::new(bindings::lsm_info {
            id: &raw const registration.id,
            blobs: registration.blobs.get(),
            enabled: registration.enabled.get(),
            init: Some(Registration::<L>::init),
            ..pin_init::zeroed()
        }))
    }
}
