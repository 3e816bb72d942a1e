import type { HealthPolicy } from './launch.ts'

export type HealthStatus = 'starting' | 'healthy' | 'unhealthy'

/** What checks of a box have shown, as its record holds it. */
export type HealthRecord = {
  readonly status: HealthStatus
  /** In a row. */
  readonly failures: number
  readonly lastCheckAtMs?: number | undefined
  /** What the last check printed, or why it could not be made. At most 4 KiB. */
  readonly lastOutput?: string | undefined
}

export type CheckResult = { readonly ok: boolean; readonly output: string }

/** One check: never rejects, ends by itself after the policy's timeout. */
export type Check = () => Promise<CheckResult>

export const firstHealth: HealthRecord = { status: 'starting', failures: 0 }

/** What a check makes of what was known. Pure: the clock is the caller's. */
export function nextHealth(
  policy: HealthPolicy,
  before: HealthRecord,
  { ok, output }: CheckResult,
  now: { readonly ranMs: number; readonly atMs: number },
): HealthRecord {
  const last = { lastCheckAtMs: now.atMs, lastOutput: output }
  if (ok) return { status: 'healthy', failures: 0, ...last }
  if (before.status === 'starting' && now.ranMs < policy.startPeriodMs) return { ...before, ...last }
  const failures = before.failures + 1
  return { status: failures >= policy.retries ? 'unhealthy' : before.status, failures, ...last }
}

/** Checks a box from its start to its end, one check at a time. */
export class HealthChecker implements Disposable {
  readonly #policy: HealthPolicy
  readonly #check: Check
  readonly #onResult: (health: HealthRecord, isNews: boolean) => void
  readonly #startedAt = performance.now()
  #health = firstHealth
  #timer: NodeJS.Timeout | undefined
  #isPaused = false
  #isOver = false

  constructor(policy: HealthPolicy, check: Check, onResult: (health: HealthRecord, isNews: boolean) => void) {
    this.#policy = policy
    this.#check = check
    this.#onResult = onResult
    onResult(firstHealth, true)
    void this.#round()
  }

  /** A box that stands still answers nothing, and that says nothing about its health. */
  set isPaused(isPaused: boolean) {
    this.#isPaused = isPaused
  }

  [Symbol.dispose](): void {
    this.#isOver = true
    clearTimeout(this.#timer)
  }

  async #round(): Promise<void> {
    if (!this.#isPaused) await this.#look()
    if (!this.#isOver) this.#timer = setTimeout(() => void this.#round(), this.#policy.intervalMs)
  }

  async #look(): Promise<void> {
    const result = await this.#check()
    // A check that the pause or the end of the box cut short has seen nothing.
    if (this.#isOver || this.#isPaused) return
    const before = this.#health
    const ranMs = performance.now() - this.#startedAt
    this.#health = nextHealth(this.#policy, before, result, { ranMs, atMs: Date.now() })
    this.#onResult(this.#health, this.#health.status !== before.status)
  }
}

const statuses: readonly string[] = ['starting', 'healthy', 'unhealthy'] satisfies HealthStatus[]

/** The JSON of a record, or undefined when it is none. */
export function parseHealthRecord(json: string | undefined): HealthRecord | undefined {
  if (json === undefined) return undefined
  const record = JSON.parse(json) as Partial<HealthRecord>
  return statuses.includes(record.status ?? '') ? { ...firstHealth, ...record } : undefined
}
