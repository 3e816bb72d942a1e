import { Buffer } from 'node:buffer'
import { execFile } from 'node:child_process'
import { readFile, stat } from 'node:fs/promises'
import { promisify } from 'node:util'
import { createTree, isDirectory, link, lookup, makeDirectory, put, type Tree } from '../erofs/tree.ts'
import { createErofsWriter } from '../erofs/writer.ts'
import { CofferError } from '../errors.ts'
import { baseImageConfig, type OciImageConfigSubset } from './base-config.ts'
import { baseDirectories, baseFiles, baseLinks } from './base-files.ts'
import { checkStaticElf } from './static-elf.ts'

const owner = { uid: 0, gid: 0, mtimeSeconds: 0, mtimeNanoseconds: 0 }
const binary = 'bin/busybox'

/**
 * Writes the image `busybox`, which works without a network, as EROFS to `outputPath`. The same binary gives the same
 * bytes. Making the file durable and moving it into place is the caller's.
 *
 * @param busyboxPath the distribution's static BusyBox (Debian: package busybox-static)
 * @throws `config_error` if the binary is missing, dynamic, foreign or does not run; `storage_error`
 */
export async function buildBaseImage(
  busyboxPath: string,
  outputPath: string,
): Promise<{ bytes: number; config: OciImageConfigSubset }> {
  const busybox = await readBusybox(busyboxPath)
  const applets = await listApplets(busyboxPath)
  await using writer = await createErofsWriter(outputPath)
  const tree = createTree({ ...owner, mode: 0o755 })
  for (const [path, mode] of baseDirectories) makeDirectory(tree, path, { ...owner, mode })
  for (const [path, { mode, gid = 0, text }] of baseFiles) {
    put(tree, path, { ...owner, gid, mode, kind: 'file', content: await writer.addFile(Buffer.from(text)) })
  }
  for (const [path, target] of baseLinks)
    put(tree, path, { ...owner, mode: 0o777, kind: 'symlink', target: Buffer.from(target) })
  put(tree, binary, { ...owner, mode: 0o755, kind: 'file', content: await writer.addFile(busybox) })
  for (const applet of applets) linkApplet(tree, applet)
  const { bytes } = await writer.finish(tree)
  return { bytes, config: baseImageConfig }
}

// Hard links, as in Docker's busybox image: each costs a name, and the applet stays whole when another name is replaced.
function linkApplet(tree: Tree, applet: string): void {
  const parent = applet.slice(0, applet.lastIndexOf('/'))
  // BusyBox may list applets in places a box has no use for, such as /linuxrc.
  if (parent === '' || !isDirectory(tree, lookup(tree, parent)) || lookup(tree, applet) !== 0) return
  link(tree, binary, applet)
}

/** The binary, checked to be one that can serve. Throws `config_error`. */
export async function readBusybox(path: string): Promise<Buffer> {
  try {
    const [content, { mode }] = await Promise.all([readFile(path), stat(path)])
    if ((mode & 0o111) === 0) throw new Error('it is not executable')
    checkStaticElf(content)
    return content
  } catch (cause) {
    throw unusable(path, cause)
  }
}

/** Paths of the binary's applets, without the leading slash. Throws `config_error`. */
export async function listApplets(path: string): Promise<string[]> {
  try {
    const { stdout } = await promisify(execFile)(path, ['--list-full'], { env: {}, timeout: 10_000 })
    const applets = stdout.split('\n').filter(line => line !== '')
    if (!applets.includes('bin/sh')) throw new Error('it has no shell')
    return applets.sort()
  } catch (cause) {
    throw unusable(path, cause)
  }
}

function unusable(path: string, cause: unknown): CofferError {
  return new CofferError(
    'config_error',
    `cannot build the base image from ${path}: ${cause instanceof Error ? cause.message : String(cause)}`,
    {
      hint: 'Run `coffer setup`: it installs a static BusyBox (Debian package busybox-static).',
      cause,
    },
  )
}
