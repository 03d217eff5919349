# SPDX-License-Identifier: BSD-3-Clause
"""docs/telemetry.md has every command of the server and every name in its replies, and no others."""

import re

import pytest

from server import SOURCE
from telemetry import Telemetry
from wire import Tcp, eventually

pytestmark = pytest.mark.lcached_only("has no telemetry socket")

PAGE = (SOURCE / "docs/telemetry.md").read_text()
# What a command is asked with; the others without a word.
ASKED = {
    "/lcached/memory/usage": ["k1"],
    "/lcached/worker": ["0"],
    "/lcached/capture/start": ["file=page.pcapng"],
    "/lcached/snapshot": ["page", ""],
}
LAST = ["/lcached/latency/reset", "/lcached/flush"]  # they forget what others tell of
OTHER_PAGES = {"/lcached/config", "/lcached/memory/doctor"}  # options; what the doctor finds
ANYWHERE = {"error"}
BINS = "/lcached/memory/bins"  # jemalloc's: the libc of a sanitizer's build has none
SOMETIMES = {"turn_requests"}  # of a request that was slow by its turn alone
NUMBERED = re.compile(r"(worker|bin|slow|internal_frag)_\d+")
KINDS = re.findall(r"`(\w+)`", re.search(r"Kinds: ([^.]+)\.", PAGE)[1])


class Section:
    """What the page says of some commands: `listed` in the first column of its tables, `shown` in its
    examples, `words` wherever it is."""

    def __init__(self, heading, text):
        self.commands = re.findall(r"/lcached/[a-z_/]+", heading)
        self.listed = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"(?m)^\| ([^|]+) \|", text))))
        self.shown = {n for n in re.findall(r'"(\w+)":', text) if not NUMBERED.fullmatch(n)}
        self.words = set(re.findall(r"`(\w+)`", text)) | self.shown


def sections():
    parts = re.split(r"(?m)^## (/lcached/.+)$", PAGE)[1:]
    return [Section(*pair) for pair in zip(parts[::2], parts[1::2])]


def spelt_out(names):
    """KIND_ is a name's beginning for each kind of upkeep."""
    kinds = {n.replace("KIND", kind) for n in names for kind in KINDS if n.startswith("KIND_")}
    return kinds | {n for n in names if not n.startswith("KIND_")}


def names_in(reply):
    """Names in a reply and in what it holds, but not those of one of many."""
    if not isinstance(reply, dict):
        return set()
    return set().union(
        {n for n in reply if not NUMBERED.fullmatch(n)}, *(names_in(r) for r in reply.values()))


def ask_all(telemetry):
    """What each command answers, as the names in it. The second time there is something to tell of."""
    listed = [command for command in telemetry.ask("/") if command.startswith("/lcached/")]
    found = {command: set() for command in listed}
    for command in 2 * [c for c in listed if c not in LAST] + LAST:
        for words in ASKED.get(command, [""]):
            found[command] |= names_in(telemetry.ask(f"{command},{words}" if words else command))
        if command == "/lcached/snapshot":
            assert eventually(lambda: telemetry.ask(command)["state"] == "done")
    if not telemetry.ask("/lcached/memory")["mem_allocator"].startswith("jemalloc"):
        found[BINS] = set()
    return found


@pytest.fixture
def found(launch, tmp_path):
    options = [word for what in ("snapshot", "capture", "flight")
        for word in (f"--{what}-dir", str(tmp_path))]
    options += ["--slowlog-log-slower-than", "0"]
    with launch(workers=3, options=options) as server, Tcp() as conn:
        for n in range(50):  # some keys are other workers'
            assert conn.set(b"k%d" % n, b"x" * 100) == b"STORED\r\n"
            assert conn.get(b"k%d" % n) == b"x" * 100
        with Telemetry(server.process.pid) as telemetry:
            yield ask_all(telemetry)


def test_the_page_has_what_the_server_answers_and_nothing_else(found):
    page = sections()
    commands = [command for section in page for command in section.commands]
    assert sorted(commands) == sorted(found)
    listed = set().union(*(section.listed for section in page))
    wrong = []
    for section in page:
        here = set().union(*(found[command] for command in section.commands))
        if not OTHER_PAGES.isdisjoint(section.commands) or (BINS in section.commands and not here):
            continue
        unsaid = here - spelt_out(section.words) - listed - ANYWHERE
        wrong += [f"{section.commands[0]}: not on the page: {name}" for name in sorted(unsaid)]
        unknown = {n for n in section.listed | section.shown if not spelt_out({n}) & here}
        unknown -= SOMETIMES
        wrong += [f"{section.commands[0]}: only on the page: {name}" for name in sorted(unknown)]
    assert not wrong, "\n".join(wrong)
