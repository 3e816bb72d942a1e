import { createHash } from 'node:crypto'
import { closeSync, lstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs'
import { readXattrs } from '../../src/erofs/image-fixture.ts'

/** All that a stat of an inode tells and a container could see, and a hash of its content. */
export type Inode = {
  /** With the type. */
  readonly mode: string
  readonly uid: number
  readonly gid: number
  readonly mtimeNs: bigint
  /** Of files and links. */
  readonly size: number | null
  readonly sha256: string | null
  readonly target: string | null
  readonly device: number | null
  /** All names of the inode, if it has several. */
  readonly names: readonly string[]
  readonly xattrs: Readonly<Record<string, string>>
}

/** Every inode below `root`, which itself is '', by latin1 path in byte order. Takes root to be true. */
export async function surveyTree(root: string): Promise<Map<string, Inode>> {
  const xattrs = await readXattrs(root)
  const found = new Map<string, Omit<Inode, 'names'> & { readonly number: bigint }>()
  const names = new Map<bigint, string[]>()
  const queue = ['']
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    const bytes = Buffer.from(path === '' ? root : `${root}/${path}`, 'latin1')
    const stat = lstatSync(bytes, { bigint: true })
    const isDevice = stat.isCharacterDevice() || stat.isBlockDevice()
    found.set(path, {
      mode: Number(stat.mode).toString(8),
      uid: Number(stat.uid),
      gid: Number(stat.gid),
      mtimeNs: stat.mtimeNs,
      size: stat.isDirectory() ? null : Number(stat.size),
      sha256: stat.isFile() ? hashFile(bytes) : null,
      target: stat.isSymbolicLink() ? readlinkSync(bytes, 'buffer').toString('latin1') : null,
      device: isDevice ? Number(stat.rdev) : null,
      xattrs: xattrs.get(path) ?? {},
      number: stat.ino,
    })
    if (!stat.isDirectory()) names.set(stat.ino, [...(names.get(stat.ino) ?? []), path].sort())
    else
      for (const name of readdirSync(bytes, 'buffer'))
        queue.push((path === '' ? '' : `${path}/`) + name.toString('latin1'))
  }
  return new Map(
    [...found.keys()].sort().map(path => {
      const { number, ...rest } = found.get(path) ?? fail(path)
      const all = names.get(number) ?? []
      return [path, { ...rest, names: all.length > 1 ? all : [] }]
    }),
  )
}

const fail = (path: string): never => {
  throw new Error(path)
}

const buffer = Buffer.alloc(1024 * 1024)

function hashFile(path: Buffer): string {
  const hash = createHash('sha256')
  const descriptor = openSync(path, 'r')
  try {
    for (let bytes = readSync(descriptor, buffer); bytes > 0; bytes = readSync(descriptor, buffer))
      hash.update(buffer.subarray(0, bytes))
  } finally {
    closeSync(descriptor)
  }
  return hash.digest('hex')
}
