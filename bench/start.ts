/** From `create` to the first output of `echo`, beside the same kernel booted cold by plain QEMU, in the same run. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findComponents } from '../src/vm/components.ts'
import { buildInitramfs } from '../src/vm/initramfs.ts'
import { boxOptions, openBenchRuntime } from './engine.ts'
import { figure, printFigures, sampleCount, timed } from './report.ts'

const restored: number[] = []
const restarted: number[] = []
const cold: number[] = []
{
  await using bench = await openBenchRuntime()
  for (let index = 0; index < sampleCount(30); index++) {
    const box = await bench.runtime.create({ ...boxOptions })
    restored.push(await timed(() => box.run('echo', ['hello'])))
    await box.stop({ timeoutMs: 0 })
    restarted.push(await timed(() => box.run('echo', ['hello'])))
    await bench.runtime.remove(box.id, { force: true })
  }
}
for (let index = 0; index < Math.max(3, Math.round(sampleCount(30) / 10)); index++)
  cold.push(await timed(coldBoot))
const [first, again, plain] = [
  figure('create → first output (restored)', 'ms', restored),
  figure('start of a stopped box → first output', 'ms', restarted),
  figure('plain QEMU, same kernel, cold → agent ready', 'ms', cold),
]
printFigures('start', [first, again, plain], {
  'times faster than the cold boot (p50)': (plain.p50 / first.p50).toFixed(1),
})

/** The kernel and the agent without template, jail or shim, up to the agent's first word on its port. */
async function coldBoot(): Promise<void> {
  const components = findComponents()
  const directory = mkdtempSync(join(tmpdir(), 'coffer-cold-'))
  try {
    const initramfs = join(directory, 'initramfs')
    writeFileSync(initramfs, await buildInitramfs(components))
    const machine = [
      '-M',
      'q35',
      '-accel',
      'tcg,thread=multi',
      '-cpu',
      'max',
      '-m',
      `${boxOptions.memoryMib}M`,
      '-smp',
      '1',
    ]
    const source = [
      '-kernel',
      components.kernel.image,
      '-initrd',
      initramfs,
      '-append',
      'console=ttyS0 quiet panic=-1',
    ]
    const port = [
      '-device',
      'virtio-serial-pci',
      '-chardev',
      'stdio,id=agent',
      '-device',
      'virtserialport,chardev=agent,name=coffer.agent',
    ]
    const disks = ['image', 'disk'].flatMap(id => [
      ...['-blockdev', `driver=null-co,node-name=${id},size=68719476736,read-zeroes=on`],
      ...['-device', `virtio-blk-pci,drive=${id},serial=${id}`],
    ])
    const qemu = spawn(
      components.qemu,
      ['-nodefaults', '-display', 'none', '-no-reboot', ...machine, ...source, ...port, ...disks],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    )
    await new Promise<void>((resolve, reject) => {
      qemu.stdout.once('data', () => resolve())
      qemu.once('exit', () => reject(new Error('QEMU ended before the agent was ready')))
    })
    qemu.removeAllListeners('exit')
    qemu.kill('SIGKILL')
    await new Promise(resolve => qemu.once('close', resolve))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
