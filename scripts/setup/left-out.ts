/** Prints the optional packages of package-lock.json that belong on this machine and are not there. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

type LockedPackage = {
  readonly optional?: boolean
  readonly os?: readonly string[]
  readonly cpu?: readonly string[]
  readonly libc?: readonly string[]
}

const root = join(import.meta.dirname, '../..')
const lock: { packages: Record<string, LockedPackage> } = JSON.parse(
  readFileSync(join(root, 'package-lock.json'), 'utf8'),
)

const leftOut = Object.entries(lock.packages)
  .filter(
    ([path, locked]) => locked.optional === true && belongsHere(locked) && !existsSync(join(root, path)),
  )
  .map(([path]) => path.replace(/^node_modules\//, ''))

if (leftOut.length > 0) console.log(leftOut.join(' '))

function belongsHere({ os, cpu, libc }: LockedPackage): boolean {
  return allows(os, process.platform) && allows(cpu, process.arch) && allows(libc, 'glibc')
}

function allows(list: readonly string[] | undefined, value: string): boolean {
  if (list === undefined || list.length === 0) return true
  if (list.includes(`!${value}`)) return false
  return list.includes(value) || list.every(entry => entry.startsWith('!'))
}
