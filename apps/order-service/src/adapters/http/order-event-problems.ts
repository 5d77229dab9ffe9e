import { type ProblemTable, serviceStopping } from '@twinbox/api-kit';

type Refusal =
  | { readonly code: 'event-unknown' | 'service-stopping' }
  | { readonly code: 'too-many-streams'; readonly most: number };

/** Why a stream of events is not opened. */
export const orderEventProblems: ProblemTable<Refusal> = {
  'event-unknown': {
    status: 400,
    title: 'There is no event with this id to go on from.',
    detail: () =>
      'Last-Event-ID must be the id of an event of this service. Load what you show anew, and follow without it.',
  },
  'too-many-streams': {
    status: 429,
    title: 'The caller follows too much at a time.',
    detail: ({ most }) =>
      `${most} streams of one user may be open. Close some: GET /orders/events tells of all orders.`,
    example: { most: 20 },
  },
  'service-stopping': serviceStopping,
};
