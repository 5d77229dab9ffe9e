import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import {
  type Block,
  blocksFor,
  type CheckoutCopy,
  copyCheckout,
  createServiceDatabase,
  shellEnvironment,
} from '@twinbox/test-support';

const TIMEOUT_MS = 600_000;

let copy: CheckoutCopy;
/** The steps of docs/how-to/README.md that add a gift message to orders. */
let blocks: readonly Block[];

beforeAll(async () => {
  copy = await copyCheckout({ built: true });
  blocks = await blocksFor('the example', copy.read);
}, TIMEOUT_MS);

afterAll(() => copy.remove(), TIMEOUT_MS);

/** Runs a command in the copy, at a lower priority than timing-sensitive tests. If it fails, the error has all of its output. */
async function run(command: string): Promise<void> {
  const options = { cwd: copy.path, env: shellEnvironment(), maxBuffer: 64 * 1024 * 1024 };
  await promisify(execFile)('nice', ['-n', '10', 'bash', '-c', command], options).catch(
    ({ stdout, stderr }: { stdout: string; stderr: string }) => {
      throw new Error(`${command} failed:\n${stdout}${stderr}`);
    },
  );
}

/** Creates a new file, or applies a diff at its only matching place. Returns the file's path. */
async function apply({ info, file = '', text, line }: Block): Promise<string> {
  if (info === 'diff') {
    const before = await copy.read(file);
    await writeFile(join(copy.path, file), text.split(/^@@\n/m).reduce(patched, before));
  } else {
    if (existsSync(join(copy.path, file))) throw new Error(`line ${line} of the example: ${file} already exists`);
    await mkdir(dirname(join(copy.path, file)), { recursive: true });
    await writeFile(join(copy.path, file), text);
  }
  return file;
}

function patched(source: string, part: string): string {
  const lines = part.split(/(?<=\n)/);
  // An empty line belongs to the context, because editors remove its leading space.
  const side = (sign: '-' | '+') =>
    lines
      .filter((line) => line === '\n' || line.startsWith(' ') || line.startsWith(sign))
      .map((line) => (line === '\n' ? line : line.slice(1)))
      .join('');
  const [head, ...rest] = source.split(side('-'));
  if (rest.length !== 1) throw new Error(`The file has ${rest.length} matches instead of one for:\n${part}`);
  return `${head}${side('+')}${rest[0]}`;
}

/** Runs the command on a database without the new column, and removes the draft, because the next step has the finished file. */
async function draftMigration(command: string): Promise<void> {
  const database = await createServiceDatabase();
  try {
    await run(command.replace(/^DATABASE_URL=\S+/, `DATABASE_URL=${database.directUrl}`));
  } finally {
    await database.drop();
  }
  const folder = join(copy.path, 'migrations/orders');
  const draft = (await readdir(folder)).find((name) => name.endsWith('-add-gift-message.ts')) ?? '';
  expect(await copy.read(join('migrations/orders', draft))).toMatch(/ADD\s+"?gift_message/i);
  await rm(join(folder, draft));
}

it(
  'the example in docs/how-to/README.md is formatted, compiles, lints and passes its tests',
  async () => {
    const files: string[] = [];
    for (const block of blocks) {
      if (block.file !== undefined) files.push(await apply(block));
      else if (block.text.includes(' npm run migrate:generate ')) await draftMigration(block.text);
    }
    const [check = ''] = blocks.filter(({ text }) => text.startsWith('npm run format\n')).map(({ text }) => text);
    const commands = check.trim().split('\n').slice(1);

    // Checked before `npm run format` would hide what is not formatted.
    await run(`npx prettier --check ${files.join(' ')}`);
    // One worker, because the jest running this test has its own. The memory limit makes it a process of its own.
    for (const command of commands)
      await run(
        command.startsWith('npm run test:') ? `${command} --maxWorkers=1 --workerIdleMemoryLimit=4GB` : command,
      );

    expect(files.length).toBeGreaterThan(15);
    expect(commands).toEqual(expect.arrayContaining(['npm run typecheck', 'npm run lint']));
    expect(commands.filter((command) => command.startsWith('npm run test:')).length).toBeGreaterThan(1);
  },
  TIMEOUT_MS,
);

it('every code block of the example names its file and is complete', () => {
  expect(blocks.filter(({ info, file }) => info !== 'sh' && file === undefined)).toEqual([]);
  expect(blocks.filter(({ text }) => text.includes('// …'))).toEqual([]);
});
