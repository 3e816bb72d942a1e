import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TransferRate } from './transfer-rate.ts'

test('the rate is that of the last five seconds, and unknown at first', () => {
  const rate = new TransferRate()
  assert.equal(rate.bytesPerSecond(0), undefined)
  rate.add(0, 0)
  rate.add(100, 100)
  assert.equal(rate.bytesPerSecond(100), undefined)
  for (let second = 1; second <= 10; second++) rate.add(second * 1000, second * 1000)
  assert.equal(rate.bytesPerSecond(10_000), 1000)
  for (let second = 11; second <= 20; second++) rate.add(10_000 + (second - 10) * 10, second * 1000)
  assert.equal(rate.bytesPerSecond(20_000), 10)
})

test('it sinks while nothing comes, and begins anew with less than there was', () => {
  const rate = new TransferRate()
  rate.add(0, 0)
  rate.add(1000, 1000)
  assert.equal(rate.bytesPerSecond(1000), 1000)
  assert.equal(rate.bytesPerSecond(4000), 250)
  assert.equal(rate.bytesPerSecond(7000), 0)
  rate.add(0, 8000)
  assert.equal(rate.bytesPerSecond(8000), undefined)
})
