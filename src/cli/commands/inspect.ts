import type { Command } from 'commander'
import { type Context, globalOptionsOf, withRuntime } from '../context.ts'

export function addInspect(program: Command, context: Context): void {
  const command = program
    .command('inspect')
    .summary('show everything about boxes, as JSON')
    .description(
      'Prints a JSON array with everything known about the boxes, in the order in which they were named.',
    )
    .argument('<BOX...>')
    .action(async (references: string[]) => {
      const boxes = await withRuntime(globalOptionsOf(command), runtime =>
        Promise.all(references.map(async reference => (await runtime.get(reference)).info())),
      )
      process.stdout.write(`${JSON.stringify(boxes, undefined, 2)}\n`)
      context.exitCode = 0
    })
}
