import { Injectable } from '@nestjs/common';
import { type Caller, problemOf } from '@twinbox/api-kit';
import { isVisible } from '../../application/order-journal.js';
import { OrderTimeline } from '../../application/order-timeline.js';
import { orderProblems } from './order-problems.js';
import { requesterOf } from './order-requests.js';

@Injectable()
export class VisibleOrders {
  constructor(private readonly timeline: OrderTimeline) {}

  /** @throws ProblemException 404 if the caller may not see the order */
  async check(orderId: string, caller: Caller): Promise<void> {
    const owner = await this.timeline.ownerOf(orderId);
    if (!isVisible(owner, requesterOf(caller))) throw problemOf({ code: 'order-not-found', orderId }, orderProblems);
  }
}
