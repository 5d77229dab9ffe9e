/** Fetches are spaced while so many messages arrive within `WINDOW_MS`: 100 a second. */
const BUSY = 10;
const WINDOW_MS = 100;
const APART_MS = 40;
/** The batches of one fetch, one for each partition, arrive within this time. */
const SAME_FETCH_MS = 5;

/** The batches that arrived together. */
interface Fetch {
  readonly at: number;
  /** Whether Kafka had more of a partition already. */
  hasMore: boolean;
}

/**
 * Spaces the fetches of a consumer with group commit. Each fetch costs two transactions and a round trip to Kafka, no matter how many
 * messages it brings. Under steady load a fetch at once would bring few, so the next one comes 40 ms after one that emptied its
 * partitions. Neither a single message nor a backlog waits. All times as `performance.now()`.
 */
export class FetchPace {
  private latest: Fetch = { at: Number.NEGATIVE_INFINITY, hasMore: false };
  /** The messages of the last `WINDOW_MS`, as an exponential moving sum: how they are spread over fetches makes no difference. */
  private recent = 0;
  private recentAt = 0;

  /** Returns the fetch that the batch came with. */
  fetched(batch: { readonly records: { readonly length: number }; readonly hasMore: boolean }, now: number): Fetch {
    this.recent = this.recent * Math.exp((this.recentAt - now) / WINDOW_MS) + batch.records.length;
    this.recentAt = now;
    if (now - this.latest.at > SAME_FETCH_MS) this.latest = { at: now, hasMore: false };
    this.latest.hasMore ||= batch.hasMore;
    return this.latest;
  }

  /** How long to wait before the fetch after `fetch`, in milliseconds. */
  restMs({ at, hasMore }: Fetch, now: number): number {
    return this.recent >= BUSY && !hasMore ? Math.max(0, at + APART_MS - now) : 0;
  }
}
