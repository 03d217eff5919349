# SPDX-License-Identifier: BSD-3-Clause
"""Debian's monitors, as people have them beside memcached, read of `stats` what they look for."""

import subprocess

import pytest

from netlab import PORT, SERVER_IP
from wire import eventually

COLLECTD = f"""
Interval 1
BaseDir "{{folder}}"
PIDFile "{{folder}}/pid"
LoadPlugin memcached
LoadPlugin csv
<Plugin csv>
	DataDir "{{folder}}/csv"
</Plugin>
<Plugin memcached>
	<Instance "cache">
		Host "{SERVER_IP}"
		Port "{PORT}"
	</Instance>
</Plugin>
"""

# The files that it makes of what a memcached says.
COLLECTD_FIGURES = set(
    """
connections-opened df-cache memcached_command-flush memcached_command-get memcached_command-meta
memcached_command-set memcached_command-touch memcached_connections-current
memcached_items-current memcached_octets memcached_ops-decr memcached_ops-decr_hits
memcached_ops-decr_misses memcached_ops-delete_hits memcached_ops-delete_misses
memcached_ops-evictions memcached_ops-hits memcached_ops-incr memcached_ops-incr_hits
memcached_ops-incr_misses memcached_ops-misses percent-decr_hitratio percent-hitratio
percent-incr_hitratio ps_count ps_cputime total_events-listen_disabled uptime
""".split()
)
DATE = len("-2026-01-31")


@pytest.fixture
def used(tcp):
    """Some of everything: of nothing at all a monitor makes no ratio."""
    tcp.set(b"k", b"5")
    tcp.get(b"k")
    tcp.get(b"none")
    for name in (b"incr", b"decr"):
        for key in (b"k", b"none"):
            tcp.ask(b"%s %s 1\r\n" % (name, key))


def test_collectd(used, tmp_path):
    conf = tmp_path / "collectd.conf"
    conf.write_text(COLLECTD.format(folder=tmp_path))

    def written():
        return {path.name[:-DATE] for path in tmp_path.glob("csv/*/*/*")}

    collectd = subprocess.Popen(
        ["/usr/sbin/collectd", "-f", "-C", str(conf)], stderr=subprocess.PIPE, text=True
    )
    try:
        assert eventually(lambda: written() >= COLLECTD_FIGURES), COLLECTD_FIGURES - written()
        assert written() == COLLECTD_FIGURES
    finally:
        collectd.terminate()
        log = collectd.communicate(timeout=30)[1]
    assert "rror" not in log and "fail" not in log, log


def test_nagios(used):
    """It keeps what it has seen in the server itself."""

    def check():
        return subprocess.run(
            ("/usr/lib/nagios/plugins/check_memcached", "-H", SERVER_IP, "-p", str(PORT), "-v"),
            capture_output=True, text=True, timeout=60)  # fmt: skip

    first, second = check(), check()
    assert first.returncode == second.returncode == 0, (first, second)
    assert "(stored)" in first.stderr and "time=" in second.stderr.partition("object")[2]
