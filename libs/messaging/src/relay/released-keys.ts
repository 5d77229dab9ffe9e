import { type AggregateKey } from './parked-keys.js';
import { type Routes } from './routes.js';

/** A key whose parked messages an operator released, either all of them or those `before` its next dead letter. */
export interface ReleasedKey extends AggregateKey {
  readonly before: number | undefined;
  /** The position of the last message that was published of it. */
  after?: number;
}

/** The keys with released messages that are not published yet, by aggregate type. */
export class ReleasedKeys {
  private readonly byType = new Map<string, Map<string, ReleasedKey>>();

  get size(): number {
    return this.byType.size;
  }

  add(key: ReleasedKey): void {
    const keys = this.byType.get(key.aggregatetype);
    if (keys) keys.set(key.aggregateid, key);
    else this.byType.set(key.aggregatetype, new Map([[key.aggregateid, key]]));
  }

  delete({ aggregatetype, aggregateid }: AggregateKey): void {
    const keys = this.byType.get(aggregatetype);
    keys?.delete(aggregateid);
    if (keys?.size === 0) this.byType.delete(aggregatetype);
  }

  clear(): void {
    this.byType.clear();
  }

  /** Returns the first key whose type is not blocked. */
  next(routes: Routes): ReleasedKey | undefined {
    for (const type of this.byType.keys()) if (!routes.blocks(type)) return this.ofType(type);
    return undefined;
  }

  ofType(aggregateType: string): ReleasedKey | undefined {
    return this.byType.get(aggregateType)?.values().next().value;
  }
}
