import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { constants } from 'node:os'
import { CofferError } from '../errors.ts'
import { jailFilter } from '../jail/filter.ts'
import { type JailGrants, jailArguments, jailDescriptors } from '../jail/jail.ts'
import { vmmDescriptors } from './machine.ts'

/** How the VMM ended. A signal is also read out of the status of the shell that waited for it (128 + N). */
export type VmmExit = {
  /** Whether it ran at all: without it, `code` and `stderr` are those of the jail that did not come up. */
  readonly ran: boolean
  readonly code: number | undefined
  readonly signal: string | number | undefined
  readonly stderr: string
}

export type VmmCommand = {
  readonly bubblewrap: string
  readonly qemu: string
  readonly arguments: readonly string[]
  readonly grants: JailGrants
}

const maxStderrLength = 16 * 1024
const killedStatus = `${128 + constants.signals.SIGKILL}\n`

/**
 * A jailed QEMU and the three sockets that are its only ways out. It ends with the process that spawned it, whenever and however
 * that one ends: the kernel then closes the jail's lifeline.
 */
export class Vmm {
  readonly qmp: Socket
  readonly agent: Socket
  readonly console: Socket
  /** Resolves once, when the process is gone and its stderr read. Never rejects. */
  readonly exited: Promise<VmmExit>
  readonly #lifeline: Socket
  readonly #pid: number | undefined
  #stderr = ''
  #status = ''

  private constructor(child: ChildProcess) {
    this.#pid = child.pid
    this.qmp = socketOf(child, vmmDescriptors.qmp)
    this.agent = socketOf(child, vmmDescriptors.agent)
    this.console = socketOf(child, vmmDescriptors.console)
    this.#lifeline = socketOf(child, jailDescriptors.lifeline)
    // Bubblewrap reads to the end of file: `end` would give it only when the event loop turns next, and much is loaded before.
    const filter = socketOf(child, jailDescriptors.filter)
    filter.write(jailFilter())
    filter.destroy()
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      // The guest can make QEMU complain without end; the first words are those that tell the cause.
      if (this.#stderr.length < maxStderrLength)
        this.#stderr += text.slice(0, maxStderrLength - this.#stderr.length)
    })
    this.#lifeline.setEncoding('utf8').on('data', (text: string) => {
      this.#status += text
      this.#lifeline.destroy()
    })
    // Bubblewrap's own end does not end what it started; with the lifeline, nothing of it stays.
    child.on('exit', () => this.#lifeline.destroy())
    this.exited = new Promise(resolve => {
      child.on('close', (code, signal) =>
        resolve({ ...exitOf(this.#status, code, signal), stderr: this.#stderr }),
      )
    })
  }

  /** Throws `engine_unavailable` when the jail cannot be started at all. */
  static async spawn(command: VmmCommand): Promise<Vmm> {
    const jailed = jailArguments(command.grants, [command.qemu, ...command.arguments])
    const child = spawn(command.bubblewrap, jailed, {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe'],
      env: {},
    })
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', cause =>
        reject(
          new CofferError('engine_unavailable', `cannot start the jail: ${cause.message}`, {
            cause,
            hint: 'Run: coffer doctor',
          }),
        ),
      )
    })
    return new Vmm(child)
  }

  get pid(): number | undefined {
    return this.#pid
  }

  /** Ends QEMU at once. Resolves when it is gone. */
  async kill(): Promise<VmmExit> {
    this.#status ||= killedStatus
    this.#lifeline.destroy()
    return this.exited
  }
}

function socketOf(child: ChildProcess, descriptor: number): Socket {
  // 'pipe' is a connected unix socket in Node, whatever its name says, and a stream socket to QEMU.
  const socket = child.stdio[descriptor] as unknown as Socket
  // A guest that dies mid-write resets the connection; `exited` tells what happened.
  socket.on('error', () => {})
  return socket
}

/** `status` is what the keeper said of QEMU's end; without a word, the jail itself did not come up. */
function exitOf(status: string, code: number | null, signal: NodeJS.Signals | null): Omit<VmmExit, 'stderr'> {
  const ran = /^\d+\n/.test(status)
  const known = ran ? Number.parseInt(status, 10) : code
  if (known === null) return { ran, code: undefined, signal: signal ?? undefined }
  return known > 128 ? { ran, code: undefined, signal: known - 128 } : { ran, code: known, signal: undefined }
}
