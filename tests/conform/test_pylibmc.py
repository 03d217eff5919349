# SPDX-License-Identifier: BSD-3-Clause
"""Debian's python3-pylibmc, which is libmemcached underneath, in text and in binary."""

import contextlib
import time

import pylibmc
import pytest

from netlab import PORT, SERVER_IP


def connect(binary=False, **behaviors):
    behaviors = {"tcp_nodelay": True, "connect_timeout": 5000, **behaviors}
    return pylibmc.Client([f"{SERVER_IP}:{PORT}"], binary=binary, behaviors=behaviors)


@pytest.fixture(params=(False, True), ids=("text", "binary"))
def client(server, request):
    made = connect(binary=request.param, cas=True)
    yield made
    made.disconnect_all()


def test_set_get_delete(client):
    assert client.get("key") is None
    assert client.set("key", "value")
    assert client.get("key") == "value"
    assert client.delete("key")
    assert not client.delete("key")


def test_python_types_come_back_as_they_were(client):
    for value in (0, -5, 1 << 40, 1.5, "text", b"bytes", [1, "two"], {"a": (1, 2)}):
        assert client.set("key", value)
        got = client.get("key")
        assert got == value and type(got) is type(value)


def test_compressed_value(client):
    value = "the same again " * 10000
    assert client.set("key", value, min_compress_len=100)
    assert client.get("key") == value


def test_add_replace_append_prepend(client):
    with contextlib.suppress(pylibmc.NotFound):  # in binary; in text "not stored"
        assert not client.replace("key", "0")
    assert client.add("key", "b")
    assert not client.add("key", "c")
    assert client.append("key", "c") and client.prepend("key", "a")
    assert client.get("key") == "abc"
    assert client.replace("key", "new")


def test_gets_and_cas(client):
    client.set("key", "old")
    value, number = client.gets("key")
    assert value == "old"
    assert client.cas("key", "new", number)
    assert not client.cas("key", "newer", number)
    with pytest.raises(pylibmc.NotFound):
        client.cas("missing", "x", number)


def test_counters(client):
    with pytest.raises(pylibmc.NotFound):
        client.incr("n")
    client.set("n", 10)
    assert client.incr("n") == 11
    assert client.incr("n", 9) == 20
    assert client.decr("n", 30) == 0


def test_multi(client):
    pairs = {f"key{i}": f"value {i}" for i in range(1000)}
    assert client.set_multi(pairs) == []
    assert client.get_multi(list(pairs) + ["missing"]) == pairs
    assert client.delete_multi(list(pairs)[:10])
    assert len(client.get_multi(list(pairs))) == 990


def test_multi_with_prefix(client):
    client.set_multi({"a": 1, "b": 2}, key_prefix="p_")
    assert client.get_multi(["a", "b"], key_prefix="p_") == {"a": 1, "b": 2}
    assert client.get("p_a") == 1


def test_expiry_and_touch(client):
    client.set("short", "x", time=1)
    client.set("touched", "x", time=1)
    assert client.touch("touched", 100)
    time.sleep(2.1)
    assert client.get("short") is None
    assert client.get("touched") == "x"


def test_flush_and_stats(client):
    client.set("key", "x")
    assert client.flush_all()
    assert client.get("key") is None
    [(_, stats)] = client.get_stats()
    assert "curr_items" in stats
    client.get_stats("settings")


def test_buffered_and_noreply_sets_arrive(server):
    client = connect(_noreply=True, buffer_requests=True)
    for i in range(500):
        client.set(f"key{i}", "x")
    client.disconnect_all()
    reader = connect()
    keys = [f"key{i}" for i in range(500)]
    for _ in range(50):
        if len(reader.get_multi(keys)) == 500:
            break
        time.sleep(0.05)
    assert len(reader.get_multi(keys)) == 500
    reader.disconnect_all()


def test_no_block(server):
    client = connect(no_block=True)
    assert client.set_multi({f"key{i}": "x" * 1000 for i in range(300)}) == []
    assert len(client.get_multi([f"key{i}" for i in range(300)])) == 300
    client.disconnect_all()
