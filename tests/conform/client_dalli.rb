# SPDX-License-Identifier: BSD-3-Clause
# Debian's ruby-dalli, which speaks binary, against the server at ARGV[0]: every command that it has.
require 'dalli'

$passed = 0
def check(what, got, want)
	abort "failed: #{what}: got #{got.inspect}, wanted #{want.inspect}" unless got == want
	$passed += 1
end

c = Dalli::Client.new(ARGV[0], socket_timeout: 5, compress: false)
check 'get of nothing', c.get('key'), nil
check 'set', !!c.set('key', 'value', 100), true
check 'get', c.get('key'), 'value'
check 'delete', c.delete('key'), true
check 'delete again', !!c.delete('key'), false
check 'add', !!c.add('a', '1', 0, raw: true), true
check 'add again', !!c.add('a', '2', 0, raw: true), false
check 'replace', !!c.replace('a', '3', 0, raw: true), true
check 'replace of nothing', c.replace('none', '3'), 0 # the CAS number, not false
check 'append', c.append('a', '4'), true
check 'prepend', c.prepend('a', '2'), true
check 'get of all three', c.get('a', raw: true), '234'
check 'append to nothing', !!c.append('none', 'x'), false

check 'incr from a default', c.incr('n', 1, 0, 10), 10
check 'incr', c.incr('n', 5), 15
check 'decr', c.decr('n', 7), 8
check 'decr to the floor', c.decr('n', 100), 0
check 'incr of nothing', c.incr('none', 1), nil

[nil, 7, 1.5, 'text', { a: [1, 2] }, "\0\r\n\xff".b, 'x' * 500_000, ''].each do |v|
	next if v.nil?
	c.set('typed', v)
	check 'a type', c.get('typed'), v
end

value, cas = c.get_cas('typed')
check 'get_cas', value, ''
check 'set_cas', !!c.set_cas('typed', 'new', cas), true
check 'set_cas of an old number', !!c.set_cas('typed', 'newer', cas), false
check 'cas', !!c.cas('typed') { |v| v + 'er' }, true
check 'get of it', c.get('typed'), 'newer'
_, cas = c.get_cas('typed')
check 'replace_cas', !!c.replace_cas('typed', 'x', cas), true
check 'delete_cas of an old number', !!c.delete_cas('typed', cas), false
_, cas = c.get_cas('typed')
check 'delete_cas', !!c.delete_cas('typed', cas), true
check 'fetch', c.fetch('fetched', 100) { 'made' }, 'made'
check 'fetch again', c.fetch('fetched', 100) { 'not made' }, 'made'

c.multi { 200.times { |i| c.set("multi#{i}", "value#{i}") } } # quiet
want = (0...200).to_h { |i| ["multi#{i}", "value#{i}"] }
check 'get_multi', c.get_multi(*want.keys, 'none').sort, want.sort
check 'get_multi_cas', c.get_multi_cas('multi1').keys, ['multi1']
check 'touch', !!c.touch('multi2', 100), true
check 'touch of nothing', c.touch('none', 100), nil
check 'gat', c.gat('multi2', 100), 'value2'
check 'alive!', !!c.alive!, true
check 'version', c.version.values.first.match?(/\A\d+\.\d+/), true
check 'stats', c.stats.values.first['curr_items'].to_i.positive?, true
check 'stats items', c.stats(:items).values.first.is_a?(Hash), true
check 'reset_stats', !!c.reset_stats, true
check 'flush', c.flush.all?, true
check 'get after it', c.get('multi3'), nil
c.close
puts "passed #{$passed}"
