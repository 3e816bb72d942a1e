// The other end of other-process.ts: a process with a runtime of its own that does what it is told, a line of JSON each.
import { createInterface } from 'node:readline'
import { isCofferError, Runtime } from '../../src/index.ts'
import type { Order, Reply } from './other-process.ts'

const [home = ''] = process.argv.slice(2)
const runtime = await Runtime.open({ home })
reply({ id: 0, value: process.pid })
for await (const line of createInterface(process.stdin)) void carryOut(JSON.parse(line))
// Its owner is gone.
process.exit()

async function carryOut({ id, order }: { readonly id: number; readonly order: Order }): Promise<void> {
  try {
    reply({ id, value: (await perform(order)) ?? null })
  } catch (error) {
    reply({ id, error: { code: isCofferError(error) ? error.code : 'none', message: String(error) } })
  }
}

async function perform(order: Order): Promise<unknown> {
  switch (order.do) {
    case 'create':
      return (await runtime.create(order.options, order.name)).id
    case 'start':
      return (await runtime.get(order.box)).start()
    case 'run': {
      const [command, ...args] = order.command
      return (await (await runtime.get(order.box)).run(command, args)).text
    }
    case 'info':
      return (await runtime.get(order.box)).info()
    case 'stop':
      return (await runtime.get(order.box)).stop({ timeoutMs: order.timeoutMs ?? 10_000 })
    case 'remove':
      return runtime.remove(order.box, { force: order.force })
    case 'shutdown':
      return runtime.shutdown()
    case 'exit':
      return process.exit()
  }
}

function reply(message: Reply): void {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}
