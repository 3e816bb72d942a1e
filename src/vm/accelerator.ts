import { accessSync, constants, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CofferError } from '../errors.ts'
import { writeFileAtomic } from '../state/atomic-file.ts'
import { type Home, temporaryPath } from '../state/home.ts'
import { hostBootId } from '../state/process-identity.ts'
import type { Components } from './components.ts'
import { jailPaths, machineDevices } from './machine.ts'
import { probeFirmware, probeGuestStatus } from './probe-guest.ts'
import { Vmm } from './vmm.ts'

export const accelerators = ['kvm', 'tcg'] as const

/** `kvm`: the host's hardware virtualisation. `tcg`: QEMU's software emulation, which needs nothing of the host. */
export type Accelerator = (typeof accelerators)[number]

/** What the probe is run with. */
type Programs = Pick<Components, 'qemu' | 'bubblewrap'>

export type AcceleratorChoice = { readonly accelerator: Accelerator; readonly reason: string }

const kvmDevice = '/dev/kvm'
const probeDeadlineMs = 2_000

/**
 * The accelerator for this host: `COFFER_ACCEL` if it is `kvm` or `tcg`, else KVM where a guest was seen to run with it. The answer is kept
 * until the host boots again or QEMU changes. Throws `config_error` for another value of `COFFER_ACCEL`, `engine_unavailable` without a working jail.
 */
export async function chooseAccelerator(home: Home, programs: Programs): Promise<AcceleratorChoice> {
  const wanted = process.env['COFFER_ACCEL'] || 'auto'
  const forced = accelerators.find(known => known === wanted)
  if (forced !== undefined) return { accelerator: forced, reason: `COFFER_ACCEL is ${forced}` }
  if (wanted !== 'auto')
    throw new CofferError('config_error', `COFFER_ACCEL is ${wanted}`, {
      hint: 'Use auto, kvm or tcg, or unset it.',
    })
  const missing = kvmProblem()
  if (missing !== undefined) return { accelerator: 'tcg', reason: missing }
  const path = join(home.path, 'accelerator.json')
  const key = probeKey(programs.qemu)
  const cached = readCache(path, key)
  if (cached !== undefined) return cached
  const choice = await probeKvm(home, programs)
  writeFileAtomic(path, JSON.stringify({ key, ...choice }))
  return choice
}

/** What rules KVM out without a try. */
function kvmProblem(): string | undefined {
  try {
    accessSync(kvmDevice, constants.R_OK | constants.W_OK)
    return undefined
  } catch (error) {
    const denied = error instanceof Error && 'code' in error && error.code === 'EACCES'
    return denied ? `no permission for ${kvmDevice} (join the group kvm)` : `${kvmDevice} is not there`
  }
}

/** That `/dev/kvm` opens proves nothing: some clouds offer one that runs no stock kernel. A small guest in long mode tells. */
async function probeKvm(home: Home, programs: Programs): Promise<AcceleratorChoice> {
  const firmware = temporaryPath(home, 'probe')
  writeFileSync(firmware, probeFirmware(), { mode: 0o600 })
  try {
    const problem = await runProbe(programs, firmware)
    if (problem === undefined) return { accelerator: 'kvm', reason: 'a guest ran with KVM' }
    return { accelerator: 'tcg', reason: `${kvmDevice} is there but runs no guest: ${problem}` }
  } finally {
    rmSync(firmware, { force: true })
  }
}

const probeArguments = [
  ...['-M', 'q35', '-accel', 'kvm', '-cpu', 'host', '-m', '16M', '-nodefaults', '-no-user-config'],
  ...['-display', 'none', '-no-reboot', '-bios', jailPaths.firmware],
  ...['-device', 'isa-debug-exit,iobase=0xf4,iosize=1'],
]

/** Undefined when the guest came to its end, else what happened instead. In the jail, which ends with this process: such a guest may never. */
async function runProbe(programs: Programs, firmware: string): Promise<string | undefined> {
  const vmm = await Vmm.spawn({
    ...programs,
    arguments: probeArguments,
    grants: {
      readOnly: [{ from: firmware, to: jailPaths.firmware }],
      readWrite: [],
      devices: machineDevices('kvm'),
    },
  })
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    void vmm.kill()
  }, probeDeadlineMs)
  const { ran, code, signal, stderr } = await vmm.exited
  clearTimeout(timer)
  // That says nothing about KVM, and would be kept until the host boots again.
  if (!ran)
    throw new CofferError(
      'engine_unavailable',
      `cannot probe KVM: the jail did not come up: ${stderr.trim()}`,
      {
        hint: 'Run: coffer doctor. COFFER_ACCEL=tcg does without the probe.',
      },
    )
  if (code === probeGuestStatus) return undefined
  if (isLate) return `it did not come up within ${probeDeadlineMs / 1000} s`
  return stderr.trim().split('\n')[0] || `QEMU ended with ${signal ?? code ?? 'no word'}`
}

function probeKey(qemu: string): string {
  const { size, mtimeNs } = statSync(qemu, { bigint: true })
  return `${hostBootId()}:${qemu}:${size}:${mtimeNs}`
}

function readCache(path: string, key: string): AcceleratorChoice | undefined {
  try {
    const { key: cachedKey, accelerator, reason } = JSON.parse(readFileSync(path, 'utf8'))
    const known = accelerators.find(name => name === accelerator)
    return cachedKey === key && known !== undefined
      ? { accelerator: known, reason: String(reason) }
      : undefined
  } catch {
    // Not there, or torn: it is asked again.
    return undefined
  }
}
