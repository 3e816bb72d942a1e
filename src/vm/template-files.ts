/** Guest memory, mapped copy-on-write by every box. */
export const memoryFile = 'memory'

/** State of processor and devices, in QEMU's migration format. */
export const deviceFile = 'device'

export type TemplateOptions = {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: { step: string; detail?: string }) => void) | undefined
}
