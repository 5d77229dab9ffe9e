import { type PauseKind } from '@twinbox/messaging';
import { type ProblemTable } from '../http/problem.js';
import { AN_ID } from './admin-fields.js';

export type AdminRejection =
  | { readonly code: 'dead-letter-not-found'; readonly box: string; readonly id: string }
  | { readonly code: 'dead-letter-filter-unknown'; readonly box: string; readonly filter: string }
  | { readonly code: 'dead-job-not-found'; readonly id: string }
  | { readonly code: 'parked-message-not-found'; readonly box: string; readonly id: string }
  | { readonly code: 'edit-invalid'; readonly reason: string }
  | { readonly code: 'operation-not-found'; readonly id: string }
  | { readonly code: 'operation-invalid'; readonly reason: string }
  | { readonly code: 'operation-ended'; readonly id: string; readonly state: string }
  | {
      readonly code: 'nothing-to-pause';
      readonly kind: PauseKind;
      readonly name: string;
      readonly known: readonly string[];
    }
  | { readonly code: 'incident-not-found'; readonly id: string }
  | { readonly code: 'audit-entry-not-found'; readonly id: string };

export const adminProblems: ProblemTable<AdminRejection> = {
  'audit-entry-not-found': {
    status: 404,
    title: 'There is no such entry.',
    detail: ({ id }) => `The audit has no entry ${id}. Entries are removed after a while.`,
    example: { id: '42' },
  },
  'dead-letter-not-found': {
    status: 404,
    title: 'There is no such dead letter.',
    detail: ({ box, id }) => `The ${box} has no dead letter ${id}. It may have been retried or discarded.`,
    example: { box: 'inbox', id: '17' },
  },
  'dead-letter-filter-unknown': {
    status: 422,
    title: 'Dead letters of this box have no such field.',
    detail: ({ box, filter }) => `Dead letters of the ${box} have no ${filter} to filter by.`,
    example: { box: 'outbox', filter: 'consumer' },
  },
  'dead-job-not-found': {
    status: 404,
    title: 'There is no such dead job.',
    detail: ({ id }) => `There is no dead job ${id}. It may have been retried or discarded.`,
    example: { id: AN_ID },
  },
  'parked-message-not-found': {
    status: 404,
    title: 'There is no such parked message.',
    detail: ({ box, id }) => `The ${box} has no parked message ${id}. It may have been handled, or be a dead letter.`,
    example: { box: 'inbox', id: '17' },
  },
  'edit-invalid': {
    status: 422,
    title: 'The edited message or job would not be accepted.',
    detail: ({ reason }) => `${reason}. Nothing was changed.`,
    example: { reason: 'The message would still be unreadable: the data is not JSON' },
  },
  'operation-not-found': {
    status: 404,
    title: 'There is no such operation.',
    detail: ({ id }) => `There is no operation ${id}. Operations that have ended are removed after a while.`,
    example: { id: AN_ID },
  },
  'operation-invalid': {
    status: 422,
    title: 'Such an operation is not possible.',
    detail: ({ reason }) => `${reason}.`,
    example: { reason: 'No filter given. To select all dead jobs, pass all: true' },
  },
  'operation-ended': {
    status: 409,
    title: 'The operation has ended.',
    detail: ({ state }) => `The operation is ${state}, so it cannot be cancelled.`,
    example: { id: AN_ID, state: 'done' },
  },
  'nothing-to-pause': {
    status: 404,
    title: 'The service has nothing of that name.',
    detail: ({ kind, name, known }) =>
      `The service has no ${kind} ${name}. It has ${known.length > 0 ? known.join(', ') : 'none'}.`,
    example: { kind: 'queue', name: 'mail', known: ['notifications'] },
    schemas: { kind: { enum: ['consumer', 'queue', 'relay'] } },
  },
  'incident-not-found': {
    status: 404,
    title: 'There is no such open incident.',
    detail: ({ id }) => `There is no open incident ${id}. It may have been acknowledged.`,
    example: { id: '3' },
  },
};
