import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CofferError, systemErrorCode } from '../errors.ts'
import { type Compression, compressionOf, decompress } from './decompress.ts'
import { readModinfo } from './modinfo.ts'

/** What the guest needs before it has a root file system. What these depend on is found by itself. */
export const wantedModules = [
  'virtio_pci',
  'virtio_blk',
  'virtio_console',
  'virtio_rng',
  'virtio_balloon',
  'erofs',
  'overlay',
  'ext4',
] as const

export type KernelModule = {
  /** With underscores, as in /proc/modules. */
  readonly name: string
  /** The file as installed. */
  readonly path: string
  /** How it is compressed there. */
  readonly compressed: Compression
  /** The ELF object, not compressed. */
  readonly content: Uint8Array
}

type Index = {
  readonly directory: string
  readonly files: ReadonlyMap<string, string>
  readonly builtin: ReadonlySet<string>
}

/**
 * The modules to load for `wanted`, dependencies first, by what the modules themselves declare: a kernel package that is
 * only unpacked has no modules.dep. What is built into the kernel is left out.
 *
 * @param directory `…/lib/modules/VERSION`
 * @param wanted module names, where `-` and `_` are the same
 * @throws `config_error` naming the module and the directory if a module is neither a file nor built in
 */
export async function resolveModules(directory: string, wanted: readonly string[]): Promise<KernelModule[]> {
  const index: Index = { directory, files: await findFiles(directory), builtin: await readBuiltin(directory) }
  const loaded = new Map<string, KernelModule>()
  for (const name of wanted) await addModule(index, normalise(name), loaded, [])
  return [...loaded.values()]
}

async function addModule(
  index: Index,
  name: string,
  loaded: Map<string, KernelModule>,
  dependents: readonly string[],
): Promise<void> {
  if (loaded.has(name) || index.builtin.has(name) || dependents.includes(name)) return
  const path = index.files.get(name)
  if (path === undefined) throw missing(index.directory, name, dependents)
  const compressed = compressionOf(path)
  const content = await decompress(await readFile(path), compressed, path)
  const { depends, softBefore } = readModinfo(content, path)
  const chain = [...dependents, name]
  for (const soft of softBefore) {
    const provider = providersOf(soft).find(candidate => index.files.has(candidate))
    if (provider !== undefined) await addModule(index, provider, loaded, chain)
  }
  for (const dependency of depends) await addModule(index, normalise(dependency), loaded, chain)
  // Set last: a Map keeps the order of insertion, which is the order to load in.
  loaded.set(name, { name, path, compressed, content })
}

// A soft dependency often names an algorithm of the kernel's crypto layer (libcrc32c: "crc32c", ext4: "crypto-crc32c"), which
// modprobe finds by alias. The portable implementation of an algorithm is called NAME_generic.
function providersOf(soft: string): string[] {
  const name = normalise(soft)
  return [name, `${name.replace(/^crypto_/, '')}_generic`]
}

const normalise = (name: string): string => name.replaceAll('-', '_')

// One walk over 4,000 files takes 50 ms, so there is no second way by modules.dep, which may be stale or absent.
async function findFiles(directory: string): Promise<Map<string, string>> {
  const files = new Map<string, string>()
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true }).catch(
    unreadable(directory),
  )) {
    const name = /^(.+)\.ko(\.(xz|zst|gz))?$/.exec(entry.name)?.[1]
    if (name !== undefined) files.set(normalise(name), join(entry.parentPath, entry.name))
  }
  return files
}

async function readBuiltin(directory: string): Promise<Set<string>> {
  const path = join(directory, 'modules.builtin')
  const text = await readFile(path, 'utf8').catch(error =>
    systemErrorCode(error) === 'ENOENT' ? '' : unreadable(path)(error),
  )
  return new Set([...text.matchAll(/([^/\n]+)\.ko$/gm)].map(([, name = '']) => normalise(name)))
}

function unreadable(path: string): (cause: unknown) => never {
  return cause => {
    throw new CofferError('config_error', `cannot read kernel modules in ${path}`, {
      hint: 'Run `coffer setup` to fetch the kernel again.',
      cause,
    })
  }
}

function missing(directory: string, name: string, dependents: readonly string[]): CofferError {
  const dependent = dependents.at(-1)
  const why = dependent === undefined ? '' : `, which ${dependent} needs`
  return new CofferError(
    'config_error',
    `kernel module ${name}${why}, is neither in ${directory} nor built in`,
    {
      hint: 'Use a generic distribution kernel (linux-image-amd64) with virtio, EROFS and overlay; `coffer setup` fetches one.',
      details: { module: name, directory },
    },
  )
}
