import { Buffer } from 'node:buffer'
import { baseImageConfig } from '../base-config.ts'
import { baseDirectories, baseFiles, baseLinks } from '../base-files.ts'
import { listApplets, readBusybox } from '../base-image.ts'
import type { ContentStore } from '../content.ts'
import { directoryMember, fileMember } from '../save/blob-member.ts'
import type { TarMember } from '../save/tar-writer.ts'
import { writeTar } from '../save/tar-writer.ts'
import { writeLayer } from '../save/write-layer.ts'
import { type CommitBase, emptyConfig } from './commit-base.ts'

const binary = 'bin/busybox'
const maxBytes = 64 * 1024 * 1024

/** The built-in image as others are: a layer of the same tree, which is not kept for boxes as nothing else needs it. */
export async function builtInBase(content: ContentStore, busyboxPath: string): Promise<CommitBase> {
  const [busybox, applets] = await Promise.all([readBusybox(busyboxPath), listApplets(busyboxPath)])
  const layer = await writeLayer(content, writeTar(members(busybox, applets)), { maxBytes })
  return {
    layers: [layer.descriptor],
    diffIds: [layer.diffId],
    config: { ...emptyConfig, config: baseImageConfig },
  }
}

function* members(busybox: Buffer, applets: readonly string[]): Generator<TarMember> {
  const taken = new Set<string>([binary])
  const directories = new Set(baseDirectories.map(([path]) => path))
  yield { ...directoryMember('./'), mode: 0o755 }
  for (const [path, mode] of baseDirectories) yield { ...directoryMember(`${path}/`), mode }
  for (const [path, { mode, gid = 0, text }] of baseFiles) {
    taken.add(path)
    yield { ...fileMember(path, Buffer.from(text)), mode, gid }
  }
  for (const [path, target] of baseLinks) {
    taken.add(path)
    yield { ...fileMember(path, Buffer.alloc(0)), kind: 'symlink', linkPath: target, mode: 0o777 }
  }
  yield { ...fileMember(binary, busybox), mode: 0o755 }
  for (const applet of applets) {
    const parent = applet.slice(0, applet.lastIndexOf('/'))
    // BusyBox may list applets in places a box has no use for, such as /linuxrc.
    if (!directories.has(parent) || taken.has(applet)) continue
    taken.add(applet)
    yield { ...fileMember(applet, Buffer.alloc(0)), kind: 'hardlink', linkPath: binary, mode: 0o755 }
  }
}
