/**
 * Scopes (`repository:library/alpine:pull`) without repetition: what several allow for one thing is one scope. Token servers differ in
 * what they make of two for the same.
 */
export function mergeScopes(scopes: readonly string[]): string[] {
  const actionsOf = new Map<string, Set<string>>()
  for (const scope of scopes) {
    // Names have colons in them, where they begin with a host and port: the last one ends the name.
    const colon = scope.lastIndexOf(':')
    const name = scope.slice(0, Math.max(colon, 0))
    const actions = actionsOf.get(name) ?? new Set()
    for (const action of scope.slice(colon + 1).split(',')) actions.add(action)
    actionsOf.set(name, actions)
  }
  return [...actionsOf].map(([name, actions]) => `${name}:${[...actions].sort().join(',')}`)
}
