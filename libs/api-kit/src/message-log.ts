import { type ExecutionContext, Logger, type NestInterceptor } from '@nestjs/common';
import { lastValueFrom, of } from 'rxjs';
import { withLogContext } from './logging.js';

/** The envelope of a message, as the context of a message handler carries it. */
interface MessageContext {
  readonly message: { readonly id: string; readonly type: string; readonly key: string };
}

const logger = new Logger('Messages');

/**
 * For message handlers: every line that they log carries the message's id and type, and its key as `orderId`; and one line
 * says that the handler is done. What comes after it, the commit, is the inbox's to tell if it fails.
 */
export const logMessages: NestInterceptor = {
  intercept(context: ExecutionContext, next) {
    const { id, type, key } = context.switchToRpc().getContext<MessageContext>().message;
    return withLogContext({ messageId: id, messageType: type, orderId: key }, async () => {
      const start = performance.now();
      const result: unknown = await lastValueFrom(next.handle(), { defaultValue: undefined });
      logger.log(`${type} went through its handler`, { durationMs: Math.round(performance.now() - start) });
      return of(result);
    });
  },
};
