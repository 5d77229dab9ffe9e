import type { ServiceConfig } from '../../app/service-config.js';
import { varyOf } from '../private-responses.js';

/** Documents the `ETag` of a response. Routes with `Preconditions` get it automatically. */
export const etagHeader = {
  description: 'Begins with the version. Send it in `If-Match` or `If-None-Match`.',
  schema: { type: 'string' },
};
export const pageEtagHeader = {
  description:
    'Identifies the content of this page. Send it in `If-None-Match` to get the page again only if it has changed.',
  schema: { type: 'string' },
};
export const lastModifiedHeader = {
  description:
    'When the resource last changed. Absent if that is not known, or if a later change could still get the same date.',
  schema: { type: 'string' },
};
export const cacheHeaders = (authMode: ServiceConfig['AUTH_MODE']) => ({
  'Cache-Control': {
    description: '`no-store`, or `no-cache` for anonymous callers.',
    schema: { type: 'string', enum: ['no-store', 'no-cache'] },
  },
  Vary: { description: `Includes ${varyOf(authMode).join(', ')}.`, schema: { type: 'string' } },
});
export const requestIdHeader = {
  description: 'The id of this request in the log.',
  required: true,
  schema: { type: 'string' },
};
export const replayedHeader = {
  description: '`true` if this is the stored response to an earlier request with the same key.',
  schema: { type: 'string', enum: ['true'] },
};
const retryAfterHeader = { description: 'How many seconds to wait before trying again.', schema: { type: 'integer' } };

/** The headers of problems by status. */
export const headersOf: Readonly<Record<number, Record<string, unknown>>> = {
  401: { 'WWW-Authenticate': { schema: { type: 'string' } } },
  415: {
    Accept: { description: 'The media type that a body must have.', schema: { type: 'string' } },
    'Accept-Encoding': { description: 'The content coding that a body must have.', schema: { type: 'string' } },
  },
  429: { 'Retry-After': retryAfterHeader },
  503: { 'Retry-After': retryAfterHeader },
};
