import { BaseRpcContext } from '@nestjs/microservices';
import { type EntityManager } from 'typeorm';
import { type Message } from '../message/message.js';

/**
 * The context that a handler receives with `@Ctx()` in addition to the data: the message's envelope, and the transaction in
 * which the inbox has recorded the message. Writes through `tx` commit together with that record, or not at all (P4).
 *
 * @hideconstructor
 */
export class InboxContext extends BaseRpcContext<[EntityManager, Message]> {
  constructor(tx: EntityManager, message: Message) {
    super([tx, message]);
  }

  get tx(): EntityManager {
    return this.getArgs()[0];
  }

  get message(): Message {
    return this.getArgs()[1];
  }
}
