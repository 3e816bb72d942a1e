import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureBaseDisk } from '../../src/disk/base-disk.ts'
import { createOverlay } from '../../src/disk/qcow2.ts'
import { type CborMap, encodeCbor } from '../../src/guest/cbor.ts'
import { encodeFrame, type Frame, FrameDecoder } from '../../src/guest/frame.ts'
import type { Configure, ExecRequest, Exited } from '../../src/guest/messages.ts'
import { parseFailure, parseMap } from '../../src/guest/parse.ts'
import { frameTypes, protocolVersion } from '../../src/guest/protocol.ts'
import { ExecutionRefused, RemoteExecution } from '../../src/guest/remote-execution.ts'
import { buildBaseImage } from '../../src/image/base-image.ts'
import { openHome } from '../../src/state/home.ts'
import { chooseAccelerator } from '../../src/vm/accelerator.ts'
import { findComponents } from '../../src/vm/components.ts'
import {
  blockDeviceBytes,
  jailPaths,
  type MachineSpec,
  machineArguments,
  machineDevices,
} from '../../src/vm/machine.ts'
import { Qmp } from '../../src/vm/qmp.ts'
import { ensureTemplate } from '../../src/vm/template.ts'
import { Vmm } from '../../src/vm/vmm.ts'
import { shareCache } from '../shared-cache.ts'

// The same place and the same kind of machine as the tests of the runtime use.
const memoryMib = 192
const diskMib = 256

export type Collected = { readonly exited: Exited; readonly stdout: Buffer; readonly stderr: string }

/** A restored machine whose agent is spoken to without a shim between: what a host may ask, also what a shim would not. */
export class Guest implements AsyncDisposable {
  readonly #directory: string
  readonly #vmm: Vmm
  readonly #qmp: Qmp
  readonly #decoder = new FrameDecoder()
  readonly #executions = new Map<number, RemoteExecution>()
  readonly #requests = new Map<number, PromiseWithResolvers<CborMap>>()
  readonly #configured = Promise.withResolvers<void>()
  readonly #failed = Promise.withResolvers<never>()
  #nextStream = 1

  private constructor(directory: string, vmm: Vmm, onQmpEvent: (event: string) => void) {
    this.#directory = directory
    this.#vmm = vmm
    this.#qmp = new Qmp(vmm.qmp, ({ event }) => onQmpEvent(event))
    this.#failed.promise.catch(() => {})
    vmm.console.resume()
    vmm.agent.on('data', (chunk: Buffer) => {
      for (const frame of this.#decoder.push(chunk)) this.#dispatch(frame)
    })
    void vmm.exited.then(exit => this.#failed.reject(new Error(`the machine ended: ${exit.stderr}`)))
  }

  static async restore(): Promise<Guest> {
    // 1. The parts of a box.
    const directory = mkdtempSync(join(tmpdir(), 'coffer-guest-'))
    shareCache(directory, ['templates', 'images', 'disks'])
    const home = openHome(directory)
    const components = findComponents()
    const { accelerator } = await chooseAccelerator(home, components)
    const spec: MachineSpec = { accelerator, cpus: 1, memoryMib }
    const template = await ensureTemplate(home, components, spec)
    const diskBase = await ensureBaseDisk(home, components.makeExt4, diskMib)
    const [image, disk] = [join(directory, 'image.erofs'), join(directory, 'disk.qcow2')]
    await buildBaseImage(components.busybox, image)
    truncateSync(image, blockDeviceBytes)
    createOverlay(disk, { virtualBytes: blockDeviceBytes, backingPath: diskBase })
    // 2. The machine.
    const vmm = await Vmm.spawn({
      bubblewrap: components.bubblewrap,
      qemu: components.qemu,
      arguments: machineArguments(spec, { kind: 'restore' }),
      grants: {
        readOnly: [
          { from: template.directory, to: '/template' },
          { from: image, to: jailPaths.image },
          { from: diskBase, to: jailPaths.diskBase },
        ],
        readWrite: [{ from: disk, to: jailPaths.disk }],
        devices: machineDevices(accelerator),
      },
    })
    // 3. The container.
    const resumed = Promise.withResolvers<void>()
    const guest = new Guest(directory, vmm, event => {
      if (event === 'RESUME') resumed.resolve()
    })
    try {
      await Promise.race([guest.#configure(resumed.promise), guest.#failed.promise])
      return guest
    } catch (error) {
      await guest[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Rejects with `ExecutionRefused` when the agent refuses. */
  request(method: string, parameters: CborMap = {}): Promise<CborMap> {
    const stream = this.#nextStream++
    const answer = Promise.withResolvers<CborMap>()
    this.#requests.set(stream, answer)
    this.#send(frameTypes.request, stream, { method, ...parameters })
    return Promise.race([answer.promise, this.#failed.promise])
  }

  execute(request: Partial<ExecRequest>): RemoteExecution {
    const stream = this.#nextStream++
    const whole: ExecRequest = {
      argv: [],
      env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      stdin: false,
      ...request,
    }
    const execution = new RemoteExecution(stream, whole.stdin, frame => this.#vmm.agent.write(frame))
    this.#executions.set(stream, execution)
    this.#send(frameTypes.exec, stream, whole)
    return execution
  }

  async collect(request: Partial<ExecRequest>): Promise<Collected> {
    const execution = this.execute(request)
    const read = async (stream: AsyncIterable<Buffer>): Promise<Buffer> =>
      Buffer.concat(await Array.fromAsync(stream))
    const all = Promise.all([execution.exited, read(execution.stdout), read(execution.stderr)])
    const [exited, stdout, stderr] = await Promise.race([all, this.#failed.promise])
    return { exited, stdout, stderr: stderr.toString() }
  }

  /** What a script prints. Throws when it fails. */
  async shell(script: string): Promise<string> {
    const { exited, stdout, stderr } = await this.collect({ argv: ['sh', '-c', script] })
    if (exited.code !== 0) throw new Error(`exit code ${exited.code} of ${script}: ${stderr}`)
    return stdout.toString()
  }

  /** Sets the guest's clock. It is then behind by no more than the answer took, so a slow answer is not good enough. */
  async setClock(): Promise<void> {
    for (let attempt = 0; attempt < 10; attempt++) {
      const sentAt = performance.now()
      await this.request('clock', { timeNs: hostTimeNs() })
      if (performance.now() - sentAt < 25) return
    }
  }

  /** Stops the machine's processors for as long as `while_` takes. */
  async stopped(while_: () => Promise<void>): Promise<void> {
    await this.#qmp.execute('stop')
    await while_()
    await this.#qmp.execute('cont')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#vmm.kill()
    this.#qmp.close()
    this.#vmm.agent.destroy()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  async #configure(resumed: Promise<void>): Promise<void> {
    await this.#qmp.execute('qmp_capabilities')
    const capabilities = [{ capability: 'x-ignore-shared', state: true }]
    await this.#qmp.execute('migrate-set-capabilities', { capabilities })
    await this.#qmp.execute('migrate-incoming', { uri: `file:${jailPaths.device}` })
    await resumed
    const configure: Configure = {
      hostname: 'guest',
      machineId: randomBytes(16).toString('hex'),
      resolvConf: '',
      hosts: '127.0.0.1\tlocalhost\n',
      pidsMax: 1024,
      // Docker's.
      capabilities: [0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31],
      timeNs: hostTimeNs(),
      entropy: randomBytes(64),
    }
    this.#send(frameTypes.hello, 0, { protocol: protocolVersion, build: 'test', features: [] })
    this.#send(frameTypes.configure, 0, configure)
    await this.#configured.promise
    // The first frame after a restore finds a guest that is still waking up: tens of milliseconds, or more on a busy host.
    await this.setClock()
  }

  #send(type: number, stream: number, payload: CborMap): void {
    this.#vmm.agent.write(encodeFrame(type, stream, encodeCbor(payload)))
  }

  #dispatch(frame: Frame): void {
    switch (frame.type) {
      case frameTypes.hello:
        return
      case frameTypes.configured:
        return this.#configured.resolve()
      case frameTypes.configureFailed:
        return this.#configured.reject(new ExecutionRefused(parseFailure(frame.payload)))
      case frameTypes.protocolError:
        return this.#failed.reject(new Error(`the agent refused a frame: ${frame.payload}`))
      case frameTypes.response:
        return this.#requests.get(frame.stream)?.resolve(parseMap(frame.payload))
      case frameTypes.requestFailed:
        return this.#requests.get(frame.stream)?.reject(new ExecutionRefused(parseFailure(frame.payload)))
      default:
        return this.#executions.get(frame.stream)?.receive(frame)
    }
  }
}

/** The host's CLOCK_REALTIME as precisely as Node tells it. */
export function hostTimeNs(): bigint {
  return BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n
}

/** Waits until `condition` holds; fails after 10 s. For what the guest announces to nobody. */
export async function eventually(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within 10 s: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}
