import { Buffer } from 'node:buffer'
import { type FileHandle, open } from 'node:fs/promises'
import { CofferError } from '../errors.ts'
import { attempt, writeFully } from './file-io.ts'
import { blockBytes, maxInlineBytes, noBlock } from './format.ts'
import { writeBlocks, writeInodes } from './metadata.ts'
import type { Content } from './node.ts'
import { createOutput, type Output } from './output.ts'
import { planInodes } from './plan.ts'
import { encodeSuperblock } from './superblock.ts'
import { createTailStore, type TailStore } from './tail-store.ts'
import type { Tree } from './tree.ts'

export type ErofsWriterOptions = {
  /** Seconds since 1970, recorded in the superblock. Default 0. */
  readonly buildTimeSeconds?: number | undefined
  /** At most 16 bytes of UTF-8. */
  readonly volumeName?: string | undefined
  /** 16 bytes. Default: derived from the metadata, so equal trees get equal images. */
  readonly uuid?: Uint8Array | undefined
  /** Memory for ends of files that wait for `finish`; what exceeds it goes to an unlinked file beside the image. Default 16 MiB. */
  readonly maxTailMemoryBytes?: number | undefined
  /** Whether `finish` makes the image durable before it returns. Default false. */
  readonly sync?: boolean | undefined
}

export type ErofsImage = {
  /** Size of the image file. */
  readonly bytes: number
  readonly inodes: number
  /** Bytes of contents that were added and that no file of the tree has. */
  readonly wastedBytes: number
}

export type ErofsWriter = {
  /**
   * Appends contents to the image, one at a time and as they arrive. A failing source leaves a gap and the writer usable.
   *
   * @throws `storage_error`; `invalid_state` while another content is being added or after `finish`; what the source throws
   */
  addFile(content: AsyncIterable<Uint8Array> | Uint8Array): Promise<Content>
  /**
   * Writes the metadata of `tree`, then the superblock, and closes the file. Without it the file is no image.
   *
   * @throws `storage_error`; `invalid_state` if the writer or the tree was finished before
   */
  finish(tree: Tree): Promise<ErofsImage>
  /** Closes the file if `finish` has not; what to do with it is the caller's. */
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Opens a new EROFS image at `path`, in place of what is there, to be mounted by Linux 5.4 or later.
 *
 * The order on disk is the order of arrival: block 0 for the superblock, contents, directories, inodes. Contents can so be
 * written while the tree is still unknown, at the cost of a gap for each one that is replaced later.
 */
export async function createErofsWriter(
  path: string,
  options: ErofsWriterOptions = {},
): Promise<ErofsWriter> {
  const identity = checkOptions(options)
  const file = await attempt('create', () => open(path, 'w+', 0o600))
  const output = createOutput(file, blockBytes)
  const tails = createTailStore(path, options.maxTailMemoryBytes ?? 16 * 1024 * 1024)
  let state: 'open' | 'adding' | 'closed' = 'open'

  const enter = (next: 'adding' | 'closed', step: string): void => {
    if (state !== 'open') {
      throw new CofferError(
        'invalid_state',
        `cannot ${step} image ${path}: ${state === 'adding' ? 'a file is being added' : 'it is closed'}`,
        {
          hint: 'Await each call before the next one.',
        },
      )
    }
    state = next
  }
  const close = async (): Promise<void> => {
    await tails.close()
    await attempt('close', () => file.close())
  }

  return {
    async addFile(content) {
      enter('adding', 'add a file to')
      try {
        return await appendContent(content, output, tails)
      } finally {
        state = 'open'
      }
    },
    async finish(tree) {
      enter('closed', 'finish')
      try {
        return await writeImage(tree, { file, output, tails, identity, sync: options.sync === true })
      } finally {
        await close()
      }
    },
    async [Symbol.asyncDispose]() {
      if (state === 'closed') return
      state = 'closed'
      await close()
    },
  }
}

type Identity = {
  readonly buildTimeSeconds: number
  readonly volumeName: Uint8Array
  readonly uuid: Uint8Array | undefined
}
type Target = { file: FileHandle; output: Output; tails: TailStore; identity: Identity; sync: boolean }

async function appendContent(
  content: AsyncIterable<Uint8Array> | Uint8Array,
  output: Output,
  tails: TailStore,
): Promise<Content> {
  const start = output.position
  try {
    if (content instanceof Uint8Array) await output.append(content)
    else for await (const chunk of content) await output.append(chunk)
  } catch (error) {
    // Not rewound: some of it may be on disk already, where a hole must read as zeros.
    await output.pad()
    throw error
  }
  const size = output.position - start
  const tailBytes = size % blockBytes
  const inline = tailBytes > 0 && tailBytes <= maxInlineBytes
  const tail = inline ? await tails.add(output.takeBack()) : undefined
  await output.pad()
  return { size, firstBlock: start / blockBytes, blocks: (output.position - start) / blockBytes, tail }
}

async function writeImage(tree: Tree, { file, output, tails, identity, sync }: Target): Promise<ErofsImage> {
  const contentBytes = output.position - blockBytes
  checkAddressable(output.position)
  const order = planInodes(tree)
  await writeBlocks(tree, order, output)
  const metadataBlock = output.position / blockBytes
  const fingerprint = await writeInodes(tree, order, tails, output)
  await output.flush()

  const bytes = output.position
  checkAddressable(bytes)
  const superblock = encodeSuperblock({
    rootNid: tree.inodes.nid(tree.root),
    inodes: order.length,
    buildTimeSeconds: identity.buildTimeSeconds,
    blocks: bytes / blockBytes,
    metadataBlock,
    uuid: identity.uuid ?? fingerprint,
    volumeName: identity.volumeName,
  })
  // The image may end with a hole.
  await attempt('extend', () => file.truncate(bytes))
  // Everything else first: a file without a superblock does not mount, so a torn image cannot be taken for a whole one.
  if (sync) await attempt('sync', () => file.datasync())
  await writeFully(file, superblock, 0)
  if (sync) await attempt('sync', () => file.sync())
  return { bytes, inodes: order.length, wastedBytes: contentBytes - usedBytes(tree, order, contentBytes) }
}

function checkAddressable(bytes: number): void {
  if (bytes / blockBytes < noBlock) return
  throw new CofferError(
    'storage_error',
    `cannot finish image: ${bytes} bytes are more than EROFS can address`,
    {
      hint: 'An image can have up to 16 TiB.',
    },
  )
}

function usedBytes({ inodes }: Tree, order: Uint32Array, contentBytes: number): number {
  // Contents that several inodes have are known by their first block, the first of all being block 1.
  const counted = new Uint8Array(contentBytes / blockBytes + 1)
  let used = 0
  for (const node of order) {
    if (inodes.kind(node) !== 'file') continue
    const blocks = inodes.blocks(node)
    const address = inodes.address(node)
    if (blocks === 0 || counted[address] === 1) continue
    counted[address] = 1
    used += blocks * blockBytes
  }
  return used
}

function checkOptions({ buildTimeSeconds = 0, volumeName = '', uuid }: ErofsWriterOptions): Identity {
  const name = Buffer.from(volumeName)
  const problem =
    name.length > 16
      ? `volume name ${JSON.stringify(volumeName)} is longer than 16 bytes`
      : uuid !== undefined && uuid.length !== 16
        ? `uuid has ${uuid.length} bytes, not 16`
        : !Number.isSafeInteger(buildTimeSeconds)
          ? `build time ${buildTimeSeconds} is not an integer`
          : undefined
  if (problem === undefined) return { buildTimeSeconds, volumeName: name, uuid }
  throw new CofferError('invalid_argument', `cannot create image: ${problem}`, {
    hint: 'See ErofsWriterOptions.',
  })
}
