import { closeSync, openSync, rmSync } from 'node:fs'
import type { Server } from 'node:net'
import { join } from 'node:path'
import { shimFiles } from './launch.ts'

/** Listens on the socket in the box's directory. What lies in its place is a dead shim's. */
export async function listen(server: Server, directory: string): Promise<void> {
  // A socket path has 107 bytes at most (unix(7)); through a descriptor of its directory it is always short.
  const descriptor = openSync(directory, 'r')
  rmSync(join(directory, shimFiles.socket), { force: true })
  server.on('close', () => closeSync(descriptor))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(`/proc/self/fd/${descriptor}/${shimFiles.socket}`, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
