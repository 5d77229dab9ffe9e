import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import ts from 'typescript';
import { root } from '../../checkout.js';

const SOURCES = 'libs/contracts/src';

/** What the source says of a class or a field. */
export interface Docstring {
  readonly description?: string | undefined;
  /** The JSON value in the tag `@example`. */
  readonly example?: unknown;
}

export interface ClassDocs extends Docstring {
  readonly fields: ReadonlyMap<string, Docstring>;
}

/** Reads the docstrings of all classes in the contracts, by the name of the class. */
export async function docstrings(): Promise<ReadonlyMap<string, ClassDocs>> {
  const docs = new Map<string, ClassDocs>();
  for (const name of await readdir(join(root, SOURCES))) {
    if (!name.endsWith('.ts') || name.endsWith('.spec.ts')) continue;
    const text = await readFile(join(root, SOURCES, name), 'utf8');
    const file = ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true);
    for (const statement of file.statements)
      if (ts.isClassDeclaration(statement) && statement.name) docs.set(statement.name.text, docsOf(statement));
  }
  return docs;
}

function docsOf(declaration: ts.ClassDeclaration): ClassDocs {
  const fields = declaration.members
    .filter(ts.isPropertyDeclaration)
    .map((field) => [field.name.getText(), docstringOf(field)] as const);
  return { ...docstringOf(declaration), fields: new Map(fields) };
}

function docstringOf(node: ts.ClassDeclaration | ts.PropertyDeclaration): Docstring {
  const comment = ts.getJSDocCommentsAndTags(node).find((part) => ts.isJSDoc(part));
  const description = comment && ts.getTextOfJSDocComment(comment.comment)?.replaceAll(/\s+/g, ' ').trim();
  const tag = ts.getJSDocTags(node).find(({ tagName }) => tagName.text === 'example');
  const example = tag && ts.getTextOfJSDocComment(tag.comment);
  return { description, ...(example !== undefined && { example: JSON.parse(example) as unknown }) };
}
