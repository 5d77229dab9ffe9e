/** Fetches are spaced while at least this many messages arrive within `WINDOW_MS` (100 a second). */
const BUSY = 10;
const WINDOW_MS = 100;
const MIN_APART_MS = 40;
const MAX_APART_MS = 100;
/** Within these limits, fetches are spaced so that each returns about this many messages. */
const ENOUGH = 24;
/** The batches of one fetch, one for each partition, arrive within this time. */
const SAME_FETCH_MS = 5;

/** The batches that arrived together. */
interface Fetch {
  readonly at: number;
  /** Whether Kafka already had more records of one of the partitions. */
  hasMore: boolean;
}

/**
 * Spaces the fetches of a consumer with group commit. Each fetch costs two transactions and a round trip to Kafka, no matter how
 * many messages it returns. Under steady load an immediate fetch would return few, so a fetch that emptied its partitions is
 * followed by the next one after 40 to 100 ms: the fewer messages arrive, the later, so that a consumer that shares the load with other
 * replicas gets as many at a time. Neither a single message nor a backlog is delayed. All times are `performance.now()`.
 */
export class FetchPace {
  private latest: Fetch = { at: Number.NEGATIVE_INFINITY, hasMore: false };
  /** The messages of the last `WINDOW_MS`, as an exponential moving sum, so that their spread over fetches makes no difference. */
  private recent = 0;
  private recentAt = 0;

  /** Records a batch and returns the fetch that it belongs to. */
  fetched(batch: { readonly records: { readonly length: number }; readonly hasMore: boolean }, now: number): Fetch {
    this.recent = this.recent * Math.exp((this.recentAt - now) / WINDOW_MS) + batch.records.length;
    this.recentAt = now;
    if (now - this.latest.at > SAME_FETCH_MS) this.latest = { at: now, hasMore: false };
    this.latest.hasMore ||= batch.hasMore;
    return this.latest;
  }

  /** Returns how long to wait before the next fetch, in milliseconds. */
  restMs({ at, hasMore }: Fetch, now: number): number {
    if (this.recent < BUSY || hasMore) return 0;
    const apartMs = Math.min(MAX_APART_MS, Math.max(MIN_APART_MS, (ENOUGH * WINDOW_MS) / this.recent));
    return Math.max(0, at + apartMs - now);
  }
}
