# SPDX-License-Identifier: GPL-2.0
"""Tests of the harness itself, without a guest: python3 -m unittest discover -s tests/harness -t tests"""

import contextlib
import io
import subprocess
import sys
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

from . import bench, command, doc, fuzz, fuzz_extended, fuzz_programs, kernel_log, ktap, peers, units
from .base import REPOSITORY, HarnessError, Paths
from .catalogue import BOOTS, Expectation, Job, Program, parse_listing, select
from .cpio import Archive
from .guest import PAGE
from .session import Follower


def parsed(text: str) -> ktap.Parser:
    """A parser that was fed all of the text."""
    parser = ktap.Parser()
    for line in text.splitlines():
        parser.feed(line)
    return parser


def verdicts(parser: ktap.Parser) -> list[tuple[str, str]]:
    """Names and verdicts of what it found."""
    return [(case.name, case.verdict) for case in parser.cases]


class Repeated(unittest.TestCase):
    """What counts as a difference between two boots that ran a program several times."""

    program = fuzz_programs.Program(("0 socket", "0 bind"))

    def difference(self, oracle: list[int], ours: list[int]) -> fuzz.Difference | None:
        """What is found if the second operation had these results."""
        sides = [[fuzz.Answer({0: 3, 1: result}, status=0) for result in results] for results in (oracle, ours)]
        return fuzz.Repeated(self.program, *sides).difference()

    def test_an_answer_that_only_one_boot_gives_is_one(self) -> None:
        found = self.difference([0, 0, 0], [-13, 0, -13])
        self.assertEqual((found and found.place, found and found.answers), (1, ("0", "EACCES (2 of 3) or 0 (1 of 3)")))
        self.assertTrue(self.difference([0, -22, 0], [0, 0, 0]))

    def test_an_answer_that_both_give_at_times_is_none(self) -> None:
        self.assertIsNone(self.difference([-22, -97, -22], [-97, -97, -22]))

    def test_an_answer_that_never_comes_again_is_none(self) -> None:
        self.assertIsNone(self.difference([0, 0, 0], [-22, 0, 0]))

    def test_events_count_too(self) -> None:
        sides = [[fuzz.Answer({0: 3, 1: 0}, [event], 0) for _ in range(3)] for event in ("one", "another")]
        found = fuzz.Repeated(self.program, *sides).difference()
        self.assertEqual((found and found.place, found and found.answers), (None, ("one", "another")))


class Predicted(unittest.TestCase):
    """What counts as a difference from what was predicted, and what the specification predicts of a program."""

    paths = Paths(REPOSITORY / "build/none", REPOSITORY / "build/linux", REPOSITORY / "build")
    # 127.0.0.1, ports 80 and 81, as tests/guest/fuzz.c reads them.
    LO_80, LO_81 = "3 72058140840951810 0 0 0 16", "3 72058140857729026 0 0 0 16"
    STATE = "7 2 1 6 0 0 0 0 0 02000000000000000000000000000000 - 0"
    # A layer that lets TCP bind to ports of 127.0.0.0/8.
    PROGRAM = fuzz_programs.Program(
        ("0 extended 0 40 2147483648 0 1 0 0 0 0 0 0", "0 net 0 0 0 1 80 80 2 8 127 0 0 0", "0 restrict 0 0", "0 socket 4 2 1 0",
         f"0 bind 4 {LO_80}", f"0 bind 4 {LO_81}"), observed=True, extended=True)

    def answer(self, *results: int) -> fuzz.Answer:
        """What Portlock answered to the program, with the predictions."""
        answer = fuzz.Answer(dict(enumerate(results)), status=0, states={2: "7 0", 4: self.STATE, 5: self.STATE})
        fuzz.Predictor(self.paths).predict([(self.PROGRAM, answer)])
        return answer

    def test_only_some_results_are_right(self) -> None:
        for right, good, bad in (("stack", (0, 5, -22, -97, -111), (-13,)), ("done", (0, 7), (-1, -13, -22)), ("-13", (-13,), (0, -22, 13)),
                                 ("-13 -22", (-13, -22), (0, -1)), ("0", (0,), (1, -13)), ("upto 2", (-111, 0, 2), (3, 4, -13))):
            prediction = fuzz.Prediction(right, "port")
            self.assertEqual([result for result in good + bad if prediction.allows(result)], list(good), right)

    def test_decisions_have_words(self) -> None:
        for right, why, words in (("stack", "address", "allowed by address"), ("-13", "kind", "refused by kind"), ("0", "attr", "allowed by attr"),
                                  ("upto 1", "port", "refused by port"), ("-97", "wrong", "refused as wrong"), ("stack", "unasked", "unasked")):
            self.assertEqual(fuzz.Prediction(right, why).decision, words)

    def test_the_specification_predicts(self) -> None:
        predictions = self.answer(3, 0, 0, 3, 0, -13).predictions
        self.assertEqual([(each.right, each.decision) for each in predictions.values()],
                         [("done", "allowed by attr"), ("0", "allowed by attr"), ("0", "allowed by attr"), ("stack", "unasked"),
                          ("stack", "allowed by address"), ("-13", "refused by port")])

    def test_a_prediction_does_not_depend_on_its_result(self) -> None:
        self.assertEqual(self.answer(3, 0, 0, 3, 0, -13).predictions, self.answer(3, 0, 0, 3, -13, 0).predictions)

    def test_the_connection_that_waits_is_known(self) -> None:
        program = fuzz_programs.Program(
            ("0 extended 0 40 2147483648 0 8589934592 0 0 0 0 0 0", "0 net 0 0 0 8589934592 80 80 2 32 16777343 0 0 0", "0 restrict 0 0",
             "0 socket 4 2 1 0", "0 socket 5 2 1 0", f"0 connect 4 {self.LO_80}", "0 accept 5 6"), observed=True, extended=True)
        for client, is_waiting, right in (("01", 1, "done"), ("02", 1, "-103"), ("02", 0, "stack")):
            listener = f"7 2 1 6 1 0 0 0 0 020000507f0000010000000000000000 - {is_waiting}"
            connected = f"7 2 1 6 0 0 0 0 0 02009c407f0000{client}0000000000000000 020000507f0000010000000000000000 4"
            answer = fuzz.Answer(dict(enumerate((3, 0, 0, 3, 3, -115, 3))), status=0, states={2: "7 0", 5: self.STATE, 6: listener},
                                 after={5: connected})
            fuzz.Predictor(self.paths).predict([(program, answer)])
            self.assertEqual(answer.predictions[6].right, right)
            self.assertEqual(answer.predictions[6].row, "ACCEPT_TCP")

    def test_what_was_predicted_is_no_difference(self) -> None:
        self.assertIsNone(fuzz.compare(self.PROGRAM, None, self.answer(3, 0, 0, 3, 0, -13)))

    def test_another_answer_is_one(self) -> None:
        for place, result in ((0, -22), (1, -22), (2, -7), (4, -13), (5, 0), (5, -22), (5, -98)):
            results = [3, 0, 0, 3, 0, -13]
            results[place] = result
            found = fuzz.compare(self.PROGRAM, None, self.answer(*results))
            self.assertEqual(found and found.place, place)

    def test_an_answer_that_comes_again_is_one(self) -> None:
        good, bad = self.answer(3, 0, 0, 3, 0, -13), self.answer(3, 0, 0, 3, 0, 0)
        self.assertIsNone(fuzz.Repeated(self.PROGRAM, [], [bad, good, good]).difference())
        found = fuzz.Repeated(self.PROGRAM, [], [bad, good, bad]).difference()
        self.assertEqual(found and found.sides, ("Prediction", "Portlock"))

    def test_a_plain_program_has_two_oracles(self) -> None:
        program, answer = replace(self.PROGRAM, extended=False), self.answer(3, 0, 0, 3, 0, -13)
        self.assertIsNone(fuzz.compare(program, answer, answer))
        found = fuzz.compare(program, replace(answer, results={**answer.results, 4: -98}), answer)
        self.assertEqual(found and found.answers, ("EADDRINUSE", "0"))

    def test_half_of_the_operations_have_extended_rulesets(self) -> None:
        for operations in (20_000, 120_000):
            programs = [program for batch in fuzz._batches(1, operations) for program in batch]
            sizes = [sum(len(program.operations) for program in programs if not is_extended or program.extended) for is_extended in (0, 1)]
            self.assertGreaterEqual(2 * sizes[1], operations)
            self.assertLess(2 * sizes[1], operations + 1_000)
            self.assertLess(sizes[0], operations + 1_000)
            self.assertEqual({(each.observed, each.extended) for each in programs}, {(False, False), (True, False), (True, True)})

    def test_programs_that_are_never_run_are_missed(self) -> None:
        self.assertIn("listen refused by address", fuzz.Coverage().missing())

    def test_programs_are_read_as_they_were_written(self) -> None:
        written = next(fuzz_extended.generate(1))
        self.assertEqual(fuzz_programs.Program.parse(written.text(5)), written)


class Ktap(unittest.TestCase):
    """What the programs print."""

    def test_flat_results_as_kselftest_prints_them(self) -> None:
        parser = parsed(
            "TAP version 13\n1..5\n"
            "#  RUN           a.first ...\n#            OK  a.first\nok 1 a.first\n"
            "#  RUN           a.second ...\n# a.c:1:second:Expected 0 (0) == 1 (1)\n#          FAIL  a.second\nnot ok 2 a.second\n"
            "#      SKIP      no such thing\nok 3 a.third # SKIP no such thing\n"
            "ok 4 a.fourth # XFAIL known to be wrong\nok 5 a.fifth # XPASS unknown\n")
        self.assertEqual(verdicts(parser), [
            ("a.first", "pass"), ("a.second", "fail"), ("a.third", "skip"), ("a.fourth", "pass"), ("a.fifth", "fail")])
        self.assertEqual((parser.plan, parser.outer_results), (5, 5))
        self.assertIn("# a.c:1:second:Expected 0 (0) == 1 (1)", parser.cases[1].lines)
        self.assertEqual(parser.cases[2].reason, "no such thing")

    def test_older_directives_without_a_name(self) -> None:
        self.assertEqual(verdicts(parsed("1..2\nok 1 # SKIP not here\nnot ok 2 - with a dash\n")),
                         [("#1", "skip"), ("with a dash", "fail")])

    def test_everything_skipped(self) -> None:
        parser = parsed("TAP version 13\n1..0 # SKIP no such thing\n")
        self.assertEqual((parser.plan, parser.skip_all, parser.cases), (0, "no such thing", []))

    def test_nested_results_count_as_leaves(self) -> None:
        parser = parsed(
            "KTAP version 1\n1..2\n    KTAP version 1\n    # Subtest: outer\n    1..2\n    ok 1 one\n"
            "        # Subtest: inner\n        1..1\n        not ok 1 two\n    not ok 2 inner\nnot ok 1 outer\nok 2 last\n")
        self.assertEqual(verdicts(parser), [("outer.one", "pass"), ("outer.inner.two", "fail"), ("last", "pass")])
        self.assertEqual(parser.outer_results, 2)

    def test_a_parent_that_fails_by_itself_counts(self) -> None:
        parser = parsed("1..1\n    # Subtest: outer\n    1..1\n    ok 1 one\nnot ok 1 outer\n")
        self.assertEqual(verdicts(parser), [("outer.one", "pass"), ("outer", "fail")])

    def test_what_was_running_is_known(self) -> None:
        parser = parsed("1..2\n#  RUN           a.first ...\nok 1 a.first\n#  RUN           a.second ...\nlast words\n")
        self.assertEqual((parser.running, parser.pending_lines), ("a.second", ["#  RUN           a.second ...", "last words"]))

    def test_a_line_that_only_looks_like_a_result(self) -> None:
        self.assertEqual(parsed("okay 1 name\nnotok\n# ok 1 name\n").cases, [])


class KernelLog(unittest.TestCase):
    """What must not be in the log, and what may."""

    def test_signs(self) -> None:
        for line in ("[    1.5] WARNING: CPU: 0 PID: 1 at mm/a.c:1", "BUG: KASAN: slab-use-after-free in f", "Oops: int3: 0000 [#1] SMP",
                     "rcu: INFO: rcu_preempt self-detected stall on CPU", "WARNING: possible recursive locking detected",
                     "UBSAN: shift-out-of-bounds in a.c:1", "INFO: task a:1 blocked for more than 120 seconds.",
                     "kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
                     "BUG: KCSAN: data-race in a / b", "turning off the locking correctness validator.",
                     "kmemleak: Kernel memory leak detector disabled", "ODEBUG: Out of memory. ODEBUG disabled",
                     "Kernel panic - not syncing: x", "rust_kernel: panicked at security/portlock/a.rs:1:1"):
            self.assertEqual(len(kernel_log.reports(line)), 1, line)

    def test_harmless_lines(self) -> None:
        for line in ("audit: type=1423 comm=\"Oops BUG: WARNING:\"", "portlock: Up and running.", "reboot: Restarting system",
                     "kcsan: non-strict mode configured - use CONFIG_KCSAN_STRICT=y to see all data races",
                     "BUG: KCSAN: data-race in commit_creds / prepare_creds", "BUG: KCSAN: data-race in memcpy_and_pad / f",
                     "Kernel command line: oops=panic", "kmemleak: Kernel memory leak detector initialized (mem pool available: 9)"):
            self.assertEqual(kernel_log.reports(line), [], line)

    def test_one_report_for_signs_that_belong_together(self) -> None:
        self.assertEqual(len(kernel_log.reports("Oops: 0000\nRIP: f\nCall Trace:\nKernel panic - not syncing: x\n")), 1)

    def test_a_cgroup_that_met_its_limit_is_no_fault(self) -> None:
        killer = "[ 1.0] a_test invoked oom-killer: gfp_mask=0x400cc0(GFP_KERNEL_ACCOUNT), order=0\n[ 1.0] Call Trace:\n[ 1.0]  <TASK>\n"
        of_cgroup = killer + "[ 1.0] memory: usage 8kB\n[ 1.0] Memory cgroup stats for /a:\n"
        of_all = killer + "[ 1.0] Mem-Info:\n"
        of_many_frames = killer + "[ 1.0]  ? f+0x1/0x2\n" * 100 + "[ 1.0] Memory cgroup stats for /a:\n"
        for log, number in ((of_cgroup, 0), (of_cgroup * 3, 0), (of_many_frames, 0), (of_all, 1), (killer, 1), (of_all + of_cgroup, 1),
                            (killer + "[ 1.0] BUG: KASAN: a\n" + of_cgroup, 1), ("[ 1.0] Call Trace:\n" + of_cgroup, 1)):
            self.assertEqual(len(kernel_log.reports(log)), number, log)

    def test_a_race_of_others_is_none_of_ours(self) -> None:
        race = "[ 1.0] BUG: KCSAN: data-race in f / g\n[ 1.0]  f+0x1/0x2\n[ 1.0]  %s+0x1/0x2\n"
        end = "[ 1.0] ==================================================================\n"
        for log, number in ((race % "do_syscall_64" + end, 0), (race % "security_socket_bind" + end, 1), (race % "h", 1),
                            (race % "_RNvNtCs_8portlock5hooks4bind" + end, 1), (race % "h" + end + race % "landlock_f" + end, 1)):
            self.assertEqual(len(kernel_log.reports(log)), number, log)

    def test_a_checker_that_says_nothing_is_named(self) -> None:
        config = "CONFIG_KASAN=y\nCONFIG_KCSAN=y\n# CONFIG_PROVE_RCU is not set\n"
        self.assertEqual(kernel_log.silent_checkers(config, "kasan: KernelAddressSanitizer initialized (generic)"), ["CONFIG_KCSAN"])

    def test_console_and_dmesg_are_joined(self) -> None:
        self.assertEqual(kernel_log.joined("a\r\nb\r\n", "a\nc\n").splitlines(), ["a", "c", "b"])


class Listing(unittest.TestCase):
    """What programs say they contain."""

    def test_tables(self) -> None:
        rule = "-" * 80
        listing = (f"{'# FIXTURE':<20} {'VARIANT':<25} TEST\n{'short':<20} {'one':<25} first\n{'':<20} {'two':<25} second\n"
                   f"{'':<20} {'':<25} third\n{rule}\n{'a_fixture_of_a_long_name':<20} {'':<25} alone\n{rule}\n"
                   f"{'f':<20} {'a_variant_of_a_name_that_is_long':<25} only\n{'':<20} {'other':<25} \n")
        self.assertEqual(parse_listing(listing), [
            "short.one.first", "short.one.second", "short.one.third", "short.two.first", "short.two.second", "short.two.third",
            "a_fixture_of_a_long_name.alone", "f.a_variant_of_a_name_that_is_long.only", "f.other.only"])


class Page(unittest.TestCase):
    """What is taken out of a page of the documentation."""

    def test_a_block_with_a_name_is_a_program(self) -> None:
        page = (".. code-block:: c\n\n    a fragment\n\nText\n\n"
                ".. code-block:: c\n    :name: one\n\n    int a;\n\n        int b;\n\nText\n\n"
                ".. code-block:: sh\n    :name: other\n\n    ls\n\n"
                ".. code-block:: rust\n\n    a_fragment()\n\n"
                ".. code-block:: rust\n    :name: one-in-rust\n\n    fn main() {\n    }\n\nText\n\n"
                ".. code-block:: c\n    :name: two\n\n    int c;\n")
        self.assertEqual(doc.programs(page), {
            "one.c": "int a;\n\n    int b;\n", "one-in-rust.rs": "fn main() {\n}\n", "two.c": "int c;\n"})

    def test_the_guide_has_programs(self) -> None:
        self.assertEqual(list(doc.programs(PAGE.read_text("utf-8"))), [
            "agent.c", "server.c", "client.c", "intranet.c", "worker.c",
            "activated.c", "activated-rust.rs", "learn.c", "learn-rust.rs", "watch.c", "watch-rust.rs"])


class Selection(unittest.TestCase):
    """What a pattern names."""

    def setUp(self) -> None:
        cases = ["f.one", "f.two"]
        programs = [Program("landlock", name, cases, cases, Expectation()) for name in ("fs_test", "trace_fs_test")]
        self.jobs = [Job(boot, programs) for boot in BOOTS[:2]]

    def chosen(self, pattern: str) -> list[str]:
        """The names that a pattern selects."""
        return [f"{job.boot.name}:{program.path}.{case}" for job in select(self.jobs, pattern)
                for program in job.programs for case in program.chosen]

    def test_patterns(self) -> None:
        self.assertEqual(self.chosen("fallback:fs_test"), ["fallback:landlock/fs_test.f.one", "fallback:landlock/fs_test.f.two"])
        self.assertEqual(self.chosen("portlock:landlock/fs_test.f.t*"), ["portlock:landlock/fs_test.f.two"])
        self.assertEqual(len(self.chosen("fs_test")), 4)
        self.assertEqual(len(self.chosen("*fs_test.*.one")), 4)

    def test_a_regular_expression_if_no_name_matches(self) -> None:
        self.assertEqual(self.chosen("^fallback:.*trace_fs.*(two|three)$"), ["fallback:landlock/trace_fs_test.f.two"])

    def test_a_part_is_asked_for_by_name(self) -> None:
        program = select(self.jobs, "fallback:fs_test.f.two")[0].programs[0]
        self.assertEqual(program.plan_line(1), "landlock fs_test 300 -r f.two")
        self.assertEqual(self.jobs[0].programs[0].plan_line(0.5), "landlock fs_test 150")


class Judgement(unittest.TestCase):
    """What becomes of a program that does not do all it should."""

    def judged(self, printed: str, code: int | None, passes: int | None = None, may_skip: tuple[str, ...] = ()) -> list[tuple[str, str]]:
        """The verdicts on a program of two cases."""
        cases = ["f.one", "f.two"]
        program = Program("landlock", "fs_test", cases, cases, Expectation(passes, may_skip))
        follower = Follower([program], [], 1)
        follower.take(printed.splitlines(), ["start landlock/fs_test 1.00"])
        if code is not None:
            follower.take([], [f"exit landlock/fs_test {code} 2.00"])
        return [(case.name, case.verdict) for case in follower.judge(program, None).cases]

    def test_all_is_well(self) -> None:
        self.assertEqual(self.judged("# program landlock/fs_test\n1..2\nok 1 f.one\nok 2 f.two", 0, 2),
                         [("f.one", "pass"), ("f.two", "pass")])

    def test_a_case_that_is_not_reported_fails(self) -> None:
        self.assertEqual(self.judged("# program landlock/fs_test\n1..2\nok 1 f.one", None),
                         [("f.one", "pass"), ("f.two", "fail")])

    def test_a_status_without_a_failure(self) -> None:
        self.assertIn(("(program)", "fail"), self.judged("# program landlock/fs_test\n1..2\nok 1 f.one\nok 2 f.two", 1))

    def test_too_few_passes(self) -> None:
        skipped = "# program landlock/fs_test\n1..2\nok 1 f.one\nok 2 f.two # SKIP no luck"
        self.assertIn(("(count)", "fail"), self.judged(skipped, 0, 2))
        for pattern, excused in (("f.two", True), ("f.*", True), ("g.*", False), ("f.one", False)):
            self.assertEqual(("(count)", "fail") not in self.judged(skipped, 0, 2, (pattern,)), excused, pattern)

    def test_nothing_printed(self) -> None:
        self.assertEqual(self.judged("# program landlock/fs_test", 0), [("f.one", "fail"), ("f.two", "fail")])


class UnitTests(unittest.TestCase):
    """What becomes of a kernel's unit tests, which it prints into its log."""

    suite = "    KTAP version 1\n    # Subtest: %s\n    # module: kernel\n    1..2\n    ok 1 one\n    %s 2 two%s\n# %s: pass:1\n%s %d %s\n"
    before = "[    0.1] Linux version 7.3\r\nBooting\r\nKTAP version 1\n1..2\n"

    def found(self, second: tuple[str, str] | None = ("ok", ""), first: tuple[str, str] = ("ok", ""), before: str = before, after: str = "",
              ended: bool = True, expected: tuple[str, ...] = ("a", "b")) -> list[str]:
        """The failures among two suites of which these are the last tests."""
        log = before
        for number, (name, result) in enumerate((("a", first), ("b", second)), 1):
            if result:
                log += self.suite % (name, *result, name, result[0], number, name)
        outcomes = units.judge(log + after, ended, expected, "a.log")
        return [f"{outcome.name}.{case.name}" for outcome in outcomes for case in outcome.cases if case.verdict == ktap.FAIL]

    def test_all_is_well(self) -> None:
        self.assertEqual(self.found(), [])
        self.assertEqual(self.found(first=("ok", " # SKIP no luck")), [])
        outcomes = units.judge("".join(f"[    1.{number:06}] {line}\r\n" for number, line in enumerate(
            (self.before + self.suite % ("a", "ok", "", "a", "ok", 1, "a") * 2).splitlines())), True, ["a"], "a.log")
        self.assertEqual([(outcome.name, outcome.count(ktap.PASS), outcome.count(ktap.FAIL)) for outcome in outcomes], [("a", 4, 0)])

    def test_a_test_that_fails(self) -> None:
        self.assertEqual(self.found(first=("not ok", "")), ["a.two"])

    def test_a_suite_that_is_missing(self) -> None:
        self.assertEqual(self.found(expected=("a", "b", "c")), ["c.(suite)"])
        self.assertEqual(self.found(second=None, before=self.before.replace("1..2", "1..1")), ["b.(suite)"])

    def test_a_suite_that_is_skipped(self) -> None:
        log = "KTAP version 1\n1..1\nok 1 a # SKIP\n"
        self.assertEqual([case.verdict for outcome in units.judge(log, True, ["a"], "a.log") for case in outcome.cases],
                         [ktap.SKIP, ktap.FAIL])

    def test_an_end_before_its_time(self) -> None:
        self.assertEqual(self.found(second=None), ["unit tests.(end)", "b.(suite)"])
        self.assertEqual(self.found(ended=False), ["unit tests.(end)"])
        self.assertEqual([outcome.name for outcome in units.judge("Booting\n", True, ["a"], "a.log")], ["unit tests", "a"])

    def test_the_rest_of_the_log_counts(self) -> None:
        self.assertEqual(self.found(after="[ 1.0] BUG: KASAN: a\n"), ["kernel log (a.log).BUG: KASAN: a"])

    def test_suites_are_found_in_the_sources(self) -> None:
        self.assertIn("rust_lsm", units.suites())
        self.assertTrue(any(name.startswith("portlock_") for name in units.suites()))


class Command(unittest.TestCase):
    """What cargo prints of the command's tests."""

    PRINTED = ("     Running unittests src/lib.rs (target/debug/deps/portlock-1)\n\nrunning 2 tests\n"
               "test place::tests::reads ... ok\ntest place::tests::prints ... ok\n\n"
               "     Running tests/learn.rs (target/debug/deps/learn-1)\n"
               "test a_server_is_one_word ... {}\n   Doc-tests portlock\ntest src/a.rs - A (line 1) ... ignored\n")

    def test_each_program_is_an_outcome(self) -> None:
        outcomes = list(command.judge(self.PRINTED.format("ok"), 0, {}))
        self.assertEqual([outcome.name for outcome in outcomes], ["src/lib.rs", "tests/learn.rs", "examples of portlock"])
        self.assertEqual([outcome.count(ktap.PASS) for outcome in outcomes], [2, 1, 0])
        self.assertEqual(outcomes[2].count(ktap.SKIP), 1)

    def test_a_test_that_fails(self) -> None:
        failed = [case.name for outcome in command.judge(self.PRINTED.format("FAILED"), 101, {}) for case in outcome.cases
                  if case.verdict == ktap.FAIL]
        self.assertEqual(failed, ["a_server_is_one_word", "(output)"])

    def test_what_does_not_build_or_run_is_a_failure(self) -> None:
        for printed, status in (("error: could not compile", 101), ("", 0), (self.PRINTED.format("ok"), 101)):
            with self.subTest(printed=printed, status=status):
                self.assertEqual(sum(outcome.count(ktap.FAIL) for outcome in command.judge(printed, status, {})), 1)

    def test_what_did_not_run_is_a_failure(self) -> None:
        for name, passes, fails in (("src/lib.rs", 2, 0), ("src/lib.rs", 3, 1), ("tests/words.rs", 1, 1)):
            with self.subTest(name=name, passes=passes):
                outcomes = list(command.judge(self.PRINTED.format("ok"), 0, {name: Expectation(passes)}))
                self.assertEqual(sum(outcome.count(ktap.FAIL) for outcome in outcomes), fails)


class Layers(unittest.TestCase):
    """What scripts/layers.py, a check of make lint, says of a crate. Its list has, from the top: root, up, down."""

    page = ("//! - `root`: this.\n//! - `up`: it\n//!   imports.\n//! - `down`: it is imported.\n"
            "mod down;\n#[cfg(CONFIG_A_KUNIT_TEST)]\nmod model;\nmod up;\nfn item() {}\n")
    tests = "\n#[cfg(CONFIG_A_KUNIT_TEST)]\n#[kunit_tests(a)]\nmod tests {\n    use crate::%s; // }\n    fn f() { g('}', \"}\") }\n}\n"

    def said(self, down: str = "", up: str = "", page: str = "", **more: str) -> list[str]:
        """What is found in a crate of these files, without the folder's name."""
        files = {"root": page or self.page, "up": up, "down": down, "model": "use crate::up::A;\n", **more}
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                (Path(folder) / f"{name}.rs").write_text(text)
            done = subprocess.run([sys.executable, REPOSITORY / "scripts/layers.py", Path(folder) / "root.rs"],
                                  capture_output=True, check=False, text=True)
            self.assertEqual((done.returncode, done.stderr), (int(bool(done.stdout)), ""))
            return done.stdout.replace(f"{folder}/", "").splitlines()

    def test_down_is_right(self) -> None:
        self.assertEqual(self.said(up="use crate::{\n    down::{self, A as B},\n    item, //\n};\nfn f() { crate::down::g(crate::item()) }\n"), [])

    def test_up_is_wrong_and_has_its_line(self) -> None:
        for line, code in ((1, "use crate::up;"), (2, "\nuse crate::up::A;"), (3, "use crate::{\n    item,\n    up::{\n        A, //\n    },\n};"),
                           (1, "fn f(a: &crate::up::A) {}"), (1, "use super::up::A;"), (1, "fn f<'a>(a: &'a crate :: up::A) {}"),
                           (1, "const A: char = '\"'; use crate::up; const B: char = '\"';"), (1, "use crate::{item::up, up as a};"),
                           (8, self.tests % "up" + "use crate::up;"), (1, "macro_rules! a { () => { $crate::up::A } }"),
                           (2, "#[cfg(not(CONFIG_A_KUNIT_TEST))]\nmod a { use crate::up; }"), (2, "#[cfg(CONFIG_A_KUNIT_TEST)]\nuse crate::up;")):
            self.assertEqual(self.said(code), [f"down.rs:{line}: down imports up, which the list in root.rs has above it."], code)

    def test_each_is_told(self) -> None:
        self.assertEqual(len(self.said("use crate::{\n    up,\n    up::A,\n};\nfn f() { crate::up::f() }\n")), 3)

    def test_what_is_no_import(self) -> None:
        for code in ("// use crate::up;", "/* crate::up */", "/// [`A`](crate::up::A)", 'const A: &str = "crate::up";', "use crate::item::up;",
                     'const A: &str = r#""crate::up"#;', "use crate::{item::{up, down}, down::up};", "use kernel::up;", "pub(crate) fn up() {}",
                     "use crate::upper;"):
            self.assertEqual(self.said(code), [], code)

    def test_unit_tests_may_look_up(self) -> None:
        self.assertEqual(self.said(self.tests % "up" + self.tests % "{model, up}"), [])

    def test_nothing_else_may_import_what_only_tests_compile(self) -> None:
        self.assertEqual(self.said(up="\nuse crate::model;"), ["up.rs:2: up imports model, which only the unit tests compile."])
        low = self.page.replace("//! - `down`", "//! - `model`: low.\n//! - `down`")
        self.assertEqual(self.said(up="use crate::model;", page=low),
                         ["model.rs:1: model imports up, which the list in root.rs has above it."])

    def test_list_and_files_agree(self) -> None:
        self.assertEqual(self.said(other=""), ["other.rs: the list in root.rs does not name it."])
        self.assertEqual(self.said(page=self.page.replace("//! - `root`: this.\n", "")), [])
        self.assertEqual(self.said(page="//! - `gone`: a\n//! - `up.rs`: b\n" + self.page),
                         ["root.rs: the list names gone, and there is no gone.rs.", "root.rs: the list names up twice."])
        self.assertEqual(len(self.said(page="mod up;\n")), 3)


class Cpio(unittest.TestCase):
    """The archive, as cpio reads it."""

    def test_unpacks(self) -> None:
        archive = Archive()
        archive.folder("empty")
        archive.data("a/b/c.txt", b"content\n")
        archive.data("a/run", b"#!/bin/sh\n", 0o755)
        archive.symlink("a/link", "b/c.txt")
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["cpio", "-idm", "--quiet"], input=archive.finish(), cwd=folder, check=True)
            root = Path(folder)
            self.assertTrue((root / "empty").is_dir())
            self.assertEqual((root / "a/link").read_bytes(), b"content\n")
            self.assertTrue((root / "a/run").stat().st_mode & 0o100)


class Bench(unittest.TestCase):
    """What the program that counts prints."""

    @staticmethod
    def rows(*rust: str) -> dict[bench.Key, bench.Row]:
        """Rows of a run where Portlock says more than the other boots."""
        both = ["connect-ipv4 none 0 0 700", "memory scattered 16 1 90"]
        figures = {name: dict(map(bench._figure, lines)) for name, lines in (("none", both[:1]), ("C", both), ("Rust", [*both, *rust]))}
        return {row.key: row for row in bench._rows(figures)}

    def test_what_c_landlock_lacks_has_a_row(self) -> None:
        rows = self.rows("connect-ipv4 ipv4-hosts 16 1 990", "connect-ipv4-distinct ipv4-hosts 16 2 1200",
                         "connect-ipv4-denied ipv4-hosts 16 1 1500")
        self.assertEqual(rows["connect-ipv4", "ipv4-hosts", 16, 1], bench.Row(("connect-ipv4", "ipv4-hosts", 16, 1), None, 290))
        self.assertEqual(rows["connect-ipv4-distinct", "ipv4-hosts", 16, 2].rust, 500)
        self.assertEqual(rows["connect-ipv4-denied", "ipv4-hosts", 16, 1].rust, 1500)
        self.assertEqual(rows["memory", "scattered", 16, 1].ratio, 1)

    def test_the_worst_pattern_has_to_reach_the_goal(self) -> None:
        rows = list(self.rows("connect-ipv4 ipv4-hosts 16 1 990", "connect-ipv4 ipv4-nested 16 1 1010").values())
        goals = {goal.what: goal for goal in bench._goals_of_addresses(rows)}
        self.assertEqual(goals["connect-ipv4, 16 nested"].limit(None), 300)
        self.assertEqual(goals["connect-ipv4, 16 nested"].key, ("connect-ipv4", "ipv4-nested", 16, 1))
        self.assertEqual(goals["connect-ipv6, 40 ipv6"].limit(None), 560)
        self.assertEqual(goals["connect-ipv4, 4 distinct layers, 16 ipv4"].limit(None), 300 + 3 * 240)

    def test_a_goal_without_a_figure_is_an_error(self) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertRaises(HarnessError, bench._check_goals, list(self.rows().values()), True)


class Peers(unittest.TestCase):
    """What the program that measures other mechanisms prints."""

    @staticmethod
    def results(*more: str) -> peers.Results:
        """Each call costs 100 without any mechanism, and each mechanism adds 50. Later lines take the place of earlier ones."""
        found = peers.Results()
        found.feed(f"cost {call} none 0 100" for call in peers.CALLS)
        found.feed(f"cost {call} {mechanism} {rules} 150"
                   for call in peers.CALLS for mechanism in peers.MECHANISMS for rules in peers.RULES)
        found.feed(more)
        return found

    def test_a_figure_is_what_is_added(self) -> None:
        self.assertEqual(self.results().added("bind", "tomoyo", 16), 50)
        self.assertIsNone(self.results().added("connect", "tomoyo", 17))

    def test_an_error_leaves_no_figure_and_is_named(self) -> None:
        found = self.results("error tomoyo an allowed bind fails: Operation not permitted")
        found.check()
        self.assertIsNone(found.added("bind", "tomoyo", 16))
        self.assertIn("ERROR: an allowed bind fails: Operation not permitted", peers.table(found))

    def test_what_could_not_run_says_why(self) -> None:
        found = peers.Results()
        found.feed(f"cost {call} none 0 100" for call in peers.CALLS)
        found.feed(f"skip {mechanism} no {mechanism} here" for mechanism in peers.MECHANISMS)
        found.check()
        self.assertIn("skipped: no bpf-lsm here", peers.table(found))

    def test_each_mechanism_says_something(self) -> None:
        found = self.results()
        found.check()
        del found.costs["connect", "notify", 256]
        self.assertRaises(HarnessError, found.check)
        found = self.results()
        del found.costs["getppid", "bpf-lsm-idle", 0]
        self.assertRaises(HarnessError, found.check)

    def test_nothing_stands_without_what_it_is_compared_with(self) -> None:
        self.assertRaises(HarnessError, self.results("error none socket: Too many open files").check)

    def test_what_is_cheaper_is_named(self) -> None:
        self.assertEqual(list(peers.cheaper(self.results())), [])
        self.assertEqual(list(peers.cheaper(self.results("cost bind cgroup-hash 16 149"))),
                         ["cheaper than Portlock: cgroup-BPF, hash of ports, bind, 16 rules: 49 against 50"])

    def test_addresses_are_compared_with_addresses(self) -> None:
        self.assertEqual(list(peers.cheaper(self.results("cost bind portlock-addresses 16 152", "cost bind cgroup-lpm 16 151"))),
                         ["cheaper than Portlock: cgroup-BPF, trie of addresses, bind, 16 rules: 51 against 52"])
        self.assertEqual(list(peers.cheaper(self.results("cost bind portlock 16 152"))),
                         [f"cheaper than Portlock: {title}, bind, 16 rules: 50 against 52" for name, title in peers.MECHANISMS.items()
                          if name not in peers.BY_ADDRESS and not name.startswith("portlock")])

    def test_other_lines_say_nothing(self) -> None:
        self.assertEqual(self.results("0: R1=ctx() R10=fp0", ""), self.results())


if __name__ == "__main__":
    unittest.main()
