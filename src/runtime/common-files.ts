import type { ImageConfig } from '../image/config.ts'
import { defaultPath } from './exec-request.ts'

/** What a command needs before its first own instruction, in images with glibc and with musl. */
const everyones = [
  '/etc/passwd',
  '/etc/group',
  '/etc/ld.so.cache',
  '/lib64/ld-linux-x86-64.so.2',
  '/lib/x86_64-linux-gnu/libc.so.6',
  '/lib64/libc.so.6',
  '/lib/ld-musl-x86_64.so.1',
]

/** As many as fit beside the others into what the agent takes. */
const mostDirectories = 32

/**
 * Files of an image that its commands will probably read: `first`, for which its first box is started, as the next will be; the shell, which most
 * commands are run by; what the image runs by itself. Where a name is not found in a directory of PATH, its lookup still brings the directory in.
 */
export function commonFiles({ entrypoint, command, env }: ImageConfig, first?: string): string[] {
  const directories = (env['PATH'] ?? defaultPath).split(':').filter(isAbsolute).slice(0, mostDirectories)
  const programs = new Set([first, 'sh', entrypoint[0], command[0]])
  const found = [...programs].flatMap(program => {
    if (program === undefined || program === '') return []
    if (program.includes('/')) return isAbsolute(program) ? [program] : []
    return directories.map(directory => `${directory}/${program}`)
  })
  return [...everyones, ...found].filter(path => path.length <= maxPathLength)
}

/** PATH_MAX of Linux. */
const maxPathLength = 4095

function isAbsolute(path: string): boolean {
  return path.startsWith('/')
}
