/** Memory of the processes of idle boxes: what each has for itself, and its fair share of what it shares. */
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Box } from '../src/index.ts'
import { boxOptions, openBenchRuntime } from './engine.ts'
import { type Figure, figure, printFigures, timed } from './report.ts'

/** A guest that has just started goes on for some seconds: timers that fire for the first time are translated for the first time. */
const settleMs = 8_000

/** The shim and the jail do not change with a command. */
const qemuFigures = 3

await using bench = await openBenchRuntime()
const one = await measure(1)
const ten = await measure(10)
printFigures('memory', [...one.figures, ...ten.figures], {
  'start of 10 boxes at once (ms)': Math.round(ten.startMs),
})

async function measure(count: number): Promise<{ figures: Figure[]; startMs: number }> {
  const boxes = await Promise.all(
    Array.from({ length: count }, () => bench.runtime.create({ ...boxOptions })),
  )
  const startMs = await timed(() => Promise.all(boxes.map(box => box.start())))
  await sleep(settleMs)
  const started = await sampled(boxes, `${count} idle`)
  await Promise.all(boxes.map(box => box.run('true')))
  const used = await sampled(boxes, `${count} idle after a command`)
  for (const box of boxes) await bench.runtime.remove(box.id, { force: true })
  return { startMs, figures: [...started, ...used.slice(0, qemuFigures)] }
}

async function sampled(boxes: readonly Box[], state: string): Promise<Figure[]> {
  const samples = {
    qemuPrivate: [],
    qemuClean: [],
    qemuShare: [],
    shimClean: [],
    shimPrivate: [],
    shimShare: [],
    jailPrivate: [],
  } as Record<string, number[]>
  for (const box of boxes) {
    const shim = (await box.info()).pid ?? 0
    const processes = descendantsOf(shim)
    const qemu = processes.filter(isQemu)
    const jail = processes.filter(pid => !isQemu(pid))
    for (const pid of qemu) sample(samples, 'qemu', pid)
    sample(samples, 'shim', shim)
    samples['jailPrivate']?.push(jail.reduce((sum, pid) => sum + memoryOf(pid).privateMb, 0))
  }
  const row = (what: string, name: string): Figure => figure(`${state}, ${what}`, 'MB', samples[name] ?? [])
  return [
    row('QEMU private', 'qemuPrivate'),
    row('QEMU private, of it clean file pages', 'qemuClean'),
    row('QEMU proportional', 'qemuShare'),
    row('shim private', 'shimPrivate'),
    row('shim proportional', 'shimShare'),
    row('jail private', 'jailPrivate'),
  ]
}

function sample(samples: Record<string, number[]>, process: string, pid: number): void {
  const { privateMb, cleanMb, shareMb } = memoryOf(pid)
  samples[`${process}Clean`]?.push(cleanMb)
  samples[`${process}Private`]?.push(privateMb)
  samples[`${process}Share`]?.push(shareMb)
}

function memoryOf(pid: number): { privateMb: number; cleanMb: number; shareMb: number } {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const kilobytes = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(rollup)?.[1] ?? 0)
  const megabytes = (field: string): number => (kilobytes(field) * 1024) / 1e6
  // Clean pages of a file that happens to have one user now (the template's, with one box) are the page cache's, not the process's.
  return {
    privateMb: megabytes('Private_Dirty') + megabytes('Private_Clean'),
    cleanMb: megabytes('Private_Clean'),
    shareMb: megabytes('Pss'),
  }
}

/** Bubblewrap, the jail's keeper, and QEMU. */
function descendantsOf(pid: number): number[] {
  const children = readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(other => parentOf(other) === pid)
  return children.flatMap(child => [child, ...descendantsOf(child)])
}

function isQemu(pid: number): boolean {
  return readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('qemu-system')
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    // It ended between the listing and the look.
    return undefined
  }
}
