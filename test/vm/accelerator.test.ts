import assert from 'node:assert/strict'
import { accessSync, constants, existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isCofferError } from '../../src/index.ts'
import { openHome } from '../../src/state/home.ts'
import { chooseAccelerator } from '../../src/vm/accelerator.ts'
import { findComponents } from '../../src/vm/components.ts'
import { scratchDirectory } from '../scratch.ts'

test('a jail that does not come up is no verdict on KVM', {
  skip: (!isUsable('/dev/kvm') || process.env['COFFER_ACCEL'] !== undefined) && 'no KVM to ask',
}, async () => {
  using scratch = scratchDirectory('probe')
  const home = openHome(scratch.path)
  const kept = join(scratch.path, 'accelerator.json')
  const components = findComponents()
  await assert.rejects(
    chooseAccelerator(home, { ...components, bubblewrap: '/bin/false' }),
    error => isCofferError(error, 'engine_unavailable') && error.hint !== undefined,
  )
  assert.ok(!existsSync(kept))
  const choice = await chooseAccelerator(home, components)
  assert.ok(existsSync(kept))
  assert.deepEqual(await chooseAccelerator(home, { ...components, bubblewrap: '/bin/false' }), choice)
})

function isUsable(device: string): boolean {
  try {
    accessSync(device, constants.R_OK | constants.W_OK)
    return true
  } catch {
    return false
  }
}
