# SPDX-License-Identifier: BSD-3-Clause
"""What scripts/bench makes of rounds: medians, ratios by round, verdicts, and who was the limit."""

import pathlib
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "bench"))

import latency  # noqa: E402 (the path comes first)
import rounds  # noqa: E402
import scale  # noqa: E402
import servers  # noqa: E402
import stages  # noqa: E402
import table  # noqa: E402
from rounds import Case  # noqa: E402

LOAD = {"value-size": 1000}


def result(rate, **more):
    base = {"requests_per_s": rate, "keys_read_per_s": rate * 100, "tsc_hz": 2e9, "misses": 0}
    base |= {"errors": 0, "stolen_percent": 0, "foreign_percent": 0, "generator_core_share": 1}
    return {**base, "server_us_a_request": 0.5, "server_busy": 0.9, **more}


def summary(case, *good):
    return rounds.summary("name", case, "veth", [[result(rate) for rate in row] for row in good])


@pytest.mark.parametrize(
    "unit, figure", [("requests/s", 7), ("keys/s", 700), ("bytes/s", 7000)]
)
def test_a_case_has_its_unit(unit, figure):
    assert Case("case", LOAD, unit=unit).figure(result(7)) == figure


def test_ratios_are_taken_by_round():
    (row,) = summary(Case("case", LOAD, target=2.0), (10, 5, 100), (30, 10, 100), (20, 10, 100))
    assert (row["value"], row["peer_value"]) == (20, 10)
    assert (row["ratio_min"], row["ratio"], row["ratio_max"]) == (2, 2, 3)
    assert row["holds"] is True


def test_a_target_is_met_or_missed_or_absent():
    assert summary(Case("case", LOAD, target=2.1), (20, 10, 100))[0]["holds"] is False
    assert summary(Case("case", LOAD, target=None), (20, 10, 100))[0]["holds"] is None


def test_a_figure_near_the_ceiling_is_bounded_by_the_generator():
    assert summary(Case("case", LOAD), (20, 10, 29))[0]["bounded"] is True
    row = summary(Case("case", LOAD), (20, 10, 30))[0]
    assert row["bounded"] is False
    assert row["busy_cycles"] == 1000


def test_a_share_of_the_ceiling_is_a_row_of_its_own():
    case = Case("case", LOAD, target=None, of_ceiling=0.8)
    first, second = summary(case, (70, 10, 100), (90, 10, 100), (85, 10, 100))
    assert first["holds"] is None
    assert (second["value"], second["target"], second["holds"]) == (0.85, 0.8, True)


def test_cycles_that_are_not_known_of_every_round_are_not_told():
    assert rounds.cycles([result(1), result(1, server_us_a_request=None)], 2e9) is None


@pytest.mark.parametrize(
    "what",
    [{"stolen_percent": 3}, {"foreign_percent": 6}, {"generator_core_share": 0.9}],
)
def test_a_disturbed_run_does_not_count(what):
    assert rounds.noise(result(1)) is None
    assert rounds.noise(result(1, **what))


@pytest.mark.parametrize("what", [{"misses": 1}, {"errors": 1}])
def test_a_wrong_answer_ends_the_benchmark(what):
    with pytest.raises(rounds.Trouble):
        rounds.checked(result(1, **what))


@pytest.mark.parametrize(
    "more, prepared",
    [({}, True), ({"mode": "set"}, True), ({"mode": "set", "value-size": 1024}, False),
     ({"value-size": 102400}, False), ({"multi": 100}, False), ({"proto": "udp"}, False)],
)  # fmt: skip
def test_small_requests_over_tcp_go_in_prepared_segments(more, prepared):
    load = {"mode": "get", "proto": "tcp", "value-size": 32, **more}
    assert ("prepared" in servers.own_load(load)) is prepared


def test_latency_has_a_limit_of_its_own_and_one_to_the_peer():
    def found(p99_us, *segments):
        """lcached's p99 is that of all its calm segments, the peer's the median of theirs."""
        told = [{"calm": calm, "get_p99_us": us} for calm, us in segments]
        return result(1, calm_p99_us=p99_us, get_p99_us=5000, segments=told)

    peers = [found(9999, (True, 300), (True, 400), (True, 900), (False, 9)), found(9999, (True, 450))]
    good = [[found(10), peers[0], found(8)], [found(30), peers[1], found(9)]]
    first, second = latency.rows_of(["lcached", "memcached loopback", "ceiling"], good)
    assert (first["value"], first["unit"], first["holds"]) == (20, "us", True)
    assert first["ceiling"] == 8.5
    assert (second["value"], second["min"], second["holds"]) == (27.5, 15, True)


def test_many_against_few_is_a_ratio_of_medians():
    row = scale.ratio_row("name", "case", [100, 90, 110], [50, 70, 65], 0.7)
    assert (row["ratio"], row["holds"]) == (0.65, False)
    assert row["ratio_min"] == 50 / 110


def test_no_more_items_are_asked_for_than_fit():
    for side in (scale.lcached, scale.memcached):
        assert scale.keys_that_fit(side, 64 << 30, 100000000) == 100000000
        fit = scale.keys_that_fit(side, 8 << 30, 100000000)
        assert fit * scale.ITEM_BYTES[side] <= 5 << 30
        assert scale.keys_that_fit(side, 0, 100000000) == scale.FEW_KEYS


def test_a_table_has_a_row_for_every_result():
    row = scale.ratio_row("items", "10 items", [100, 90, 110], [50, 70, 65], 0.7)
    cells = table.cells(row)
    assert cells[:2] == ("`items`, 10 items", "65 requests/s (50 to 70)")
    assert (cells[3], cells[4], cells[7]) == ("0.65", "0.7", "**missed**")


def test_a_sample_belongs_to_the_module_of_its_innermost_line():
    store, tcp = ("store_item_get", "/x/lib/store/store.c:1"), ("tcp_input", "/x/lib/tcp/tcp.c:1")
    inline = ("rte_pktmbuf_free", "/usr/include/dpdk/rte_mbuf.h:2")
    assert stages.stage_of_frames([store, tcp]) == "find, item"
    assert stages.stage_of_frames([inline, tcp]) == "TCP"
    assert stages.stage_of_frames([inline]) == stages.DRIVER
    assert stages.stage_of_frames([("rte_raw_cksum", "rte_ip.h:1"), tcp]) == stages.CHECKSUMS
    assert stages.stage_of_frames([("back_off", "/x/app/lcached/launch.c:3")]) == stages.IDLE
