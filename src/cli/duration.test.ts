import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseDurationMs, parseTimerMs } from './duration.ts'

test('a duration without a unit is in seconds', () => {
  const durations = { '10': 10_000, '0': 0, '500ms': 500, '1.5s': 1500, '2m': 120_000, '1H': 3_600_000 }
  for (const [text, ms] of Object.entries(durations)) assert.equal(parseDurationMs(text), ms, text)
})

test('what is no duration is refused', () => {
  for (const text of ['', '-1', 's', '1d', '1 s s', 'soon', '9999999999999999h']) {
    assert.throws(() => parseDurationMs(text), { code: 'commander.invalidArgument' }, text)
  }
})

test('a timer needs a duration that is not nothing, and not longer than timers are', () => {
  assert.equal(parseTimerMs('1ms'), 1)
  assert.equal(parseTimerMs('596h'), 596 * 3_600_000)
  for (const text of ['0', '0.1ms', '0h', '597h'])
    assert.throws(() => parseTimerMs(text), { code: 'commander.invalidArgument' }, text)
})
