/** The part of an OCI image configuration that an image without a registry needs. */
export type OciImageConfigSubset = {
  readonly Env: readonly string[]
  readonly Cmd: readonly string[]
  readonly WorkingDir: string
}

/** What the built-in image says about running commands in it. */
export const baseImageConfig: OciImageConfigSubset = {
  Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
  Cmd: ['sh'],
  WorkingDir: '/',
}
