import type { IncomingMessage } from 'node:http';
import { canonicalHost, isLoopback } from './loopback.js';

/**
 * Whether a request is for this service, as AUTH_MODE=dev needs it: a web page whose name its owner has pointed at 127.0.0.1 may
 * otherwise send requests as any user (DNS rebinding). A browser sends the name of that page as the Host. `X-Forwarded-Host` is
 * ignored, because a page can set it.
 */
export function hostCheck(allowedHosts: readonly string[]): (request: IncomingMessage) => boolean {
  const allowed = new Set(allowedHosts.map((host) => canonicalHost(host)));
  const isAllowed = (authority: string): boolean => {
    const host = authority.replace(/:\d*$/, '');
    return isLoopback(host) || allowed.has(canonicalHost(host) ?? '');
  };
  return ({ url = '', headersDistinct: { host: hosts = [] } }) => {
    // A target in absolute form names the host as well, and takes precedence (RFC 9112, section 3.2.2).
    const [, ofTarget] = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(url) ?? [];
    const authorities = ofTarget === undefined ? hosts : [...hosts, ofTarget];
    return hosts.length === 1 && authorities.every(isAllowed);
  };
}
