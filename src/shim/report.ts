import type { Timings } from './box-run.ts'

/** What the shim tells its starter, a line of JSON each. Its end without `ready` is a failure: see the exit record. */
export type ShimReport =
  | { readonly state: 'listening' }
  | { readonly state: 'ready'; readonly timings: Timings }
