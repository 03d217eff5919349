# SPDX-License-Identifier: BSD-3-Clause
# Loaded ahead of a script of memcached's own tests: what would start a memcached asks
# memcached_suite.py, which started the script, for an lcached instead. The protocol is a line each
# way, over the file descriptors in SUITE_ASK and SUITE_TOLD:
#
#   start OPTIONS...    -> started N HOST PORT PID  or  failed WHY
#   signal N NUMBER     -> sent
#   running N           -> 1 or 0
#   help                -> exit status of -h
package memcached_suite;

use strict;
use warnings;
use IO::Handle;
use IO::Socket::INET;
use lib "$ENV{SUITE_SOURCE}/t/lib";
use MemcachedTest;

open(my $ask, '>&=', $ENV{SUITE_ASK}) or die "SUITE_ASK: $!";
open(my $told, '<&=', $ENV{SUITE_TOLD}) or die "SUITE_TOLD: $!";
$ask->autoflush(1);

sub ask {
	print $ask join(' ', @_), "\n";
	my $line = <$told>;
	die "no answer to @_\n" unless defined $line;
	chomp $line;
	return $line;
}

sub start {
	my ($args) = @_;
	my ($how, $n, $host, $port, $pid) = split ' ', ask('start', $args // '');
	die "Failed to start: $args\n" if $how ne 'started';
	my $conn = IO::Socket::INET->new(PeerAddr => "$host:$port") or die "Failed to connect: $!\n";
	return Memcached::Handle->new(suite => $n, pid => $pid, conn => $conn, host => $host,
		port => $port, udpport => $port);
}

no warnings 'redefine';

*MemcachedTest::new_memcached = \&start;
*MemcachedTest::run_help = sub { ask('help') };
*MemcachedTest::supports_extstore = sub { 0 };
*MemcachedTest::supports_tls = sub { 0 };
*MemcachedTest::supports_unix_socket = sub { 0 };

*Memcached::Handle::DESTROY = sub { ask('signal', $_[0]{suite}, 2) };
*Memcached::Handle::stop = sub { ask('signal', $_[0]{suite}, 15) };
*Memcached::Handle::is_running = sub { ask('running', $_[0]{suite}) };
*Memcached::Handle::new_udp_sock = sub {
	my ($self) = @_;
	return IO::Socket::INET->new(PeerAddr => $self->{host}, PeerPort => $self->{port},
		Proto => 'udp');
};

1;
