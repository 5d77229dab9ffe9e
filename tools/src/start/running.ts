import { home } from '../checkout.js';
import { type IdentityProvider } from '../identity-provider/provider.js';
import { type KafkaServer } from '../servers/kafka-server.js';
import { type PostgresServer } from '../servers/postgres-server.js';
import { end, serversBelow } from '../servers/processes.js';
import { type Compiler } from './compiler.js';
import { type ServiceProcess } from './service-process.js';

/** The parts that `npm start` runs, and how it ends. */
export class Running {
  readonly services: ServiceProcess[] = [];
  compiler: Compiler | undefined;
  postgres: PostgresServer | undefined;
  kafka: KafkaServer | undefined;
  identityProvider: IdentityProvider | undefined;
  /** Aborted by a signal, or when one of several concurrent steps fails. */
  private readonly stopping = new AbortController();

  get signal(): AbortSignal {
    return this.stopping.signal;
  }

  /** Ends the steps that are in progress, and {@link untilInterrupted}. */
  interrupt(reason: unknown): void {
    this.stopping.abort(reason);
  }

  /** Runs the work concurrently. The first failure aborts the rest; all of it has settled before anything is stopped. */
  async concurrently<T extends readonly Promise<unknown>[]>(...work: T): Promise<{ [I in keyof T]: Awaited<T[I]> }> {
    for (const one of work) one.catch((error: unknown) => this.interrupt(error));
    await Promise.allSettled(work);
    this.signal.throwIfAborted();
    return Promise.all(work);
  }

  /** Never returns: throws the name of the signal, or the error of a service that exited unexpectedly. */
  async untilInterrupted(): Promise<never> {
    const { signal } = this;
    const aborted = new Promise<never>((_, reject) => {
      if (signal.aborted) reject(signal.reason);
      signal.addEventListener('abort', () => reject(signal.reason));
    });
    throw await Promise.race([aborted, ...this.services.map(({ died }) => died)]);
  }

  /** Stops everything: services before the servers they use. */
  async stop(): Promise<void> {
    const { compiler, services, postgres, kafka } = this;
    if (!compiler && services.length === 0 && !postgres && !kafka) return;
    const start = performance.now();
    console.log('\nStopping …');
    await compiler?.stop();
    await Promise.all(services.map((service) => service.stop(10_000)));
    await Promise.all([postgres?.stop(), kafka?.stop(), this.identityProvider?.stop()]);
    console.log(`Stopped (${((performance.now() - start) / 1000).toFixed(1)} s).`);
  }

  /** Kills everything without a graceful shutdown. Committed data is safe in the data directories. */
  async kill(): Promise<void> {
    const { compiler, services, postgres, kafka } = this;
    await Promise.allSettled([
      compiler?.stop(),
      ...services.map((service) => service.stop(0)),
      postgres?.kill(),
      kafka?.kill(),
    ]);
    // A server that is still starting is not in here yet.
    await end(await serversBelow(home), 0, 'SIGKILL');
  }
}
