/** Writes an image of 100,000 small files in 1,000 directories to argv[2] and prints the peak of resident memory in KiB. */
import { Buffer } from 'node:buffer'
import { createTree, makeDirectory, put } from './tree.ts'
import { createErofsWriter } from './writer.ts'

const attributes = {
  mode: 0o755,
  uid: 1000,
  gid: 1000,
  mtimeSeconds: 1_700_000_000,
  mtimeNanoseconds: 123_456_789,
}
const writer = await createErofsWriter(process.argv[2] ?? '')
const root = createTree(attributes)
// One buffer for all: what the source allocates is not to be measured.
const bytes = Buffer.alloc(1000, 'x')
for (let group = 0; group < 1000; group++) {
  makeDirectory(root, `directory-${group}`, attributes)
  for (let index = 0; index < 100; index++) {
    const content = await writer.addFile(bytes.subarray(0, 700 + index))
    put(root, `directory-${group}/a-file-with-an-ordinary-name-${index}`, {
      ...attributes,
      kind: 'file',
      content,
    })
  }
}
const { inodes } = await writer.finish(root)
console.log(JSON.stringify({ inodes, peakKib: process.resourceUsage().maxRSS }))
