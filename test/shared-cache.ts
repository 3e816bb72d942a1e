import { copyFileSync, existsSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'

// What depends on nothing a test does and costs seconds to make: the homes of tests link to one place that has it.
const cache = join(import.meta.dirname, '..', 'build', 'test-cache')

// A file that is replaced by renaming, so that each home has a copy. Where KVM does not work, finding that out takes 2 s.
const probed = 'accelerator.json'

/** Makes a new home share what the others have. */
export function shareCache(home: string, names: readonly ('templates' | 'images' | 'disks')[]): void {
  for (const name of names) {
    mkdirSync(join(cache, name), { recursive: true })
    symlinkSync(join(cache, name), join(home, name))
  }
  if (existsSync(join(cache, probed))) copyFileSync(join(cache, probed), join(home, probed))
}

/** Keeps what a home has found out, before it is removed. */
export function keepProbe(home: string): void {
  if (!existsSync(join(cache, probed)) && existsSync(join(home, probed)))
    copyFileSync(join(home, probed), join(cache, probed))
}
