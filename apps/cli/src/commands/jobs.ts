import { type Command, Option } from 'commander';
import { type AdminClient, type DeadJob, type WholeDeadJob } from '@twinbox/client/admin';
import { type Cli } from '../cli.js';
import { addDeadItems } from '../dead-items/commands.js';
import { type DeadItems } from '../dead-items/dead-items.js';
import { deathFilters } from '../filters.js';
import { referenceOf } from '../reference.js';
import { time } from '../text.js';

export function addJobs(program: Command, cli: Cli): void {
  addDeadItems(program, cli, DEAD_JOBS);
}

const EXAMPLE = 'payments/01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d';

const DEAD_JOBS: DeadItems<DeadJob, WholeDeadJob, string> = {
  command: 'jobs',
  noun: 'dead job',
  description: 'jobs that have failed and are no longer retried, such as calls to the payment gateway',
  example: EXAMPLE,
  filters: () => [new Option('--queue <queue>', 'of this job queue'), ...deathFilters()],
  columns: [
    { title: 'DEAD JOB', value: ({ service, id }) => `${service}/${id}` },
    { title: 'DIED', value: ({ diedAt }) => time(diedAt) },
    { title: 'QUEUE', value: ({ queue }) => queue },
    { title: 'ATTEMPTS', value: ({ attempts }) => attempts, align: 'right' },
    { title: 'ERROR', value: ({ error }) => error, isElastic: true },
  ],
  bulkFilters: (filter) => [filter],
  kinds: { retry: 'retry-jobs', discard: 'discard-jobs' },
  idOf: (text, named) => {
    const { service, rest } = referenceOf(text, named, EXAMPLE);
    return { service, id: rest };
  },
  calls: (admin: AdminClient) => ({
    list: (query) => [admin.listDeadJobs(query)],
    causes: (query) => admin.listDeadJobCauses(query),
    find: (id) => admin.getDeadJob({ id }),
    retry: (id, reason) => admin.retryDeadJob({ id, ...reason }),
    discard: (id, reason) => admin.discardDeadJob({ id, reason }),
    edit: (id, content, reason) => admin.editDeadJob({ id, data: content, reason }),
  }),
  diedAt: ({ diedAt }) => diedAt,
  contentOf: ({ data }) => JSON.stringify(data),
  describe: (job) => ({
    ...job,
    createdAt: time(job.createdAt),
    diedAt: time(job.diedAt),
    data: undefined,
    history: undefined,
  }),
};
