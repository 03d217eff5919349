#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Builds lcached in its variants and runs all tests; scripts/test is the way to start it.

A step is one process with a log of its own in build/test-logs. Its output says how many tests it
was: cmocka's lines, TAP's, pytest's JUnit file, or else its exit status (77: skipped)."""

import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOGS = ROOT / "build/test-logs"
TOTAL_LIMIT_S = 29 * 60
BUILD_LIMIT_S = 600
SMOKE_LIMIT_S = 300
CONFORM_LIMIT_S = 1200
SIM_LIMIT_S = 240
SIM_SEEDS = 400
SIM_SEEDS_SLOW = 120
SHOWN_LINES = 60  # of a failed step's log
SKIPPED = 77

CMOCKA = re.compile(r"^\[\s+(OK|FAILED|SKIPPED)\s+\] ([A-Za-z_]\w*)$", re.M)
TAP = re.compile(r"^(ok|not ok)\b(.*)$", re.M)
TAP_SKIP = re.compile(r"#\s*skip", re.I)


@dataclasses.dataclass
class Variant:
    """A build directory. `suite`: only this module's unit tests are wanted of it."""
    name: str
    options: tuple = ()
    env: dict = dataclasses.field(default_factory=dict)
    suite: str = ""
    server: bool = False  # end-to-end tests run against its server
    slow: bool = False

    @property
    def path(self):
        return ROOT / self.name

    @property
    def binary(self):
        return self.path / "app/lcached/lcached"


PLAIN = Variant("build", server=True)
ASAN = Variant("build-asan", ("-Dsanitize=address",), server=True, slow=True)
OTHERS = (
    Variant("build-msan", ("-Dsanitize=memory",), {"CC": "clang"}, slow=True),
    Variant("build-tcmalloc", ("-Dallocator=tcmalloc",), suite="mem"),
    Variant("build-tsan", ("-Dsanitize=thread",), suite="mem", slow=True),
    Variant("build-libc", ("-Dallocator=libc",), suite="mem"),
)

SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}


class Run:
    """The counts, and the time that is left."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.deadline = time.monotonic() + TOTAL_LIMIT_S

    def add(self, name, passed, failed, skipped, log):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        words = [f"{passed} passed"]
        words += [f"{failed} FAILED"] if failed else []
        words += [f"{skipped} skipped"] if skipped else []
        print(f"{name}: {', '.join(words)}", flush=True)
        if failed and log is not None and log.is_file():
            lines = log.read_text(errors="replace").splitlines()
            for line in lines[-SHOWN_LINES:]:
                print(f"    {line}")
            print(f"    (all {len(lines)} lines: {log.relative_to(ROOT)})", flush=True)

    def execute(self, name, command, limit_s, env=None, cwd=ROOT):
        """Runs the command to its end or its limit. (exit status, log); status None: too late."""
        log = LOGS / (re.sub(r"[^\w.-]+", "-", name) + ".log")
        limit_s = min(limit_s, self.deadline - time.monotonic())
        with open(log, "w") as out:
            if limit_s <= 0:
                out.write("not run: the time for all tests is over\n")
                return None, log
            child = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                     stdout=out, stderr=subprocess.STDOUT, cwd=cwd,
                                     env={**os.environ, **(env or {})}, start_new_session=True)
            try:
                return child.wait(limit_s), log
            except subprocess.TimeoutExpired:
                out.write(f"\nstopped after {limit_s:.0f} s\n")
                return None, log
            finally:
                group_stop(child)


def group_stop(child):
    """Nothing that a test started may outlive it: asked first, made to after two seconds."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for _ in range(100):
            try:
                os.killpg(child.pid, sign)
            except ProcessLookupError:
                break
            sign = 0 if sign == signal.SIGTERM else sign
            child.poll()
            time.sleep(0.02)
    child.wait()


def counts_of(status, text):
    """(passed, failed, skipped) of a step, from its output and exit status."""
    marks = CMOCKA.findall(text)
    if marks:
        # cmocka names the failed ones again in its summary: count names
        names = {kind: {name for k, name in marks if k == kind}
                 for kind in ("OK", "FAILED", "SKIPPED")}
        found = [len(names["OK"] - names["FAILED"]), len(names["FAILED"]), len(names["SKIPPED"])]
    else:
        lines = TAP.findall(text)
        skipped = sum(1 for _, rest in lines if TAP_SKIP.search(rest))
        bad = sum(1 for word, rest in lines if word == "not ok" and not TAP_SKIP.search(rest))
        found = [len(lines) - skipped - bad, bad, skipped]
    if status == SKIPPED:
        found[2] = max(found[2], 1)
    elif status != 0 and found[1] == 0:
        found[1] = 1  # died, or stopped by its limit, or a leak at its end
    elif sum(found) == 0:
        found[0] = 1
    return tuple(found)


def step(run, name, command, limit_s, env=None):
    status, log = run.execute(name, command, limit_s, env)
    run.add(name, *counts_of(status, log.read_text(errors="replace")), log)
    return status == 0


def introspect(variant):
    out = subprocess.run(["meson", "introspect", "--tests", variant.path], check=True,
                         capture_output=True, text=True).stdout
    return json.loads(out)


def suite_of(test):
    return {suite.rpartition(":")[2] for suite in test["suite"]}


def unit_tests(variant):
    """Those of the wanted suite, or all; the conform suite runs with tests/conform if that does."""
    tests = introspect(variant)
    if variant.suite:
        return [test for test in tests if variant.suite in suite_of(test)]
    return [test for test in tests if not variant.server or "conform" not in suite_of(test)]


def build(run, variant):
    """Configures if need be, and builds all of it or the wanted suite's tests."""
    if not (variant.path / "build.ninja").is_file():
        shutil.rmtree(variant.path / "meson-private", ignore_errors=True)
        status, log = run.execute(f"configure {variant.name}",
                                  ["meson", "setup", variant.path, *variant.options],
                                  BUILD_LIMIT_S, variant.env)
        if status != 0:
            run.add(f"configure {variant.name}", 0, 1, 0, log)
            return False
    command = ["ninja", "-C", variant.path]
    if variant.suite:
        # what is new in the build files must be known before the targets are asked for
        run.execute(f"refresh {variant.name}", [*command, "build.ninja"], BUILD_LIMIT_S)
        targets = {pathlib.Path(test["cmd"][0]).relative_to(variant.path)
                   for test in unit_tests(variant)}
        if not targets:
            return True
        command += sorted(targets)
    return step(run, f"build {variant.name}", command, BUILD_LIMIT_S)


def unit_run(run, variant):
    tests = unit_tests(variant)

    def one(test):
        name = f"{variant.name} unit {test['name']}"
        limit_s = (test["timeout"] or 120) * (3 if variant.slow else 1)
        status, log = run.execute(name, test["cmd"], limit_s, {**SANITIZER_ENV, **test["env"]})
        return name, counts_of(status, log.read_text(errors="replace")), log

    with concurrent.futures.ThreadPoolExecutor(max(1, min(4, os.cpu_count() or 1))) as pool:
        for name, counts, log in pool.map(one, tests):
            run.add(name, *counts, log)


def server_env(variant):
    env = {**SANITIZER_ENV, "LCACHED": str(variant.binary),
           "LCACHED_SLOW": "1" if variant.slow else "0", "PYTHONDONTWRITEBYTECODE": "1"}
    shell = variant.path / "tests/conform/raw_shell"
    if shell.is_file() and variant.slow:  # else the raw cases are asked of the server itself
        env["RAW_SHELL"] = str(shell)
    return env


def smoke_run(run, variant):
    for path in sorted((ROOT / "tests/smoke").glob("*_test.*")):
        if os.access(path, os.X_OK):
            step(run, f"{variant.name} smoke {path.name}", [path], SMOKE_LIMIT_S,
                 server_env(variant))


def junit_counts(report):
    """(passed, failed, skipped) of pytest's JUnit file, or None where there is none."""
    try:
        suites = list(xml.etree.ElementTree.parse(report).getroot().iter("testsuite"))
    except (OSError, xml.etree.ElementTree.ParseError):
        return None
    total, failed, skipped = (sum(int(suite.get(key, 0)) for suite in suites)
                              for key in ("tests", "failures", "skipped"))
    errors = sum(int(suite.get("errors", 0)) for suite in suites)
    return max(0, total - failed - errors - skipped), failed + errors, skipped


def conform_run(run, variant):
    folder = ROOT / "tests/conform"
    if not any(folder.glob("test_*.py")):
        return
    name = f"{variant.name} conform"
    report = LOGS / f"{variant.name}-conform.xml"
    report.unlink(missing_ok=True)
    status, log = run.execute(name, ["/usr/bin/python3", "-m", "pytest", "-q", "-rfE", "--tb=short",
                                     "-p", "no:cacheprovider", f"--junitxml={report}", folder],
                              CONFORM_LIMIT_S, server_env(variant))
    counts = junit_counts(report)
    if counts is None:  # stopped before its end
        counts = (0, 1, 0)
    elif status != 0 and counts[1] == 0:
        counts = (counts[0], 1, counts[2])
    run.add(name, *counts, log)


def sim_run(run, variant):
    seeds = SIM_SEEDS_SLOW if variant.slow else SIM_SEEDS
    step(run, f"{variant.name} sim {seeds} seeds",
         ["scripts/sim", "--build", variant.path, "--count", seeds, "--jobs", min(2, os.cpu_count() or 1)],
         SIM_LIMIT_S, SANITIZER_ENV)


def checks_run(run):
    step(run, "check format", ["scripts/format", "--check"], 120)
    step(run, "check layers", ["scripts/layers"], 60)
    step(run, "check tidy", ["scripts/tidy", "build"], 60)


def run_all(run, quick):
    built = [variant for variant in (PLAIN, ASAN) + (() if quick else OTHERS)
             if build(run, variant)]
    checks_run(run)
    for variant in built:
        unit_run(run, variant)
        if variant.server:
            sim_run(run, variant)
    for variant in built:
        if not variant.server or (quick and variant.slow):
            continue
        if not variant.binary.is_file():
            run.add(f"{variant.name} server (not built)", 0, 1, 0, None)
            continue
        smoke_run(run, variant)
        conform_run(run, variant)


def main():
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    run = Run()
    try:
        run_all(run, "--quick" in sys.argv[1:])
    except Exception as error:  # the last line must come whatever happens
        print(f"runner: {type(error).__name__}: {error}", flush=True)
        run.failed += 1
    skipped = f", {run.skipped} skipped" if run.skipped else ""
    print(f"{run.passed} passed, {run.failed} failed{skipped}")
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main())
