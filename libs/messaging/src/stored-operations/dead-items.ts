import { type JobFilter } from '../dead-letters/dead-job.js';
import { type JobChanges } from '../dead-letters/job-changes.js';
import { jobFilterOf, type LetterChoice, letterChoiceOf } from '../dead-letters/letter-choice.js';
import { type LetterChanges } from '../dead-letters/letter-changes.js';
import { type ReleaseNotice } from '../dead-letters/release-notice.js';
import { type DueWork } from '../poll/due-work.js';
import { type DeadItems } from './change-operation.js';

/** Returns the dead letters of both boxes. */
export function deadLetters(letters: LetterChanges, notice: ReleaseNotice): DeadItems<LetterChoice> {
  return {
    name: 'letters',
    filterOf: letterChoiceOf,
    storeOf: ({ box }) => letters.stores[box],
    apply: (...args) => letters.apply(...args),
    wake: () => notice.send(),
    label: ({ box }, id) => `Letter ${id} of the ${box}`,
  };
}

/** Returns the dead jobs. Other processes find retried ones with their next poll. */
export function deadJobs(jobs: JobChanges, dueWork: DueWork): DeadItems<JobFilter> {
  return {
    name: 'jobs',
    filterOf: jobFilterOf,
    storeOf: () => jobs.store,
    apply: (...args) => jobs.apply(...args),
    wake: async () => dueWork.found('jobs'),
    label: (_, id) => `Job ${id}`,
  };
}
