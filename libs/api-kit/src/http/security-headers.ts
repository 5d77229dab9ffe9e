import { hash } from 'node:crypto';
import helmet, { type FastifyHelmetOptions } from '@fastify/helmet';
import type { FastifyInstance } from 'fastify';
import { isProduction } from '../app/env.js';

/** In seconds, two years. */
const HSTS_MAX_AGE = 63_072_000;

/** The style that Swagger UI inserts with its logo. */
const LOGO_STYLE = '.logo_small_svg__cls-2{fill:#fff}.logo_small_svg__cls-3{fill:#85ea2d}';

/** For responses other than pages. If a browser shows one all the same, it must not load or run anything. */
const NOTHING = {
  'default-src': ["'none'"],
  'base-uri': ["'none'"],
  'form-action': ["'none'"],
  'frame-ancestors': ["'none'"],
};

/**
 * Adds the headers that tell a browser what it must not do with a response. Only the documentation may load anything: its own scripts and
 * styles, and the inline styles that are part of the page. Nothing inline may run as a script.
 */
export async function addSecurityHeaders(fastify: FastifyInstance, nodeEnv: string | undefined): Promise<void> {
  const options: FastifyHelmetOptions = {
    contentSecurityPolicy: { useDefaults: false, directives: NOTHING },
    // Without TLS in front, it would make a browser refuse the service for years.
    strictTransportSecurity: isProduction(nodeEnv) && { maxAge: HSTS_MAX_AGE, includeSubDomains: false },
    xFrameOptions: { action: 'deny' },
    // These are for browsers that are no longer in use.
    xDnsPrefetchControl: false,
    xDownloadOptions: false,
    xPermittedCrossDomainPolicies: false,
    xXssProtection: false,
  };
  await fastify.register(helmet, options);
  const policies = new Map<string, string>();
  fastify.addHook('onSend', ({ routeOptions: { url: route = '' } }, reply, payload, done) => {
    // The only pages are the documentation, which is the same for everyone.
    if (typeof payload === 'string' && String(reply.getHeader('content-type')).startsWith('text/html')) {
      const policy = policies.get(route) ?? policyOf(payload);
      policies.set(route, policy);
      void reply.header('content-security-policy', policy);
    }
    done();
  });
}

/**
 * Returns the policy of a page that loads its own files, with the hashes of its inline styles and of the one that its scripts insert. A page
 * without scripts may only load styles, and an icon that is part of the page.
 */
function policyOf(page: string): string {
  if (!page.includes('<script')) return serialized({ ...NOTHING, 'style-src': ["'self'"], 'img-src': ['data:'] });
  const styles = [...page.matchAll(/<style[^>]*>(.*?)<\/style>/gs)].map(([, style = '']) => hashOf(style));
  styles.push(hashOf(LOGO_STYLE));
  const attributes = [...page.matchAll(/\sstyle="([^"]*)"/g)].map(([, style = '']) => hashOf(style));
  return serialized({
    ...NOTHING,
    'script-src': ["'self'"],
    'style-src': ["'self'", ...styles, "'unsafe-hashes'", ...attributes],
    'img-src': ["'self'", 'data:'],
    'connect-src': ["'self'"],
  });
}

function serialized(directives: Readonly<Record<string, readonly string[]>>): string {
  return Object.entries(directives)
    .map(([name, values]) => `${name} ${values.join(' ')}`)
    .join(';');
}

function hashOf(style: string): string {
  return `'sha256-${hash('sha256', style, 'base64')}'`;
}
