import { ServiceConfig } from '../src/index.js';

/** For a service in the process of a test, with which it shares the event loop. */
export class InProcessConfig extends ServiceConfig {
  override MAX_EVENT_LOOP_DELAY: number | false = false;
}
