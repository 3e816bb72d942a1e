import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { BoxEvent, EventOptions } from '../../src/index.ts'
import { maxEvents } from '../../src/state/events.ts'
import { Store } from '../../src/state/store.ts'
import { openTestHome, smallBox, type TestHome } from '../home.ts'

let home: TestHome
before(async () => {
  home = await openTestHome()
})
after(() => home[Symbol.asyncDispose]())

test('the life of a box is told in order, with how its executions and it ended', async () => {
  const box = await home.runtime.create(smallBox, 'told')
  await box.run('sh', ['-c', 'exit 7'])
  await box.pause()
  await box.resume()
  await box.stop()
  await home.runtime.remove('told')
  const events = await all({ box: 'told' })
  assert.deepEqual(
    events.map(({ type }) => type),
    [
      'created',
      'starting',
      'started',
      'exec_started',
      'exec_exited',
      'paused',
      'resumed',
      'stopping',
      'stopped',
      'removed',
    ],
  )
  assert.equal(detail(events, 'exec_started', 'command'), 'sh -c exit 7')
  assert.equal(detail(events, 'exec_exited', 'exitCode'), 7)
  assert.equal(detail(events, 'stopped', 'cause'), 'stopped')
  assert.ok(events.every(({ boxId, boxName }) => boxId === box.id && boxName === 'told'))
  assert.ok(events.every(({ cursor }, index) => cursor > (events[index - 1]?.cursor ?? 0)))
})

test('another runtime hears what happens, from where it left off', async () => {
  await using other = await home.open()
  const stop = new AbortController()
  const heard: BoxEvent[] = []
  const first = other.events({ signal: stop.signal })[Symbol.asyncIterator]()
  const next = first.next()
  const box = await home.runtime.create(smallBox)
  heard.push((await next).value)
  assert.equal(heard[0]?.type, 'created')
  assert.equal(heard[0]?.boxId, box.id)
  stop.abort()
  assert.equal((await first.next()).done, true)
  await home.runtime.remove(box.id)
  const later = await all({ after: heard[0]?.cursor ?? 0, box: box.id })
  assert.deepEqual(
    later.map(({ type }) => type),
    ['removed'],
  )
})

test('the last ten thousand events are kept, and who comes too late is told how many are gone', async () => {
  {
    using store = new Store(`${home.path}/coffer.db`)
    store.transaction(() => {
      for (let index = 0; index < maxEvents + 600; index++)
        store.addEvent({ id: 'flood', name: undefined }, 'health')
    })
  }
  const events = await all({ after: 0 })
  assert.equal(events[0]?.type, 'missed')
  const missed = events[0]?.details['count']
  assert.ok(typeof missed === 'number' && missed >= 340)
  assert.ok(events.length - 1 <= maxEvents + 256)
  assert.equal(events[1]?.cursor, missed + 1)
})

async function all(options: EventOptions): Promise<BoxEvent[]> {
  return Array.fromAsync(home.runtime.events({ after: 0, ...options, follow: false }))
}

function detail(events: readonly BoxEvent[], type: string, key: string): unknown {
  return events.find(event => event.type === type)?.details[key]
}
