import { spawn } from 'node:child_process'
import { buffer } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { gunzip, zstdDecompress } from 'node:zlib'
import { CofferError } from '../errors.ts'

export type Compression = 'none' | 'xz' | 'zst' | 'gz'

/** The compression that a file's extension stands for. */
export function compressionOf(path: string): Compression {
  const extension = /\.(xz|zst|gz)$/.exec(path)?.[1]
  return extension === 'xz' || extension === 'zst' || extension === 'gz' ? extension : 'none'
}

// The largest module of a distribution kernel has about 20 MB.
const maxOutputLength = 256 * 1024 * 1024

/**
 * @param path for messages
 * @throws `config_error` if the data is damaged, or xz is not installed
 */
export async function decompress(
  data: Uint8Array,
  compression: Compression,
  path: string,
): Promise<Uint8Array> {
  try {
    if (compression === 'gz') return await promisify(gunzip)(data, { maxOutputLength })
    if (compression === 'zst') return await promisify(zstdDecompress)(data, { maxOutputLength })
    return compression === 'xz' ? await unxz(data) : data
  } catch (cause) {
    throw new CofferError(
      'config_error',
      `cannot decompress ${path}: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        hint:
          compression === 'xz'
            ? 'Install xz-utils, or run `coffer setup` to fetch the file again.'
            : 'Run `coffer setup` to fetch the file again.',
        cause,
      },
    )
  }
}

// Node has no xz. The program gets its input on a pipe, so no path of ours ends up among its options.
async function unxz(data: Uint8Array): Promise<Uint8Array> {
  const child = spawn('xz', ['--decompress', '--stdout'], { stdio: ['pipe', 'pipe', 'pipe'] })
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  // A damaged stream makes xz leave before it has read everything; its exit code tells, not EPIPE.
  child.stdin.on('error', () => undefined)
  child.stdin.end(data)
  const [output, complaint, code] = await Promise.all([buffer(child.stdout), buffer(child.stderr), exited])
  if (code !== 0) throw new Error(complaint.toString().trim() || `xz exited with ${code}`)
  return output
}
