import { setTimeout as delay } from 'node:timers/promises';
import { type Pool } from 'pg';
import { parkedIn } from './databases.js';

const EVERY_MS = 250;

/** Sees what is parked while the run goes on: what is handled in the end has left no trace. It misses what is shorter than a look. */
export class ParkedWatch {
  private readonly seen = new Set<string>();
  private readonly stopping = new AbortController();
  private readonly running: Promise<void>;

  constructor(private readonly database: Pool) {
    this.running = this.run();
  }

  get count(): number {
    return this.seen.size;
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      // The database comes back; what was parked and handled meanwhile is not missed, for nothing could be.
      const parked = await parkedIn(this.database).catch(() => []);
      for (const { service, box, id } of parked) if (box !== 'jobs') this.seen.add(`${service} ${box} ${id}`);
      await delay(EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}
