import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const ROOT = join(import.meta.dirname, '..');
const run = promisify(execFile);

/** Returns the linter's output for a file with this import. */
async function lint(name: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'lint-'));
  try {
    const file = join(directory, 'imports.ts');
    await writeFile(file, `import { ${name} } from 'class-validator';\n\nexport const rule = ${name};\n`);
    const { stdout } = await run(join(ROOT, 'node_modules/.bin/oxlint'), ['-c', join(ROOT, '.oxlintrc.json'), file]);
    return stdout;
  } catch (error) {
    return (error as { stdout: string }).stdout;
  } finally {
    await rm(directory, { recursive: true });
  }
}

it('the linter rejects IsOptional, which allows null, and names the alternatives', async () => {
  expect(await lint('IsOptional')).toMatch(/no-restricted-imports[^]*MayBeAbsent/);
  expect(await lint('IsBoolean')).not.toContain('no-restricted-imports');
});
