// A box that outlives this program's interest in it: it is started, waited for, watched, and found again by its name.
import { Runtime } from '../src/index.ts'

await using runtime = await Runtime.open()
const box = await runtime.create(
  {
    command: ['sh', '-c', 'sleep 0.2; echo listening; exec httpd -f -p 8080'],
    memoryMib: 192,
    diskMib: 256,
    detach: true,
    restart: 'on-failure:3',
    healthCheck: { port: 8080, intervalMs: 100, startPeriodMs: 10_000 },
  },
  'web',
)

// Everything that happens from here on, as it happens.
const watching = (async () => {
  for await (const { type, details } of runtime.events({ box: box.id })) {
    if (type === 'health') console.log(`health: ${details['status']}`)
    else console.log(type)
    if (type === 'removed') return
  }
})()

await box.start()
console.log(`log: ${await box.waitForLog('listening', { timeoutMs: 30_000 })}`)
await box.waitUntilHealthy({ timeoutMs: 30_000 })

await box.pause()
await box.resume()

// What another program does on the same home.
const found = await runtime.get('web')
await found.stop()
const { reason } = await found.info()
console.log(`it ended: ${reason}`)
await runtime.remove('web')
await watching
