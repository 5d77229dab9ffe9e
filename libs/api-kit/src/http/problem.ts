import type { status } from '@grpc/grpc-js';
import { HttpException } from '@nestjs/common';
import type { Decision } from '@twinbox/kernel';
import type { JsonSchema } from './openapi/json-schema.js';

/** The names of the gRPC statuses that a problem may have. */
export type GrpcStatusName = Exclude<keyof typeof status, 'OK' | 'CANCELLED'>;

/** The content of an RFC 9457 problem document without its `instance`. */
export interface Problem {
  /** In kebab-case. The `type` of the document is `urn:twinbox:problem:<code>`. */
  readonly code: string;
  readonly status: number;
  /** The status of a gRPC call, if it is not the one that {@link status} stands for. */
  readonly grpcStatus?: GrpcStatusName;
  readonly title: string;
  /** What happened in this case. Defaults to the title. */
  readonly detail?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Extension members of the document. */
  readonly members?: Readonly<Record<string, unknown>>;
  /** The event that a client with a stream ticket gets instead of the status, and the id from which it resumes if it tries again. */
  readonly event?: { readonly name: string; readonly id?: string };
}

/** An error that becomes the problem document that the client gets, wherever in a request it is thrown. */
export class ProblemException extends HttpException {
  constructor(readonly problem: Problem) {
    super(problem.detail ?? problem.title, problem.status);
  }
}

type RejectionOf<R, C> = R extends { code: infer K } ? (C extends K ? R : never) : never;

/** How a rejection is presented to a client. */
export interface ProblemEntry<Rejection> {
  readonly status: number;
  /** The status of a gRPC call, if it is not the one that `status` stands for. */
  readonly grpcStatus?: GrpcStatusName;
  readonly title: string;
  /** Describes what happened in this case, from the fields of the rejection. */
  detail?(rejection: Rejection): string;
  /** Example values of the rejection's other fields, for the OpenAPI document. */
  readonly example?: Partial<Omit<Rejection, 'code'>>;
  /** Schemas of fields whose example does not show all possible values. */
  readonly schemas?: { readonly [K in keyof Omit<Rejection, 'code'>]?: JsonSchema };
  /** Optional fields, in addition to those that are missing from the example. */
  readonly optional?: readonly string[];
}

/** One entry per rejection code. The compiler checks that none is missing. */
export type ProblemTable<R extends { code: string }> = {
  readonly [C in R['code']]: ProblemEntry<RejectionOf<R, C>>;
};

/** Returns the problem for a rejection, with the texts from the table and the rejection's other fields as extension members. */
export function problemOf<R extends { code: string }>(rejection: R, table: ProblemTable<R>): ProblemException {
  const { code, ...members } = rejection;
  const entry: ProblemEntry<R> = table[code as R['code']];
  const detail = entry.detail?.(rejection) ?? entry.title;
  const { status, grpcStatus, title } = entry;
  return new ProblemException({ code, status, title, detail, members, ...(grpcStatus && { grpcStatus }) });
}

/** Returns the state of an accepted decision. @throws ProblemException if the decision is a rejection */
export function stateOrProblem<State, Event, R extends { code: string }>(
  decision: Decision<State, Event, R>,
  table: ProblemTable<R>,
): State {
  if (decision.accepted) return decision.state;
  throw problemOf(decision.rejection, table);
}

/** The media type of every error. */
export const PROBLEM_JSON = 'application/problem+json';

/** In UTF-16 code units. A detail may quote a path, a name or a value that is as long as the request. */
const MAX_DETAIL_LENGTH = 2000;

/** Returns the `type` of a problem code. */
export const problemType = (code: string): string => `urn:twinbox:problem:${code}`;

/** Returns the document that is sent. Extension members cannot override the standard ones. */
export function problemDocument(problem: Problem, requestId: string): Record<string, unknown> {
  return {
    ...problem.members,
    type: problemType(problem.code),
    title: problem.title,
    status: problem.status,
    detail: detailOf(problem),
    instance: `urn:request:${requestId}`,
  };
}

/** Returns what happened, in at most 2,000 UTF-16 code units. */
export function detailOf({ detail, title }: Problem): string {
  return clipped(detail ?? title, MAX_DETAIL_LENGTH);
}

/** Truncates the text to `maxLength` UTF-16 code units. */
export function clipped(text: string, maxLength: number): string {
  return text.length <= maxLength ? text : `${text.slice(0, maxLength - 1).toWellFormed()}…`;
}
