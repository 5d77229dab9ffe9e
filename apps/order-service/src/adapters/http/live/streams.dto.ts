import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsId, IsText, MayBeAbsent } from '@twinbox/api-kit';
import { Matches } from 'class-validator';
import { ORDER_ID } from '../order.dto.js';

const TICKET = 'q3Ew2ZkPz7Tt0sW4m1nXb8vYc5dUe6fRg9hJk2lMn3o';

export class StreamQuery {
  @ApiPropertyOptional({
    pattern: '^[\\w-]{43}$',
    example: TICKET,
    description:
      'A ticket of `POST /orders/events/tickets`, for an `EventSource`, which cannot send headers. It stands for its user, whatever the headers say. ' +
      'Outages, limits and invalid tickets are then events of a stream with status 200.',
  })
  @MayBeAbsent()
  @Matches(/^[\w-]{43}$/, { message: 'must be a ticket' })
  readonly ticket?: string;

  @ApiPropertyOptional({
    format: 'event-id',
    description: 'Like the header Last-Event-ID, which takes precedence. For the first connection of an `EventSource`.',
  })
  @MayBeAbsent()
  @IsText(0, 255)
  readonly lastEventId?: string;
}

export class NewTicketDto {
  @ApiPropertyOptional({
    format: 'uuid',
    example: ORDER_ID,
    description: 'The order whose stream the ticket opens. Without it, the ticket opens `GET /orders/events`.',
  })
  @MayBeAbsent()
  @IsId()
  readonly orderId?: string;
}

export class TicketDto {
  @ApiProperty({ example: TICKET, description: 'A secret. Anyone who has it can open the stream.' })
  readonly ticket!: string;

  @ApiProperty({
    example: `/orders/events?ticket=${TICKET}`,
    description: 'The path of the stream, for `EventSource`.',
  })
  readonly url!: string;

  @ApiProperty({
    format: 'date-time',
    example: '2026-11-21T09:31:00.000Z',
    description: 'The first use must be before this time.',
  })
  readonly useBy!: string;

  @ApiProperty({
    format: 'date-time',
    example: '2026-11-21T10:00:00.000Z',
    description: 'Until then, a used ticket resumes its stream with Last-Event-ID.',
  })
  readonly expiresAt!: string;
}
