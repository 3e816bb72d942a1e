import { type Check, HealthChecker, type HealthRecord } from './health.ts'
import { IdleTimer } from './idle-timer.ts'
import type { Policy } from './launch.ts'

export type PolicyHooks = {
  isBusy(): boolean
  stop(cause: 'idle' | 'max_duration'): void
  readonly check: Check | undefined
  onHealth(health: HealthRecord, isNews: boolean): void
}

/** What a run of a box does by itself from the moment it is ready to its end. */
export class RunPolicies implements Disposable {
  readonly #idle: IdleTimer | undefined
  readonly #longest: NodeJS.Timeout | undefined
  readonly #health: HealthChecker | undefined

  constructor({ idleTimeoutMs, maxDurationMs, health }: Policy, hooks: PolicyHooks) {
    if (idleTimeoutMs !== undefined)
      this.#idle = new IdleTimer(idleTimeoutMs, hooks.isBusy, () => hooks.stop('idle'))
    if (maxDurationMs !== undefined)
      this.#longest = setTimeout(() => hooks.stop('max_duration'), maxDurationMs)
    if (health !== undefined && hooks.check !== undefined)
      this.#health = new HealthChecker(health, hooks.check, hooks.onHealth)
  }

  touch(): void {
    this.#idle?.touch()
  }

  set isPaused(isPaused: boolean) {
    if (this.#health !== undefined) this.#health.isPaused = isPaused
  }

  [Symbol.dispose](): void {
    this.#idle?.[Symbol.dispose]()
    clearTimeout(this.#longest)
    this.#health?.[Symbol.dispose]()
  }
}
