import { type ProblemTable, serviceStopping } from '@twinbox/api-kit';

export type StreamRejection =
  | { readonly code: 'event-unknown' | 'service-stopping' | 'ticket-expired' | 'ticket-used-again' }
  | { readonly code: 'too-many-streams' | 'backlog-too-long' | 'too-much-to-catch-up'; readonly most: number };

export const liveProblems: ProblemTable<StreamRejection> = {
  'event-unknown': {
    status: 400,
    title: 'The event to resume from is unknown.',
    detail: () =>
      'It must be the id of an event that this service sent. Load the orders again, then connect without an event to resume from.',
  },
  'too-many-streams': {
    status: 429,
    title: 'The user has too many open streams.',
    detail: ({ most }) =>
      `A user may have at most ${most} open streams. Close some: one stream of all orders covers them.`,
    example: { most: 20 },
  },
  'backlog-too-long': {
    status: 409,
    title: 'Too much has happened since the event to resume from.',
    detail: ({ most }) =>
      `More than ${most} steps were missed. Load the orders again, then connect without an event to resume from.`,
    example: { most: 10_000 },
  },
  'too-much-to-catch-up': {
    status: 429,
    title: 'Other streams of the user are still being sent what they missed.',
    detail: ({ most }) =>
      `The streams of a user may be sent at most ${most} missed steps at a time. Try again in a moment.`,
    example: { most: 10_000 },
  },
  'ticket-expired': {
    status: 401,
    title: 'The ticket is not valid.',
    detail: () =>
      'It is unknown, is for another stream, has expired, or was used before and only resumes with Last-Event-ID. Ask for a new one.',
  },
  'ticket-used-again': {
    status: 401,
    title: 'The ticket was used again, which ended this stream.',
    detail: () => 'If that was another page, ask for a new ticket. Otherwise ignore this.',
  },
  'service-stopping': serviceStopping,
};
