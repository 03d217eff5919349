# SPDX-License-Identifier: BSD-3-Clause
"""Thousands of generated requests, answered byte for byte as the memcached beside us answers them.
A failure prints its seed and the fewest requests that show it.

LCACHED_REPLAY_CASES=1000 for more (a case is some 60 requests), LCACHED_REPLAY_SEED=7 to begin
elsewhere, LCACHED_REFERENCE=PROGRAM for another memcached, which is taken for a 1.6.45 unless it is
Debian's 1.6.18."""

import os
import shutil

import pytest

import raw_lib
import replay
import replay_binary
from netlab import PORT, SERVER_IP
from server import SLOW

CASES = int(os.environ.get("LCACHED_REPLAY_CASES", "40" if SLOW else "100"))
SEED = int(os.environ.get("LCACHED_REPLAY_SEED", "1"))

pytestmark = [
    pytest.mark.lcached_only("memcached would be compared with itself"),
    pytest.mark.skipif(not shutil.which(replay.REFERENCE), reason="no memcached to compare with"),
]


@pytest.mark.limit(60 + 2 * CASES)
@pytest.mark.parametrize("kind", (replay.Replay, replay_binary.BinaryReplay), ids=("text", "binary"))
def test_generated_requests(server, kind):
    with raw_lib.memcached(replay.REFERENCE) as reference:
        beside = kind(reference, (SERVER_IP, PORT), replay.version())
        failures = [text for seed in range(SEED, SEED + CASES) if (text := beside.case(seed))]
    assert not failures, "\n".join(failures)
