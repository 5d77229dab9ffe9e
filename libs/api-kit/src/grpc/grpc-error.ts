import { Metadata, type ServerErrorResponse, status as codes } from '@grpc/grpc-js';
import { BadRequest, ErrorInfo, RequestInfo, RetryInfo, Status } from '@twinbox/contracts/grpc/status';
import { RETRY_AFTER } from '../http/common-problems.js';
import { clipped, detailOf, type GrpcStatusName, type Problem } from '../http/problem.js';
import type { Violation } from '../http/validation-problem.js';
import type { FieldNames } from './field-names.js';

/** The `domain` of each ErrorInfo, which makes its `reason` unique. */
const DOMAIN = 'twinbox';

/**
 * In bytes: the limit of the facts and that of the violations. Some clients accept only 8 KiB of metadata, so the rest is left out.
 */
const MAX_DETAILS = 1500;
/** In bytes. The message is sent twice, once percent-encoded, which may triple it. */
const MAX_MESSAGE = 500;

/** The gRPC status that stands for an HTTP status (google.rpc.Code). A problem table may name another one. */
const STATUS_OF: Readonly<Record<number, GrpcStatusName>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  409: 'FAILED_PRECONDITION',
  412: 'ABORTED',
  413: 'RESOURCE_EXHAUSTED',
  421: 'PERMISSION_DENIED',
  422: 'FAILED_PRECONDITION',
  429: 'RESOURCE_EXHAUSTED',
  431: 'RESOURCE_EXHAUSTED',
  503: 'UNAVAILABLE',
};

/** An error with the status of a gRPC call, which grpc-js sends as it is. */
export type GrpcError = ServerErrorResponse & { readonly code: codes };

/**
 * Returns a problem as the error of a gRPC call. `grpc-status-details-bin` has a google.rpc.Status with the code of the problem as the
 * `reason` of its ErrorInfo, the invalid fields as a BadRequest, and for a call that may be repeated the time to wait as a RetryInfo.
 */
export function grpcErrorOf(problem: Problem, requestId: string, names: FieldNames = {}): GrpcError {
  const code = codes[problem.grpcStatus ?? STATUS_OF[problem.status] ?? 'INTERNAL'];
  const message = shortened(detailOf(problem));
  const metadata = new Metadata();
  metadata.set('x-request-id', requestId);
  const status = Status.encode({ code, message, details: detailsOf(problem, requestId, names) }).finish();
  metadata.set('grpc-status-details-bin', Buffer.from(status));
  return Object.assign(new Error(message), { code, details: message, metadata });
}

function detailsOf(problem: Problem, requestId: string, names: FieldNames): Status['details'] {
  const { errors, ...members } = problem.members ?? {};
  const reason = { reason: problem.code, domain: DOMAIN, metadata: textsOf(members) };
  const details = [
    any('ErrorInfo', ErrorInfo.encode(reason).finish()),
    any('RequestInfo', RequestInfo.encode({ requestId, servingData: '' }).finish()),
  ];
  if (Array.isArray(errors)) {
    const violations = fitting(errors as Violation[], (violation) => Buffer.byteLength(JSON.stringify(violation)));
    const fieldViolations = violations.map((violation) => ({
      field: fieldOf(violation, names),
      description: violation.detail,
      reason: '',
      localizedMessage: undefined,
    }));
    details.push(any('BadRequest', BadRequest.encode({ fieldViolations }).finish()));
  }
  if (problem.status === 429 || problem.status === 503) {
    const seconds = Number(problem.headers?.['retry-after'] ?? RETRY_AFTER['retry-after']);
    details.push(any('RetryInfo', RetryInfo.encode({ retryDelay: { seconds, nanos: 0 } }).finish()));
  }
  return details;
}

function shortened(text: string): string {
  const length = text.length - Math.max(0, Buffer.byteLength(text) - MAX_MESSAGE);
  return clipped(text, Math.max(MAX_MESSAGE / 4, length));
}

function any(type: string, value: Uint8Array): Status['details'][number] {
  return { typeUrl: `type.googleapis.com/google.rpc.${type}`, value };
}

/** The values of an ErrorInfo's metadata are texts. Lists and objects are JSON. */
function textsOf(members: Readonly<Record<string, unknown>>): Record<string, string> {
  const texts = Object.entries(members).map(([name, value]) => [
    name,
    typeof value === 'string' ? value : JSON.stringify(value),
  ]);
  const present = texts.filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(fitting(present, ([name, text]) => Buffer.byteLength(name + text)));
}

/** Returns the values that are not too long together, in their order. */
function fitting<T>(values: readonly T[], lengthOf: (value: T) => number): T[] {
  let left = MAX_DETAILS;
  return values.filter((value) => {
    const length = lengthOf(value);
    if (length > left) return false;
    left -= length;
    return true;
  });
}

/** Returns the path of the field in the message that a violation is about, such as `items[0].product_id`. Empty for the whole message. */
export function fieldOf({ pointer, parameter = '' }: Violation, names: FieldNames): string {
  const path = pointer === undefined ? parameter.split('.') : pointer.split('/').slice(1).map(nameIn);
  const [first = '', ...rest] = path;
  return [names[first] ?? snakeCase(first), ...rest.map(segment)].join('');
}

function segment(name: string): string {
  return /^\d+$/.test(name) ? `[${name}]` : `.${snakeCase(name)}`;
}

function nameIn(token: string): string {
  return decodeURIComponent(token).replaceAll('~1', '/').replaceAll('~0', '~');
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
