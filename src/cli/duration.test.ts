import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDurationMs } from './duration.ts'

test('a duration without a unit is in seconds', () => {
  const durations = { '10': 10_000, '0': 0, '500ms': 500, '1.5s': 1500, '2m': 120_000, '1H': 3_600_000 }
  for (const [text, ms] of Object.entries(durations)) assert.equal(parseDurationMs(text), ms, text)
})

test('what is no duration is refused', () => {
  for (const text of ['', '-1', 's', '1d', '1 s s', 'soon', '9999999999999999h']) {
    assert.throws(() => parseDurationMs(text), { code: 'commander.invalidArgument' }, text)
  }
})
