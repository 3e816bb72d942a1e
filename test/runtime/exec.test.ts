import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import type { Box } from '../../src/index.ts'
import { isCofferError } from '../../src/index.ts'
import { openTestHome, smallBox, type TestHome } from '../home.ts'

let home: TestHome
let box: Box
before(async () => {
  home = await openTestHome()
  box = await home.runtime.create({ ...smallBox, env: { FROM_BOX: 'box', SHARED: 'box' } }, 'exec')
})
after(() => home[Symbol.asyncDispose]())

test('the first command boots the box and runs on a kernel of its own', async () => {
  const output = await box.run('uname', ['-r'])
  const { readFileSync } = await import('node:fs')
  assert.equal(output.exitCode, 0)
  assert.notEqual(output.text.trim(), readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim())
})

test('exit codes are results', async () => {
  for (const code of [0, 1, 42, 255]) {
    const output = await box.shell(`exit ${code}`)
    assert.equal(output.exitCode, code)
    assert.equal(output.ok, code === 0)
    assert.equal(output.signal, undefined)
  }
})

test('a process ended by a signal has its negative number and its name', async () => {
  const output = await box.shell('kill -USR1 $$')
  assert.equal(output.exitCode, -10)
  assert.equal(output.signal, 'SIGUSR1')
})

test('standard output and error are separate and exact to the byte', async () => {
  const output = await box.shell(String.raw`printf 'a\000\377b'; printf 'err' >&2`)
  assert.deepEqual([...output.stdout], [0x61, 0, 0xff, 0x62])
  assert.equal(output.stderr.toString(), 'err')
})

test('the environment of the command is merged over the box’s', async () => {
  const output = await box.run('env', [], { env: { SHARED: 'command', 'WITH SPACE': 'ü ', EMPTY: '' } })
  const lines = output.text.split('\n')
  for (const line of [
    'FROM_BOX=box',
    'SHARED=command',
    'WITH SPACE=ü ',
    'EMPTY=',
    'HOME=/root',
    'HOSTNAME=exec',
  ])
    assert.ok(lines.includes(line), `${line} in ${output.text}`)
  assert.ok(lines.some(line => line.startsWith('PATH=')))
})

test('working directory and user are as asked', async () => {
  assert.equal((await box.run('pwd', [], { cwd: '/etc' })).text, '/etc\n')
  assert.equal((await box.run('id', ['-u'])).text, '0\n')
  assert.equal((await box.run('id', ['-un'], { user: 'nobody' })).text, 'nobody\n')
  assert.equal((await box.shell('id -u; id -g', { user: '1234:4321' })).text, '1234\n4321\n')
  assert.equal((await box.shell('id -un', { user: '  ' })).text, 'root\n')
  assert.equal((await box.shell('id -u; id -g; echo $HOME', { user: 'www-data' })).text.split('\n')[0], '33')
})

test('users and groups are found however long their files are', async () => {
  await using own = await home.runtime.create({ ...smallBox, ephemeral: true })
  await own.shell(`for id in $(seq 2000 2199); do
    echo "user$id:x:$id:$id:user number $id:/home/user$id:/bin/sh" >> /etc/passwd
    echo "group$id:x:$id:user2199" >> /etc/group
  done`)
  const { text } = await own.shell('id -u; id -G | wc -w; echo $HOME', { user: 'user2199' })
  assert.equal(text, '2199\n200\n/home/user2199\n')
  // Around what is read at once, to the byte.
  for (const bytes of [2047, 2048, 2049]) {
    await own.shell(
      `head -c ${bytes - 20} /etc/passwd > /new; printf '\\nlast:x:77:77::/:%*s' 50 | head -c 20 >> /new; wc -c < /new; mv /new /etc/passwd`,
    )
    assert.equal((await own.shell('wc -c < /etc/passwd; id -u', { user: 'last' })).text, `${bytes}\n77\n`)
  }
  await own.shell(': > /etc/passwd; rm /etc/group')
  assert.equal((await own.shell('id -u; echo $HOME', { user: '7' })).text, '7\n/\n')
})

test('what is no file of users is refused, and holds nothing up', async () => {
  await using own = await home.runtime.create({ ...smallBox, ephemeral: true })
  const shell = await own.exec('sh', [], { stdin: 'pipe' })
  for (const make of ['mkfifo', 'mkdir', 'ln -s /dev/zero', 'ln -s /dev/null', 'ln -s group']) {
    shell.stdin?.write(`rm -rf /etc/group; ${make} /etc/group; echo made\n`)
    await once(shell.stdout, 'data')
    await assert.rejects(own.run('true'), error => {
      assert.ok(isCofferError(error, 'execution_failed'), make)
      assert.equal(error.details['kind'], 'bad_user', make)
      return true
    })
  }
  shell.stdin?.end('rm -rf /etc/group\n')
  await shell.wait()
  assert.ok((await own.run('true')).ok)
})

test('standard input: nothing by default, fixed bytes, text, or a pipe', async () => {
  assert.equal((await box.run('cat')).text, '')
  assert.equal((await box.run('cat', [], { stdin: 'fixed ü' })).text, 'fixed ü')
  const bytes = randomBytes(3_000_000)
  const output = await box.run('sha256sum', [], { stdin: bytes })
  assert.equal(output.text.split(' ')[0], createHash('sha256').update(bytes).digest('hex'))
  const execution = await box.exec('cat', [], { stdin: 'pipe' })
  execution.stdin?.write('one ')
  execution.stdin?.end('two')
  assert.equal((await execution.output()).text, 'one two')
})

test('writing to a process that closed its input fails with EPIPE and does not end it', async () => {
  const execution = await box.exec(
    'sh',
    ['-c', 'exec 0<&-; echo closed; read x < /dev/null; sleep 0.3; exit 7'],
    { stdin: 'pipe' },
  )
  await new Promise(resolve => execution.stdout.once('data', resolve))
  const failure = await new Promise<unknown>(resolve => {
    execution.stdin?.once('error', resolve)
    const push = (): void => {
      if (execution.stdin?.writable)
        execution.stdin.write(Buffer.alloc(100_000), error => error ?? setImmediate(push))
    }
    push()
  })
  assert.ok(isCofferError(failure, 'execution_failed'))
  assert.equal(failure.details['errno'], 'EPIPE')
  assert.equal((await execution.wait()).exitCode, 7)
})

test('a timeout kills the whole tree, also children that left the session', async () => {
  const marker = `marker-${Math.random()}`
  const script = `trap '' TERM ALRM; setsid sh -c 'sleep 300; echo ${marker}' & (setsid sh -c 'sleep 301; echo ${marker}' &); sleep 302`
  const output = await box.shell(script, { timeoutMs: 300 })
  assert.equal(output.timedOut, true)
  assert.equal(output.exitCode, -9)
  assert.equal(output.ok, false)
  const left = await box.shell(`ps -o args | grep -c '[s]leep 30[012]'; true`)
  assert.equal(left.text.trim(), '0')
})

test('a failed command tells what failed, with errno', async () => {
  await box.shell(
    'printf "#!/no/such/interpreter\\n" > /tmp/script; chmod 755 /tmp/script; echo plain > /tmp/plain',
  )
  const cases: readonly (readonly [string, readonly string[], object, string])[] = [
    ['no-such-command', [], {}, 'not_found'],
    ['/no/such/path', [], {}, 'not_found'],
    ['/etc', [], {}, 'not_executable'],
    ['/tmp/plain', [], {}, 'not_executable'],
    ['/tmp/script', [], {}, 'bad_interpreter'],
    ['true', [], { cwd: '/no/such/directory' }, 'bad_cwd'],
    ['true', [], { user: 'nobody-knows' }, 'bad_user'],
    ['true', [], { user: 'root:no-such-group' }, 'bad_user'],
    ['true', ['x'.repeat(200_000)], {}, 'bad_argument'],
  ]
  for (const [command, args, options, kind] of cases)
    await assert.rejects(box.run(command, args, options), error => {
      assert.ok(isCofferError(error, 'execution_failed'), String(error))
      assert.equal(error.details['kind'], kind, `${command}: ${error.message}`)
      assert.ok(Number(error.details['errno']) > 0 || kind === 'bad_user', error.message)
      return true
    })
})

test('one MiB of arguments arrives whole', async () => {
  const args = Array.from({ length: 10_000 }, (_, index) => `${index}`.padEnd(100, 'x'))
  const output = await box.run('sh', ['-c', 'echo $#; printf %s "$@" | wc -c', 'sh', ...args])
  assert.equal(output.text, '10000\n1000000\n')
})

test('bad options are refused by name before anything happens', async () => {
  const cases: readonly (readonly [object, RegExp])[] = [
    [{ cwd: 'relative' }, /cwd/],
    [{ env: { 'A=B': 'x' } }, /env/],
    [{ env: { A: 'x\0' } }, /env/],
    [{ timeoutMs: 0 }, /timeoutMs/],
    [{ timeoutMs: 1.5 }, /timeoutMs/],
    [{ user: 'a:b:c' }, /user/],
    [{ rlimits: { nofiles: 1 } }, /nofiles/],
    [{ rlimits: { nofile: { soft: 10, hard: 5 } } }, /nofile/],
    [{ tty: { rows: 0, cols: 80 } }, /tty/],
    [{ misspelt: 1 }, /misspelt/],
  ]
  for (const [options, named] of cases)
    await assert.rejects(
      box.run('true', [], options),
      error => isCofferError(error, 'invalid_argument') && named.test(error.message),
    )
})

test('resource limits reach the process, by any spelling', async () => {
  const output = await box.shell('ulimit -n; ulimit -c; ulimit -t', {
    rlimits: { NOFILE: 77, core: 'unlimited', Cpu: { soft: 30, hard: 60 } },
  })
  assert.equal(output.text, '77\nunlimited\n30\n')
})

test('64 executions at once do not mix', async () => {
  const runs = Array.from({ length: 64 }, (_, index) =>
    box.shell(`echo out-$N; echo err-$N >&2; pwd; id -u; exit $N`, {
      env: { N: `${index}` },
      cwd: index % 2 ? '/tmp' : '/etc',
      user: `${1000 + index}`,
    }),
  )
  for (const [index, output] of (await Promise.all(runs)).entries()) {
    assert.equal(output.exitCode, index)
    assert.equal(output.text, `out-${index}\n${index % 2 ? '/tmp' : '/etc'}\n${1000 + index}\n`)
    assert.equal(output.stderr.toString(), `err-${index}\n`)
  }
})

test('an unread stream stops its writer and nobody else', async () => {
  const flood = await box.exec('cat', ['/dev/zero'])
  const started = performance.now()
  for (let index = 0; index < 5; index++)
    assert.equal((await box.run('echo', ['still here'])).text, 'still here\n')
  assert.ok(performance.now() - started < 5_000)
  assert.ok(flood.stdout.readableLength <= 512 * 1024)
  await flood.kill()
  assert.equal((await flood.wait()).signal, 'SIGKILL')
})

test('output above its bound kills the command and says so', async () => {
  await assert.rejects(box.run('cat', ['/dev/zero'], { maxOutputBytes: 100_000 }), error =>
    isCofferError(error, 'resource_exhausted'),
  )
})

test('an abort signal kills the tree', async () => {
  const controller = new AbortController()
  const execution = await box.exec('sleep', ['300'], { signal: controller.signal })
  controller.abort()
  await assert.rejects(execution.wait(), error => isCofferError(error, 'aborted'))
})

test('a parked wait delays neither kill nor other waits', async () => {
  const execution = await box.exec('sleep', ['300'])
  const waits = Array.from({ length: 5 }, () => execution.wait())
  await execution.signal('TERM')
  for (const result of await Promise.all(waits)) assert.equal(result.exitCode, -15)
  assert.equal((await execution.wait()).signal, 'SIGTERM')
  await execution.kill()
})

test('a terminal has its size, a controlling process and one stream', async () => {
  const execution = await box.exec(
    'sh',
    ['-c', 'stty size; tty; echo err >&2; read line; echo "got $line"; stty size'],
    {
      tty: { rows: 31, cols: 97 },
      stdin: 'pipe',
    },
  )
  let text = ''
  let isTyped = false
  for await (const chunk of execution.stdout) {
    text += chunk
    if (text.includes('err\r\n') && !isTyped) {
      isTyped = true
      await execution.resize({ rows: 40, cols: 100 })
      execution.stdin?.write('typed\n')
    }
  }
  assert.match(text, /^31 97\r\n\/dev\/pts\/\d+\r\nerr\r\n/)
  assert.match(text, /typed\r\ngot typed\r\n40 100\r\n$/)
  assert.equal((await execution.wait()).exitCode, 0)
})

test('the box keeps what commands write', async () => {
  await box.shell('echo kept > /root/file')
  await box.stop()
  assert.equal((await box.run('cat', ['/root/file'])).text, 'kept\n')
})
