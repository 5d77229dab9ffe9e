import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { MessagingModule } from '@twinbox/messaging';
import { runAsChild } from '../support/child.js';
import { peakMemoryMb } from '../support/peak-memory.js';
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
    const peakMb = (await peakMemoryMb('self')) ?? process.resourceUsage().maxRSS / 1024;
    await app.close();
    return { peakMb };
  };
});
