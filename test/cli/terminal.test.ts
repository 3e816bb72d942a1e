import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { cofferForThisFile, exitCode } from './coffer.ts'

const coffer = cofferForThisFile()
const launcher = join(import.meta.dirname, '../../bin/coffer.js')

/** Runs a shell script whose streams are a terminal of its own; `$COFFER` is the program. */
function startOnTerminal(script: string) {
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

test('run -it is a terminal: its size, its name, job control, and the exit code', {
  timeout: 120_000,
}, async () => {
  const terminal = startOnTerminal('stty rows 33 cols 99; $COFFER run -it; exit $?')
  await terminal.sees(/# /)
  terminal.type('tty; stty size; echo "term=$TERM"\r')
  await terminal.sees(/\/dev\/pts\/\d+\s+33 99\s+term=xterm/)
  // The key, not the signal: the terminal inside makes a signal of it, and our process must not.
  terminal.type("sh -c 'echo a$((20 + 1)); exec sleep 1000'\r")
  await terminal.sees(/a21/)
  terminal.type('\u0003')
  await terminal.sees(/\^C/)
  terminal.type('echo still $((40 + 2)); exit 5\r')
  await terminal.sees(/still 42/)
  assert.equal((await terminal.ends()).code, 5)
})

test('the terminal has its own mode back, also after a signal', { timeout: 120_000 }, async () => {
  const script = [
    'before=$(stty -g)',
    '$COFFER run -it -- true; [ "$(stty -g)" = "$before" ] && echo same after an end',
    '$COFFER run -it -- no-such-command; [ "$(stty -g)" = "$before" ] && echo same after a failure',
    '($COFFER run -it -- sh -c "echo ready; sleep 1000"; echo code $?)',
    '[ "$(stty -g)" = "$before" ] && echo same after a signal',
  ].join('; ')
  const terminal = startOnTerminal(`echo pid $$; ${script}`)
  await terminal.sees(/same after an end/)
  await terminal.sees(/same after a failure/)
  await terminal.sees(/ready/)
  terminal.type('\u0003')
  await terminal.sees(/code 130/)
  await terminal.sees(/same after a signal/)
  await terminal.ends()
})

test('a shell is what run gives on a terminal when no command is named', { timeout: 120_000 }, async () => {
  const terminal = startOnTerminal('$COFFER run')
  await terminal.sees(/# /)
  terminal.type('exit 4\r')
  assert.equal((await terminal.ends()).code, 4)
})
