/** The public API of Coffer. */
export { CofferError, type ErrorCode, errorCodes, isCofferError } from './errors.ts'
export type { Box } from './runtime/box.ts'
export type { Execution } from './runtime/execution.ts'
export type { ExecutionEvent } from './runtime/execution-events.ts'
export type { BoxExecutions } from './runtime/executions.ts'
export type {
  BoxEvent,
  BoxHealth,
  BoxInfo,
  BoxOptions,
  BoxRestart,
  BoxStatus,
  BoxStop,
  EventOptions,
  EventType,
  ExecOptions,
  ExecutionInfo,
  HealthCheckOptions,
  LogEntry,
  LogOptions,
  ProcessInfo,
  RestartOption,
  Result,
  Rlimit,
  StartOptions,
  WaitOptions,
} from './runtime/options.ts'
export type { Output } from './runtime/output.ts'
export { Runtime, type RuntimeOptions } from './runtime/runtime.ts'
