import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCount, parsePort, parseSizeMib } from './size.ts'

test('a size without a unit is in MiB, and units are binary', () => {
  const sizes = {
    '512': 512,
    '512m': 512,
    '512M': 512,
    '512MiB': 512,
    '512mb': 512,
    '1g': 1024,
    '1.5G': 1536,
    '1t': 1048576,
  }
  for (const [text, mib] of Object.entries(sizes)) assert.equal(parseSizeMib(text), mib, text)
})

test('what is no size, or no whole number of MiB, is refused', () => {
  for (const text of [
    '',
    'x',
    '-1',
    '0',
    '1k',
    '1.5',
    '0.5m',
    '1e3',
    '1gg',
    '99999999999999999999',
    '1 g b',
    'Infinity',
  ]) {
    assert.throws(() => parseSizeMib(text), { code: 'commander.invalidArgument' }, text)
  }
})

test('a count is a whole number of at least one', () => {
  assert.equal(parseCount('3'), 3)
  for (const text of ['', '0', '-1', '1.5', '1e3', '0x10', 'two']) {
    assert.throws(() => parseCount(text), { code: 'commander.invalidArgument' }, text)
  }
})

test('a port is from 1 to 65535', () => {
  assert.equal(parsePort('1'), 1)
  assert.equal(parsePort('65535'), 65_535)
  for (const text of ['', '0', '65536', '-1', '80a', '0x50', '1e3', '8.5'])
    assert.throws(() => parsePort(text), { code: 'commander.invalidArgument' }, text)
})
