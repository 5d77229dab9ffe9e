import type { IncomingMessage } from 'node:http';
import { canonicalHost, isLoopback } from './loopback.js';

/**
 * Returns a check whether a request is for this service. AUTH_MODE=dev needs it because a web page whose owner has pointed its name at
 * 127.0.0.1 could otherwise send requests as any user (DNS rebinding). A browser sends the name of that page as the Host.
 * `X-Forwarded-Host` is ignored because a page can set it.
 */
export function hostCheck(allowedHosts: readonly string[]): (request: IncomingMessage) => boolean {
  const allowed = new Set(allowedHosts.map((host) => canonicalHost(host)));
  const isAllowed = (authority: string): boolean => {
    const host = authority.replace(/:\d*$/, '');
    return isLoopback(host) || allowed.has(canonicalHost(host) ?? '');
  };
  return ({ url = '', headersDistinct: { host: hosts = [] } }) => {
    // A target in absolute form also names the host and takes precedence (RFC 9112, section 3.2.2).
    const [, targetAuthority] = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(url) ?? [];
    const authorities = targetAuthority === undefined ? hosts : [...hosts, targetAuthority];
    return hosts.length === 1 && authorities.every(isAllowed);
  };
}
