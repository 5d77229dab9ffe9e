import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from '@twinbox/tools';
import { type Block, blocksOf } from '../support/blocks.js';
import { type Shell, type Variables } from './shell.js';

/** A page of instructions, whose commands a test follows as they are written. */
export class Page {
  private readonly followed = new Set<Block>();

  private constructor(
    private readonly path: string,
    private readonly blocks: readonly Block[],
    private readonly shell: Shell,
  ) {}

  static async open(path: string, shell: Shell): Promise<Page> {
    const blocks = blocksOf(await readFile(join(root, path), 'utf8')).filter(({ info }) => info === 'sh');
    return new Page(path, blocks, shell);
  }

  /**
   * Runs the blocks under a heading that contain `text`, with values for the variables that the reader sets. Returns what they print.
   * @throws if one of them does not end with the exit code
   */
  async run(heading: string, text: string, variables: Variables = {}, exitCode = 0): Promise<string> {
    return this.shell.run(this.find(heading, text), variables, exitCode);
  }

  /** Starts the block, whose program keeps running. Returns the address that it prints. */
  async start(heading: string, text: string, variables: Variables = {}): Promise<string> {
    return this.shell.start(this.find(heading, text), variables);
  }

  /** The blocks that nobody has run, with their lines. */
  get left(): string[] {
    return this.blocks.filter((block) => !this.followed.has(block)).map(({ line }) => `${this.path}:${line}`);
  }

  private find(heading: string, text: string): string {
    const found = this.blocks.filter((block) => block.heading === heading && block.text.includes(text));
    if (found.length === 0) throw new Error(`${this.path} has no commands with "${text}" under "${heading}"`);
    for (const block of found) this.followed.add(block);
    return found.map((block) => block.text).join('');
  }
}
