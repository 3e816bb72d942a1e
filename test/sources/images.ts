import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type TarItem, tarArchive } from '../../src/image/layer/tar-fixture.ts'
import { writeLayout } from '../layers/layout.ts'

const execute = promisify(execFile)

export async function run(command: string, ...args: string[]): Promise<string> {
  const { stdout } = await execute(command, args, { maxBuffer: 256 * 1024 * 1024 })
  return stdout
}

/** `skopeo copy`, which accepts whatever signature policy the machine lacks. */
export async function skopeoCopy(source: string, target: string, ...options: string[]): Promise<void> {
  await run('skopeo', 'copy', '--quiet', '--insecure-policy', ...options, source, target)
}

const layers: readonly (readonly TarItem[])[] = [
  [
    { path: 'etc/', flag: '5', mode: 0o755 },
    { path: 'etc/motd', content: 'first' },
    { path: 'bin/tool', content: '#!/bin/sh\n', mode: 0o4755 },
    { path: 'gone', content: 'soon' },
  ],
  [
    { path: 'etc/motd', content: 'second' },
    { path: '.wh.gone' },
    { path: 'bin/other', flag: '1', linkPath: 'bin/tool' },
  ],
]

/**
 * An OCI layout directory with an image of three gzip layers, which every tool reads and none writes anew; tag `image`. Another `seed` gives
 * another image.
 */
export function makeLayout(directory: string, seed = 'seed'): string {
  const [first = [], second = []] = layers
  return writeLayout(directory, [
    { tar: tarArchive(first), compression: 'gzip' },
    { tar: tarArchive(second), compression: 'gzip' },
    { tar: tarArchive([{ path: 'seed', content: seed }]), compression: 'gzip' },
  ])
}

/** The digest of the only manifest of a layout. */
export function manifestDigest(layout: string): string {
  return JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')).manifests[0].digest
}

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

export function fileDigest(path: string): string {
  return sha256(readFileSync(path))
}
