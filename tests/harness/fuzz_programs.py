# SPDX-License-Identifier: GPL-2.0
"""Makes random programs of Landlock and socket operations. The same seed gives the same programs.

Many arguments are chosen so that the operation succeeds: a program with only wrong arguments would only compare errors. Each
operation is a line for tests/guest/fuzz.c: a thread, a name, and numbers.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from .base import HarnessError

# All of LANDLOCK_ACCESS_NET_*, and the filesystem rights that matter for the files of the fuzz.
NET = 0b1111
BIND_TCP, CONNECT_TCP, BIND_UDP, SEND_UDP = 1, 2, 4, 8
FS_ALL = (1 << 16) - 1
FS_REFER = 1 << 13
SCOPES = 0b11

RULE_NET_PORT = 2
ADD_RULE_QUIET = 1
# Same exec off, new exec on, subdomains off, tsync, no_new_privs.
RESTRICT_FLAGS = (1, 2, 4, 8, 16)
TSYNC, NO_NEW_PRIVS = 8, 16

AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET = 0, 1, 2, 10, 16, 17
STREAM, DGRAM, RAW, SEQPACKET = 1, 2, 3, 5
CLOEXEC = 0o2000000
TCP, UDP, ICMP, UDPLITE, MPTCP = 6, 17, 1, 136, 262
FASTOPEN, MORE, OOB = 0x20000000, 0x8000, 1

SIZES_IN = (16, 16, 16, 16, 15, 8, 7, 4, 2, 1, 0, 24, 28, 128, 129, -1)
SIZES_IN6 = (28, 28, 28, 28, 24, 24, 23, 16, 8, 2, 1, 0, 27, 128, 129, -1)

# No ports that the kernel chooses by itself. Only a few, so that operations often use the same port.
PORTS = (0, 1, 2, 3, 80, 443, 1023, 1024, 8080, 8081, 8082, 20000, 61000, 65534, 65535)
COMMON_PORTS = (443, 8080, 8081, 8082, 20000)
BAD_PORTS = (65536, 65537, 1 << 31, 1 << 32, (1 << 32) + 443, 1 << 63, (1 << 64) - 1)

SLOTS = 16
# The slots where programs usually keep what they make. They sometimes use other slots too.
RULESET_SLOTS, SOCKET_SLOTS, FILE_SLOTS, PAIR = range(0, 4), range(4, 12), range(12, 14), (14, 15)

SOL_SOCKET, SOL_IP, SOL_TCP, SOL_UDP, SOL_IPV6 = 1, 0, 6, 17, 41


@dataclass(frozen=True)
class Program:
    """Operations that run in one process."""

    operations: tuple[str, ...]
    #: Whether Landlock's trace events are compared too.
    traced: bool = False
    #: Whether the state of sockets is told, and the results are predicted.
    observed: bool = False
    #: Whether there are extended rulesets, so that C Landlock cannot run it.
    extended: bool = False

    def text(self, number: int) -> str:
        """The program in the format for the guest."""
        lines = "".join(f"{operation}\n" for operation in self.operations)
        marks = "".join(f" {mark}" for mark, is_set in
                        (("trace", self.traced), ("observe", self.observed), ("extended", self.extended)) if is_set)
        return f"program {number}{marks}\n{lines}end\n"

    @classmethod
    def parse(cls, text: str) -> "Program":
        """The inverse of `text`. Lines that begin with `#` are comments."""
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        if not lines or not lines[0].startswith("program ") or lines[-1] != "end":
            raise HarnessError("A program begins with the line `program 0` and ends with the line `end`.")
        marks = lines[0].split()
        return cls(tuple(lines[1:-1]), "trace" in marks, "observe" in marks, "extended" in marks)

    def without(self, chunk: int) -> Iterator["Program"]:
        """The program without the first `chunk` operations, without the next ones, and so on."""
        for start in range(0, len(self.operations), chunk):
            rest = self.operations[:start] + self.operations[start + chunk:]
            if rest:
                yield replace(self, operations=rest)


def generate(seed: int) -> Iterator[Program]:
    """Endless programs."""
    source = random.Random(seed)
    while True:
        # Switching the trace on and off takes time, so 50 programs in a row are traced or not.
        traced = source.random() < 0.2
        for _ in range(50):
            yield Program(tuple(Writer(source).program()), traced)


class Writer:
    """Writes one program."""

    def __init__(self, source: random.Random) -> None:
        self._random = source
        self._choice = source.choice
        self._lines: list[str] = []
        self._threads = source.choice((1, 1, 1, 2, 3))
        self._open_forks = 0
        #: What the slots probably hold: rulesets with the network and filesystem rights that they handle, and sockets with
        #: their family and kind.
        self._rulesets: dict[int, int] = {}
        self._filesystems: dict[int, int] = {}
        self._sockets: dict[int, tuple[int, str]] = {}
        self._domains = 0

    def program(self) -> list[str]:
        """Returns its operations."""
        self._privileges()
        kind = self._random.random()
        if kind < 0.06:
            self._many_layers()
        elif kind < 0.9:
            self._sandbox()
        for _ in range(self._random.randint(20, 90)):
            self._step()
        while self._open_forks:
            self._join()
        return self._lines

    # Chances

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _some(self, bits: int) -> int:
        """Some of the bits, often all."""
        return bits if self._chance(0.4) else bits & self._random.getrandbits(16)

    def _odd_bits(self) -> int:
        return self._choice((1 << 4, 1 << 5, 1 << 16, 1 << 17, 1 << 31, 1 << 32, 1 << 63, (1 << 64) - 1))

    def _place(self) -> int:
        """Where in memory an argument is: see place() in fuzz.c."""
        return self._choice((1, 2, 3, 4)) if self._chance(0.06) else 0

    def _any_slot(self, likely: range | tuple[int, ...] | dict) -> int:
        chance = self._random.random()
        if chance < 0.9 and likely:
            return self._choice(tuple(likely))
        return self._random.randrange(SLOTS + 4) if chance < 0.98 else SLOTS

    def _port(self) -> int:
        return self._choice(COMMON_PORTS if self._chance(0.7) else PORTS)

    def _do(self, name: str, *numbers: int, thread: int | None = None) -> None:
        if thread is None:
            thread = self._random.randrange(self._threads) if self._chance(0.4) else 0
        self._lines.append(" ".join((str(thread), name, *map(str, numbers))))

    # Beginnings

    def _privileges(self) -> None:
        if self._chance(0.85):
            self._do("nnp", thread=0)
        if self._chance(0.25):
            self._do("uid", 65534, thread=0)
        elif self._chance(0.1):
            self._do("drop_caps", thread=0)

    def _sandbox(self) -> None:
        for _ in range(self._choice((1, 1, 1, 2, 3))):
            slot = self._choice(RULESET_SLOTS)
            self._good_ruleset(slot)
            for _ in range(self._random.randint(0, 6)):
                self._good_rule(slot)
            self._do("restrict", slot, TSYNC if self._chance(0.15) else 0, thread=0)

    def _many_layers(self) -> None:
        slot = self._choice(RULESET_SLOTS)
        for _ in range(self._choice((15, 16, 17, 18))):
            if self._chance(0.5) or slot not in self._rulesets:
                slot = self._choice(RULESET_SLOTS)
                self._good_ruleset(slot)
            for _ in range(self._random.randint(0, 3)):
                self._good_rule(slot)
            self._do("restrict", slot, TSYNC if self._chance(0.2) else 0, thread=0)

    # Steps

    def _step(self) -> None:
        step: Callable[[], None] = self._random.choices(_STEPS, _WEIGHTS)[0].__get__(self)
        step()

    def _good_ruleset(self, slot: int) -> None:
        net = self._some(NET) or NET
        filesystem = self._some(FS_ALL) if self._chance(0.12) else 0
        scoped = self._some(SCOPES) if self._chance(0.1) else 0
        quiet = self._some(net) if self._chance(0.3) else 0
        self._do("ruleset", slot, 48, 0, 0, filesystem, net, scoped, 0, quiet, 0, 0, thread=0)
        self._rulesets[slot] = net
        self._filesystems[slot] = filesystem

    def _ruleset(self) -> None:
        slot = self._choice(RULESET_SLOTS)
        if self._chance(0.5):
            self._good_ruleset(slot)
            return
        fields = [self._some(FS_ALL) if self._chance(0.3) else 0, self._some(NET), self._some(SCOPES) if self._chance(0.2) else 0]
        fields += [self._some(each) if self._chance(0.4) else 0 for each in fields]
        if self._chance(0.3):
            fields[self._random.randrange(6)] |= self._odd_bits()
        size = self._choice((48, 48, 8, 16, 24, 32, 40, 56, 64, 0, 4, 7, 9, 12, 20, 4096, 4097, 5000, 47, 49))
        flags = self._choice((1, 2, 4, 3, 1 << 29, (1 << 32) - 1)) if self._chance(0.08) else 0
        self._do("ruleset", slot, size, flags, self._place(), *fields, self._choice((0, 0, 0, 48, 49, 55, 63)), thread=0)
        self._rulesets[slot] = fields[1] & NET
        self._filesystems[slot] = fields[0] & FS_ALL

    def _about(self) -> None:
        self._do("about", self._choice((0, 0, 0, 1)), self._choice((0, 0, 0, 8, 48)), self._choice((1, 2, 1, 2, 0, 3, 4, 1 << 29)))

    def _good_rule(self, slot: int) -> None:
        handled = self._rulesets.get(slot, NET)
        flags = ADD_RULE_QUIET if self._chance(0.1) else 0
        self._do("port", slot, flags, RULE_NET_PORT, 0, self._some(handled) or handled, self._port())

    def _rule(self) -> None:
        slot = self._any_slot(self._rulesets)
        if self._chance(0.6):
            self._good_rule(slot)
            return
        access = self._some(NET) if self._chance(0.8) else self._odd_bits()
        port = self._port() if self._chance(0.7) else self._choice(BAD_PORTS)
        flags = self._choice((0, 0, 0, 1, 1, 2, 3, 1 << 31))
        kind = RULE_NET_PORT if self._chance(0.9) else self._choice((0, 1, 3, 0x40000000, (1 << 32) - 1))
        self._do("port", slot, flags, kind, self._place(), access, port)

    def _path_rule(self) -> None:
        if self._chance(0.5):
            slot = self._choice(RULESET_SLOTS)
            self._filesystems[slot] = self._some(FS_ALL) or FS_REFER
            self._do("ruleset", slot, 48, 0, 0, self._filesystems[slot], 0, 0, 0, 0, 0, 0, thread=0)
            self._rulesets[slot] = 0
        slot = self._any_slot(self._rulesets)
        place = self._any_slot(FILE_SLOTS)
        if self._chance(0.7):
            self._do("open", place % SLOTS, self._random.randrange(8), 0)
        flags = self._choice((0, 0, 0, 0, 1, 2))
        access = self._some(self._filesystems.get(slot, FS_ALL)) if self._chance(0.9) else self._odd_bits()
        self._do("path", slot, flags, self._place(), access, place)

    def _restrict(self) -> None:
        flags = 0
        if self._chance(0.4):
            for flag in RESTRICT_FLAGS:
                flags |= flag if self._chance(0.25) else 0
        if self._chance(0.03):
            flags |= self._choice((1 << 5, 1 << 30, 1 << 31))
        # Slot 16 means no ruleset. Only the log flag of subdomains is accepted without one.
        slot = SLOTS if self._chance(0.05) else self._any_slot(self._rulesets)
        self._do("restrict", slot, flags)

    def _privilege(self) -> None:
        match self._random.randrange(12):
            case 0 | 1:
                self._do("uid", self._choice((0, 65534, 1000)))
            case 2:
                self._do("drop_caps")
            case 3:
                self._do("user_namespace")
            case 4 | 5:
                self._do("nnp")
            case _:
                self._do("has_nnp")

    def _socket(self) -> None:
        slot = self._choice(SOCKET_SLOTS)
        family, kind, protocol, name = self._choice(_SOCKETS) if self._chance(0.9) else self._choice(_ODD_SOCKETS)
        self._do("socket", slot, family, kind | (CLOEXEC if self._chance(0.1) else 0), protocol)
        self._sockets[slot] = family, name

    def _a_socket(self) -> tuple[int, int, str]:
        """A slot, with the family and kind of the socket that it probably holds."""
        if not self._sockets:
            self._socket()
        slot = self._choice(tuple(self._sockets))
        family, name = self._sockets[slot]
        return (slot if self._chance(0.95) else self._any_slot(())), family, name

    def _address(self, family: int) -> tuple[int, ...]:
        """Layout, family, host, port, length, place."""
        if self._chance(0.08):
            family = self._choice((AF_INET, AF_INET6, AF_UNIX))
        layout = {AF_INET6: 1, AF_UNIX: 2}.get(family, 0)
        named = family
        chance = self._random.random()
        if chance < 0.08:
            named = AF_UNSPEC
        elif chance < 0.13:
            named = self._choice((AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, 255, 65535))
        sizes = {1: SIZES_IN6, 2: (110, 110, 20, 3, 2, 0, 111)}.get(layout, SIZES_IN)
        length = sizes[0] if self._chance(0.8) else self._choice(sizes)
        host = self._choice((0, 0, 0, 0, 1, 1, 2, 3, 4, 5))
        place = self._place() if self._chance(0.5) else 0
        return layout, named, host, self._port(), length, place

    def _bind(self) -> None:
        slot, family, _ = self._a_socket()
        self._do("bind", slot, *self._address(family))

    def _connect(self) -> None:
        slot, family, _ = self._a_socket()
        self._do("connect", slot, *self._address(family))

    def _message_flags(self) -> int:
        return self._choice((0, 0, 0, 0, FASTOPEN, FASTOPEN, MORE, OOB, FASTOPEN | MORE))

    def _sendto(self) -> None:
        slot, family, _ = self._a_socket()
        self._do(self._choice(("sendto", "sendmsg")), slot, self._message_flags(), self._random.randrange(9), *self._address(family))

    def _sendmmsg(self) -> None:
        slot, family, _ = self._a_socket()
        first = self._address(family)
        second = first if self._chance(0.5) else self._address(family)
        self._do("sendmmsg", slot, self._message_flags(), self._random.randrange(9), *first, *second)

    def _serve(self) -> None:
        """A listener and its client, if the rules allow them."""
        family = self._choice((AF_INET, AF_INET6))
        listener, client, accepted = self._random.sample(SOCKET_SLOTS, 3)
        address = (1 if family == AF_INET6 else 0, family, 0, self._port(), 28 if family == AF_INET6 else 16, 0)
        protocol = MPTCP if self._chance(0.08) else 0
        self._do("socket", listener, family, STREAM, protocol)
        self._do("setsockopt", listener, SOL_SOCKET, 2, 1)
        self._do("bind", listener, *address)
        self._do("listen", listener, 4)
        self._do("socket", client, family, STREAM, protocol)
        if self._chance(0.2):
            self._do("setsockopt", listener, SOL_TCP, 23, 5)
            self._do("sendto", client, FASTOPEN, 4, *address)
        else:
            self._do("connect", client, *address)
        self._do("accept", listener, accepted)
        self._do("send", client, 0, 4)
        self._do("recv", accepted, 0)
        for slot in (listener, client, accepted):
            self._sockets[slot] = family, "tcp"

    def _addrform(self) -> None:
        """An IPv6 socket that becomes an IPv4 socket. It needs a mapped peer."""
        slot = self._choice(SOCKET_SLOTS)
        kind = self._choice((STREAM, DGRAM))
        self._do("socket", slot, AF_INET6, kind, 0)
        self._sockets[slot] = AF_INET6, "udp" if kind == DGRAM else "tcp"
        self._do("connect", slot, 1, AF_INET6, 2, self._port(), 28, 0)
        self._do("setsockopt", slot, SOL_IPV6, 1, AF_INET)
        if self._chance(0.8):
            self._sockets[slot] = AF_INET, self._sockets[slot][1]

    def _socket_call(self) -> None:
        slot, _, _ = self._a_socket()
        match self._random.randrange(9):
            case 0 | 1:
                self._do("listen", slot, self._choice((0, 1, 4, 128, -1)))
            case 2:
                target = self._choice(SOCKET_SLOTS)
                self._do("accept", slot, target)
            case 3:
                self._do("shutdown", slot, self._choice((0, 1, 2, 3)))
            case 4:
                self._do("send", slot, self._message_flags(), self._random.randrange(9))
            case 5:
                self._do("recv", slot, self._choice((0, 2)))
            case 6:
                self._do("name", slot, self._choice((0, 1)))
            case 7:
                self._do("getsockopt", slot, SOL_SOCKET, self._choice((3, 4, 30, 38, 39)))
            case _:
                self._do("setsockopt", slot, *self._choice(_OPTIONS))

    def _descriptor(self) -> None:
        slot = self._any_slot(range(SLOTS))
        match self._random.randrange(11):
            case 0:
                self._do("close", slot)
            case 1:
                self._do("dup", slot, self._random.randrange(SLOTS))
            case 2:
                self._do("read", self._any_slot(RULESET_SLOTS), self._random.randrange(17))
            case 3:
                self._do("write", self._any_slot(RULESET_SLOTS), self._random.randrange(9))
            case 4:
                self._do("seek", slot)
            case 5:
                self._do("ioctl", slot)
            case 6:
                self._do("flags", slot)
            case 7:
                self._do("mode", slot)
            case 8 | 9:
                self._do("proc", self._any_slot(RULESET_SLOTS))
            case _:
                self._do("epoll", slot)

    def _pass(self) -> None:
        """Passes a descriptor through a socket."""
        slot = self._any_slot(RULESET_SLOTS if self._chance(0.5) else SOCKET_SLOTS)
        self._do("pair", *PAIR, AF_UNIX, self._choice((STREAM, DGRAM, SEQPACKET)), 0)
        self._do("pass", PAIR[0], slot)
        self._do("take", PAIR[1], slot % SLOTS)

    def _file(self) -> None:
        match self._random.randrange(4):
            case 0 | 1:
                self._do("open", self._choice(FILE_SLOTS), self._random.randrange(8), self._random.randrange(5))
            case 2:
                self._do("rename", self._random.randrange(2), self._random.randrange(2))
            case _:
                self._do("link", self._random.randrange(2), self._random.randrange(2))

    def _flow(self) -> None:
        match self._random.randrange(6):
            case 0 | 1 if self._open_forks < 3:
                self._do("fork", thread=0)
                self._open_forks += 1
            case 2 | 3 if self._open_forks:
                self._join()
            case 4:
                self._do("exec", thread=0)
            case _:
                self._do("signal")

    def _join(self) -> None:
        self._do("join", thread=0)
        self._open_forks -= 1


_SOCKETS = (
    (AF_INET, STREAM, 0, "tcp"), (AF_INET, STREAM, TCP, "tcp"), (AF_INET6, STREAM, 0, "tcp"), (AF_INET6, STREAM, TCP, "tcp"),
    (AF_INET, DGRAM, 0, "udp"), (AF_INET, DGRAM, UDP, "udp"), (AF_INET6, DGRAM, 0, "udp"), (AF_INET6, DGRAM, UDP, "udp"),
    (AF_INET, STREAM, 0, "tcp"), (AF_INET6, STREAM, 0, "tcp"), (AF_INET, DGRAM, 0, "udp"), (AF_INET6, DGRAM, 0, "udp"),
    (AF_UNIX, STREAM, 0, "unix"), (AF_UNIX, DGRAM, 0, "unix"), (AF_INET, STREAM, MPTCP, "mptcp"),
)
_ODD_SOCKETS = (
    (AF_INET, RAW, TCP, "raw"), (AF_INET, RAW, UDP, "raw"), (AF_INET6, RAW, ICMP, "raw"), (AF_INET6, STREAM, MPTCP, "mptcp"),
    (AF_INET, DGRAM, UDPLITE, "udplite"), (AF_INET6, DGRAM, UDPLITE, "udplite"), (AF_INET, DGRAM, ICMP, "ping"),
    (AF_UNIX, SEQPACKET, 0, "unix"), (AF_NETLINK, RAW, 0, "netlink"), (AF_PACKET, DGRAM, 0, "packet"), (AF_UNSPEC, STREAM, 0, "none"),
    (AF_INET, SEQPACKET, 0, "none"), (AF_INET, STREAM, UDP, "none"), (46, STREAM, 0, "none"), (AF_INET, 11, 0, "none"),
)
# Level, name, value.
_OPTIONS = (
    (SOL_SOCKET, 2, 1), (SOL_SOCKET, 15, 1), (SOL_IPV6, 26, 1), (SOL_IPV6, 26, 0), (SOL_IPV6, 1, AF_INET), (SOL_IPV6, 1, AF_INET),
    (SOL_TCP, 1, 1), (SOL_TCP, 23, 5), (SOL_TCP, 30, 1), (SOL_IP, 15, 1), (SOL_IP, 24, 1), (SOL_UDP, 1, 1), (SOL_UDP, 1, 0),
)

_STEPS, _WEIGHTS = zip(
    (Writer._ruleset, 5), (Writer._about, 1), (Writer._rule, 8), (Writer._path_rule, 2), (Writer._restrict, 4),
    (Writer._privilege, 2), (Writer._socket, 14), (Writer._bind, 16), (Writer._connect, 14), (Writer._sendto, 12),
    (Writer._sendmmsg, 3), (Writer._serve, 3), (Writer._addrform, 2), (Writer._socket_call, 10), (Writer._descriptor, 6),
    (Writer._pass, 1), (Writer._file, 3), (Writer._flow, 4),
)
