import { glob, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import ts from 'typescript';
import { root } from '../checkout.js';

interface TestTitle {
  readonly file: string;
  /** The titles of its blocks and its own, joined as jest prints them. */
  readonly title: string;
  /** Such as P2, P3. */
  readonly guarantees: readonly string[];
}

/** The tests of each guarantee, by its name such as `P1`, as a list in Markdown. */
export async function testsByGuarantee(): Promise<ReadonlyMap<string, string>> {
  const exclude = (path: string) => ['node_modules', 'dist'].includes(basename(path));
  const files: string[] = [];
  for await (const file of glob('{apps,libs,migrations,test,tools}/**/*.spec.ts', { cwd: root, exclude }))
    files.push(file);
  const read = async (file: string) => titlesIn(file, await readFile(join(root, file), 'utf8'));
  const titles = (await Promise.all(files.map(read))).flat();
  const names = new Set(titles.flatMap(({ guarantees }) => guarantees));
  return new Map(
    [...names].map((name) => [name, listOf(titles.filter(({ guarantees }) => guarantees.includes(name)))]),
  );
}

/** Finds the tests of a source that carry the number of a guarantee. */
export function titlesIn(file: string, text: string): TestTitle[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const titles: TestTitle[] = [];
  const visit = (node: ts.Node, blocks: readonly string[]) => {
    const block = blockOf(node);
    const path = block ? [...blocks, block.title] : blocks;
    if (block?.isTest) {
      const guarantees = [...new Set(path.flatMap((title) => guaranteesOf(title)))];
      if (guarantees.length > 0) titles.push({ file, title: path.join(' › '), guarantees });
    }
    ts.forEachChild(node, (child) => visit(child, path));
  };
  visit(source, []);
  return titles;
}

/** A `describe` or a test, of whatever kind: `it`, `it.each(…)`, `describe.each(…)`, `it.failing`. */
function blockOf(node: ts.Node): { readonly title: string; readonly isTest: boolean } | undefined {
  if (!ts.isCallExpression(node)) return undefined;
  const [kind] = /^(describe|it|test)\b/.exec(node.expression.getText()) ?? [];
  const [title] = node.arguments;
  if (kind === undefined || !title || node.arguments.length < 2) return undefined;
  if (!ts.isStringLiteralLike(title) && !ts.isTemplateExpression(title)) return undefined;
  const text = ts.isStringLiteralLike(title) ? title.text : title.getText().slice(1, -1);
  return { title: text, isTest: kind !== 'describe' };
}

/** The numbers that a title begins with: `P2 P3 …`. */
function guaranteesOf(title: string): string[] {
  const [numbers = ''] = /^(P\d+\b ?)+/.exec(title) ?? [];
  return numbers.split(' ').filter((number) => number !== '');
}

function listOf(titles: readonly TestTitle[]): string {
  const byFile = Object.entries(Object.groupBy(titles, ({ file }) => file)).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const lines = byFile.flatMap(([file, tests = []]) => [
    `- \`${file}\``,
    ...tests.map(({ title }) => `  - ${title.replaceAll(/[*_<>|[\]`]/g, String.raw`\$&`)}`),
  ]);
  return [...lines, ''].join('\n');
}
