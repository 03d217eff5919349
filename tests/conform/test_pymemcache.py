# SPDX-License-Identifier: BSD-3-Clause
"""Debian's python3-pymemcache, every command that it has."""

import time

import pytest
from pymemcache.client.base import Client, PooledClient
from pymemcache.exceptions import MemcacheClientError, MemcacheServerError

from netlab import PORT, SERVER_IP
from wire import noise


@pytest.fixture
def client(server):
    made = Client((SERVER_IP, PORT), connect_timeout=5, timeout=5, default_noreply=False)
    yield made
    made.close()


def test_set_get_delete(client):
    assert client.get("key") is None
    assert client.set("key", b"value") is True
    assert client.get("key") == b"value"
    assert client.delete("key") is True
    assert client.delete("key") is False
    assert client.get("key", default="none") == "none"


def test_add_and_replace_look_at_what_is_there(client):
    assert client.replace("key", b"1") is False
    assert client.add("key", b"2") is True
    assert client.add("key", b"3") is False
    assert client.replace("key", b"4") is True
    assert client.get("key") == b"4"


def test_append_and_prepend(client):
    assert client.append("key", b"x") is False
    assert client.prepend("key", b"x") is False
    client.set("key", b"middle")
    assert client.append("key", b">") is True
    assert client.prepend("key", b"<") is True
    assert client.get("key") == b"<middle>"


def test_cas_takes_only_the_current_number(client):
    assert client.cas("key", b"v", b"1") is None
    client.set("key", b"old")
    value, number = client.gets("key")
    assert value == b"old"
    assert client.cas("key", b"new", number) is True
    assert client.cas("key", b"newer", number) is False
    assert client.get("key") == b"new"


def test_gets_many(client):
    client.set_many({"a": b"1", "b": b"2"})
    found = client.gets_many(["a", "b", "missing"])
    assert {key: value for key, (value, _) in found.items()} == {"a": b"1", "b": b"2"}
    assert found["a"][1] != found["b"][1]


def test_incr_and_decr(client):
    assert client.incr("n", 1) is None
    client.set("n", b"10")
    assert client.incr("n", 5) == 15
    assert client.decr("n", 6) == 9
    assert client.decr("n", 100) == 0
    client.set("n", b"word")
    with pytest.raises(MemcacheClientError, match="non-numeric"):
        client.incr("n", 1)


@pytest.mark.lcached_only("1.6.18 looks for a minus sign beyond such a value's end")
def test_incr_wraps_at_64_bits(client):
    client.set("n", b"18446744073709551615")
    assert client.incr("n", 2) == 1


def test_many_keys(client):
    pairs = {f"key{i}": b"value%d" % i for i in range(500)}
    assert client.set_many(pairs) == []
    assert client.get_many(pairs) == pairs
    assert client.delete_many(list(pairs)[:250]) is True
    assert client.get_many(pairs) == dict(list(pairs.items())[250:])


def test_touch_and_expiry(client):
    client.set("short", b"x", expire=1)
    client.set("touched", b"x", expire=1)
    client.set("past", b"x", expire=-1)
    assert client.touch("touched", expire=100) is True
    assert client.touch("missing", expire=100) is False
    assert client.get("past") is None
    time.sleep(2.1)
    assert client.get("short") is None
    assert client.get("touched") == b"x"


def test_flush_all(client):
    client.set("key", b"x")
    assert client.flush_all() is True
    assert client.get("key") is None
    client.set("key", b"y")
    assert client.flush_all(delay=100) is True
    assert client.get("key") == b"y"
    assert client.flush_all() is True


def test_noreply_stores_all_the_same(client):
    for i in range(100):
        client.set(f"key{i}", b"x", noreply=True)
    client.delete("key0", noreply=True)
    assert len(client.get_many([f"key{i}" for i in range(100)])) == 99


def test_version_stats_and_quit(client):
    assert client.version()
    stats = client.stats()
    assert stats[b"curr_items"] >= 0 and stats[b"pid"] > 0
    client.stats("settings")
    client.quit()
    assert client.get("key") is None  # on a new connection


def test_flags_and_binary_values(client):
    value = bytes(range(256)) + b"\r\nEND\r\n" + noise(3000)
    seen = []
    client.serde.deserialize = lambda key, found, flags: seen.append(flags) or found
    client.set("key", value, flags=4294967295)
    assert client.get("key") == value
    assert seen == [4294967295]


def test_a_value_too_large_is_the_servers_error(client):
    with pytest.raises(MemcacheServerError, match="too large"):
        client.set("key", bytes(2 << 20))
    assert client.set("key", b"fits") is True


def test_pool(server):
    pool = PooledClient((SERVER_IP, PORT), max_pool_size=8, timeout=5)
    for i in range(50):
        pool.set(f"key{i}", b"%d" % i, noreply=False)
    assert pool.get("key49") == b"49"
    pool.close()


@pytest.mark.lcached_only("memcached's kernel takes 40 ms for each")
def test_sets_without_a_reply_do_not_hold_up_what_follows(server):
    """As the client comes: sets are noreply, and Nagle's algorithm keeps the next request until the
    set has been acknowledged."""
    made = Client((SERVER_IP, PORT), connect_timeout=5, timeout=5)
    began = time.monotonic()
    for i in range(100):
        made.set(f"nagle{i}", b"x")
        assert made.get(f"nagle{i}") == b"x"
    made.close()
    assert time.monotonic() - began < 2  # 4 s at 40 ms each
