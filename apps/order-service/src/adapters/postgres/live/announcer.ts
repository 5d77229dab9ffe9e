const ANNOUNCE_EVERY_MS = 25;
/** After a failed notice. It need not be soon, because listeners also poll. */
const ANNOUNCE_AGAIN_MS = 1000;

/** Announces committed steps to the other replicas. One notice covers all commits since the last one. */
export class Announcer {
  private timer: NodeJS.Timeout | undefined;
  private isRequestedAgain = false;
  private nextAt = 0;
  private closed = false;

  constructor(private readonly notify: () => Promise<unknown>) {}

  announce(): void {
    if (this.timer) this.isRequestedAgain = true;
    else if (!this.closed) this.schedule();
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
  }

  private schedule(): void {
    const waitMs = Math.max(0, this.nextAt - performance.now());
    this.timer = setTimeout(() => void this.send(), waitMs).unref();
  }

  private async send(): Promise<void> {
    this.isRequestedAgain = false;
    this.nextAt = performance.now() + ANNOUNCE_EVERY_MS;
    try {
      await this.notify();
    } catch {
      this.nextAt = performance.now() + ANNOUNCE_AGAIN_MS;
    }
    this.timer = undefined;
    if (this.isRequestedAgain && !this.closed) this.schedule();
  }
}
