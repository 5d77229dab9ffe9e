import { isProduction } from '@twinbox/api-kit/edge';
import type { FastifyInstance } from 'fastify';
import type { ConsoleConfig } from './config.js';

/** In seconds, two years. */
const HSTS_MAX_AGE = 63_072_000;

/** For answers other than pages. If a browser shows one all the same, it must not load or run anything. */
const NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/**
 * Returns the policy of a page: it loads only what this server serves, and talks to no one else. Styles that scripts insert need the nonce of
 * the response. Nothing inline runs as a script.
 */
export function pagePolicy(nonce: string): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    // Not report-to, which browsers send minutes later, and some not at all.
    'report-uri /csp-reports',
  ].join('; ');
}

/** Adds the headers that tell a browser what it must not do with an answer. Those of data are never stored. */
export function addSecurityHeaders(server: FastifyInstance, { NODE_ENV, PUBLIC_URL }: ConsoleConfig): void {
  const hasTls = isProduction(NODE_ENV) && PUBLIC_URL?.startsWith('https:');
  server.addHook('onRequest', (_, reply, done) => {
    void reply.headers({
      'content-security-policy': NOTHING,
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      // Not no-referrer, with which some browsers hide the origin of a page from its own server.
      'referrer-policy': 'same-origin',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'cache-control': 'no-store',
      ...(hasTls && { 'strict-transport-security': `max-age=${HSTS_MAX_AGE}` }),
    });
    done();
  });
}
