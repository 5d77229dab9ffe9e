import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { root, runsPrometheusProgram } from '@twinbox/tools';
import { parse } from 'yaml';
import { pageOf, PROMETHEUS, rulesOf, ruleTests } from './support/prometheus.js';

const promtool = async (...args: string[]) => (await promisify(execFile)('promtool', args)).stdout;

interface Case {
  readonly alert_rule_test: readonly {
    readonly alertname: string;
    readonly exp_alerts: readonly { readonly exp_labels: Readonly<Record<string, string>> }[];
  }[];
}

async function cases(): Promise<Case['alert_rule_test']> {
  const files = await Promise.all((await ruleTests()).map(async (path) => readFile(path, 'utf8')));
  return files.flatMap((text) => (parse(text) as { tests: Case[] }).tests.flatMap((one) => one.alert_rule_test));
}

(runsPrometheusProgram('promtool') ? describe : describe.skip)('promtool', () => {
  it('accepts the rules', async () => {
    const output = await promtool('check', 'rules', join(PROMETHEUS, 'alerts.yml'), join(PROMETHEUS, 'recording.yml'));

    expect(output.match(/SUCCESS/g)).toHaveLength(2);
  });

  it('finds that each alert fires and stays silent when it should', async () => {
    await promtool('test', 'rules', ...(await ruleTests()));
  });
});

it('each alert has a case in which it fires with the labels of each of its rules, and one in which it stays silent', async () => {
  const rules = await rulesOf('alerts.yml');
  const tested = await cases();

  const missing = rules.flatMap(({ alert = '', labels }) => {
    const ofAlert = tested.filter(({ alertname }) => alertname === alert);
    const fired = ofAlert.flatMap(({ exp_alerts: fires }) => fires.map((one) => one.exp_labels));
    return [
      ...(fired.some((one) => Object.entries(labels ?? {}).every(([name, value]) => one[name] === value))
        ? []
        : [`${alert} fires`]),
      ...(ofAlert.some(({ exp_alerts: fires }) => fires.length === 0) ? [] : [`${alert} is silent`]),
    ];
  });

  expect(rules.length).toBeGreaterThan(10);
  expect(missing).toEqual([]);
});

it('each alert has a severity, waits, and says what is wrong and where its runbook is', async () => {
  const rules = await rulesOf('alerts.yml');

  for (const { alert, labels, annotations, for: wait } of rules)
    expect({ alert, severity: labels?.['severity'], wait, ...annotations }).toEqual({
      alert,
      severity: expect.stringMatching(/^(critical|warning|info)$/),
      wait: expect.stringMatching(/^\d+(s|m|h)$/),
      summary: expect.stringContaining('{{ $'),
      description: expect.stringMatching(/\.$/),
      runbook: pageOf(alert ?? ''),
    });
});

describe('the runbooks', () => {
  it('have a page for each alert, and an alert for each page', async () => {
    const alerts = (await rulesOf('alerts.yml')).map(({ alert = '' }) => pageOf(alert));
    const pages = (await readdir(join(root, 'docs/runbooks'))).filter((page) => page !== 'README.md');

    expect(new Set(pages.map((page) => `docs/runbooks/${page}`))).toEqual(new Set(alerts));
  });

  it('begin with the name of their alert, and say its impact, how to see, repair and verify it', async () => {
    for (const { alert = '' } of await rulesOf('alerts.yml')) {
      const text = await readFile(join(root, pageOf(alert)), 'utf8');
      const headings = text.split('\n').filter((line) => line.startsWith('#'));

      expect(headings).toEqual([`# ${alert}`, '## See it', '## Repair it', '## Verify it']);
      expect(text).toContain('**Impact.**');
    }
  });
});
