import { type ArgumentsHost, Catch, type ExceptionFilter, Injectable, Logger } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { AuditTrail } from '@twinbox/messaging';
import { callerIn, identityOf } from '../http/caller.js';
import { type EdgeRequest, requestOf } from '../http/edge-request.js';
import { ProblemException } from '../http/problem.js';
import { ProblemFilter } from '../http/problem-filter.js';
import { ADMIN_PATH } from './admin-route.js';

/** The problems that leave an entry. A request that is invalid or came too late leaves none. */
const REFUSED = new Set(['role-required', 'operation-invalid', 'edit-invalid']);
/** In UTF-16 code units of JSON. */
const MAX_REQUEST = 2000;
/** What a request may contain that no audit entry repeats. */
const PAYLOADS = new Set(['payload', 'data']);

/**
 * Answers like the {@link ProblemFilter}, and records a refused change: the caller lacked the role, the operation is not possible, or the
 * edit would not be accepted. The entry is written after the answer, in a
 * transaction of its own, because the one of the request was rolled back or never began.
 */
@Catch()
@Injectable()
export class AuditRefusals implements ExceptionFilter {
  private readonly logger = new Logger('Audit');
  private readonly problems: ProblemFilter;

  constructor(
    { httpAdapter }: HttpAdapterHost,
    private readonly audit: AuditTrail,
  ) {
    this.problems = new ProblemFilter(httpAdapter);
  }

  catch(exception: unknown, host: ArgumentsHost): unknown {
    // oxlint-disable-next-line promise/valid-params -- an exception filter, not a promise
    const result = this.problems.catch(exception, host);
    if (exception instanceof ProblemException && REFUSED.has(exception.problem.code))
      this.record(requestOf(host), exception.problem.code);
    return result;
  }

  private record(request: EdgeRequest, problem: string): void {
    const caller = callerIn(identityOf(request));
    if (!caller || request.method === 'GET' || request.method === 'HEAD') return;
    const action = { ...actionOf(request), actor: caller.userId, detail: { ...detailOf(request), problem } };
    this.audit.refused({ ...action, reason: undefined }).catch((error: unknown) => {
      this.logger.warn({ err: error }, 'A refused action could not be recorded.');
    });
  }
}

const VERBS: Readonly<Record<string, string>> = { PUT: 'pause', DELETE: 'resume' };

/** Returns the names under which the audit has the action of a route, whether it is refused or not. */
function actionOf({ method, routeOptions, params }: EdgeRequest): { readonly action: string; readonly box: string } {
  const [area = '', ...rest] = (routeOptions.url ?? '').slice(`/${ADMIN_PATH}/`.length).split('/');
  const { box } = params as { readonly box?: string };
  const action = VERBS[method] ?? rest.at(-1) ?? 'create';
  if (area === 'dead-jobs') return { action, box: 'jobs' };
  return { action, box: area !== 'dead-letters' ? area : box === 'outbox' ? 'outbox' : 'inbox' };
}

/**
 * Returns what was asked for. It has not been validated, so it is kept as text if jsonb may not be able to hold it. The cut may leave half of a
 * surrogate pair, which jsonb does not hold either.
 */
function detailOf(request: EdgeRequest): Record<string, unknown> {
  const { method, routeOptions, params, body } = request;
  const asked = JSON.stringify({ params, body }, (name, value: unknown) => (PAYLOADS.has(name) ? undefined : value));
  const isStorable = asked.length <= MAX_REQUEST && !/\\u(0000|d[89a-f])/i.test(asked);
  return {
    route: `${method} ${routeOptions.url}`,
    ...(isStorable ? (JSON.parse(asked) as object) : { request: asked.slice(0, MAX_REQUEST).toWellFormed() }),
  };
}
