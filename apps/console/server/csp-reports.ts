import { Logger } from '@nestjs/common';
import type { FastifyInstance } from 'fastify';
import type { Metrics } from './metrics.js';

/** In bytes. A report is about 1 kB. */
const MAX_REPORT = 16 * 1024;
/** How many reports are logged in a minute. All are counted. */
const LOGGED_PER_MINUTE = 20;
const MAX_VALUE = 200;

/** Adds the address to which browsers report violations of the policy. Anyone can send anything there, so little of it is logged. */
export function addCspReports(server: FastifyInstance, metrics: Metrics): void {
  const logger = new Logger('ContentSecurityPolicy');
  let logged = 0;
  const timer = setInterval(() => (logged = 0), 60_000).unref();
  server.addHook('onClose', (_, done) => {
    clearInterval(timer);
    done();
  });
  server.addContentTypeParser(
    ['application/csp-report', 'application/reports+json'],
    { parseAs: 'string', bodyLimit: MAX_REPORT },
    server.getDefaultJsonParser('error', 'error'),
  );
  server.post('/csp-reports', { bodyLimit: MAX_REPORT }, (request, reply) => {
    metrics.countReport();
    if (logged++ < LOGGED_PER_MINUTE) logger.warn(shown(request.body), 'A browser reports a violation of the policy.');
    return reply.code(204).send();
  });
}

/** Returns the fields that say what was blocked. The queries of addresses may contain ids. */
function shown(body: unknown): Record<string, string> {
  const { 'csp-report': report = {} } = (body ?? {}) as { 'csp-report'?: Record<string, unknown> };
  const fields = ['document-uri', 'effective-directive', 'violated-directive', 'blocked-uri', 'source-file'] as const;
  return Object.fromEntries(
    fields.flatMap((name) => {
      const value = report[name];
      return typeof value === 'string' ? [[name, value.replace(/[?#].*$/s, '').slice(0, MAX_VALUE)]] : [];
    }),
  );
}
