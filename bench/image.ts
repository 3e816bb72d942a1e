/**
 * Images: pulled and prepared from a registry on loopback, beside skopeo and umoci in the same run; boxes from a prepared image beside the
 * built-in one; a Python in a warm box.
 */
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { debianImage, debianImageUnavailable } from '../test/layers/debian-image.ts'
import { startRegistry, type TestRegistry } from '../test/registry/registry.ts'
import { scratchDirectory } from '../test/scratch.ts'
import { boxOptions, openBenchRuntime } from './engine.ts'
import { figure, printFigures, sampleCount, timed } from './report.ts'

const run = promisify(execFile)
const busybox = join(import.meta.dirname, '..', 'build', 'busybox')
const bulkMb = 650

const unavailable = debianImageUnavailable()
if (unavailable !== undefined) {
  console.error(`image: ${unavailable}`)
  process.exit(1)
}
using scratch = scratchDirectory('bench-image')
await using registry = await startRegistry()
await pushImages(registry)
const debian = `${registry.host}/bench/debian:1`
const pulls = await measurePulls(Math.max(5, Math.round(sampleCount(30) / 5)))
const memory: number[] = []
for (let index = 0; index < 3; index++) memory.push(await pullInProcess(`${registry.host}/bench/bulk:1`))
const boxes = await measureBoxes(sampleCount(30))
const peak = figure('pull of 1 GB: memory above idle, at its peak', 'MB', memory)
printFigures('image', [...pulls.figures, peak, ...boxes.figures], {
  ...pulls.facts,
  ...boxes.facts,
})

/** Debian with Python and a compiler, and a static busybox to compare what the image costs and not what its programs do; the same with a bulk of random bytes. */
async function pushImages({ push }: TestRegistry): Promise<void> {
  const { layoutDirectory, tag } = await debianImage()
  const layout = join(scratch.path, 'layout')
  cpSync(layoutDirectory, layout, { recursive: true })
  await run('umoci', ['insert', '--image', `${layout}:${tag}`, busybox, '/opt/busybox'])
  await push(`oci:${layout}:${tag}`, 'bench/debian:1')
  const bulk = join(scratch.path, 'bulk')
  mkdirSync(bulk)
  for (let index = 0; index < bulkMb / 50; index++)
    await run('dd', ['if=/dev/urandom', `of=${bulk}/${index}`, 'bs=1000000', 'count=50', 'status=none'])
  await run('umoci', ['insert', '--image', `${layout}:${tag}`, '--tag', 'bulk', bulk, '/bulk'])
  await push(`oci:${layout}:bulk`, 'bench/bulk:1')
  rmSync(bulk, { recursive: true })
  rmSync(layout, { recursive: true })
}

async function measurePulls(n: number) {
  const ours: number[] = []
  const theirs: number[] = []
  // One of each first: what both read is in the page cache then.
  await pullInProcess(debian)
  for (let index = 0; index < n; index++) {
    ours.push(await timed(() => pullInProcess(debian)))
    theirs.push(await timed(() => pullWithUmoci(debian)))
  }
  const [coffer, umoci] = [
    figure('pull and prepare Debian, 350 MB: coffer', 'ms', ours),
    figure('pull and unpack the same: skopeo copy, umoci unpack', 'ms', theirs),
  ]
  return {
    figures: [coffer, umoci],
    facts: { 'times as fast as skopeo and umoci (p50)': (umoci.p50 / coffer.p50).toFixed(2) },
  }
}

/** Into a fresh home, by a process of its own, as the others are. Returns what memory it took above an idle one. */
async function pullInProcess(image: string): Promise<number> {
  using home = scratchDirectory('bench-home')
  const child = join(import.meta.dirname, 'pull-image.ts')
  const { stdout } = await run(process.execPath, ['--no-warnings', child, home.path, image])
  return Number(JSON.parse(stdout)['aboveIdleMb'])
}

async function pullWithUmoci(image: string): Promise<void> {
  using store = scratchDirectory('bench-umoci')
  const layout = join(store.path, 'layout')
  const copy = ['copy', '--quiet', '--insecure-policy', '--src-tls-verify=false']
  await run('skopeo', [...copy, `docker://${image}`, `oci:${layout}:image`])
  const rootless = process.getuid?.() === 0 ? [] : ['--rootless']
  await run('umoci', ['unpack', ...rootless, '--image', `${layout}:image`, join(store.path, 'bundle')], {
    maxBuffer: 64 * 1024 * 1024,
  })
}

async function measureBoxes(n: number) {
  await using bench = await openBenchRuntime()
  const { runtime } = bench
  await runtime.images.pull(debian)
  const series = {
    builtIn: { options: boxOptions, command: '/bin/busybox', args: ['echo', 'hello'] },
    debian: { options: { ...boxOptions, image: debian }, command: '/opt/busybox', args: ['echo', 'hello'] },
    dynamic: { options: { ...boxOptions, image: debian }, command: 'echo', args: ['hello'] },
  } as const
  const samples: Record<keyof typeof series, number[]> = { builtIn: [], debian: [], dynamic: [] }
  const names = ['builtIn', 'debian', 'dynamic'] as const
  const writtenBytes = { builtIn: 0, debian: 0, dynamic: 0 }
  for (let index = -1; index < n; index++)
    for (const name of names) {
      const { options, command, args } = series[name]
      const before = await runtime.images.diskUsage()
      const box = await runtime.create({ ...options })
      const milliseconds = await timed(() => box.run(command, [...args]))
      const after = await runtime.images.diskUsage()
      // The first of each warms the caches, and makes the template of its image.
      if (index >= 0) {
        samples[name].push(milliseconds)
        writtenBytes[name] = Math.max(writtenBytes[name], after.totalBytes - before.totalBytes)
      }
      await runtime.remove(box.id, { force: true })
    }
  const python = await measurePython(runtime, n)
  const [builtIn, static_, dynamic] = [
    figure('create → first output, built-in busybox', 'ms', samples.builtIn),
    figure('create → first output, Debian, the same program', 'ms', samples.debian),
    figure("create → first output, Debian's own echo", 'ms', samples.dynamic),
  ]
  return {
    figures: [builtIn, static_, dynamic, figure("python3 -c 'print(1)' in a warm box", 'ms', python)],
    facts: {
      'Debian against the built-in image, same program (p50)': (static_.p50 / builtIn.p50).toFixed(3),
      "Debian's own echo against it (p50)": (dynamic.p50 / builtIn.p50).toFixed(3),
      'bytes a further box from Debian adds to the home, at most': writtenBytes.debian,
      'bytes a further box from the built-in image adds, at most': writtenBytes.builtIn,
    },
  }
}

async function measurePython(
  runtime: Awaited<ReturnType<typeof openBenchRuntime>>['runtime'],
  n: number,
): Promise<number[]> {
  await using box = await runtime.create({ ...boxOptions, image: debian, ephemeral: true })
  const python = () => box.run('python3', ['-c', 'print(1)'])
  for (let index = 0; index < 3; index++) await python()
  const samples: number[] = []
  for (let index = 0; index < n; index++) samples.push(await timed(python))
  return samples
}
