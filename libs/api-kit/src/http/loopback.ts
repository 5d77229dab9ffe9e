import { BlockList, isIP } from 'node:net';

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8);
LOOPBACK.addAddress('::1', 'ipv6');

/**
 * Whether a name or an address (IPv6 with or without brackets) is a loopback one. The names are `localhost` and its subdomains, which RFC
 * 6761 (section 6.3) reserves for that. Any other name may resolve to any address.
 */
export function isLoopback(host: string): boolean {
  const canonical = canonicalHost(host);
  if (canonical === undefined) return false;
  if (/^([a-z0-9-]+\.)*localhost$/.test(canonical)) return true;
  const address = canonical.replace(/^\[|\]$/g, '');
  const family = isIP(address);
  return family !== 0 && LOOPBACK.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

/** Whether the value is a host that {@link canonicalHost} accepts. */
export function isHostName(value: unknown): boolean {
  return typeof value === 'string' && canonicalHost(value) !== undefined;
}

/**
 * Returns the canonical form of a host: in lower case, without the trailing dot, with addresses in their canonical form and IPv6 in
 * brackets. Returns undefined for anything else, such as a host with a port.
 */
export function canonicalHost(host: string): string | undefined {
  const bracketed = isIP(host) === 6 ? `[${host}]` : host;
  if (!/^(\[[\da-f:.]+\]|[\w.-]+)$/i.test(bracketed)) return undefined;
  return URL.parse(`http://${bracketed}/`)?.hostname.replace(/\.$/, '');
}
