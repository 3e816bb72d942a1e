import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { cofferForThisFile } from './coffer.ts'
import { startOnTerminal } from './terminal.ts'

const coffer = cofferForThisFile()

test('run -it is a terminal: its size, its name, job control, and the exit code', {
  timeout: 120_000,
}, async () => {
  const terminal = startOnTerminal(coffer, 'stty rows 33 cols 99; $COFFER run -it; exit $?')
  await terminal.sees(/# /)
  terminal.type('tty; stty size; echo "term=$TERM"\r')
  await terminal.sees(/\/dev\/pts\/\d+\s+33 99\s+term=xterm/)
  // The key, not the signal: the terminal inside makes a signal of it, and our process must not.
  terminal.type("sh -c 'echo a$((20 + 1)); exec sleep 1000'\r")
  await terminal.sees(/a21/)
  terminal.type('\u0003')
  // Not the echo of the key: a shell that is quick to take the terminal back turns echo off before Linux gets to it.
  await terminal.sees(/a21[\s\S]*# /)
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
  const terminal = startOnTerminal(coffer, `echo pid $$; ${script}`)
  await terminal.sees(/same after an end/)
  await terminal.sees(/same after a failure/)
  await terminal.sees(/ready/)
  terminal.type('\u0003')
  await terminal.sees(/code 130/)
  await terminal.sees(/same after a signal/)
  await terminal.ends()
})

test('a shell is what run gives on a terminal when no command is named', { timeout: 120_000 }, async () => {
  const terminal = startOnTerminal(coffer, '$COFFER run')
  await terminal.sees(/# /)
  terminal.type('exit 4\r')
  assert.equal((await terminal.ends()).code, 4)
})

test('a new size of the terminal is seen inside; ^Z stops a job and ^D ends the shell', {
  timeout: 120_000,
}, async () => {
  const mark = join(coffer.home, 'resize')
  const resize = `until [ -e ${mark} ]; do sleep 0.1; done; stty -F /dev/tty rows 41 cols 77`
  const terminal = startOnTerminal(coffer, `(${resize}) & $COFFER run -it; exit $?`)
  await terminal.sees(/# /)
  terminal.type('sh -c \'trap "stty size; exit" WINCH; echo ready$((1 + 1)); while :; do sleep 0.1; done\'\r')
  await terminal.sees(/ready2/)
  writeFileSync(mark, '')
  await terminal.sees(/41 77\s+\/ # /)
  terminal.type("sh -c 'echo sleeps$((1 + 1)); exec sleep 1000'\r")
  await terminal.sees(/sleeps2/)
  terminal.type('\u001a')
  await terminal.sees(/Stopped[\s\S]*\/ # /)
  // The shell must be at its prompt to take the key: between two commands it would be lost.
  terminal.type('kill -9 %1; wait; (exit 3)\r')
  await terminal.sees(/Killed[^\n]*\n\/ # /)
  terminal.type('\u0004')
  assert.equal((await terminal.ends()).code, 3)
})
