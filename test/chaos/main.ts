// npm run chaos -- --minutes M --seed S --brokers N --standby --secure
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Arguments, readArguments, USAGE, UsageError } from './arguments.js';
import { report } from './report.js';
import { runChaos } from './run.js';

async function main(): Promise<number> {
  let wanted: Arguments;
  try {
    wanted = readArguments(process.argv.slice(2), () => Math.floor(Math.random() * 2 ** 32));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\n\n${USAGE}`);
    return 2;
  }
  if (wanted === 'help') {
    console.log(USAGE);
    return 0;
  }

  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort(signal));
  const logs = await mkdtemp(join(tmpdir(), 'twinbox-chaos-'));
  const { minutes, seed, brokers, standby, secure } = wanted;
  const flags = `${brokers === 1 ? '' : ` --brokers ${brokers}`}${standby ? ' --standby' : ''}${secure ? ' --secure' : ''}`;
  console.log(`Seed ${seed}, ${minutes} min, logs in ${logs}`);
  const result = await runChaos({ ...wanted, logs, log: (line) => console.log(line), signal: stop.signal }).catch(
    (error: unknown) => {
      console.error(`The run failed. Its logs are in ${logs}`);
      throw error;
    },
  );
  for (const line of report(result)) console.log(line);
  const passed = result.verdicts.every(({ findings }) => findings.length === 0);
  if (passed) await rm(logs, { recursive: true });
  else
    console.log(
      `Repeat with: npm run chaos -- --minutes ${minutes} --seed ${seed}${flags}\n` +
        `Logs in ${logs}: chaos.log has the faults, facts.json the input of the checks; plus one log per process and server.`,
    );
  return passed ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(typeof error === 'string' ? `Stopped by ${error}, nothing was checked` : error);
  process.exitCode = 1;
}
process.exit();
