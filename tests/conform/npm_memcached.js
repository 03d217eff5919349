// SPDX-License-Identifier: BSD-3-Clause
// npm's memcached client against the server at argv[2]: every command that it has.
'use strict';

const assert = require('node:assert');
const util = require('node:util');
const Memcached = require('memcached');

const client = new Memcached(process.argv[2], { poolSize: 10, timeout: 5000, retries: 0 });
const call = (name, ...args) => util.promisify(client[name]).apply(client, args);
// The client turns NOT_STORED into an error for some commands and into false for others.
const refused = (promise) => promise.then((done) => assert.ok(!done), (error) => assert.ok(error));

const tests = {
	async 'set, get and del'() {
		assert.strictEqual(await call('get', 'key'), undefined);
		assert.strictEqual(await call('set', 'key', 'value', 100), true);
		assert.strictEqual(await call('get', 'key'), 'value');
		assert.strictEqual(await call('del', 'key'), true);
		assert.strictEqual(await call('del', 'key'), false);
	},

	async 'types come back as they were'() {
		for (const value of [42, true, 'text', { a: [1, 2] }, Buffer.from([0, 13, 10, 255])]) {
			await call('set', 'typed', value, 100);
			assert.deepStrictEqual(await call('get', 'typed'), value);
		}
	},

	async 'add and replace'() {
		await refused(call('replace', 'fresh', '0', 100));
		assert.strictEqual(await call('add', 'fresh', '1', 100), true);
		await refused(call('add', 'fresh', '2', 100));
		assert.strictEqual(await call('replace', 'fresh', '3', 100), true);
		assert.strictEqual(await call('get', 'fresh'), '3');
	},

	async 'append and prepend'() {
		await call('set', 'text', 'b', 100);
		assert.strictEqual(await call('append', 'text', 'c'), true);
		assert.strictEqual(await call('prepend', 'text', 'a'), true);
		assert.strictEqual(await call('get', 'text'), 'abc');
	},

	async 'gets and cas'() {
		await call('set', 'versioned', 'old', 100);
		const { cas, versioned } = await call('gets', 'versioned');
		assert.strictEqual(versioned, 'old');
		assert.strictEqual(await call('cas', 'versioned', 'new', cas, 100), true);
		await refused(call('cas', 'versioned', 'newer', cas, 100));
		assert.strictEqual(await call('get', 'versioned'), 'new');
	},

	async 'incr and decr'() {
		await call('set', 'n', 10, 100);
		assert.strictEqual(await call('incr', 'n', 5), 15);
		assert.strictEqual(await call('decr', 'n', 7), 8);
		assert.strictEqual(await call('incr', 'no-such-counter', 1), false);
	},

	async 'touch'() {
		await call('set', 'touched', 'x', 1);
		assert.strictEqual(await call('touch', 'touched', 100), true);
		await new Promise((done) => setTimeout(done, 2100));
		assert.strictEqual(await call('get', 'touched'), 'x');
	},

	async 'getMulti'() {
		const keys = Array.from({ length: 200 }, (_, i) => `multi${i}`);
		await Promise.all(keys.map((key, i) => call('set', key, `value${i}`, 100)));
		const found = await call('getMulti', [...keys, 'missing']);
		assert.deepStrictEqual(Object.keys(found).sort(), [...keys].sort());
		assert.ok(keys.every((key, i) => found[key] === `value${i}`));
	},

	async 'a value of 500 KB'() {
		const value = Buffer.alloc(500 * 1024, 0xab);
		await call('set', 'large', value, 100);
		assert.ok(value.equals(await call('get', 'large')));
	},

	async 'version, stats, settings, items and slabs'() {
		assert.ok((await call('version')).length === 1);
		const [stats] = await call('stats');
		assert.ok(stats.curr_items > 0);
		await call('settings');
		await call('items');
		await call('slabs');
	},

	async 'flush'() {
		await call('flush');
		assert.strictEqual(await call('get', 'large'), undefined);
	},
};

async function main() {
	for (const [name, test] of Object.entries(tests)) {
		await test().catch((error) => {
			console.error(`failed: ${name}`);
			throw error;
		});
	}
	client.end();
	console.log(`passed ${Object.keys(tests).length}`);
}

main().catch((error) => {
	console.error(error);
	process.exit(1);
});
