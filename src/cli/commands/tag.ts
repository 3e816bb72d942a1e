import type { Command } from 'commander'
import { type Context, globalOptionsOf, withRuntime } from '../context.ts'
import { exitCodes } from '../exit-codes.ts'
import { addExamples } from '../help-examples.ts'

export function addTag(program: Command, context: Context): void {
  const command = program
    .command('tag')
    .summary('give an image another name')
    .description('Gives an image another name. An image that had it before loses it.')
    .argument('<SOURCE>')
    .argument('<TARGET>')
    .action(async (source: string, target: string) => {
      await withRuntime(globalOptionsOf(command), runtime => runtime.images.tag(source, target))
      context.exitCode = exitCodes.ok
    })
  addExamples(command, 'coffer tag app:1 registry.example:5000/team/app:1')
}
