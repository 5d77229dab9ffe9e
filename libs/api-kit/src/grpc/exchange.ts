import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { type Caller, callerOfRequest } from '../http/caller.js';
import { causeOf } from '../http/cause.js';
import { type AnswerHeaders, answerHeadersOf, requestOf } from '../http/edge-request.js';
import { type Preconditions, preconditionsOf } from '../http/preconditions.js';
import { type IdempotencyKey, idempotencyKeyOf } from '../idempotency/idempotency-key.js';

/** Who makes a request and how, and the headers of its answer. */
export interface Exchange {
  readonly caller: Caller;
  readonly cause: string;
  readonly preconditions: Preconditions;
  readonly key: IdempotencyKey | undefined;
  readonly answer: AnswerHeaders;
}

/**
 * Injects the exchange of a gRPC call into a handler. A handler of HTTP injects its parts instead, because their decorators also describe
 * the headers in the OpenAPI document.
 */
export const Exchange = createParamDecorator((_: unknown, context: ExecutionContext): Exchange => {
  const [request, answer] = [requestOf(context), answerHeadersOf(context)];
  return {
    caller: callerOfRequest(request),
    cause: causeOf(request),
    preconditions: preconditionsOf(request.raw.headersDistinct),
    key: idempotencyKeyOf(request, answer),
    answer,
  };
});

/** Injects the metadata of the answer into a handler of a gRPC call, for one whose caller may be anonymous. */
export const AnswerMetadata = createParamDecorator((_: unknown, context: ExecutionContext): AnswerHeaders =>
  answerHeadersOf(context),
);
