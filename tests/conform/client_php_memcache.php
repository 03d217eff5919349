<?php
// SPDX-License-Identifier: BSD-3-Clause
// Debian's php-memcache against the server at argv[1] and argv[2]: every command that it has. With
// argv[3] = udp it asks over UDP where it can, which is for gets of several keys. (In binary it cannot
// append, whatever the server.)

$passed = 0;

function check($what, $got, $want) {
	global $passed;
	if ($got !== $want) {
		fwrite(STDERR, "failed: $what: got " . var_export($got, true) . "\n");
		exit(1);
	}
	$passed++;
}

// What the extension complains of, a lost datagram say, is a failure; but not that it is older than this
// PHP.
set_error_handler(function ($level, $text) {
	if ($level & E_DEPRECATED)
		return true;
	fwrite(STDERR, "failed: $text\n");
	exit(1);
});

$udp = $argv[3] === 'udp';
$m = new MemcachePool();
$m->addServer($argv[1], (int)$argv[2], $udp ? (int)$argv[2] : 0, false, 1, 5);

check('get of nothing', $m->get('key'), false);
check('set', $m->set('key', 'value', 0, 100), true);
check('get', $m->get('key'), 'value');
check('delete', $m->delete('key'), true);
check('delete again', $m->delete('key'), false);
check('add', $m->add('a', '1'), true);
check('add again', $m->add('a', '2'), false);
check('replace', $m->replace('a', '3'), true);
check('replace of nothing', $m->replace('none', '3'), false);
check('append', $m->append('a', '4'), true);
check('prepend', $m->prepend('a', '2'), true);
check('get of all three', $m->get('a'), '234');

$m->set('n', '10');
check('increment', $m->increment('n', 5), 15);
check('decrement', $m->decrement('n', 7), 8);
check('decrement to the floor', $m->decrement('n', 100), 0);
check('increment of nothing', $m->increment('none'), false);

foreach ([7, 1.5, 'text', ['a' => [1, 2]], "\0\r\n\xff", str_repeat('x', 1300), str_repeat('y', 50000)] as $v) {
	check('set of a type', $m->set('typed', $v), true);
	check('get of a type', $m->get('typed'), $v);
	check('get of it and another', $m->get(['typed', 'a']), ['typed' => $v, 'a' => '234']);
}

$flags = $cas = null;
check('get with cas', is_string($m->get('typed', $flags, $cas)), true);
check('cas', $m->cas('typed', 'new', 0, 100, $cas), true);
check('cas of an old number', $m->cas('typed', 'newer', 0, 100, $cas), false);

$many = [];
for ($i = 0; $i < 200; $i++) {
	$many["multi$i"] = "value$i";
	$m->set("multi$i", "value$i");
}
$found = $m->get([...array_keys($many), 'none']);
ksort($found);
ksort($many);
check('get of 200', $found, $many);
for ($i = 0; $i < 300; $i++)
	check('get of one after the other', $m->get(["multi" . $i % 200, 'a']),
		["multi" . $i % 200 => "value" . $i % 200, 'a' => '234']);

check('version', preg_match('/^\d+\.\d+\.\d+/', $m->getVersion()), 1);
check('stats', $m->getStats()['curr_items'] > 0, true);
check('stats of items', is_array($m->getExtendedStats('items')), true);
check('flush', $m->flush(), true);
check('get after it', $m->get('multi3'), false);
check('close', $m->close(), true);
echo "passed $passed\n";
