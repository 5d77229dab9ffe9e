import { isMonitoring, loggableUrl } from '@twinbox/api-kit/edge';
import type { FastifyInstance } from 'fastify';
import type { Metrics } from './metrics.js';

/** Logs and measures each request once it is answered or aborted, like the services. Headers and bodies are never logged. */
export function observeRequests(server: FastifyInstance, metrics: Metrics): void {
  server.addHook('onRequest', (request, reply, done) => {
    void reply.header('x-request-id', request.id);
    const start = performance.now();
    const { raw } = reply;
    const address = request.ip;
    raw.once('close', () => {
      const elapsedMs = performance.now() - start;
      const { method } = request.raw;
      const url = withoutSecrets(request.url);
      const status = raw.statusCode;
      const aborted = !raw.writableFinished;
      // Probes come every few seconds, and files with every page.
      const level = status >= 500 ? 'warn' : isMonitoring(url) || url.startsWith('/assets/') ? 'debug' : 'info';
      const durationMs = Math.round(elapsedMs * 10) / 10;
      request.log[level](
        { method, url, status, address, durationMs, ...(aborted && { aborted }) },
        `${method} ${url} ${aborted ? 'aborted' : status}`,
      );
      metrics.observe(method ?? '', request.routeOptions.url ?? 'none', status, elapsedMs);
    });
    done();
  });
}

/** The provider's answer contains a code, and a sign-out a ticket. */
function withoutSecrets(url: string): string {
  return url.startsWith('/sign-') ? url.replace(/\?.*$/s, '') : loggableUrl(url);
}
