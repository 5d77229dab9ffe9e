import type { IncomingMessage } from 'node:http';
import { canonicalHost, isLoopback } from './loopback.js';
import { commonProblems } from './common-problems.js';
import { ProblemException } from './problem.js';

/** The part of a request that names the host. */
type RequestHead = Pick<IncomingMessage, 'url' | 'headersDistinct'>;

/**
 * Returns a check whether a request is for this service. AUTH_MODE=dev needs it because a web page whose owner has pointed its name at
 * 127.0.0.1 could otherwise send requests as any user (DNS rebinding). A browser sends the name of that page as the Host.
 * `X-Forwarded-Host` is ignored because a page can set it.
 */
export function hostCheck(allowedHosts: readonly string[]): (request: RequestHead) => boolean {
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

/** Rejects requests for other hosts on every path, including health and metrics, so scrapers must use a name in ALLOWED_HOSTS. */
export function foreignHostProblem(
  allowedHosts: readonly string[],
): (request: RequestHead) => ProblemException | undefined {
  const isForUs = hostCheck(allowedHosts);
  const detail =
    'With AUTH_MODE=dev the service answers only requests for localhost, a loopback address or a host in ALLOWED_HOSTS.';
  const problem = { code: 'misdirected-request', ...commonProblems['misdirected-request'], detail };
  return (request) => (isForUs(request) ? undefined : new ProblemException(problem));
}
