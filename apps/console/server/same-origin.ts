import { commonProblems, hostCheck, ProblemException } from '@twinbox/api-kit/edge';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ConsoleConfig } from './config.js';
import { problem } from './problems.js';

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);
/** Data that only the console's own pages may read. Pages and their files may be opened from anywhere. */
const DATA = /^\/(api|session|demo)(?=[/?]|$)/;

/**
 * Refuses requests that another site makes a browser send with the user's cookie (CSRF). `SameSite=Strict` is not enough, because other ports
 * of the same host belong to the same site. A changing request must have the `Origin` of the console.
 */
export function refuseOtherOrigins(server: FastifyInstance, config: ConsoleConfig): void {
  const ownOrigin = originsOf(config);
  const isForUs = hostCheck(config.ALLOWED_HOSTS);
  server.addHook('onRequest', (request, _, done) => {
    // A page whose owner has pointed its name at 127.0.0.1 would otherwise be of the same origin (DNS rebinding).
    if (config.AUTH_MODE === 'dev' && !isForUs(request.raw)) throw misdirected();
    const { origin, 'sec-fetch-site': site } = request.headers;
    // The pattern, because the path may be escaped.
    const { url: route = '' } = request.routeOptions;
    // A browser sends its reports of violated policies itself, some of them without an origin.
    const isChange = !SAFE_METHODS.has(request.method) && route !== '/csp-reports';
    if (isChange && !ownOrigin(request, origin))
      throw problem('other-origin', 'A changing request must have the Origin of the console.');
    if (DATA.test(route) && site !== undefined && site !== 'same-origin' && site !== 'none')
      throw problem('other-origin', 'Only pages of the console may read its data.');
    done();
  });
}

function originsOf({ AUTH_MODE, PUBLIC_URL }: ConsoleConfig) {
  const publicOrigin = PUBLIC_URL === undefined ? undefined : new URL(PUBLIC_URL).origin;
  return ({ headers: { host } }: FastifyRequest, origin: string | undefined): boolean =>
    origin !== undefined &&
    // With AUTH_MODE=dev the host has been checked.
    (origin === publicOrigin || (AUTH_MODE === 'dev' && (origin === `http://${host}` || origin === `https://${host}`)));
}

function misdirected(): ProblemException {
  const detail =
    'With AUTH_MODE=dev the console answers only requests for localhost, a loopback address or a host in ALLOWED_HOSTS.';
  return new ProblemException({ code: 'misdirected-request', ...commonProblems['misdirected-request'], detail });
}
