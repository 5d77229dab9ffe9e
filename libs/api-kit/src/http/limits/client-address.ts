import { isIP } from 'node:net';
import type { EdgeRequest } from '../edge-request.js';

/** Whether the proxy with this address is trusted; the nearest one is hop 0. */
type IsTrusted = (address: string, hop: number) => boolean;

/** How many proxies may stand in front of a service. */
const MAX_HOPS = 16;
/** An address with a port, which some proxies write into X-Forwarded-For. */
const WITH_PORT = /^(?:\[([\da-f:.]+)\]|([\d.]+))(?::\d+)?$/i;

/**
 * Returns the proxies that TRUST_PROXY names, as Fastify's option `trustProxy`: false for none, a function for their number, or their
 * addresses and networks. Returns undefined for anything else.
 */
export function trustedProxies(value: string): false | IsTrusted | string[] | undefined {
  if (value === 'off') return false;
  if (/^\d+$/.test(value)) {
    const hops = Number(value);
    return hops >= 1 && hops <= MAX_HOPS ? (_, hop) => hop < hops : undefined;
  }
  const proxies = value.split(',').map((proxy) => proxy.trim());
  return proxies.every(isNetwork) ? proxies : undefined;
}

function isNetwork(text: string): boolean {
  const [address = '', bits, ...others] = text.split('/');
  const version = isIP(address);
  if (version === 0 || others.length > 0) return false;
  // 0.0.0.0/0 would let anyone name their own address.
  return bits === undefined || (/^[1-9]\d{0,2}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128));
}

/**
 * Returns the address of the client: the one that the nearest trusted proxy has seen, and without such a proxy that of the connection. Each
 * proxy adds the address that it sees to the end of `X-Forwarded-For`, so the addresses before it may be invented.
 */
export function clientAddress({ ip, socket }: Pick<EdgeRequest, 'ip' | 'socket'>): string {
  const [, inBrackets, plain] = WITH_PORT.exec(ip) ?? [];
  const address = inBrackets ?? plain ?? ip;
  // A proxy that writes `unknown` must not make a client with a name of its own.
  // The zone of a link-local address means nothing to another machine.
  return (isIP(address) === 0 ? (socket.remoteAddress ?? '') : address).replace(/%.*$/, '');
}
