import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { rateOf } from '../../app/env.js';
import type { LimitsConfig } from '../../app/limits-config.js';
import type { SecurityEvents } from '../../app/security-events.js';
import { identityOf } from '../caller.js';
import { commonProblems } from '../common-problems.js';
import type { EdgeRequest } from '../edge-request.js';
import { isEventStream } from '../event-stream-route.js';
import { isForOperators, type ManagementAccess } from '../management.js';
import { isOperational } from '../operational-path.js';
import { ProblemException } from '../problem.js';
import { takesRawBody } from '../raw-body.js';
import { ticketOf } from '../stream-ticket.js';
import { clientAddress } from './client-address.js';

/** How many callers each budget remembers. At about 150 bytes each they take 1.5 MB. The one that was idle longest is forgotten first. */
const MAX_CALLERS = 10_000;

/** Kinds of gRPC calls with a rate limit, which they share with requests of REST. */
export type CountedCall = 'reads' | 'writes' | 'opened streams';

/** What has a budget of its own, in the words of a problem document. */
type Counted = CountedCall | 'webhooks' | 'refused logins';

type Count = (
  request: EdgeRequest,
  options?: CountOptions,
) => ReturnType<ReturnType<FastifyInstance['createRateLimit']>>;
type CountOptions = Parameters<ReturnType<FastifyInstance['createRateLimit']>>[1];

/** The rate limits of an application. The counts are those of this replica. */
export interface RateLimits {
  /** Counts a request whose credentials were refused. */
  readonly countRefusedLogin: (request: EdgeRequest) => void;
  /** @throws ProblemException 429 if the address of the request has sent too many refused credentials */
  readonly checkRefusedLogins: (request: FastifyRequest) => Promise<void>;
  /** Counts a gRPC call, whose caller must be known. @throws ProblemException 429 */
  readonly countCall: (request: EdgeRequest, counted: CountedCall) => Promise<void>;
  /** Counts a stream, once the caller who opens it with a ticket is known. @throws ProblemException 429 */
  readonly countStream: (request: FastifyRequest) => Promise<void>;
}

/**
 * Answers with a 429 once a caller has used up a budget. Callers are counted by their user id, anonymous ones by their address.
 * `identifyCallers` must have added its hook before.
 */
export async function limitRates(
  fastify: FastifyInstance,
  config: LimitsConfig,
  { access, events }: { readonly access: ManagementAccess; readonly events: SecurityEvents },
): Promise<RateLimits> {
  await fastify.register(rateLimit, { global: false });
  const budgets = budgetsOf(fastify, config);
  const count = async (request: EdgeRequest, counted: Counted): Promise<void> => {
    const budget = budgets[counted];
    if (budget) await check(request, counted, budget, events);
  };
  fastify.addHook('onRequest', async (request) => {
    if (request.method === 'OPTIONS') return;
    const counted = countedAs(request);
    const operational = isOperational(request.url);
    // Probes have no caller, and neither does anything on the management port.
    const hasCaller = operational ? access === 'operator' && isForOperators(request) : counted !== 'webhooks';
    if (hasCaller && isRefused(request)) await count(request, 'refused logins');
    if (!operational) await count(request, counted);
  });
  return {
    countRefusedLogin: (request) => void budgets['refused logins']?.(request),
    checkRefusedLogins: (request) => count(request, 'refused logins'),
    countCall: async (request, counted) => {
      if (isRefused(request)) await count(request, 'refused logins');
      await count(request, counted);
    },
    countStream: (request) => count(request, 'opened streams'),
  };
}

function budgetsOf(fastify: FastifyInstance, config: LimitsConfig): Record<Counted, Count | undefined> {
  const budget = (rate: string, keyGenerator: (request: EdgeRequest) => string): Count | undefined => {
    const limit = rateOf(rate);
    if (!limit) return undefined;
    const options = { max: limit.max, timeWindow: limit.windowMs, cache: MAX_CALLERS, keyGenerator };
    // The plugin passes the request on to the key generator, and uses nothing of it.
    return fastify.createRateLimit(options) as unknown as Count;
  };
  return {
    reads: budget(config.RATE_LIMIT_READS, callerKey),
    writes: budget(config.RATE_LIMIT_WRITES, callerKey),
    'opened streams': budget(config.RATE_LIMIT_STREAMS, callerKey),
    webhooks: budget(config.RATE_LIMIT_WEBHOOKS, addressKey),
    'refused logins': budget(config.RATE_LIMIT_REFUSED_LOGINS, addressKey),
  };
}

function countedAs(request: FastifyRequest): Counted {
  if (takesRawBody(request)) return 'webhooks';
  if (request.method !== 'GET' && request.method !== 'HEAD') return 'writes';
  // Until its ticket has been looked up, a request is a read of its address. Users behind one address do not share their streams.
  return isEventStream(request) && ticketOf(request) === undefined ? 'opened streams' : 'reads';
}

function callerKey(request: EdgeRequest): string {
  const identity = identityOf(request);
  return identity && 'caller' in identity ? `user ${identity.caller.userId}` : addressKey(request);
}

function addressKey(request: EdgeRequest): string {
  return `address ${rateLimit.normalizeIP(clientAddress(request))}`;
}

/** Whether the request has credentials that a route with callers refuses. */
function isRefused(request: EdgeRequest): boolean {
  const identity = identityOf(request);
  return identity !== undefined && !('caller' in identity) && !identity.isAnonymous;
}

async function check(request: EdgeRequest, counted: Counted, count: Count, events: SecurityEvents): Promise<void> {
  // A refused login is counted when it is refused, because only the guard knows whether the route needs a caller.
  const isCounted = counted !== 'refused logins';
  const result = await count(request, { increment: isCounted });
  if (result.isAllowed || (isCounted ? !result.isExceeded : result.remaining > 0)) return;
  const limit = `The limit is ${result.max} ${counted} per ${WINDOWS[result.timeWindow]}.`;
  events.report(request, 'rate-limited', limit);
  throw tooManyRequests(limit, result.ttlInSeconds);
}

const WINDOWS: Readonly<Record<number, string>> = { 1000: 'second', 60_000: 'minute', 3_600_000: 'hour' };

function tooManyRequests(limit: string, seconds: number): ProblemException {
  const retryAfter = Math.max(1, seconds);
  return new ProblemException({
    code: 'too-many-requests',
    ...commonProblems['too-many-requests'],
    detail: `${limit} Nothing was changed. Try again in ${retryAfter} s.`,
    headers: { 'retry-after': String(retryAfter) },
  });
}
