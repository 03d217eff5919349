# SPDX-License-Identifier: BSD-3-Clause
# Perl's Cache::Memcached or Cache::Memcached::Fast (ARGV[1]) against the server at ARGV[0]: every
# command that they have.
use strict;
use warnings;

my ($server, $class) = @ARGV;
my $fast = $class eq 'Cache::Memcached::Fast';
eval "require $class" or die $@;

my $passed = 0;

sub check {
	my ($what, $got, $want) = @_;
	my $same = defined $got ? defined $want && $got eq $want : !defined $want;
	$same or die "failed: $what: got " . ($got // 'undef') . ', wanted ' . ($want // 'undef') . "\n";
	$passed++;
}

sub good { check($_[0], $_[1] ? 1 : 0, 1) }
sub bad { check($_[0], $_[1] ? 1 : 0, 0) }

my $c = $fast
	? $class->new({ servers => [$server], connect_timeout => 5, io_timeout => 5 })
	: $class->new({ servers => [$server] });

check('get of nothing', $c->get('key'), undef);
good('set', $c->set('key', 'value', 100));
check('get', $c->get('key'), 'value');
good('delete', $c->delete('key'));
bad('delete again', $c->delete('key'));
good('add', $c->add('a', '1'));
bad('add again', $c->add('a', '2'));
good('replace', $c->replace('a', '3'));
bad('replace of nothing', $c->replace('none', '3'));
good('append', $c->append('a', '4'));
good('prepend', $c->prepend('a', '2'));
check('get of all three', $c->get('a'), '234');
bad('append to nothing', $c->append('none', 'x'));

$c->set('n', 10);
check('incr', $c->incr('n', 5), 15);
check('decr', $c->decr('n', 7), 8);
good('decr to the floor', $c->decr('n', 100) eq ($fast ? 0 : '0') || 1);
check('get of it', int($c->get('n')), 0);
bad('incr of nothing', $c->incr('none'));

for my $value ("\0\r\n\xff", 'x' x 500_000, '', 'END') {
	good('set a value', $c->set('value', $value));
	check('get a value', $c->get('value'), $value);
}
$c->set('structure', { a => [ 1, 2 ] });
check('a structure', $c->get('structure')->{a}[1], 2);

my %many = map { ("multi$_" => "value$_") } 0 .. 199;
if ($fast) {
	my $stored = $c->set_multi(map { [ $_, $many{$_}, 100 ] } keys %many);
	check('set_multi', scalar(grep { $_ } values %$stored), 200);
} else {
	$c->set($_, $many{$_}, 100) for keys %many;
}
my $found = $c->get_multi(keys %many, 'none');
check('get_multi', scalar(keys %$found), 200);
check('one of them', $found->{$_}, $many{$_}) for keys %many;
good('set in the past', $c->set('gone', 'x', time - 10));
check('get of it', $c->get('gone'), undef);

if ($fast) {
	my $pair = $c->gets('a');
	check('gets', $pair->[1], '234');
	good('cas', $c->cas('a', $pair->[0], 'new'));
	bad('cas of an old number', $c->cas('a', $pair->[0], 'newer'));
	my $pairs = $c->gets_multi('a', 'multi1');
	check('gets_multi', scalar(keys %$pairs), 2);
	good('touch', $c->touch('a', 100));
	bad('touch of nothing', $c->touch('none', 100));
	check('gat', $c->gat(100, 'a'), 'new');
	check('gat_multi', scalar(keys %{ $c->gat_multi(100, 'a', 'multi2') }), 2);
	my $gone = $c->delete_multi('multi1', 'multi2');
	check('delete_multi', scalar(grep { $_ } values %$gone), 2);
	$c->set('nowait', 'x'); # in void context it asks for no reply
	$c->nowait_push;
	check('what was not waited for', $c->get('nowait'), 'x');
	good('server_versions', (values %{ $c->server_versions })[0] =~ /^\d+\.\d+/);
} else {
	my $stats = $c->stats([ 'misc', 'items', 'slabs' ]);
	good('stats', $stats->{hosts}{$server}{misc}{curr_items} > 0);
}
good('flush_all', $c->flush_all);
check('get after it', $c->get('multi3'), undef);
$c->disconnect_all;
print "passed $passed\n";
