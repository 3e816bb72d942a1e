import { formatReference, type ImageReference } from '../reference.ts'
import type { Endpoints } from './endpoints.ts'
import { type Step, stepError } from './failure.ts'
import { withRetries } from './retry.ts'

const maxPageBytes = 4 << 20
const maxTags = 100_000
const pageSize = 1000

/** All tags of a repository, as the registry itself has them now. Throws `resource_exhausted` beyond 100 000. */
export async function listTags(
  endpoints: Endpoints,
  reference: ImageReference,
  signal?: AbortSignal,
): Promise<string[]> {
  const { host, repository, policy } = endpoints.origin(reference)
  const { registry } = reference
  const what = `list the tags of ${formatReference({ registry, repository })}`
  const step: Step = { what, host: registry, code: 'upstream_unavailable' }
  const tags: string[] = []
  let path: string | URL | undefined = `${repository}/tags/list?n=${pageSize}`
  const seen = new Set<string>()
  while (path !== undefined && !seen.has(String(path))) {
    seen.add(String(path))
    const page: string | URL = path
    const { names, next } = await withRetries(policy, step, signal, async () => {
      const response = await host.request(step, {
        path: page,
        scopes: [`repository:${repository}:pull`],
        headers: { accept: 'application/json' },
        signal,
        expect: [200],
      })
      const link = response.header('link')
      const bytes = await response.bytes(maxPageBytes)
      return { names: parseTags(step, bytes), next: nextPage(response.url, link) }
    })
    tags.push(...names)
    if (tags.length > maxTags)
      throw stepError(step, `there are more than ${maxTags}`, { code: 'resource_exhausted' })
    // A page without tags is the last one, whatever it says comes next.
    path = names.length === 0 ? undefined : next
  }
  return [...new Set(tags)]
}

function parseTags(step: Step, bytes: Buffer): string[] {
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    throw stepError(step, `${step.host} answers with what is no JSON`, { cause: error })
  }
  // A repository whose tags were all removed has `null`.
  const tags: unknown = Reflect.get(Object(value), 'tags') ?? []
  if (!Array.isArray(tags)) throw stepError(step, `${step.host} answers without a list of tags`)
  return tags.filter((tag): tag is string => typeof tag === 'string' && /^\w[\w.-]{0,127}$/.test(tag))
}

/** RFC 8288: `</v2/name/tags/list?n=1000&last=x>; rel="next"`. Only of the same origin. */
function nextPage(from: URL, link: string | undefined): URL | undefined {
  const target = /^\s*<([^>]*)>\s*;(?:.*;)?\s*rel="?next"?/.exec(link ?? '')?.[1]
  const url = target === undefined ? null : URL.parse(target, from.href)
  return url !== null && url.origin === from.origin ? url : undefined
}
