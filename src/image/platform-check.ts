import { CofferError } from '../errors.ts'

const form = /^[a-z0-9][a-z0-9._-]{0,31}(?:\/[a-z0-9][a-z0-9._-]{0,31}){1,2}$/
const runnable = /^linux\/(?:amd64|x86_64|x86-64)(?:\/v[1-4])?$/

/** Throws `invalid_argument` for what is no platform, and `unsupported` for what boxes do not run. */
export function checkPlatform(text: string): void {
  const platform = text.toLowerCase()
  if (runnable.test(platform)) return
  if (form.test(platform))
    throw new CofferError('unsupported', `boxes run linux/amd64, not ${platform}`, {
      hint: 'Leave the platform out.',
      details: { platform },
    })
  throw new CofferError('invalid_argument', `${JSON.stringify(text.slice(0, 100))} is no platform`, {
    hint: 'A platform is OS/ARCHITECTURE[/VARIANT]; boxes run linux/amd64.',
  })
}
