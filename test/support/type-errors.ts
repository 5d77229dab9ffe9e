import { resolve } from 'node:path';
import ts from 'typescript';

const root = resolve(import.meta.dirname, '../..');
const { options } = ts.parseJsonConfigFileContent(
  { extends: './tsconfig.base.json', compilerOptions: { noEmit: true }, files: [] },
  ts.sys,
  root,
);
const parsed = new Map<string, ts.SourceFile>();

/** Type-checks files of the repository after a change to one of its files, in memory only. Returns the errors in the checked files. */
export function typeErrors(files: readonly string[], changed?: string, change?: (text: string) => string): string[] {
  const paths = files.map((file) => resolve(root, file));
  const program = ts.createProgram(paths, options, hostWith(changed && resolve(root, changed), change));
  return paths
    .flatMap((path) => program.getSemanticDiagnostics(program.getSourceFile(path)))
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

/** Parses each unchanged file once, because most of the time is spent on the declarations of dependencies. */
function hostWith(changed?: string, change = (text: string) => text): ts.CompilerHost {
  const host = ts.createCompilerHost(options);
  const getSourceFile = host.getSourceFile.bind(host);
  host.getSourceFile = (path, languageVersion) => {
    if (path === changed) {
      const text = ts.sys.readFile(path) ?? '';
      const after = change(text);
      if (after === text) throw new Error(`The change does not apply to ${path}`);
      return ts.createSourceFile(path, after, languageVersion);
    }
    const known = parsed.get(path) ?? getSourceFile(path, languageVersion);
    if (known) parsed.set(path, known);
    return known;
  };
  return host;
}

/** A change for {@link typeErrors} that removes an event from the map of a topic. */
export function withoutEvent(event: string): (text: string) => string {
  return (text) =>
    text.replace(/(?<=events: \{)[^}]*/, (names) =>
      names
        .split(',')
        .filter((name) => name.trim() !== event)
        .join(','),
    );
}

/** A change for {@link typeErrors} that adds the field `giftMessage` to an interface. */
export function withGiftMessage(type: string): (text: string) => string {
  return (text) => text.replace(`export interface ${type} {`, '$&\n  readonly giftMessage: string | null;');
}
