import type { Command } from 'commander'
import { addBoxOptions } from '../box-options.ts'
import type { Context } from '../context.ts'
import { addExamples } from '../help-examples.ts'
import { addProcessOptions } from '../process-options.ts'
import { type RunOptions, run } from '../run.ts'
import { splitRun } from '../split-run.ts'

export function addRun(program: Command, context: Context): void {
  const command = program
    .command('run')
    .summary('make a box, run a command in it, remove the box')
    .description(
      'Makes a box, runs a command in it and removes the box. Without IMAGE: busybox, which is built in.\n' +
        "CMD comes after the image's entrypoint; without CMD, what the image says is run. Of busybox that is a shell, and with -d nothing: the box " +
        'runs until it is stopped.\n' +
        'With -d the box is kept. Options after IMAGE or after -- belong to the command.',
    )
    .usage('[options] [IMAGE] [--] [CMD...]')
    .argument('[IMAGE]')
    .argument('[CMD...]')
    .passThroughOptions()
  addBoxOptions(addProcessOptions(command))
    .option('-d, --detach', 'do not wait for the command: print the id of the box')
    .option('--rm', 'remove the box when the command has ended (the default without -d)')
    .option('--keep', 'keep the box, stopped, with its disk (the default with -d)')
    .action(async () => {
      const { image, command: words } = splitRun(context.commandLine, command.args)
      context.exitCode = await run(image, words, command.optsWithGlobals<RunOptions>())
    })
  addExamples(
    command,
    'coffer run -it',
    'coffer run -- uname -a',
    "coffer run python:3.12 python3 -c 'print(1)'",
    'coffer run -d --name web --restart on-failure:3 --health-port 8080 -- httpd -f -p 8080',
  )
}
