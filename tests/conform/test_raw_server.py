# SPDX-License-Identifier: BSD-3-Clause
"""The raw cases of raw_cases.py against the real server, over its own network stack."""

import shutil

import pytest

import raw_lib
from netlab import PORT, SERVER_IP
from raw_cases import CASES

pytestmark = pytest.mark.lcached_only("memcached would be compared with itself")


@pytest.mark.skipif(not shutil.which("memcached"), reason="no memcached to compare with")
@pytest.mark.limit(300)
def test_every_raw_case(server):
    with raw_lib.memcached() as reference:
        failures = raw_lib.compare(reference, (SERVER_IP, PORT), CASES)
    assert not failures, "\n".join(failures)
