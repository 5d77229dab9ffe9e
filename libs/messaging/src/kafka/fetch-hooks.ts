import { COMMIT_AT_STOP_MS } from './batch.js';
import { type FetchHooks } from './kafkajs-fetches.js';
import { type OffsetCommits } from './offset-commits.js';
import { type Positions } from './positions.js';
import { settlesWithin } from '../waiting.js';

/** Returns the hooks of a member whose offsets are in the database as well as in Kafka, if there are `positions`. */
export function fetchHooks(
  commits: OffsetCommits,
  positions: Positions | undefined,
  isPaused: () => boolean = () => false,
): FetchHooks {
  return {
    suspended: () => positions?.suspended !== undefined || isPaused(),
    refused:
      positions &&
      ((partition, offset) => {
        commits.drop(partition);
        positions.refused(partition, offset);
      }),
    skipped: (partition, lastOffset) => {
      if (positions?.waits(partition) !== true) commits.settle(partition, lastOffset);
    },
    // During a rebalance the group still accepts commits from its current members.
    leaving: async () => void (await settlesWithin(COMMIT_AT_STOP_MS, commits.flush())),
  };
}
