import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { after } from 'node:test'
import { type Coffer, exitCode } from './coffer.ts'

const launcher = join(import.meta.dirname, '../../bin/coffer.js')

/** Runs a shell script whose streams are a terminal of its own; `$COFFER` is the program. */
export function startOnTerminal(coffer: Coffer, script: string) {
  const child = spawn('script', ['-qefc', script, '/dev/null'], {
    env: {
      ...process.env,
      COFFER_HOME: coffer.home,
      COFFER: launcher,
      SHELL: '/bin/sh',
      TERM: 'xterm',
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  after(() => child.kill())
  const code = exitCode(child)
  let screen = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    screen += text
  })
  return {
    /** Waits until the screen shows `pattern`, and returns what was shown so far. */
    async sees(pattern: RegExp): Promise<string> {
      while (!pattern.test(screen)) {
        const ended = await Promise.race([
          new Promise<false>(resolve => child.stdout.once('data', () => resolve(false))),
          code.then(() => true),
        ])
        if (ended && !pattern.test(screen)) assert.fail(`ended without ${pattern}:\n${screen}`)
      }
      return screen
    },
    type: (text: string) => child.stdin.write(text),
    async ends(): Promise<{ code: number | null; screen: string }> {
      const ended = await code
      child.stdin.end()
      return { code: ended, screen }
    },
  }
}
