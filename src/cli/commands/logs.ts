import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Command } from 'commander'
import { CofferError, systemErrorCode } from '../../errors.ts'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { parseCount } from '../size.ts'
import { printable } from '../style.ts'

type Options = GlobalOptions & { readonly lines?: number }

export function addLogs(program: Command, context: Context): void {
  const command = program
    .command('logs')
    .summary("show a box's console")
    .description("Prints what the box's kernel wrote on its console in its present or last run.")
    .argument('<BOX>')
    .option('-n, --lines <COUNT>', 'only the last lines', parseCount)
    .action(async (reference: string) => {
      const options = command.optsWithGlobals<Options>()
      const info = await withRuntime(options, async runtime => (await runtime.get(reference)).info())
      const lines = await lastLines(join(info.directory, 'console.log'), options.lines, reference)
      // The guest chose these bytes: on a terminal they are text and nothing else.
      const show = process.stdout.isTTY === true ? printable : (line: string) => line
      for (const line of lines) process.stdout.write(`${show(line)}\n`)
      context.exitCode = 0
    })
}

/** The file is bounded by whoever writes it, so all of it may be kept. */
async function lastLines(file: string, count: number | undefined, reference: string): Promise<string[]> {
  const lines: string[] = []
  try {
    for await (const line of createInterface({
      input: createReadStream(file),
      crlfDelay: Number.POSITIVE_INFINITY,
    })) {
      lines.push(line)
      if (count !== undefined && lines.length > count) lines.shift()
    }
    return lines
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error
    throw new CofferError('not_found', `box ${reference} has no console log`, {
      hint: 'it is written from the first start on',
      cause: error,
    })
  }
}
