import { type ProblemTable } from '../http/problem.js';

export type AdminRejection =
  | { readonly code: 'dead-letter-not-found'; readonly box: string; readonly id: string }
  | { readonly code: 'dead-letter-filter-unknown'; readonly box: string; readonly filter: string }
  | { readonly code: 'dead-job-not-found'; readonly id: string };

const JOB_ID = '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d';

export const adminProblems: ProblemTable<AdminRejection> = {
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
    example: { id: JOB_ID },
  },
};
