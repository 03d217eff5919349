// SPDX-License-Identifier: BSD-3-Clause
// npm's memjs, which speaks binary, against the server at argv[2]: every command that it has.
'use strict';

const assert = require('node:assert');
const memjs = require('memjs');

const client = memjs.Client.create(process.argv[2], { timeout: 5, retries: 1 });

async function value(key) {
	const got = await client.get(key);
	return got.value === null ? null : got.value.toString();
}

const tests = {
	async 'set, get and delete'() {
		assert.strictEqual(await value('key'), null);
		assert.strictEqual(await client.set('key', 'value', { expires: 100 }), true);
		assert.strictEqual(await value('key'), 'value');
		assert.strictEqual(await client.delete('key'), true);
		assert.strictEqual(await client.delete('key'), false);
	},

	async 'flags and bytes come back'() {
		const bytes = Buffer.from([0, 13, 10, 255, 128]);
		await client.set('bytes', bytes, {});
		assert.ok(bytes.equals((await client.get('bytes')).value));
	},

	async 'add and replace'() {
		assert.strictEqual(await client.replace('fresh', '0', {}), false);
		assert.strictEqual(await client.add('fresh', '1', {}), true);
		assert.strictEqual(await client.add('fresh', '2', {}), false);
		assert.strictEqual(await client.replace('fresh', '3', {}), true);
		assert.strictEqual(await value('fresh'), '3');
	},

	async 'append and prepend'() {
		await client.set('text', 'b', {});
		assert.strictEqual(await client.append('text', 'c'), true);
		assert.strictEqual(await client.prepend('text', 'a'), true);
		assert.strictEqual(await value('text'), 'bca'); // memjs 1.3.2 sends an append for it
		await assert.rejects(client.append('none', 'x'), /not stored/);
	},

	async 'increment and decrement'() {
		assert.strictEqual((await client.increment('n', 5, { initial: 10 })).value, 10);
		assert.strictEqual((await client.increment('n', 5, {})).value, 15);
		assert.strictEqual((await client.decrement('n', 7, {})).value, 8);
	},

	async 'touch'() {
		assert.strictEqual(await client.touch('n', 100), true);
		assert.strictEqual(await client.touch('none', 100), false);
	},

	async 'a value of 500 KB'() {
		const large = Buffer.alloc(500 * 1024, 0xab);
		await client.set('large', large, {});
		assert.ok(large.equals((await client.get('large')).value));
	},

	async '200 at once'() {
		const keys = Array.from({ length: 200 }, (_, i) => `multi${i}`);
		await Promise.all(keys.map((key) => client.set(key, `of ${key}`, {})));
		const found = await Promise.all(keys.map(value));
		assert.deepStrictEqual(found, keys.map((key) => `of ${key}`));
	},

	async 'stats'() {
		const stats = await new Promise((done, fail) => client.stats(
			(error, server, found) => (error ? fail(error) : done(found))));
		assert.ok(Number(stats.curr_items) > 0);
		await new Promise((done, fail) => client.resetStats(
			(error) => (error ? fail(error) : done())));
	},

	async 'flush'() {
		await new Promise((done, fail) => client.flush((error) => (error ? fail(error) : done())));
		assert.strictEqual(await value('large'), null);
	},
};

async function main() {
	for (const [name, test] of Object.entries(tests)) {
		await test().catch((error) => {
			console.error(`failed: ${name}`);
			throw error;
		});
	}
	client.close();
	console.log(`passed ${Object.keys(tests).length}`);
}

main().catch((error) => {
	console.error(error);
	process.exit(1);
});
