# SPDX-License-Identifier: GPL-2.0
"""Makes random programs with extended rulesets, alone and in stacks with plain ones.

C Landlock cannot run them, so tests/spec/predict.rs says what is right. Programs with plain rulesets only are among them: they
run under C Landlock too.
"""

import random
import socket
import struct
from collections.abc import Iterator

from .fuzz_programs import (
    ADD_RULE_QUIET, BIND_UDP, AF_INET, AF_INET6, AF_PACKET, AF_UNIX, AF_UNSPEC, CLOEXEC, DGRAM, FASTOPEN, MORE, MPTCP, NET, PAIR, RAW,
    RULE_NET_PORT, RULESET_SLOTS, SEQPACKET, SLOTS, SOCKET_SLOTS, SOL_IP, SOL_IPV6, SOL_SOCKET, SOL_TCP, SOL_UDP, STREAM, TCP, TSYNC, UDP,
    Program, Writer)

SOCKET_CREATE = 1 << 32
CREATE_RULESET, CREATE_OBSERVER, OBSERVED, PERMISSIVE = 1 << 31, 1 << 30, 1, 1 << 31
# Where observers are, and the descriptor that a slot is.
OBSERVER_SLOTS, FIRST_FD = (12, 13), 100
# Rights about addresses that a call names or a listener has, and about what is done with a connection.
ADDRESSES = NET | 1 << 32
CONNECTIONS = sum(1 << bit for bit in range(33, 43))
RECEIVE_UDP = 1 << 39
RIGHTS = ADDRESSES | CONNECTIONS
AF_SMC, SMC = 43, 256
DONTROUTE = 4

PORTS = (0, 1, 2, 80, 443, 8080, 8081, 65533, 65534, 65535)
RANGES = ((0, 0), (0, 1), (0, 65535), (0, 65534), (1, 65535), (1, 1), (80, 443), (443, 8080), (8080, 8081), (65534, 65535),
          (65535, 65535), (2, 65534))
BAD_RANGES = ((1, 0), (65535, 65534), (65535, 65536), (65536, 65536), (0, 1 << 32), (1 << 32, 1 << 32), (0, (1 << 64) - 1))

_V4 = ("127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.2", "127.255.255.254", "126.255.255.255", "128.0.0.0", "0.0.0.0", "0.0.0.1",
       "10.0.0.1", "10.0.0.2", "10.255.255.255", "11.0.0.0", "192.0.2.1", "169.254.0.1", "224.0.0.1", "239.255.255.255",
       "240.0.0.1", "255.255.255.255")
_V6 = ("::1", "::1", "::1", "::", "::2", "2001:db8::1", "2001:db8:0:1::1", "2001:db8::8000:0:0:1", "fc00::1", "fe80::1", "febf::1",
       "fec0::1", "ff01::1", "ff02::1", "ff05::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "64:ff9b::7f00:1", "8000::")
HOSTS = tuple(socket.inet_pton(AF_INET, text) for text in _V4) + tuple(socket.inet_pton(AF_INET6, text) for text in _V6)
# Some that a socket can be bound to.
LOCAL_V4 = tuple(socket.inet_aton(text) for text in ("127.0.0.1", "127.0.0.1", "127.0.0.2", "10.0.0.1"))
LOCAL_V6 = socket.inet_pton(AF_INET6, "::1")
_LENGTHS = {4: (0, 1, 7, 8, 9, 16, 24, 30, 31, 31, 32, 32, 32), 16: (0, 1, 7, 8, 10, 32, 48, 63, 64, 65, 80, 127, 127, 128, 128, 128)}

_SOCKETS = (
    (AF_INET, STREAM, 0), (AF_INET, STREAM, TCP), (AF_INET6, STREAM, 0), (AF_INET6, STREAM, TCP), (AF_INET, DGRAM, 0),
    (AF_INET, DGRAM, UDP), (AF_INET6, DGRAM, 0), (AF_INET6, DGRAM, UDP),
)
# Options that do no harm, by level and name.
_OPTIONS = (
    (SOL_SOCKET, 2), (SOL_SOCKET, 3), (SOL_SOCKET, 4), (SOL_SOCKET, 15), (SOL_SOCKET, 30), (SOL_TCP, 1), (SOL_TCP, 2), (SOL_IP, 1),
    (SOL_IP, 2), (SOL_IPV6, 16), (SOL_IPV6, 67), (SOL_UDP, 1),
)
_MPTCP_SOCKETS = ((AF_INET, STREAM, MPTCP), (AF_INET6, STREAM, MPTCP))
_ODD_SOCKETS = (
    (AF_UNIX, STREAM, 0), (AF_UNIX, DGRAM, 0), (AF_UNIX, SEQPACKET, 0), (AF_INET, RAW, TCP), (AF_INET6, RAW, UDP),
    (16, RAW, 0), (AF_PACKET, DGRAM, 0), (AF_INET, 10, 0x0300), (AF_UNSPEC, STREAM, 0), (AF_INET, STREAM, UDP),
    (45, STREAM, 0), (46, STREAM, 0), (254, STREAM, 0), (-1, STREAM, 0), (AF_INET, 11, 0), (AF_INET, 15, 0), (AF_INET, SEQPACKET, 132),
    (AF_SMC, STREAM, 0), (AF_SMC, STREAM, 1), (AF_INET, STREAM, SMC), (AF_INET, RAW, 255), (AF_INET, STREAM, -1), (AF_INET, 0, 0),
)


def _words(data: bytes, count: int) -> tuple[int, ...]:
    return struct.unpack(f"<{count}Q", data.ljust(8 * count, b"\0")[:8 * count])


def _sockaddr(named: int, port: int, host: bytes, scope: int = 0) -> bytes:
    if len(host) == 4:
        return struct.pack("=H", named) + struct.pack("!H", port) + host
    return struct.pack("=H", named) + struct.pack("!HI", port, 0) + host + struct.pack("=I", scope)


def generate(seed: int) -> Iterator[Program]:
    """Endless programs. The same seed gives the same ones."""
    source = random.Random(f"{seed} extended")
    while True:
        writer = _Writer(source)
        lines = tuple(writer.program())
        yield Program(lines, observed=True, extended=writer.is_extended)


class _Writer(Writer):
    """Writes one program."""

    def __init__(self, source: random.Random) -> None:
        super().__init__(source)
        #: How likely a ruleset is an extended one.
        self._share = source.choice((0, 1, 1, 1, 0.5, 0.5, 0.5, 0.2, 0.8))
        self._ports = source.sample(PORTS, 4)
        # MPTCP takes its time.
        self._has_mptcp = source.random() < 0.3
        self._likely = _SOCKETS + 2 * _MPTCP_SOCKETS if self._has_mptcp else _SOCKETS
        self._addresses = source.sample(HOSTS, 5) + [source.choice(HOSTS[:3])]
        self._listeners: list[int] = []
        self._connections: list[int] = []
        #: What the slots probably hold: the rights and permissions that an extended ruleset handles, or None for a plain one.
        self._permissions: dict[int, int | None] = {}
        self._kinds: dict[int, tuple[int, int, int]] = {}
        self._observers: list[int] = []
        #: How likely a layer is permissive.
        self._permissive = source.choice((0, 0, 0.1, 0.5, 1))

    @property
    def is_extended(self) -> bool:
        """Whether C Landlock cannot run it."""
        return self._share > 0

    def program(self) -> list[str]:
        """Returns its operations."""
        for _ in range(self._random.randint(0, 6)):
            self._socket()
        for _ in range(self._random.randint(0, 3)):
            self._use()
        if self.is_extended and self._chance(0.5):
            for slot in OBSERVER_SLOTS[:self._choice((1, 2))]:
                self._observer(slot)
        if self._chance(0.4):
            self._serve()
        if self._chance(0.3):
            self._exchange()
        if self._chance(0.1):
            self._again()
        if self._chance(0.1):
            self._many_layers()
        elif self._chance(0.95):
            self._sandbox()
        for _ in range(self._random.randint(20, 80)):
            self._step()
        while self._open_forks:
            self._join()
        for slot in self._observers:
            for _ in range(self._choice((3, 10, 30))):
                self._do("event", slot)
        return self._lines

    def _step(self) -> None:
        kind = self._random.random()
        if self._observers and self._chance(0.1):
            self._do("event", self._choice(self._observers))
        elif kind < 0.75:
            self._use()
        elif kind < 0.85:
            self._socket()
        elif kind < 0.91:
            self._rule(self._a_ruleset())
        elif kind < 0.93:
            self._ruleset(self._choice(RULESET_SLOTS))
        elif kind < 0.945:
            self._restrict(self._a_ruleset())
        elif kind < 0.955 and self.is_extended:
            flags = self._choice((CREATE_RULESET,) * 3 + (CREATE_RULESET | 1, 3 << 30, CREATE_OBSERVER))
            self._do("about", self._choice((0, 0, 1)), self._choice((0, 0, 8, 40)), flags)
        elif kind < 0.965:
            self._do("network", self._random.randrange(2))
        else:
            self._flow()

    def _flow(self) -> None:
        chance = self._random.random()
        if chance < 0.4 and self._open_forks < 3:
            self._do("fork", thread=0)
            self._open_forks += 1
        elif chance < 0.6 and self._open_forks:
            self._join()
        elif chance < 0.8:
            self._do("dup", self._choice(SOCKET_SLOTS), self._choice(SOCKET_SLOTS))
        else:
            self._do("close", self._choice(SOCKET_SLOTS))

    # Rulesets

    def _rights(self, bits: int) -> int:
        """Some of the bits, often all, and at least one if there is one."""
        some = bits if self._chance(0.6) else bits & self._random.getrandbits(43)
        return some or bits

    def _a_ruleset(self) -> int:
        if self._chance(0.03):
            return self._choice((SLOTS, SLOTS + 1, self._choice(SOCKET_SLOTS), RULESET_SLOTS[-1]))
        return self._choice(tuple(self._permissions) or RULESET_SLOTS)

    def _observer(self, slot: int) -> None:
        size, place, flags, tail = 8, 0, 0, 0
        if self._chance(0.1):
            size, place = self._choice((0, 7, 8, 16, 40, 4096, 4097)), self._choice((0, 0, 1, 2, 3))
            flags, tail = self._choice((0, 0, 1, 1 << 63)), self._choice((0, 0, 5))
        self._do("extended", slot, size, CREATE_OBSERVER, place, flags, 0, 0, 0, 0, 0, tail, thread=0)
        if slot not in self._observers:
            self._observers.append(slot)

    def _ruleset(self, slot: int, good: bool = False) -> None:
        if self._chance(1 - self._share):
            net = self._rights(NET)
            self._do("ruleset", slot, 48, 0, 0, 0, net, 0, 0, self._rights(net) if self._chance(0.3) else 0, 0, 0, thread=0)
            self._rulesets[slot], self._permissions[slot] = net, None
            return
        net = self._rights(self._choice((ADDRESSES, ADDRESSES, CONNECTIONS, CONNECTIONS, RIGHTS, RIGHTS))) if self._chance(0.95) else 0
        permissions = SOCKET_CREATE if self._chance(0.25) or not net else 0
        fields = [net, self._rights(net) if self._chance(0.3) else 0, permissions, 0, 0, 0]
        if self._observers and self._chance(0.6):
            named = self._choice(self._observers) if self._chance(0.95) else self._choice((0, 5, SLOTS))
            fields[3:] = OBSERVED, FIRST_FD + named, self._random.randrange(4)
        size, flags, place, tail = 40, CREATE_RULESET, 0, 0
        if not good and self._chance(0.5):
            match self._random.randrange(6):
                case 0:
                    fields[self._random.randrange(6)] ^= 1 << self._random.randrange(64)
                case 1:
                    size = self._choice((0, 1, 7, 8, 9, 16, 23, 24, 28, 32, 39, 41, 48, 56, 64, 4095, 4096, 4097, 5000))
                case 2:
                    size, tail = self._choice((40, 48, 56, 72, 104, 128)), self._random.randrange(64)
                case 3:
                    flags = self._choice((CREATE_RULESET | 1, CREATE_RULESET | 2, 3 << 30, 1 << 30, CREATE_RULESET | 4))
                case 4:
                    place = self._choice((1, 2, 3, 4))
                case _:
                    fields[0] = fields[2] = 0
        self._do("extended", slot, size, flags, place, *fields, tail, thread=0)
        # The specification knows what becomes of a bad one. If it is none, its rules go to what the slot held before.
        self._rulesets[slot], self._permissions[slot] = fields[0] & RIGHTS, fields[2] & SOCKET_CREATE

    def _prefix(self, address: bytes) -> tuple[bytes, int]:
        """A prefix with the address, or near it."""
        length = self._choice(_LENGTHS[len(address)])
        if self._chance(0.15):
            # One bit decides.
            address = self._flip(address, min(8 * len(address) - 1, self._choice((length, max(0, length - 1)))))
        if self._chance(0.96):
            bits = 8 * len(address)
            address = (int.from_bytes(address) >> (bits - length) << (bits - length)).to_bytes(len(address))
        return address, length

    @staticmethod
    def _flip(address: bytes, bit: int) -> bytes:
        return bytes(byte ^ (0x80 >> bit % 8 if at == bit // 8 else 0) for at, byte in enumerate(address))

    def _rule(self, slot: int) -> None:
        """A rule, mostly a good one."""
        net, permissions = self._rulesets.get(slot, RIGHTS), self._permissions.get(slot)
        is_bad = self._chance(0.05)
        flags = ADD_RULE_QUIET if self._chance(0.1) else 0
        place = self._choice((1, 2, 3, 4)) if self._chance(0.02) else 0
        if is_bad and self._chance(0.3):
            flags = self._choice((1, 2, 3, 1 << 31))
        if permissions and self._chance(0.5) or is_bad and self._chance(0.2):
            self._kind_rule(slot, 0 if self._chance(0.9) else flags, place, is_bad)
            return
        if permissions is not None and self._kinds and self._chance(0.2) or is_bad and self._chance(0.2):
            self._opened_rule(slot, 0 if self._chance(0.9) else flags, place, is_bad)
            return
        access = self._rights(net)
        if is_bad and self._chance(0.3):
            access = self._choice((0, 1 << self._random.randrange(64), RIGHTS))
        if permissions is None and not (is_bad and self._chance(0.3)) or self._chance(0.15):
            port = self._choice(self._ports) if self._chance(0.95) else self._choice((65536, 1 << 32, (1 << 64) - 1))
            kind = self._choice((0, 3, 0x40000000, 0x40000004)) if is_bad and self._chance(0.3) else RULE_NET_PORT
            self._do("port", slot, flags, kind, place, access, port)
            return
        first, last = self._choice(RANGES) if self._chance(0.6) else (self._choice(self._ports),) * 2
        family, length, address, ifindex, reserved = 0, 0, b"", 0, 0
        if self._chance(0.7):
            address = self._choice(self._addresses if self._chance(0.6) else (*LOCAL_V4, LOCAL_V6))
            family = AF_INET if len(address) == 4 else AF_INET6
            address, length = self._prefix(address)
            if access != RECEIVE_UDP and self._chance(0.98):
                access &= ~RECEIVE_UDP
        if is_bad:
            match self._random.randrange(7):
                case 0:
                    first, last = self._choice(BAD_RANGES)
                case 1:
                    family = self._choice((1, 3, 16, 65538, (1 << 32) - 1, 0, AF_INET, AF_INET6))
                case 2:
                    length = self._choice((33, 64, 129, 256, 257, 1 << 16, (1 << 32) - 1, 31, 127))
                case 3:
                    ifindex = self._choice((1, 2, 1 << 31))
                case 4:
                    reserved = self._choice((1, 1 << 31))
                case 5:
                    # A mapped address, and the longest prefix that is above those.
                    family, length, address = AF_INET6, self._choice((128, 96, 95, 97, 104)), b"\0" * 10 + b"\xff\xff\x7f\0\0\1"
                    address = (int.from_bytes(address) >> (128 - length) << (128 - length)).to_bytes(16)
                case _:
                    address = address.ljust(16, b"\0")[:15] + bytes([self._choice((1, 128))])
        self._do("net", slot, flags, place, access, first, last, family, length, *_words(address, 2), ifindex, reserved)

    def _kind_rule(self, slot: int, flags: int, place: int, is_bad: bool) -> None:
        permissions, reserved = SOCKET_CREATE, 0
        family, kind, protocol = self._choice(_SOCKETS + _MPTCP_SOCKETS + _ODD_SOCKETS)
        family = abs(family)
        kind = -1 if self._chance(0.5) else kind
        protocol = -1 if self._chance(0.5) else protocol
        if is_bad:
            match self._random.randrange(5):
                case 0:
                    permissions = self._choice((0, 1, 1 << 31, 1 << 33, SOCKET_CREATE | 1))
                case 1:
                    family = self._choice((-1, 254, 255, 1 << 31, 0))
                case 2:
                    kind = self._choice((-2, 254, 255, 0))
                case 3:
                    protocol = self._choice((-2, 65534, 65535, 0))
                case _:
                    reserved = 1
        self._do("kind", slot, flags, place, permissions, family, kind, protocol, reserved)

    def _opened_rule(self, slot: int, flags: int, place: int, is_bad: bool) -> None:
        access, reserved = self._rights(self._rulesets.get(slot, RIGHTS)), 0
        which = self._choice(tuple(self._kinds) or tuple(SOCKET_SLOTS))
        if self._listeners and self._chance(0.5):
            which = self._choice(self._listeners)
        if is_bad:
            match self._random.randrange(3):
                case 0:
                    access = self._choice((0, 1 << self._random.randrange(64), RIGHTS))
                case 1:
                    which = self._choice((*RULESET_SLOTS, *OBSERVER_SLOTS, SLOTS, SLOTS + 1, *PAIR))
                case _:
                    reserved = self._choice((1, 1 << 31))
        self._do("opened", which, slot, flags, place, access, reserved)

    def _restrict(self, slot: int) -> None:
        flags = TSYNC if self._chance(0.15) else self._choice((1 << 31, 1 << 30, 1 << 5)) if self._chance(0.03) else 0
        if self._permissions.get(slot) is not None and self._chance(self._permissive):
            flags |= PERMISSIVE
        self._do("restrict", slot, flags)

    def _sandbox(self) -> None:
        for _ in range(self._choice((1, 1, 1, 2, 2, 3))):
            slot = self._choice(RULESET_SLOTS)
            self._ruleset(slot, good=True)
            self._rules(slot, 1)
            self._restrict(slot)

    def _rules(self, slot: int, least: int) -> None:
        """Some rules. Without the first ones, hardly a socket could be made, a datagram be sent, or a connection be granted by its
        address."""
        if self._permissions[slot]:
            for family in (AF_INET, AF_INET6):
                if self._chance(0.6):
                    self._do("kind", slot, 0, 0, SOCKET_CREATE, family, -1, -1, 0)
        if self._rulesets[slot] & BIND_UDP and self._chance(0.5):
            self._do("port", slot, 0, RULE_NET_PORT, 0, BIND_UDP, 0)
        access = self._rulesets[slot] & ~RECEIVE_UDP
        if access & CONNECTIONS and self._chance(0.5):
            for family, host in ((AF_INET, self._choice(LOCAL_V4)), (AF_INET6, LOCAL_V6)):
                ports = self._choice(((0, 65535), (1, 65535), (0, 8080)))
                self._do("net", slot, 0, 0, access, *ports, family, 8 * len(host), *_words(host, 2), 0, 0)
        if self._permissions[slot] is not None:
            for _ in range(self._choice((0, 1, 3)) if self._kinds else 0):
                self._opened_rule(slot, 0, 0, False)
        for _ in range(self._random.randint(least, 14)):
            self._rule(slot)

    def _many_layers(self) -> None:
        """Up to 16 layers, and too many. Most are alike, or nothing would be allowed."""
        slots = self._random.sample(RULESET_SLOTS, self._choice((1, 2, 3)))
        for slot in slots:
            self._ruleset(slot, good=True)
            self._rules(slot, 4)
        for _ in range(self._choice((5, 14, 15, 16, 17))):
            self._restrict(self._choice(slots))

    # Sockets

    def _socket(self) -> None:
        if self._chance(0.06):
            self._do("pair", *PAIR, *self._choice(((AF_UNIX, STREAM, 0), (AF_UNIX, DGRAM, 0), (AF_INET, STREAM, 0), (AF_UNIX, SEQPACKET, 0))))
            return
        slot = self._choice(SOCKET_SLOTS)
        family, kind, protocol = self._choice(self._likely) if self._chance(0.88) else self._choice(_ODD_SOCKETS)
        self._do("socket", slot, family, kind | (CLOEXEC if self._chance(0.05) else 0), protocol)
        self._kinds[slot] = family, kind, protocol

    def _slot(self, kind: int | None = None) -> tuple[int, int]:
        """A slot and the family of the socket that it probably holds, of a kind if there is one."""
        if not self._kinds:
            self._socket()
        if self._chance(0.02) or not self._kinds:
            return self._choice((*RULESET_SLOTS, SLOTS, *SOCKET_SLOTS)), AF_INET
        slots = [slot for slot, each in self._kinds.items() if kind in (None, each[1])]
        slot = self._choice(slots or tuple(self._kinds))
        return slot, self._kinds[slot][0]

    def _local_address(self, family: int) -> tuple[int, ...]:
        """Mostly a good address of this machine."""
        if self._chance(0.25):
            return self._address(family)
        host = self._choice(LOCAL_V4) if family == AF_INET else LOCAL_V6
        return 3, *_words(_sockaddr(family, self._choice(self._ports), host), 4), 16 if family == AF_INET else 28

    def _address(self, family: int) -> tuple[int, ...]:
        """Layout 3, four numbers, and the length."""
        wanted = 16 if family == AF_INET6 else 4
        if self._chance(0.06):
            wanted = 20 - wanted
        host = self._choice(self._addresses if self._chance(0.8) else HOSTS)
        if self._chance(0.08):
            host = self._flip(host, self._random.randrange(8 * len(host)))
        if len(host) != wanted:
            # An IPv6 address can hold an IPv4 one.
            if wanted == 16:
                host = b"\0" * 10 + b"\xff\xff" + host
            else:
                host = self._choice([each for each in (*self._addresses, *HOSTS[:3]) if len(each) == 4])
        port = self._choice(self._ports) if self._chance(0.9) else self._choice(PORTS)
        named = AF_INET6 if wanted == 16 else AF_INET
        length = 28 if wanted == 16 else 16
        if self._chance(0.05):
            named = AF_UNSPEC
        elif self._chance(0.02):
            named = self._choice((AF_UNIX, 16, 255, 65535))
        if self._chance(0.05):
            length = self._choice((0, 1, 2, 4, 8, 15, 16, 23, 24, 27, 28, 32, 128))
        scope = self._choice((1, 2, 3)) if host[0] in (0xfe, 0xff) else 0
        return 3, *_words(_sockaddr(named, port, host, scope), 4), length

    def _flags(self) -> int:
        return self._choice((0, 0, 0, 0, 0, 0, FASTOPEN, FASTOPEN, FASTOPEN, MORE, DONTROUTE))

    def _use(self) -> None:
        what = self._random.choices(range(15), (18, 16, 6, 14, 5, 4, 9, 7, 8, 2, 5, 3, 20, 8, 2))[0]
        # Most that is sent, is sent as datagrams.
        slot, family = self._slot(DGRAM if what in (3, 4, 5, 6) and self._chance(0.6) else None)
        match what:
            case 0:
                self._do("bind", slot, *self._address(family))
            case 1:
                self._do("connect", slot, *self._address(family))
            case 2:
                self._do("listen", slot, self._choice((0, 1, 4)))
            case 3:
                self._do(self._choice(("sendto", "sendmsg")), slot, self._flags(), self._random.randrange(9), *self._address(family))
            case 4:
                self._do("send", slot, self._flags(), self._random.randrange(9))
            case 5:
                first = self._address(family)
                second = first if self._chance(0.4) else self._address(family)
                self._do("sendmmsg", slot, self._flags(), self._random.randrange(9), *first, *second)
            case 6:
                self._control(slot, family)
            case 7:
                self._do("option", slot, *self._option())
            case 8:
                self._serve()
            case 9:
                self._addrform()
            case 10:
                if self._listeners and self._chance(0.7):
                    slot = self._choice(self._listeners)
                self._accept(slot, self._choice(SOCKET_SLOTS))
            case 11:
                if self._chance(0.3):
                    self._do("name", slot, self._choice((0, 1)))
                else:
                    self._disconnect(slot)
            case 12:
                self._call(self._choice(self._connections[-4:]) if self._connections and self._chance(0.7) else slot)
            case 13:
                self._exchange()
            case _:
                self._again()

    def _accept(self, listener: int, slot: int) -> None:
        self._do("accept", listener, slot)
        if listener in self._kinds:
            self._kinds[slot] = self._kinds[listener]
            self._connections.append(slot)

    def _disconnect(self, slot: int) -> None:
        """Drops the peer."""
        self._do("connect", slot, 3, 0, 0, 0, 0, 16)

    def _call(self, slot: int) -> None:
        """What is done with a socket that has its addresses."""
        match self._random.choices(range(5), (3, 5, 4, 3, 3))[0]:
            case 0:
                family = self._kinds.get(slot, (AF_INET,))[0]
                match self._random.randrange(6):
                    case 0:
                        self._control(slot, family)
                    case 1:
                        self._do("sendto", slot, FASTOPEN, 4, *self._address(family))
                    case _:
                        self._do(*self._choice((("send", slot, 0, 4), ("write", slot, 4), ("send", slot, MORE, 0))))
            case 1:
                self._do(*self._choice((("recv", slot, 0), ("recv", slot, 2), ("read", slot, 8), ("read", slot, 0), ("splice", slot))))
            case 2:
                level, name = self._choice((*_OPTIONS, (SOL_TCP, 35), (SOL_TCP, 35), (SOL_TCP, 35), (SOL_IP, 4)))
                self._do("getsockopt", slot, level, name)
            case 3:
                level, name = self._choice((*_OPTIONS, (SOL_SOCKET, 26), (SOL_SOCKET, 50), (SOL_SOCKET, 51), (SOL_SOCKET, 52)))
                self._do("setsockopt", slot, level, name, 0 if level == SOL_UDP else 1)
            case _:
                self._do("shutdown", slot, self._choice((0, 1, 2)))

    def _exchange(self) -> None:
        """Datagrams from one socket to another. The port of the other is named, or not."""
        family = self._choice((AF_INET, AF_INET6))
        server, client = self._random.sample(SOCKET_SLOTS, 2)
        address = self._local_address(family)
        for slot in (server, client):
            self._do("socket", slot, family, DGRAM, 0)
            self._kinds[slot] = family, DGRAM, 0
        if self._chance(0.8):
            self._do("bind", server, *address)
        if self._chance(0.7):
            self._do("connect", client, *address)
            self._do("send", client, 0, 4)
            self._connections.append(client)
        else:
            self._do("sendto", client, 0, 4, *address)
        for _ in range(self._random.randint(1, 5)):
            self._call(self._choice((server, client, client)))
        if self._chance(0.2):
            self._disconnect(client)
            self._call(client)

    def _control(self, slot: int, family: int) -> None:
        """A message with control data that may choose its way, sometimes to a connected peer."""
        device = self._choice((0, 0, 1, 1, 2, 3))
        info4, info6 = struct.pack("=III", device, 0, 0), b"\0" * 16 + struct.pack("=I", device)
        route = struct.pack("=BBBBI", 0, 2, 2, 1, 0) + HOSTS[-1]
        level, kind, data = self._choice((
            (SOL_IP, 8, info4), (SOL_IP, 8, info4), (SOL_IPV6, 50, info6), (SOL_IPV6, 50, info6), (SOL_IPV6, 2, info6), (SOL_IPV6, 57, route),
            (SOL_IPV6, 5, route), (SOL_IP, 7, b"\1\1\1\1"), (SOL_IP, 1, struct.pack("=I", 8)), (SOL_IP, 2, struct.pack("=I", 64)),
            (SOL_SOCKET, 36, struct.pack("=I", 7)), (SOL_IPV6, 67, struct.pack("=I", 8))))
        address = self._address(family) if self._chance(0.6) else (3, 0, 0, 0, 0, 0)
        self._do("control", slot, self._flags(), *address, level, kind, len(data), *_words(data, 3))

    def _option(self) -> tuple[int, ...]:
        """Level, name, length, and four numbers. Most give a socket a way of its own, or take it."""
        device = self._choice((0, 0, 1, 2, 3))
        number = struct.pack("=I", device)
        net = struct.pack("!I", device)
        label = HOSTS[-1] + struct.pack("!I", self._choice((0x12345, 0x54321))) + struct.pack("=BBHHHI", 0, 255, 1, 0, 0, 0)
        switch = self._choice((b"\1\0\0\0", b"\0\0\0\0"))
        route = self._choice((struct.pack("=BBBBI", 0, 2, 2, 1, 0) + HOSTS[-1], b""))
        level, name, data = self._choice((
            (SOL_SOCKET, 25, self._choice((b"tap0", b"lo\0", b"\0", b"none"))), (SOL_SOCKET, 62, number), (SOL_SOCKET, 62, number),
            (SOL_IP, 4, self._choice((b"\1\1\1\1", b"", b"\x83\7\4\x7f\0\0\1"))), (SOL_IP, 15, switch), (SOL_IP, 19, switch),
            (SOL_IPV6, 75, switch), (SOL_SOCKET, 5, switch), (SOL_IP, 50, net), (SOL_IPV6, 76, net), (SOL_IPV6, 78, switch),
            (SOL_IPV6, 50, b"\0" * 16 + number), (SOL_IPV6, 57, route),
            (SOL_IPV6, 32, label), (SOL_IPV6, 6, b""),
            (SOL_IP, 35, socket.inet_aton("224.0.0.7") + socket.inet_aton("127.0.0.1")), (SOL_IPV6, 20, HOSTS[-6] + number),
            (SOL_IPV6, 27, HOSTS[-6] + number), (SOL_SOCKET, 2, b"\1\0\0\0"), (SOL_SOCKET, 15, b"\1\0\0\0"), (SOL_IPV6, 26, number),
            (SOL_TCP, 30, b"\1\0\0\0"), (SOL_IP, 24, b"\1\0\0\0"), (SOL_TCP, 25, number), (SOL_IPV6, 25, number), (SOL_IP, 62, number)))
        return level, name, len(data), *_words(data, 4)

    def _serve(self) -> None:
        """A listener and its client, if the rules allow them."""
        family = self._choice((AF_INET, AF_INET6))
        listener, client, accepted = self._random.sample(SOCKET_SLOTS, 3)
        protocol = MPTCP if self._has_mptcp and self._chance(0.4) else 0
        address = self._local_address(family)
        self._do("socket", listener, family, STREAM, protocol)
        self._do("socket", client, family, STREAM, protocol)
        self._do("option", listener, SOL_SOCKET, 2, 4, 1, 0, 0, 0)
        if self._chance(0.2):
            self._do("option", listener, SOL_TCP, 23, 4, 5, 0, 0, 0)
        if self._chance(0.95):
            self._do("bind", listener, *address)
        self._do("listen", listener, 4)
        if self._chance(0.5):
            # The peer that accept(2) is asked about.
            self._do("bind", client, *self._local_address(family))
        if self._chance(0.2):
            self._do("sendto", client, FASTOPEN, 4, *address)
        else:
            self._do("connect", client, *address)
        if self._chance(0.1):
            # A connection that was reset can be accepted too.
            self._do("send", client, 0, 4)
            self._do("close", client)
        for slot in (listener, client, accepted):
            self._kinds[slot] = family, STREAM, protocol
        self._listeners.append(listener)
        self._connections.append(client)
        if self._chance(0.2):
            return
        self._accept(listener, accepted)
        for _ in range(self._random.randint(0, 5)):
            self._call(self._choice((client, accepted, accepted)))
        if self._chance(0.3):
            # What was accepted, disconnects, and connects or listens.
            self._disconnect(accepted)
            if self._chance(0.4):
                self._do("connect", accepted, *address)
            else:
                self._do("listen", accepted, 1)
            self._call(accepted)

    def _again(self) -> None:
        """A socket that was accepted, and connects to its peer's address from its port."""
        family, host = self._choice(((AF_INET, LOCAL_V4[0]), (AF_INET6, LOCAL_V6)))
        server, client, accepted = self._random.sample(SOCKET_SLOTS, 3)
        here, there = ((3, *_words(_sockaddr(family, port, host), 4), 28 if family == AF_INET6 else 16)
                       for port in self._random.sample([port for port in self._ports if port], 2))
        for slot, address in ((server, here), (client, there)):
            self._do("socket", slot, family, STREAM, 0)
            self._do("bind", slot, *address)
            self._kinds[slot] = family, STREAM, 0
        self._do("listen", server, 1)
        self._do("connect", client, *here)
        self._accept(server, accepted)
        self._do("close", server)
        self._do("close", client)
        self._do("socket", server, family, STREAM, 0)
        self._do("bind", server, *there)
        self._do("listen", server, 1)
        self._call(accepted)
        self._disconnect(accepted)
        self._do("bind", accepted, *here)
        for _ in range(2):
            self._do("connect", accepted, *there)
            for _ in range(self._random.randint(1, 3)):
                self._call(accepted)

    def _addrform(self) -> None:
        """An IPv6 socket that becomes an IPv4 socket. It needs a mapped peer."""
        slot = self._choice(SOCKET_SLOTS)
        kind = self._choice((STREAM, DGRAM))
        port = self._choice(self._ports)
        data = _sockaddr(AF_INET6, port, b"\0" * 10 + b"\xff\xff\x7f\0\0\1")
        self._do("socket", slot, AF_INET6, kind, 0)
        self._do("connect", slot, 3, *_words(data, 4), 28)
        self._do("option", slot, SOL_IPV6, 1, 4, AF_INET, 0, 0, 0)
        self._kinds[slot] = self._choice((AF_INET, AF_INET, AF_INET6)), kind, 0
