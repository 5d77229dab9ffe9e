import { BlockList, isIP } from 'node:net';

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8);
LOOPBACK.addAddress('::1', 'ipv6');

/**
 * Whether a name or an address (an IPv6 address with or without brackets) is this machine's own. Names are `localhost` and those
 * below it, which RFC 6761 (section 6.3) reserves for that: what any other name resolves to is for the DNS to say.
 */
export function isLoopback(host: string): boolean {
  const canonical = canonicalHost(host);
  if (canonical === undefined) return false;
  if (/^([a-z0-9-]+\.)*localhost$/.test(canonical)) return true;
  const address = canonical.replace(/^\[|\]$/g, '');
  const family = isIP(address);
  return family !== 0 && LOOPBACK.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

/** Whether the value is a host as {@link canonicalHost} takes it. */
export function isHostName(value: unknown): boolean {
  return typeof value === 'string' && canonicalHost(value) !== undefined;
}

/**
 * A host in its one spelling: lower case, without the dot at the end, addresses in their canonical form, IPv6 in brackets. Undefined
 * for anything else, such as a host with a port.
 */
export function canonicalHost(host: string): string | undefined {
  const bracketed = isIP(host) === 6 ? `[${host}]` : host;
  if (!/^(\[[\da-f:.]+\]|[\w.-]+)$/i.test(bracketed)) return undefined;
  return URL.parse(`http://${bracketed}/`)?.hostname.replace(/\.$/, '');
}
