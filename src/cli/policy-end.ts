import type { Box } from '../runtime/box.ts'
import type { Runtime } from '../runtime/runtime.ts'
import type { PolicyShape } from './policy-options.ts'

/** After the end of a box: says so when one of its policies, and not the command, was what ended it. */
export async function tellPolicyEnd(runtime: Runtime, box: Box, shape: PolicyShape): Promise<void> {
  if (shape.idleTimeout === undefined && shape.maxDuration === undefined) return
  // The box may be gone; what happened to it is not.
  for await (const { type, details } of runtime.events({ after: 0, follow: false, box: box.id })) {
    const { cause, reason } = details
    if (type === 'stopped' && (cause === 'idle' || cause === 'max_duration'))
      process.stderr.write(`coffer: the box was stopped: ${reason}\n`)
  }
}
