import { renameSync, rmSync } from 'node:fs'
import { createOverlay } from '../disk/qcow2.ts'
import { faultPoint } from '../state/fault-point.ts'
import { blockDeviceBytes } from '../vm/machine.ts'
import { copyDisk } from '../vm/mounted-template.ts'
import type { Template } from '../vm/template-files.ts'

/** What a box's disk is made from: the template it will be restored from, or, without one, an empty file system. */
export type DiskSource = { readonly diskBase: string; readonly mounted: Template | undefined }

/** Beside and renamed: half of a disk would be taken for the box's disk. */
export function makeBoxDisk(path: string, { diskBase, mounted }: DiskSource): void {
  const staging = `${path}.new`
  rmSync(staging, { force: true })
  if (mounted === undefined) makeEmptyDisk(staging, diskBase)
  else copyDisk(mounted, staging)
  faultPoint('start: disk written')
  renameSync(staging, path)
}

export function makeEmptyDisk(path: string, backingPath: string): void {
  createOverlay(path, { virtualBytes: blockDeviceBytes, backingPath })
}
