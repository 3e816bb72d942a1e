import { ConfigureError } from '../guest/agent-link.ts'
import type { Failure } from '../guest/messages.ts'
import type { VmmExit } from '../vm/vmm.ts'
import type { ExitCause } from './exit-file.ts'

/** Why a run ends, in one word and in a sentence. */
export type Ending = { readonly cause: ExitCause; readonly message: string }

/** QEMU ended while something else was waited for. */
export class VmDied extends Error {
  constructor(exit: VmmExit) {
    super(describeExit(exit))
  }
}

const asked: Readonly<Partial<Record<ExitCause, string>>> = {
  orphaned: 'the process that started the box is gone',
  idle: 'nothing happened in the box for its idle timeout',
  max_duration: 'the box ran for its maximum duration',
}

/** Somebody or a policy wants it. */
export function askedEnding(cause: ExitCause): Ending {
  return { cause, message: asked[cause] ?? 'the box was stopped' }
}

/** It was not ready. */
export function failedEnding(error: unknown): Ending {
  if (error instanceof VmDied) return { cause: 'vm_died', message: error.message }
  const message = error instanceof Error ? error.message : String(error)
  if (!(error instanceof ConfigureError)) return { cause: 'not_ready', message }
  return { cause: 'not_ready', message: `the guest could not set up the container: ${message}` }
}

/** The main process could not be run. */
export function mainFailedEnding(command: string | undefined, { message }: Failure): Ending {
  return { cause: 'main_failed', message: `cannot run ${command}: ${message}` }
}

/** The main process ended, with −N for signal N. */
export function mainEnding(code: number): Ending {
  const how = code < 0 ? `was ended by signal ${-code}` : `ended with exit code ${code}`
  return { cause: 'main_exited', message: `its main process ${how}` }
}

/** Nobody asked for it. */
export function unaskedEnding(exit: VmmExit, isGuestReset: boolean): Ending {
  if (exit.code !== 0) return { cause: 'vm_died', message: describeExit(exit) }
  if (isGuestReset) return { cause: 'vm_died', message: "the guest's kernel restarted the machine" }
  return { cause: 'guest_shutdown', message: 'the guest powered off' }
}

function describeExit(exit: VmmExit): string {
  if (exit.signal !== undefined) return `QEMU was ended by signal ${exit.signal}`
  return `QEMU ended with exit code ${exit.code}`
}
