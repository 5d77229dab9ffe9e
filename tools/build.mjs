// The build before `npm start`: `tsc -b`, printing each workspace as it is compiled, because the first build takes half a minute.
import { existsSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
if (!existsSync(resolve(root, 'node_modules/typescript'))) {
  console.error('The dependencies are not installed. Run "npm ci" first, then start again.');
  process.exit(1);
}
const { default: ts } = await import('typescript');

const BUILDING_PROJECT = 6358;
const start = performance.now();
let compiled = 0;

function report({ code, messageText }) {
  if (code !== BUILDING_PROJECT) return;
  const [, config = ''] = /'(.+)'/.exec(ts.flattenDiagnosticMessageText(messageText, ' ')) ?? [];
  if (compiled++ === 0) console.log('Compiling …');
  console.log(`  ${relative(root, dirname(resolve(root, config)))} …`);
}

process.chdir(root);
// The host prints errors in the format of tsc.
const host = ts.createSolutionBuilderHost(ts.sys, undefined, undefined, report);
const status = ts.createSolutionBuilder(host, ['tsconfig.build.json'], { verbose: true }).build();
if (status === ts.ExitStatus.Success && compiled > 0)
  console.log(`  ✓ compiled (${((performance.now() - start) / 1000).toFixed(1)} s)`);
process.exit(status);
