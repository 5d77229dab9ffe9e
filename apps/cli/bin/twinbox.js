#!/usr/bin/env node
import { existsSync } from 'node:fs';
import process from 'node:process';

const main = new URL('../dist/main.js', import.meta.url);
if (existsSync(main)) {
  await import(main.href);
} else {
  console.error('twinbox: It is not compiled yet. Run "npm run build" first.');
  process.exitCode = 1;
}
