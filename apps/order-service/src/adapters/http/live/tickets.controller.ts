import { Body, Controller, Post } from '@nestjs/common';
import { ApiCreatedResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems, Caller, logContext } from '@twinbox/api-kit';
import { orderProblems } from '../order-problems.js';
import { StreamTickets } from './stream-tickets.js';
import { NewTicketDto, TicketDto } from './streams.dto.js';
import { VisibleOrders } from '../visible-orders.js';

@ApiTags('orders')
@Controller('orders/events/tickets')
export class TicketsController {
  constructor(
    private readonly tickets: StreamTickets,
    private readonly orders: VisibleOrders,
  ) {}

  @Post()
  @ApiOperation({
    operationId: 'createStreamTicket',
    summary: 'Issue a ticket with which an EventSource opens a stream',
    description:
      'The ticket opens one stream, once, as the caller. Afterwards it resumes that stream with `Last-Event-ID`, which an `EventSource` sends ' +
      'by itself when it reconnects. A further use ends the previous stream. Repeating this request issues another ticket.',
  })
  @ApiCreatedResponse({ type: TicketDto })
  @ApiProblems(orderProblems, 'order-not-found')
  async issue(@Body() { orderId }: NewTicketDto, @Caller() caller: Caller): Promise<TicketDto> {
    if (orderId === undefined) return this.tickets.issue(caller, null);
    logContext({ orderId });
    await this.orders.check(orderId, caller);
    return this.tickets.issue(caller, orderId);
  }
}
