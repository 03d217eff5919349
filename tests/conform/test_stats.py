# SPDX-License-Identifier: BSD-3-Clause
"""The text statistics: the keys that exporters and people read, and counters that count."""

import time

import pytest

from telemetry import Telemetry
from server import KIND
from wire import Tcp, eventually, noise

# memcached 1.6.45 with default options, in its order.
GENERAL = """
pid uptime time version libevent pointer_size rusage_user rusage_system max_connections
curr_connections total_connections rejected_connections connection_structures response_obj_oom
response_obj_count response_obj_bytes read_buf_count read_buf_bytes read_buf_bytes_free read_buf_oom
reserved_fds cmd_get cmd_set cmd_flush cmd_touch cmd_meta get_hits get_misses get_expired
get_flushed delete_misses delete_hits incr_misses incr_hits decr_misses decr_hits cas_misses
cas_hits cas_badval touch_hits touch_misses store_too_large store_no_memory auth_cmds auth_errors
bytes_read bytes_written limit_maxbytes accepting_conns listen_disabled_num
time_in_listen_disabled_us threads conn_yields hash_power_level hash_bytes hash_is_expanding
slab_reassign_rescues slab_reassign_chunk_rescues slab_reassign_inline_reclaim
slab_reassign_busy_items slab_reassign_busy_deletes slab_reassign_busy_nomem
slab_reassign_last_busy_status slab_reassign_running slabs_moved lru_crawler_running
lru_crawler_starts lru_maintainer_juggles malloc_fails log_worker_dropped log_worker_written
log_watcher_skipped log_watcher_sent log_watchers unexpected_napi_ids round_robin_fallback bytes
curr_items total_items slab_global_page_pool expired_unfetched evicted_unfetched evicted_active
evictions reclaimed crawler_reclaimed crawler_items_checked lrutail_reflocked moves_to_cold
moves_to_warm moves_within_lru direct_reclaims lru_bumps_dropped
""".split()

# What the Prometheus exporter reads; a key that is missing marks the server as down.
EXPORTER = """
uptime time version get_hits get_misses delete_hits delete_misses incr_hits incr_misses decr_hits
decr_misses cas_hits cas_misses touch_hits touch_misses cas_badval cmd_set cmd_flush rusage_user
rusage_system bytes limit_maxbytes curr_items total_items bytes_read bytes_written curr_connections
total_connections rejected_connections conn_yields listen_disabled_num evictions reclaimed
lru_crawler_starts direct_reclaims crawler_items_checked crawler_reclaimed moves_to_cold
moves_to_warm moves_within_lru accepting_conns
""".split()

SETTINGS = """
maxbytes maxconns tcpport udpport inter verbosity oldest evictions domain_socket umask
growth_factor chunk_size num_threads num_threads_per_udp stat_key_prefix detail_enabled
reqs_per_event cas_enabled tcp_backlog binding_protocol auth_enabled_sasl item_size_max
maxconns_fast hashpower_init slab_reassign slab_automove slab_chunk_max lru_crawler
lru_crawler_sleep lru_crawler_tocrawl tail_repair_time flush_enabled dump_enabled hash_algorithm
lru_maintainer_thread lru_segmented hot_lru_pct warm_lru_pct hot_max_factor warm_max_factor
temp_lru temporary_ttl idle_timeout
""".split()


def test_general_has_what_exporters_read(tcp):
    stats = tcp.stats()
    assert [key for key in EXPORTER if key not in stats] == []


@pytest.mark.lcached_only("1.6.18 has fewer keys")
def test_general_has_all_keys_of_memcached_and_no_others(tcp):
    """In its order; monitors count them."""
    assert list(tcp.stats()) == GENERAL


def test_general_values_make_sense(server, tcp):
    stats = tcp.stats()
    assert int(stats["pid"]) == server.process.pid
    assert int(stats["pointer_size"]) == 64
    assert int(stats["threads"]) == server.workers
    assert int(stats["limit_maxbytes"]) == server.memory_mb << 20
    assert int(stats["max_connections"]) == 4096
    assert int(stats["accepting_conns"]) == 1
    assert abs(int(stats["time"]) - time.time()) < 5
    assert float(stats["rusage_user"]) >= 0 and float(stats["rusage_system"]) >= 0
    assert tcp.ask(b"version\r\n") == b"VERSION %s\r\n" % stats["version"].encode()


COUNTED = (
    (b"set k 0 0 1\r\nx\r\n", {"cmd_set": 1, "total_items": 1}),
    (b"get k\r\n", {"cmd_get": 1, "get_hits": 1}),
    (b"get missing k missing\r\n", {"cmd_get": 3, "get_hits": 1, "get_misses": 2}),
    (b"touch k 100\r\n", {"cmd_touch": 1, "touch_hits": 1}),
    (b"touch missing 100\r\n", {"cmd_touch": 1, "touch_misses": 1}),
    (b"set k 0 0 1\r\n1\r\n", {"cmd_set": 1}),
    (b"incr k 1\r\n", {"incr_hits": 1}),
    (b"decr k 1\r\n", {"decr_hits": 1}),
    (b"incr missing 1\r\n", {"incr_misses": 1}),
    (b"decr missing 1\r\n", {"decr_misses": 1}),
    (b"cas k 0 0 1 1\r\nx\r\n", {"cas_badval": 1}),
    (b"cas missing 0 0 1 1\r\nx\r\n", {"cas_misses": 1}),
    (b"delete k\r\n", {"delete_hits": 1}),
    (b"delete k\r\n", {"delete_misses": 1}),
    (b"flush_all\r\n", {"cmd_flush": 1}),
)


def test_counters_count(tcp):
    """Whichever shard it was: the sum over all is what is shown."""
    for request, growth in COUNTED:
        before = tcp.stats()
        tcp.send(request + b"mn\r\n")
        while tcp.line() != b"MN\r\n":
            pass
        after = tcp.stats()
        grown = {key: int(after[key]) - int(before[key]) for key in growth}
        assert grown == growth, request


def test_items_and_bytes(server, tcp):
    def now(key):
        return int(tcp.stats()[key])

    items, stored = now("curr_items"), now("bytes")
    for i in range(100):
        assert tcp.set(b"stat-key%d" % i, noise(1000)) == b"STORED\r\n"
    assert eventually(lambda: now("curr_items") == items + 100)
    assert now("bytes") - stored >= 100 * 1000
    for i in range(100):
        assert tcp.ask(b"delete stat-key%d\r\n" % i) == b"DELETED\r\n"
    assert eventually(lambda: now("curr_items") == items and now("bytes") == stored)


def test_connections_and_bytes_on_the_wire(server, tcp):
    # memcached counts its UDP sockets, one a worker
    alone = 1 if KIND == "lcached" else 1 + server.workers
    assert eventually(lambda: tcp.stats()["curr_connections"] == str(alone)), "others have not gone"
    before = tcp.stats()
    conns = [Tcp() for _ in range(20)]
    for conn in conns:
        assert conn.set(b"k", noise(10000)) == b"STORED\r\n"
        assert conn.get(b"k") == noise(10000)
    after = tcp.stats()
    assert int(after["curr_connections"]) == int(before["curr_connections"]) + 20
    assert int(after["total_connections"]) == int(before["total_connections"]) + 20
    for key in ("bytes_read", "bytes_written"):
        assert 200000 <= int(after[key]) - int(before[key]) < 300000, key
    for conn in conns:
        conn.close()
    assert eventually(lambda: tcp.stats()["curr_connections"] == before["curr_connections"])


def test_too_large_is_counted(tcp):
    before = int(tcp.stats()["store_too_large"])
    tcp.set(b"k", bytes(2 << 20))
    assert int(tcp.stats()["store_too_large"]) == before + 1


def test_settings(server, tcp):
    settings = tcp.stats(b"settings")
    assert [key for key in SETTINGS if key not in settings] == []
    assert int(settings["maxbytes"]) == server.memory_mb << 20
    assert int(settings["maxconns"]) == 4096
    assert (settings["tcpport"], settings["udpport"]) == ("11211", "11211")
    assert int(settings["num_threads"]) == server.workers
    assert int(settings["item_size_max"]) == 1 << 20
    assert settings["evictions"] == "on" and settings["cas_enabled"] == "yes"


def test_items_and_slabs_sections(tcp):
    for i in range(50):
        tcp.set(b"k%d" % i, noise(i * 100))
    items = tcp.stats(b"items")
    assert sum(int(v) for k, v in items.items() if k.endswith(":number")) >= 50
    assert all(key.startswith("items:") for key in items)
    for name in ("age", "evicted", "outofmemory"):
        assert any(key.endswith(":" + name) for key in items), name
    slabs = tcp.stats(b"slabs")
    assert int(slabs["active_slabs"]) >= 1 and int(slabs["total_malloced"]) > 0
    for name in ("chunk_size", "used_chunks", "total_pages", "get_hits", "cmd_set"):
        assert any(key.endswith(":" + name) for key in slabs), name


def test_reset(tcp):
    tcp.set(b"k", b"x")
    tcp.get(b"k")
    assert tcp.ask(b"stats reset\r\n") == b"RESET\r\n"
    assert int(tcp.stats()["get_hits"]) == 0
    assert tcp.get(b"k") == b"x"


def test_unknown_section(tcp):
    """memcached answers with nothing but the end, or an error; later requests are answered."""
    answer = tcp.ask(b"stats no_such_section\r\n")
    assert answer.startswith((b"END", b"ERROR", b"CLIENT_ERROR"))
    assert tcp.ask(b"mn\r\n") == b"MN\r\n"


def test_stats_from_all_sides_at_once(server):
    """Gathered by message from every shard: 20 connections ask together, with gets in between."""
    conns = [Tcp() for _ in range(20)]
    for _ in range(5):
        for conn in conns:
            conn.send(b"get x\r\nstats\r\nget x\r\n")
        for conn in conns:
            assert conn.values() == {}
            while conn.line() != b"END\r\n":
                pass
            assert conn.values() == {}
    for conn in conns:
        conn.close()


# What the Prometheus exporter reads besides: of each class, and of the settings.
EXPORTER_ITEMS = "number age hits_to_hot hits_to_warm hits_to_cold hits_to_temp".split()
EXPORTER_SLABS = """
get_hits delete_hits incr_hits decr_hits cas_hits touch_hits cas_badval cmd_set chunk_size
chunks_per_page total_pages total_chunks used_chunks free_chunks free_chunks_end
""".split()
EXPORTER_SETTINGS = """
maxconns lru_crawler_sleep lru_crawler_tocrawl hot_lru_pct warm_lru_pct hot_max_factor
warm_max_factor
""".split()


def test_figures_that_exporters_read_are_numbers(tcp):
    assert tcp.set(b"k", b"v") == b"STORED\r\n"
    items, slabs, settings = (tcp.stats(word) for word in (b"items", b"slabs", b"settings"))
    for key in EXPORTER_ITEMS:
        float(items[f"items:1:{key}"])
    for key in EXPORTER_SLABS:
        float(slabs[f"1:{key}"])
    assert int(slabs["total_malloced"]) > 0
    assert settings["lru_crawler"] == "yes"
    assert settings["lru_maintainer_thread"] in ("yes", "no")
    for key in EXPORTER_SETTINGS:
        float(settings[key])
    general = tcp.stats()
    for key in EXPORTER:
        if key != "version":
            float(general[key])


@pytest.mark.parametrize("workers", (1, 3))
def test_sizes(launch, workers):
    """Items by their sizes, which are not the same in both: rounded up to 32 bytes."""
    with launch(options=["-o", "track_sizes"], workers=workers) as special, Tcp() as tcp:
        assert tcp.stats(b"settings")["track_sizes"] == "yes"
        assert tcp.stats(b"sizes") == {}
        for i in range(2000):
            tcp.send(b"set s%d 0 0 10 noreply\r\n0123456789\r\n" % (1000 + i))
        for i in range(300):
            tcp.send(b"set l%d 0 0 5000 noreply\r\n%s\r\n" % (1000 + i, b"v" * 5000))
        assert tcp.set(b"big", b"v" * 500000) == b"STORED\r\n"
        found = {int(size): int(count) for size, count in tcp.stats(b"sizes").items()}
        assert list(found) == sorted(found) and list(found.values()) == [2000, 300, 1]
        small, large, big = found
        assert small % 32 == large % 32 == big % 32 == 0
        assert 10 < small <= 128 and 5000 < large <= 5120 and 500000 < big <= 500000 + 4096
        if special.lab.kind == "lcached":
            with Telemetry(special.process.pid) as telemetry:
                telemetry.ask("/lcached/config/set,track-sizes=no")
            assert eventually(lambda: tcp.stats(b"sizes") == {"sizes_status": "disabled"}, 5)


def test_sizes_are_not_told_unasked(tcp):
    assert tcp.stats(b"settings")["track_sizes"] == "no"
    assert tcp.stats(b"sizes") == {"sizes_status": "disabled"}
