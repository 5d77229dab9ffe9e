import { spawnSync } from 'node:child_process';

/** Programs of Prometheus, each with the variable that makes its tests fail instead of being skipped without it. */
const PROGRAMS = { promtool: 'REQUIRE_PROMTOOL', prometheus: 'REQUIRE_PROMETHEUS' } as const;

/** Whether tests with this program run here. */
export function runsPrometheusProgram(name: keyof typeof PROGRAMS): boolean {
  return process.env[PROGRAMS[name]] === '1' || spawnSync(name, ['--version']).status === 0;
}
