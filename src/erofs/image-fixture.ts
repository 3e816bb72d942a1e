import { Buffer } from 'node:buffer'
import { execFile } from 'node:child_process'
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { systemErrorCode } from '../errors.ts'
import { createTree } from './tree.ts'
import { createErofsWriter } from './writer.ts'

const run = promisify(execFile)

/** What a viewer shows of one inode; undefined is what it loses. `xattrs` are hexadecimal by name. */
export type Seen = {
  readonly mode: number
  readonly uid: number | undefined
  readonly gid: number | undefined
  readonly mtime: bigint
  readonly links: number | undefined
  readonly device: string | undefined
  readonly target: string | undefined
  readonly content: Buffer | undefined
  readonly xattrs: Record<string, string> | undefined
}

/**
 * How this machine can look into an image: by a loop mount, which takes root, else by extracting. Extracting loses owners,
 * hard links and xattrs, makes no devices, and cannot enter directories its user may not.
 */
export type Viewer = 'mount' | 'extract'

/** The best viewer here, or undefined after skipping the test with the reason. */
export async function chooseViewer(t: TestContext): Promise<Viewer | undefined> {
  chosen ??= probeViewers()
  const viewer = await chosen
  if (viewer === undefined) t.skip('neither a loop mount of EROFS nor fsck.erofs is available')
  return viewer
}

/** A directory for this test, removed when it ends. */
export async function makeDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-erofs-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  return directory
}

/** Calls `look` with the path of a directory that shows the image. */
export async function withImage<T>(
  image: string,
  viewer: Viewer,
  look: (root: string) => Promise<T>,
): Promise<T> {
  const root = `${image}.view`
  await mkdir(root, { recursive: true })
  if (viewer === 'extract') {
    await run('fsck.erofs', [
      `--extract=${root}`,
      '--overwrite',
      '--no-preserve-owner',
      '--preserve-perms',
      image,
    ])
    return look(root)
  }
  await run('mount', ['-t', 'erofs', '-o', 'loop,ro', image, root])
  try {
    return await look(root)
  } finally {
    await run('umount', [root])
    await rm(root, { recursive: true })
  }
}

/** fsck.erofs on the image, where it is installed; rejects with its complaints. */
export async function checkImage(image: string): Promise<void> {
  try {
    await run('fsck.erofs', ['--extract', image])
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error
  }
}

/** Everything below `root`, which itself is '', by latin1 path. */
export async function survey(root: string, viewer: Viewer): Promise<Map<string, Seen>> {
  const xattrs = viewer === 'mount' ? await readXattrs(root) : undefined
  const seen = new Map<string, Seen>()
  const queue = ['']
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    const bytes = Buffer.concat([Buffer.from(root), Buffer.from(path === '' ? '' : `/${path}`, 'latin1')])
    const stat = lstatSync(bytes, { bigint: true })
    const special = stat.isCharacterDevice() || stat.isBlockDevice()
    seen.set(path, {
      mode: Number(stat.mode),
      uid: viewer === 'mount' ? Number(stat.uid) : undefined,
      gid: viewer === 'mount' ? Number(stat.gid) : undefined,
      mtime: stat.mtimeNs,
      links: viewer === 'mount' ? Number(stat.nlink) : undefined,
      device: special ? stat.rdev.toString(16) : undefined,
      target: stat.isSymbolicLink() ? readlinkSync(bytes, 'buffer').toString('latin1') : undefined,
      content: stat.isFile() ? readFileSync(bytes) : undefined,
      xattrs: xattrs === undefined ? undefined : (xattrs.get(path) ?? {}),
    })
    if (!stat.isDirectory()) continue
    const prefix = path === '' ? '' : `${path}/`
    for (const name of readdirSync(bytes, 'buffer')) queue.push(prefix + name.toString('latin1'))
  }
  return seen
}

/** Extended attributes below `root` in hexadecimal, by latin1 path and name. */
export async function readXattrs(root: string): Promise<Map<string, Record<string, string>>> {
  const { stdout } = await run(
    'getfattr',
    ['-R', '-P', '-h', '-d', '-m', '-', '-e', 'hex', '--absolute-names', root],
    {
      encoding: 'latin1',
      maxBuffer: 64 * 1024 * 1024,
    },
  )
  const found = new Map<string, Record<string, string>>()
  for (const block of stdout.split('\n\n')) {
    const [header, ...lines] = block.split('\n').filter(line => line !== '')
    if (header === undefined) continue
    const path = unescapeOctal(header.slice('# file: '.length))
    const pairs = lines.map(line => {
      const equals = line.indexOf('=')
      return equals < 0 ? [line, ''] : [line.slice(0, equals), line.slice(equals + '=0x'.length)]
    })
    found.set(path.slice(root.length + 1), Object.fromEntries(pairs))
  }
  return found
}

// getfattr quotes bytes that are not printable, and the backslash, in octal.
const unescapeOctal = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))

let chosen: Promise<Viewer | undefined> | undefined

// Root, a kernel with EROFS and a free loop device do not say that mounting is allowed: only mounting does.
async function probeViewers(): Promise<Viewer | undefined> {
  const directory = await mkdtemp(join(tmpdir(), 'coffer-erofs-'))
  try {
    const image = join(directory, 'probe')
    const writer = await createErofsWriter(image)
    await writer.finish(createTree({ mode: 0o755, uid: 0, gid: 0, mtimeSeconds: 0, mtimeNanoseconds: 0 }))
    for (const viewer of ['mount', 'extract'] as const) {
      const works = await withImage(image, viewer, async () => true).catch(() => false)
      if (works) return viewer
    }
    return undefined
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
