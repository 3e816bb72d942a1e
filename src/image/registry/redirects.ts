import { type Step, stepError } from './failure.ts'
import type { HttpResponse } from './response.ts'
import type { HttpRequest, Transport } from './transport.ts'

const maxRedirects = 5
const redirectStatuses = [301, 302, 303, 307, 308]

export type AuthorizedRequest = HttpRequest & {
  /** Sent to the origin of `url` and nowhere else. */
  readonly authorization?: string | undefined
}

/**
 * Sends a request and, for GET and HEAD, goes where it is sent on to. Registries keep blobs at other hosts: those get no credentials,
 * https never becomes http, and a server on the internet cannot send us into the network behind us, wherever we were sent on to it from.
 */
export async function sendFollowing(
  transport: Transport,
  step: Step,
  request: AuthorizedRequest,
): Promise<HttpResponse> {
  const { authorization, ...plain } = request
  const { origin } = request.url
  let url = request.url
  let { ledBy } = request
  let authorized = authorization !== undefined
  for (let count = 0; ; count++) {
    const headers = authorized && authorization ? { ...plain.headers, authorization } : plain.headers
    const response = await transport.send(step, { ...plain, url, headers, ledBy })
    if (!redirectStatuses.includes(response.status)) return response
    response.discard()
    if (request.method !== 'GET' && request.method !== 'HEAD')
      throw stepError(step, `${url.host} redirects what is sent to it, which is not followed`)
    if (count === maxRedirects)
      throw stepError(step, `${request.url.host} redirects more than ${maxRedirects} times`)
    const next = redirectTarget(step, url, response.header('location'))
    ledBy = transport.reachOf(url)
    // Once away there is no way back to the credentials: the target could be of somebody else's making.
    authorized &&= next.origin === origin
    url = next
  }
}

/** Where a Location leads. Throws for none, for another scheme than http and https, and for http where it was https. */
export function redirectTarget(step: Step, from: URL, location: string | undefined): URL {
  const target = location === undefined ? null : URL.parse(location, from.href)
  if (target === null) throw stepError(step, `${from.host} redirects to nowhere`)
  if (target.protocol !== 'https:' && (target.protocol !== 'http:' || from.protocol === 'https:'))
    throw stepError(step, `${from.host} redirects from https to ${target.protocol}//${target.host}`, {
      code: 'permission_denied',
      hint: 'What is sent without encryption could be read and changed on the way, so this is refused.',
      details: { redirectedTo: target.host },
    })
  // A name and password in an address are for no one here, and a fragment never leaves.
  target.username = ''
  target.password = ''
  target.hash = ''
  return target
}
