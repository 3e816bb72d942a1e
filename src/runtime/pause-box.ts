import type { BoxConnection } from './box-connection.ts'

/** Pauses or resumes a box that has a VM. Throws `invalid_state` when it has none, or is about to end. */
export async function switchBox(connection: BoxConnection, method: 'pause' | 'resume'): Promise<void> {
  const { label } = connection.place
  using _lock = await connection.lock()
  const session = await connection.connectRunning(method)
  try {
    await session.request(method)
  } catch (error) {
    throw await connection.explain(`cannot ${method} box ${label}`, error)
  }
}
