import { createHash } from 'node:crypto';
import type { FastifyReply } from 'fastify';
import type { PagePreconditions } from './preconditions.js';

/** In characters of base64url: 132 bits. */
const DIGEST_LENGTH = 22;

/**
 * Answers a GET of a page of a list. Sets an ETag made from the page itself, because a list has no version, and returns the page, or
 * undefined with a 304 if the client already has it. A client that refreshes a list often thus receives only what has changed.
 */
export function conditionalPage<Page extends object>(
  reply: FastifyReply,
  { isNotModified }: PagePreconditions,
  page: Page,
): Page | undefined {
  const digest = createHash('sha256').update(JSON.stringify(page)).digest('base64url').slice(0, DIGEST_LENGTH);
  // A tag that begins with a digit would stand for a version.
  const etag = `"p-${digest}"`;
  void reply.header('etag', etag);
  if (!isNotModified(etag, undefined)) return page;
  void reply.status(304);
  // Fastify takes the Content-Length of a HEAD response from the body, and 0 would be the length of another representation.
  return reply.request.method === 'HEAD' ? page : undefined;
}
