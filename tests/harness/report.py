# SPDX-License-Identifier: GPL-2.0
"""Prints the progress and the results of a run."""

import sys
import threading
import time
from collections import Counter

from . import ktap
from .catalogue import Boot
from .session import BootResult, Outcome, Session

#: How a line begins that belongs into the report.
_SEEN = "# seen: "

# How many failures are shown with their lines. The others are only named.
_DETAILED = 20


def clock(seconds: float) -> str:
    """A duration in words."""
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds) // 60} min {int(seconds) % 60:02} s"


class Progress:
    """On a terminal, one line that is updated. Elsewhere, one line for each finished step."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._lock = threading.Lock()
        self._drawn = False
        self._began = time.monotonic()
        self._sessions: list[Session] = []
        self._stop = threading.Event()
        self._painter: threading.Thread | None = None

    def step(self, text: str) -> None:
        """Report a step of the preparations."""
        with self._lock:
            if self._terminal:
                self._draw(f"preparing: {text}")
            else:
                print(f"preparing: {text}", flush=True)

    def start(self, sessions: list[Session]) -> None:
        """Follow these boots."""
        self._sessions = sessions
        if self._terminal:
            self._painter = threading.Thread(target=self._paint, daemon=True)
            self._painter.start()

    def finished(self, boot: Boot, outcome: Outcome) -> None:
        """Report that a program has ended."""
        failed = outcome.count(ktap.FAIL)
        if self._terminal and not failed:
            return
        took = f"  {outcome.seconds:6.1f} s" if outcome.seconds is not None else ""
        text = (f"{'✗' if failed else '✓'} {boot.name:<9} {outcome.name:<36} {outcome.count(ktap.PASS):4} passed "
                f"{failed:3} failed {outcome.count(ktap.SKIP):3} skipped{took}")
        with self._lock:
            self._erase()
            print(text, flush=True)

    def end(self) -> None:
        """Erase the line."""
        self._stop.set()
        if self._painter:
            self._painter.join()
        with self._lock:
            self._erase()

    def _paint(self) -> None:
        while not self._stop.wait(0.2):
            parts, failures = [], 0
            for session in self._sessions:
                done, failed, running = session.progress()
                failures += failed
                if running:
                    parts.append(f"{session.job.boot.name} {done}/{session.job.expected} {running.split('/')[-1]}")
            elapsed = time.monotonic() - self._began
            with self._lock:
                self._draw(f"{' · '.join(parts) or 'booting'} · {failures} failed · {clock(elapsed)}")

    def _draw(self, text: str) -> None:
        self._erase()
        sys.stdout.write(text[:110])
        sys.stdout.flush()
        self._drawn = True

    def _erase(self) -> None:
        if self._drawn:
            sys.stdout.write("\r\033[K")
            self._drawn = False


def table(results: list[BootResult]) -> str:
    """A table with a row for each program and a column for each boot: passed, failed, skipped, seconds."""
    names = list(dict.fromkeys(outcome.name for result in results for outcome in result.outcomes))
    rows = [["", *(f"{result.boot.name}" for result in results)], ["", *(f"lsm={result.boot.lsm}" for result in results)]]
    for name in names:
        row = [name]
        for result in results:
            outcome = next((outcome for outcome in result.outcomes if outcome.name == name), None)
            row.append(_cell(outcome) if outcome else "-")
        rows.append(row)
    rows.append(["whole boot", *(clock(result.seconds) for result in results)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def _cell(outcome: Outcome) -> str:
    passed, failed, skipped = (outcome.count(verdict) for verdict in (ktap.PASS, ktap.FAIL, ktap.SKIP))
    parts = [f"{passed} pass"] if passed or not failed else []
    parts += [f"{failed} FAIL"] if failed else []
    parts += [f"{skipped} skip"] if skipped else []
    parts += [f"{outcome.seconds:.1f} s"] if outcome.seconds is not None else []
    return ", ".join(parts)


def details(results: list[BootResult]) -> str:
    """Every failure with its lines, and every reason for a skip with how often it occurred."""
    text: list[str] = []
    shown = 0
    for result in results:
        for outcome in result.outcomes:
            for case in outcome.cases:
                if case.verdict != ktap.FAIL:
                    continue
                reason = f": {case.reason}" if case.reason else ""
                text.append(f"✗ {result.boot.name}:{outcome.name}.{case.name}{reason}")
                if shown < _DETAILED:
                    text += [f"    {line}" for line in case.lines]
                shown += 1
    skips = Counter((outcome.name, case.reason or "no reason given") for result in results for outcome in result.outcomes
                    for case in outcome.cases if case.verdict == ktap.SKIP)
    text += [f"skipped {count} of {name}: {reason}" for (name, reason), count in skips.items()]
    return "\n".join(text)


def totals(results: list[BootResult]) -> tuple[int, int, int]:
    """The numbers of passed, failed and skipped tests in all boots."""
    verdicts = Counter(case.verdict for result in results for outcome in result.outcomes for case in outcome.cases)
    return verdicts[ktap.PASS], verdicts[ktap.FAIL], verdicts[ktap.SKIP]


def seen(log: str) -> str:
    """What the tests told for the report."""
    return "\n".join(line.removeprefix(_SEEN) for line in log.splitlines() if line.startswith(_SEEN))


def conclude(results: list[BootResult], told: str = "") -> int:
    """Print what was told, what failed, and the counts. Returns the exit status, 0 only if something ran and nothing failed."""
    for text in (told, details(results)):
        if text:
            print(f"\n{text}")
    passed, failed, skipped = totals(results)
    print(f"\n{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0
