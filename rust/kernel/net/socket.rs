// SPDX-License-Identifier: GPL-2.0

//! Sockets, as the code that mediates them sees them.
//!
//! A socket has two halves. [`Socket`] (`struct socket`) is the half that a file descriptor leads
//! to; [`Sock`] (`struct sock`) is the half that the protocols work on. [`Msg`] (`struct msghdr`)
//! is a message on its way in or out.
//!
//! What is here reads sockets and changes nothing, except that [`Sock::make_cookie`] numbers a socket.
//!
//! C headers: [`include/linux/net.h`](srctree/include/linux/net.h),
//! [`include/linux/socket.h`](srctree/include/linux/socket.h),
//! [`include/net/sock.h`](srctree/include/net/sock.h).

use crate::{
    bindings,
    fs::LocalFile,
    prelude::*,
    task::Task,
    types::Opaque, //
};
use core::{
    marker::PhantomData,
    mem::offset_of,
    net::{
        IpAddr,
        Ipv4Addr,
        Ipv6Addr, //
    },
    ops::Deref,
    ptr, //
};

/// `sk_protocol` and `sk_type` of a TCP socket.
const TCP: [u16; 2] = [
    bindings::IPPROTO_TCP as u16,
    bindings::sock_type_SOCK_STREAM as u16,
];

/// `sk_protocol` and `sk_type` of a UDP socket.
const UDP: [u16; 2] = [
    bindings::IPPROTO_UDP as u16,
    bindings::sock_type_SOCK_DGRAM as u16,
];

/// `sk_protocol` and `sk_type` of an MPTCP socket.
const MPTCP: [u16; 2] = [
    bindings::IPPROTO_MPTCP as u16,
    bindings::sock_type_SOCK_STREAM as u16,
];

/// `sk_protocol` and `sk_type` of an SMC socket over IPv4 or IPv6.
const SMC: [u16; 2] = [
    bindings::IPPROTO_SMC as u16,
    bindings::sock_type_SOCK_STREAM as u16,
];

const AF_SMC: u16 = bindings::AF_SMC as u16;
const AF_INET: u16 = bindings::AF_INET as u16;
const AF_INET6: u16 = bindings::AF_INET6 as u16;

/// The number of machine words in an IPv6 address.
#[cfg(CONFIG_IPV6)]
const IN6_WORDS: usize = size_of::<bindings::in6_addr>() / size_of::<usize>();

// bindgen computes layouts by itself. That of `struct sock` is wrong where lockdep adds to it, so
// only its first member, `struct sock_common`, is read as bindgen declares it; whatever lies behind
// is read at the offset that C computes. A socket that is read in the wrong place would pass for
// one that no LSM cares about: what is read as bindgen declares it is compared with C here.
static_assert!(offset_of!(bindings::sock_common, skc_family) == bindings::SOCK_FAMILY_OFFSET);
static_assert!(
    offset_of!(
        bindings::sock_common,
        __bindgen_anon_3.__bindgen_anon_1.skc_num
    ) == bindings::SOCK_NUM_OFFSET
);
static_assert!(
    offset_of!(
        bindings::sock_common,
        __bindgen_anon_1.__bindgen_anon_1.skc_rcv_saddr
    ) == bindings::SOCK_RCV_SADDR_OFFSET
);
#[cfg(CONFIG_IPV6)]
static_assert!(
    offset_of!(bindings::sock_common, skc_v6_rcv_saddr) == bindings::SOCK_V6_RCV_SADDR_OFFSET
);
static_assert!(offset_of!(bindings::sock_common, skc_state) == bindings::SOCK_STATE_OFFSET);
static_assert!(
    offset_of!(
        bindings::sock_common,
        __bindgen_anon_3.__bindgen_anon_1.skc_dport
    ) == bindings::SOCK_DPORT_OFFSET
);
static_assert!(
    offset_of!(
        bindings::sock_common,
        __bindgen_anon_1.__bindgen_anon_1.skc_daddr
    ) == bindings::SOCK_DADDR_OFFSET
);
#[cfg(CONFIG_IPV6)]
static_assert!(offset_of!(bindings::sock_common, skc_v6_daddr) == bindings::SOCK_V6_DADDR_OFFSET);
static_assert!(offset_of!(bindings::socket, state) == bindings::SOCKET_STATE_OFFSET);
static_assert!(offset_of!(bindings::socket, sk) == bindings::SOCKET_SK_OFFSET);
static_assert!(offset_of!(bindings::msghdr, msg_flags) == bindings::MSGHDR_FLAGS_OFFSET);

// A `Sock` is no longer than what C has.
static_assert!(size_of::<bindings::sock_common>() <= bindings::SOCK_PROTOCOL_OFFSET);
static_assert!(size_of::<bindings::sock_common>() <= bindings::SOCK_USERLOCKS_OFFSET);
static_assert!(size_of::<bindings::sock_common>() <= bindings::INET_SPORT_OFFSET);

// `Sock::kind` reads the protocol and the type, two neighbours, as one value.
static_assert!(bindings::SOCK_TYPE_OFFSET == bindings::SOCK_PROTOCOL_OFFSET + size_of::<u16>());
static_assert!(bindings::SOCK_PROTOCOL_OFFSET & (align_of::<u16>() - 1) == 0);
static_assert!(bindings::INET_SPORT_OFFSET & (align_of::<u16>() - 1) == 0);

// `SockKind::peer` reads an IPv6 address in machine words.
#[cfg(CONFIG_IPV6)]
static_assert!(bindings::SOCK_V6_DADDR_OFFSET & (align_of::<usize>() - 1) == 0);

/// The half of a socket that a file descriptor leads to.
///
/// Wraps the kernel's `struct socket`.
///
/// # Invariants
///
/// For as long as a reference to a [`Socket`] exists, the `struct socket` is not released, its
/// `sk` is not null and points to a `struct sock` that stays valid.
#[repr(transparent)]
pub struct Socket(Opaque<bindings::socket>);

// SAFETY: A `Socket` is only ever seen through a reference, and ownership of the `struct socket`
// stays with C, which may release it on any thread.
unsafe impl Send for Socket {}

// SAFETY: Of the fields that are read, `sk` does not change while references exist, by the type
// invariant, and `file` and `state` are read as C's `READ_ONCE()` does.
unsafe impl Sync for Socket {}

impl Socket {
    /// Creates a reference to a [`Socket`] from a pointer.
    ///
    /// # Safety
    ///
    /// For the lifetime `'a`, `ptr` must point to a valid `struct socket` that is not released,
    /// whose `sk` is not null and points to a valid `struct sock`, and neither `sk` nor what it
    /// points to may be replaced or freed.
    #[inline]
    pub unsafe fn from_ptr<'a>(ptr: *const bindings::socket) -> &'a Self {
        // INVARIANT: The caller guarantees what the invariant asks for.
        // SAFETY: The caller guarantees that `ptr` is valid for `'a`, and `Socket` has the layout
        // of `struct socket`.
        unsafe { &*ptr.cast() }
    }

    /// Returns the socket that `file` refers to, or `None` if it refers to something else.
    ///
    /// This is C's `sock_from_file()`.
    pub fn of_file(file: &LocalFile) -> Option<&Self> {
        // SAFETY: The file is valid. It only answers which socket it belongs to.
        let sock = unsafe { bindings::sock_from_file(file.as_ptr()) };

        // SAFETY: If it is not null, it is valid as long as the file is.
        if sock.is_null() || unsafe { (*sock).sk }.is_null() {
            return None;
        }
        // SAFETY: The last `fput()` of the file calls `sock_close()`, which releases the socket: until
        // then the socket keeps its `sk`, which is not null, as just seen, and `file` is borrowed.
        Some(unsafe { Self::from_ptr(sock) })
    }

    /// Returns a raw pointer to the `struct socket`.
    #[inline]
    pub fn as_ptr(&self) -> *mut bindings::socket {
        self.0.get()
    }

    /// Tells whether a file descriptor leads to the socket: it is a user's, if no kernel's own.
    pub fn has_file(&self) -> bool {
        // SAFETY: By the type invariant the `struct socket` is valid.
        let file = unsafe { &raw const (*self.as_ptr()).file };

        // SAFETY: As above. Others may write it at the same time; a volatile read of an aligned
        // pointer is what `READ_ONCE()` is in C. It is only compared.
        !unsafe { file.read_volatile() }.is_null()
    }

    /// Tells, without a lock, whether the socket has a connection.
    ///
    /// A TCP socket is connected in this sense from when a `connect(2)` of it has returned 0, or
    /// `accept(2)` has returned it, until a `connect(2)` to `AF_UNSPEC`. That the connection was
    /// closed or reset, by either side, does not end it. Another thread may be changing it.
    ///
    /// This is C's `READ_ONCE(sock->state) == SS_CONNECTED`. Who writes it holds the socket lock.
    #[inline]
    pub fn is_connected(&self) -> bool {
        // SAFETY: By the type invariant the `struct socket` is valid.
        let state = unsafe { &raw const (*self.as_ptr()).state };

        // SAFETY: As above. Others may write it at the same time; a volatile read of an aligned
        // integer is what `READ_ONCE()` is in C.
        let state = unsafe { state.read_volatile() };

        state == bindings::socket_state_SS_CONNECTED
    }

    /// Returns the half of the socket that the protocol works on.
    #[inline]
    pub fn sk(&self) -> &Sock {
        // SAFETY: By the type invariant the `struct socket` is valid, and `sk` does not change.
        let sk = unsafe { (*self.as_ptr()).sk };

        // SAFETY: By the type invariant `sk` points to a valid `struct sock` that stays valid for
        // as long as `self` is borrowed.
        unsafe { Sock::from_ptr(sk) }
    }
}

/// The half of a socket that the protocol works on.
///
/// Wraps the kernel's `struct sock`. Most of its fields are protected by the socket lock
/// (`lock_sock()`); the methods say which they take.
///
/// What a reference covers in Rust is the first member, `struct sock_common`, whose layout is the
/// same in both languages. What lies behind is reached through the pointer, which C made and which
/// is good for all of C's object.
///
/// # Invariants
///
/// For as long as a reference to a [`Sock`] exists, it is the beginning of a `struct sock` that C
/// has allocated and initialized and that is not freed. This is a full socket: neither a
/// `struct request_sock` nor a `struct inet_timewait_sock`. If the socket is one of `AF_INET` or
/// `AF_INET6`, then its `struct sock` is the beginning of a `struct inet_sock`.
#[repr(transparent)]
pub struct Sock(Opaque<bindings::sock_common>);

// SAFETY: A `Sock` is only ever seen through a reference, and ownership of the `struct sock` stays
// with C, which may free it on any thread.
unsafe impl Send for Sock {}

// SAFETY: The methods read fields that never change, or that they read atomically, or that they
// read under the socket lock.
unsafe impl Sync for Sock {}

impl Sock {
    /// Creates a reference to a [`Sock`] from a pointer.
    ///
    /// # Safety
    ///
    /// For the lifetime `'a`, `ptr` must point to a valid, full `struct sock` that is not freed,
    /// and if its family is `AF_INET` or `AF_INET6`, to a `struct inet_sock`. C makes no other
    /// sockets of these families. `ptr` must be good for the whole of C's object.
    #[inline]
    pub unsafe fn from_ptr<'a>(ptr: *const bindings::sock) -> &'a Self {
        // INVARIANT: The caller guarantees what the invariant asks for.
        // SAFETY: The caller guarantees that `ptr` is valid for `'a`, and `Sock` has the layout of
        // the first member of `struct sock`.
        unsafe { &*ptr.cast() }
    }

    /// Returns a raw pointer to the `struct sock`.
    #[inline]
    pub fn as_ptr(&self) -> *mut bindings::sock {
        self.0.get().cast()
    }

    /// Returns the address family (`AF_*`), read once and without a lock.
    ///
    /// Two readings may differ: the socket option `IPV6_ADDRFORM` turns an `AF_INET6` socket into
    /// an `AF_INET` one. Code whose answer depends on the family more than once reads it once and
    /// keeps it, for which there is [`Sock::kind`].
    ///
    /// This is C's `READ_ONCE(sk->sk_family)`.
    #[inline]
    pub fn family(&self) -> u16 {
        // SAFETY: By the type invariant the `struct sock_common` is valid, so its field is in
        // bounds.
        let family = unsafe { &raw const (*self.0.get()).skc_family };

        // SAFETY: `family` points to a field of a valid `struct sock`. Others may write it at the
        // same time; a volatile read of an aligned `u16` is what `READ_ONCE()` is in C.
        unsafe { family.read_volatile() }
    }

    /// Returns what the socket is: its family, read once, its type and its protocol. Takes no
    /// lock.
    #[inline]
    pub fn kind(&self) -> SockKind<'_> {
        // SAFETY: By the type invariant this is the beginning of a `struct sock` that C allocated
        // with the size that it has in C. `SOCK_PROTOCOL_OFFSET` is C's `offsetof()` of a member of
        // this type, so the sum stays inside the allocation, whatever size bindgen computes.
        let protocol = unsafe { self.as_ptr().byte_add(bindings::SOCK_PROTOCOL_OFFSET) };

        SockKind {
            sk: self,
            family: self.family(),
            // SAFETY: `protocol` points to `sk_protocol`, which `sk_type` follows; that, and the
            // alignment, are asserted above. Both are initialized, and nobody writes them any more:
            // they are set when the socket is made, before anybody else can see it.
            protocol_and_type: unsafe { protocol.cast::<[u16; 2]>().read() },
        }
    }

    /// Returns the remote port and the remote address as [`SockKind::peer`] does.
    #[inline]
    pub fn peer(&self) -> (u16, IpAddr) {
        self.kind().peer()
    }

    /// Returns the local port as [`SockKind::source_port`] does.
    #[inline]
    pub fn source_port(&self) -> u16 {
        self.kind().source_port()
    }

    /// Reads the local port as [`SockKind::source_port`] does.
    ///
    /// # Safety
    ///
    /// The family must be `AF_INET` or `AF_INET6`.
    #[inline]
    unsafe fn inet_sport(&self) -> u16 {
        // SAFETY: By the type invariant and the caller's guarantee this is the beginning of a `struct
        // inet_sock` that C allocated with the size that it has in C. `INET_SPORT_OFFSET` is C's
        // `offsetof()` of a member of this type, so the sum stays inside the allocation.
        let sport = unsafe { self.as_ptr().byte_add(bindings::INET_SPORT_OFFSET) };

        // SAFETY: `sport` points to an initialized, aligned `__be16`. Others may write it at the
        // same time; a volatile read of an aligned `u16` is what `READ_ONCE()` is in C.
        u16::from_be(unsafe { sport.cast::<u16>().read_volatile() })
    }

    /// Tells, without a lock, whether the socket listens for connections. Another thread may be
    /// changing it, and no order is promised between this and what is read later: a listener without
    /// a port gets one after it has become one.
    ///
    /// This is C's `READ_ONCE(sk->sk_state) == TCP_LISTEN`, which protocols of all families use. Who
    /// writes the state holds the socket lock.
    #[inline]
    pub fn is_listening(&self) -> bool {
        // SAFETY: By the type invariant the `struct sock_common` is valid.
        let state = unsafe { &raw const (*self.0.get()).skc_state };

        // SAFETY: As above. Others may write it at the same time; a volatile read of a byte is what
        // `READ_ONCE()` is in C.
        let state = unsafe { state.read_volatile() };

        u32::from(state) == bindings::TCP_LISTEN
    }

    /// Tells, without a lock, whether the user named the local port, in `bind(2)`. If not, and the
    /// socket has a port, then the kernel chose it. Another thread may be changing it.
    ///
    /// This is `false` for a socket that `accept(2)` returned, and for one of MPTCP, where only the
    /// subflow knows.
    ///
    /// This is C's `READ_ONCE(sk->sk_userlocks) & SOCK_BINDPORT_LOCK`. Who writes it holds the socket
    /// lock.
    #[inline]
    pub fn is_port_named(&self) -> bool {
        // SAFETY: By the type invariant this is the beginning of a `struct sock` that C allocated
        // with the size that it has in C. `SOCK_USERLOCKS_OFFSET` is C's `offsetof()` of a member of
        // this type, so the sum stays inside the allocation.
        let locks = unsafe { self.as_ptr().byte_add(bindings::SOCK_USERLOCKS_OFFSET) };

        // SAFETY: `locks` points to an initialized byte. Others may write it at the same time; a
        // volatile read of a byte is what `READ_ONCE()` is in C.
        let locks = unsafe { locks.cast::<u8>().read_volatile() };

        u32::from(locks) & bindings::SOCK_BINDPORT_LOCK != 0
    }

    /// Tells whether the kernel made the socket for itself.
    ///
    /// This is C's `sk->sk_kern_sock`.
    pub fn is_kern(&self) -> bool {
        // SAFETY: By the type invariant the `struct sock` is valid.
        unsafe { bindings::sk_is_kern(self.as_ptr()) }
    }

    /// Returns the cookie of the socket's network namespace, see [`current_net_cookie`].
    ///
    /// This is C's `sock_net(sk)->net_cookie`.
    #[inline]
    pub fn net_cookie(&self) -> u64 {
        // Read here, since C's function would cost a call. Without namespaces there is no such field.
        // SAFETY: By the type invariant the `struct sock_common` is valid. A socket that user space
        // has is in one network namespace until it is freed, and keeps it.
        #[cfg(CONFIG_NET_NS)]
        let net = unsafe { (*self.0.get()).skc_net.net };
        // SAFETY: By the type invariant the `struct sock` is valid.
        #[cfg(not(CONFIG_NET_NS))]
        let net = unsafe { bindings::sock_net(self.as_ptr()) };

        // SAFETY: As just said. Nobody writes the cookie any more.
        unsafe { (*net).net_cookie }
    }

    /// Returns the cookie of the socket: a number that no other socket has or ever gets, until the
    /// machine boots again. It is 0 if the socket has none yet. Takes no lock.
    ///
    /// This is C's `atomic64_read(&sk->sk_cookie)`.
    #[inline]
    pub fn cookie(&self) -> u64 {
        // SAFETY: By the type invariant the `struct sock` is valid.
        unsafe { bindings::sk_cookie(self.as_ptr()) }
    }

    /// Returns the cookie of the socket, see [`Sock::cookie`], which gets one if it has none. Takes no
    /// lock.
    ///
    /// This is C's `sock_gen_cookie()`.
    #[inline]
    pub fn make_cookie(&self) -> u64 {
        match self.cookie() {
            // SAFETY: By the type invariant the `struct sock` is valid. That other threads make it one
            // at the same time does no harm.
            0 => unsafe { bindings::sock_gen_cookie(self.as_ptr()) },
            cookie => cookie,
        }
    }

    /// Tells whether this is a TCP socket over IPv4 or IPv6, as C's `sk_is_tcp()` does.
    ///
    /// Sockets of MPTCP and SMC are not TCP sockets.
    #[inline]
    pub fn is_tcp(&self) -> bool {
        self.kind().is_tcp()
    }

    /// Tells whether this is a UDP socket over IPv4 or IPv6, as C's `sk_is_udp()` does.
    ///
    /// Sockets of UDP-Lite are not UDP sockets.
    #[inline]
    pub fn is_udp(&self) -> bool {
        self.kind().is_udp()
    }

    /// Returns the local port in host byte order, 0 if the socket has none yet.
    ///
    /// This is C's `inet_sk(sk)->inet_num`, and means a port for TCP and UDP only: a raw socket
    /// keeps its protocol there.
    ///
    /// Takes the socket lock for the length of the read (`lock_sock_fast()`), so it may sleep, and
    /// must not be called where that lock is held.
    pub fn local_port(&self) -> u16 {
        // SAFETY: By the type invariant the `struct sock` is valid. That the lock is not held is
        // asked of the caller; who breaks this deadlocks, which is no memory unsafety.
        let slow = unsafe { bindings::lock_sock_fast(self.as_ptr()) };

        // SAFETY: By the type invariant the `struct sock_common` is valid. All views of this union
        // are integers, and who writes the port holds the lock.
        let port = unsafe { (*self.0.get()).__bindgen_anon_3.__bindgen_anon_1.skc_num };

        // SAFETY: The lock was taken above, and `slow` is what taking it returned.
        unsafe { bindings::unlock_sock_fast(self.as_ptr(), slow) };

        port
    }
}

/// Returns the cookie of the current task's network namespace: a number that no other network
/// namespace has or ever gets, until the machine boots again. It is not 0.
///
/// This is C's `current->nsproxy->net_ns->net_cookie`.
pub fn current_net_cookie() -> u64 {
    let task = Task::current_raw();
    // SAFETY: Only the task itself changes its `nsproxy`, which is not null before it exits. The
    // `nsproxy` keeps the network namespace. Nobody writes the cookie any more.
    unsafe { (*(*(*task).nsproxy).net_ns).net_cookie }
}

/// A UDP socket over IPv4 or IPv6.
///
/// # Invariants
///
/// [`SockKind::is_udp`] is true of it, and so it is the beginning of a `struct inet_sock`.
#[repr(transparent)]
pub struct UdpSock(Sock);

impl Deref for UdpSock {
    type Target = Sock;

    #[inline]
    fn deref(&self) -> &Sock {
        &self.0
    }
}

impl UdpSock {
    /// Tells, without a lock, whether the socket is known to have a local port.
    ///
    /// `true` is a proof: [`Sock::local_port`] would return a port, too, if it were called now or
    /// as soon as the lock is free. `false` is none: only [`Sock::local_port`] knows then.
    /// As after [`Sock::local_port`], the socket may lose its port at any time afterwards, by a
    /// `connect(2)` to `AF_UNSPEC` or by `udp_abort()`.
    ///
    /// This is C's `READ_ONCE(inet_sk(sk)->inet_sport) != 0`.
    ///
    /// # Why this is a proof
    ///
    /// A socket keeps its local port twice. `inet_num` comes first and is not to be trusted without
    /// the lock: `udp_lib_get_port()` sets it, and takes it back if the socket cannot join its
    /// `SO_REUSEPORT` group. Nor is the hash table, in which the function then puts the socket:
    /// `__inet_bind()` and `__inet6_bind()` take it out again (`put_port`, which is
    /// `udp_lib_unhash()`) if a cgroup's BPF program refuses the bind
    /// (`BPF_CGROUP_RUN_PROG_INET4_POST_BIND()` and its sibling). `inet_sport` comes last. For a UDP
    /// socket only these write it, all of them under the socket lock:
    ///
    /// - `__inet_bind()` and `__inet6_bind()` copy `inet_num` to it after the last step that can
    ///   fail. Binds that BPF does (`bpf_bind()`) and binds without a port
    ///   (`IP_BIND_ADDRESS_NO_PORT`) end there, too; without a port they copy 0.
    /// - `inet_autobind()`, for connect and send (`inet_send_prepare()`), does so after `get_port()`
    ///   has succeeded, and nothing can fail afterwards.
    /// - `__udp_disconnect()` clears it just after `udp_lib_unhash()` has cleared `inet_num`, unless
    ///   the port was chosen by the user, and then both stay. It runs for `connect(2)` to
    ///   `AF_UNSPEC`, and in `udp_abort()`.
    ///
    /// `inet_num` is cleared nowhere else, but for `udp_lib_unhash()` in a bind that failed, which
    /// began with neither port set (else it is `EINVAL`), and at the end of a socket
    /// (`sk_common_release()`), when no system call has it any more. So whenever the lock is free,
    /// the socket has both or none, and one who reads `inet_sport` inside of a critical section that
    ///
    /// - sets it, is answered as if the lock had been taken just after that section. Who goes on to
    ///   send finds `inet_num` set, or takes the lock in `inet_autobind()` and finds it then;
    /// - clears it, is answered as if the lock had been taken just before that section.
    ///
    /// `IPV6_ADDRFORM`, encapsulation (`setup_udp_tunnel_sock()`), `sockmap`'s replacement of the
    /// protocol (`udp_bpf_update_proto()`) and `rehash` write neither port. UDP sockets are never
    /// cloned, and MPTCP, which copies ports from one socket to another, has none.
    #[inline]
    pub fn is_known_bound(&self) -> bool {
        // SAFETY: By the type invariant the family is `AF_INET` or `AF_INET6`.
        unsafe { self.inet_sport() != 0 }
    }
}

/// A socket of `AF_INET` or `AF_INET6` whose lock is held, so that its local port and address stay as
/// they are.
///
/// # Invariants
///
/// For as long as a reference to a [`LockedSock`] exists, the socket lock is held. The family is
/// `AF_INET` or `AF_INET6`.
#[repr(transparent)]
pub struct LockedSock(Sock);

impl Deref for LockedSock {
    type Target = Sock;

    #[inline]
    fn deref(&self) -> &Sock {
        &self.0
    }
}

impl LockedSock {
    /// Creates a reference to a [`LockedSock`] from a pointer.
    ///
    /// # Safety
    ///
    /// As for [`Sock::from_ptr`]. The family must be `AF_INET` or `AF_INET6`, and for the lifetime
    /// `'a` the caller must hold the socket lock.
    #[inline]
    pub unsafe fn from_ptr<'a>(ptr: *const bindings::sock) -> &'a Self {
        // INVARIANT: The caller guarantees what the invariant asks for.
        // SAFETY: The caller guarantees that `ptr` is valid for `'a`, and `LockedSock` has the
        // layout of `Sock`.
        unsafe { &*ptr.cast() }
    }

    /// Returns the local port in host byte order, 0 if the socket has none.
    ///
    /// This is C's `inet_sk(sk)->inet_num`.
    pub fn port(&self) -> u16 {
        // SAFETY: By the type invariants the `struct sock_common` is valid. All views of this union
        // are integers, and who writes the port holds the lock, as `self` does.
        unsafe { (*self.0 .0.get()).__bindgen_anon_3.__bindgen_anon_1.skc_num }
    }

    /// Returns the local address, the wildcard if the socket has none.
    ///
    /// This is C's `inet_sk(sk)->inet_rcv_saddr`, or `sk->sk_v6_rcv_saddr`.
    pub fn address(&self) -> IpAddr {
        let common = self.0 .0.get();

        #[cfg(CONFIG_IPV6)]
        if self.family() == AF_INET6 {
            // SAFETY: By the type invariants the `struct sock_common` is valid. Who writes the
            // address holds the lock, as `self` does.
            let address = unsafe { (*common).skc_v6_rcv_saddr };

            // SAFETY: All views of this union are integers.
            return Ipv6Addr::from(unsafe { address.in6_u.u6_addr8 }).into();
        }

        // SAFETY: As above. All views of this union are integers.
        let address = unsafe { (*common).__bindgen_anon_1.__bindgen_anon_1.skc_rcv_saddr };

        // It stands in memory in network byte order.
        Ipv4Addr::from(address.to_ne_bytes()).into()
    }

    /// Returns the half of the socket that a file descriptor leads to, if there is one.
    pub fn socket(&self) -> Option<&Socket> {
        // SAFETY: By the type invariants this is the beginning of a `struct sock` that C allocated
        // with the size that it has in C. `SOCK_SOCKET_OFFSET` is C's `offsetof()` of a member of
        // this type, so the sum stays inside the allocation.
        let socket = unsafe { self.as_ptr().byte_add(bindings::SOCK_SOCKET_OFFSET) };

        // SAFETY: The field is initialized and aligned. It only changes under the socket lock.
        let socket = unsafe { socket.cast::<*mut bindings::socket>().read() };

        if socket.is_null() {
            return None;
        }

        // SAFETY: `sock_orphan()` takes the pointer away, under the lock that is held, before the
        // `struct socket` is released or loses its `sk`.
        Some(unsafe { Socket::from_ptr(socket) })
    }
}

/// What a socket is: one reading of its family, its type and its protocol.
///
/// # Examples
///
/// ```
/// use kernel::net::socket::Socket;
///
/// /// Returns the family of a TCP socket; whoever goes on with it is not surprised by
/// /// `IPV6_ADDRFORM`, because there is no second reading.
/// fn tcp_family(sock: &Socket) -> Option<u16> {
///     let kind = sock.sk().kind();
///
///     kind.is_tcp().then_some(kind.family())
/// }
/// # let _ = tcp_family;
/// ```
#[derive(Clone, Copy)]
pub struct SockKind<'a> {
    sk: &'a Sock,
    family: u16,
    /// Neighbours, kept as they were read.
    protocol_and_type: [u16; 2],
}

impl<'a> SockKind<'a> {
    /// The address family, `AF_*`.
    #[inline]
    pub const fn family(self) -> u16 {
        self.family
    }

    /// The type, `SOCK_*`.
    #[inline]
    pub const fn type_(self) -> u16 {
        let [_, type_] = self.protocol_and_type;

        type_
    }

    /// The protocol, `IPPROTO_*`.
    #[inline]
    pub const fn protocol(self) -> u16 {
        let [protocol, _] = self.protocol_and_type;

        protocol
    }

    /// Tells whether the family is IPv4 or IPv6, as C's `sk_is_inet()` does.
    #[inline]
    const fn is_inet(self) -> bool {
        matches!(self.family, AF_INET | AF_INET6)
    }

    /// Tells whether this is TCP over IPv4 or IPv6, as C's `sk_is_tcp()` does.
    #[inline]
    pub fn is_tcp(self) -> bool {
        // The pairs are compared as one word, and first, because that settles most sockets.
        self.protocol_and_type == TCP && self.is_inet()
    }

    /// Tells whether this is MPTCP over IPv4 or IPv6.
    #[inline]
    pub fn is_mptcp(self) -> bool {
        self.protocol_and_type == MPTCP && self.is_inet()
    }

    /// Tells whether this is SMC: a socket of `AF_SMC`, or one of `IPPROTO_SMC` over IPv4 or IPv6.
    #[inline]
    pub fn is_smc(self) -> bool {
        self.family == AF_SMC || self.protocol_and_type == SMC && self.is_inet()
    }

    /// Tells whether this is UDP over IPv4 or IPv6, as C's `sk_is_udp()` does.
    #[inline]
    pub fn is_udp(self) -> bool {
        self.protocol_and_type == UDP && self.is_inet()
    }

    /// Returns the local port in host byte order, read without a lock: 0 if the socket has none, or
    /// if it is not one of IPv4 or IPv6.
    ///
    /// Another thread may be changing it. It is the last to be set when a socket is bound. What a TCP
    /// socket had here stays when it loses its port (`inet_num`) by a reset or a disconnect. A raw
    /// socket has its protocol here.
    ///
    /// This is C's `ntohs(READ_ONCE(inet_sk(sk)->inet_sport))`. Who writes it holds the socket lock.
    #[inline]
    pub fn source_port(self) -> u16 {
        if !self.is_inet() {
            return 0;
        }

        // SAFETY: As just seen. `IPV6_ADDRFORM` only turns an `AF_INET6` socket into an `AF_INET` one.
        unsafe { self.sk.inet_sport() }
    }

    /// Returns the remote port, in host byte order, and the remote address, read without a lock: 0
    /// and the wildcard if the socket has no peer, or one at port 0. The address belongs to
    /// [`family`](Self::family), the one reading of it.
    ///
    /// Another thread may be changing them: the port can be an old one and the address a new one, and
    /// so can the words of an IPv6 address.
    ///
    /// This is for sockets of `AF_INET` and `AF_INET6`: C's `sk->sk_dport` with `sk->sk_daddr` or
    /// `sk->sk_v6_daddr`. Who writes them holds the socket lock.
    #[inline]
    pub fn peer(self) -> (u16, IpAddr) {
        let port = self.remote_port();

        // Without a port, the address can be that of the last peer: `__udp_disconnect()` leaves it.
        #[cfg(CONFIG_IPV6)]
        if self.family == AF_INET6 {
            let address = match port {
                0 => Ipv6Addr::UNSPECIFIED,
                _ => self.ipv6_peer(),
            };

            return (port, address.into());
        }

        let address = match port {
            0 => Ipv4Addr::UNSPECIFIED,
            _ => Ipv4Addr::from(self.ipv4_peer().to_ne_bytes()),
        };

        (port, address.into())
    }

    /// Returns the remote port as [`SockKind::peer`] does.
    #[inline(always)]
    pub fn remote_port(self) -> u16 {
        let common = self.sk.0.get();
        // SAFETY: By the type invariant of `Sock` the `struct sock_common` is valid.
        let port = unsafe { &raw const (*common).__bindgen_anon_3.__bindgen_anon_1.skc_dport };

        // SAFETY: All views of this union are integers. Others may write it at the same time; a
        // volatile read of an aligned `u16` is what `READ_ONCE()` is in C.
        u16::from_be(unsafe { port.read_volatile() })
    }

    /// Reads the remote IPv6 address, for [`peer`](Self::peer).
    #[cfg(CONFIG_IPV6)]
    #[inline(always)]
    fn ipv6_peer(self) -> Ipv6Addr {
        // SAFETY: By the type invariant of `Sock` the `struct sock_common` is valid.
        let address = unsafe { &raw const (*self.sk.0.get()).skc_v6_daddr };
        // SAFETY: All views of this union are integers. It is as long as `IN6_WORDS` words, and
        // aligned for them, as asserted above. Others may write it at the same time; a volatile read
        // of an aligned word is what `READ_ONCE()` is in C.
        let word = |i| unsafe { address.cast::<usize>().add(i).read_volatile() };
        let words: [usize; IN6_WORDS] = core::array::from_fn(word);
        // SAFETY: These are integers, and any bytes will do.
        let address: [u8; 16] = unsafe { core::mem::transmute(words) };

        address.into()
    }

    /// Reads the remote IPv4 address, for [`peer`](Self::peer), in network byte order as it stands in
    /// memory.
    #[inline(always)]
    fn ipv4_peer(self) -> u32 {
        let common = self.sk.0.get();
        // SAFETY: By the type invariant of `Sock` the `struct sock_common` is valid.
        let address = unsafe { &raw const (*common).__bindgen_anon_1.__bindgen_anon_1.skc_daddr };

        // SAFETY: All views of this union are integers. Others may write it at the same time; a
        // volatile read of an aligned `u32` is what `READ_ONCE()` is in C.
        unsafe { address.read_volatile() }
    }

    /// [`SockKind::peer`], with the address as one of IPv6: an IPv4 address is a mapped one,
    /// `::ffff:0:0/96`. It is cheaper to compare. Without a port, it can be that of the last peer.
    #[inline(always)]
    pub fn peer_as_ipv6(self) -> (u16, Ipv6Addr) {
        let port = self.remote_port();

        #[cfg(CONFIG_IPV6)]
        if self.family == AF_INET6 {
            return (port, self.ipv6_peer());
        }

        // As a number, since `to_ipv6_mapped()` goes byte by byte.
        let address = u128::from(u32::from_le(self.ipv4_peer())) << 96 | 0xffff << 80;

        (port, Ipv6Addr::from(address.to_le_bytes()))
    }

    /// Returns the socket as a UDP socket, if it is one ([`SockKind::is_udp`]).
    #[inline]
    pub fn as_udp(self) -> Option<&'a UdpSock> {
        if !self.is_udp() {
            return None;
        }

        // INVARIANT: As just seen. Type and protocol never change, and `IPV6_ADDRFORM` only turns an
        // `AF_INET6` socket into an `AF_INET` one.
        // SAFETY: A `UdpSock` has the layout of a `Sock`, and is valid for as long.
        Some(unsafe { &*ptr::from_ref(self.sk).cast() })
    }
}

/// A message that is being sent or received.
///
/// Wraps the kernel's `struct msghdr`, the form that a message has once it has been copied from
/// the caller: the address is in kernel memory, the data need not be.
///
/// A message belongs to the one thread that is sending or receiving it, so nobody writes it while
/// that thread is asked about it. User space cannot reach it: the address is a copy.
///
/// # Invariants
///
/// For as long as a reference to a [`Msg`] exists, the `struct msghdr` is valid and nobody writes
/// its `msg_flags`, `msg_controllen`, `msg_name` and `msg_namelen`. `msg_name` is null, or
/// `msg_namelen` is not positive, or `msg_name` points to `msg_namelen` bytes that are initialized
/// and that nobody writes.
#[repr(transparent)]
pub struct Msg(Opaque<bindings::msghdr>);

impl Msg {
    /// Creates a reference to a [`Msg`] from a pointer.
    ///
    /// # Safety
    ///
    /// For the lifetime `'a`, `ptr` must point to a valid `struct msghdr`. If its `msg_name` is not
    /// null and its `msg_namelen` is positive, then `msg_name` must point to `msg_namelen`
    /// initialized bytes. Nobody may write these bytes, nor the fields `msg_flags`, `msg_controllen`,
    /// `msg_name` and `msg_namelen`.
    #[inline]
    pub unsafe fn from_ptr<'a>(ptr: *const bindings::msghdr) -> &'a Self {
        // INVARIANT: The caller guarantees what the invariant asks for.
        // SAFETY: The caller guarantees that `ptr` is valid for `'a`, and `Msg` has the layout of
        // `struct msghdr`.
        unsafe { &*ptr.cast() }
    }

    /// Returns a raw pointer to the `struct msghdr`.
    #[inline]
    pub fn as_ptr(&self) -> *mut bindings::msghdr {
        self.0.get()
    }

    /// Returns the flags, `MSG_*`.
    #[inline]
    pub fn flags(&self) -> u32 {
        // SAFETY: By the type invariant the `struct msghdr` is valid and nobody writes this field.
        unsafe { (*self.as_ptr()).msg_flags }
    }

    /// Tells whether the message has control messages (`msg_controllen` is not 0).
    #[inline]
    pub fn has_control(&self) -> bool {
        // SAFETY: By the type invariant the `struct msghdr` is valid and nobody writes this field.
        unsafe { (*self.as_ptr()).msg_controllen != 0 }
    }

    /// Returns the address that the message carries: where it is to go, if it is being sent.
    ///
    /// `None` if it carries none.
    #[inline]
    pub fn name(&self) -> Option<Sockaddr<'_>> {
        // SAFETY: By the type invariant the `struct msghdr` is valid and nobody writes this field.
        let name = unsafe { (*self.as_ptr()).msg_name };
        // SAFETY: As above.
        let len = unsafe { (*self.as_ptr()).msg_namelen };

        if name.is_null() {
            return None;
        }

        // SAFETY: By the type invariant `name`, which is not null, points to `len` initialized
        // bytes that nobody writes while `self` is borrowed.
        Some(unsafe { Sockaddr::from_raw(name.cast(), len) })
    }
}

/// An address that C passed: a pointer to a `struct sockaddr` of some family, and a length.
///
/// It is the kernel's own copy. The socket layer makes one before it asks anybody about an address,
/// so that user space cannot change it afterwards.
///
/// # Invariants
///
/// If `len` is positive, then for the lifetime `'a` `address` is not null and points to `len`
/// initialized bytes that nobody writes.
#[derive(Clone, Copy)]
pub struct Sockaddr<'a> {
    address: *const u8,
    len: c_int,
    _p: PhantomData<&'a [u8]>,
}

impl<'a> Sockaddr<'a> {
    /// Takes an address as C passes it.
    ///
    /// # Safety
    ///
    /// If `len` is positive, then `address` must not be null and for the lifetime `'a` must point to
    /// `len` initialized bytes that nobody writes.
    #[inline]
    pub const unsafe fn from_raw(address: *const u8, len: c_int) -> Self {
        // INVARIANT: The caller guarantees it.
        Self {
            address,
            len,
            _p: PhantomData,
        }
    }

    /// Returns the first `N` bytes, if there are as many.
    #[inline]
    pub fn first_chunk<const N: usize>(self) -> Option<&'a [u8; N]> {
        if N == 0 || i64::from(self.len) < N as i64 {
            return None;
        }

        // SAFETY: By the type invariant there are `len` initialized bytes, which nobody writes, and
        // as just seen `len` is positive and not less than `N`.
        Some(unsafe { &*self.address.cast() })
    }

    /// Returns the bytes, none if C gave no positive length.
    ///
    /// They are a `struct sockaddr` as long as user space said, which may be too short for its
    /// family, or to have one.
    #[inline]
    pub const fn bytes(self) -> &'a [u8] {
        if self.len <= 0 {
            return &[];
        }

        // SAFETY: By the type invariant there are `len` initialized bytes, which nobody writes.
        // CAST: `len` is positive, so its value does not change.
        unsafe { core::slice::from_raw_parts(self.address, self.len as usize) }
    }
}

impl<'a> From<&'a [u8]> for Sockaddr<'a> {
    /// Takes an address from memory of the caller's, without the bytes that C could not count.
    #[inline]
    fn from(bytes: &'a [u8]) -> Self {
        let len = c_int::try_from(bytes.len()).unwrap_or(c_int::MAX);

        // SAFETY: The slice has at least `len` bytes, and nobody writes them while it is borrowed.
        unsafe { Self::from_raw(bytes.as_ptr(), len) }
    }
}

/// A socket that is being made, by `socket(2)` or `accept(2)`.
///
/// Wraps a `struct socket` that may have no `sk` yet.
///
/// # Invariants
///
/// For as long as a reference to a [`NewSocket`] exists, the `struct socket` is not released, and
/// only the current task has access to it. Its `sk` does not change, and it is null or points to a
/// valid, full `struct sock` that is not freed.
#[repr(transparent)]
pub struct NewSocket(Opaque<bindings::socket>);

impl NewSocket {
    /// Creates a reference to a [`NewSocket`] from a pointer.
    ///
    /// # Safety
    ///
    /// For the lifetime `'a`, `ptr` must point to a valid `struct socket` that is not released and
    /// that only the current task has access to. Its `sk` must not change, and must be null or
    /// point to a valid, full `struct sock` that is not freed.
    #[inline]
    pub unsafe fn from_ptr<'a>(ptr: *const bindings::socket) -> &'a Self {
        // INVARIANT: The caller guarantees what the invariant asks for.
        // SAFETY: The caller guarantees that `ptr` is valid for `'a`, and `NewSocket` has the
        // layout of `struct socket`.
        unsafe { &*ptr.cast() }
    }

    /// Returns the half of the socket that the protocol works on, if it has been made.
    #[inline]
    pub fn sk(&self) -> Option<&Sock> {
        // SAFETY: By the type invariant the `struct socket` is valid, and `sk` does not change.
        let sk = unsafe { (*self.0.get()).sk };

        if sk.is_null() {
            return None;
        }

        // SAFETY: By the type invariant `sk`, which is not null, points to a valid, full `struct
        // sock` that is not freed for as long as `self` is borrowed.
        Some(unsafe { Sock::from_ptr(sk) })
    }
}

/// What a socket is to be: the arguments of `socket(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketParams {
    /// The address family, `AF_*`.
    pub family: c_int,
    /// The type, `SOCK_*`, without the flags that `socket(2)` takes with it.
    pub type_: c_int,
    /// The protocol, `IPPROTO_*` in the internet families; 0 is the default of the family.
    pub protocol: c_int,
    /// Whether the kernel makes the socket for itself, and not for the current task.
    pub kern: bool,
}

impl SocketParams {
    /// Takes the parameters as the hooks of LSMs get them.
    #[cfg(CONFIG_SECURITY_NETWORK)]
    #[inline]
    pub(crate) const fn from_c(family: c_int, type_: c_int, protocol: c_int, kern: c_int) -> Self {
        Self {
            family,
            type_,
            protocol,
            kern: kern != 0,
        }
    }
}

#[cfg(CONFIG_RUST_LSM_KUNIT_TEST)]
#[macros::kunit_tests(rust_net_socket)]
pub(crate) mod tests {
    use super::*;

    /// What C allocates for a UDP socket, or rather the part of it that is read here and in the tests
    /// of LSMs. bindgen's `struct sock` may be shorter.
    #[repr(C, align(64))]
    pub(crate) struct FakeSock([u8; 2048]);

    static_assert!(bindings::SOCK_PROTOCOL_OFFSET + 4 <= size_of::<FakeSock>());
    static_assert!(bindings::INET_SPORT_OFFSET + 2 <= size_of::<FakeSock>());
    static_assert!(bindings::SOCK_USERLOCKS_OFFSET < size_of::<FakeSock>());
    #[cfg(CONFIG_SECURITY)]
    static_assert!(bindings::SOCK_SECURITY_OFFSET + 8 <= size_of::<FakeSock>());
    static_assert!(size_of::<bindings::sock_common>() <= size_of::<FakeSock>());
    static_assert!(align_of::<bindings::sock_common>() <= align_of::<FakeSock>());

    impl FakeSock {
        pub(crate) fn zeroed() -> Result<KBox<Self>> {
            let fake = KBox::<Self>::new_uninit(GFP_KERNEL | __GFP_ZERO)?;

            // SAFETY: It has been zeroed, and consists of bytes.
            Ok(unsafe { fake.assume_init() })
        }

        fn new(family: u32, type_: u32, protocol: u32) -> Result<KBox<Self>> {
            let mut fake = Self::zeroed()?;

            fake.set(bindings::SOCK_FAMILY_OFFSET, family);
            fake.set(bindings::SOCK_PROTOCOL_OFFSET, protocol);
            fake.set(bindings::SOCK_TYPE_OFFSET, type_);
            Ok(fake)
        }

        /// Sets a field of two bytes.
        pub(crate) fn set(&mut self, offset: usize, value: u32) {
            self.set_bytes(offset, &(value as u16).to_ne_bytes());
        }

        /// Sets a run of bytes, as an address stands in memory.
        fn set_bytes(&mut self, offset: usize, bytes: &[u8]) {
            self.0[offset..offset + bytes.len()].copy_from_slice(bytes);
        }

        pub(crate) fn as_mut_ptr(&mut self) -> *mut bindings::sock {
            ptr::from_mut(self).cast()
        }

        pub(crate) fn sock(&self) -> &Sock {
            // SAFETY: As asserted above, it is as long and as aligned as what is read of a
            // `struct inet_sock`, for which any bytes will do; it is valid for as long as `self`.
            unsafe { Sock::from_ptr(ptr::from_ref(self).cast()) }
        }
    }

    #[test]
    fn tcp_and_udp_are_told_by_family_type_and_protocol() -> Result {
        use bindings::{
            sock_type_SOCK_DGRAM as DGRAM, sock_type_SOCK_RAW as RAW,
            sock_type_SOCK_STREAM as STREAM, AF_INET, AF_INET6, AF_UNIX, IPPROTO_MPTCP,
            IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE,
        };

        for (family, type_, protocol, tcp, udp) in [
            (AF_INET, STREAM, IPPROTO_TCP, true, false),
            (AF_INET6, STREAM, IPPROTO_TCP, true, false),
            (AF_INET, DGRAM, IPPROTO_UDP, false, true),
            (AF_INET6, DGRAM, IPPROTO_UDP, false, true),
            (AF_INET, STREAM, IPPROTO_MPTCP, false, false),
            (AF_INET, DGRAM, IPPROTO_UDPLITE, false, false),
            (AF_INET, RAW, IPPROTO_TCP, false, false),
            (AF_INET6, RAW, IPPROTO_UDP, false, false),
            (AF_UNIX, STREAM, 0, false, false),
            (AF_UNIX, STREAM, IPPROTO_TCP, false, false),
        ] {
            let fake = FakeSock::new(family, type_, protocol)?;
            let sk = fake.sock();

            assert_eq!(sk.is_tcp(), tcp);
            assert_eq!(sk.is_udp(), udp);
            assert_eq!(sk.kind().as_udp().is_some(), udp);
            assert_eq!(u32::from(sk.family()), family);
            assert_eq!(u32::from(sk.kind().family()), family);
            assert_eq!(
                sk.kind().protocol_and_type.map(u32::from),
                [protocol, type_]
            );
        }

        Ok(())
    }

    /// Whether `fake`, a UDP socket, is known to be bound.
    fn is_known_bound(fake: &FakeSock) -> bool {
        fake.sock()
            .kind()
            .as_udp()
            .expect("a UDP socket")
            .is_known_bound()
    }

    #[test]
    fn a_udp_socket_is_known_bound_by_its_source_port_alone() -> Result {
        for family in [bindings::AF_INET, bindings::AF_INET6] {
            let mut fake = FakeSock::new(
                family,
                bindings::sock_type_SOCK_DGRAM,
                bindings::IPPROTO_UDP,
            )?;

            assert!(!is_known_bound(&fake));

            // A bind that may still fail.
            fake.set(bindings::SOCK_NUM_OFFSET, 1);
            assert!(!is_known_bound(&fake));

            for port in [1u16, 0xff, 0x100, 0xffff] {
                fake.set(bindings::INET_SPORT_OFFSET, port.to_be().into());
                assert!(is_known_bound(&fake));
            }

            // What is next to it says nothing.
            fake.set(bindings::INET_SPORT_OFFSET, 0);
            fake.set(bindings::INET_SPORT_OFFSET - 2, 0xffff);
            fake.set(bindings::INET_SPORT_OFFSET + 2, 0xffff);
            assert!(!is_known_bound(&fake));
        }

        Ok(())
    }

    #[test]
    fn the_source_port_is_in_host_order_and_that_of_the_internet_families() -> Result {
        for (family, expected) in [
            (bindings::AF_INET, 0x1234),
            (bindings::AF_INET6, 0x1234),
            // Its `struct sock` is followed by something else.
            (bindings::AF_UNIX, 0),
        ] {
            let mut fake = FakeSock::new(
                family,
                bindings::sock_type_SOCK_STREAM,
                bindings::IPPROTO_TCP,
            )?;

            // `inet_num`, which is another port.
            fake.set(bindings::SOCK_NUM_OFFSET, 0x5678);
            assert_eq!(fake.sock().source_port(), 0);

            fake.set_bytes(bindings::INET_SPORT_OFFSET, &[0x12, 0x34]);
            assert_eq!(fake.sock().source_port(), expected);
        }

        Ok(())
    }

    #[test]
    fn the_peer_is_that_of_the_family_that_was_read() -> Result {
        let mut fake = FakeSock::new(
            bindings::AF_INET6,
            bindings::sock_type_SOCK_STREAM,
            bindings::IPPROTO_TCP,
        )?;
        let v4 = (0x1234, IpAddr::from([192, 0, 2, 7]));

        fake.set_bytes(bindings::SOCK_DPORT_OFFSET, &[0x12, 0x34]);
        fake.set_bytes(bindings::SOCK_DADDR_OFFSET, &[192, 0, 2, 7]);

        #[cfg(CONFIG_IPV6)]
        {
            let address: [u8; 16] = core::array::from_fn(|i| 0xa0 + i as u8);
            let v6 = (0x1234, IpAddr::from(address));

            fake.set_bytes(bindings::SOCK_V6_DADDR_OFFSET, &address);
            assert_eq!(fake.sock().peer(), v6);

            // As `IPV6_ADDRFORM` does between two readings.
            let fake_v4 = FakeSock::new(bindings::AF_INET, 0, 0)?;
            let kind = SockKind {
                sk: fake.sock(),
                ..fake_v4.sock().kind()
            };
            assert_eq!(kind.peer(), v4);
        }

        fake.set(bindings::SOCK_FAMILY_OFFSET, bindings::AF_INET);
        assert_eq!(fake.sock().peer(), v4);
        Ok(())
    }

    #[test]
    fn a_socket_listens_in_one_state() -> Result {
        let mut fake = FakeSock::zeroed()?;

        for state in 0..=u8::MAX {
            fake.set_bytes(bindings::SOCK_STATE_OFFSET, &[state]);
            assert_eq!(fake.sock().is_listening(), state == 10);
        }

        Ok(())
    }

    #[test]
    fn a_port_is_named_by_its_flag_alone() -> Result {
        let mut fake = FakeSock::zeroed()?;

        for (locks, expected) in [(0, false), (8, true), (0xf7, false), (0xff, true)] {
            fake.set_bytes(bindings::SOCK_USERLOCKS_OFFSET, &[locks]);
            assert_eq!(fake.sock().is_port_named(), expected);
        }

        Ok(())
    }

    #[test]
    fn a_socket_is_connected_in_one_state() -> Result {
        let mut fake = FakeSock::zeroed()?;
        let mut socket = KBox::<bindings::socket>::init(pin_init::init_zeroed(), GFP_KERNEL)?;

        socket.sk = fake.as_mut_ptr();
        for state in [
            bindings::socket_state_SS_FREE,
            bindings::socket_state_SS_UNCONNECTED,
            bindings::socket_state_SS_CONNECTING,
            bindings::socket_state_SS_CONNECTED,
            bindings::socket_state_SS_DISCONNECTING,
        ] {
            socket.state = state;

            // SAFETY: It is valid and has a `sk`, and nobody writes it while it is borrowed.
            let sock = unsafe { Socket::from_ptr(&*socket) };
            assert_eq!(sock.is_connected(), state == 3);
        }

        Ok(())
    }

    #[test]
    fn a_message_without_a_name_has_none() {
        // SAFETY: It is a C structure of integers and pointers, for which zeroes are valid.
        let mut hdr: bindings::msghdr = unsafe { core::mem::zeroed() };

        hdr.msg_namelen = 16;
        hdr.msg_flags = bindings::MSG_FASTOPEN;

        // SAFETY: `hdr` is valid, has no name, and is not written to while `msg` is used.
        let msg = unsafe { Msg::from_ptr(&hdr) };

        assert!(msg.name().is_none());
        assert_eq!(msg.flags(), bindings::MSG_FASTOPEN);
    }

    #[test]
    fn a_name_is_as_long_as_the_caller_said() {
        let mut address = [2u8, 0, 0x1f, 0x90];
        // SAFETY: It is a C structure of integers and pointers, for which zeroes are valid.
        let mut hdr: bindings::msghdr = unsafe { core::mem::zeroed() };

        hdr.msg_name = address.as_mut_ptr().cast();

        for (len, expected) in [(4, 4), (1, 1), (0, 0), (-1, 0), (c_int::MIN, 0)] {
            hdr.msg_namelen = len;

            // SAFETY: `hdr` is valid, its name has at least `len` bytes, and neither is written to
            // while `msg` is used.
            let msg = unsafe { Msg::from_ptr(&hdr) };

            assert_eq!(msg.name().map(|name| name.bytes().len()), Some(expected));
        }
    }

    #[test]
    fn no_bytes_are_asked_of_a_null_address() {
        // SAFETY: The length is not positive.
        let none = unsafe { Sockaddr::from_raw(ptr::null(), 0) };
        // SAFETY: As above.
        let fewer = unsafe { Sockaddr::from_raw(ptr::null(), -1) };

        assert!(none.bytes().is_empty() && fewer.bytes().is_empty());
        assert!(none.first_chunk::<1>().is_none() && fewer.first_chunk::<1>().is_none());
    }

    #[test]
    fn a_chunk_is_given_only_if_all_of_it_is_there() {
        let bytes = [1u8, 2, 3, 4];
        // SAFETY: `bytes` lives longer, and nobody writes it.
        let address = unsafe { Sockaddr::from_raw(bytes.as_ptr(), 4) };

        assert_eq!(address.first_chunk(), Some(&bytes));
        assert_eq!(address.first_chunk(), Some(&[1, 2]));
        assert!(address.first_chunk::<5>().is_none());
        assert_eq!(address.bytes(), bytes);
    }
}
