import { type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { withLogContext } from './logging.js';

/** The envelope of a message, as the context of a message handler carries it. */
interface MessageContext {
  readonly message: { readonly id: string; readonly type: string; readonly key: string };
}

/** For message handlers: every line that they log carries the message's id and type, and its key as `orderId`. */
export const logMessages: NestInterceptor = {
  intercept(context: ExecutionContext, next) {
    const { id, type, key } = context.switchToRpc().getContext<MessageContext>().message;
    return withLogContext({ messageId: id, messageType: type, orderId: key }, () => next.handle());
  },
};
