/** Guest memory, mapped copy-on-write by every box. */
export const memoryFile = 'memory'

/** State of processor and devices, in QEMU's migration format. */
export const deviceFile = 'device'

/** Where a boot template's memory holds anything: JSON, ranges of pages. */
export const pagesFile = 'pages.json'

/** The box's disk at that moment, in a template whose file systems are mounted. */
export const diskFile = 'disk.qcow2'

/** A saved VM, its agent ready: what boxes of one machine specification are restored from. */
export type Template = {
  readonly key: string
  readonly directory: string
}

export type TemplateOptions = {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: { step: string; detail?: string }) => void) | undefined
}
