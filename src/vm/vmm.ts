import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { CofferError } from '../errors.ts'
import { type JailGrants, jailArguments } from '../jail/jail.ts'
import { vmmDescriptors } from './machine.ts'

/** How the VMM ended. A signal is also read out of bubblewrap's exit status (128 + N). */
export type VmmExit = {
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

/** A jailed QEMU and the three sockets that are its only ways out. It dies with the process that spawned it. */
export class Vmm {
  readonly qmp: Socket
  readonly agent: Socket
  readonly console: Socket
  /** Resolves once, when the process is gone and its stderr read. Never rejects. */
  readonly exited: Promise<VmmExit>
  readonly #process: ChildProcess
  #stderr = ''

  private constructor(child: ChildProcess) {
    this.#process = child
    this.qmp = socketOf(child, vmmDescriptors.qmp)
    this.agent = socketOf(child, vmmDescriptors.agent)
    this.console = socketOf(child, vmmDescriptors.console)
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      // The guest can make QEMU complain without end; the first words are those that tell the cause.
      if (this.#stderr.length < maxStderrLength)
        this.#stderr += text.slice(0, maxStderrLength - this.#stderr.length)
    })
    this.exited = new Promise(resolve => {
      child.on('close', (code, signal) => resolve(exitOf(code, signal, this.#stderr)))
    })
  }

  /** Throws `engine_unavailable` when the jail cannot be started at all. */
  static async spawn(command: VmmCommand): Promise<Vmm> {
    const jailed = jailArguments(command.grants, [command.qemu, ...command.arguments])
    // The shell sets what Node cannot: no core dump of a process that holds the guest's memory.
    const child = spawn('/bin/sh', ['-c', 'ulimit -c 0; exec "$0" "$@"', command.bubblewrap, ...jailed], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
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
    return this.#process.pid
  }

  /** Ends QEMU at once. Resolves when it is gone. */
  async kill(): Promise<VmmExit> {
    this.#process.kill('SIGKILL')
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

function exitOf(code: number | null, signal: NodeJS.Signals | null, stderr: string): VmmExit {
  if (signal !== null) return { code: undefined, signal, stderr }
  if (code !== null && code > 128) return { code: undefined, signal: code - 128, stderr }
  return { code: code ?? undefined, signal: undefined, stderr }
}
