import { isCofferError, systemErrorCode } from '../errors.ts'
import { ensureMountedTemplate, type MountRequest } from '../vm/mounted-template.ts'
import type { Template } from '../vm/template-files.ts'
import { makeEmptyDisk } from './box-disk.ts'

/**
 * The template a box that has no disk yet is restored from, with its file systems mounted. Undefined when there can be none: an image that cannot be
 * mounted, or a host without space for one more template; the start from the boot template is slower, and says what is wrong with the image.
 */
export async function firstTemplate(request: Omit<MountRequest, 'makeDisk'>): Promise<Template | undefined> {
  const { diskBase, options } = request
  try {
    return await ensureMountedTemplate({ ...request, makeDisk: path => makeEmptyDisk(path, diskBase) })
  } catch (error) {
    options.signal?.throwIfAborted()
    if (!(error instanceof Error) || !isExpected(error)) throw error
    options.onProgress?.({ step: 'starting without a template of the image', detail: error.message })
    return undefined
  }
}

function isExpected(error: Error): boolean {
  if (isCofferError(error)) return error.code === 'engine_unavailable' || error.code === 'storage_error'
  return ['ENOSPC', 'EDQUOT'].includes(systemErrorCode(error) ?? '')
}
