import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** Makes an OCI layout with umoci whose image has one layer of `bytes` random bytes. Gives skopeo's name for it. */
export async function makeLayout(directory: string, bytes = 300_000): Promise<string> {
  const layout = join(directory, 'layout')
  const content = join(directory, 'content')
  writeFileSync(content, randomBytes(bytes))
  await execute('umoci', ['init', '--layout', layout])
  await execute('umoci', ['new', '--image', `${layout}:latest`])
  await execute('umoci', ['insert', '--rootless', '--image', `${layout}:latest`, content, '/content'])
  return `oci:${layout}:latest`
}
