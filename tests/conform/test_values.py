# SPDX-License-Identifier: BSD-3-Clause
"""Values of every size, whole and byte for byte, and those that are too large."""

import pytest

from wire import Tcp, noise, value_reply

MIB = 1 << 20
LARGEST = MIB - 64  # with a key of one byte and flags, what memcached 1.6 takes under -I 1m
SIZES = (0, 1, 2, 1024, 1391, 1392, 1460, 14336, 16384, 65535, 65536, 100 << 10, LARGEST)
TOO_LARGE = b"SERVER_ERROR object too large for cache\r\n"


@pytest.mark.parametrize("size", SIZES)
def test_value_comes_back_byte_for_byte(tcp, size):
    value = noise(size)
    assert tcp.set(b"k", value, flags=7) == b"STORED\r\n"
    tcp.send(b"get k\r\n")
    expected = value_reply(b"k", value, flags=7)
    assert tcp.read(len(expected)) == expected


@pytest.mark.parametrize("workers", (1, 3))
def test_values_of_one_mib_and_more(launch, workers):
    """On every shard, where -I lets them in."""
    with launch(workers=workers, options=["-I", "8m"]), Tcp(30) as conn:
        for n in range(6):
            value = noise(MIB + n * MIB // 2, n)
            assert conn.set(b"k%d" % n, value) == b"STORED\r\n"
            assert conn.get(b"k%d" % n) == value


def piece_sizes():
    """Value sizes at which an item (24 B of header, 4 of flags, a key of one) begins, or ends, to lie
    in two blocks, and those in the middle."""
    for size_class in (320, 384, 448, 512, 1024, 1280, 2048, 14336, 16384, 28664, 32768, 98304, 524288):
        for more in (-1, 0, 1, 8, size_class // 32, size_class // 8):
            yield size_class - 29 + more


@pytest.mark.parametrize("workers", (1, 3))
def test_sizes_about_the_allocators_classes(launch, workers):
    """Set, appended to, prepended to, each within what there is or not, on every shard."""
    with launch(workers=workers), Tcp(30) as conn:
        for n, size in enumerate(piece_sizes()):
            key, value = b"%c" % (97 + n % 26), noise(size, n)
            assert conn.set(key, value, flags=7) == b"STORED\r\n"
            assert conn.get(key) == value
            for more in (1, 9, 40, size // 20):
                tail = noise(more, more)
                assert conn.ask(b"append %b 0 0 %d\r\n%b\r\n" % (key, more, tail)) == b"STORED\r\n"
                value += tail
                assert conn.get(key) == value
            for more in (1, 9):
                head = noise(more, more)
                assert conn.ask(b"prepend %b 0 0 %d\r\n%b\r\n" % (key, more, head)) == b"STORED\r\n"
                value = head + value
                assert conn.get(key) == value


def test_a_number_in_a_long_value(tcp):
    """Its digits, or the blanks around them, may lie on either side of a break."""
    for size in (300, 320, 356, 1000, 1030, 5000):
        for text in (b"41".ljust(size), b"41".rjust(size), b"41".rjust(size, b"0"), b"41".center(size)):
            assert tcp.set(b"k", text) == b"STORED\r\n"
            assert tcp.ask(b"incr k 1\r\n") == b"42\r\n"
            assert tcp.get(b"k") == b"42".ljust(size)


def test_every_size_around_a_segment(tcp):
    """Sizes where the reply's last bytes fall on either side of a packet's end."""
    for size in range(1380, 1480):
        value = noise(size, size)
        assert tcp.set(b"k", value) == b"STORED\r\n"
        assert tcp.get(b"k") == value


def test_value_that_arrives_byte_by_byte(tcp):
    for byte in b"set k 1 0 5\r\nhello\r\nget k\r\n":
        tcp.send(bytes([byte]))
    assert tcp.line() == b"STORED\r\n"
    assert tcp.values() == {b"k": b"hello"}


@pytest.mark.parametrize("size", (MIB + 1, 5 * MIB))
def test_too_large_is_refused_and_swallowed(tcp, size):
    tcp.send_aside(b"set k 0 0 %d\r\n%s\r\nset after 0 0 1\r\nx\r\n" % (size, bytes(size)))
    assert tcp.line() == TOO_LARGE
    assert tcp.line() == b"STORED\r\n"
    assert tcp.get(b"k") is None


def test_too_large_removes_the_old_value(tcp):
    assert tcp.set(b"k", b"old") == b"STORED\r\n"
    assert tcp.set(b"k", bytes(2 * MIB)) == TOO_LARGE
    assert tcp.get(b"k") is None


def test_append_beyond_the_limit(tcp):
    value = noise(700 << 10)
    assert tcp.set(b"k", value) == b"STORED\r\n"
    answer = tcp.ask(b"append k 0 0 %d\r\n%s\r\n" % (len(value), value))
    no_room = b"SERVER_ERROR out of memory storing object\r\n"
    assert answer in (TOO_LARGE, no_room, b"NOT_STORED\r\n")
    assert tcp.ask(b"version\r\n").startswith(b"VERSION ")


def test_largest_values_stay_whole_while_they_are_replaced(server):
    """A reader never sees a mixture of two versions, also not of a value that is being sent."""
    versions = [bytes([n]) * LARGEST for n in b"ab"]
    with Tcp(30) as writer, Tcp(30) as reader:
        assert writer.set(b"k", versions[0]) == b"STORED\r\n"
        for turn in range(20):
            reader.send(b"get k\r\n" * 2)
            assert writer.set(b"k", versions[turn % 2]) == b"STORED\r\n"
            for _ in range(2):
                assert reader.values()[b"k"] in versions


def test_large_values_of_many_keys_at_once(server):
    """More than one worker's buffers: ten connections, each with a large value in flight."""
    size = 300 << 10
    conns = [Tcp(30) for _ in range(10)]
    for n, conn in enumerate(conns):
        assert conn.set(b"k%d" % n, noise(size, n)) == b"STORED\r\n"
    for n, conn in enumerate(conns):
        conn.send(b"get k%d\r\n" % ((n + 1) % 10))
    for n, conn in enumerate(conns):
        key = (n + 1) % 10
        assert conn.values() == {b"k%d" % key: noise(size, key)}
        conn.close()
