/** How long a refusal stands. Every client of the process that tries again meanwhile gets it at once. */
const REFUSED_MS = 1000;
/** How soon a connection must be closed again in the same way to count as refused. */
const SUSPECT_MS = 10_000;

/** Limits the attempts to connect with the same settings to one a second after Kafka has refused one, across all clients of a process. */
export class AttemptGate {
  private readonly refusals = new Map<string, { readonly error: Error; readonly until: number }>();
  private readonly suspects = new Map<string, number>();

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** @throws the refusal, if the broker at this address, or any broker if the credentials were refused, has refused within a second */
  check(address: string): void {
    for (const key of [address, ANY]) {
      const refusal = this.refusals.get(key);
      if (refusal && this.now() < refusal.until) throw refusal.error;
    }
  }

  /** Records a refusal by one broker, or by any if no address is given. */
  refused(error: Error, address = ANY): void {
    this.refusals.set(address, { error, until: this.now() + REFUSED_MS });
  }

  /** Records a success at the address. */
  accepted(address: string): void {
    this.refusals.clear();
    this.suspects.delete(address);
  }

  /** Records a failure that may be an outage. Returns whether it has just happened before, and so is probably a refusal. */
  recurs(address: string): boolean {
    const before = this.suspects.get(address);
    this.suspects.set(address, this.now());
    return before !== undefined && this.now() - before < SUSPECT_MS;
  }
}

const ANY = '*';
