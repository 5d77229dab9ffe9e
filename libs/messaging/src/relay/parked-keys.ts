/** A message key, which is an aggregate. */
export interface AggregateKey {
  readonly aggregatetype: string;
  readonly aggregateid: string;
}

/** The keys with parked messages. Later messages of these keys are parked behind them. */
export class ParkedKeys {
  private readonly keys = new Set<string>();

  delete({ aggregatetype, aggregateid }: AggregateKey): void {
    this.keys.delete(`${aggregatetype}\0${aggregateid}`);
  }

  add({ aggregatetype, aggregateid }: AggregateKey): void {
    this.keys.add(`${aggregatetype}\0${aggregateid}`);
  }

  has({ aggregatetype, aggregateid }: AggregateKey): boolean {
    return this.keys.size > 0 && this.keys.has(`${aggregatetype}\0${aggregateid}`);
  }

  clear(): void {
    this.keys.clear();
  }
}
