import { asMember, secondOf, type VersionConflict, versionConflictOf } from '@twinbox/kernel';
import type { FastifyReply } from 'fastify';
import type { Preconditions } from './preconditions.js';
import { allowCachingForAnonymous } from './private-responses.js';
import { problemOf } from './problem.js';
import { versionConflict } from './versions.js';

/**
 * Answers a GET or HEAD. Sets the ETag, and returns the body, or undefined with a 304 if the client already has it.
 *
 * `modifiedAt` is the time when the representation last changed. If it is undefined because that time is not known exactly, the dates in
 * the request are ignored. It is sent as `Last-Modified` once its second is over, because further changes in that second would have the
 * same date.
 * @throws ProblemException 412 if `If-Match` lists neither the ETag nor the plain version
 */
export function conditionalResponse<Body extends { readonly version: number }>(
  reply: FastifyReply,
  { version, satisfiesIfMatch, isNotModified }: Preconditions,
  etag: string,
  body: Body,
  modifiedAt?: Date,
): Body | undefined {
  const { unmodifiedSince } = version;
  const outdated = versionConflictOf({ unmodifiedSince }, body.version, modifiedAt);
  if (outdated) throw problemOf<VersionConflict>(outdated.rejection, { 'version-conflict': versionConflict });
  if (!satisfiesIfMatch(etag, body.version)) {
    const conflict = {
      code: 'version-conflict',
      expected: asMember(version.expected ?? []),
      actual: body.version,
    } as const;
    throw problemOf<VersionConflict>(conflict, { 'version-conflict': versionConflict });
  }
  allowCachingForAnonymous(reply);
  void reply.header('etag', etag);
  const settledAt = modifiedAt && secondOf(modifiedAt) < secondOf(new Date()) ? modifiedAt : undefined;
  if (settledAt) void reply.header('last-modified', settledAt.toUTCString());
  if (!isNotModified(etag, settledAt)) return body;
  void reply.status(304);
  // Fastify takes the Content-Length of a HEAD response from the body, and 0 would be the length of another representation.
  return reply.request.method === 'HEAD' ? body : undefined;
}
