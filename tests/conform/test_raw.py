# SPDX-License-Identifier: BSD-3-Clause
"""Every raw case, answered byte for byte as memcached answers it. Runs on its own against raw_shell
(RAW_SHELL=build/tests/conform/raw_shell pytest --noconftest test_raw.py); the real server's tests
call the same raw_lib.compare."""

import os

import pytest

import raw_lib
from raw_cases import CASES

SHELL = os.environ.get("RAW_SHELL")
pytestmark = pytest.mark.skipif(not SHELL, reason="RAW_SHELL names no program")


@pytest.fixture(scope="module")
def servers():
    with raw_lib.memcached() as reference, raw_lib.raw_shell(SHELL) as under_test:
        yield reference, under_test


@pytest.fixture(scope="module")
def run_id():
    return raw_lib.prefix_new()


def test_names_are_unique():
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))


def test_differences_are_explained():
    assert all(bool(case.why) == (case.expect is not None) for case in CASES)


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda n: CASES[n].name)
def test_answer(servers, run_id, number):
    failure = raw_lib.compare_one(*servers, CASES[number], run_id + b"%04d." % number)
    assert not failure, failure


# How the counters of `stats` move, case by case. The flags of 1.6.45 alone are not in them.
COUNTED = [case for case in CASES if case.counted and case.expect is None and not case.literal]


@pytest.mark.parametrize("number", range(len(COUNTED)), ids=lambda n: COUNTED[n].name)
def test_counters(servers, run_id, number):
    prefix = run_id + b"%04d." % (number + 5000)
    want, got = (raw_lib.stats_change(addr, COUNTED[number], prefix) for addr in servers)
    # What is due goes by itself, too; then a get misses without having met it.
    assert got.pop("get_expired", 0) <= want.pop("get_expired", 0)
    assert got == want
