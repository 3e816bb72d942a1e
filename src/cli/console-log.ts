import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { CofferError, systemErrorCode } from '../errors.ts'
import { printable } from './style.ts'

/** Prints what the box's kernel wrote on its console. */
export async function printConsole(
  directory: string,
  lineCount: number | undefined,
  reference: string,
): Promise<void> {
  const lines = await lastLines(join(directory, 'console.log'), lineCount, reference)
  // The guest chose these bytes: on a terminal they are text and nothing else.
  const show = process.stdout.isTTY === true ? printable : (line: string) => line
  for (const line of lines) process.stdout.write(`${show(line)}\n`)
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
