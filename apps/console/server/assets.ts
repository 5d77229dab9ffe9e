import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import { isProduction } from '@twinbox/api-kit/edge';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ConsoleConfig } from './config.js';
import { problem, sendProblem } from './problems.js';
import { pagePolicy } from './security-headers.js';

/** Stands in the built page wherever it needs the nonce of its response. */
const NONCE = '__CSP_NONCE__';
/** Paths that never show a page. */
const NO_PAGE =
  /^\/(api|assets|session|demo|csp-reports|health|metrics)(?=[/?]|$)|\.(js|css|map|ico|png|svg|json|txt|woff2?|webmanifest)(?=\?|$)/;

/** Thrown if the pages have not been built. */
export class NoPages extends Error {}

/** Serves the built pages: one document for every view, and its files, whose names change with their content. */
export async function servePages(server: FastifyInstance, root: string, config: ConsoleConfig): Promise<void> {
  const page = pageIn(root);
  // While developing, the pages are built again without a restart.
  const current = isProduction(config.NODE_ENV) ? () => page : () => pageIn(root);
  const sendPage = (_: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const nonce = randomBytes(16).toString('base64');
    return reply
      .header('content-security-policy', pagePolicy(nonce))
      .header('cache-control', 'no-store')
      .type('text/html; charset=utf-8')
      .send(current().replaceAll(NONCE, nonce));
  };
  await server.register(fastifyStatic, {
    root,
    index: false,
    preCompressed: true,
    cacheControl: false,
    decorateReply: false,
    allowedPath: (path) => !path.endsWith('.html'),
    setHeaders: (reply, path) => {
      const isHashed = path.startsWith(join(root, 'assets'));
      void reply.header('cache-control', isHashed ? 'public, max-age=31536000, immutable' : 'no-cache');
    },
  });
  server.get('/', sendPage);
  server.setNotFoundHandler((request, reply) => {
    const { method, url, headers } = request;
    const isPage = ['GET', 'HEAD'].includes(method) && !NO_PAGE.test(url);
    if (isPage && (headers.accept ?? '*/*').match(/text\/html|\*\/\*/)) return sendPage(request, reply);
    return sendProblem(request, reply, problem('not-found'));
  });
}

/** @throws NoPages */
function pageIn(root: string): string {
  try {
    return readFileSync(join(root, 'index.html'), 'utf8');
  } catch (error) {
    throw new NoPages(`the pages are not in ${root}. Build them with: npm run build`, { cause: error });
  }
}
