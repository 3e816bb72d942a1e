import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Command } from 'commander'
import type { Context } from '../context.ts'
import { exitCodeOfSignal, exitCodes } from '../exit-codes.ts'

export function addSetup(program: Command, context: Context): void {
  program
    .command('setup')
    .summary('install what boxes need on this machine')
    .description(
      'Installs what boxes need on this machine: QEMU and its company, the guest kernel, the guest agent.',
    )
    .action(async () => {
      context.exitCode = await setUp()
    })
}

async function setUp(): Promise<number> {
  const script = join(import.meta.dirname, '../../../scripts/setup.sh')
  const child = spawn('sh', [script], { stdio: 'inherit' })
  const [code, signal]: [number | null, NodeJS.Signals | null] = (await once(child, 'exit')) as [
    number | null,
    NodeJS.Signals | null,
  ]
  if (signal !== null) return exitCodeOfSignal(signal)
  return code === 0 ? exitCodes.ok : exitCodes.failure
}
