# SPDX-License-Identifier: BSD-3-Clause
"""Runs a script of memcached's own tests against lcached. memcached_suite.pm, in the script, asks here
for servers; what the script says about each of its checks is read as TAP."""

import contextlib
import dataclasses
import os
import pathlib
import re
import shlex
import subprocess
import tempfile
import threading

from netlab import Beside, die_with_parent
from server import LCACHED, Server

HERE = pathlib.Path(__file__).parent
STARTING = threading.Lock()  # each first counts the hugepages that are free
SCRIPT_S = 100  # then it is killed, and has not said all that it planned to
OWN_ADDRESS = ("127.0.0.1", "0.0.0.0")  # lcached's is the lab's
# With how many words behind it.
WITHOUT_MEANING = {"-R": 1, "-b": 1, "-l": 1, "-C": 0}
EXTENDED = re.compile(r"(no_)?(modern|slab_|lru_|watcher_).*")


def options_of(args):
    """lcached's options for memcached's; what has no counterpart is left out."""
    words, options = shlex.split(args), []
    while words:
        word = words.pop(0)
        if word == "-o":
            kept = [name for name in words.pop(0).split(",") if not EXTENDED.fullmatch(name)]
            options += ["-o", ",".join(kept)] if kept else []
        elif word == "-l" and words[0] not in OWN_ADDRESS:
            options += [word, words.pop(0)]
        elif word in WITHOUT_MEANING:
            del words[: WITHOUT_MEANING[word]]
        else:
            options.append(word)
    return options


@dataclasses.dataclass
class Outcome:
    """What a script has said: numbers of its checks, and how many it meant to make (None: unsaid)."""

    passed: set
    failed: set
    skipped: set
    planned: int
    text: str


CHECK = re.compile(r"^(not ok|ok) (\d+)([^\n]*)$", re.M)
PLAN = re.compile(r"^1\.\.(\d+)", re.M)


def outcome_of(text):
    passed, failed, skipped = set(), set(), set()
    for word, number, rest in CHECK.findall(text):
        into = skipped if re.search(r"# skip", rest, re.I) else passed if word == "ok" else failed
        into.add(int(number))
    plan = PLAN.search(text)
    return Outcome(passed, failed, skipped, int(plan[1]) if plan else None, text)


class Suite:
    """The servers that one script has asked for."""

    def __init__(self, lab, workers):
        self.lab = lab
        self.workers = workers
        self.servers = []
        self.labs = []

    def answer(self, line):
        word, _, rest = line.partition(" ")
        if word == "start":
            return self._start(rest)
        if word == "signal":
            number, sign = map(int, rest.split())
            with contextlib.suppress(ProcessLookupError):
                self.servers[number].process.send_signal(sign)
            return "sent"
        if word == "running":
            return str(int(self.servers[int(rest)].alive()))
        if word == "help":
            return str(subprocess.run([LCACHED, "-h"], stdout=subprocess.DEVNULL).returncode)
        return "what"

    def _start(self, args):
        number = len(self.servers)
        place = Beside(self.lab, number)
        self.labs.append(place)
        options = ["-c", "1024", "--debug-commands", "yes", *options_of(args)]
        udp = not {"-Y", "-S"} & set(options)
        made = Server(place, self.workers, options, udp=udp, memory_mb=64)
        try:
            with STARTING:
                made.start()
        except RuntimeError as error:
            return f"failed {str(error).splitlines()[-1]}"
        self.servers.append(made)
        return f"started {number} {place.server_ip} 11211 {made.process.pid}"

    def finish(self):
        """Every server has to end as it should, whoever has told it to."""
        try:
            for server in self.servers:
                server.stop(seconds=20)  # others start and end at the same time
        finally:
            for server in self.servers:
                server.kill()
            for place in self.labs:
                place.delete()


def run(lab, source, script, workers):
    """Runs source/t/script in the lab's namespace, which the caller is in; an Outcome."""
    asked, ask = os.pipe()
    told, tell = os.pipe()
    suite = Suite(lab, workers)
    env = dict(os.environ, SUITE_ASK=str(ask), SUITE_TOLD=str(told), SUITE_SOURCE=str(source))
    try:
        with tempfile.TemporaryFile() as out:
            child = subprocess.Popen(
                ["perl", f"-I{HERE}", "-Mmemcached_suite", f"t/{script}"],
                cwd=source, env=env, pass_fds=(ask, told), stdin=subprocess.DEVNULL,
                stdout=out, stderr=subprocess.STDOUT, preexec_fn=die_with_parent,
            )  # fmt: skip
            os.close(ask)
            os.close(told)
            try:
                with os.fdopen(asked) as lines, os.fdopen(tell, "w", buffering=1) as answers:
                    late = threading.Timer(SCRIPT_S, child.kill)
                    late.start()
                    for line in lines:
                        answers.write(suite.answer(line.strip()) + "\n")
                    late.cancel()
                child.wait()
            finally:
                child.kill()
                child.wait()
            out.seek(0)
            return outcome_of(out.read().decode(errors="replace"))
    finally:
        suite.finish()
