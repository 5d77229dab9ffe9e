import { type ProblemTable, serviceStopping } from '@twinbox/api-kit';

type StreamRejection =
  | { readonly code: 'event-unknown' | 'service-stopping' }
  | { readonly code: 'too-many-streams'; readonly most: number };

export const liveProblems: ProblemTable<StreamRejection> = {
  'event-unknown': {
    status: 400,
    title: 'The event to resume from is unknown.',
    detail: () =>
      'Last-Event-ID must be the id of an event that this service sent. Reload your data, then connect without it.',
  },
  'too-many-streams': {
    status: 429,
    title: 'The user has too many open streams.',
    detail: ({ most }) =>
      `A user may have at most ${most} open streams. Close some: one GET /orders/events covers all orders.`,
    example: { most: 20 },
  },
  'service-stopping': serviceStopping,
};
