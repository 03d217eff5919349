# SPDX-License-Identifier: BSD-3-Clause
"""What every test leaves behind: each worker's counter is the allocator's own, to the byte, and after
a flush and the end of all connections it is where it was when the server had just started."""

import dataclasses

from telemetry import Telemetry
from wire import eventually

RETURN_S = 30  # freeing is paced, and a client's last FIN may be late
PATIENCE_S = 60  # on a machine that is busy with other things, as CI's may be


@dataclasses.dataclass
class Counter:
    """A worker's, all from one report.

    By jemalloc's count: thread.allocated less thread.deallocated since the worker's loop began.
    Other allocators (sanitizer builds have libc's) keep no count by thread, and the two are one by
    definition: there the return to the start is what shows a byte too many or too few, and
    LeakSanitizer's report at the end."""

    used: int
    by_allocator: int
    time_waits: int  # records of connections that the server closed first: a minute's

    def __str__(self):
        return (f"used_memory {self.used}, by the allocator {self.by_allocator}, "
                f"{self.time_waits} in TIME-WAIT")


def ask(server, command):
    """The server says null where its control core had no CPU for seconds."""
    with Telemetry(server.process.pid, PATIENCE_S) as telemetry:
        return eventually(lambda: telemetry.ask(command), PATIENCE_S)


def counters(server):
    replies = [ask(server, f"/lcached/memory,{n}") for n in range(server.workers)]
    return [Counter(reply["used_memory"], reply["used_memory_by_allocator"], reply["tcp_time_wait"])
            for reply in replies]


def difference(server):
    """Counters that are not the allocator's, as text; empty: all are."""
    return "; ".join(f"worker {n}: {counter}" for n, counter in enumerate(counters(server))
                     if counter.used != counter.by_allocator)


class Start:
    """What the workers of a server held before they had served anybody."""

    def __init__(self, server):
        assert eventually(
            lambda: ask(server, "/lcached/info,stats")["connected_clients"] == 0, RETURN_S)
        self.held = counters(server)
        self.record_bytes = 0  # of a TIME-WAIT; the least that is seen tells

    def _returned(self, now, start):
        grown = now.used - start.used
        waits = now.time_waits - start.time_waits
        if now.used != now.by_allocator:
            return False
        # while other things are still on their way a record looks larger than it is
        if 0 < waits * 32 <= grown <= waits * 128 and grown % waits == 0:
            self.record_bytes = min(self.record_bytes or 128, grown // waits)
        return grown == waits * self.record_bytes

    def remains(self, server):
        """Counters that do not come back to those of the start, as text. The server was flushed, and
        no connection is open."""
        now = []

        def back():
            now[:] = counters(server)
            return all(map(self._returned, now, self.held))

        if eventually(back, RETURN_S, step=0.002):
            return ""
        return "; ".join(f"worker {n}: {after}; at the start: {before}"
                         for n, (after, before) in enumerate(zip(now, self.held)))
