import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from './vm/components.ts'

let version: string | undefined

/** The version in package.json. Processes of different versions do not speak to one box. */
export function packageVersion(): string {
  version ??= String(JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')).version)
  return version
}
