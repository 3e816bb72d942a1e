import type { Command } from 'commander'
import type { DiskUsage, UsageShare } from '../../image/usage.ts'
import { formatBytes } from '../bytes.ts'
import { type Context, type GlobalOptions, withRuntime } from '../context.ts'
import { exitCodes } from '../exit-codes.ts'
import { formatJson } from '../json.ts'
import { formatTable } from '../table.ts'

type Options = GlobalOptions & { readonly json?: boolean }

export function addSystem(program: Command, context: Context): void {
  const system = program
    .command('system')
    .summary('show what the home takes of the disk')
    .description('About the home as a whole.')
  const command = system
    .command('df')
    .summary('what the home takes of the disk')
    .description(
      'Prints what the home takes of its disk, by kind, and how much of it coffer prune, or coffer prune --images -a, would give back.',
    )
    .option('--json', 'print a JSON object')
    .action(async () => {
      const options = command.optsWithGlobals<Options>()
      const usage = await withRuntime(options, runtime => runtime.images.diskUsage())
      process.stdout.write(options.json === true ? formatJson(usage) : formatUsage(usage))
      context.exitCode = exitCodes.ok
    })
}

type Row = { readonly kind: string; readonly share: UsageShare; readonly count: string }

export function formatUsage(usage: DiskUsage): string {
  const row = (kind: string, share: UsageShare): Row => ({ kind, share, count: String(share.count) })
  const rows = [
    row('layers, as they came', usage.blobs),
    row('images, prepared', usage.rootfs),
    row('interrupted downloads', usage.partial),
    row('boxes', usage.boxes),
    row('templates', usage.templates),
  ]
  const reclaimableBytes = rows.reduce((sum, { share }) => sum + share.reclaimableBytes, 0)
  const total = { count: 0, bytes: usage.totalBytes, reclaimableBytes }
  return formatTable<Row>(
    [
      { title: 'KIND', value: ({ kind }) => kind },
      { title: 'COUNT', value: ({ count }) => count },
      { title: 'SIZE', value: ({ share }) => formatBytes(share.bytes) },
      { title: 'RECLAIMABLE', value: ({ share }) => formatBytes(share.reclaimableBytes) },
    ],
    [...rows, { kind: 'all', share: total, count: '' }],
  )
}
