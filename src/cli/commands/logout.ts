import type { Command } from 'commander'
import { type Context, globalOptionsOf, withRuntime } from '../context.ts'
import { exitCodes } from '../exit-codes.ts'
import { defaultRegistry } from './login.ts'

export function addLogout(program: Command, context: Context): void {
  const command = program
    .command('logout')
    .summary('forget the login of a registry')
    .description(
      "Forgets what coffer login kept for a registry (Docker Hub by default). Docker's own logins are not touched.",
    )
    .argument('[REGISTRY]')
    .action(async (registry: string = defaultRegistry) => {
      const found = await withRuntime(globalOptionsOf(command), runtime => runtime.images.logout(registry))
      const said = found ? `logged out of ${registry}` : `there was no login for ${registry}`
      process.stderr.write(`coffer: ${said}\n`)
      context.exitCode = exitCodes.ok
    })
}
