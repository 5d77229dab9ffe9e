import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';

/**
 * Serves a folder with the contracts of events: its `index.html` at `/docs/events`, and beside it `style.css`, the AsyncAPI document and
 * the JSON Schemas. All of them are public. Nothing else in the folder is served.
 */
export function setupEventContracts(app: NestFastifyApplication, folder: string): void {
  const page = readFileSync(join(folder, 'index.html'), 'utf8');
  const fastify = app.getHttpAdapter().getInstance();
  fastify.get('/docs/events', (_, reply) => reply.type('text/html; charset=utf-8').send(page));
  void fastify.register(fastifyStatic, {
    root: folder,
    prefix: '/docs/events/',
    decorateReply: false,
    index: false,
    allowedPath: (path) => /^\/(style\.css|asyncapi\.json|schemas\/[^/]+\.json)$/.test(path),
  });
}
