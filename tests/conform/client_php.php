<?php
// SPDX-License-Identifier: BSD-3-Clause
// Debian's php-memcached against the server at argv[1] and argv[2], in text or (argv[3]) binary: every
// command that it has.

$passed = 0;

function check($what, $got, $want) {
	global $passed, $m;
	if ($got !== $want) {
		fwrite(STDERR, "failed: $what: got " . var_export($got, true) . ', result ' .
			$m->getResultCode() . ' ' . $m->getResultMessage() . "\n");
		exit(1);
	}
	$passed++;
}

$binary = $argv[3] === 'binary';
$m = new Memcached();
$m->setOption(Memcached::OPT_BINARY_PROTOCOL, $binary);
$m->setOption(Memcached::OPT_TCP_NODELAY, true);
$m->setOption(Memcached::OPT_COMPRESSION, false);
$m->addServer($argv[1], (int)$argv[2]);

check('get of nothing', $m->get('key'), false);
check('its result', $m->getResultCode(), Memcached::RES_NOTFOUND);
check('set', $m->set('key', 'value', 100), true);
check('get', $m->get('key'), 'value');
check('delete', $m->delete('key'), true);
check('delete again', $m->delete('key'), false);
check('add', $m->add('a', '1'), true);
check('add again', $m->add('a', '2'), false);
check('its result', $m->getResultCode(),
	$binary ? Memcached::RES_DATA_EXISTS : Memcached::RES_NOTSTORED);
check('replace', $m->replace('a', '3'), true);
check('replace of nothing', $m->replace('none', '3'), false);
check('append', $m->append('a', '4'), true);
check('prepend', $m->prepend('a', '2'), true);
check('get of all three', $m->get('a'), '234');
check('append to nothing', $m->append('none', 'x'), false);

$m->set('n', 10);
check('increment', $m->increment('n', 5), 15);
check('decrement', $m->decrement('n', 7), 8);
check('decrement to the floor', $m->decrement('n', 100), 0);
check('increment of nothing', $m->increment('none'), false);
if ($binary) {
	check('increment from an initial value', $m->increment('fresh', 1, 42), 42);
	check('increment of it', $m->increment('fresh', 1, 42), 43);
}

foreach ([true, 7, 1.5, 'text', ['a' => [1, 2]], "\0\r\n\xff", str_repeat('x', 500000), ''] as $v) {
	check('set a type', $m->set('typed', $v), true);
	check('get a type', $m->get('typed'), $v);
}

$found = $m->get('typed', null, Memcached::GET_EXTENDED);
check('get with cas', $found['value'], '');
check('cas', $m->cas($found['cas'], 'typed', 'new'), true);
check('cas of an old number', $m->cas($found['cas'], 'typed', 'newer'), false);
check('its result', $m->getResultCode(), Memcached::RES_DATA_EXISTS);

$many = [];
for ($i = 0; $i < 200; $i++)
	$many["multi$i"] = "value$i";
check('setMulti', $m->setMulti($many, 100), true);
check('getMulti in order', $m->getMulti([...array_keys($many), 'none'], Memcached::GET_PRESERVE_ORDER),
	$many + ['none' => null]);
check('getDelayed', $m->getDelayed(['multi1', 'multi2'], true), true);
check('fetchAll', count($m->fetchAll()), 2);
check('deleteMulti', $m->deleteMulti(['multi1', 'none']),
	['multi1' => true, 'none' => Memcached::RES_NOTFOUND]);

check('touch', $m->touch('multi2', 100), true);
check('touch of nothing', $m->touch('none', 100), false);
check('set in the past', $m->set('gone', 'x', time() - 10), true);
check('get of it', $m->get('gone'), false);

$version = array_values($m->getVersion())[0];
check('version', preg_match('/^\d+\.\d+\.\d+/', $version), 1);
$stats = array_values($m->getStats())[0];
check('stats', $stats['curr_items'] > 0, true);
check('flush', $m->flush(), true);
check('get after it', $m->get('multi3'), false);
check('quit', $m->quit(), true);
echo "passed $passed\n";
