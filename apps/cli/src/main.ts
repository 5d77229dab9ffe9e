import { Interrupted } from './failures.js';
import { run } from './program.js';

const interrupted = new AbortController();
// A second Ctrl-C ends the process at once.
process.once('SIGINT', () => interrupted.abort(new Interrupted()));
// The reader of the output has read enough, such as head.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

process.exitCode = await run(process.argv.slice(2), process, process.env, interrupted.signal);
