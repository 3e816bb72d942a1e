/** The public API of Coffer. */
export { CofferError, type ErrorCode, errorCodes, isCofferError } from './errors.ts'
export type { ConfigChanges } from './image/commit/config-changes.ts'
export { parseChanges } from './image/commit/parse-changes.ts'
export type { HistoryEntry, ImageConfig, ImageHealthCheck } from './image/config.ts'
export type { ImageDetails, ImageInfo, ImageLayer, ImageStep } from './image/describe.ts'
export type { PullPolicy } from './image/images.ts'
export type { ImageProgress, LayerProgress } from './image/progress.ts'
export type { PrunedImages } from './image/prune.ts'
export type { RegistryHostOptions, RegistryOptions } from './image/registry/settings.ts'
export type { RemovedImage } from './image/removal.ts'
export type { DiskUsage, UsageShare } from './image/usage.ts'
export type { Box } from './runtime/box.ts'
export type { CommitOptions } from './runtime/commit-box.ts'
export type { Execution } from './runtime/execution.ts'
export type { ExecutionEvent } from './runtime/execution-events.ts'
export type { BoxExecutions } from './runtime/executions.ts'
export type {
  ImportDiskOptions,
  ImportOptions,
  LoadOptions,
  PushedImage,
  PushOptions,
  SaveOptions,
} from './runtime/image-transfers.ts'
export type { ImagePullOptions, Images, ImagesOptions } from './runtime/images.ts'
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
