import type { Accelerator } from './accelerator.ts'

/** What the virtual machine is made of. Two boxes of equal specification restore from one boot template. */
export type MachineSpec = {
  readonly accelerator: Accelerator
  readonly cpus: number
  readonly memoryMib: number
}

/** Inherited descriptors of the VMM: connected sockets, so that it needs no path and nobody else can connect. */
export const vmmDescriptors = { qmp: 3, agent: 4, console: 5 } as const

/** Paths as the jailed VMM sees them. */
export const jailPaths = {
  memory: '/template/memory',
  device: '/template/device',
  /** Of the boot template from which another is made. */
  bootDevice: '/boot-device',
  image: '/image',
  disk: '/disk',
  diskBase: '/disk-base',
  kernel: '/kernel',
  initramfs: '/initramfs',
  firmware: '/firmware',
} as const

/**
 * Capacity of both block devices in every machine. The guest learns it when the template boots and does not ask again
 * after a restore, so it must be the same whatever file lies behind.
 */
export const blockDeviceBytes = 64 * 1024 ** 3

export type MachineMode =
  /** From the kernel, writing the guest's memory into the file that becomes the template. */
  | { readonly kind: 'boot' }
  /** From a boot template, of whose memory it has a copy, writing into what becomes another template. */
  | { readonly kind: 'continue' }
  /** From a template whose memory file is mapped copy-on-write. */
  | { readonly kind: 'restore' }

/** The name under which the agent finds its port. */
export const agentPortName = 'coffer.agent'

// What emulation is better without. With the first two the guest's kernel copies by REP MOVSB, carried out byte by byte, instead of by loops of
// MOV: half the throughput. Five levels of page tables are one more to walk. Every execve sets the protection keys, which flushes the TLB.
const emulatedProcessor = 'max,-erms,-fsrm,-la57,-pku'

// `panic=-1` reboots at once, which `-no-reboot` turns into the end of QEMU. rcu_expedited: mounting and leaving namespaces
// wait for RCU grace periods, tens of milliseconds each otherwise.
const kernelParameters = [
  'console=ttyS0',
  'quiet',
  'panic=-1',
  'rcupdate.rcu_expedited=1',
  'cryptomgr.notests',
  'tsc=reliable',
]

// Emulation does not speculate, so there is nothing to mitigate; the code that would is a tenth of the way to the first output.
// Zeroing every page twice is what a distribution's kernel does against leaks of its own memory; emulated, it costs a fifth of each command and a
// quarter of the throughput. What it defends lies within the box.
const emulatedParameters = ['mitigations=off', 'init_on_alloc=0']

/** The arguments of QEMU. Everything but memory and boot source must be equal in all modes, or a restore is refused. */
export function machineArguments(spec: MachineSpec, mode: MachineMode): string[] {
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    ...['-M', 'q35,memory-backend=ram0,vmport=off,smbus=off,sata=off,i8042=off,hpet=off'],
    ...['-accel', spec.accelerator === 'kvm' ? 'kvm' : 'tcg,thread=multi'],
    ...['-cpu', spec.accelerator === 'kvm' ? 'host' : emulatedProcessor],
    ...['-smp', String(spec.cpus), '-m', `${spec.memoryMib}M`],
    ...['-object', memoryBackend(spec, mode)],
    ...['-rtc', 'base=utc,driftfix=slew'],
    ...characterDevice('qmp', vmmDescriptors.qmp),
    ...['-mon', 'chardev=qmp,mode=control'],
    ...characterDevice('console', vmmDescriptors.console),
    ...['-serial', 'chardev:console'],
    ...characterDevice('agent', vmmDescriptors.agent),
    // Emulated, the processor's own thread may as well carry out what it asks for: waking another costs more.
    ...[
      '-device',
      `virtio-serial-pci,id=serial,max_ports=2,ioeventfd=${spec.accelerator === 'kvm' ? 'on' : 'off'}`,
    ],
    ...['-device', `virtserialport,bus=serial.0,nr=1,chardev=agent,name=${agentPortName}`],
    ...['-object', 'rng-builtin,id=rng0', '-device', 'virtio-rng-pci,rng=rng0'],
    ...['-device', 'vmgenid,guid=auto'],
    ...blockDevices(mode),
    ...bootSource(spec, mode),
  ]
}

/** Device files of the host the VMM needs. Software emulation needs none. */
export function machineDevices(accelerator: Accelerator): readonly string[] {
  return accelerator === 'kvm' ? ['/dev/kvm'] : []
}

function characterDevice(id: string, descriptor: number): string[] {
  return ['-chardev', `socket,id=${id},fd=${descriptor}`]
}

function memoryBackend(spec: MachineSpec, mode: MachineMode): string {
  const sharing = mode.kind === 'restore' ? 'share=off,readonly=on,rom=off' : 'share=on'
  return `memory-backend-file,id=ram0,size=${spec.memoryMib}M,mem-path=${jailPaths.memory},${sharing}`
}

function blockDevices(mode: MachineMode): string[] {
  // The template boots without anybody's data: empty devices of the same size stand in.
  const nodes =
    mode.kind === 'boot'
      ? [
          `driver=null-co,node-name=image,size=${blockDeviceBytes},read-zeroes=on,read-only=on`,
          `driver=null-co,node-name=disk,size=${blockDeviceBytes},read-zeroes=on`,
        ]
      : [
          `driver=raw,node-name=image,read-only=on,file.driver=file,file.locking=off,file.filename=${jailPaths.image}`,
          `driver=qcow2,node-name=disk,discard=unmap,file.driver=file,file.filename=${jailPaths.disk},${diskBacking}`,
        ]
  return [
    ...nodes.flatMap(node => ['-blockdev', node]),
    ...['-device', `virtio-blk-pci,drive=image,serial=image,${onDiskError}`],
    ...['-device', `virtio-blk-pci,drive=disk,serial=disk,${onDiskError}`],
  ]
}

// By default QEMU stops the machine when the host's disk is full, and it would hang without a word. The guest can report an error.
const onDiskError = 'werror=report,rerror=report'

const diskBacking = [
  'backing.driver=raw',
  'backing.read-only=on',
  'backing.file.driver=file',
  'backing.file.locking=off',
  `backing.file.filename=${jailPaths.diskBase}`,
].join(',')

function bootSource(spec: MachineSpec, mode: MachineMode): string[] {
  const parameters = [...kernelParameters, ...(spec.accelerator === 'tcg' ? emulatedParameters : [])]
  if (mode.kind === 'boot')
    return ['-kernel', jailPaths.kernel, '-initrd', jailPaths.initramfs, '-append', parameters.join(' ')]
  // What to restore is said over QMP, after the capability without which the memory file would be overwritten.
  return ['-incoming', 'defer']
}
