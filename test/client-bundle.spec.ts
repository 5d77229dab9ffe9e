import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { root } from '@twinbox/tools';
import { build } from 'esbuild';

const MOST_BYTES = 12_000;

it.each(['orders', 'payments', 'admin'])(
  'the entry %s of the client is small, and runs in a browser',
  async (entry) => {
    const { outputFiles, metafile } = await build({
      entryPoints: [join(root, `libs/client/src/${entry}.ts`)],
      bundle: true,
      minify: true,
      format: 'esm',
      // Fails on a module of Node.
      platform: 'browser',
      target: 'es2022',
      write: false,
      metafile: true,
    });

    const [{ contents } = { contents: new Uint8Array() }] = outputFiles;
    expect(gzipSync(contents).length).toBeGreaterThan(1000);
    expect(gzipSync(contents).length).toBeLessThanOrEqual(MOST_BYTES);
    expect(Object.keys(metafile.inputs).filter((path) => !path.includes('libs/client/src/'))).toEqual([]);
  },
);
