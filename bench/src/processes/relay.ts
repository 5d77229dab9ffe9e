import 'reflect-metadata';
import { readFile } from 'node:fs/promises';
import { NestFactory } from '@nestjs/core';
import { MessagingModule } from '@twinbox/messaging';
import { runAsChild } from '../support/child.js';
import { messagingOptions, type Place } from '../support/place.js';

/** The peak memory of the process, in MB. */
export interface RelayResult {
  readonly peakMb: number;
}

/** A process that only relays, like a service's standalone relay: the module in an application without HTTP. */
runAsChild<Place, RelayResult>(async (place) => {
  const app = await NestFactory.createApplicationContext(MessagingModule.forRoot(messagingOptions(place)), {
    logger: ['error'],
  });
  await app.init();
  return async () => {
    const peakMb = await peakMemoryMb();
    await app.close();
    return { peakMb };
  };
});

async function peakMemoryMb(): Promise<number> {
  // getrusage also counts the memory that the parent had when it started this process (Linux, `exec_mmap`).
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  const [, kb] = /^VmHWM:\s+(\d+) kB$/m.exec(status) ?? [];
  return kb === undefined ? process.resourceUsage().maxRSS / 1024 : Number(kb) / 1024;
}
