import { type ImageReference, isShortName, parseReference } from './reference.ts'

/** Begins the name of an image that Docker or Podman of this machine has: nothing else makes Coffer ask one. */
const prefix = 'docker-daemon:'

export function isDaemonName(name: string): boolean {
  return name.startsWith(prefix)
}

/** What Docker or Podman call it. */
export function nameAtDaemon(name: string): string {
  return name.slice(prefix.length)
}

/** The names by which such an image may be here. Throws `invalid_argument`. */
export function daemonCandidates(name: string): ImageReference[] {
  const text = nameAtDaemon(name)
  const reference = parseReference(text)
  // Podman puts what it built itself under localhost/, and knows it by its short name as well.
  return isShortName(text) ? [reference, parseReference(`localhost/${text}`)] : [reference]
}
