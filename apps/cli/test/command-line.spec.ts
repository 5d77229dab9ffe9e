import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { promisify } from 'node:util';
import { type Command } from 'commander';
import { Cli } from '../src/cli.js';
import { Interrupted } from '../src/failures.js';
import { difference } from '../src/edit.js';
import { timeOption } from '../src/lists.js';
import { createProgram } from '../src/program.js';
import { shellWord } from '../src/shell-word.js';
import { Terminal } from '../src/terminal.js';
import { cell, duration, inLines, table } from '../src/text.js';
import { runCommand } from './command-line.js';

const OPERATOR = { TWINBOX_USER: 'ops' };
const ID = '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d';
/** Nothing listens on this port. */
const NOWHERE = 'http://127.0.0.1:9';

function aTerminal(columns?: number): Terminal {
  const output = Object.assign(new PassThrough(), columns === undefined ? {} : { isTTY: true, columns });
  return new Terminal({ stdin: new PassThrough(), stdout: output, stderr: output }, false);
}

/** Returns the commands that do something, each with its whole name. */
function leaves(command: Command, path = ''): [name: string, command: Command][] {
  if (command.commands.length === 0) return [[path, command]];
  return command.commands.flatMap((child) => leaves(child, `${path} ${child.name()}`.trim()));
}

const aProgram = () => {
  const { streams } = aTerminal();
  return createProgram(new Cli(streams, {}, new AbortController().signal), streams, false);
};

describe('a command that is not valid', () => {
  it.each([
    ['an unknown command', ['nonsense'], 'unknown command'],
    ['no command', [], 'A command is missing'],
    ['half a command', ['dead-letters'], 'A command is missing'],
    ['an unknown option', ['status', '--nonsense'], 'unknown option'],
    ['an unknown service', ['status', '--service', 'stock'], 'Allowed choices are orders, payments'],
    ['too many arguments', ['status', 'now'], 'too many arguments'],
    ['a missing argument', ['dead-letters', 'show'], "missing required argument 'reference'"],
    ['a reference without a service', ['dead-letters', 'show', 'inbox/17'], 'does not begin with a service'],
    ['a reference without a box', ['dead-letters', 'show', 'orders/17'], 'An example: payments/inbox/17'],
    ['a reference to another service', ['jobs', 'show', `orders/${ID}`, '--service', 'payments'], 'does not belong to'],
    ['neither a reference nor filters', ['dead-letters', 'retry'], 'Name one dead letter'],
    ['a filter without a service', ['jobs', 'retry', '--queue', 'charge'], 'with --service and filters'],
    ['everything, unless it says so', ['dead-letters', 'retry', '--service', 'orders'], 'Add a filter or --all'],
    [
      'both a reference and a filter',
      ['jobs', 'retry', `orders/${ID}`, '--queue', 'q'],
      'either one reference, or filters',
    ],
    ['an option for many with a reference', ['jobs', 'retry', `orders/${ID}`, '--canary'], 'are for many'],
    ['a rate with a reference', ['jobs', 'discard', `orders/${ID}`, '--rate', '1', '--reason', 'x'], 'are for many'],
    ['not to wait with a reference', ['dead-letters', 'retry', 'orders/inbox/1', '--no-wait'], 'are for many'],
    ['a replay of everything, unless it says so', ['replay', '--service', 'orders'], 'Add a filter or --all'],
    ['a replay without a service', ['replay', '--type', 'OrderPlaced'], "'--service <service>' not specified"],
    ['a position that is not a number', ['replay', '--service', 'orders', '--from-position', 'x'], 'not a position'],
    ['an invalid time', ['jobs', 'list', '--died-after', 'yesterday'], 'not a time'],
    ['a day that does not exist', ['jobs', 'list', '--died-after', '2026-02-30'], 'not a time'],
    ['a time without a zone', ['jobs', 'list', '--died-before', '2026-11-30T08:00:00'], 'not a time'],
    [
      'a position with too many digits',
      ['replay', '--service', 'orders', '--from-position', '9'.repeat(17)],
      'not a position',
    ],
    ['a limit of zero', ['audit', '--limit', '0'], 'not a positive number'],
    ['an invalid timeout', ['status', '--timeout', '-1'], 'not a number of seconds'],
    ['a discard without a reason', ['jobs', 'discard', `orders/${ID}`, '--yes'], 'Say why with --reason'],
    ['an edit without a reason', ['jobs', 'edit', `orders/${ID}`], 'Say why with --reason'],
    [
      'an acknowledgement without a reason',
      ['incidents', 'acknowledge', 'orders/3'],
      "'--reason <text>' not specified",
    ],
    ['a shell without completion', ['completion', 'tcsh'], 'Allowed choices are bash, zsh'],
  ])('ends with 2 and sends nothing: %s', async (_, args, message) => {
    const { exitCode, stdout, stderr } = await runCommand(args, { env: OPERATOR });

    expect(exitCode).toBe(2);
    expect(stderr).toContain(message);
    expect(stdout).toBe('');
  });

  it('is reported as one problem document with --json', async () => {
    for (const args of [['dead-letters'], ['nonsense'], ['status', '--nonsense']]) {
      const { exitCode, stdout, stderr } = await runCommand([...args, '--json']);

      expect(JSON.parse(stderr)).toMatchObject({ type: 'urn:twinbox:cli:usage', detail: expect.any(String) });
      expect([exitCode, stdout]).toEqual([2, '']);
    }
  });

  it('shows the help on the standard output, and ends with 0, if it is asked for', async () => {
    const { exitCode, stdout, stderr } = await runCommand(['dead-letters', '--help']);

    expect(stdout).toContain('retry one dead letter, or all that match');
    expect([exitCode, stderr]).toEqual([0, '']);
  });
});

describe('what destroys', () => {
  it.each([
    ['a dead letter', ['dead-letters', 'discard', 'orders/inbox/1', '--reason', 'Obsolete.']],
    [
      'many dead letters',
      ['dead-letters', 'discard', '--service', 'orders', '--box', 'inbox', '--all', '--reason', 'Obsolete.'],
    ],
    ['an operation', ['operations', 'cancel', `orders/${ID}`]],
    ['a replay', ['replay', '--service', 'orders', '--type', 'OrderPlaced']],
    ['the record of a refund', ['refunds', 'confirm', ID]],
  ])('is refused with 2 if nobody can confirm it: %s', async (_, args) => {
    for (const further of [[], ['--json']]) {
      const { exitCode, stderr } = await runCommand([...args, ...further], { env: OPERATOR });

      expect(exitCode).toBe(2);
      expect(stderr).toContain('run it with --yes');
    }
  });

  it('is not done if the answer is not yes', async () => {
    for (const typed of ['n\n', '\n', 'yesterday\n']) {
      const args = ['dead-letters', 'discard', 'orders/inbox/1', '--reason', 'Obsolete.'];
      const { exitCode, stderr } = await runCommand(args, { env: { ...OPERATOR, TWINBOX_ORDERS_URL: NOWHERE }, typed });

      expect(exitCode).toBe(1);
      expect(stderr).toContain('Discard the dead letter orders/inbox/1 for good? [y/N]');
      expect(stderr).toContain('Nothing was changed.');
    }
  });

  it('and everything else that changes something has a dry run and a reason for the audit', () => {
    const changing = leaves(aProgram()).filter(
      ([name]) => !/( |^)(status|list|causes|show|audit|trace|late|completion)$/.test(name),
    );

    expect(changing.length).toBeGreaterThan(12);
    // A refund is recorded in the timeline of its payment, which has no reasons.
    const needed = (name: string) => (name === 'refunds confirm' ? ['--dry-run'] : ['--dry-run', '--reason']);
    for (const [name, { options }] of changing)
      expect([name, options.map(({ long }) => long)]).toEqual([name, expect.arrayContaining(needed(name))]);
  });
});

describe('the caller', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'twinbox-cli-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('P10 is never anonymous: without a token, the command says how to give one', async () => {
    const { exitCode, stderr } = await runCommand(['status']);

    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/TWINBOX_TOKEN,[^]*TWINBOX_TOKEN_FILE[^]*TWINBOX_USER/);
  });

  it('P10 has a token that no message shows', async () => {
    const file = join(folder, 'token');
    await writeFile(file, 'secret\nsecret\n');

    for (const env of [{ TWINBOX_TOKEN: 'secret secret' }, { TWINBOX_TOKEN_FILE: file }]) {
      const { exitCode, stdout, stderr } = await runCommand(['status'], { env });

      expect(exitCode).toBe(1);
      expect(stderr).toContain('has no valid access token');
      expect(stdout + stderr).not.toContain('secret');
    }
  });

  it('P10 cannot be given as an argument', async () => {
    const { exitCode, stderr } = await runCommand(['status', '--token', 'secret']);

    expect(exitCode).toBe(2);
    expect(stderr).not.toContain('secret');
  });

  it.each([
    [{ TWINBOX_TOKEN_FILE: '/nowhere/token' }, 1, 'TWINBOX_TOKEN_FILE cannot be read'],
    [{ TWINBOX_USER: 'ops', TWINBOX_ROLES: 'boss' }, 2, 'TWINBOX_ROLES may contain'],
    [{ TWINBOX_USER: 'ops', TWINBOX_ORDERS_URL: 'orders:8081' }, 2, 'TWINBOX_ORDERS_URL is not the address'],
  ])('must be complete: %j', async (env, expected, message) => {
    const { exitCode, stderr } = await runCommand(['audit'], { env });

    expect(exitCode).toBe(expected);
    expect(stderr).toContain(message);
  });
});

describe('a table', () => {
  const rows = [
    { id: 'a', error: `it failed ${'again and '.repeat(20)}again` },
    { id: 'b', error: 'forged\u001B[2Jline\nand \u202Emore' },
  ];
  const draw = (columns?: number) =>
    table(aTerminal(columns), rows, [
      { title: 'ID', value: ({ id }) => id },
      { title: 'ERROR', value: ({ error }) => error, isElastic: true },
    ]);

  it('is as wide as the terminal at most, and whole if a program reads it', () => {
    expect(
      Math.max(
        ...draw(60)
          .split('\n')
          .map((line) => line.length),
      ),
    ).toBeLessThanOrEqual(60 + '\u001B[1m\u001B[22m'.length * 2);
    expect(draw(60)).toContain('…');
    expect(draw()).toContain(rows[0]!.error);
  });

  it('has no color unless a terminal shows it', () => {
    expect(draw()).not.toContain('\u001B');
  });

  it('shows control characters of others as text, so that they cannot hide or forge a line', () => {
    expect(draw()).toContain('forged\\u001b[2Jline and \\u202emore');
    expect(cell({ key: '\u009B2J' })).toBe('{"key":"\\u009b2J"}');
  });
});

it.each([
  [0, '0 ms'],
  [12.4, '12 ms'],
  [1500, '1.5 s'],
  [59_600, '1 min'],
  [90_000, '1 min 30 s'],
  [7_260_000, '2 h 1 min'],
  [90_000_000, '1 d 1 h'],
])('%d ms are shown as %s', (ms, text) => {
  expect(duration(ms)).toBe(text);
});

it('a time may be given as how long ago it was', () => {
  const now = Date.parse('2026-11-30T12:00:00Z');

  expect(timeOption('90s', now)).toBe('2026-11-30T11:58:30.000Z');
  expect(timeOption('2h', now)).toBe('2026-11-30T10:00:00.000Z');
  expect(timeOption('3d', now)).toBe('2026-11-27T12:00:00.000Z');
  expect(timeOption('2026-11-30T12:00:00+01:00', now)).toBe('2026-11-30T11:00:00.000Z');
  expect(timeOption('2026-11-30', now)).toBe('2026-11-30T00:00:00.000Z');
});

it('a word for a shell stands for exactly its text, and shows no control character', async () => {
  const texts = [
    'plain',
    '',
    '=ls',
    '-x',
    "it's  two",
    '$HOME `id` "x" \\n',
    'a\nb\tc\u001B[2J',
    '\u009B\u202E\u{E0041}é…\u00A0',
    "\n'\\'",
  ];

  const words = texts.map(shellWord);
  const { stdout } = await promisify(execFile)('bash', ['-c', `printf '%s\\0' ${words.join(' ')}`], {
    env: { ...process.env, LC_ALL: 'C.UTF-8' },
  });

  expect(stdout.split('\0').slice(0, -1)).toEqual(texts);
  expect(words.join('')).not.toMatch(/(?! )[\p{Cc}\p{Cf}\p{Z}]/u);
});

it.each([
  ['a number that JavaScript rounds', '{"id": 12345678901234567891}'],
  ['a number of another notation', '{"total": 9.00}'],
  ['a name that occurs twice', '{"a": 1, "a": 2}'],
  ['an escaped character', String.raw`{"a": "\u00e9"}`],
  ['no JSON', 'a\u0001b\u009B'],
  ['a name that JavaScript moves', '{"b": 1, "2": 2}'],
])('a content is edited as it is if it would change otherwise: %s', (_, content) => {
  expect(inLines(content)).toBe(content);
});

it('a content is edited in lines if it does not change by that', () => {
  expect(inLines('{"a":"b  \\"c","d" : [1,\n 2.5]}')).toBe('{\n  "a": "b  \\"c",\n  "d": [\n    1,\n    2.5\n  ]\n}');
});

it('an edit shows the lines that differ only', () => {
  expect(difference('{\n "a": 1,\n "b": 2\n}', '{\n "a": 1,\n "b": 3\n}\n')).toBe('- "b": 2\n+ "b": 3');
  expect(difference('{}', '{}\n')).toBe('');
});

it('a service that cannot be reached is named, with what to check', async () => {
  const env = { ...OPERATOR, TWINBOX_ORDERS_URL: NOWHERE, TWINBOX_PAYMENTS_URL: NOWHERE };
  const { exitCode, stderr } = await runCommand(['jobs', 'list', '--service', 'orders', '--timeout', '0.2'], { env });

  expect(exitCode).toBe(1);
  expect(stderr).toContain(`${NOWHERE} cannot be reached.`);
  expect(stderr).toContain('TWINBOX_ORDERS_URL');
});

describe('an answer of a service', () => {
  let answer: (reply: ServerResponse) => unknown;
  const server = createServer((_, reply) => answer(reply));
  let env: Record<string, string>;
  beforeAll(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    env = { ...OPERATOR, TWINBOX_ORDERS_URL: url, TWINBOX_PAYMENTS_URL: url };
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  const problem = (status: number, code: string, detail: string) => (reply: ServerResponse) =>
    reply
      .writeHead(status, { 'content-type': 'application/problem+json' })
      .end(JSON.stringify({ type: `urn:twinbox:problem:${code}`, title: 'No.', status, detail }));

  it('cannot hide or forge a line with control characters', async () => {
    answer = problem(409, 'operation-ended', 'Forged\u001B[2J\u009B2J\u202E.');

    for (const args of [['status'], ['status', '--json'], ['audit'], ['jobs', 'show', `orders/${ID}`]]) {
      const { exitCode, stdout, stderr } = await runCommand(args, { env });

      expect([args, exitCode, stderr]).toEqual([args, 1, expect.stringContaining('\\u001b[2J')]);
      expect(stdout + stderr).not.toMatch(/(?!\n)[\p{Cc}\p{Bidi_Control}]/u);
    }
  });

  it.each([
    ['dead-letter-not-found', 'twinbox parked list'],
    ['not-found', 'Check TWINBOX_ORDERS_URL'],
    ['nothing-to-pause', 'It has charge.'],
  ])('of 404 %s is followed by what to do about it', async (code, advice) => {
    answer = problem(404, code, 'It has charge.');

    const { stderr } = await runCommand(['dead-letters', 'show', 'orders/inbox/1'], { env });

    expect(stderr).toContain(advice);
    expect(stderr).not.toMatch(code === 'not-found' ? /twinbox parked/ : /TWINBOX_ORDERS_URL/);
  });

  it('is not awaited after Ctrl-C while the new content is read', async () => {
    const interrupted = new AbortController();
    answer = (reply) => {
      setImmediate(() => interrupted.abort(new Interrupted()));
      reply.writeHead(200, { 'content-type': 'application/json' }).end('{"payload":"{}","history":[]}');
    };
    const args = ['dead-letters', 'edit', 'orders/inbox/1', '--file', '-', '--reason', 'Corrected.'];

    const { exitCode, stdout, stderr } = await runCommand(args, { env, isOpen: true, signal: interrupted.signal });

    expect([exitCode, stdout, stderr]).toEqual([130, '', 'twinbox: Interrupted.\n']);
  });

  it('that does not come ends with 130 after Ctrl-C, in every command', async () => {
    for (const args of [
      ['status'],
      ['audit', '--json'],
      ['dead-letters', 'causes'],
      ['order', 'trace', ID],
      ['queues', 'resume', 'payments/charge'],
      ['jobs', 'retry', '--service', 'payments', '--queue', 'charge'],
    ]) {
      const interrupted = new AbortController();
      answer = () => interrupted.abort(new Interrupted());

      const { exitCode, stdout, stderr } = await runCommand(args, { env, signal: interrupted.signal });

      expect([args, exitCode, stdout]).toEqual([args, 130, '']);
      expect(stderr).toContain('Interrupted.');
    }
  });
});

it('a question that is answered with Ctrl-C ends with 130, and changes nothing', async () => {
  const env = { ...OPERATOR, TWINBOX_ORDERS_URL: NOWHERE };
  const interrupted = new AbortController();
  const running = (typed: string) =>
    runCommand(['operations', 'cancel', `orders/${ID}`], { env, typed, isOpen: true, signal: interrupted.signal });

  const byKey = await running('\u0003');
  const bySignal = running('');
  interrupted.abort(new Interrupted());

  expect([byKey, await bySignal]).toMatchObject([{ exitCode: 130 }, { exitCode: 130 }]);
  expect(byKey.stderr).toContain('Interrupted.');
});

describe('completion', () => {
  /** Returns what bash offers for the last of the words. */
  async function offered(...words: string[]): Promise<string[]> {
    const { stdout: script } = await runCommand(['completion', 'bash']);
    const complete = `COMP_WORDS=(twinbox "$@"); COMP_CWORD=$#; _twinbox; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = await promisify(execFile)('bash', ['-c', `${script}\n${complete}`, 'bash', ...words]);
    return stdout.trim().split('\n');
  }

  it('offers commands, options, and the values that are known', async () => {
    expect(await offered('dead')).toEqual(['dead-letters']);
    expect(await offered('dead-letters', 're')).toEqual(['retry']);
    expect(await offered('dead-letters', 'retry', '--di')).toEqual(['--died-after', '--died-before']);
    expect(await offered('dead-letters', 'list', '--service', '')).toEqual(['orders', 'payments']);
    expect(await offered('relay', 'pause', 'p')).toEqual(['payments']);
    expect(await offered('--json', 'operations', 'ca')).toEqual(['cancel']);
    expect(await offered('dead-letters', 'retry', '--reason', '')).toEqual(['']);
  });

  it('evaluates nothing that was typed', async () => {
    expect(await offered('dead-letters', 'retry', '--key', '$(echo evaluated >&2; echo --json)', '--dry')).toEqual([
      '--dry-run',
    ]);
  });

  it('covers every command and option in both shells', async () => {
    const program = aProgram();
    const scripts = await Promise.all(['bash', 'zsh'].map((shell) => runCommand(['completion', shell])));

    for (const { stdout } of scripts)
      for (const [name, { options }] of leaves(program))
        for (const { long } of options) expect(stdout).toMatch(new RegExp(`' ${name}'\\) .*${long}\\b`));
    expect(scripts[1]!.stdout).toContain('bashcompinit');
  });
});
