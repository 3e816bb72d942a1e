import { InvalidArgumentError } from 'commander'
import type { BoxInfo } from '../runtime/options.ts'
import { type BoxStatus, boxStatuses } from '../state/box-status.ts'

/** Which boxes to list. Of several values for status or name one must fit, of labels all: as in Docker. */
export type BoxFilter = {
  readonly statuses: readonly BoxStatus[]
  readonly names: readonly string[]
  readonly labels: readonly { readonly key: string; readonly value: string | undefined }[]
}

const everything: BoxFilter = { statuses: [], names: [], labels: [] }

/** Adds `status=STATUS`, `name=TEXT` or `label=KEY[=VALUE]` to what was given before. */
export function collectFilter(text: string, filter: BoxFilter = everything): BoxFilter {
  const [, kind, value] = /^(status|name|label)=(.+)$/s.exec(text) ?? []
  if (kind === undefined || value === undefined)
    throw new InvalidArgumentError('Expected status=STATUS, name=TEXT or label=KEY[=VALUE].')
  if (kind === 'status') return { ...filter, statuses: [...filter.statuses, parseStatus(value)] }
  if (kind === 'name') return { ...filter, names: [...filter.names, value] }
  const [, key = '', , labelValue] = /^([^=]*)(=(.*))?$/s.exec(value) ?? []
  return { ...filter, labels: [...filter.labels, { key, value: labelValue }] }
}

export function fits(box: BoxInfo, { statuses, names, labels }: BoxFilter): boolean {
  return (
    (statuses.length === 0 || statuses.includes(box.status)) &&
    (names.length === 0 || names.some(name => box.name?.includes(name))) &&
    labels.every(({ key, value }) =>
      value === undefined ? Object.hasOwn(box.labels, key) : box.labels[key] === value,
    )
  )
}

function parseStatus(text: string): BoxStatus {
  const status = boxStatuses.find(known => known === text)
  if (status === undefined)
    throw new InvalidArgumentError(`'${text}' is no status; expected ${boxStatuses.join(', ')}.`)
  return status
}
