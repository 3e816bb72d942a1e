import { join } from 'node:path'
import { CofferError } from '../errors.ts'
import { ExecutionRefused } from '../guest/remote-execution.ts'
import { shimFiles } from '../shim/launch.ts'
import type { BoxConnection } from './box-connection.ts'

/** Pauses or resumes a box that has a VM. Throws `invalid_state` when it has none, or is about to end. */
export async function switchBox(connection: BoxConnection, method: 'pause' | 'resume'): Promise<void> {
  const { label, directory } = connection.place
  using _lock = await connection.lock()
  const session = await connection.connectRunning(method)
  try {
    await session.request(method)
  } catch (error) {
    if (!(error instanceof ExecutionRefused))
      throw await connection.explain(`cannot ${method} box ${label}`, error)
    const { kind, message } = error.failure
    const code = kind === 'invalid_state' ? 'invalid_state' : 'engine_unavailable'
    throw new CofferError(code, `cannot ${method} box ${label}: ${message}`, {
      hint: `Its console may tell more: ${join(directory, shimFiles.console)}`,
      cause: error,
    })
  }
}
