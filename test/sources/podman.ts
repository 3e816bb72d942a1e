import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { eventually } from '../home.ts'
import { run, skopeoCopy } from './images.ts'

export type TestPodman = {
  readonly socket: string
  /** Gives it the image `image` of an OCI layout, under this name. */
  load(layout: string, name: string): Promise<void>
}

/** A real Podman with a storage of its own below `scratchPath`, and its service on a socket. Undefined, and the test skipped, where there is none. */
export async function startPodman(t: TestContext, scratchPath: string): Promise<TestPodman | undefined> {
  if (process.getuid?.() !== 0) return void t.skip('Podman in a directory of its own needs root here')
  const missing = await run('podman', '--version').then(
    () => false,
    () => true,
  )
  if (missing) return void t.skip('podman is not installed')
  const path = join(scratchPath, 'podman')
  mkdirSync(path)
  const storage = ['--root', join(path, 'root'), '--runroot', join(path, 'run'), '--storage-driver', 'vfs']
  const common = [...storage, '--cgroup-manager', 'cgroupfs', '--events-backend', 'none']
  const socket = join(path, 'sock')
  const child = spawn(
    'setpriv',
    ['--pdeathsig', 'KILL', 'podman', ...common, 'system', 'service', '--time=0', `unix://${socket}`],
    {
      stdio: 'ignore',
      env: { PATH: process.env['PATH'], HOME: path },
    },
  )
  t.after(async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  await eventually('podman listens', () => existsSync(socket))
  return {
    socket,
    async load(layout, name) {
      const archive = `${path}/archive`
      await skopeoCopy(`oci:${layout}:image`, `docker-archive:${archive}:${name}`)
      await run('podman', ...common, 'load', '--quiet', '--input', archive)
      rmSync(archive)
    },
  }
}
