/** A problem document (RFC 9457), as the services send it. */
export interface ProblemDocument {
  /** `urn:twinbox:problem:` and the code. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  /** `urn:request:` and the id under which the service has logged the request. */
  readonly instance: string;
}

/** A field or parameter that a `validation` problem complains about. */
export interface Violation {
  /** A JSON pointer into the body, as a URI fragment, such as `#/items/0/quantity`. */
  readonly pointer?: string;
  /** The name of a parameter of the path, the query or the headers. */
  readonly parameter?: string;
  readonly detail: string;
}

/** The request that failed. */
export interface SentRequest {
  readonly method: string;
  readonly url: string;
  /** How often it was sent. */
  readonly attempts: number;
  /** Its idempotency key, if the operation takes one. A later call with the same key and the same input cannot take effect twice. */
  readonly idempotencyKey?: string;
}

const TYPE = 'urn:twinbox:problem:';
/** The members of a problem document that are strings. */
const MEMBERS = new Set(['type', 'title', 'detail', 'instance']);

/** The code of a problem document: the end of its `type`. */
export type CodeOf<D extends ProblemDocument> = D['type'] extends `urn:twinbox:problem:${infer Code}` ? Code : string;

/**
 * The service, or a proxy in front of it, has refused a request. `code` says why, and `document` has the facts. For an answer that the
 * service does not give, such as the page of a proxy, the code is `unknown`, whatever its status is.
 */
export class TwinboxProblem<D extends ProblemDocument = ProblemDocument> extends Error {
  override readonly name = 'TwinboxProblem';
  readonly code: CodeOf<D>;
  readonly status: D['status'];
  /** The id under which the service has logged the request. Quote it when you report the problem. */
  readonly requestId: string | undefined;
  /** How long the service asks its clients to wait before they try again. */
  readonly retryAfterMs: number | undefined;

  constructor(
    readonly document: D,
    readonly request: SentRequest,
    headers: Headers = new Headers(),
  ) {
    const code = document.type.startsWith(TYPE) ? document.type.slice(TYPE.length) : 'unknown';
    const requestId = headers.get('x-request-id') ?? undefined;
    const { method, url } = request;
    const { status, title, detail } = document;
    const from = `(${method} ${url}${requestId ? `, request ${requestId}` : ''})`;
    super([`${status} ${code}:`, title, detail, from].filter((part) => part !== '').join(' '));
    this.code = code as CodeOf<D>;
    this.status = document.status;
    this.requestId = requestId;
    this.retryAfterMs = waitAskedFor(headers.get('retry-after'));
  }

  /** The fields and parameters that are not valid. Empty for any problem but `validation`. */
  get errors(): readonly Violation[] {
    const { errors } = this.document as { readonly errors?: unknown };
    return Array.isArray(errors) ? (errors as Violation[]) : [];
  }
}

/** The problems with these documents, which `code` tells apart. */
export type ProblemOf<D> = D extends ProblemDocument ? TwinboxProblem<D> : never;

/**
 * No answer has arrived: the service cannot be reached, the connection broke, it took too long, or the token provider failed. `cause` is
 * the error of `fetch` or of the provider. Unless `request.attempts` is 0, a change may have been carried out all the same; to find out,
 * call again with `request.idempotencyKey`.
 */
export class TwinboxConnectionError extends Error {
  override readonly name = 'TwinboxConnectionError';

  constructor(
    readonly request: SentRequest,
    cause: unknown,
    missing = 'answer to',
  ) {
    const { method, url, attempts } = request;
    const times = attempts < 2 ? '' : ` after ${attempts} attempts`;
    super(`No ${missing} ${method} ${url}${times}: ${reasonOf(cause)}`, { cause });
  }
}

/** The token provider has failed, so the last attempt had no effect. */
export class TokenUnavailable extends TwinboxConnectionError {
  constructor(request: SentRequest, cause: unknown) {
    super(request, cause, 'access token for');
  }
}

/** The error of `fetch` in Node says only "fetch failed". Its cause says why. */
function reasonOf(error: unknown): string {
  const { message = String(error), cause } = Object(error) as Partial<Error>;
  const reason = (Object(cause) as Partial<Error>).message;
  return reason === undefined ? message : `${message} (${reason})`;
}

/** Whether an error is a problem, or one with one of these codes. */
export function isProblem(error: unknown, ...codes: readonly string[]): error is TwinboxProblem {
  return error instanceof TwinboxProblem && (codes.length === 0 || codes.includes(error.code));
}

/** Turns an answer that is not a success into an error. */
export async function problemOf(response: Response, request: SentRequest): Promise<TwinboxProblem> {
  const text = await response.text();
  return new TwinboxProblem(documentIn(response, text), request, response.headers);
}

/** Turns a success whose content the service does not send, such as the login page of a proxy, into an error. */
export function unexpectedContent(response: Response, request: SentRequest): TwinboxProblem {
  const type = response.headers.get('content-type') ?? 'missing';
  const detail = `Its content type is ${type}, so it may come from a proxy.`;
  const document = { ...unknownDocument(response, detail), title: 'The answer does not have the expected content.' };
  return new TwinboxProblem(document, request, response.headers);
}

/** Members that are missing, or not strings, count as absent (RFC 9457, section 3.1). The document of a proxy may have none of them. */
function documentIn(response: Response, text: string): ProblemDocument {
  const parsed = parsedProblem(response, text);
  if (!parsed) return unknownDocument(response, 'The answer is not a problem document, so it may come from a proxy.');
  const strings = Object.entries(parsed).filter(([name, value]) => !MEMBERS.has(name) || typeof value === 'string');
  return { ...unknownDocument(response, ''), ...Object.fromEntries(strings), status: response.status };
}

function parsedProblem({ headers }: Response, text: string): object | undefined {
  if (!headers.get('content-type')?.toLowerCase().startsWith('application/problem+json')) return undefined;
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && !Array.isArray(parsed) ? (parsed ?? undefined) : undefined;
  } catch {
    // The answer was cut off. The status still says what it was.
    return undefined;
  }
}

function unknownDocument({ status, statusText }: Response, detail: string): ProblemDocument {
  return { type: 'about:blank', title: statusText || 'The request failed.', status, detail, instance: '' };
}

/** Returns the milliseconds to wait, of a number of seconds or a date (RFC 9110, section 10.2.3). */
function waitAskedFor(retryAfter: string | null): number | undefined {
  if (retryAfter === null) return undefined;
  const ms = /^\d+$/.test(retryAfter) ? Number(retryAfter) * 1000 : Math.max(0, Date.parse(retryAfter) - Date.now());
  return Number.isNaN(ms) ? undefined : ms;
}
