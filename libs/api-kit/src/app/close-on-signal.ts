import { Logger } from '@nestjs/common';

/** Less than the 10 s that are guaranteed and that Docker waits before it kills a process. */
const SHUTDOWN_TIMEOUT_MS = 9000;

/**
 * Ends the process after an uncaught error, which may have left something half done. A new process starts clean. Returns the function that
 * does it.
 */
export function exitOnUncaught(name: string): (error: unknown) => never {
  const exit = (error: unknown): never => {
    new Logger(name).fatal({ err: error }, 'Uncaught error, exiting.');
    return process.exit(1);
  };
  process.on('unhandledRejection', exit);
  process.on('uncaughtException', exit);
  return exit;
}

/** Closes the application at SIGTERM or SIGINT, and ends the process: with 0 once the work in flight is done, or with 1 after 9 s. */
export function closeOnSignal(name: string, close: () => Promise<void>): void {
  let closing = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    // A terminal sends Ctrl-C to the whole process group, and the parent may forward it too. So a second signal does not mean "hurry".
    if (closing) return;
    closing = true;
    const logger = new Logger(name);
    logger.log(`Received ${signal}, finishing the work in flight.`);
    setTimeout(() => {
      logger.error(`Shutdown did not finish within ${SHUTDOWN_TIMEOUT_MS / 1000} s, exiting.`);
      process.exit(1);
    }, SHUTDOWN_TIMEOUT_MS).unref();
    close().then(
      () => {
        logger.log('Stopped.');
        process.exit(0);
      },
      (error: unknown) => {
        logger.error({ err: error }, 'Shutdown failed.');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}
