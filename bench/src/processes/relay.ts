import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { MessagingModule } from '@twinbox/messaging';
import { runAsChild } from '../child.js';
import { messagingOptions, type Place } from '../place.js';

/** The most memory the process ever had, VmHWM on Linux, in MB. */
export interface RelayResult {
  readonly peakMb: number;
}

/** A process that only relays, as a service's own does: the module in an application without HTTP. */
runAsChild<Place, RelayResult>(async (place) => {
  const app = await NestFactory.createApplicationContext(MessagingModule.forRoot(messagingOptions(place)), {
    logger: ['error'],
  });
  await app.init();
  return async () => {
    const peakMb = process.resourceUsage().maxRSS / 1024;
    await app.close();
    return { peakMb };
  };
});
