import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Box } from '../../src/index.ts'
import { openTestHome, smallBox, type TestHome } from '../home.ts'
import { scratchDirectory } from '../scratch.ts'

// A pipe has slots as well as bytes, and with O_DIRECT every write takes one of its own: what its writer may do to it must lose nothing.

const source = `
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int count, char **words) {
  static char bytes[65536];
  int size = atoi(words[1]), pipe_size = atoi(words[2]);
  memset(bytes, 'a', sizeof bytes);
  for (int i = 0; i < 16; i++)
    if (write(1, bytes, sizeof bytes) != sizeof bytes) return 2;
  memset(bytes, 'b', sizeof bytes);
  if (fcntl(1, F_SETPIPE_SZ, pipe_size) < 0 || fcntl(1, F_SETFL, O_WRONLY | O_DIRECT) < 0) return 3;
  for (int i = 0; i < 2000; i++)
    if (write(1, bytes, size) != size) return 4;
  return count - 3;
}`

let home: TestHome
let box: Box
before(async () => {
  home = await openTestHome()
  box = await home.runtime.create(smallBox, 'packets')
  using scratch = scratchDirectory('packets')
  const program = join(scratch.path, 'packets')
  execFileSync('gcc', ['-D_GNU_SOURCE', '-O1', '-static', '-x', 'c', '-o', program, '-'], { input: source })
  await box.run('sh', ['-c', 'cat > /packets && chmod +x /packets'], { stdin: readFileSync(program) })
})
after(() => home[Symbol.asyncDispose]())

for (const pipeBytes of [256 * 1024, 1024 * 1024])
  for (const packetBytes of [1, 500, 1000, 4096])
    test(`packets of ${packetBytes} bytes in a pipe of ${pipeBytes / 1024} KiB all arrive, whole`, async () => {
      const execution = await box.exec('/packets', [`${packetBytes}`, `${pipeBytes}`])
      const counts = new Map<number, number>()
      for await (const chunk of execution.stdout)
        for (const byte of chunk) counts.set(byte, (counts.get(byte) ?? 0) + 1)
      assert.equal((await execution.wait()).exitCode, 0)
      assert.deepEqual(Object.fromEntries(counts), { 97: 1024 * 1024, 98: 2000 * packetBytes })
    })
