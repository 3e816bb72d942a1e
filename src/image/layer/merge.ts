import { rm } from 'node:fs/promises'
import { createErofsWriter } from '../../erofs/writer.ts'
import { CofferError, isCofferError } from '../../errors.ts'
import { blockDeviceBytes } from '../../vm/machine.ts'
import { applyEntry, type Growing } from './apply-entry.ts'
import { Budget } from './budget.ts'
import { decompress } from './decompress.ts'
import { LayerTree } from './layer-tree.ts'
import { defaultLayerLimits, type LayerLimits } from './limits.ts'
import { addMountPoints } from './mount-points.ts'
import { readTar } from './tar.ts'

/** A layer as it comes from a registry or an archive. */
export type LayerSource = {
  /** `sha256:…` or `sha512:…` of the decompressed tar; undefined to take what comes, as for an import. */
  readonly diffId: string | undefined
  /** OCI's or Docker's; undefined to go by the content. */
  readonly mediaType: string | undefined
  /** Size as stored; undefined if unknown, as for a pipe. */
  readonly bytes: number | undefined
  /** The bytes as stored, once. What it throws, `mergeLayers` throws. */
  open(): AsyncIterable<Uint8Array>
}

export type MergeProgress = {
  /** From 0. */
  readonly layer: number
  readonly layers: number
  /** Bytes as stored, read of all layers so far. */
  readonly bytes: number
  /** Of all layers, as far as it is known. */
  readonly totalBytes: number
}

export type MergeOptions = {
  readonly limits?: Partial<LayerLimits> | undefined
  readonly signal?: AbortSignal | undefined
  /** Called as often as bytes arrive. */
  readonly onProgress?: ((progress: MergeProgress) => void) | undefined
  /** Whether to add what a box mounts over, where it is missing. Default false. */
  readonly mountPoints?: boolean | undefined
}

export type MergedImage = {
  /** Size of the EROFS file. */
  readonly bytes: number
  readonly inodes: number
  /** Of the layers in order, as found. */
  readonly diffIds: readonly string[]
}

/**
 * Merges layers, the lowest first, into one EROFS image at `outputPath`, in one pass and without unpacking them anywhere. The
 * same layers give the same bytes. Rules as umoci and Docker have them; whatever an archive says, nothing outside of
 * `outputPath` is touched. On failure nothing is left there. Making the file durable is the caller's.
 *
 * @throws `invalid_argument` for a layer that is damaged, contradicts itself or is not what its diff id, media type or size
 *   say; `unsupported` for a media type or entry nobody knows; `resource_exhausted` beyond a limit; `aborted`; `storage_error`
 */
export async function mergeLayers(
  layers: readonly LayerSource[],
  outputPath: string,
  options: MergeOptions = {},
): Promise<MergedImage> {
  const budget = new Budget({ ...defaultLayerLimits, ...options.limits })
  const tree = new LayerTree(budget)
  await using writer = await createErofsWriter(outputPath)
  try {
    const growing = { tree, writer, budget, checkAborted: () => checkAborted(options.signal) }
    const progress = startProgress(layers, options)
    const diffIds: string[] = []
    for (const [index, layer] of layers.entries()) {
      diffIds.push(await applyLayer(layer, index, growing, progress))
      tree.endLayer()
    }
    if (options.mountPoints) addMountPoints(tree.merged)
    const { bytes, inodes } = await writer.finish(tree.merged)
    if (bytes > blockDeviceBytes) throw tooLarge(bytes)
    return { bytes, inodes, diffIds }
  } catch (error) {
    await rm(outputPath, { force: true })
    throw error
  }
}

/** Called for each piece as stored. */
type Progress = (layer: number, bytes: number) => void

async function applyLayer(
  layer: LayerSource,
  index: number,
  growing: Growing,
  progress: Progress,
): Promise<string> {
  try {
    const { stream, digest } = decompress(counted(layer, index, progress), {
      mediaType: layer.mediaType,
      maxBytes: growing.budget.streamBytesLeft,
      algorithm: layer.diffId?.startsWith('sha512:') ? 'sha512' : 'sha256',
    })
    for await (const entry of readTar(metered(stream, growing))) await applyEntry(entry, growing)
    const found = digest()
    if (layer.diffId !== undefined && layer.diffId !== found) throw wrongDigest(layer.diffId, found)
    return found
  } catch (error) {
    throw inLayer(index, error)
  }
}

async function* counted(
  layer: LayerSource,
  index: number,
  progress: Progress,
): AsyncGenerator<Uint8Array, void, void> {
  let bytes = 0
  for await (const chunk of layer.open()) {
    bytes += chunk.length
    if (layer.bytes !== undefined && bytes > layer.bytes) throw wrongSize(layer.bytes, 'more')
    progress(index, chunk.length)
    yield chunk
  }
  if (layer.bytes !== undefined && bytes < layer.bytes) throw wrongSize(layer.bytes, `${bytes}`)
}

async function* metered(
  stream: AsyncIterable<Uint8Array>,
  { budget, checkAborted }: Growing,
): AsyncGenerator<Uint8Array, void, void> {
  for await (const chunk of stream) {
    // Here and not where layers are read: a megabyte of a layer may be a gigabyte of image.
    checkAborted()
    budget.addStream(chunk.length)
    yield chunk
  }
}

function startProgress(layers: readonly LayerSource[], { onProgress }: MergeOptions): Progress {
  const totalBytes = layers.reduce((sum, layer) => sum + (layer.bytes ?? 0), 0)
  let bytes = 0
  return (layer, count) => {
    bytes += count
    onProgress?.({ layer, layers: layers.length, bytes, totalBytes })
  }
}

function checkAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted)
    throw new CofferError('aborted', 'preparing the image was given up', { cause: signal.reason })
}

function inLayer(index: number, error: unknown): unknown {
  if (!isCofferError(error) || error.code === 'aborted') return error
  return new CofferError(error.code, `layer ${index + 1} of the image: ${error.message}`, {
    hint: error.hint,
    cause: error,
    details: { ...error.details, layer: index },
  })
}

function wrongDigest(expected: string, found: string): CofferError {
  return new CofferError('invalid_argument', `its content is ${found}, not ${expected}`, {
    hint: 'The layer is not the one the image was made with: pull it again.',
    details: { reason: 'digest', expected, found },
  })
}

function wrongSize(expected: number, found: string): CofferError {
  return new CofferError('invalid_argument', `it has ${found} bytes instead of ${expected}`, {
    hint: 'The layer is not the one the image was made with: pull it again.',
    details: { reason: 'size', expected },
  })
}

function tooLarge(bytes: number): CofferError {
  return new CofferError('resource_exhausted', `cannot merge layers: the image has ${bytes} bytes`, {
    hint: `The disks of a box have ${blockDeviceBytes}.`,
    details: { bytes },
  })
}
