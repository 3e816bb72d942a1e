import { Buffer } from 'node:buffer'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Xattrs } from '../../erofs/xattr.ts'
import { CofferError } from '../../errors.ts'

// Labels of the host's SELinux and notes of its overlayfs mean nothing in a box.
const wanted = '^(user\\.|security\\.capability$|system\\.posix_acl_)'
const maxBytes = 64 * 1024 * 1024

/**
 * Extended attributes of all that is below `root`, by latin1 path. Node has no call for them, so the command getfattr is asked (Debian: package
 * attr); undefined where there is none.
 *
 * @throws `resource_exhausted` beyond 64 MiB of them
 */
export async function treeXattrs(
  root: string,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, Xattrs> | undefined> {
  const args = ['--recursive', '--physical', '--no-dereference', '--dump', '--encoding=hex']
  const child = spawn('getfattr', [...args, `--match=${wanted}`, '.'], {
    cwd: root,
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'ignore'],
    signal,
  })
  const failed = new Promise<boolean>(resolve => {
    child.once('error', () => resolve(true))
    child.once('close', () => resolve(false))
  })
  try {
    const found = await parse(createInterface({ input: child.stdout.setEncoding('latin1') }))
    // What it could not read is told by who reads the files themselves.
    return (await failed) ? undefined : found
  } finally {
    child.kill('SIGKILL')
  }
}

async function parse(lines: AsyncIterable<string>): Promise<Map<string, Xattrs>> {
  const found = new Map<string, Map<string, Uint8Array>>()
  let current: Map<string, Uint8Array> | undefined
  let bytes = 0
  for await (const line of lines) {
    bytes += line.length
    if (bytes > 2 * maxBytes) throw tooMany()
    if (line.startsWith('# file: ')) {
      current = new Map()
      const path = unescaped(line.slice(8))
      found.set(path === '.' ? '' : path.replace(/^\.\//, ''), current)
      continue
    }
    const separator = line.lastIndexOf('=0x')
    const name = Buffer.from(
      unescaped(separator === -1 ? line : line.slice(0, separator)),
      'latin1',
    ).toString()
    if (name !== '') current?.set(name, Buffer.from(separator === -1 ? '' : line.slice(separator + 3), 'hex'))
  }
  return found
}

/** getfattr writes a backslash, and what could not stand in a line, as octal digits. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 8)))
}

function tooMany(): CofferError {
  return new CofferError('resource_exhausted', `the extended attributes take more than ${maxBytes} bytes`)
}
