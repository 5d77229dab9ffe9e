const ANNOUNCE_EVERY_MS = 10;
const ANNOUNCE_BUSY_MS = 25;
const BUSY_COMMITS = 5;
/** After a failed notice. It need not be soon, because listeners also poll. */
const ANNOUNCE_AGAIN_MS = 1000;

/** Announces committed steps to the other replicas. One notice covers all commits since the last one; there are fewer under load. */
export class Announcer {
  private timer: NodeJS.Timeout | NodeJS.Immediate | undefined;
  private waiting = 0;
  private nextAt = 0;
  private closed = false;

  constructor(private readonly notify: () => Promise<unknown>) {}

  announce(): void {
    this.waiting++;
    if (!this.timer && !this.closed) this.schedule();
  }

  close(): void {
    this.closed = true;
  }

  private schedule(): void {
    const waitMs = this.nextAt - performance.now();
    const send = () => void this.send();
    this.timer = waitMs > 0 ? setTimeout(send, waitMs).unref() : setImmediate(send);
  }

  private async send(): Promise<void> {
    if (this.closed) return;
    this.nextAt = performance.now() + (this.waiting < BUSY_COMMITS ? ANNOUNCE_EVERY_MS : ANNOUNCE_BUSY_MS);
    this.waiting = 0;
    try {
      await this.notify();
    } catch {
      this.nextAt = performance.now() + ANNOUNCE_AGAIN_MS;
    }
    this.timer = undefined;
    if (this.waiting > 0 && !this.closed) this.schedule();
  }
}
