import { settlesWithin } from '../waiting.js';

/** How long a refusal stands. Every client of the process that tries again meanwhile gets it at once. */
const REFUSED_MS = 1000;
/** How soon a connection must be closed again in the same way to count as refused. */
const SUSPECT_MS = 10_000;
/** How long a client waits for the outcome of another one's attempt. Longer attempts have met an outage. */
const TURN_MS = 1000;
const ANY = '*';

/** Limits the attempts to connect with the same settings to one a second while Kafka refuses them, across all clients of a process. */
export class AttemptGate {
  private readonly refusals = new Map<string, { readonly error: Error; readonly until: number }>();
  private readonly suspects = new Map<string, number>();
  /** Whether the latest outcome was a success. Until then clients connect one after another. */
  private isTrusted = false;
  private attempt: Promise<void> | undefined;

  constructor(private readonly now: () => number = () => performance.now()) {}

  /**
   * Waits until an attempt may be made. Returns the function to call after it.
   * @throws the refusal, if the broker at this address, or any broker if the credentials were refused, has refused within a second
   */
  async enter(address: string): Promise<() => void> {
    if (!this.isTrusted && this.attempt) await settlesWithin(TURN_MS, this.attempt);
    this.check(address);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.attempt = promise;
    return resolve;
  }

  private check(address: string): void {
    for (const key of [address, ANY]) {
      const refusal = this.refusals.get(key);
      if (refusal && this.now() < refusal.until) throw refusal.error;
    }
  }

  /** Records a refusal by one broker, or by any if no address is given. */
  refused(error: Error, address = ANY): void {
    this.isTrusted = false;
    this.refusals.set(address, { error, until: this.now() + REFUSED_MS });
  }

  /** Records a success at the address. */
  accepted(address: string): void {
    this.isTrusted = true;
    this.refusals.clear();
    this.suspects.delete(address);
  }

  /**
   * Records that a connection failed in a way that may be an outage. Returns whether that has just happened to an earlier connection too, and
   * so is probably a refusal. Connections that were open at the same time fail together in an outage, so they count as one.
   */
  recurs(address: string, connectedAt: number): boolean {
    const before = this.suspects.get(address);
    this.suspects.set(address, this.now());
    return before !== undefined && connectedAt > before && this.now() - before < SUSPECT_MS;
  }
}
