import { statfsSync } from 'node:fs'
import { CofferError } from '../errors.ts'

/** Beside the guest's memory: initramfs, device state, and what else is written meanwhile. */
const leastFreeMib = 64

/** A full disk would end QEMU with SIGBUS when the guest touches its memory, which tells nobody what to do. Throws `storage_error`. */
export function checkSpace(directory: string, memoryMib: number): void {
  const { bavail, bsize } = statfsSync(directory)
  const freeMib = Math.floor((bavail * bsize) / 1024 ** 2)
  const neededMib = memoryMib + leastFreeMib
  if (freeMib >= neededMib) return
  throw new CofferError(
    'storage_error',
    `cannot make the boot template: ${freeMib} MiB are free at ${directory}, ${neededMib} are needed`,
    {
      hint: 'Free some space there, or use a home on another disk (--home).',
      details: { freeMib, neededMib },
    },
  )
}
