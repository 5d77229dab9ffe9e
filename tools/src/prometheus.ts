import { spawnSync } from 'node:child_process';

/** Programs of Prometheus, each with the variable that makes its tests fail instead of being skipped without it. */
const PROGRAMS = { promtool: 'REQUIRE_PROMTOOL', prometheus: 'REQUIRE_PROMETHEUS' } as const;

/** Whether tests with this program run here. Says so on the standard error if they do not, because Jest only counts skipped tests. */
export function runsPrometheusProgram(name: keyof typeof PROGRAMS): boolean {
  const runs = process.env[PROGRAMS[name]] === '1' || spawnSync(name, ['--version']).status === 0;
  if (!runs)
    process.stderr.write(
      `Tests that need ${name} are skipped, because it is not installed. It is a part of Prometheus (package prometheus of Debian).\n`,
    );
  return runs;
}
