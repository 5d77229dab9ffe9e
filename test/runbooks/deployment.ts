import { type Target } from './alerts.js';
import { type Shell, type Variables } from './shell.js';

type Part = 'relay' | 'topics';

/** What the services lack after a bad deployment: the topics, and a relay of order-service. */
export class Deployment {
  private readonly done = new Set<Part>();

  constructor(
    private readonly shell: Shell,
    private readonly environment: Variables,
    private readonly targets: Target[],
  ) {}

  /** Records what a test has done itself. */
  has(part: Part): void {
    this.done.add(part);
  }

  /** Does what no test has done yet, so that each test can also run alone. */
  async complete(...parts: readonly Part[]): Promise<void> {
    for (const part of parts.filter((of) => !this.done.has(of))) {
      if (part === 'topics') await this.shell.run('npm run topics\n', this.environment);
      else await this.startRelay();
      this.has(part);
    }
  }

  private async startRelay(): Promise<void> {
    const url = await this.shell.start('npm run relay -- order-service\n', this.environment);
    this.targets.push({ job: 'order-service', url });
  }
}
