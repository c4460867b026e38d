import { isIPv6 } from 'node:net'
import type { FastifyRequest } from 'fastify'
import { ServerError } from '../errors.js'

/**
 * A browser that holds an operator's certificate would show it on behalf of any page: so a request that a page of another
 * origin makes is none, and one that was sent to another name than ours neither, whatever address that name led to.
 * @throws ServerError HOST_FOREIGN, ORIGIN_FOREIGN
 */
export function requireOwnHost({ headers }: FastifyRequest, hosts: readonly string[]): void {
  const { host, origin } = headers
  const name = host === undefined ? undefined : hostnameOf(host)
  if (name === undefined || !hosts.some((own) => normal(own) === name)) {
    throw new ServerError('HOST_FOREIGN', 'this server does not answer to the name in the Host header')
  }
  if (origin !== undefined && origin.toLowerCase() !== `https://${host?.toLowerCase()}`) {
    throw new ServerError('ORIGIN_FOREIGN', 'no page of another origin may call this')
  }
}

function hostnameOf(host: string): string | undefined {
  if (!URL.canParse(`https://${host}`)) return undefined
  const url = new URL(`https://${host}`)
  const isHostAlone = url.username === '' && url.password === '' && url.pathname === '/' && url.search === ''
  return isHostAlone && url.hash === '' ? url.hostname : undefined
}

/** As URL writes it. */
function normal(host: string): string {
  const name = isIPv6(host) ? `[${host}]` : host
  return URL.canParse(`https://${name}`) ? new URL(`https://${name}`).hostname : name
}
